//! `strongroom-guest`: the first program inside the enclave. It proves what it is, receives what the chain and the owners
//! allow, and starts the app with exactly its own values. It prints nothing secret and listens on nothing.
//!
//! `strongroom-guest task -- PROGRAM [ARGUMENT…]` is what a pool's runtime calls: inputs, app, result ([`task`]).
//! `strongroom-guest run -- PROGRAM [ARGUMENT…]` runs the app alone. Settings are public environment variables ([`settings`]).
//! `strongroom-guest exec -- PROGRAM…` is the second half, which it calls itself ([`stage`]).

mod failure;
mod fetch;
mod hardening;
mod post;
mod pre;
mod report;
mod result_files;
mod settings;
mod stage;
mod supervise;
mod task;
#[cfg(test)]
mod test_server;
mod upload;
mod values;

use std::process::ExitCode;

use strongroom_client::{EvidenceSource, Patience, Released, Service, Way};
use strongroom_protocol::bundle::Stage;
use strongroom_protocol::release::Receipt;

use crate::failure::Failure;
use crate::settings::Settings;
use crate::supervise::End;

const USAGE: &str = "usage: strongroom-guest task|run -- PROGRAM [ARGUMENT...]";

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let ended = match arguments.split_first_chunk::<2>() {
        Some(([verb, dashes], command)) if dashes == "--" && !command.is_empty() => match verb.to_str() {
            Some("run") => run(command),
            Some("task") => task::run(command),
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
    let way = way_out(&settings)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::System)?;
    let released = runtime.block_on(obtain(&settings, &way))?;
    drop(runtime);
    let values = stage::values_of(Stage::App, released.items);
    match supervise::run(stage::command(command), &values, settings.app.limit)? {
        End::Exited(code) => Ok(code),
        End::TimedOut => Ok(124),
    }
}

/// The way out that the settings name. HTTP is usable after this.
fn way_out(settings: &Settings) -> Result<Way, Failure> {
    // The provider can only be set once; this is the only place.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match &settings.relay {
        Some(folder) => Way::through_relay(folder).map_err(Failure::Relay),
        None => Ok(Way::Network),
    }
}

async fn obtain(settings: &Settings, way: &Way) -> Result<Released, Failure> {
    let service = Service::through(settings.sms.clone(), way).map_err(|error| Failure::Release(error.into()))?;
    let source = EvidenceSource::probe(&settings.sources).map_err(|error| Failure::Release(error.into()))?;
    let mut random = hpke::rand_core::UnwrapErr(getrandom::SysRng);
    let (pinned, session) = (settings.pinned, settings.session);
    let released =
        strongroom_client::release(&service, pinned, session, &source, Patience::default(), &mut random).await;
    released.inspect(|released| show(released.receipt)).map_err(Failure::Release)
}

/// Whoever reads what was printed can compare the journal with it.
#[expect(clippy::print_stderr, reason = "the guest speaks to the runtime through standard error")]
fn show(receipt: Receipt) {
    let Receipt { sequence, record } = receipt;
    eprintln!("strongroom-guest: the service recorded this release in its journal as entry {sequence}, {record}");
}
