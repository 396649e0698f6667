//! `strongroom-guest`: the first program inside the enclave. It proves what it is, receives what the chain and the owners
//! allow, and starts the app with exactly its own values. It prints nothing secret and listens on nothing.
//!
//! `strongroom-guest run -- PROGRAM [ARGUMENT…]` is what a runtime calls; its settings are public environment variables
//! ([`settings`]). `strongroom-guest exec -- PROGRAM…` is the second half, which it calls itself ([`stage`]).

mod failure;
mod hardening;
mod settings;
mod stage;
mod supervise;

use std::process::ExitCode;

use strongroom_client::{EvidenceSource, Patience, Released, Service};
use strongroom_protocol::bundle::Stage;

use crate::failure::Failure;
use crate::settings::Settings;

const USAGE: &str = "usage: strongroom-guest run -- PROGRAM [ARGUMENT...]";

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let ended = match arguments.split_first_chunk::<2>() {
        Some(([verb, dashes], command)) if dashes == "--" && !command.is_empty() => match verb.to_str() {
            Some("run") => run(command),
            Some(stage::EXEC) => Err(stage::exec(command)),
            _ => Err(Failure::Usage(USAGE.to_owned())),
        },
        _ => Err(Failure::Usage(USAGE.to_owned())),
    };
    match ended {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            failure.report();
            ExitCode::from(failure.exit_code())
        }
    }
}

fn run(command: &[std::ffi::OsString]) -> Result<u8, Failure> {
    hardening::harden()?;
    let settings = Settings::from_environment()?;
    // The provider can only be set once; this is the only place.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::System)?;
    let released = runtime.block_on(obtain(&settings))?;
    drop(runtime);
    let values = stage::values_of(Stage::App, released.items);
    supervise::run(stage::command(command)?, &values)
}

async fn obtain(settings: &Settings) -> Result<Released, Failure> {
    let service = match &settings.relay {
        Some(socket) => Service::through_socket(settings.sms.clone(), socket),
        None => Service::new(settings.sms.clone()),
    }
    .map_err(|error| Failure::Release(error.into()))?;
    let source = EvidenceSource::probe(&settings.sources).map_err(|error| Failure::Release(error.into()))?;
    let mut random = hpke::rand_core::UnwrapErr(getrandom::SysRng);
    strongroom_client::release(&service, settings.pinned, settings.session, &source, Patience::default(), &mut random)
        .await
        .map_err(Failure::Release)
}
