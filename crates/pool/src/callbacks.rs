//! What an enclave tells its worker: reasons of failures, and the signed result. One service per task, on a Unix socket that
//! only this task's relay leads to; statuses and bodies are those of the network's worker.
//!
//! The enclave signs with the key of the task's enclave challenge. What it delivers is verified and durable before the
//! answer 200 leaves.

use std::sync::Arc;

use alloy_primitives::B256;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde::Deserialize;
use strongroom_protocol::contribution::{contribution_message, worker_api_message};
use strongroom_protocol::{Address, Signature, TaskId};
use tracing::{error, info};

use crate::cause::{Cause, Failure};
use crate::outside::with_causes;
use crate::store::Store;
use crate::task::Computed;

/// Largest body: a result's callback data go on chain, so they are small.
const MAX_BODY_BYTES: usize = 1 << 20;
/// Most causes taken from one report.
const MAX_CAUSES: usize = 16;

/// The service of one task.
#[derive(Clone)]
pub struct Callbacks {
    /// Where it is kept.
    pub store: Store,
    /// The task.
    pub task: TaskId,
    /// The worker for whom the enclave signs.
    pub worker: Address,
    /// The address of the key with which it signs.
    pub challenge: Address,
    /// Whether the deal has a callback: the digest is then that of the callback's bytes.
    pub has_callback: bool,
}

#[derive(Clone, Copy)]
enum Stage {
    Pre,
    Post,
}

#[derive(Deserialize)]
struct Report {
    cause: String,
    #[serde(default)]
    message: Option<String>,
}

/// `computed.json` as the enclave completed it. Other members are ignored.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct ComputedFile {
    task_id: Option<String>,
    result_digest: Option<String>,
    enclave_signature: Option<String>,
    callback_data: Option<String>,
}

impl Callbacks {
    /// The routes.
    pub fn router(self) -> Router {
        Router::new()
            .route("/compute/pre/{task}/exit-causes", post(pre_causes))
            .route("/compute/post/{task}/exit-causes", post(post_causes))
            .route("/compute/pre/{task}/exit", post(pre_exit))
            .route("/compute/post/{task}/exit", post(post_exit))
            .route("/compute/post/{task}/computed", post(computed))
            .route("/iexec_out/{task}/computed", post(computed))
            .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
            .with_state(Arc::new(self))
    }

    /// 404 for another task, 401 unless the enclave signed.
    fn admit(&self, task: &str, headers: &HeaderMap) -> Result<(), StatusCode> {
        if task.to_ascii_lowercase().parse() != Ok(self.task) {
            return Err(StatusCode::NOT_FOUND);
        }
        let signature =
            headers.get(header::AUTHORIZATION).and_then(|text| text.to_str().ok()?.parse::<Signature>().ok());
        let message = worker_api_message(self.task, self.worker);
        let signed = signature.is_some_and(|signature| signature.is_by(self.challenge, message));
        if signed { Ok(()) } else { Err(StatusCode::UNAUTHORIZED) }
    }

    async fn take_report(&self, stage: Stage, reports: Vec<Report>) -> StatusCode {
        if reports.is_empty() {
            return StatusCode::BAD_REQUEST;
        }
        let mut failures = Vec::new();
        for report in reports.into_iter().take(MAX_CAUSES) {
            let Some(cause) = Cause::from_name(&report.cause) else { return StatusCode::BAD_REQUEST };
            failures.push(Failure::new(cause, report.message.unwrap_or_default()));
        }
        let stage = match stage {
            Stage::Pre => "pre",
            Stage::Post => "post",
        };
        info!(task = %self.task, stage, cause = %failures[0].cause, "the enclave reports a failure");
        match self.store.report(self.task, failures).await {
            Ok(true) => StatusCode::OK,
            Ok(false) => StatusCode::ALREADY_REPORTED,
            Err(trouble) => in_trouble(&trouble),
        }
    }

    /// Judges what was delivered: nothing is kept that the hub would not take.
    fn verify(&self, file: &ComputedFile) -> Result<Computed, StatusCode> {
        let names_task = file.task_id.as_deref().map(str::to_ascii_lowercase);
        if names_task.as_deref() != Some(self.task.to_string().as_str()) {
            return Err(StatusCode::BAD_REQUEST);
        }
        let refused = StatusCode::UNAUTHORIZED;
        let digest = file.result_digest.as_deref().and_then(|text| text.parse::<B256>().ok());
        let digest = digest.filter(|digest| !digest.is_zero()).ok_or(refused)?;
        let text = file.enclave_signature.as_deref().filter(|text| text.len() == 132).ok_or(refused)?;
        let signature: Signature = text.parse().map_err(|_| refused)?;
        if !signature.is_by(self.challenge, contribution_message(self.worker, self.task, digest)) {
            return Err(refused);
        }
        let callback = if self.has_callback { file.callback_data.clone().unwrap_or_default() } else { String::new() };
        let bytes = hex::decode(callback.strip_prefix("0x").unwrap_or(&callback)).map_err(|_| refused)?;
        if self.has_callback && alloy_primitives::keccak256(&bytes) != digest {
            return Err(refused);
        }
        Ok(Computed {
            result_digest: digest,
            enclave_signature: signature.to_string(),
            callback_data: format!("0x{}", hex::encode(bytes)),
        })
    }
}

async fn pre_causes(state: State<Arc<Callbacks>>, task: Path<String>, headers: HeaderMap, body: Bytes) -> StatusCode {
    causes(Stage::Pre, &state, &task, &headers, serde_json::from_slice(&body)).await
}

async fn post_causes(state: State<Arc<Callbacks>>, task: Path<String>, headers: HeaderMap, body: Bytes) -> StatusCode {
    causes(Stage::Post, &state, &task, &headers, serde_json::from_slice(&body)).await
}

/// The old form, with one cause.
async fn pre_exit(state: State<Arc<Callbacks>>, task: Path<String>, headers: HeaderMap, body: Bytes) -> StatusCode {
    causes(Stage::Pre, &state, &task, &headers, serde_json::from_slice(&body).map(|one| vec![one])).await
}

/// The old form, with one cause.
async fn post_exit(state: State<Arc<Callbacks>>, task: Path<String>, headers: HeaderMap, body: Bytes) -> StatusCode {
    causes(Stage::Post, &state, &task, &headers, serde_json::from_slice(&body).map(|one| vec![one])).await
}

async fn causes(
    stage: Stage,
    callbacks: &Callbacks,
    task: &str,
    headers: &HeaderMap,
    reports: serde_json::Result<Vec<Report>>,
) -> StatusCode {
    match (callbacks.admit(task, headers), reports) {
        (Err(status), _) => status,
        (Ok(()), Err(_)) => StatusCode::BAD_REQUEST,
        (Ok(()), Ok(reports)) => callbacks.take_report(stage, reports).await,
    }
}

async fn computed(
    State(callbacks): State<Arc<Callbacks>>,
    Path(task): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if let Err(status) = callbacks.admit(&task, &headers) {
        return status.into_response();
    }
    let Ok(file) = serde_json::from_slice::<ComputedFile>(&body) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let delivered = match callbacks.verify(&file) {
        Ok(delivered) => delivered,
        Err(status) => return status.into_response(),
    };
    match callbacks.store.deliver(callbacks.task, delivered).await {
        Ok(true) => (StatusCode::OK, callbacks.task.to_string()).into_response(),
        // It was delivered before, or the task is not running any more.
        Ok(false) => StatusCode::UNAUTHORIZED.into_response(),
        Err(trouble) => in_trouble(&trouble).into_response(),
    }
}

fn in_trouble(trouble: &crate::store::StoreError) -> StatusCode {
    error!(error = with_causes(trouble), "what an enclave says cannot be kept");
    StatusCode::SERVICE_UNAVAILABLE
}

#[cfg(test)]
mod tests;
