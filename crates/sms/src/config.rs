//! The settings of the service: one TOML file, overridden key by key from the environment, read once by `main`.
//!
//! Every key has a default; unknown keys are refused; what is wrong is reported with the line of the file or the name
//! of the variable it came from. `docs/strongroom-sms.toml` shows every key and is parsed by a test.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use strongroom_protocol::{Address, address};
use url::Url;

pub use api_key::ApiKey;
pub use attestation::AttestationConfig;
pub use environment::{KEYS, Key, describe_environment};
pub use problem::ConfigError;
pub use provisioner::{AttestationMode, ContentConfig, ProvisionerConfig, ProvisionerKind};

mod api_key;
mod attestation;
mod environment;
mod problem;
mod provisioner;

const ARBITRUM_ONE: NonZeroU64 = NonZeroU64::new(42_161).expect("is positive");

/// All settings of the service.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where and how the service listens.
    pub server: ServerConfig,
    /// TLS on the listener.
    pub tls: TlsConfig,
    /// The chain whose owners are believed.
    pub chain: ChainConfig,
    /// Where secrets are kept.
    pub store: StoreConfig,
    /// How many requests one client may send.
    pub rate_limit: RateLimitConfig,
    /// The routes under `/admin`.
    pub admin: AdminConfig,
    /// Which evidence opens secrets.
    pub attestation: AttestationConfig,
    /// What `/tee/framework` and `/tee/properties` answer.
    pub tee: TeeConfig,
    /// Who hands secrets to enclaves.
    pub provisioner: ProvisionerConfig,
    /// Where lists of datasets are fetched from.
    pub content: ContentConfig,
    /// Counters.
    pub metrics: MetricsConfig,
    /// What is logged, and in which form.
    pub log: LogConfig,
}

/// Where and how the service listens.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerConfig {
    /// Address of the interface. Default `0.0.0.0`.
    pub address: IpAddr,
    /// Port; 0 lets the system choose. Default 13300, as the old service.
    pub port: u16,
    /// Connections served at once; more wait in the queue of the operating system. Default 4096.
    pub max_connections: NonZeroUsize,
    /// Connections of one peer address (IPv6: one /64) served at once, except those of `trusted_proxies`. Default 1024.
    pub max_connections_per_peer: NonZeroUsize,
    /// Longest wait for the head of a request, idle time between requests included, in milliseconds. Default 30,000.
    pub header_timeout_ms: NonZeroU64,
    /// Longest wait for the body of a request, in milliseconds. Default 15,000.
    pub body_timeout_ms: NonZeroU64,
    /// Longest time spent on a request, body included, in milliseconds. Default 30,000; clients wait 60 s.
    pub request_timeout_ms: NonZeroU64,
    /// Bodies above 16 KiB held in memory at once. Each may take 4 MiB, so this bounds the memory of uploads. Default 16.
    pub max_large_bodies: NonZeroUsize,
    /// How long a stopping service waits for running requests, in milliseconds. Default 30,000.
    pub shutdown_grace_ms: NonZeroU64,
    /// Reverse proxies whose `X-Forwarded-For` names the peer. Default none: the header is ignored.
    pub trusted_proxies: Vec<IpAddr>,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            address: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            port: 13_300,
            max_connections: non_zero(4096),
            max_connections_per_peer: non_zero(1024),
            header_timeout_ms: milliseconds(30_000),
            body_timeout_ms: milliseconds(15_000),
            request_timeout_ms: milliseconds(30_000),
            max_large_bodies: non_zero(16),
            shutdown_grace_ms: milliseconds(30_000),
            trusted_proxies: Vec::new(),
        }
    }
}

impl ServerConfig {
    /// The socket to bind.
    pub fn listen(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.port)
    }
}

/// TLS on the listener. Off unless both files are named: many operators end TLS in a reverse proxy.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// Certificate chain, PEM, the server's own certificate first. Read again when the file changes.
    #[serde(deserialize_with = "optional_path")]
    pub certificate: Option<PathBuf>,
    /// Private key, PEM (PKCS#8, PKCS#1 or SEC1). Read again when the file changes.
    #[serde(deserialize_with = "optional_path")]
    pub key: Option<PathBuf>,
    /// How often the files are compared with what is in use, in milliseconds. Default 10,000.
    pub reload_ms: NonZeroU64,
}

impl Default for TlsConfig {
    fn default() -> Self {
        Self { certificate: None, key: None, reload_ms: milliseconds(10_000) }
    }
}

/// The chain whose owners are believed. Its `Debug` form leaves out the endpoints: providers put keys into their paths.
#[derive(Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChainConfig {
    /// JSON-RPC endpoints of one chain; the next is asked when one does not answer. Required.
    pub endpoints: Vec<Url>,
    /// How many endpoints must agree on the block and on every value; that many together can have a wrong owner believed:
    /// choose unrelated ones. Default 1: the endpoints only replace each other.
    pub quorum: NonZeroUsize,
    /// Chain id; the service refuses to start on another chain. Default 42161, Arbitrum One.
    pub id: NonZeroU64,
    /// Address of the PoCo hub. May be left out on Arbitrum One (42161) and Arbitrum Sepolia (421614).
    #[serde(deserialize_with = "optional_address")]
    pub hub: Option<Address>,
    /// Longest wait for one answer of a node, in milliseconds. Default 3,000; keep well below `request_timeout_ms`.
    pub timeout_ms: NonZeroU64,
    /// How often a failed read is repeated before the client is told to come back. Default 2.
    pub retries: u32,
    /// How often the newest block is looked up, in milliseconds; a change of owner is noticed that late. Default 1,000.
    pub head_refresh_ms: NonZeroU64,
    /// Age of the newest block, in milliseconds, from which on the chain counts as out of reach; 0, the default, for no
    /// limit, because development chains make no blocks when nothing happens.
    pub max_block_age_ms: u64,
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
            quorum: non_zero(1),
            id: ARBITRUM_ONE,
            hub: None,
            timeout_ms: milliseconds(3_000),
            retries: 2,
            head_refresh_ms: milliseconds(1_000),
            max_block_age_ms: 0,
        }
    }
}

impl ChainConfig {
    /// The hub that was set, else the one known for the chain id.
    pub fn hub(&self) -> Option<Address> {
        self.hub.or(match self.id.get() {
            42_161 => Some(known_hub("0x098bFCb1E50ebcA0BaA92C12eA0c3F045A1aD9f0")),
            421_614 => Some(known_hub("0xB2157BF2fAb286b2A4170E3491Ac39770111Da3E")),
            _ => None,
        })
    }
}

fn known_hub(text: &str) -> Address {
    address::parse_checked(text).expect("the constants above carry their checksum")
}

/// Where secrets are kept, and where the root key comes from. At most one of the two root key settings is used; the
/// variable `STRONGROOM_ROOT_KEY` replaces both.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// Database file. Default `/data/strongroom.db`.
    pub path: PathBuf,
    /// Root key file, created with mode 0600 together with a new database. Default `/data/strongroom-root.key`. For
    /// development: key and database on one disk protect against little.
    pub root_key_file: PathBuf,
    /// Read-only file with the root key, such as a systemd credential. Used instead of `root_key_file` when set.
    #[serde(deserialize_with = "optional_path")]
    pub root_key_credential: Option<PathBuf>,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            path: "/data/strongroom.db".into(),
            root_key_file: "/data/strongroom-root.key".into(),
            root_key_credential: None,
        }
    }
}

/// How many requests one client may send. A burst may come at once; after that, requests at the given rate.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RateLimitConfig {
    /// Refuses every request above the limits with 429. Default `true`; only an explicit `false` turns limits off.
    pub enabled: bool,
    /// Requests per second from one peer address (IPv6: one /64). Default 200.
    pub peer_per_second: NonZeroU32,
    /// Requests at once from one peer address. Default 1,000.
    pub peer_burst: NonZeroU32,
    /// Writes per second signed by one wallet. Counted after the signature was checked, so that nobody can use up
    /// another's allowance. Default 20.
    pub client_per_second: NonZeroU32,
    /// Writes at once signed by one wallet. Default 200.
    pub client_burst: NonZeroU32,
    /// Peers and clients remembered at once, each; bounds the memory. Default 65,536.
    pub remembered: NonZeroUsize,
}

impl Default for RateLimitConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            peer_per_second: per_second(200),
            peer_burst: per_second(1_000),
            client_per_second: per_second(20),
            client_burst: per_second(200),
            remembered: non_zero(65_536),
        }
    }
}

/// The routes under `/admin`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdminConfig {
    /// Value of the header `X-API-KEY`. Empty, the default, disables the routes.
    pub api_key: ApiKey,
    /// Folder that holds every backup; no route reads or writes outside it. Default `/backup`.
    pub backup_folder: PathBuf,
}

impl Default for AdminConfig {
    fn default() -> Self {
        Self { api_key: ApiKey::default(), backup_folder: "/backup".into() }
    }
}

/// What `/tee/framework` and `/tee/properties` answer.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TeeConfig {
    /// The one framework this service serves: `tdx` (default), `scone` or `gramine`.
    pub framework: TeeFramework,
    /// Pre- and post-compute programs by version of the framework, the first one being the default. At most one for TDX.
    pub pipelines: Vec<Pipeline>,
    /// Image of SCONE's local attestation service; only told to workers under SCONE.
    pub las_image: String,
}

/// A TEE framework, as iExec names them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TeeFramework {
    /// SGX through SCONE.
    Scone,
    /// SGX through Gramine.
    Gramine,
    /// Intel TDX.
    #[default]
    Tdx,
}

/// One version of the framework with the two programs around the app.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pipeline {
    /// Version, as apps name it on chain.
    pub version: String,
    /// Runs before the app.
    pub pre_compute: Stage,
    /// Runs after the app.
    pub post_compute: Stage,
}

/// One program of a pipeline.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Container image.
    pub image: String,
    /// Expected measurement.
    pub fingerprint: String,
    /// Command started in the container.
    pub entrypoint: String,
    /// Heap of the enclave, in bytes.
    pub heap_size_bytes: u64,
}

/// Counters.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MetricsConfig {
    /// How often stored secrets are counted, in milliseconds. Default 30,000.
    pub refresh_ms: NonZeroU64,
}

impl Default for MetricsConfig {
    fn default() -> Self {
        Self { refresh_ms: milliseconds(30_000) }
    }
}

/// What is logged, and in which form. Secrets, request bodies and signatures never are, at no level.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LogConfig {
    /// `plain` (default) or `json`, one object per line.
    pub format: LogFormat,
    /// Directives of `tracing-subscriber`, such as `info` (default) or `warn,strongroom_sms=debug`.
    pub filter: String,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { format: LogFormat::Plain, filter: "info".to_owned() }
    }
}

/// Form of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Plain,
    /// For machines.
    Json,
}

impl Config {
    /// Reads `file` (its text and its name for messages) and lays the environment over it: `STRONGROOM_…` variables win
    /// over the old `IEXEC_…` names, both win over the file.
    pub fn from_text(
        text: &str,
        file: &Path,
        variables: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, Vec<ConfigError>> {
        let table = problem::parse(text, file).map_err(|error| vec![error])?;
        let merged = environment::overlay(table, variables)?;
        // Both parts were accepted on their own, so this cannot fail but for a contradiction between table and value.
        let config: Self = merged.table.try_into().map_err(|error: toml::de::Error| {
            vec![ConfigError::Environment {
                variable: merged.variables.join(", "),
                message: error.message().to_owned(),
            }]
        })?;
        let problems = config.contradictions(text, file);
        if problems.is_empty() { Ok(config) } else { Err(problems) }
    }

    /// Reads the file at `path`, or nothing but defaults and environment when none is named.
    pub fn load(path: Option<&Path>, variables: impl Fn(&str) -> Option<String>) -> Result<Self, Vec<ConfigError>> {
        let Some(path) = path else {
            return Self::from_text("", Path::new("(no file)"), variables);
        };
        let text = std::fs::read_to_string(path)
            .map_err(|source| vec![ConfigError::Unreadable { file: path.to_owned(), source }])?;
        Self::from_text(&text, path, variables)
    }

    /// What no single key can know: required keys and keys that contradict each other.
    fn contradictions(&self, text: &str, file: &Path) -> Vec<ConfigError> {
        let at = |key: &str, message: &str| ConfigError::at_key(text, file, key, message);
        let mut problems = Vec::new();
        if self.chain.endpoints.is_empty() {
            problems.push(at("chain.endpoints", "names no JSON-RPC endpoint; write endpoints = [\"https://…\"]"));
        }
        if self.chain.endpoints.iter().any(|url| !matches!(url.scheme(), "http" | "https")) {
            problems.push(at("chain.endpoints", "holds an address that is neither http nor https"));
        }
        if self.chain.quorum.get() > self.chain.endpoints.len().max(1) {
            problems.push(at("chain.quorum", "asks more endpoints to agree than there are"));
        }
        if self.chain.hub().is_none() {
            problems.push(at("chain.hub", "is needed for this chain id; write the address of the PoCo hub"));
        }
        if self.tls.certificate.is_some() != self.tls.key.is_some() {
            problems.push(at("tls", "needs both certificate and key, or neither"));
        }
        if self.tee.framework == TeeFramework::Tdx && self.tee.pipelines.len() > 1 {
            problems.push(at("tee.pipelines", "may hold one entry only when the framework is tdx"));
        }
        if self.tee.framework == TeeFramework::Scone && self.tee.las_image.is_empty() {
            problems.push(at("tee.las_image", "is needed when the framework is scone"));
        }
        for (index, pipeline) in self.tee.pipelines.iter().enumerate() {
            if self.tee.pipelines[..index].iter().any(|earlier| earlier.version == pipeline.version) {
                problems.push(at("tee.pipelines", "holds the same version twice"));
            }
        }
        problems.extend(provisioner::contradictions(self, at));
        if let Err(error) = self.log.filter.parse::<tracing_subscriber::EnvFilter>() {
            problems.push(at("log.filter", &format!("is not understood: {error}")));
        }
        problems
    }
}

fn optional_path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
    let text = String::deserialize(deserializer)?;
    Ok((!text.is_empty()).then(|| text.into()))
}

fn optional_address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Address>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() {
        return Ok(None);
    }
    address::parse_checked(&text).map(Some).map_err(serde::de::Error::custom)
}

const fn non_zero(number: usize) -> NonZeroUsize {
    NonZeroUsize::new(number).expect("defaults above are positive")
}

const fn milliseconds(number: u64) -> NonZeroU64 {
    NonZeroU64::new(number).expect("defaults above are positive")
}

const fn per_second(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).expect("defaults above are positive")
}

/// A number of milliseconds from the settings.
pub(crate) fn duration(milliseconds: NonZeroU64) -> Duration {
    Duration::from_millis(milliseconds.get())
}

#[cfg(test)]
mod tests;
