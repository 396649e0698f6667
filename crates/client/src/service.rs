//! The `/v1` calls of a service.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use strongroom_protocol::release::{
    ANSWER_MEDIA_TYPE, AnswerError, ChallengeAnswer, IdentityAnswer, ReleaseAnswer, ReleaseRequest,
};
use url::Url;

use crate::way::{Way, WayError};

/// Longest wait for one answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Largest JSON answer, in bytes.
const MAX_JSON_BYTES: usize = 1024 * 1024;
/// Largest release, in bytes: more than all secrets of a task together may be.
const MAX_RELEASE_BYTES: usize = 256 * 1024 * 1024;

/// Why a call gave nothing.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The client could not be made.
    #[error("cannot prepare HTTP for {url}; check the address and the system's TLS settings")]
    Setup {
        /// The service.
        url: Url,
        /// Why.
        #[source]
        source: WayError,
    },
    /// No answer came, or it broke off.
    #[error("service at {url} does not answer; check the address and that it runs")]
    Unreachable {
        /// What was asked.
        url: Url,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The service is in trouble or busy; the same call may succeed later.
    #[error("service is in trouble (status {status}): {detail}; try again later")]
    Trouble {
        /// HTTP status.
        status: u16,
        /// What it said.
        detail: String,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
    },
    /// The service refuses; the same call will be refused again.
    #[error("service refuses (status {status}, {code}): {detail}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// Its word for the reason.
        code: String,
        /// What it said.
        detail: String,
    },
    /// The answer is not what the protocol says.
    #[error("answer of {url} is not what the protocol says: {reason}; is this a Strongroom service?")]
    Unexpected {
        /// What was asked.
        url: Url,
        /// What is wrong with it.
        reason: String,
    },
    /// The answer to a release is malformed.
    #[error(transparent)]
    Answer(#[from] AnswerError),
}

impl ServiceError {
    /// Whether asking again may help.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Trouble { .. })
    }

    /// How long the service asks to wait, at most half a minute.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Trouble { retry_after, .. } => retry_after.map(|wait| wait.min(TIMEOUT)),
            _ => None,
        }
    }
}

/// RFC 9457 problem, as far as it is used.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Problem {
    code: String,
    title: String,
    detail: String,
}

/// One SMS and the way to it.
#[derive(Clone, Debug)]
pub struct Service {
    http: reqwest::Client,
    base: Url,
}

impl Service {
    /// The service at `base`, whose path is replaced: the service lives at the root of its origin.
    pub fn new(base: Url) -> Result<Self, ServiceError> {
        Self::through(base, &Way::Network)
    }

    /// The same by another way, as from inside an enclave without network.
    pub fn through(base: Url, way: &Way) -> Result<Self, ServiceError> {
        match way.client_for(&base) {
            Ok(http) => Ok(Self { http, base }),
            Err(source) => Err(ServiceError::Setup { url: base, source }),
        }
    }

    /// Asks for a nonce.
    pub async fn challenge(&self) -> Result<ChallengeAnswer, ServiceError> {
        let url = self.url("/v1/challenges");
        let answer = self.http.post(url.clone()).timeout(TIMEOUT).send().await;
        self.json(url, answer).await
    }

    /// Asks who the service says it is.
    pub async fn identity(&self) -> Result<IdentityAnswer, ServiceError> {
        let url = self.url("/v1/identity");
        let answer = self.http.get(url.clone()).timeout(TIMEOUT).send().await;
        self.json(url, answer).await
    }

    /// What stands at `path` for whoever signed `authorization`.
    pub(crate) async fn get_signed<T: DeserializeOwned>(
        &self,
        path: &str,
        authorization: &str,
    ) -> Result<T, ServiceError> {
        let url = self.url(path);
        let request = self.http.get(url.clone()).header(AUTHORIZATION, authorization).timeout(TIMEOUT);
        self.json(url, request.send().await).await
    }

    /// An answer of `path` that the protocol does not know.
    pub(crate) fn unexpected(&self, path: &str, reason: String) -> ServiceError {
        ServiceError::Unexpected { url: self.url(path), reason }
    }

    /// Asks for the secrets of a session. The answer is not believed yet.
    pub async fn release(&self, request: &ReleaseRequest) -> Result<ReleaseAnswer, ServiceError> {
        let url = self.url("/v1/releases");
        let answer = self.http.post(url.clone()).timeout(TIMEOUT).json(request).send().await;
        let answer = accepted(&url, answer).await?;
        let media_type = answer.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if media_type != ANSWER_MEDIA_TYPE {
            let reason = format!("media type {media_type:?} instead of {ANSWER_MEDIA_TYPE}");
            return Err(ServiceError::Unexpected { url, reason });
        }
        let bytes = bounded_body(&url, answer, MAX_RELEASE_BYTES).await?;
        Ok(ReleaseAnswer::from_bytes(&bytes)?)
    }

    fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(path);
        url.set_query(None);
        url.set_fragment(None);
        url
    }

    async fn json<T: DeserializeOwned>(&self, url: Url, answer: reqwest::Result<Response>) -> Result<T, ServiceError> {
        let answer = accepted(&url, answer).await?;
        let bytes = bounded_body(&url, answer, MAX_JSON_BYTES).await?;
        serde_json::from_slice(&bytes).map_err(|error| ServiceError::Unexpected { url, reason: error.to_string() })
    }
}

/// The answer if its status is a success, else what kind of failure it is.
async fn accepted(url: &Url, answer: reqwest::Result<Response>) -> Result<Response, ServiceError> {
    let answer = answer.map_err(|source| ServiceError::Unreachable { url: url.clone(), source })?;
    let status = answer.status();
    if status.is_success() {
        return Ok(answer);
    }
    let retry_after = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let body = bounded_body(url, answer, MAX_JSON_BYTES).await.unwrap_or_default();
    let problem: Problem = serde_json::from_slice(&body).unwrap_or_default();
    let detail = if problem.detail.is_empty() { problem.title } else { problem.detail };
    let status_number = status.as_u16();
    if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        let retry_after = retry_after.map(Duration::from_secs);
        return Err(ServiceError::Trouble { status: status_number, detail, retry_after });
    }
    Err(ServiceError::Refused { status: status_number, code: problem.code, detail })
}

async fn bounded_body(url: &Url, mut answer: Response, limit: usize) -> Result<Vec<u8>, ServiceError> {
    let mut body = Vec::new();
    while let Some(chunk) =
        answer.chunk().await.map_err(|source| ServiceError::Unreachable { url: url.clone(), source })?
    {
        if body.len() + chunk.len() > limit {
            let reason = format!("more than {limit} bytes");
            return Err(ServiceError::Unexpected { url: url.clone(), reason });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
