//! `strongroom-sms`: the Secret Management Service as a program. The only place that reads the environment, the clock of
//! the system and the command line.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that talks to people")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use strongroom_poco::Chain;
use strongroom_protocol::{SecretKind, SecretValue};
use strongroom_sms::clock::Clock;
use strongroom_sms::config::{Config, describe_environment};
use strongroom_sms::owners::CheckedChain;
use strongroom_sms::release::setup;
use strongroom_sms::service::Service;
use strongroom_sms::telemetry;
use strongroom_sms::vault::{MakeRootKeySource, Vault};
use strongroom_store::{RootKeySource, Store, StoreConfig};
use tokio::signal::unix::{SignalKind, signal};
use tracing::info;

/// The text of the root key, for operators who have it in a vault that hands out environment variables.
const ROOT_KEY_VARIABLE: &str = "STRONGROOM_ROOT_KEY";
/// The settings are wrong.
const EXIT_CONFIGURATION: u8 = 3;
/// The chain is not the configured one.
const EXIT_WRONG_CHAIN: u8 = 4;

/// Secret Management Service of the iExec network.
#[derive(Parser)]
#[command(name = "strongroom-sms", version, after_help = EXIT_CODES)]
struct Arguments {
    /// Settings file (TOML). Without it, defaults and the environment.
    #[arg(long, short, global = true, env = "STRONGROOM_CONFIG")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Serve until SIGTERM or SIGINT (the default).
    Run,
    /// Check the settings and say what is wrong, in which line.
    Check,
    /// Wrap all data keys anew under a fresh epoch key. May run beside the service, be interrupted and be repeated.
    RotateEpoch,
    /// Copy the store to a new file. May run beside the service. The root key is not in the copy: keep it elsewhere.
    Backup {
        /// File to make; it must not exist.
        destination: PathBuf,
    },
    /// Put a backup in the place of the store. The service must not be running.
    Restore {
        /// File made by `backup`.
        backup: PathBuf,
    },
    /// Open every stored value and look at none. May run beside the service.
    Verify,
}

fn main() -> ExitCode {
    use clap::{CommandFactory as _, FromArgMatches as _};
    let environment = format!("Every setting can be given in the environment:\n{}", describe_environment());
    let matches = Arguments::command().after_long_help(format!("{environment}\n{EXIT_CODES}")).get_matches();
    let arguments = match Arguments::from_arg_matches(&matches) {
        Ok(arguments) => arguments,
        Err(error) => error.exit(),
    };
    let config = match Config::load(arguments.config.as_deref(), variable) {
        Ok(config) => config,
        Err(problems) => {
            for problem in problems {
                eprintln!("{problem}");
            }
            return ExitCode::from(EXIT_CONFIGURATION);
        }
    };
    let outcome = match arguments.command.unwrap_or(Command::Run) {
        Command::Run => run(&config),
        Command::Check => {
            println!("the settings are fine");
            Ok(ExitCode::SUCCESS)
        }
        Command::RotateEpoch => rotate_epoch(&config),
        Command::Backup { destination } => backup(&config, &destination),
        Command::Restore { backup } => restore(&config, &backup),
        Command::Verify => verify(&config),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("strongroom-sms: {error:#}");
        ExitCode::FAILURE
    })
}

const EXIT_CODES: &str =
    "Exit codes: 0 success, 1 failure, 2 wrong usage, 3 wrong settings, 4 another chain or hub than configured.";

#[tokio::main]
async fn run(config: &Config) -> anyhow::Result<ExitCode> {
    telemetry::install(&config.log, std::io::stderr);
    forbid_core_dumps()?;
    // Before anything slow: a signal that comes early must not be lost.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;

    let owners = CheckedChain::new(Chain::new(chain_config(config)?).context("the chain settings are not usable")?);
    let (store_config, root_key) = store_settings(config)?;
    let vault = tokio::task::spawn_blocking(move || Vault::open(store_config, root_key))
        .await
        .context("opening the store failed")?
        .context("the store cannot be opened")?;
    // Fetching endorsements needs TLS; the provider can only be set once, and this is the only place.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let hub = config.chain.hub().context("chain.hub is not set")?;
    let prepared = setup::prepare(config, owners.clone(), hub, system_clock().seconds())
        .context("the settings of attestation are not usable")?;
    let (endorsements, clock) = (prepared.endorsements, system_clock());
    let fetching = tokio::spawn(async move { endorsements.run(|| clock.seconds(), std::future::pending()).await });
    let service = Service::start_with(config, owners.clone(), vault, system_clock(), Some(prepared.settings)).await?;

    let code = tokio::select! {
        fatal = owners.watch() => {
            tracing::error!(error = &fatal as &dyn std::error::Error, "the chain is not the configured one");
            eprintln!("strongroom-sms: {fatal}");
            ExitCode::from(EXIT_WRONG_CHAIN)
        }
        _ = terminate.recv() => ExitCode::SUCCESS,
        _ = interrupt.recv() => ExitCode::SUCCESS,
    };
    info!("stopping");
    fetching.abort();
    service.stop().await;
    Ok(code)
}

#[tokio::main]
async fn rotate_epoch(config: &Config) -> anyhow::Result<ExitCode> {
    let store = open_store(config).await?;
    let mut tenths_told = 0;
    let report = store
        .rotate_epoch(|progress| {
            let tenths = progress.rewrapped * 10 / progress.total.max(1);
            if tenths > tenths_told {
                tenths_told = tenths;
                eprintln!("{} of {} data keys", progress.rewrapped, progress.total);
            }
        })
        .await?;
    store.close().await;
    let how = if report.continued { "continued an interrupted rotation" } else { "new epoch" };
    println!("{how}: {} data keys wrapped anew, {} old epoch keys deleted", report.rewrapped, report.retired);
    if report.unreadable > 0 {
        println!("{} data keys do not open and stay under their old epoch; run `verify`", report.unreadable);
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}

#[tokio::main]
async fn backup(config: &Config, destination: &Path) -> anyhow::Result<ExitCode> {
    let store = open_store(config).await?;
    store.backup(destination).await?;
    store.close().await;
    println!("{} holds the store; the root key is not in it", destination.display());
    Ok(ExitCode::SUCCESS)
}

fn restore(config: &Config, backup: &Path) -> anyhow::Result<ExitCode> {
    let (store_config, root_key) = store_settings(config)?;
    let restored = Store::restore(backup, &store_config, &root_key())?;
    let total: u64 = SecretKind::ALL.iter().map(|kind| restored.secrets.of(*kind)).sum();
    println!("restored {total} secrets");
    if let Some(replaced) = restored.replaced {
        println!("the former store is now {}; remove it when all is well", replaced.display());
    }
    Ok(ExitCode::SUCCESS)
}

#[tokio::main]
async fn verify(config: &Config) -> anyhow::Result<ExitCode> {
    let store = open_store(config).await?;
    let report = store.verify().await?;
    store.close().await;
    println!("{} values open, {} do not", report.opened, report.unreadable);
    for example in &report.examples {
        let claims = example.claims.as_ref();
        let what = claims.map_or_else(
            || "unreadable row".to_owned(),
            |id| format!("{} {} version {}", id.kind, id.address, id.version),
        );
        println!("row {}: {what}", example.row);
    }
    if !report.counts_agree {
        println!("the counts that are kept differ from the rows that are there");
    }
    Ok(if report.is_sound() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn open_store(config: &Config) -> anyhow::Result<Store> {
    let (store_config, root_key) = store_settings(config)?;
    let opened = tokio::task::spawn_blocking(move || Store::open(&store_config, root_key())).await;
    opened.context("opening the store failed")?.context("the store cannot be opened")
}

fn chain_config(config: &Config) -> anyhow::Result<strongroom_poco::ChainConfig> {
    let chain = &config.chain;
    Ok(strongroom_poco::ChainConfig {
        endpoints: chain.endpoints.clone(),
        quorum: chain.quorum,
        chain_id: chain.id.get(),
        hub: chain.hub().context("chain.hub is not set")?,
        timeout: std::time::Duration::from_millis(chain.timeout_ms.get()),
        retries: chain.retries,
        head_refresh: std::time::Duration::from_millis(chain.head_refresh_ms.get()),
        max_block_age: (chain.max_block_age_ms > 0).then(|| std::time::Duration::from_millis(chain.max_block_age_ms)),
    })
}

/// Which database, and where its root key comes from: the environment, else the credential, else the file.
fn store_settings(config: &Config) -> anyhow::Result<(StoreConfig, MakeRootKeySource)> {
    let store = StoreConfig { path: config.store.path.clone(), chain_id: config.chain.id.get() };
    if let Some(text) = variable(ROOT_KEY_VARIABLE) {
        let text = SecretValue::new(text.into_bytes()).context("the root key in the environment is too long")?;
        let copy =
            move || SecretValue::new(text.expose_secret().to_vec()).expect("a copy is no longer than the original");
        return Ok((store, Arc::new(move || RootKeySource::Env(copy()))));
    }
    if let Some(credential) = config.store.root_key_credential.clone() {
        return Ok((store, Arc::new(move || RootKeySource::Credential(credential.clone()))));
    }
    let file = config.store.root_key_file.clone();
    Ok((store, Arc::new(move || RootKeySource::File(file.clone()))))
}

/// A core dump would hold the secrets that are in memory at that moment, and so would a debugger's view of the process.
fn forbid_core_dumps() -> anyhow::Result<()> {
    let none = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    rustix::process::setrlimit(rustix::process::Resource::Core, none).context("core dumps cannot be forbidden")?;
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
        .context("the memory of the process cannot be protected")?;
    Ok(())
}

fn system_clock() -> Clock {
    Clock::new(jiff::Timestamp::now)
}

#[expect(clippy::disallowed_methods, reason = "settings are read here and nowhere else")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
