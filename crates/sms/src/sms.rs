//! What every request needs, made once when the service starts.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use strongroom_protocol::{Address, SecretId};

use crate::backups::Backups;
use crate::clock::Clock;
use crate::config::{ApiKey, Config, RateLimitConfig, duration};
use crate::http::{BodyReader, TeeInformation};
use crate::metrics::Metrics;
use crate::owners::ReadOwners;
use crate::rate_limit::RateLimiter;
use crate::release::Releases;
use crate::vault::Vault;

/// The running service, as its requests see it.
pub(crate) struct Sms {
    pub(crate) owners: Arc<dyn ReadOwners>,
    pub(crate) vault: Vault,
    pub(crate) metrics: Metrics,
    pub(crate) limits: Limits,
    pub(crate) bodies: BodyReader,
    pub(crate) release_bodies: BodyReader,
    pub(crate) clock: Clock,
    /// Absent when the service is started without releases.
    pub(crate) releases: Option<Releases>,
    pub(crate) tee: TeeInformation,
    pub(crate) backups: Backups,
    pub(crate) admin_api_key: ApiKey,
    pub(crate) trusted_proxies: HashSet<IpAddr>,
    pub(crate) request_timeout: Duration,
    /// `http` or `https`, for links.
    pub(crate) scheme: &'static str,
    /// Set when the last write failed in the store, until one succeeds or the store is opened anew.
    store_in_trouble: AtomicBool,
    requests: AtomicU64,
}

/// Who is limited; none of them when limits are off.
pub(crate) struct Limits {
    pub(crate) peer: Option<RateLimiter<IpAddr>>,
    pub(crate) client: Option<RateLimiter<Address>>,
}

impl Limits {
    fn new(config: &RateLimitConfig) -> Self {
        if !config.enabled {
            return Self { peer: None, client: None };
        }
        Self {
            peer: Some(RateLimiter::new(config.peer_per_second, config.peer_burst, config.remembered)),
            client: Some(RateLimiter::new(config.client_per_second, config.client_burst, config.remembered)),
        }
    }
}

impl Sms {
    pub(crate) fn new(config: &Config, owners: Arc<dyn ReadOwners>, vault: Vault, clock: Clock) -> Self {
        let metrics = Metrics::new();
        let body_timeout = duration(config.server.body_timeout_ms);
        Self {
            owners,
            vault,
            limits: Limits::new(&config.rate_limit),
            bodies: BodyReader::new(config.server.max_large_bodies.get(), body_timeout, &metrics),
            release_bodies: BodyReader::for_releases(config.server.max_large_bodies.get(), body_timeout, &metrics),
            metrics,
            clock,
            releases: None,
            tee: TeeInformation::new(&config.tee),
            backups: Backups::new(config.admin.backup_folder.clone()),
            admin_api_key: config.admin.api_key.clone(),
            trusted_proxies: config.server.trusted_proxies.iter().map(IpAddr::to_canonical).collect(),
            request_timeout: duration(config.server.request_timeout_ms),
            scheme: if config.tls.certificate.is_some() { "https" } else { "http" },
            store_in_trouble: AtomicBool::new(false),
            requests: AtomicU64::new(0),
        }
    }

    /// Numbers requests, so that the lines of one request can be found in the log.
    pub(crate) fn next_request_id(&self) -> u64 {
        self.requests.fetch_add(1, Ordering::Relaxed)
    }

    /// Remembers whether the store took the last write, for [`Self::is_healthy`].
    pub(crate) fn note_store(&self, took_the_write: bool) {
        self.store_in_trouble.store(!took_the_write, Ordering::Relaxed);
    }

    /// Whether owners can be looked up and the store reads and writes.
    pub(crate) async fn is_healthy(&self) -> bool {
        if !self.owners.is_ready() || self.store_in_trouble.load(Ordering::Relaxed) {
            return false;
        }
        let Ok(store) = self.vault.store() else { return false };
        store.exists(&SecretId::App(Address::ZERO)).await.is_ok()
    }

    /// Counts what is stored, for the metrics.
    pub(crate) async fn count_stored(&self) {
        let counts = match self.vault.store() {
            Ok(store) => store.counts().await.ok(),
            Err(_) => None,
        };
        self.metrics.set_stored(counts);
    }
}
