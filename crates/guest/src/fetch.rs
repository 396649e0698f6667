//! Downloads one file: from its address, or from IPFS gateways in turn. A download that breaks goes on where it stopped, at the next
//! gateway if need be; who asked checks the content, and asks those that are left if it is not the right one.

use std::io::{self, Read};
use std::time::Duration;

use bytes::Bytes;
use reqwest::StatusCode;
use reqwest::header::{CONTENT_RANGE, LOCATION, RANGE};
use strongroom_client::{Way, WayError};
use strongroom_content::cid::Cid;
use tokio::sync::mpsc;
use url::Url;

use crate::pre::with_causes;

/// Times each source is tried.
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);
const MAX_REDIRECTS: usize = 5;
/// Chunks on their way between network and disk.
const CHUNKS: usize = 8;

/// Where files come from.
pub(crate) struct Sources<'a> {
    pub(crate) way: &'a Way,
    /// IPFS gateways, best first.
    pub(crate) gateways: &'a [Url],
}

/// Why a file did not come.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    /// Not an address.
    #[error("{0:?} is neither an http(s) address nor an IPFS path")]
    Location(String),
    /// No gateway is configured.
    #[error("the file is on IPFS and this pool names no gateway")]
    NoGateway,
    /// The pool does not let its enclaves go there.
    #[error(transparent)]
    Way(#[from] WayError),
    /// The source says no.
    #[error("{host} answered with status {status}")]
    Status { host: String, status: u16 },
    /// The connection failed.
    #[error("the connection to {host} failed")]
    Connection {
        host: String,
        #[source]
        source: reqwest::Error,
    },
    /// Sent elsewhere too often, or without saying where.
    #[error("{host} leads nowhere")]
    Redirects { host: String },
    /// Another part than was asked for.
    #[error("{host} sent another part of the file than was asked for")]
    OtherPart { host: String },
    /// None of several sources has it.
    #[error("{}", .0.iter().map(|error| with_causes(error)).collect::<Vec<_>>().join("; "))]
    Everywhere(Vec<FetchError>),
    /// Whoever wanted the file does not want the rest.
    #[error("the rest of the file was not wanted")]
    Unwanted,
}

/// Where a location leads: addresses to try in turn, and the content id if it is one.
pub(crate) fn resolve(location: &str, gateways: &[Url]) -> Result<(Vec<Url>, Option<Cid>), FetchError> {
    let malformed = || FetchError::Location(location.to_owned());
    if let Some(path) = location.strip_prefix("/ipfs/").or_else(|| location.strip_prefix("/p2p/")) {
        let id = path.split('/').next().unwrap_or_default();
        let cid: Cid = id.parse().map_err(|_| malformed())?;
        if gateways.is_empty() {
            return Err(FetchError::NoGateway);
        }
        let at = |gateway: &Url| format!("{}/ipfs/{path}", gateway.as_str().trim_end_matches('/')).parse();
        let urls: Result<Vec<Url>, _> = gateways.iter().map(at).collect();
        // A path below an id names another content than the id.
        return Ok((urls.map_err(|_| malformed())?, (id == path).then_some(cid)));
    }
    let url: Url = location.parse().map_err(|_| malformed())?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(malformed());
    }
    Ok((vec![url], None))
}

impl Sources<'_> {
    /// Sends the bytes of the file to `to`, in order, each once. Gives the first of `urls` that any of them came from.
    pub(crate) async fn fetch(&self, urls: &[Url], to: mpsc::Sender<Bytes>) -> Result<usize, FetchError> {
        let mut done = 0;
        let mut first = None;
        let mut failures = Vec::new();
        for (index, url) in urls.iter().enumerate() {
            for attempt in 1..=ATTEMPTS {
                let outcome = self.fetch_from(url, &mut done, &to).await;
                if done > 0 || outcome.is_ok() {
                    first.get_or_insert(index);
                }
                match outcome {
                    Ok(()) => return Ok(first.unwrap_or(index)),
                    Err(error @ FetchError::Unwanted) => return Err(error),
                    Err(error) => {
                        let is_final = matches!(error, FetchError::Way(_))
                            || matches!(error, FetchError::Status { status: 400..=428, .. });
                        if is_final || attempt == ATTEMPTS {
                            failures.push(error);
                            break;
                        }
                        tokio::time::sleep(PAUSE * attempt).await;
                    }
                }
            }
        }
        match failures.pop() {
            None => Err(FetchError::NoGateway),
            Some(only) if failures.is_empty() => Err(only),
            Some(last) => {
                failures.push(last);
                Err(FetchError::Everywhere(failures))
            }
        }
    }

    async fn fetch_from(&self, url: &Url, done: &mut u64, to: &mpsc::Sender<Bytes>) -> Result<(), FetchError> {
        let host = url.host_str().unwrap_or_default().to_owned();
        let broken = |source| FetchError::Connection { host: host.clone(), source };
        let mut answer = self.get(url.clone(), *done).await?;
        let mut skip = match answer.status() {
            StatusCode::OK => *done,
            StatusCode::PARTIAL_CONTENT => {
                let range = answer.headers().get(CONTENT_RANGE).and_then(|range| range.to_str().ok());
                let expected = format!("bytes {done}-");
                if !range.is_some_and(|range| range.starts_with(&expected)) {
                    return Err(FetchError::OtherPart { host });
                }
                0
            }
            // All of it was there when the connection broke.
            StatusCode::RANGE_NOT_SATISFIABLE if *done > 0 => return Ok(()),
            status => return Err(FetchError::Status { host, status: status.as_u16() }),
        };
        while let Some(mut chunk) = answer.chunk().await.map_err(broken)? {
            let known = skip.min(chunk.len() as u64);
            skip -= known;
            let fresh = chunk.split_off(usize::try_from(known).unwrap_or(usize::MAX).min(chunk.len()));
            if fresh.is_empty() {
                continue;
            }
            *done += fresh.len() as u64;
            to.send(fresh).await.map_err(|_| FetchError::Unwanted)?;
        }
        Ok(())
    }

    /// Follows redirects, each by the way that its own origin has.
    async fn get(&self, mut url: Url, from: u64) -> Result<reqwest::Response, FetchError> {
        for _ in 0..=MAX_REDIRECTS {
            let host = url.host_str().unwrap_or_default().to_owned();
            let mut request = self.way.client_for(&url)?.get(url.clone());
            if from > 0 {
                request = request.header(RANGE, format!("bytes={from}-"));
            }
            let answer =
                request.send().await.map_err(|source| FetchError::Connection { host: host.clone(), source })?;
            if !answer.status().is_redirection() {
                return Ok(answer);
            }
            let location = answer.headers().get(LOCATION).and_then(|location| location.to_str().ok());
            url = location.and_then(|location| url.join(location).ok()).ok_or(FetchError::Redirects { host })?;
        }
        Err(FetchError::Redirects { host: url.host_str().unwrap_or_default().to_owned() })
    }
}

/// A way for chunks from the network into a thread that reads them.
pub(crate) fn pipe() -> (mpsc::Sender<Bytes>, Chunks) {
    let (to, from) = mpsc::channel(CHUNKS);
    (to, Chunks { from, current: Bytes::new() })
}

/// Reads what was sent; ends when the sender is gone. Blocks the thread.
pub(crate) struct Chunks {
    from: mpsc::Receiver<Bytes>,
    current: Bytes,
}

impl Read for Chunks {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.current.is_empty() {
            match self.from.blocking_recv() {
                Some(chunk) => self.current = chunk,
                None => return Ok(0),
            }
        }
        let length = buffer.len().min(self.current.len());
        buffer[..length].copy_from_slice(&self.current.split_to(length));
        Ok(length)
    }
}

#[cfg(test)]
mod tests;
