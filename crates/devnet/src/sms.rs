//! `strongroom-sms`, the service, as a child process with settings for a local network.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::Value;

use crate::Devnet;
use crate::process::{OwnedProcess, ProcessError};
use crate::simulated::SimulatedTrust;

/// How long the service may take until it is ready. It needs a fraction of a second; a loaded machine needs more.
const PATIENCE: Duration = Duration::from_mins(1);

/// How often the service looks for a new block. Local chains make them quickly.
const HEAD_REFRESH_MS: u32 = 50;

/// The log of which [`Sms::start`] reads that the service is ready, and nothing else but trouble.
pub const QUIET_LOG: &str = "warn,strongroom_sms::service=info,strongroom_sms::owners=info";

/// Why the service did not start.
#[derive(Debug, thiserror::Error)]
pub enum SmsError {
    /// The settings could not be written.
    #[error("writing the settings {} failed", path.display())]
    Settings {
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

/// How to start the service.
#[derive(Clone, Debug)]
pub struct SmsOptions {
    /// The program `strongroom-sms`.
    pub program: PathBuf,
    /// An existing folder for settings, database and root key.
    pub folder: PathBuf,
    /// TCP port on 127.0.0.1; 0 for any free one.
    pub port: u16,
    /// Whether one address and one wallet may only send so much, as in production. Only load tests turn it off.
    pub rate_limits: bool,
    /// What makes it believe simulated evidence; `None` for the vendors' roots alone.
    pub simulated: Option<SimulatedTrust>,
    /// The IPFS gateway from which lists of datasets are fetched; `None` for that of the public network.
    pub gateway: Option<String>,
    /// What is logged, as directives of `tracing-subscriber`. At least [`QUIET_LOG`].
    pub log_filter: String,
}

impl SmsOptions {
    /// Any free port, limits and log as in production.
    pub fn new(program: impl Into<PathBuf>, folder: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            folder: folder.into(),
            port: 0,
            rate_limits: true,
            simulated: None,
            gateway: None,
            log_filter: "info".to_owned(),
        }
    }

    /// The database.
    pub fn database(&self) -> PathBuf {
        self.folder.join("strongroom.db")
    }

    /// The root key of the database, made with it.
    pub fn root_key_file(&self) -> PathBuf {
        self.folder.join("root.key")
    }
}

/// A running service. Dropping it kills it; what it acknowledged is on disk by then.
#[derive(Debug)]
pub struct Sms {
    options: SmsOptions,
    settings: PathBuf,
    url: String,
    start_up: Duration,
    process: OwnedProcess,
}

#[derive(Serialize)]
struct Settings<'a> {
    server: Server,
    chain: Chain<'a>,
    store: Store,
    rate_limit: RateLimit,
    log: Log<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attestation: Option<Attestation<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<Content<'a>>,
}

#[derive(Serialize)]
struct Content<'a> {
    ipfs_gateway: &'a str,
}

#[derive(Serialize)]
struct Attestation<'a> {
    danger_simulator_roots: &'a Path,
    endorsements_folder: &'a Path,
    images_file: &'a Path,
}

#[derive(Serialize)]
struct Server {
    address: &'static str,
    port: u16,
}

#[derive(Serialize)]
struct Chain<'a> {
    endpoints: [&'a str; 1],
    id: u64,
    hub: String,
    head_refresh_ms: u32,
}

#[derive(Serialize)]
struct Store {
    path: PathBuf,
    root_key_file: PathBuf,
}

#[derive(Serialize)]
struct RateLimit {
    enabled: bool,
}

#[derive(Serialize)]
struct Log<'a> {
    format: &'static str,
    filter: &'a str,
}

impl Sms {
    /// Writes the settings, starts the service for `network`, and waits until it listens and has found the chain to be the
    /// right one. Blocks the thread.
    pub fn start(network: &Devnet, options: SmsOptions) -> Result<Self, SmsError> {
        let settings = options.folder.join("strongroom-sms.toml");
        let content = Settings {
            server: Server { address: "127.0.0.1", port: options.port },
            chain: Chain {
                endpoints: [network.rpc_url()],
                id: network.deployment().chain_id,
                hub: network.deployment().hub.to_string(),
                head_refresh_ms: HEAD_REFRESH_MS,
            },
            store: Store { path: options.database(), root_key_file: options.root_key_file() },
            rate_limit: RateLimit { enabled: options.rate_limits },
            log: Log { format: "json", filter: &options.log_filter },
            attestation: options.simulated.as_ref().map(|trust| Attestation {
                danger_simulator_roots: &trust.roots,
                endorsements_folder: &trust.endorsements,
                images_file: &trust.images,
            }),
            content: options.gateway.as_deref().map(|ipfs_gateway| Content { ipfs_gateway }),
        };
        let written = toml::to_string(&content)
            .map_err(io::Error::other)
            .and_then(|text| std::fs::write(&settings, text))
            .map_err(|source| SmsError::Settings { path: settings.clone(), source });
        written?;
        let (process, url, start_up) = run(&options.program, &settings)?;
        Ok(Self { options, settings, url, start_up, process })
    }

    /// Starts it again with the same settings and data, after a kill if it still runs. With port 0 the address changes.
    /// Blocks the thread.
    pub fn restart(&mut self) -> Result<(), SmsError> {
        self.process.kill();
        (self.process, self.url, self.start_up) = run(&self.options.program, &self.settings)?;
        Ok(())
    }

    /// Kills it as a power failure would.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// Its address, such as `http://127.0.0.1:41234`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it was started with.
    pub fn options(&self) -> &SmsOptions {
        &self.options
    }

    /// Time from its start as a process until it listened.
    pub fn start_up(&self) -> Duration {
        self.start_up
    }

    /// What it has logged, at most the last 4096 lines.
    pub fn log(&self) -> String {
        self.process.output()
    }

    /// Its process id.
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.process.is_running()
    }
}

fn run(program: &Path, settings: &Path) -> Result<(OwnedProcess, String, Duration), SmsError> {
    let mut command = Command::new(program);
    command.arg("--config").arg(settings);
    let begun = Instant::now();
    let process = OwnedProcess::start("strongroom-sms", command)?;
    let address =
        process.wait_for_line(PATIENCE, |line| logged(line, "listening")?["address"].as_str().map(str::to_owned))?;
    let start_up = begun.elapsed();
    process.wait_for_line(PATIENCE, |line| logged(line, "chain id and hub are as configured"))?;
    Ok((process, format!("http://{address}"), start_up))
}

/// The event of a log line with this message.
fn logged(line: &str, message: &str) -> Option<Value> {
    let event: Value = serde_json::from_str(line).ok()?;
    (event["message"] == message).then_some(event)
}
