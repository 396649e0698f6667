//! The result proxy of the network: workers get a token for a task that they may run, enclaves upload the archive of its result with it, and
//! everybody asks where a result is. For local networks: results go into a [`content_store`](crate::content_store), tokens live as long as
//! the process.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alloy_primitives::{Address, B256, hex};
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, head, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use strongroom_content::cid::AddAs;
use strongroom_protocol::challenge::workerpool_authorization;
use strongroom_protocol::contribution::contribution_message;
use strongroom_protocol::{Signature, TaskId, address};
use tokio::task::JoinHandle;

use crate::Chain;
use crate::content_store::{Files, serve};
use crate::node::NodeError;

/// Largest upload: an archive in base64 with its surroundings, in bytes.
const MAX_BODY_BYTES: usize = 384 << 20;
/// Status number of an active task.
const ACTIVE: u8 = 1;

/// The running proxy. Dropping it stops it.
#[derive(Debug)]
pub struct ResultProxy {
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Drop for ResultProxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

struct Proxy {
    chain: Chain,
    files: Files,
    state: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// Whose a token is.
    tokens: HashMap<String, Address>,
    /// Which enclave may deliver for which worker.
    expected: HashMap<(TaskId, Address), Address>,
    /// Where results are.
    results: HashMap<TaskId, String>,
}

impl ResultProxy {
    /// Serves on a port of 127.0.0.1; 0 for any free one. Results go to `files`.
    pub async fn start(chain: Chain, files: Files, port: u16) -> io::Result<Self> {
        let proxy = Arc::new(Proxy { chain, files, state: Mutex::default() });
        let (address, serving) = serve(router(proxy), port).await?;
        Ok(Self { address, serving })
    }

    /// Where it answers.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

fn router(proxy: Arc<Proxy>) -> Router {
    Router::new()
        .route("/v1/results/token", post(token))
        .route("/v1/results", post(upload))
        .route("/v1/results/{task}", head(uploaded))
        .route("/v1/results/{task}/ipfshash", get(location))
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(proxy)
}

impl Proxy {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whose the token in the header is.
    fn holder(&self, headers: &HeaderMap) -> Result<Address, StatusCode> {
        let token = headers.get(header::AUTHORIZATION).and_then(|token| token.to_str().ok());
        token.and_then(|token| self.known().tokens.get(token).copied()).ok_or(StatusCode::UNAUTHORIZED)
    }

    /// Whether the task is active and `pool_signature` is by the owner of its workerpool.
    async fn authorised(&self, asked: &Asked, pool_signature: &Signature) -> Result<bool, NodeError> {
        let task = self.chain.task(B256::from(*asked.task.as_bytes())).await?;
        if task.status != ACTIVE {
            return Ok(false);
        }
        let deal = self.chain.deal(task.dealid).await?;
        // Bit 0 of a tag: an enclave is asked for, and only enclaves deliver here.
        let in_enclave = deal.tag[31] & 1 == 1 && !asked.challenge.is_zero();
        Ok(in_enclave && pool_signature.is_by(deal.workerpool.owner, asked.message()))
    }
}

/// WorkerpoolAuthorization, as workers send it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuthorizationText {
    chain_task_id: String,
    worker_wallet: String,
    enclave_challenge: String,
    signature: SignatureText,
}

#[derive(Deserialize)]
struct SignatureText {
    value: String,
}

/// The same, read.
struct Asked {
    task: TaskId,
    worker: Address,
    challenge: Address,
}

impl Asked {
    fn read(text: &AuthorizationText) -> Option<Self> {
        Some(Self {
            task: text.chain_task_id.to_ascii_lowercase().parse().ok()?,
            worker: address::parse_any_case(&text.worker_wallet).ok()?,
            challenge: address::parse_any_case(&text.enclave_challenge).ok()?,
        })
    }

    fn message(&self) -> B256 {
        workerpool_authorization(self.worker, self.task, self.challenge)
    }
}

async fn token(State(proxy): State<Arc<Proxy>>, headers: HeaderMap, Json(text): Json<AuthorizationText>) -> Response {
    let by_worker = headers.get(header::AUTHORIZATION).and_then(|text| text.to_str().ok()?.parse::<Signature>().ok());
    let (Some(asked), Some(by_worker), Ok(by_pool)) = (Asked::read(&text), by_worker, text.signature.value.parse())
    else {
        return StatusCode::UNAUTHORIZED.into_response();
    };
    if !by_worker.is_by(asked.worker, asked.message()) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    match proxy.authorised(&asked, &by_pool).await {
        Ok(true) => {}
        Ok(false) => return StatusCode::UNAUTHORIZED.into_response(),
        Err(_) => return StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
    let mut known = proxy.known();
    known.expected.insert((asked.task, asked.worker), asked.challenge);
    // One token for each wallet, for good.
    if let Some(token) = known.tokens.iter().find_map(|(token, holder)| (*holder == asked.worker).then_some(token)) {
        return token.clone().into_response();
    }
    let mut random = [0; 32];
    if getrandom::fill(&mut random).is_err() {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let token = hex::encode(random);
    known.tokens.insert(token.clone(), asked.worker);
    token.into_response()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResultText {
    chain_task_id: String,
    determinist_hash: String,
    enclave_signature: String,
    zip: Zip,
}

/// Existing clients write bytes in one of two ways.
#[derive(Deserialize)]
#[serde(untagged)]
enum Zip {
    Base64(String),
    Bytes(Vec<u8>),
}

async fn upload(State(proxy): State<Arc<Proxy>>, headers: HeaderMap, Json(text): Json<ResultText>) -> Response {
    let worker = match proxy.holder(&headers) {
        Ok(worker) => worker,
        Err(status) => return status.into_response(),
    };
    let refused = StatusCode::UNAUTHORIZED.into_response();
    let (Ok(task), Ok(digest), Ok(signature)) = (
        text.chain_task_id.to_ascii_lowercase().parse::<TaskId>(),
        text.determinist_hash.parse::<B256>(),
        text.enclave_signature.parse::<Signature>(),
    ) else {
        return refused;
    };
    let expected = proxy.known().expected.get(&(task, worker)).copied();
    let signed = expected.is_some_and(|enclave| signature.is_by(enclave, contribution_message(worker, task, digest)));
    if !signed || proxy.known().results.contains_key(&task) {
        return refused;
    }
    let archive = match text.zip {
        Zip::Bytes(bytes) => bytes,
        Zip::Base64(text) => match STANDARD.decode(text) {
            Ok(bytes) => bytes,
            Err(_) => return (StatusCode::BAD_REQUEST, "zip is not base64").into_response(),
        },
    };
    let files = proxy.files.clone();
    match tokio::task::spawn_blocking(move || files.add(&archive, AddAs::V0)).await {
        Ok(Ok(cid)) => {
            let location = format!("/ipfs/{cid}");
            let mut known = proxy.known();
            known.expected.remove(&(task, worker));
            known.results.insert(task, cid.to_string());
            location.into_response()
        }
        _ => StatusCode::BAD_REQUEST.into_response(),
    }
}

async fn uploaded(State(proxy): State<Arc<Proxy>>, Path(task): Path<String>, headers: HeaderMap) -> StatusCode {
    match (proxy.holder(&headers), task.parse::<TaskId>()) {
        (Err(status), _) => status,
        (Ok(_), Ok(task)) if proxy.known().results.contains_key(&task) => StatusCode::NO_CONTENT,
        _ => StatusCode::NOT_FOUND,
    }
}

async fn location(State(proxy): State<Arc<Proxy>>, Path(task): Path<String>) -> Response {
    let found = task.parse().ok().and_then(|task: TaskId| proxy.known().results.get(&task).cloned());
    found.map_or_else(|| StatusCode::NOT_FOUND.into_response(), IntoResponse::into_response)
}
