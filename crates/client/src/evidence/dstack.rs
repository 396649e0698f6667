//! A dstack guest agent: HTTP over a Unix socket.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{EvidenceError, GuestEvidence};

const TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Deserialize)]
struct Quote {
    quote: String,
    event_log: String,
}

/// `POST /GetQuote`: 64 bytes of report data in hex, quote in hex and log as JSON text back.
pub(super) async fn evidence(socket: &Path, report_data: [u8; 64]) -> Result<GuestEvidence, EvidenceError> {
    let failed = |reason: &dyn std::fmt::Display| EvidenceError::failed(socket.display(), reason);
    let request = serde_json::json!({ "report_data": hex::encode(report_data) });
    let answer = post(socket, "GetQuote", &request).await?;
    let quote: Quote = serde_json::from_slice(&answer).map_err(|error| failed(&error))?;
    let document =
        hex::decode(quote.quote.strip_prefix("0x").unwrap_or(&quote.quote)).map_err(|error| failed(&error))?;
    Ok(GuestEvidence { kind: "tdx", document, event_log: Some(quote.event_log) })
}

/// `POST /EmitEvent`: extends RTMR3 by an event.
pub(super) async fn emit_event(socket: &Path, event: &str, payload: &[u8]) -> Result<(), EvidenceError> {
    let request = serde_json::json!({ "event": event, "payload": hex::encode(payload) });
    post(socket, "EmitEvent", &request).await.map(|_| ())
}

async fn post(socket: &Path, route: &str, request: &impl Serialize) -> Result<Vec<u8>, EvidenceError> {
    let failed = |reason: &dyn std::fmt::Display| EvidenceError::failed(socket.display(), reason);
    let http = crate::way::inside_enclave().unix_socket(socket).timeout(TIMEOUT).build();
    let http = http.map_err(|error| failed(&error))?;
    // The host name means nothing on a Unix socket; HTTP wants one.
    let answer = http.post(format!("http://agent.invalid/{route}")).json(request).send().await;
    let answer = answer.map_err(|error| failed(&error))?;
    let status = answer.status();
    let body = answer.bytes().await.map_err(|error| failed(&error))?;
    if !status.is_success() {
        return Err(failed(&format!("status {status}: {}", String::from_utf8_lossy(&body))));
    }
    Ok(body.to_vec())
}
