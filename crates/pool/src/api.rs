//! What the scheduler tells about tasks over HTTP, as the network's SDK and command line read it: the task's course for
//! everybody, what its app printed for its requester, counters and health for operators.

use std::sync::Arc;

use alloy_primitives::{B256, Keccak256};
use alloy_sol_types::{Eip712Domain, SolStruct, sol};
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use strongroom_protocol::address::{checksummed, parse_any_case};
use strongroom_protocol::{Address, Signature, TaskId};
use tracing::error;

use crate::metrics::Metrics;
use crate::outside::{Clock, Ledger, with_causes};
use crate::room::Room;
use crate::store::Store;

mod model;

/// A challenge to read logs is good for this long, and as long again.
const CHALLENGE_SECONDS: u64 = 3600;
/// Browsers may remember the answer to a preflight for this many seconds.
const PREFLIGHT_SECONDS: &str = "1800";
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const PROMETHEUS_TEXT: HeaderValue = HeaderValue::from_static("text/plain;version=0.0.4;charset=utf-8");

sol! {
    /// What a requester signs to read logs.
    struct Challenge {
        string challenge;
    }
}

/// What the API works with.
pub struct Api {
    /// Tasks and logs.
    pub store: Store,
    /// Who the requester of a deal is.
    pub ledger: Arc<dyn Ledger>,
    /// The time.
    pub clock: Clock,
    /// Chain id, part of what requesters sign.
    pub chain_id: u64,
    /// The worker whose replicates are shown.
    pub worker: Address,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Places for enclaves.
    pub room: Room,
    /// Origins of pages that may call; `*` for all.
    pub cors: Vec<String>,
    /// Makes challenges that nobody else can; random at each start.
    pub salt: [u8; 32],
}

/// Version, counters, health.
fn for_operators() -> Router<Arc<Api>> {
    Router::new()
        .route("/version", get(|| async { env!("CARGO_PKG_VERSION") }))
        .route("/metrics", get(metrics))
        .route("/actuator/prometheus", get(metrics))
        .route("/actuator/health", get(health))
}

fn with_fallback(routes: Router<Arc<Api>>, api: Arc<Api>) -> Router {
    routes
        .fallback(|| async { Problem(StatusCode::NOT_FOUND, "no such page") })
        .layer(middleware::from_fn_with_state(Arc::clone(&api), cors))
        .with_state(api)
}

/// An answer that is not what was asked for.
struct Problem(StatusCode, &'static str);

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

impl Api {
    /// The routes.
    pub fn router(self) -> Router {
        let api = Arc::new(self);
        let tasks = Router::new()
            .route("/tasks/logs/challenge", get(challenge))
            .route("/tasks/{task}", get(task))
            .route("/tasks/{task}/logs", get(logs))
            .route("/tasks/{task}/replicates/{wallet}", get(replicate))
            .route("/tasks/{task}/replicates/{wallet}/logs", get(replicate_logs));
        with_fallback(tasks.merge(for_operators()), api)
    }

    /// The routes of a worker without scheduler: nothing about tasks.
    pub fn router_of_worker(self) -> Router {
        with_fallback(for_operators(), Arc::new(self))
    }

    async fn model(&self, task: &str) -> Result<(TaskId, Value), Problem> {
        let id = parse_task(task)?;
        let unknown = Problem(StatusCode::NOT_FOUND, "this pool does not know the task");
        let course = self.store.course(id).await.map_err(|error| trouble(&error))?.ok_or(unknown)?;
        Ok((id, model::task(&course.task, &course.changes, course.link.as_deref(), self.worker)))
    }

    /// The challenge of `address` in the hour that began `hours_ago` hours ago.
    fn challenge_text(&self, address: Address, hours_ago: u64) -> String {
        let hour = (self.clock.now().0 / CHALLENGE_SECONDS).saturating_sub(hours_ago);
        let mut hash = Keccak256::new();
        hash.update(self.salt);
        hash.update(address);
        hash.update(hour.to_be_bytes());
        format!("Sign this message to read the logs of your tasks: {}", hex::encode(hash.finalize()))
    }

    fn digest(&self, challenge: String) -> B256 {
        let domain = Eip712Domain {
            name: Some("iExec Core".into()),
            version: Some("1".into()),
            chain_id: Some(alloy_primitives::U256::from(self.chain_id)),
            ..Eip712Domain::default()
        };
        Challenge { challenge }.eip712_signing_hash(&domain)
    }

    /// Whether the header is the answer of `requester` to a challenge of ours.
    fn is_signed_by(&self, requester: Address, headers: &HeaderMap) -> Option<bool> {
        let header = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
        let mut parts = header.split('_');
        let (hash, signature, address) = (parts.next()?, parts.next()?, parts.next()?);
        let (hash, signature): (B256, Signature) = (hash.parse().ok()?, signature.parse().ok()?);
        let address = parse_any_case(address).ok()?;
        let ours = [0, 1].map(|hours_ago| self.digest(self.challenge_text(address, hours_ago)));
        let signed = ours.contains(&hash) && signature.recover_digest(hash) == Ok(address);
        signed.then_some(address == requester)
    }

    async fn logs(&self, task: &str, headers: &HeaderMap) -> Result<Value, Problem> {
        let (id, _) = self.model(task).await?;
        let deal = self.store.task(id).await.map_err(|error| trouble(&error))?.map(|task| task.deal);
        let deal = deal.ok_or(Problem(StatusCode::NOT_FOUND, "this pool does not know the task"))?;
        let deal = self.ledger.deal(deal).await.map_err(|error| {
            tracing::warn!(error = with_causes(&error), "the chain could not be read");
            Problem(StatusCode::SERVICE_UNAVAILABLE, "the chain cannot be read; try again later")
        })?;
        match self.is_signed_by(deal.deal.requester, headers) {
            None => return Err(Problem(StatusCode::UNAUTHORIZED, "sign a challenge of /tasks/logs/challenge")),
            Some(false) => return Err(Problem(StatusCode::FORBIDDEN, "only the requester of the task may read them")),
            Some(true) => {}
        }
        let logs = self.store.logs(id).await.map_err(|error| trouble(&error))?;
        let logs = logs.ok_or(Problem(StatusCode::NOT_FOUND, "there are no logs of this task"))?;
        Ok(json!({ "walletAddress": checksummed(&self.worker), "stdout": logs.stdout, "stderr": logs.stderr }))
    }
}

async fn task(State(api): State<Arc<Api>>, Path(task): Path<String>) -> Response {
    answer(api.model(&task).await.map(|(_, model)| model))
}

async fn replicate(State(api): State<Arc<Api>>, Path((task, wallet)): Path<(String, String)>) -> Response {
    let found = api.model(&task).await.and_then(|(_, model)| {
        let ours = parse_any_case(&wallet).is_ok_and(|wallet| wallet == api.worker);
        let replicate = model["replicates"].get(0).filter(|_| ours).cloned();
        replicate.ok_or(Problem(StatusCode::NOT_FOUND, "this worker has not worked on the task"))
    });
    answer(found)
}

async fn logs(State(api): State<Arc<Api>>, Path(task): Path<String>, headers: HeaderMap) -> Response {
    let list = |logs| json!({ "chainTaskId": task.to_ascii_lowercase(), "computeLogsList": [logs] });
    answer(api.logs(&task, &headers).await.map(list))
}

async fn replicate_logs(
    State(api): State<Arc<Api>>,
    Path((task, wallet)): Path<(String, String)>,
    headers: HeaderMap,
) -> Response {
    if parse_any_case(&wallet) != Ok(api.worker) {
        return Problem(StatusCode::NOT_FOUND, "this worker has not worked on the task").into_response();
    }
    answer(api.logs(&task, &headers).await)
}

#[derive(Deserialize)]
struct Who {
    address: String,
}

/// Typed data, ready to be signed by a wallet.
async fn challenge(State(api): State<Arc<Api>>, Query(who): Query<Who>) -> Response {
    let Ok(address) = parse_any_case(&who.address) else {
        return Problem(StatusCode::BAD_REQUEST, "address is not an address").into_response();
    };
    let member = |name: &str, kind: &str| json!({ "name": name, "type": kind });
    Json(json!({
        "primaryType": "Challenge",
        "types": {
            "EIP712Domain": [member("name", "string"), member("version", "string"), member("chainId", "uint256")],
            "Challenge": [member("challenge", "string")],
        },
        "domain": { "name": "iExec Core", "version": "1", "chainId": api.chain_id },
        "message": { "challenge": api.challenge_text(address, 0) },
    }))
    .into_response()
}

async fn metrics(State(api): State<Arc<Api>>) -> Response {
    match api.store.counts().await {
        Ok(counts) => {
            ([(header::CONTENT_TYPE, PROMETHEUS_TEXT)], api.metrics.text(&counts, api.room.free())).into_response()
        }
        Err(error) => trouble(&error).into_response(),
    }
}

/// DOWN while the state or the chain cannot be read.
async fn health(State(api): State<Arc<Api>>) -> Response {
    let up = api.store.cursor().await.is_ok() && api.ledger.head().await.is_ok();
    let (status, word) = if up { (StatusCode::OK, "UP") } else { (StatusCode::SERVICE_UNAVAILABLE, "DOWN") };
    (status, Json(json!({ "status": word }))).into_response()
}

/// Lets pages of the configured origins read every answer.
async fn cors(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let allowed =
        origin.filter(|origin| api.cors.iter().any(|open| open == "*" || open.as_bytes() == origin.as_bytes()));
    let is_preflight =
        request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let asked = request.headers().get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned();
    let mut response = if is_preflight {
        let status = if allowed.is_some() { StatusCode::OK } else { StatusCode::FORBIDDEN };
        status.into_response()
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("Origin"));
    if let Some(origin) = allowed {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if is_preflight {
            headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET"));
            headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(PREFLIGHT_SECONDS));
            if let Some(asked) = asked {
                headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, asked);
            }
        }
    }
    response
}

fn answer(found: Result<Value, Problem>) -> Response {
    match found {
        Ok(value) => ([(header::CONTENT_TYPE, JSON)], value.to_string()).into_response(),
        Err(problem) => problem.into_response(),
    }
}

fn parse_task(text: &str) -> Result<TaskId, Problem> {
    text.to_ascii_lowercase().parse().map_err(|_| Problem(StatusCode::BAD_REQUEST, "the task id is not one"))
}

fn trouble(error: &crate::store::StoreError) -> Problem {
    error!(error = with_causes(error), "the state of the pool cannot be read");
    Problem(StatusCode::SERVICE_UNAVAILABLE, "the pool is in trouble; try again later")
}

#[cfg(test)]
mod tests;
