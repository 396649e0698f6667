//! `/v1`: challenges, releases, identity.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use strongroom_attest::evidence::{MAX_EVENT_LOG_BYTES, MAX_QUOTE_BYTES};
use strongroom_protocol::address;
use strongroom_protocol::release::{ANSWER_MEDIA_TYPE, IdentityAnswer, ReleaseRequest};
use tracing::{Span, field, info};

use super::problem::{self, Problem};
use crate::Sms;
use crate::release;

/// Largest request: quote in base64, log with every quotation mark escaped, and the short fields.
pub(super) const MAX_REQUEST_BYTES: usize = 2 * MAX_QUOTE_BYTES + 2 * MAX_EVENT_LOG_BYTES + 4096;

/// `POST /v1/challenges`
pub(super) async fn challenge(State(sms): State<Arc<Sms>>) -> Response {
    let made = problem::releases(&sms)
        .and_then(|releases| releases.challenge(sms.clock.seconds()).map_err(|error| problem::store_trouble(&error)));
    match made {
        Ok(challenge) => Json(challenge).into_response(),
        Err(problem) => problem.into_response(),
    }
}

/// `GET /v1/identity`
pub(super) async fn identity(State(sms): State<Arc<Sms>>) -> Response {
    match problem::releases(&sms) {
        Ok(releases) => {
            let deployment = releases.deployment();
            Json(IdentityAnswer {
                chain_id: deployment.chain_id,
                hub: address::checksummed(&deployment.hub),
                key_id: address::checksummed(&deployment.sms),
            })
            .into_response()
        }
        Err(problem) => problem.into_response(),
    }
}

/// `POST /v1/releases`
pub(super) async fn release(State(sms): State<Arc<Sms>>, body: Body) -> Response {
    match try_release(&sms, body).await {
        Ok(answer) => {
            let media_type = HeaderValue::from_static(ANSWER_MEDIA_TYPE);
            ([(header::CONTENT_TYPE, media_type)], answer).into_response()
        }
        Err(problem) => problem.into_response(),
    }
}

async fn try_release(sms: &Sms, body: Body) -> Result<Vec<u8>, Problem> {
    let releases = problem::releases(sms)?;
    let read = sms.release_bodies.read(body, MAX_REQUEST_BYTES).await;
    let (body, _place) = read.map_err(|error| problem::body_refused(&error))?;
    let request: ReleaseRequest = serde_json::from_slice(&body)
        .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, "malformed-request", error.to_string()))?;
    if let Some(task) = release::task_of(&request) {
        Span::current().record("task", field::display(task));
    }
    let answer = releases.release(&sms.vault, &request, sms.clock.seconds()).await;
    answer.map(|answer| answer.to_bytes()).map_err(|error| {
        let problem = problem::release_refused(&error);
        info!(code = problem.code(), "release refused");
        problem
    })
}
