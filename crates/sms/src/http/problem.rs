//! Errors of `/v1` as RFC 9457 problems: `type`, `title`, `status`, `detail`, and `code`, a stable word for machines.
//! The one place where errors of the release flow become HTTP. No `_` arms: a new error must choose its answer.

use std::error::Error;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use strongroom_grant::Refusal;
use strongroom_store::RecordError;
use tracing::{error, info, warn};

use super::body::BodyError;
use crate::Sms;
use crate::release::{ExplainError, GatherError, JournalError, ReleaseError, Releases, SessionError};

const MEDIA_TYPE: &str = "application/problem+json";

#[derive(Serialize)]
struct ProblemBody<'a> {
    r#type: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    code: &'a str,
}

/// One problem, ready to be answered.
pub(super) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
}

impl Problem {
    pub(super) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into() }
    }

    /// The stable word.
    pub(super) fn code(&self) -> &'static str {
        self.code
    }

    /// "Could not find out": to be asked again.
    pub(super) fn trouble(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "trouble", detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = ProblemBody {
            r#type: format!("urn:strongroom:problem:{}", self.code),
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: &self.detail,
            code: self.code,
        };
        let json = serde_json::to_string(&body).expect("texts and a number are JSON");
        let media_type = HeaderValue::from_static(MEDIA_TYPE);
        let mut response = (self.status, [(header::CONTENT_TYPE, media_type)], json).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// The release flow, unless the service was started without it.
pub(super) fn releases(sms: &Sms) -> Result<&Releases, Problem> {
    let off = || Problem::new(StatusCode::NOT_FOUND, "releases-off", "this service was started without releases");
    sms.releases.as_ref().ok_or_else(off)
}

/// The answer to a release that did not come about.
pub(super) fn release_refused(error: &ReleaseError) -> Problem {
    let detail = error.to_string();
    match error {
        ReleaseError::Request(_) | ReleaseError::MalformedEvidence(_) => {
            Problem::new(StatusCode::BAD_REQUEST, "malformed-request", detail)
        }
        ReleaseError::WeakKey(_) => Problem::new(StatusCode::BAD_REQUEST, "weak-key", detail),
        ReleaseError::Nonce(_) => Problem::new(StatusCode::FORBIDDEN, "nonce-void", detail),
        ReleaseError::NoSession => Problem::new(StatusCode::NOT_FOUND, "no-session", detail),
        ReleaseError::NoTask => Problem::new(StatusCode::FORBIDDEN, "no-task", detail),
        ReleaseError::Evidence(source) => {
            // The reason is for the operator; whoever sends forged evidence learns nothing from us.
            info!(reason = source as &dyn Error, "evidence refused");
            Problem::new(StatusCode::FORBIDDEN, "evidence-refused", detail)
        }
        ReleaseError::Endorsements(source) => {
            warn!(reason = source as &dyn Error, "evidence cannot be judged");
            Problem::trouble(detail)
        }
        ReleaseError::Busy(_) | ReleaseError::Closed(_) => Problem::trouble(detail),
        ReleaseError::Refused(refusal) => {
            if let Refusal::PolicyNotMet { reason } = refusal {
                info!(reason, "platform does not meet the policy");
            }
            Problem::new(StatusCode::FORBIDDEN, refusal.code(), format!("{detail}; {}", refusal.remedy()))
        }
        ReleaseError::Record(source) => match source {
            RecordError::NoSession => Problem::new(StatusCode::NOT_FOUND, "no-session", detail),
            RecordError::SessionUsed => Problem::new(StatusCode::CONFLICT, "session-used", detail),
            RecordError::OtherTrustDomain => Problem::new(StatusCode::FORBIDDEN, "other-trust-domain", detail),
            RecordError::NonceSpent => Problem::new(StatusCode::FORBIDDEN, "nonce-spent", detail),
            RecordError::Trouble(source) => store_trouble(source),
        },
        ReleaseError::Trouble(source) => not_found_out(source),
        ReleaseError::Store(source) => store_trouble(source),
    }
}

/// The answer to a body that cannot be read.
pub(super) fn body_refused(error: &BodyError) -> Problem {
    let detail = error.to_string();
    match error {
        BodyError::Missing | BodyError::NotText | BodyError::Interrupted | BodyError::UnsupportedMediaType => {
            Problem::new(StatusCode::BAD_REQUEST, "malformed-request", detail)
        }
        BodyError::TooLarge => Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "request-too-large", detail),
        BodyError::TooSlow => Problem::new(StatusCode::REQUEST_TIMEOUT, "request-too-slow", detail),
        BodyError::Busy => Problem::trouble(detail),
    }
}

/// What happened before or around a handler of `/v1`, as a problem too: unknown routes, limits, time-outs, panics.
pub(super) fn unify(response: Response) -> Response {
    let status = response.status();
    let is_problem = response.headers().get(header::CONTENT_TYPE).is_some_and(|value| value == MEDIA_TYPE);
    if is_problem || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let (code, detail) = match status {
        StatusCode::NOT_FOUND => ("no-such-route", "there is nothing at this path"),
        StatusCode::METHOD_NOT_ALLOWED => ("wrong-method", "this path knows other methods, see the header Allow"),
        StatusCode::TOO_MANY_REQUESTS => ("too-many-requests", "this address asks too often; wait as Retry-After says"),
        StatusCode::SERVICE_UNAVAILABLE => ("trouble", "the request took too long; try again later"),
        StatusCode::INTERNAL_SERVER_ERROR => ("bug", "the service failed; its operator finds the reason in the log"),
        _ => ("refused", "the request cannot be served"),
    };
    let mut problem = Problem::new(status, code, detail).into_response();
    for name in [header::ALLOW, header::RETRY_AFTER] {
        if let Some(value) = response.headers().get(&name) {
            problem.headers_mut().insert(name, value.clone());
        }
    }
    problem
}

/// The answer to an explanation that could not be given.
pub(super) fn explain_refused(error: &ExplainError) -> Problem {
    match error {
        ExplainError::Session(source) => session_not_explained(source),
        ExplainError::Asker(source) => journal_refused(source),
        ExplainError::Release(source) => release_refused(source),
    }
}

fn session_not_explained(error: &SessionError) -> Problem {
    let detail = error.to_string();
    match error {
        SessionError::NotByWorker => Problem::new(StatusCode::UNAUTHORIZED, "not-by-worker", detail),
        SessionError::NoTask => Problem::new(StatusCode::NOT_FOUND, "no-task", detail),
        SessionError::OtherFramework { .. } => Problem::new(StatusCode::FORBIDDEN, "other-framework", detail),
        SessionError::Refused(refusal) => Problem::new(StatusCode::FORBIDDEN, refusal.code(), detail),
        // Explanations hand nothing over.
        SessionError::Keeper(_) | SessionError::Record(_) | SessionError::Closed(_) => Problem::trouble(detail),
        SessionError::Trouble(source) => not_found_out(source),
        SessionError::Store(source) => store_trouble(source),
    }
}

/// The answer to a request for the journal that is not granted.
pub(super) fn journal_refused(error: &JournalError) -> Problem {
    let detail = error.to_string();
    match error {
        JournalError::Stale => Problem::new(StatusCode::UNAUTHORIZED, "stale-signature", detail),
        JournalError::NoTask => Problem::new(StatusCode::NOT_FOUND, "no-task", detail),
        JournalError::NotAParty => Problem::new(StatusCode::FORBIDDEN, "not-a-party", detail),
        JournalError::Closed(_) => Problem::trouble(detail),
        JournalError::Chain(source) => chain_trouble(source),
        JournalError::Store(source) => store_trouble(source),
    }
}

pub(super) fn store_trouble(source: &strongroom_store::StoreError) -> Problem {
    error!(error = source as &dyn Error, "the store is in trouble");
    Problem::trouble("the store is in trouble; try again later")
}

fn not_found_out(source: &GatherError) -> Problem {
    match source {
        GatherError::Chain(source) => chain_trouble(source),
        GatherError::Content(source) => {
            warn!(error = source as &dyn Error, "a list of datasets could not be fetched");
            Problem::trouble(source.to_string())
        }
        GatherError::Store(source) => store_trouble(source),
    }
}

fn chain_trouble(source: &crate::owners::ReadOwnersError) -> Problem {
    warn!(error = source as &dyn Error, "the chain could not be read");
    Problem::trouble("the chain could not be read; try again later")
}
