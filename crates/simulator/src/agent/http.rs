//! The agent's routes on a Unix socket.

use std::future::Future;
use std::io;
use std::sync::Arc;

use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::CONTENT_TYPE;
use hyper::{Method, Request, Response, StatusCode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::net::UnixListener;

use super::{AgentRefusal, GuestAgent};
use crate::connections;

/// Largest request body, in bytes: a log's worth of payload.
const MAX_BODY_BYTES: usize = 1024 * 1024;

/// Answers requests on `listener` until `stop` completes, then finishes those under way.
///
/// Fails only if accepting fails; trouble on one connection ends that connection.
pub async fn serve(listener: UnixListener, agent: Arc<GuestAgent>, stop: impl Future<Output = ()>) -> io::Result<()> {
    tracing::warn!("SIMULATED guest agent: its quotes prove nothing and nothing protects this machine");
    let answer = move |request| {
        let agent = Arc::clone(&agent);
        async move { answer(&agent, request).await }
    };
    connections::serve(listener, answer, stop).await
}

#[derive(Deserialize)]
struct QuoteRequest {
    #[serde(default)]
    report_data: String,
}

#[derive(Deserialize)]
struct EventRequest {
    #[serde(default)]
    event: String,
    #[serde(default)]
    payload: String,
}

#[derive(Serialize)]
struct Refused {
    error: String,
}

#[derive(Serialize)]
struct Nothing {}

async fn answer(agent: &GuestAgent, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let path = request.uri().path().to_owned();
    match (request.method(), path.as_str()) {
        (&Method::POST, "/GetQuote") => reply(quote(agent, request).await),
        (&Method::POST, "/EmitEvent") => reply(emit_event(agent, request).await),
        (&Method::POST | &Method::GET, "/Info") => reply(Ok(agent.info())),
        (_, "/GetQuote" | "/EmitEvent" | "/Info") => {
            json(StatusCode::METHOD_NOT_ALLOWED, &Refused { error: "use POST".to_owned() })
        }
        _ => json(StatusCode::NOT_FOUND, &Refused { error: format!("Service not found: {path}") }),
    }
}

async fn quote(agent: &GuestAgent, request: Request<Incoming>) -> Result<super::QuoteAnswer, AgentRefusal> {
    let request: QuoteRequest = body(request).await?;
    agent.quote(&bytes(&request.report_data)?)
}

async fn emit_event(agent: &GuestAgent, request: Request<Incoming>) -> Result<Nothing, AgentRefusal> {
    let request: EventRequest = body(request).await?;
    agent.emit_event(&request.event, &bytes(&request.payload)?)?;
    Ok(Nothing {})
}

async fn body<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, AgentRefusal> {
    if request.body().size_hint().lower() > MAX_BODY_BYTES as u64 {
        return Err(AgentRefusal::Malformed("the body is too large".to_owned()));
    }
    let body = Limited::new(request.into_body(), MAX_BODY_BYTES).collect().await;
    let body = body.map_err(|error| AgentRefusal::Malformed(error.to_string()))?.to_bytes();
    serde_json::from_slice(&body).map_err(|error| AgentRefusal::Malformed(error.to_string()))
}

/// Hex, with or without `0x`.
fn bytes(text: &str) -> Result<Vec<u8>, AgentRefusal> {
    let digits = text.strip_prefix("0x").unwrap_or(text);
    hex::decode(digits).map_err(|error| AgentRefusal::Malformed(error.to_string()))
}

fn reply(outcome: Result<impl Serialize, AgentRefusal>) -> Response<Full<Bytes>> {
    match outcome {
        Ok(answer) => json(StatusCode::OK, &answer),
        Err(refusal) => json(StatusCode::BAD_REQUEST, &Refused { error: refusal.to_string() }),
    }
}

fn json(status: StatusCode, value: &impl Serialize) -> Response<Full<Bytes>> {
    let body = serde_json::to_vec(value).expect("structs of strings always serialise");
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/json"));
    response
}
