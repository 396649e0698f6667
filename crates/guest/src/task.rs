//! A whole task: release, inputs, app, result. Each stage gets its own values and no others: those of the first are wiped before the app
//! starts, those of the last stay in this process, which the app can neither trace nor read.
//!
//! Ends with 0 when the result was delivered, 1 when a failure was reported, 2 when it could not be reported, 3 without a task id (the
//! network's codes), and with the codes of [`crate::failure`] when it did not come to a stage.

use std::ffi::OsString;
use std::path::Path;

use strongroom_client::Way;
use strongroom_protocol::bundle::Stage;

use crate::failure::Failure;
use crate::report::{self, Reporter, StageFailure};
use crate::settings::{AppSettings, Settings};
use crate::supervise::{self, End};
use crate::values::{NoSigner, Signer, Values};
use crate::{hardening, obtain, post, pre, stage, way_out};

const DELIVERED: u8 = 0;
const REPORTED: u8 = 1;
const NOT_REPORTED: u8 = 2;
const NO_TASK_ID: u8 = 3;
const NO_INPUTS: &str = "PRE_COMPUTE_FAILED_UNKNOWN_ISSUE";

pub(crate) fn run(command: &[OsString]) -> Result<u8, Failure> {
    hardening::harden()?;
    let settings = Settings::from_environment()?;
    let way = way_out(&settings)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::System)?;
    let mut items = runtime.block_on(obtain(&settings, &way))?.items;
    let last = Values::take(Stage::PostCompute, &mut items);
    let signer = match Signer::of(&last) {
        Ok(signer) => signer,
        Err(NoSigner::Task) => return Ok(NO_TASK_ID),
        Err(NoSigner::Key) => return Ok(NOT_REPORTED),
    };
    let told = |reporter, failures: &[StageFailure]| {
        for failure in failures {
            say(failure);
        }
        match runtime.block_on(report::failures(&way, &signer, reporter, failures)) {
            Ok(()) => REPORTED,
            Err(report::NotTaken) => NOT_REPORTED,
        }
    };

    let has_inputs = items.iter().any(|item| item.stage == Stage::PreCompute);
    if has_inputs {
        let first = Values::take(Stage::PreCompute, &mut items);
        if let Err(failures) = runtime.block_on(pre::run(&first, &way, &settings.gateways)) {
            return Ok(told(Reporter::Pre, &failures));
        }
    }
    if let Err(error) = give_folders(&settings.app) {
        return Ok(told(Reporter::Pre, &[StageFailure::new(NO_INPUTS, error)]));
    }
    let values = stage::values_of(Stage::App, items);
    let ended = supervise::run(stage::command_as(command, &settings), &values, settings.app.limit)?;
    drop(values);
    if let Some(failure) = failure_of(ended) {
        return Ok(told(Reporter::Post, &[failure]));
    }
    match runtime.block_on(deliver(&last, &signer, &way)) {
        Ok(()) => Ok(DELIVERED),
        Err(failure) => Ok(told(Reporter::Post, &[failure])),
    }
}

async fn deliver(values: &Values, signer: &Signer, way: &Way) -> Result<(), StageFailure> {
    post::run(values, signer, way, Path::new(post::OUT)).await
}

/// The output folder belongs to the app's user. Nothing to do where the app runs as this process does.
fn give_folders(app: &AppSettings) -> std::io::Result<()> {
    if !rustix::process::geteuid().is_root() || stage::is_alone() {
        return Ok(());
    }
    std::os::unix::fs::chown(post::OUT, Some(app.user.0), Some(app.user.1))
}

/// An app that failed fails its task: it is not settled as a success, whatever it left behind.
fn failure_of(ended: End) -> Option<StageFailure> {
    match ended {
        End::Exited(0) => None,
        End::Exited(code @ (126 | 127)) => {
            Some(StageFailure::new("APP_COMPUTE_FAILED", format!("the app could not be started (exit code {code})")))
        }
        End::Exited(code) => {
            Some(StageFailure::new("APP_COMPUTE_FAILED", format!("the app ended with exit code {code}")))
        }
        End::TimedOut => {
            let message = "the app ran longer than the category of the deal allows";
            Some(StageFailure::new("APP_COMPUTE_TIMEOUT", message))
        }
    }
}

#[expect(clippy::print_stderr, reason = "the guest speaks to the runtime through standard error")]
fn say(failure: &StageFailure) {
    eprintln!("strongroom-guest: {failure}");
}
