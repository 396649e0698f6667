//! Every route, and what happens around each of them: spans, CORS, limits, time-outs, panics, error bodies.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use futures_util::FutureExt as _;
use tracing::{Instrument as _, error, info, info_span};

use super::cors::Cors;
use super::framework_error::{self, FrameworkError};
use super::{
    admin, error_response, openapi, operations, percent, problem, releases, secrets_account, secrets_app,
    secrets_dataset, secrets_requester, task_views, tee, tee_session,
};
use crate::Sms;
use crate::rate_limit::peer_key;

/// The address at the other end of the connection, put into every request by the server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// Stands in metrics and logs for paths that match no route.
const NO_ROUTE: &str = "(none)";
/// Where errors are problems of RFC 9457.
const NEW_DIALECT: &str = "/v1/";
const HEALTH: &str = "/actuator/health";

/// All routes of the service.
pub(crate) fn router(sms: Arc<Sms>) -> Router {
    Router::new()
        .route("/apps/{appAddress}/secrets", post(secrets_app::push).head(secrets_app::check))
        .route(
            "/requesters/{requesterAddress}/secrets/{secretKey}",
            post(secrets_requester::push).head(secrets_requester::check),
        )
        .route("/secrets/web2", post(secrets_account::push).put(secrets_account::replace).head(secrets_account::check))
        .route("/secrets/web3", post(secrets_dataset::push).head(secrets_dataset::check))
        .route("/tee/framework", get(tee::framework))
        .route("/tee/properties/{teeFramework}", get(tee::first_properties))
        .route("/tee/properties/{teeFramework}/{version}", get(tee::properties))
        .route("/tee/challenges/{chainTaskId}", post(tee_session::challenge))
        .route("/tee/sessions", post(tee_session::session))
        .route("/v1/challenges", post(releases::challenge))
        .route("/v1/identity", get(releases::identity))
        .route("/v1/releases", post(releases::release))
        .route("/v1/explain", post(task_views::explain))
        .route("/v1/journal/{task}", get(task_views::journal))
        .route("/version", get(operations::version))
        .route("/metrics", get(operations::metrics))
        .route("/actuator", get(operations::links))
        .route(HEALTH, get(operations::health))
        .route("/actuator/prometheus", get(operations::prometheus))
        .route("/v3/api-docs", get(openapi::json))
        .route("/v3/api-docs.yaml", get(openapi::yaml))
        .route("/swagger-ui.html", get(openapi::to_page))
        .route("/swagger-ui", get(openapi::to_page))
        .route("/swagger-ui/{*file}", get(openapi::page))
        .route("/admin/backup", post(admin::backup))
        .route("/admin/{storageID}/replicate-backup", post(admin::replicate))
        .route("/admin/{storageID}/restore-backup", post(admin::restore))
        .route("/admin/{storageID}/delete-backup", delete(admin::delete))
        .route("/admin/{storageID}/copy-to/{destinationStorageID}", post(admin::copy))
        .fallback(no_such_route)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn_with_state(Arc::clone(&sms), around))
        .with_state(sms)
}

async fn no_such_route() -> Response {
    FrameworkError::new(StatusCode::NOT_FOUND).into_response()
}

/// The router adds the header `Allow`.
async fn wrong_method(method: Method) -> Response {
    if method == Method::OPTIONS {
        return StatusCode::OK.into_response();
    }
    FrameworkError::new(StatusCode::METHOD_NOT_ALLOWED).into_response()
}

/// Around every request: what is logged, counted and added to every answer.
async fn around(State(sms): State<Arc<Sms>>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let route = request.extensions().get::<MatchedPath>().cloned();
    let route = route.as_ref().map_or(NO_ROUTE, MatchedPath::as_str);
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let wants_html = framework_error::wants_html(request.headers());
    let cors = Cors::of(&request, route);
    let peer = peer(&sms, &request);
    let span = info_span!(
        "request",
        id = sms.next_request_id(),
        method = known_method(&method),
        route,
        peer = peer.map(tracing::field::display),
        kind = tracing::field::Empty,
        address = tracing::field::Empty,
        task = tracing::field::Empty,
    );

    let answer = answer(&sms, request, next, route, peer, &cors).instrument(span.clone()).await;
    let answer = if path.starts_with(NEW_DIALECT) { problem::unify(answer) } else { answer };
    let answer = framework_error::complete(answer, &path, wants_html, sms.clock.now());
    let response = cors.decorate(answer);

    let (status, took) = (response.status().as_u16(), began.elapsed());
    sms.metrics.observe_request(known_method(&method), route, status, took);
    span.in_scope(|| info!(status, took_us = took.as_micros(), "answered"));
    response
}

/// What comes before the handler, cheapest first, and what catches its failures.
async fn answer(sms: &Sms, request: Request, next: Next, route: &str, peer: Option<IpAddr>, cors: &Cors) -> Response {
    if let Some(response) = cors.preflight() {
        return response;
    }
    if !percent::is_acceptable_path(request.uri().path()) {
        return FrameworkError::new(StatusCode::BAD_REQUEST).into_response();
    }
    // The router would take an empty segment for the value of a parameter; the old service had no such paths.
    if request.uri().path().contains("//") {
        return no_such_route().await;
    }
    // Whoever watches over the service is told its health even while peers are being limited.
    if let (Some(limiter), Some(peer), true) = (&sms.limits.peer, peer, route != HEALTH)
        && let Err(after) = limiter.admit(peer_key(peer), Instant::now())
    {
        return error_response::too_many_requests(after);
    }
    if admin::guards(request.uri().path()) {
        if let Err(refusal) = admin::authorize(sms, request.headers()) {
            return refusal;
        }
        // Copying a large backup takes as long as it takes.
        return caught(next.run(request)).await;
    }
    match tokio::time::timeout(sms.request_timeout, caught(next.run(request))).await {
        Ok(response) => response,
        Err(_) => FrameworkError::trouble().into_response(),
    }
}

/// A panic is answered with 500. Its message is not looked at: it may hold what the client sent.
async fn caught(response: impl Future<Output = Response>) -> Response {
    AssertUnwindSafe(response).catch_unwind().await.unwrap_or_else(|_| {
        error!("a request ended in a panic; the place is in the line before");
        FrameworkError::new(StatusCode::INTERNAL_SERVER_ERROR).into_response()
    })
}

/// Who asks: the other end of the connection, or behind trusted proxies the last address that none of them wrote.
fn peer(sms: &Sms, request: &Request) -> Option<IpAddr> {
    let Peer(direct) = *request.extensions().get::<Peer>()?;
    if !sms.trusted_proxies.contains(&direct.to_canonical()) {
        return Some(direct);
    }
    let forwarded = forwarded_for(request.headers());
    forwarded.into_iter().rev().find(|address| !sms.trusted_proxies.contains(address)).or(Some(direct))
}

fn forwarded_for(headers: &HeaderMap) -> Vec<IpAddr> {
    headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|address| address.trim().parse::<IpAddr>().ok())
        .map(|address| address.to_canonical())
        .collect()
}

/// Methods that a client made up share one name, so that they cannot fill the metrics.
fn known_method(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}
