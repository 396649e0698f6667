//! Runs a verified image with our guest inside an isolated enclave. One launch contract, several back ends.
//!
//! A [`Launch`] goes in, an [`Exit`] comes out of [`Runtime::run`]. [`probe::probe`] says what this machine can run. No back end is
//! given a secret, and none is believed: what runs is proven by evidence.

#[cfg(feature = "container")]
mod container;
mod launch;
pub mod native;
mod output;
pub mod probe;
mod tdx;

#[cfg(feature = "container")]
pub use container::{Container, ContainerSettings, NoEngine};
pub use launch::{Bind, Exit, Launch, Limits, Output, Reason, Refusal, Scratch};
pub use native::{Native, NativeSettings};
pub use tdx::{Tdx, TdxSettings};

/// A back end.
#[derive(Clone, Debug)]
pub enum Runtime {
    /// Our own sandbox, the default: simulated enclaves on any Linux machine.
    Native(Native),
    /// Containers of Docker or Podman.
    #[cfg(feature = "container")]
    Container(Container),
    /// Confidential virtual machines through a configured launcher.
    Tdx(Tdx),
}

impl Runtime {
    /// Runs one task to its end. Dropping the future kills everything inside.
    pub async fn run(&self, launch: &Launch) -> Exit {
        if let Err(refusal) = launch.check() {
            return Exit::refused(&refusal.step, refusal.cause);
        }
        match self {
            Self::Native(native) => native::run(native, launch).await,
            #[cfg(feature = "container")]
            Self::Container(container) => container.run(launch).await,
            Self::Tdx(tdx) => tdx.run(launch).await,
        }
    }

    /// Removes the control groups that runs whose names begin with `name` left on this machine when their supervisor was killed. Only the
    /// native sandbox has groups of its own; containers and machines of a killed supervisor are not looked for.
    pub fn remove_left(&self, name: &str) {
        match self {
            Self::Native(native) => native.remove_left(name),
            #[cfg(feature = "container")]
            Self::Container(_) => {}
            Self::Tdx(_) => {}
        }
    }
}
