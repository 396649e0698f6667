//! Runs a verified image with our guest inside an isolated enclave. One launch contract, several back ends.

mod launch;
pub mod native;
mod output;

pub use launch::{Bind, Exit, Launch, Limits, Output, Reason, Refusal, Scratch};
pub use native::{Native, NativeSettings};

/// A back end.
#[derive(Clone, Debug)]
pub enum Runtime {
    /// Our own sandbox, the default: simulated enclaves on any Linux machine.
    Native(Native),
}

impl Runtime {
    /// Runs one task to its end. Dropping the future kills everything inside.
    pub async fn run(&self, launch: &Launch) -> Exit {
        if let Err(refusal) = launch.check() {
            return Exit::refused(&refusal.step, refusal.cause);
        }
        match self {
            Self::Native(native) => native::run(native, launch).await,
        }
    }
}
