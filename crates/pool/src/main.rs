//! `strongroom-pool`: scheduler and worker of one workerpool as a program. The only place that reads the environment, the
//! clock of the system and the command line.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that talks to people")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};
use strongroom_pool::config::{Config, describe_environment};
use strongroom_pool::lifecycle::Role;
use strongroom_pool::outside::{Clock, with_causes};
use strongroom_pool::runner::simulated::SimulatedPlatform;
use strongroom_pool::telemetry;
use strongroom_protocol::UnixSeconds;
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;
use zeroize::Zeroizing;

use crate::program::doctor;
use crate::program::service::{self, Passwords, Service};
use crate::program::settings;

mod program;

/// The settings are wrong, or no enclave can run with them on this machine.
const EXIT_CONFIGURATION: u8 = 3;
const OWNER_PASSWORD: &str = "STRONGROOM_POOL_SCHEDULER_PASSWORD";
const WORKER_PASSWORD: &str = "STRONGROOM_POOL_WORKER_PASSWORD";
const EXIT_CODES: &str =
    "Exit codes: 0 success, 1 failure, 2 wrong usage, 3 wrong settings, or a machine that cannot run enclaves.";

/// Scheduler and worker of a workerpool of the iExec network.
#[derive(Parser)]
#[command(name = "strongroom-pool", version, after_help = EXIT_CODES)]
struct Arguments {
    /// Settings file (TOML). Without it, defaults and the environment.
    #[arg(long, short, global = true, env = "STRONGROOM_POOL_CONFIG")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Watch the deals of the pool and run their tasks until SIGTERM or SIGINT.
    Run {
        /// Only this half; both without it. The halves share the state file.
        #[arg(long)]
        role: Option<Half>,
    },
    /// Check the settings and the files that they name, and say what is wrong.
    Check {
        /// Only this half.
        #[arg(long)]
        role: Option<Half>,
    },
    /// Say what this machine and these settings can run, what not, and what mends it.
    Doctor {
        /// Only this half.
        #[arg(long)]
        role: Option<Half>,
    },
    /// Development only: print the entry by which an SMS approves simulated enclaves with a guest program.
    SimulatedImage {
        /// The guest program.
        guest: PathBuf,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Half {
    /// With the key of the pool's owner.
    Scheduler,
    /// With the worker's key.
    Worker,
}

fn main() -> ExitCode {
    // First of all: the sandbox starts this program again as its helper.
    if let Some(code) = strongroom_runtime::native::child_main(std::env::args_os()) {
        return code;
    }
    let environment = format!("Every setting can be given in the environment:\n{}", describe_environment());
    let matches = Arguments::command().after_long_help(format!("{environment}\n\n{EXIT_CODES}")).get_matches();
    let arguments = match Arguments::from_arg_matches(&matches) {
        Ok(arguments) => arguments,
        Err(error) => error.exit(),
    };
    if let Command::SimulatedImage { guest } = &arguments.command {
        return ended(simulated_image(guest));
    }
    let config = match Config::load(arguments.config.as_deref(), variable) {
        Ok(config) => config,
        Err(problem) => {
            eprintln!("strongroom-pool: {}", with_causes(&problem));
            return ExitCode::from(EXIT_CONFIGURATION);
        }
    };
    // The provider can only be set once; this is the only place.
    let _ = service::install_cryptography();
    match arguments.command {
        Command::Run { role } => ended(run(&config, &roles(role))),
        Command::Check { role } => check(&config, &roles(role)),
        Command::Doctor { role } => ended(examine(&config, &roles(role))),
        Command::SimulatedImage { .. } => ExitCode::SUCCESS,
    }
}

fn ended(outcome: anyhow::Result<ExitCode>) -> ExitCode {
    outcome.unwrap_or_else(|error| {
        eprintln!("strongroom-pool: {error:#}");
        ExitCode::FAILURE
    })
}

fn roles(only: Option<Half>) -> Vec<Role> {
    match only {
        None => vec![Role::Scheduler, Role::Worker],
        Some(Half::Scheduler) => vec![Role::Scheduler],
        Some(Half::Worker) => vec![Role::Worker],
    }
}

fn check(config: &Config, roles: &[Role]) -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for problem in settings::problems(config, roles) {
        eprintln!("{problem}");
        code = ExitCode::from(EXIT_CONFIGURATION);
    }
    if code == ExitCode::SUCCESS {
        println!("the settings are fine");
    }
    code
}

#[tokio::main]
async fn run(config: &Config, roles: &[Role]) -> anyhow::Result<ExitCode> {
    telemetry::install(&config.log);
    forbid_core_dumps()?;
    // Before anything slow: a signal that comes early must not be lost.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    if roles.contains(&Role::Worker) {
        let for_machine = config.clone();
        let findings = tokio::task::spawn_blocking(move || doctor::machine(&for_machine)).await?;
        let fatal: Vec<_> = findings.iter().filter(|finding| finding.is_fatal()).collect();
        if !fatal.is_empty() {
            // A deal that is taken costs gas and stake; tasks would be given up one after the other.
            eprintln!("strongroom-pool: enclaves cannot run like this, so no deals are taken:");
            for finding in fatal {
                eprintln!("{finding}");
            }
            return Ok(ExitCode::from(EXIT_CONFIGURATION));
        }
    }
    let service = tokio::select! {
        service = Service::prepare(config, roles, passwords(), system_clock()) => service?,
        _ = terminate.recv() => return Ok(ExitCode::SUCCESS),
        _ = interrupt.recv() => return Ok(ExitCode::SUCCESS),
    };
    if service.is_simulated() {
        eprintln!("{}", doctor::BANNER);
    }
    tokio::select! {
        ended = service.run() => ended.context("the pool cannot go on")?,
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    info!("stopping; running enclaves are ended and started again with the pool");
    Ok(ExitCode::SUCCESS)
}

#[tokio::main]
async fn examine(config: &Config, roles: &[Role]) -> anyhow::Result<ExitCode> {
    let findings = doctor::examine(config, roles, passwords()).await;
    let mut code = ExitCode::SUCCESS;
    for finding in &findings {
        println!("{finding}");
        if finding.is_fatal() {
            code = ExitCode::FAILURE;
        }
    }
    Ok(code)
}

fn simulated_image(guest: &Path) -> anyhow::Result<ExitCode> {
    let program = std::fs::read(guest).with_context(|| format!("{} cannot be read", guest.display()))?;
    eprintln!("{}", doctor::BANNER);
    print!("{}", SimulatedPlatform::of(&program).approval("simulated"));
    Ok(ExitCode::SUCCESS)
}

/// A core dump would hold the keys.
fn forbid_core_dumps() -> anyhow::Result<()> {
    let none = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    rustix::process::setrlimit(rustix::process::Resource::Core, none).context("core dumps cannot be forbidden")?;
    Ok(())
}

fn passwords() -> Passwords {
    let secret = |name: &str| variable(name).map(Zeroizing::new);
    Passwords { owner: secret(OWNER_PASSWORD), worker: secret(WORKER_PASSWORD) }
}

fn system_clock() -> Clock {
    Clock::new(|| UnixSeconds(u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or(0)))
}

#[expect(clippy::disallowed_methods, reason = "settings are read here and nowhere else")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
