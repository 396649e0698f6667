//! The paths of the book and their answers: `{"ok":true,…}`, or `{"ok":false,"error":"…"}` with a status.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use alloy_primitives::{B256, U256};
use axum::extract::{DefaultBodyLimit, Path, Query, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use strongroom_protocol::address::parse_any_case;

use super::Book;
use super::listing::{self, ListError, Parameters};
use super::order::{AnyOrder, Kind};
use super::publishing::{Refusal, Target};
use crate::contracts::Hub;

/// Largest request, in bytes: an order with long parameters.
const MAX_BODY_BYTES: usize = 256 << 10;

/// What the book answers instead of what was asked for.
struct Failure {
    status: StatusCode,
    error: String,
}

impl Failure {
    fn new(status: StatusCode, error: impl Into<String>) -> Self {
        Self { status, error: error.into() }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "ok": false, "error": self.error }))).into_response()
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal {
            Refusal::Order(_) => StatusCode::BAD_REQUEST,
            Refusal::Rule(_) | Refusal::Stake { .. } | Refusal::TooMany | Refusal::NotTheSigner(_) => {
                StatusCode::FORBIDDEN
            }
            Refusal::Unknown { .. } => StatusCode::NOT_FOUND,
            Refusal::Chain(_) | Refusal::Node(_) => StatusCode::SERVICE_UNAVAILABLE,
            Refusal::Database(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, refusal.to_string())
    }
}

impl From<ListError> for Failure {
    fn from(error: ListError) -> Self {
        match error {
            ListError::Search(search) => Self::new(StatusCode::BAD_REQUEST, search.to_string()),
            ListError::Database(error) => Refusal::Database(error).into(),
        }
    }
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Refusal::Database(error).into()
    }
}

type Answered = Result<Json<Value>, Failure>;
type Asked = (State<Arc<Book>>, Query<HashMap<String, String>>);

pub(super) fn router(book: Arc<Book>) -> Router {
    let mut router = Router::new()
        .route("/challenge", get(challenge))
        .route("/deals", get(deals))
        .route("/deals/{id}", get(deal))
        .route("/categories", get(categories))
        .route("/categories/{id}", get(category))
        .route("/version", get(version));
    for kind in Kind::ALL {
        let list = format!("/{}orders", kind.word());
        router = router
            .route(
                &list,
                get(async move |asked: Asked| list_orders(kind, asked))
                    .post(move |state, query, headers, body| publish(kind, (state, query), headers, body))
                    .put(async move |state, query, headers, body: Json<Value>| {
                        unpublish(kind, (state, query), &headers, &body)
                    }),
            )
            .route(&format!("{list}/{{hash}}"), get(async move |path, asked: Asked| one_order(kind, path, asked)));
    }
    router.fallback(unknown).layer(DefaultBodyLimit::max(MAX_BODY_BYTES)).with_state(book)
}

async fn unknown(method: Method, uri: Uri) -> Failure {
    Failure::new(StatusCode::NOT_FOUND, format!("there is no {method} {}", uri.path()))
}

/// The parameters of a request about this chain.
fn parameters(book: &Book, query: HashMap<String, String>) -> Result<Parameters, Failure> {
    let parameters = Parameters(query);
    let served = book.contracts.deployment.chain_id;
    match parameters.text("chainId") {
        Some(asked) if asked.parse() == Ok(served) => Ok(parameters),
        Some(asked) => {
            Err(Failure::new(StatusCode::BAD_REQUEST, format!("chain {asked} is not served here; chain {served} is")))
        }
        None => Err(Failure::new(StatusCode::BAD_REQUEST, "chainId is required")),
    }
}

async fn version() -> Json<Value> {
    Json(json!({ "ok": true, "version": env!("CARGO_PKG_VERSION") }))
}

async fn challenge((State(book), Query(query)): Asked) -> Answered {
    let parameters = parameters(&book, query)?;
    let needed = || Failure::new(StatusCode::BAD_REQUEST, "address is required");
    let wallet = parameters.address("address").map_err(ListError::from)?.ok_or_else(needed)?;
    let challenge = book.logins().challenge(book.contracts.deployment.chain_id, wallet, Instant::now());
    Ok(Json(json!({ "ok": true, "data": challenge.to_typed_data() })))
}

/// The wallet that signed its challenge.
fn logged_in(book: &Book, headers: &HeaderMap) -> Result<alloy_primitives::Address, Failure> {
    let header = headers.get(header::AUTHORIZATION).and_then(|text| text.to_str().ok());
    let wallet = header.and_then(|header| book.logins().take(header, Instant::now()));
    wallet.ok_or_else(|| Failure::new(StatusCode::FORBIDDEN, "invalid authorization"))
}

async fn publish(kind: Kind, (State(book), Query(query)): Asked, headers: HeaderMap, body: Json<Value>) -> Answered {
    parameters(&book, query)?;
    let domain = book.contracts.deployment.domain();
    let order = AnyOrder::read(kind, &body["order"], &domain).map_err(Refusal::from)?;
    let by = logged_in(&book, &headers)?;
    let now = jiff::Timestamp::now().as_millisecond();
    let published = book.publish(&order, by, now).await?;
    Ok(Json(json!({ "ok": true, "published": published.to_json(book.contracts.deployment.chain_id) })))
}

fn unpublish(kind: Kind, (State(book), Query(query)): Asked, headers: &HeaderMap, body: &Value) -> Answered {
    parameters(&book, query)?;
    let target = target(kind, body)?;
    let by = logged_in(&book, headers)?;
    let hashes = book.unpublish(kind, &target, by)?;
    Ok(Json(json!({ "ok": true, "unpublished": hashes })))
}

fn target(kind: Kind, body: &Value) -> Result<Target, Failure> {
    let subject = kind.subject();
    let needs = |what: &str| Failure::new(StatusCode::BAD_REQUEST, format!("{what} is required"));
    let address = || body[subject].as_str().and_then(|text| parse_any_case(text).ok()).ok_or_else(|| needs(subject));
    match body["target"].as_str() {
        Some("unpublish_orderHash") => {
            let hash = body["orderHash"].as_str().and_then(|text| text.parse().ok());
            hash.map(Target::Order).ok_or_else(|| needs("orderHash"))
        }
        Some("unpublish_last") => address().map(Target::Last),
        Some("unpublish_all") => address().map(Target::All),
        _ => Err(needs("target (unpublish_orderHash, unpublish_last or unpublish_all)")),
    }
}

fn list_orders(kind: Kind, (State(book), Query(query)): Asked) -> Answered {
    let parameters = parameters(&book, query)?;
    let chain_id = book.contracts.deployment.chain_id;
    let found = listing::orders(&book.records(), kind, &parameters, chain_id)?;
    Ok(Json(found))
}

fn one_order(kind: Kind, Path(hash): Path<String>, (State(book), Query(query)): Asked) -> Answered {
    parameters(&book, query)?;
    let hash = word(&hash, "the hash of an order")?;
    let found = book.records().order(kind, hash)?;
    let order = found.ok_or(Refusal::Unknown { kind: kind.word(), hash })?;
    let mut answer = order.to_json(book.contracts.deployment.chain_id);
    answer["ok"] = true.into();
    answer["count"] = 1.into();
    Ok(Json(answer))
}

fn word(text: &str, what: &str) -> Result<B256, Failure> {
    text.parse().map_err(|_| Failure::new(StatusCode::BAD_REQUEST, format!("{what} is 0x and 64 hex digits")))
}

async fn deals((State(book), Query(query)): Asked) -> Answered {
    let parameters = parameters(&book, query)?;
    Ok(Json(listing::deals(&book.records(), &parameters)?))
}

async fn deal(Path(id): Path<String>, (State(book), Query(query)): Asked) -> Answered {
    parameters(&book, query)?;
    let id = word(&id, "the id of a deal")?;
    let found = listing::deal(&book.records(), id)?;
    let mut deal = found.ok_or_else(|| Failure::new(StatusCode::NOT_FOUND, format!("no deal {id} was seen")))?;
    deal["ok"] = true.into();
    Ok(Json(deal))
}

async fn categories((State(book), Query(query)): Asked) -> Answered {
    parameters(&book, query)?;
    let hub = book.contracts.deployment.hub;
    let count = book.contracts.node.call(hub, &Hub::countCategoryCall {}).await.map_err(Refusal::from)?;
    let mut categories = Vec::new();
    for id in 0..u64::try_from(count).unwrap_or(0) {
        categories.push(category_of(&book, id).await?);
    }
    Ok(Json(json!({ "ok": true, "count": categories.len(), "categories": categories })))
}

async fn category(Path(id): Path<u64>, (State(book), Query(query)): Asked) -> Answered {
    parameters(&book, query)?;
    let hub = book.contracts.deployment.hub;
    let count = book.contracts.node.call(hub, &Hub::countCategoryCall {}).await.map_err(Refusal::from)?;
    if U256::from(id) >= count {
        return Err(Failure::new(StatusCode::NOT_FOUND, format!("there is no category {id}; there are {count}")));
    }
    let mut category = category_of(&book, id).await?;
    category["ok"] = true.into();
    Ok(Json(category))
}

async fn category_of(book: &Book, id: u64) -> Result<Value, Failure> {
    let question = Hub::viewCategoryCall { id: U256::from(id) };
    let category = book.contracts.node.call(book.contracts.deployment.hub, &question).await.map_err(Refusal::from)?;
    Ok(json!({
        "catid": id,
        "name": category.name,
        "description": category.description,
        "workClockTimeRef": u64::try_from(category.workClockTimeRef).unwrap_or(u64::MAX),
    }))
}
