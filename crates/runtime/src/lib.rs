//! Runs a verified image with our guest inside an isolated enclave. One launch contract, several back ends.

mod launch;

pub use launch::{Bind, Exit, Launch, Limits, Output, Reason, Refusal, Scratch};
