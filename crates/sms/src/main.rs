//! `strongroom-sms`: the Secret Management Service as a program. The only place that reads the environment, the clock of
//! the system and the command line.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that talks to people")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use strongroom_poco::Chain;
use strongroom_protocol::SecretValue;
use strongroom_sms::clock::Clock;
use strongroom_sms::config::{Config, describe_environment};
use strongroom_sms::owners::CheckedChain;
use strongroom_sms::service::Service;
use strongroom_sms::telemetry;
use strongroom_sms::vault::{MakeRootKeySource, Vault};
use strongroom_store::{RootKeySource, StoreConfig};
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

#[derive(Clone, Copy, Subcommand)]
enum Command {
    /// Serve until SIGTERM or SIGINT (the default).
    Run,
    /// Check the settings and say what is wrong, in which line.
    Check,
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
    // Before anything slow: a signal that comes early must not be lost.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;

    let owners = CheckedChain::new(Chain::new(chain_config(config)?).context("the chain settings are not usable")?);
    let (store_config, root_key) = store_settings(config)?;
    let vault = tokio::task::spawn_blocking(move || Vault::open(store_config, root_key))
        .await
        .context("opening the store failed")?
        .context("the store cannot be opened")?;
    let service = Service::start(config, owners.clone(), vault, system_clock()).await?;

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
    service.stop().await;
    Ok(code)
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

fn system_clock() -> Clock {
    Clock::new(jiff::Timestamp::now)
}

#[expect(clippy::disallowed_methods, reason = "settings are read here and nowhere else")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
