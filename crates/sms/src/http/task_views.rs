//! `POST /v1/explain` and `GET /v1/journal/{task}`: what people may know about a task.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use strongroom_grant::Finding;
use strongroom_protocol::record::{Outcome, Record};
use strongroom_protocol::release::ReleaseRequest;
use strongroom_protocol::{Signature, TaskId, UnixSeconds, address};

use super::problem::{self, Problem};
use super::releases::MAX_REQUEST_BYTES as MAX_RELEASE_BYTES;
use super::tee_session::{MAX_REQUEST_BYTES, explain_request};
use crate::Sms;
use crate::release::Asker;

const SCHEME: &str = "Strongroom";

/// `POST /v1/explain`: the body of a session request, or `{"release": …}` around that of a release. Without a signature
/// the checks whose facts are public anyhow; all of them with the header of [`journal`], signed by a party of the task.
pub(super) async fn explain(State(sms): State<Arc<Sms>>, headers: HeaderMap, body: Body) -> Response {
    match try_explain(&sms, &headers, body).await {
        Ok(explanation) => Json(explanation).into_response(),
        Err(problem) => problem.into_response(),
    }
}

#[derive(Serialize)]
struct Explanation {
    /// Whether every check that is shown passes.
    passes: bool,
    /// Whether all checks are shown.
    complete: bool,
    checks: Vec<ExplainedCheck>,
}

/// Evidence to be explained.
#[derive(Deserialize)]
struct ReleaseToExplain {
    release: ReleaseRequest,
}

#[derive(Serialize)]
struct ExplainedCheck {
    check: &'static str,
    compared: String,
    passes: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<&'static str>,
}

impl From<Finding> for ExplainedCheck {
    fn from(finding: Finding) -> Self {
        let refusal = finding.refusal.as_ref();
        Self {
            check: finding.check,
            compared: finding.compared,
            passes: refusal.is_none(),
            code: refusal.map(strongroom_grant::Refusal::code),
            reason: refusal.map(ToString::to_string),
            remedy: refusal.map(strongroom_grant::Refusal::remedy),
        }
    }
}

async fn try_explain(sms: &Sms, headers: &HeaderMap, body: Body) -> Result<Explanation, Problem> {
    let releases = problem::releases(sms)?;
    let malformed = |detail: String| Problem::new(StatusCode::BAD_REQUEST, "malformed-request", detail);
    let asker: Asker = if headers.contains_key(header::AUTHORIZATION) {
        Some(authorization(headers).ok_or_else(not_signed)?)
    } else {
        None
    };
    let limit = MAX_RELEASE_BYTES + MAX_REQUEST_BYTES;
    let (body, _place) = sms.release_bodies.read(body, limit).await.map_err(|error| problem::body_refused(&error))?;
    let now = sms.clock.seconds();
    let findings = if let Ok(ReleaseToExplain { release }) = serde_json::from_slice(&body) {
        releases.explain_release(&sms.vault, &release, asker, now).await
    } else {
        let request = explain_request(&body).map_err(malformed)?;
        releases.explain_session(&sms.vault, &request, asker, now).await
    };
    let findings = findings.map_err(|error| problem::explain_refused(&error))?;
    let checks: Vec<ExplainedCheck> = findings.into_iter().map(ExplainedCheck::from).collect();
    Ok(Explanation { passes: checks.iter().all(|check| check.passes), complete: asker.is_some(), checks })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    sequence: u64,
    hash: String,
    previous: String,
    time: u64,
    block_number: u64,
    block_hash: String,
    session: String,
    worker: String,
    enclave: String,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusal: Option<String>,
    secrets: Vec<EntrySecret>,
    /// The bytes that the hash is of.
    bytes: String,
}

#[derive(Serialize)]
struct EntrySecret {
    kind: String,
    address: String,
    name: String,
    version: u64,
}

impl From<&Record> for Entry {
    fn from(record: &Record) -> Self {
        let secrets = match &record.outcome {
            Outcome::Granted(secrets) => secrets.as_slice(),
            Outcome::Refused(_) => &[],
        };
        let secret = |(id, version): &(strongroom_protocol::SecretId, u64)| EntrySecret {
            kind: id.kind().to_string(),
            address: address::checksummed(&id.address()),
            name: id.name().to_owned(),
            version: *version,
        };
        Self {
            sequence: record.sequence,
            hash: record.hash().to_string(),
            previous: record.previous.to_string(),
            time: record.time.0,
            block_number: record.block.number,
            block_hash: record.block.hash.to_string(),
            session: record.session.to_string(),
            worker: address::checksummed(&record.worker),
            enclave: record.enclave.clone(),
            outcome: if matches!(record.outcome, Outcome::Granted(_)) { "granted" } else { "refused" },
            refusal: match &record.outcome {
                Outcome::Granted(_) => None,
                Outcome::Refused(code) => Some(code.clone()),
            },
            secrets: secrets.iter().map(secret).collect(),
            bytes: format!("0x{}", hex::encode(record.to_bytes())),
        }
    }
}

/// `GET /v1/journal/{task}`, header `Authorization: Strongroom <Unix seconds> <signature>`.
pub(super) async fn journal(State(sms): State<Arc<Sms>>, Path(task): Path<String>, headers: HeaderMap) -> Response {
    match try_journal(&sms, &task, &headers).await {
        Ok(entries) => Json(entries).into_response(),
        Err(problem) => problem.into_response(),
    }
}

async fn try_journal(sms: &Sms, task: &str, headers: &HeaderMap) -> Result<Vec<Entry>, Problem> {
    let releases = problem::releases(sms)?;
    let task: TaskId =
        task.parse().map_err(|error| Problem::new(StatusCode::BAD_REQUEST, "malformed-request", format!("{error}")))?;
    let (signed_at, signature) = authorization(headers).ok_or_else(not_signed)?;
    let records = releases.journal(&sms.vault, task, signed_at, signature, sms.clock.seconds()).await;
    let records = records.map_err(|error| problem::journal_refused(&error))?;
    Ok(records.iter().map(Entry::from).collect())
}

fn not_signed() -> Problem {
    let detail = format!("send the header Authorization: {SCHEME} <Unix seconds> <signature>");
    Problem::new(StatusCode::UNAUTHORIZED, "not-signed", detail)
}

fn authorization(headers: &HeaderMap) -> Option<(UnixSeconds, Signature)> {
    let mut words = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_ascii_whitespace();
    let (scheme, time, signature) = (words.next()?, words.next()?, words.next()?);
    if scheme != SCHEME || words.next().is_some() {
        return None;
    }
    Some((UnixSeconds(time.parse().ok()?), signature.parse().ok()?))
}
