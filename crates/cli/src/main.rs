//! The `strongroom` program: looks around once, then leaves everything to the library.

use std::process::ExitCode;

use strongroom_cli::Surroundings;
use strongroom_protocol::UnixSeconds;

fn main() -> ExitCode {
    forbid_core_dumps();
    // One provider of cryptography for TLS in the whole process. Only a second call can fail.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let surroundings = Surroundings {
        config_folder: dirs::config_dir(),
        data_folder: dirs::data_dir(),
        home_folder: dirs::home_dir(),
        current_folder: std::env::current_dir().unwrap_or_else(|_| ".".into()),
        program: std::env::current_exe().ok(),
        now: now(),
    };
    ExitCode::from(strongroom_cli::run(std::env::args_os(), &surroundings))
}

/// A core dump would hold the secrets that were in memory. Where the system refuses, we go on without this extra care.
fn forbid_core_dumps() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    }
}

#[expect(clippy::disallowed_methods, reason = "here time becomes an argument")]
fn now() -> UnixSeconds {
    let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    UnixSeconds(since_1970.map_or(0, |elapsed| elapsed.as_secs()))
}
