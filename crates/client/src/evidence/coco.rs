//! The REST interface of a confidential-containers attestation agent, TDX guests.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use url::Url;

use super::{EvidenceError, GuestEvidence};

const TIMEOUT: Duration = Duration::from_secs(30);

/// The agent's evidence of a TDX guest: the quote in base64, among members that are not needed.
#[derive(Deserialize)]
struct TdxEvidence {
    quote: String,
}

/// `GET /aa/evidence?runtime_data=…&encoding=base64`.
pub(super) async fn evidence(agent: &Url, report_data: [u8; 64]) -> Result<GuestEvidence, EvidenceError> {
    let failed = |reason: &dyn std::fmt::Display| EvidenceError::failed(agent, reason);
    let mut url = agent.join("/aa/evidence").map_err(|error| failed(&error))?;
    url.query_pairs_mut().append_pair("runtime_data", &STANDARD.encode(report_data)).append_pair("encoding", "base64");
    let answer = client(agent)?.get(url).send().await.and_then(reqwest::Response::error_for_status);
    let body = answer.map_err(|error| failed(&error))?.bytes().await.map_err(|error| failed(&error))?;
    let evidence: TdxEvidence = serde_json::from_slice(&body).map_err(|error| failed(&error))?;
    let document = STANDARD.decode(evidence.quote).map_err(|error| failed(&error))?;
    Ok(GuestEvidence { kind: "tdx", document, event_log: None })
}

/// `POST /aa/aael`: measures an event.
pub(super) async fn emit_event(agent: &Url, event: &str, payload: &[u8]) -> Result<(), EvidenceError> {
    let failed = |reason: &dyn std::fmt::Display| EvidenceError::failed(agent, reason);
    let url = agent.join("/aa/aael").map_err(|error| failed(&error))?;
    let event = serde_json::json!({ "domain": "strongroom", "operation": event, "content": hex::encode(payload) });
    let answer = client(agent)?.post(url).json(&event).send().await.and_then(reqwest::Response::error_for_status);
    answer.map(|_| ()).map_err(|error| failed(&error))
}

fn client(agent: &Url) -> Result<reqwest::Client, EvidenceError> {
    let builder = crate::way::inside_enclave().timeout(TIMEOUT);
    builder.build().map_err(|error| EvidenceError::failed(agent, error))
}
