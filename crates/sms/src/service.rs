//! The service as a whole: started, found at its address, stopped in good order.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use strongroom_store::TrustDomainError;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::Sms;
use crate::clock::Clock;
use crate::config::{Config, duration};
use crate::http;
use crate::owners::ReadOwners;
use crate::release::{ReleaseSettings, Releases};
use crate::server::{self, Tls};
use crate::vault::Vault;

pub use crate::server::TlsError;

/// Why the service did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("{address} cannot be listened on; is another program using the port?")]
    Listen {
        /// Interface and port.
        address: SocketAddr,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Certificate or key are not usable.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The store is for other enclaves than the settings.
    #[error(transparent)]
    TrustDomain(#[from] TrustDomainError),
}

/// A service that answers requests. Dropping it stops nothing; [`Self::stop`] does, in good order.
pub struct Service {
    address: SocketAddr,
    sms: Arc<Sms>,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
    background: Vec<JoinHandle<()>>,
}

impl Service {
    /// Listens and answers. What needs the chain is answered with 503 until `owners` is ready; all else works at once.
    pub async fn start(
        config: &Config,
        owners: Arc<dyn ReadOwners>,
        vault: Vault,
        clock: Clock,
    ) -> Result<Self, StartError> {
        Self::start_with(config, owners, vault, clock, None).await
    }

    /// As [`Self::start`], and serves sessions and releases too.
    pub async fn start_with(
        config: &Config,
        owners: Arc<dyn ReadOwners>,
        vault: Vault,
        clock: Clock,
        releases: Option<ReleaseSettings>,
    ) -> Result<Self, StartError> {
        let listen = config.server.listen();
        let failed = |source| StartError::Listen { address: listen, source };
        let tls = Tls::from_config(&config.tls)?;
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let mut sms = Sms::new(config, owners, vault, clock);
        if let (Some(mut settings), Ok(store)) = (releases, sms.vault.store()) {
            settings.provisioner.listens_on(address.port());
            store.settle_trust_domain(&settings.trust_domain).await?;
            sms.releases = Some(Releases::new(config.chain.id.get(), settings, &store));
        }
        let sms = Arc::new(sms);
        sms.count_stored().await;

        let mut background = vec![
            tokio::spawn(count_regularly(Arc::clone(&sms), duration(config.metrics.refresh_ms))),
            tokio::spawn(forget_regularly(Arc::clone(&sms))),
        ];
        if let Some(tls) = &tls {
            background.push(tokio::spawn(tls.clone().reload_regularly(duration(config.tls.reload_ms))));
        }
        let (stop, stopping) = watch::channel(false);
        let router = http::router(Arc::clone(&sms));
        let connections = sms.metrics.connections.clone();
        let serving = tokio::spawn(server::serve(listener, router, tls, config.server.clone(), connections, stopping));
        info!(%address, "listening");
        Ok(Self { address, sms, stop, serving, background })
    }

    /// Where the service listens; tells the port that the system chose for port 0.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more connections, finishes the requests that are running (for at most the configured grace) and everything
    /// that was acknowledged, then closes the store.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        // A panic there was reported by the panic hook; the store is closed whatever happened.
        let _ = self.serving.await;
        for task in self.background {
            task.abort();
        }
        self.sms.vault.close().await;
        info!("stopped");
    }
}

/// How often sessions and nonces whose time is over are removed.
const FORGET_EVERY: std::time::Duration = std::time::Duration::from_mins(1);

async fn forget_regularly(sms: Arc<Sms>) {
    let mut ticks = tokio::time::interval(FORGET_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let Ok(store) = sms.vault.store() else { continue };
        if let Err(error) = store.forget_expired(sms.clock.seconds()).await {
            warn!(error = &error as &dyn std::error::Error, "expired sessions could not be removed");
        }
    }
}

async fn count_regularly(sms: Arc<Sms>, every: std::time::Duration) {
    // The start has counted already.
    let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + every, every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        sms.count_stored().await;
    }
}
