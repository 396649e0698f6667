//! Why the guest ends without running the app, as a word on standard error and an exit code (BSD `sysexits.h` numbers).

use std::error::Error;

use strongroom_client::{ReleaseError, ServiceError};

/// Every way to end early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Called wrongly.
    #[error("{0}")]
    Usage(String),
    /// A setting is missing or malformed.
    #[error("setting {name}: {reason}")]
    Setting {
        /// The environment variable.
        name: &'static str,
        /// What is wrong and what to do.
        reason: String,
    },
    /// The release did not come about.
    #[error("no release")]
    Release(#[source] ReleaseError),
    /// The app could not be started.
    #[error("cannot start {program}")]
    Start {
        /// The program.
        program: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The app would reach something that only the guest may.
    #[error(
        "the app is not started: it could reach `{}`, which is for the guest alone; run the guest as root of the enclave with the \
         capabilities CAP_SETUID and CAP_DAC_OVERRIDE, and keep the file from other users", path.display()
    )]
    Exposed {
        /// The folder or socket.
        path: std::path::PathBuf,
    },
    /// The relay's folder cannot be read.
    #[error("the relay cannot be used; check STRONGROOM_RELAY")]
    Relay(#[source] std::io::Error),
    /// The operating system refuses something the guest needs.
    #[error("the system refuses what the guest needs")]
    System(#[source] std::io::Error),
}

impl Failure {
    /// 64 usage, 78 setting, 77 refused, 75 trouble worth a retry, 76 answer not believed, 69 no evidence, 127 app not
    /// found, 126 app not started, 71 system.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 64,
            Self::Setting { .. } | Self::Relay(_) => 78,
            Self::Release(ReleaseError::Service(error)) if error.is_retryable() => 75,
            Self::Release(ReleaseError::Service(ServiceError::Refused { .. })) => 77,
            Self::Release(ReleaseError::Evidence(_)) => 69,
            Self::Release(_) => 76,
            Self::Start { source, .. } if source.kind() == std::io::ErrorKind::NotFound => 127,
            Self::Start { .. } | Self::Exposed { .. } => 126,
            Self::System(_) => 71,
        }
    }

    /// Says the failure and its causes on standard error. None of them carries a value that was released.
    #[expect(clippy::print_stderr, reason = "the guest speaks to the runtime through standard error")]
    pub(crate) fn report(&self) {
        let mut text = format!("strongroom-guest: {self}");
        let mut cause = self.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        eprintln!("{text}");
    }
}
