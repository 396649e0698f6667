//! The settings: one TOML file, overridden key by key from the environment, read once by `main`. Unknown keys are refused;
//! every key has a default but those that no default can know. `docs/strongroom-pool.toml` shows every key, and is also the
//! list of what the environment may set.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use strongroom_protocol::{Address, Framework, address};
use url::Url;

pub use environment::{describe_environment, variable_of};

mod environment;

/// Every key with its default.
pub const SAMPLE: &str = include_str!("../../../docs/strongroom-pool.toml");

const ARBITRUM_ONE: u64 = 42_161;

/// Something wrong with the settings. Shows keys and never values: they may hold what is nobody's business.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: cannot be read", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Not TOML, an unknown key, a value of another type.
    #[error("{}: {message}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        message: String,
    },
    /// A variable of the environment.
    #[error("environment variable {variable}: {message}")]
    Environment {
        /// Its name.
        variable: String,
        /// What is wrong.
        message: String,
    },
    /// A setting is missing or cannot be used.
    #[error("setting {key}: {message}")]
    Setting {
        /// Dotted path.
        key: &'static str,
        /// What is wrong and what to do.
        message: String,
    },
}

/// All settings.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The pool itself.
    pub pool: PoolConfig,
    /// The chain.
    pub chain: ChainConfig,
    /// The SMS.
    pub sms: SmsConfig,
    /// Where results go.
    pub results: ResultsConfig,
    /// The half with the owner's key.
    pub scheduler: SchedulerConfig,
    /// The half with the worker's key.
    pub worker: WorkerConfig,
    /// Where images come from.
    pub images: ImagesConfig,
    /// What runs enclaves.
    pub runtime: RuntimeConfig,
    /// The way out of enclaves.
    pub relay: RelayConfig,
    /// What is logged.
    pub log: LogConfig,
}

/// The pool itself.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PoolConfig {
    /// The contract of the workerpool. Required.
    #[serde(deserialize_with = "optional_address")]
    pub address: Option<Address>,
    /// Names of the frameworks that run here. Default TDX.
    pub frameworks: Vec<String>,
    /// The state file.
    pub state: PathBuf,
    /// Folder of runs; short, because Unix sockets are in it.
    pub runs: PathBuf,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            address: None,
            frameworks: vec!["tdx".to_owned()],
            state: "/var/lib/strongroom-pool/pool.db".into(),
            runs: "/run/strongroom-pool".into(),
        }
    }
}

/// The chain. Its `Debug` form leaves out the endpoints: providers put keys into their paths.
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChainConfig {
    /// JSON-RPC endpoints. Required.
    pub endpoints: Vec<Url>,
    /// How many must agree. Default 1.
    pub quorum: NonZeroUsize,
    /// Chain id. Default Arbitrum One.
    pub id: u64,
    /// The PoCo hub.
    #[serde(deserialize_with = "optional_address")]
    pub hub: Option<Address>,
    /// Longest wait for one answer.
    pub timeout_ms: u64,
    /// How often a failed read is repeated.
    pub retries: u32,
    /// How often the newest block is looked up.
    pub head_refresh_ms: u64,
    /// First block whose notices are read.
    pub start_block: u64,
    /// Blocks that must lie on a notice.
    pub confirmations: u64,
    /// Most blocks asked for at once.
    pub log_range: u64,
    /// Pause between two looks for new deals.
    pub watch_ms: u64,
    /// Most that a unit of gas may cost, in wei; 0 for no limit.
    pub max_fee_per_gas: u64,
}

impl fmt::Debug for ChainConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChainConfig").field("id", &self.id).field("hub", &self.hub).finish_non_exhaustive()
    }
}

impl Default for ChainConfig {
    fn default() -> Self {
        Self {
            endpoints: Vec::new(),
            quorum: NonZeroUsize::MIN,
            id: ARBITRUM_ONE,
            hub: None,
            timeout_ms: 3000,
            retries: 3,
            head_refresh_ms: 1000,
            start_block: 0,
            confirmations: 0,
            log_range: 1000,
            watch_ms: 1000,
            max_fee_per_gas: 0,
        }
    }
}

/// The SMS.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SmsConfig {
    /// Its address. Required.
    #[serde(deserialize_with = "optional_url")]
    pub url: Option<Url>,
    /// Address of its identity key; absent: what it says at the start.
    #[serde(deserialize_with = "optional_address")]
    pub key_id: Option<Address>,
}

/// Where results go.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ResultsConfig {
    /// The result proxy.
    #[serde(deserialize_with = "optional_url")]
    pub proxy: Option<Url>,
    /// IPFS gateways for inputs.
    pub gateways: Vec<Url>,
}

/// The half with the owner's key.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SchedulerConfig {
    /// Wallet file of the owner of the workerpool.
    pub keystore: PathBuf,
    /// File with its password.
    #[serde(deserialize_with = "optional_path")]
    pub password_file: Option<PathBuf>,
    /// Interface of the API.
    pub address: IpAddr,
    /// Its port; 0 lets the system choose.
    pub port: u16,
    /// Origins of pages that may call it.
    pub cors: Vec<String>,
    /// Seconds that must be left over one full run.
    pub margin_seconds: u64,
    /// Whether failed tasks are claimed.
    pub claim: bool,
    /// Days for which logs are kept after the final deadline.
    pub log_days: u64,
    /// The worker that gets the tasks, when its wallet file is not here.
    #[serde(deserialize_with = "optional_address")]
    pub worker: Option<Address>,
}

impl Default for SchedulerConfig {
    fn default() -> Self {
        Self {
            keystore: "/etc/strongroom/owner.json".into(),
            password_file: None,
            address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            port: 13_000,
            cors: vec!["*".to_owned()],
            margin_seconds: 60,
            claim: true,
            log_days: 3,
            worker: None,
        }
    }
}

impl SchedulerConfig {
    /// The socket of the API.
    pub fn listen(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.port)
    }
}

/// The half with the worker's key.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorkerConfig {
    /// Wallet file of the worker.
    pub keystore: PathBuf,
    /// File with its password.
    #[serde(deserialize_with = "optional_path")]
    pub password_file: Option<PathBuf>,
    /// Interface of metrics and health.
    pub address: IpAddr,
    /// Port of metrics and health where only the worker runs; 0: none.
    pub port: u16,
    /// Processors of all enclaves together, in thousandths; 0: all but one.
    pub cpu_milli: u32,
    /// Memory of all enclaves together; 0: three quarters.
    pub memory_mib: u32,
    /// Processors of one enclave, in thousandths.
    pub task_cpu_milli: u32,
    /// Memory of one enclave.
    pub task_memory_mib: u32,
    /// Processes and threads of one enclave.
    pub task_processes: u32,
    /// Memory that inputs may take.
    pub task_input_mib: u32,
    /// Memory that results may take.
    pub task_output_mib: u32,
    /// Bytes kept of each stream of an app.
    pub log_bytes: usize,
    /// How often an enclave is started for one task.
    pub attempts: u32,
}

impl Default for WorkerConfig {
    fn default() -> Self {
        Self {
            keystore: "/etc/strongroom/worker.json".into(),
            password_file: None,
            address: Ipv4Addr::LOCALHOST.into(),
            port: 0,
            cpu_milli: 0,
            memory_mib: 0,
            task_cpu_milli: 1000,
            task_memory_mib: 2048,
            task_processes: 512,
            task_input_mib: 512,
            task_output_mib: 256,
            log_bytes: 100_000,
            attempts: 3,
        }
    }
}

impl WorkerConfig {
    /// The socket of metrics and health where only the worker runs, if there is to be one.
    pub fn listen(&self) -> Option<SocketAddr> {
        (self.port != 0).then(|| SocketAddr::new(self.address, self.port))
    }
}

/// Where images come from.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImagesConfig {
    /// OCI layout folders and docker-archives.
    pub sources: Vec<PathBuf>,
    /// Unpacked images are kept here.
    pub cache: PathBuf,
    /// Whether registries are asked.
    pub registries: bool,
    /// How long a registry may take to hand out a whole image.
    pub pull_timeout_ms: u64,
    /// Registries (host and port) that are asked without TLS: others can then see what is pulled.
    pub danger_plain_http_registries: Vec<String>,
}

impl Default for ImagesConfig {
    fn default() -> Self {
        Self {
            sources: Vec::new(),
            cache: "/var/cache/strongroom-pool".into(),
            registries: true,
            pull_timeout_ms: 600_000,
            danger_plain_http_registries: Vec::new(),
        }
    }
}

/// What runs enclaves.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RuntimeConfig {
    /// The back end.
    pub kind: RuntimeKind,
    /// The guest program.
    pub guest: PathBuf,
    /// Settings of the back end `native`.
    pub native: NativeConfig,
    /// Settings of the back end `container`.
    pub container: ContainerConfig,
    /// Settings of the back end `tdx`.
    pub tdx: TdxConfig,
}

impl Default for RuntimeConfig {
    fn default() -> Self {
        let guest = "/usr/lib/strongroom/strongroom-guest".into();
        let (native, container, tdx) = Default::default();
        Self { kind: RuntimeKind::Native, guest, native, container, tdx }
    }
}

/// A back end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuntimeKind {
    /// A sandbox of our own.
    Native,
    /// Docker or Podman.
    Container,
    /// Confidential virtual machines.
    Tdx,
}

/// Settings of the back end `native`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NativeConfig {
    /// The simulator's program, for development only.
    #[serde(deserialize_with = "optional_path")]
    pub simulator: Option<PathBuf>,
}

/// Settings of the back end `container`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ContainerConfig {
    /// Unix socket of Docker or Podman.
    pub socket: PathBuf,
    /// Devices handed to every container, such as those of SGX.
    pub devices: Vec<PathBuf>,
    /// The engine's runtime; empty for its default.
    pub runtime: String,
}

impl Default for ContainerConfig {
    fn default() -> Self {
        Self { socket: "/var/run/docker.sock".into(), devices: Vec::new(), runtime: String::new() }
    }
}

/// Settings of the back end `tdx`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TdxConfig {
    /// The launcher of confidential machines: program and arguments, in which `{launch}` and `{name}` are filled in.
    pub launcher: Vec<String>,
    /// How long it may take to stop a machine.
    pub grace_ms: u64,
}

impl Default for TdxConfig {
    fn default() -> Self {
        Self { launcher: Vec::new(), grace_ms: 30_000 }
    }
}

/// The way out of enclaves.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RelayConfig {
    /// Lets deals name addresses of this machine and of private networks.
    pub danger_allow_private_destinations: bool,
}

/// What is logged.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// The form.
    pub format: LogFormat,
    /// Directives of `tracing-subscriber`.
    pub filter: String,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { format: LogFormat::Plain, filter: "info".to_owned() }
    }
}

/// The form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Plain,
    /// For machines.
    Json,
}

impl Config {
    /// Reads `file` (none: all defaults) and lays the environment over it.
    pub fn load(file: Option<&Path>, variables: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let shown = file.unwrap_or(Path::new("(no file)"));
        let text = match file {
            None => String::new(),
            Some(file) => std::fs::read_to_string(file)
                .map_err(|source| ConfigError::Unreadable { file: file.to_owned(), source })?,
        };
        let in_file = |error: toml::de::Error| {
            let line = error.span().map(|span| 1 + text[..span.start].matches('\n').count());
            let line = line.map(|line| format!("line {line}: ")).unwrap_or_default();
            ConfigError::File { file: shown.to_owned(), message: format!("{line}{}", error.message()) }
        };
        toml::from_str::<Self>(&text).map_err(in_file)?;
        let table: toml::Table = toml::from_str(&text).map_err(in_file)?;
        let table = environment::overlay(table, variables)?;
        table.try_into().map_err(in_file)
    }

    /// The hub that was set, else the one known for the chain id.
    pub fn hub(&self) -> Result<Address, ConfigError> {
        let known = match self.chain.id {
            ARBITRUM_ONE => Some(alloy_primitives::address!("098bFCb1E50ebcA0BaA92C12eA0c3F045A1aD9f0")),
            421_614 => Some(alloy_primitives::address!("B2157BF2fAb286b2A4170E3491Ac39770111Da3E")),
            _ => None,
        };
        self.chain.hub.or(known).ok_or_else(|| missing("chain.hub", "set the address of the PoCo hub"))
    }

    /// The pool's contract.
    pub fn workerpool(&self) -> Result<Address, ConfigError> {
        self.pool.address.ok_or_else(|| missing("pool.address", "set the address of the workerpool's contract"))
    }

    /// The SMS.
    pub fn sms_url(&self) -> Result<Url, ConfigError> {
        self.sms.url.clone().ok_or_else(|| missing("sms.url", "set the address of the Secret Management Service"))
    }

    /// The frameworks.
    pub fn frameworks(&self) -> Result<BTreeSet<Framework>, ConfigError> {
        let unknown = |name: &String| {
            let message = format!("{name:?} is none of tdx, scone, gramine");
            ConfigError::Setting { key: "pool.frameworks", message }
        };
        self.pool.frameworks.iter().map(|name| Framework::from_name(name).ok_or_else(|| unknown(name))).collect()
    }

    /// How the chain is read.
    pub fn chain(&self) -> Result<strongroom_poco::ChainConfig, ConfigError> {
        let chain = &self.chain;
        let config = strongroom_poco::ChainConfig {
            endpoints: chain.endpoints.clone(),
            quorum: chain.quorum,
            chain_id: chain.id,
            hub: self.hub()?,
            timeout: Duration::from_millis(chain.timeout_ms),
            retries: chain.retries,
            head_refresh: Duration::from_millis(chain.head_refresh_ms),
            max_block_age: None,
        };
        if config.endpoints.is_empty() {
            return Err(missing("chain.endpoints", "set the address of at least one JSON-RPC node"));
        }
        Ok(config)
    }
}

fn missing(key: &'static str, remedy: &str) -> ConfigError {
    ConfigError::Setting { key, message: format!("is missing; {remedy}") }
}

/// Empty means absent.
fn optional<'de, D, T>(deserializer: D, parse: impl FnOnce(&str) -> Result<T, String>) -> Result<Option<T>, D::Error>
where
    D: serde::Deserializer<'de>,
{
    let text = String::deserialize(deserializer)?;
    if text.is_empty() { Ok(None) } else { parse(&text).map(Some).map_err(serde::de::Error::custom) }
}

fn optional_path<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
    optional(deserializer, |text| Ok(text.into()))
}

fn optional_url<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Url>, D::Error> {
    optional(deserializer, |text| text.parse().map_err(|error| format!("{text:?} is not an address: {error}")))
}

fn optional_address<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Address>, D::Error> {
    optional(deserializer, |text| address::parse_any_case(text).map_err(|error| error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_file_shows_every_key_with_its_default() {
        let sample: Config = toml::from_str(SAMPLE).unwrap();
        let mut shown = sample.clone();
        // Required keys and those that depend on them.
        shown.pool.address = None;
        (shown.sms.url, shown.chain.hub, shown.chain.endpoints) = (None, None, vec![]);
        assert_eq!(format!("{shown:?}"), format!("{:?}", Config::default()));
        assert_eq!(sample.hub().unwrap(), Config::default().hub().unwrap());
    }

    #[test]
    fn unknown_keys_are_refused_with_their_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("pool.toml");
        std::fs::write(&file, "[pool]\nstate = \"x\"\ncolour = 1\n").unwrap();
        let error = Config::load(Some(&file), |_| None).unwrap_err().to_string();
        assert!(error.contains("line 3") && error.contains("colour"), "{error}");
    }

    #[test]
    fn the_environment_replaces_what_the_file_says() {
        let variables = |name: &str| {
            Some(match name {
                "STRONGROOM_POOL_SMS_URL" => "https://sms.example".to_owned(),
                "STRONGROOM_POOL_CHAIN_ENDPOINTS" => "https://a.example, https://b.example".to_owned(),
                "STRONGROOM_POOL_SCHEDULER_CLAIM" => "false".to_owned(),
                "STRONGROOM_POOL_WORKER_LOG_BYTES" => "7".to_owned(),
                "STRONGROOM_POOL_RUNTIME_NATIVE_SIMULATOR" => "/bin/simulator".to_owned(),
                _ => return None,
            })
        };
        let config = Config::load(None, variables).unwrap();
        assert_eq!(config.sms_url().unwrap().as_str(), "https://sms.example/");
        assert_eq!(config.chain.endpoints.len(), 2);
        assert_eq!((config.scheduler.claim, config.worker.log_bytes), (false, 7));
        assert_eq!(config.runtime.native.simulator, Some("/bin/simulator".into()));
    }

    #[test]
    fn a_mistake_in_the_environment_names_the_variable() {
        let variables = |name: &str| (name == "STRONGROOM_POOL_CHAIN_ID").then(|| "one".to_owned());
        let error = Config::load(None, variables).unwrap_err().to_string();
        assert!(error.contains("STRONGROOM_POOL_CHAIN_ID"), "{error}");
    }

    #[test]
    fn what_no_default_can_know_is_asked_for_by_name() {
        let config = Config::default();
        assert!(config.workerpool().unwrap_err().to_string().contains("pool.address"));
        assert!(config.sms_url().unwrap_err().to_string().contains("sms.url"));
        assert!(config.chain().unwrap_err().to_string().contains("chain.endpoints"));
    }
}
