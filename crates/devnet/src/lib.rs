//! The local network, and the end-to-end tests.
