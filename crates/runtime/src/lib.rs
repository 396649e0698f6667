//! Runs a verified image with our guest inside an isolated enclave. One launch contract, several back ends.
