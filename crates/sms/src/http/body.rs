//! Reads the body of a request: bounded while reading, and in memory that is wiped. Of a secret, decoded too.
//!
//! Memory is bounded whatever clients send. A body may take some KiB without asking; whoever needs more waits for one of a
//! few large places, which are given back when the value is stored. A place is never waited for while holding another,
//! so waiting always ends. What exceeds the limit is never kept: the rest is thrown away as it arrives, for a moment, so
//! that the client reads our answer instead of a broken connection.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, BodyDataStream, HttpBody as _};
use axum::http::{HeaderMap, header};
use futures_util::StreamExt as _;
use prometheus::IntGauge;
use strongroom_protocol::SecretValue;
use strongroom_protocol::secret::MAX_SECRET_BYTES;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::charset::{Charset, Undecodable, charset_of};
use crate::metrics::Metrics;

/// What a body may take without one of the large places. Secrets of the stock clients are below 2 KiB.
const SMALL_BYTES: usize = 16 * 1024;
/// The same for releases: quote and event log of the usual guests are below it.
const SMALL_RELEASE_BYTES: usize = 48 * 1024;
/// How much of a refused body is thrown away, and for how long, before the connection is cut.
const DISCARD_BYTES: usize = MAX_SECRET_BYTES;
const DISCARD_TIME: Duration = Duration::from_secs(2);

/// Why there is no secret in the body.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    /// Nothing was sent.
    #[error("the request has no body")]
    Missing,
    /// More than such a body may have.
    #[error("the body is too large")]
    TooLarge,
    /// The media type cannot be read or names a character set that we do not know.
    #[error("the content type is not supported")]
    UnsupportedMediaType,
    /// The bytes are not text in the character set that was named.
    #[error("the body is not text in its character set")]
    NotText,
    /// The client stopped sending.
    #[error("the body ended early")]
    Interrupted,
    /// The client sends too slowly.
    #[error("the body did not arrive in time")]
    TooSlow,
    /// All memory for large bodies is in use.
    #[error("too many large bodies at once")]
    Busy,
}

/// A secret as it was sent, together with its place in memory.
pub(super) struct ReceivedSecret {
    pub(super) value: SecretValue,
    /// Holds the place until the value was stored or refused.
    pub(super) place: Place,
}

/// Bounds the memory of all bodies together.
pub(crate) struct BodyReader {
    small_bytes: usize,
    large_places: Arc<Semaphore>,
    timeout: Duration,
    reserved: IntGauge,
    reserved_peak: IntGauge,
}

impl BodyReader {
    /// For secrets.
    pub(crate) fn new(large_places: usize, timeout: Duration, metrics: &Metrics) -> Self {
        Self::with_small(SMALL_BYTES, large_places, timeout, metrics)
    }

    /// For releases, which have places of their own: nobody who pushes slowly holds them up.
    pub(crate) fn for_releases(large_places: usize, timeout: Duration, metrics: &Metrics) -> Self {
        Self::with_small(SMALL_RELEASE_BYTES, large_places, timeout, metrics)
    }

    fn with_small(small_bytes: usize, large_places: usize, timeout: Duration, metrics: &Metrics) -> Self {
        Self {
            small_bytes,
            large_places: Arc::new(Semaphore::new(large_places)),
            timeout,
            reserved: metrics.body_bytes_reserved.clone(),
            reserved_peak: metrics.body_bytes_reserved_peak.clone(),
        }
    }

    /// Reads, decodes and measures the body. The size is that of the text in UTF-8.
    pub(super) async fn read_secret(&self, headers: &HeaderMap, body: Body) -> Result<ReceivedSecret, BodyError> {
        let charset = charset_of(headers.get(header::CONTENT_TYPE)).ok_or(BodyError::UnsupportedMediaType)?;
        let (bytes, place) = self.read(body, charset.most_bytes_of(MAX_SECRET_BYTES)).await?;
        if bytes.is_empty() {
            return Err(BodyError::Missing);
        }
        let text = decode(charset, bytes)?;
        let value = SecretValue::new(text).map_err(|_| BodyError::TooLarge)?;
        Ok(ReceivedSecret { value, place })
    }

    /// Reads a body of at most `limit` bytes. Its place in memory is to be held as long as the bytes are.
    pub(super) async fn read(&self, body: Body, limit: usize) -> Result<(Zeroizing<Vec<u8>>, Place), BodyError> {
        let announced = body.size_hint().exact().and_then(|bytes| usize::try_from(bytes).ok());
        let mut stream = body.into_data_stream();
        if announced.is_some_and(|bytes| bytes > limit) {
            discard(stream);
            return Err(BodyError::TooLarge);
        }
        let read = timeout(self.timeout, self.collect(&mut stream, announced, limit)).await;
        let read = read.unwrap_or(Err(BodyError::TooSlow));
        if matches!(read, Err(BodyError::TooLarge | BodyError::Busy)) {
            discard(stream);
        }
        read
    }

    async fn collect(
        &self,
        stream: &mut BodyDataStream,
        announced: Option<usize>,
        limit: usize,
    ) -> Result<(Zeroizing<Vec<u8>>, Place), BodyError> {
        let wanted = announced.unwrap_or(self.small_bytes);
        let mut place = self.place(wanted).await?;
        let mut bytes = Zeroizing::new(Vec::with_capacity(wanted));
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|_| BodyError::Interrupted)?;
            if chunk.len() > limit - bytes.len() {
                return Err(BodyError::TooLarge);
            }
            if chunk.len() > bytes.capacity() - bytes.len() {
                // Only a small place can be outgrown, and nobody waits for those: hyper enforces an announced length.
                place = self.place(limit).await?;
                // Growing in place would leave an unwiped copy behind.
                let mut larger = Zeroizing::new(Vec::with_capacity(limit));
                larger.extend_from_slice(&bytes);
                bytes = larger;
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok((bytes, place))
    }

    async fn place(&self, bytes: usize) -> Result<Place, BodyError> {
        let permit = if bytes > self.small_bytes {
            let permit = Arc::clone(&self.large_places).acquire_owned();
            let granted = timeout(self.timeout / 2, permit).await.map_err(|_| BodyError::Busy)?;
            Some(granted.expect("the semaphore is never closed"))
        } else {
            None
        };
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        self.reserved.add(bytes);
        // Two bodies may both miss each other's peak by a little; it is a gauge, not an account.
        self.reserved_peak.set(self.reserved_peak.get().max(self.reserved.get()));
        Ok(Place { bytes, reserved: self.reserved.clone(), _permit: permit })
    }
}

/// Memory set aside for one body; given back when dropped.
pub(super) struct Place {
    bytes: i64,
    reserved: IntGauge,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.reserved.sub(self.bytes);
    }
}

/// Throws away what still arrives, bounded in bytes and time, while the answer is on its way.
fn discard(mut stream: BodyDataStream) {
    let rest = async move {
        let mut discarded = 0;
        while let Some(Ok(chunk)) = stream.next().await {
            discarded += chunk.len();
            if discarded > DISCARD_BYTES {
                return;
            }
        }
    };
    tokio::spawn(timeout(DISCARD_TIME, rest));
}

fn decode(charset: Charset, bytes: Zeroizing<Vec<u8>>) -> Result<Vec<u8>, BodyError> {
    charset.to_utf8(bytes).map_err(|Undecodable| BodyError::NotText)
}
