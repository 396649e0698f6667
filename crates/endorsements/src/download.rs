//! One bounded GET.

use std::time::Duration;

use reqwest::header::HeaderMap;
use strongroom_attest::endorsements::MAX_ENDORSEMENT_BYTES;

/// Why a document could not be fetched. All are worth a retry.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No address is configured, or there is none: providers' keys (VLEK) are handed over by the provider.
    #[error("there is nowhere to fetch it from")]
    NoSource,
    /// No answer, or none in time.
    #[error("no answer from {url}")]
    Unreachable {
        /// What was asked.
        url: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// Any status but 200.
    #[error("{url} answers with status {status}")]
    Status {
        /// What was asked.
        url: String,
        /// What came.
        status: u16,
    },
    /// Larger than any genuine document.
    #[error("{url} answers with more than {MAX_ENDORSEMENT_BYTES} bytes")]
    TooLarge {
        /// What was asked.
        url: String,
    },
    /// Not in the format of this document.
    #[error("{url} answers with something else than {expected}")]
    Malformed {
        /// What was asked.
        url: String,
        /// What it should be.
        expected: &'static str,
    },
}

/// An answer with status 200.
pub(crate) struct Download {
    pub(crate) url: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Download {
    /// Fetches `url`; the body ends at the cap or the fetch fails.
    pub(crate) async fn get(http: &reqwest::Client, url: String, timeout: Duration) -> Result<Self, FetchError> {
        let unreachable = |source: reqwest::Error| FetchError::Unreachable { url: url.clone(), source };
        let mut response = http.get(&url).timeout(timeout).send().await.map_err(unreachable)?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(FetchError::Status { url, status: response.status().as_u16() });
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > MAX_ENDORSEMENT_BYTES {
                return Err(FetchError::TooLarge { url });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Self { headers: std::mem::take(response.headers_mut()), url, body })
    }

    /// For when the answer is not what it should be.
    pub(crate) fn malformed(&self, expected: &'static str) -> FetchError {
        FetchError::Malformed { url: self.url.clone(), expected }
    }
}
