//! What operators ask: version, counters, health.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::Sms;

const ACTUATOR_JSON: &str = "application/vnd.spring-boot.actuator.v3+json";
const PROMETHEUS_TEXT: &str = "text/plain;version=0.0.4;charset=utf-8";

pub(super) async fn version() -> Response {
    ([(header::CONTENT_TYPE, "text/plain;charset=UTF-8")], env!("CARGO_PKG_VERSION")).into_response()
}

pub(super) async fn metrics(State(sms): State<Arc<Sms>>) -> Response {
    Json(sms.metrics.secrets_metrics()).into_response()
}

pub(super) async fn prometheus(State(sms): State<Arc<Sms>>) -> Response {
    ([(header::CONTENT_TYPE, PROMETHEUS_TEXT)], sms.metrics.prometheus_text()).into_response()
}

/// DOWN while owners cannot be looked up or the store cannot be read.
pub(super) async fn health(State(sms): State<Arc<Sms>>) -> Response {
    let (status, body) = if sms.is_healthy().await {
        (StatusCode::OK, r#"{"status":"UP"}"#)
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"DOWN"}"#)
    };
    (status, [(header::CONTENT_TYPE, ACTUATOR_JSON)], body).into_response()
}

pub(super) async fn links(State(sms): State<Arc<Sms>>, headers: HeaderMap) -> Response {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    let base = format!("{}://{host}/actuator", sms.scheme);
    let link = |path: &str| json!({ "href": format!("{base}{path}"), "templated": false });
    let links = json!({ "_links": { "self": link(""), "health": link("/health"), "prometheus": link("/prometheus") } });
    ([(header::CONTENT_TYPE, ACTUATOR_JSON)], links.to_string()).into_response()
}
