//! Which chain we read, and through which nodes.

use std::fmt;
use std::num::NonZeroUsize;
use std::time::Duration;

use alloy_primitives::Address;
use url::Url;

/// Which chain we read, and through which nodes. Its `Debug` form leaves out paths and credentials of the endpoints,
/// because providers put keys there.
#[derive(Clone)]
pub struct ChainConfig {
    /// JSON-RPC endpoints, `http` or `https`, best first. They must run the state override of `eth_call` (all common nodes do).
    pub endpoints: Vec<Url>,
    /// How many endpoints must agree on the block and on every value. With 1 the endpoints only replace each other; with
    /// more, that many together could lie to us: choose unrelated ones.
    pub quorum: NonZeroUsize,
    /// The id the chain must have.
    pub chain_id: u64,
    /// The PoCo hub.
    pub hub: Address,
    /// Longest wait for one answer of one endpoint.
    pub timeout: Duration,
    /// How often a question is asked again after it failed, on the next endpoint if there is one.
    pub retries: u32,
    /// How often the newest block is asked for. A granted ownership is at most this old, plus the time of one read; a
    /// denial never rests on a block older than the question. 1 s is a good value: one tiny request per second.
    pub head_refresh: Duration,
    /// Refuse snapshots when the newest block is older than this. `None` for development chains, which make no blocks
    /// when nothing happens.
    pub max_block_age: Option<Duration>,
}

impl ChainConfig {
    /// One endpoint, quorum 1, time-out 3 s, 3 retries, head refreshed every second, no limit of block age.
    pub fn new(endpoint: Url, chain_id: u64, hub: Address) -> Self {
        Self {
            endpoints: vec![endpoint],
            quorum: NonZeroUsize::MIN,
            chain_id,
            hub,
            timeout: Duration::from_secs(3),
            retries: 3,
            head_refresh: Duration::from_secs(1),
            max_block_age: None,
        }
    }

    pub(crate) fn validate(&self) -> Result<(), ChainConfigError> {
        if self.endpoints.is_empty() {
            return Err(ChainConfigError::NoEndpoint);
        }
        for endpoint in &self.endpoints {
            if !matches!(endpoint.scheme(), "http" | "https") {
                return Err(ChainConfigError::NotHttp { endpoint: label(endpoint) });
            }
        }
        if self.quorum.get() > self.endpoints.len() {
            return Err(ChainConfigError::QuorumTooLarge {
                quorum: self.quorum.get(),
                endpoints: self.endpoints.len(),
            });
        }
        if self.timeout.is_zero() {
            return Err(ChainConfigError::Zero { setting: "time-out" });
        }
        if self.head_refresh.is_zero() {
            return Err(ChainConfigError::Zero { setting: "refresh interval of the newest block" });
        }
        if self.hub.is_zero() {
            return Err(ChainConfigError::Zero { setting: "address of the hub" });
        }
        Ok(())
    }
}

/// Scheme, host and port of an endpoint: what may be shown.
pub(crate) fn label(endpoint: &Url) -> String {
    match (endpoint.host_str(), endpoint.port()) {
        (Some(host), Some(port)) => format!("{}://{host}:{port}", endpoint.scheme()),
        (Some(host), None) => format!("{}://{host}", endpoint.scheme()),
        (None, _) => endpoint.scheme().to_owned(),
    }
}

impl fmt::Debug for ChainConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChainConfig")
            .field("endpoints", &self.endpoints.iter().map(label).collect::<Vec<_>>())
            .field("quorum", &self.quorum)
            .field("chain_id", &self.chain_id)
            .field("hub", &self.hub)
            .field("timeout", &self.timeout)
            .field("retries", &self.retries)
            .field("head_refresh", &self.head_refresh)
            .field("max_block_age", &self.max_block_age)
            .finish()
    }
}

/// What is wrong with a [`ChainConfig`].
#[derive(Debug, thiserror::Error)]
pub enum ChainConfigError {
    /// No endpoint.
    #[error("no chain endpoint is configured; give the URL of at least one JSON-RPC node")]
    NoEndpoint,
    /// An endpoint is not `http` or `https`.
    #[error("chain endpoint {endpoint} is neither http nor https")]
    NotHttp {
        /// Scheme and host of it.
        endpoint: String,
    },
    /// More endpoints must agree than there are.
    #[error("{quorum} chain endpoints must agree but only {endpoints} are configured")]
    QuorumTooLarge {
        /// How many must agree.
        quorum: usize,
        /// How many there are.
        endpoints: usize,
    },
    /// A setting is zero that must not be.
    #[error("the {setting} must not be zero")]
    Zero {
        /// Its name.
        setting: &'static str,
    },
    /// The certificates that this system trusts could not be loaded, or the HTTP client could not be made.
    #[error("the HTTPS client for chain endpoints could not be set up; are CA certificates installed?")]
    Client(#[source] Box<dyn std::error::Error + Send + Sync>),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> ChainConfig {
        ChainConfig::new(
            "https://user:pass@node.example:8545/v2/api-key?token=t".parse().unwrap(),
            1,
            Address::repeat_byte(1),
        )
    }

    #[test]
    fn keys_of_providers_are_never_shown() {
        let shown = format!("{:?}", config());
        assert!(shown.contains("https://node.example:8545"), "{shown}");
        for secret in ["user", "pass", "api-key", "token"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }

    #[test]
    fn settings_that_cannot_work_are_refused() {
        config().validate().unwrap();
        let none = ChainConfig { endpoints: vec![], ..config() };
        assert!(matches!(none.validate(), Err(ChainConfigError::NoEndpoint)));
        let socket = ChainConfig { endpoints: vec!["wss://node.example".parse().unwrap()], ..config() };
        assert!(matches!(socket.validate(), Err(ChainConfigError::NotHttp { .. })));
        let alone = ChainConfig { quorum: NonZeroUsize::new(2).unwrap(), ..config() };
        assert!(matches!(alone.validate(), Err(ChainConfigError::QuorumTooLarge { quorum: 2, endpoints: 1 })));
        for zero in [
            ChainConfig { timeout: Duration::ZERO, ..config() },
            ChainConfig { head_refresh: Duration::ZERO, ..config() },
            ChainConfig { hub: Address::ZERO, ..config() },
        ] {
            assert!(matches!(zero.validate(), Err(ChainConfigError::Zero { .. })), "{zero:?}");
        }
    }
}
