//! Connections: how many, for how long, encrypted or not, and their orderly end. Knows nothing of what is asked.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use futures_util::FutureExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use prometheus::IntGauge;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tower::ServiceExt as _;
use tracing::{debug, warn};

use crate::config::{ServerConfig, duration};
use crate::http::Peer;
use crate::rate_limit::peer_key;

pub(crate) use tls::Tls;
pub use tls::TlsError;

mod tls;

/// Most that one connection buffers of what is being received; also the longest head of a request.
const BUFFER_BYTES: usize = 64 * 1024;
/// Wait after the system could give no connection (no file descriptors left).
const AFTER_FAILED_ACCEPT: Duration = Duration::from_millis(100);

/// Serves connections until `stopping` turns true, then finishes those that are busy, for at most the configured grace.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    tls: Option<Tls>,
    config: ServerConfig,
    open: IntGauge,
    mut stopping: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(config.max_connections.get()));
    let per_peer = Arc::new(PerPeer::new(&config));
    let graceful = GracefulShutdown::new();
    let head_timeout = duration(config.header_timeout_ms);
    let mut stopped =
        std::pin::pin!(async move { while !*stopping.borrow() && stopping.changed().await.is_ok() {} }.fuse());
    loop {
        let accepted = tokio::select! {
            () = &mut stopped => break,
            accepted = accept(&listener, &places) => accepted,
        };
        let Some((stream, peer, place)) = accepted else { continue };
        let Some(peer_place) = per_peer.enter(peer) else {
            debug!(%peer, "refused a connection of a peer that has too many");
            continue;
        };
        open.inc();
        let (router, tls, watcher, open) = (router.clone(), tls.clone(), graceful.watcher(), open.clone());
        tokio::spawn(async move {
            match tls {
                None => answer(stream, peer, router, head_timeout, watcher).await,
                Some(tls) => match timeout(head_timeout, tls.accept(stream)).await {
                    Ok(Ok(stream)) => answer(stream, peer, router, head_timeout, watcher).await,
                    Ok(Err(error)) => debug!(%peer, %error, "no TLS session"),
                    Err(_) => debug!(%peer, "no TLS session in time"),
                },
            }
            open.dec();
            drop((place, peer_place));
        });
    }
    drop(listener);
    if timeout(duration(config.shutdown_grace_ms), graceful.shutdown()).await.is_err() {
        warn!("requests were still running at the end of the grace");
    }
}

/// The next connection, once there is a place for it; until then it waits in the queue of the system.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, IpAddr, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.expect("the semaphore is never closed");
    match listener.accept().await {
        Ok((stream, peer)) => {
            // Answers are small and should leave at once; without this the connection still works.
            let _ = stream.set_nodelay(true);
            Some((stream, peer.ip().to_canonical(), place))
        }
        Err(error) => {
            warn!(%error, "no connection could be accepted");
            tokio::time::sleep(AFTER_FAILED_ACCEPT).await;
            None
        }
    }
}

async fn answer(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    peer: IpAddr,
    router: Router,
    head_timeout: Duration,
    watcher: Watcher,
) {
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer));
        router.clone().oneshot(request.map(Body::new))
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_timeout)
        .max_buf_size(BUFFER_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = watcher.watch(connection).await {
        debug!(%peer, %error, "a connection ended early");
    }
}

/// Counts the connections of each peer.
struct PerPeer {
    most: usize,
    exempt: Vec<IpAddr>,
    open: Mutex<HashMap<IpAddr, usize>>,
}

impl PerPeer {
    fn new(config: &ServerConfig) -> Self {
        Self {
            most: config.max_connections_per_peer.get(),
            exempt: config.trusted_proxies.iter().map(IpAddr::to_canonical).collect(),
            open: Mutex::default(),
        }
    }

    /// A place for one more connection of `peer`, or none if it has its share.
    fn enter(self: &Arc<Self>, peer: IpAddr) -> Option<PeerPlace> {
        let key = peer_key(peer);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let count = open.entry(key).or_default();
        if *count >= self.most && !self.exempt.contains(&peer) {
            return None;
        }
        *count += 1;
        Some(PeerPlace { key, per_peer: Arc::clone(self) })
    }
}

struct PeerPlace {
    key: IpAddr,
    per_peer: Arc<PerPeer>,
}

impl Drop for PeerPlace {
    fn drop(&mut self) {
        let mut open = self.per_peer.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = open.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.key);
            }
        }
    }
}
