//! `strongroom-pool`, scheduler and worker of one workerpool, as a child process with settings for a local network. Its
//! enclaves are simulated: nothing in them is protected.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::Address;
use serde::Serialize;
use serde_json::Value;
use strongroom_keystore::{Freshness, Keystore};
use strongroom_pool::lifecycle::Role;
use strongroom_protocol::SigningKey;

use crate::Devnet;
use crate::process::{OwnedProcess, ProcessError};

/// How long the pool may take until it is ready.
const PATIENCE: Duration = Duration::from_mins(1);
/// Of both wallets, which hold keys that everybody knows.
const PASSWORD: &str = "devnet";

/// Why the pool did not start.
#[derive(Debug, thiserror::Error)]
pub enum PoolError {
    /// The settings or wallets could not be written.
    #[error("writing {} failed", path.display())]
    Files {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The program did not start.
    #[error(transparent)]
    Process(#[from] ProcessError),
}

/// How to start the pool.
#[derive(Clone, Debug)]
pub struct PoolOptions {
    /// The program `strongroom-pool`.
    pub program: PathBuf,
    /// The program `strongroom-guest`, statically linked.
    pub guest: PathBuf,
    /// The program `strongroom-simulator`.
    pub simulator: PathBuf,
    /// An existing folder with a short path, for settings, state and runs.
    pub folder: PathBuf,
    /// The contract of the workerpool.
    pub workerpool: Address,
    /// Its owner.
    pub owner: PrivateKeySigner,
    /// The worker.
    pub worker: PrivateKeySigner,
    /// The SMS.
    pub sms_url: String,
    /// The result proxy, if there is one.
    pub result_proxy: Option<String>,
    /// IPFS gateways.
    pub gateways: Vec<String>,
    /// OCI layouts and docker-archives with the images of apps.
    pub images: Vec<PathBuf>,
    /// Enclaves at once.
    pub places: u32,
    /// TCP port of the API on 127.0.0.1; 0 for any free one.
    pub port: u16,
    /// What is logged, as directives of `tracing-subscriber`; at least `info` of the pool's own.
    pub log_filter: String,
}

/// A running pool, or a half of one. Dropping it kills it.
#[derive(Debug)]
pub struct Pool {
    program: PathBuf,
    settings: PathBuf,
    half: Option<Role>,
    url: String,
    process: OwnedProcess,
}

#[derive(Serialize)]
struct Settings<'a> {
    pool: PoolTable,
    chain: ChainTable<'a>,
    sms: SmsTable<'a>,
    results: ResultsTable<'a>,
    scheduler: SchedulerTable,
    worker: WorkerTable,
    images: ImagesTable<'a>,
    runtime: RuntimeTable<'a>,
    relay: RelayTable,
    log: LogTable<'a>,
}

#[derive(Serialize)]
struct PoolTable {
    address: String,
    state: PathBuf,
    runs: PathBuf,
}

#[derive(Serialize)]
struct ChainTable<'a> {
    endpoints: [&'a str; 1],
    id: u64,
    hub: String,
    head_refresh_ms: u32,
    watch_ms: u32,
}

#[derive(Serialize)]
struct SmsTable<'a> {
    url: &'a str,
}

#[derive(Serialize)]
struct ResultsTable<'a> {
    proxy: &'a str,
    gateways: &'a [String],
}

#[derive(Serialize)]
struct SchedulerTable {
    keystore: PathBuf,
    password_file: PathBuf,
    address: &'static str,
    port: u16,
    margin_seconds: u64,
}

#[derive(Serialize)]
struct WorkerTable {
    keystore: PathBuf,
    password_file: PathBuf,
    cpu_milli: u32,
    memory_mib: u32,
    task_memory_mib: u32,
}

#[derive(Serialize)]
struct ImagesTable<'a> {
    sources: &'a [PathBuf],
    cache: PathBuf,
    registries: bool,
}

#[derive(Serialize)]
struct RuntimeTable<'a> {
    guest: &'a Path,
    native: NativeTable<'a>,
}

#[derive(Serialize)]
struct NativeTable<'a> {
    simulator: &'a Path,
}

#[derive(Serialize)]
struct RelayTable {
    danger_allow_private_destinations: bool,
}

#[derive(Serialize)]
struct LogTable<'a> {
    format: &'static str,
    filter: &'a str,
}

impl Pool {
    /// Writes settings and wallets, starts the pool for `network`, and waits until it is ready. Blocks the thread.
    pub fn start(network: &Devnet, options: &PoolOptions) -> Result<Self, PoolError> {
        Self::start_with(network, options, None)
    }

    /// As [`Self::start`], one half alone, as a program of its own; both share the state file. The other half is started with the same options, before or after. Blocks the thread.
    pub fn start_half(network: &Devnet, options: &PoolOptions, half: Role) -> Result<Self, PoolError> {
        Self::start_with(network, options, Some(half))
    }

    fn start_with(network: &Devnet, options: &PoolOptions, half: Option<Role>) -> Result<Self, PoolError> {
        let folder = &options.folder;
        let password_file = folder.join("password");
        write(&password_file, PASSWORD.as_bytes())?;
        let (owner, worker) = (folder.join("owner.json"), folder.join("worker.json"));
        write_wallet(&owner, &options.owner)?;
        write_wallet(&worker, &options.worker)?;
        let task_memory_mib = 1024;
        let content = Settings {
            pool: PoolTable {
                address: options.workerpool.to_string(),
                state: folder.join("pool.db"),
                runs: folder.join("r"),
            },
            chain: ChainTable {
                endpoints: [network.rpc_url()],
                id: network.deployment().chain_id,
                hub: network.deployment().hub.to_string(),
                head_refresh_ms: 50,
                watch_ms: 50,
            },
            sms: SmsTable { url: &options.sms_url },
            results: ResultsTable {
                proxy: options.result_proxy.as_deref().unwrap_or_default(),
                gateways: &options.gateways,
            },
            scheduler: SchedulerTable {
                keystore: owner,
                password_file: password_file.clone(),
                address: "127.0.0.1",
                port: options.port,
                // Categories of tests are short.
                margin_seconds: 5,
            },
            worker: WorkerTable {
                keystore: worker,
                password_file,
                cpu_milli: options.places * 1000,
                memory_mib: options.places * task_memory_mib,
                task_memory_mib,
            },
            images: ImagesTable { sources: &options.images, cache: folder.join("images"), registries: false },
            runtime: RuntimeTable { guest: &options.guest, native: NativeTable { simulator: &options.simulator } },
            relay: RelayTable { danger_allow_private_destinations: true },
            log: LogTable { format: "json", filter: &options.log_filter },
        };
        let settings = folder.join("strongroom-pool.toml");
        let text = toml::to_string(&content).map_err(io::Error::other);
        let text = text.map_err(|source| PoolError::Files { path: settings.clone(), source })?;
        write(&settings, text.as_bytes())?;
        let (process, url) = run(&options.program, &settings, half)?;
        Ok(Self { program: options.program.clone(), settings, half, url, process })
    }

    /// Starts it again with the same state and the settings that its file has now, after a kill if it still runs. Blocks the
    /// thread.
    pub fn restart(&mut self) -> Result<(), PoolError> {
        self.process.kill();
        (self.process, self.url) = run(&self.program, &self.settings, self.half)?;
        Ok(())
    }

    /// Kills it as a power failure would, with everything it runs.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.process.is_running()
    }

    /// Address of its API, such as `http://127.0.0.1:41234`. Empty for a worker alone, which has none.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its settings file.
    pub fn settings(&self) -> &Path {
        &self.settings
    }

    /// What it has logged, at most the last 4096 lines.
    pub fn log(&self) -> String {
        self.process.output()
    }

    /// Its process id.
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// Waits for a log line whose JSON object `found` likes. Blocks the thread.
    pub fn wait_for_log<T>(&self, patience: Duration, found: impl Fn(&Value) -> Option<T>) -> Result<T, ProcessError> {
        self.process.wait_for_line(patience, |line| found(&serde_json::from_str(line).ok()?))
    }
}

fn run(program: &Path, settings: &Path, half: Option<Role>) -> Result<(OwnedProcess, String), PoolError> {
    let mut command = Command::new(program);
    command.arg("--config").arg(settings).arg("run");
    match half {
        None => {}
        Some(Role::Scheduler) => drop(command.args(["--role", "scheduler"])),
        Some(Role::Worker) => drop(command.args(["--role", "worker"])),
    }
    let process = OwnedProcess::start("strongroom-pool", command)?;
    let logged = |line: &str, message: &str| {
        let event: Value = serde_json::from_str(line).ok()?;
        (event["message"] == message).then_some(event)
    };
    let url = if half == Some(Role::Worker) {
        String::new()
    } else {
        let listening = |line: &str| logged(line, "listening")?["address"].as_str().map(str::to_owned);
        format!("http://{}", process.wait_for_line(PATIENCE, listening)?)
    };
    process.wait_for_line(PATIENCE, |line| logged(line, "the pool is ready"))?;
    Ok((process, url))
}

/// The wallets hold keys that everybody knows, so the cheapest password will do.
fn write_wallet(path: &Path, wallet: &PrivateKeySigner) -> Result<(), PoolError> {
    let key = SigningKey::from_bytes(&wallet.to_bytes().0).expect("a wallet has a valid key");
    let cost = "1024".parse().expect("1024 is a valid cost");
    let fresh = Freshness { salt: [1; 32], iv: [2; 16], id: [3; 16] };
    write(path, Keystore::encrypt(&key, PASSWORD, cost, &fresh).to_json().as_bytes())
}

fn write(path: &Path, content: &[u8]) -> Result<(), PoolError> {
    std::fs::write(path, content).map_err(|source| PoolError::Files { path: path.to_owned(), source })
}
