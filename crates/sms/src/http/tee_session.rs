//! `POST /tee/challenges/{task}` and `POST /tee/sessions`, byte for byte as the stock scheduler and worker know them.

use std::error::Error;
use std::sync::Arc;

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde::{Deserialize, Serialize};
use strongroom_grant::Refusal;
use strongroom_protocol::{Address, Signature, TaskId, address};
use strongroom_store::{RecordError, StoreError};
use tracing::{error, info, warn};

use super::framework_error::FrameworkError;
use crate::Sms;
use crate::release::{ChallengeError, GatherError, KeeperError, SessionError, SessionRequest};

/// Says in words why a session was refused; the body has room for nothing but the old service's enum.
const REASON: HeaderName = HeaderName::from_static("strongroom-reason");
/// Largest body of a session request, in bytes.
pub(super) const MAX_REQUEST_BYTES: usize = 64 * 1024;

/// `POST /tee/challenges/{chainTaskId}`: the address as bare text.
pub(super) async fn challenge(State(sms): State<Arc<Sms>>, Path(task): Path<String>, headers: HeaderMap) -> Response {
    let Some(releases) = &sms.releases else { return FrameworkError::new(StatusCode::NOT_FOUND).into_response() };
    let Some(authorization) = headers.get(header::AUTHORIZATION) else {
        return FrameworkError::new(StatusCode::BAD_REQUEST).into_response();
    };
    // An id that is no id names no task that anybody could authorise.
    let asked = task.to_ascii_lowercase().parse::<TaskId>().ok().zip(signature(authorization));
    let Some((task, signature)) = asked else { return StatusCode::UNAUTHORIZED.into_response() };
    match releases.enclave_challenge(&sms.vault, task, signature, sms.clock.seconds()).await {
        Ok(challenge) => {
            let media_type = HeaderValue::from_static("text/plain;charset=UTF-8");
            ([(header::CONTENT_TYPE, media_type)], address::lower_case(&challenge)).into_response()
        }
        Err(ChallengeError::NotAuthorised) => StatusCode::UNAUTHORIZED.into_response(),
        Err(ChallengeError::Chain(source)) => chain_trouble(&source),
        Err(ChallengeError::Closed(_)) => FrameworkError::trouble().into_response(),
    }
}

/// The worker's request. Unknown members are ignored, `dealId` and `taskIndex` are not signed and not used.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RequestBody {
    #[serde(default = "zero_task")]
    chain_task_id: String,
    worker_wallet: String,
    enclave_challenge: String,
    signature: Option<PoolSignature>,
}

#[derive(Deserialize)]
struct PoolSignature {
    value: String,
}

fn zero_task() -> String {
    format!("0x{}", "0".repeat(64))
}

/// The envelope of the answer. It has no other member: the stock client decodes it strictly.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Envelope {
    Data(Data),
    Error(&'static str),
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    session_id: String,
    secret_provisioning_url: String,
}

/// `POST /tee/sessions`
pub(super) async fn session(State(sms): State<Arc<Sms>>, headers: HeaderMap, body: Body) -> Response {
    let Some(releases) = &sms.releases else { return FrameworkError::new(StatusCode::NOT_FOUND).into_response() };
    let is_json = |value: &HeaderValue| {
        let media = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default();
        media.trim().eq_ignore_ascii_case("application/json")
    };
    if !headers.get(header::CONTENT_TYPE).is_some_and(is_json) {
        return FrameworkError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE).into_response();
    }
    let Some(authorization) = headers.get(header::AUTHORIZATION) else {
        return FrameworkError::new(StatusCode::BAD_REQUEST).into_response();
    };
    let Ok(body) = to_bytes(body, MAX_REQUEST_BYTES).await else {
        return FrameworkError::new(StatusCode::PAYLOAD_TOO_LARGE).into_response();
    };
    let Ok(body) = serde_json::from_slice::<RequestBody>(&body) else {
        return FrameworkError::new(StatusCode::BAD_REQUEST).into_response();
    };
    let request = match parse(&body, authorization) {
        Ok(request) => request,
        Err(refused) => return envelope(StatusCode::UNAUTHORIZED, refused, None),
    };
    let mut random = [0; 10];
    if SystemRandom::new().fill(&mut random).is_err() {
        return FrameworkError::trouble().into_response();
    }
    let now = sms.clock.seconds();
    match releases.session(&sms.vault, &request, sms.tee.framework(), random, now).await {
        Ok((id, secret_provisioning_url)) => {
            Json(Envelope::Data(Data { session_id: id.to_string(), secret_provisioning_url })).into_response()
        }
        Err(error) => session_refused(&error),
    }
}

/// The same body, for an explanation: nobody signs as the worker.
pub(super) fn explain_request(body: &[u8]) -> Result<SessionRequest, String> {
    let body: RequestBody = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let unsigned = body.signature.as_ref().map(|signature| signature.value.clone()).unwrap_or_default();
    let pool_signature = unsigned.parse().map_err(|error| format!("signature.value: {error}"))?;
    let wallet = |name: &str, text: &str| address::parse_any_case(text).map_err(|error| format!("{name}: {error}"));
    Ok(SessionRequest {
        task: body.chain_task_id.parse().map_err(|error| format!("chainTaskId: {error}"))?,
        worker: wallet("workerWallet", &body.worker_wallet)?,
        enclave_challenge: wallet("enclaveChallenge", &body.enclave_challenge)?,
        pool_signature,
        worker_signature: pool_signature,
    })
}

/// What was sent, as far as it can be read; otherwise the old service's name of what a wrong one of its kind is.
fn parse(body: &RequestBody, authorization: &HeaderValue) -> Result<SessionRequest, &'static str> {
    let wallet = |text: &str| address::parse_any_case(text).ok();
    let worker: Address = wallet(&body.worker_wallet).ok_or("INVALID_AUTHORIZATION")?;
    let enclave_challenge = wallet(&body.enclave_challenge).ok_or("INVALID_AUTHORIZATION")?;
    let worker_signature = signature(authorization).ok_or("INVALID_AUTHORIZATION")?;
    let task = body.chain_task_id.to_ascii_lowercase();
    let task = task.parse().map_err(|_| "EXECUTION_NOT_AUTHORIZED_GET_CHAIN_TASK_FAILED")?;
    let pool_signature = body.signature.as_ref().and_then(|signature| signature.value.parse().ok());
    let pool_signature = pool_signature.ok_or("EXECUTION_NOT_AUTHORIZED_INVALID_SIGNATURE")?;
    Ok(SessionRequest { task, worker, enclave_challenge, pool_signature, worker_signature })
}

fn signature(header: &HeaderValue) -> Option<Signature> {
    header.to_str().ok()?.parse().ok()
}

/// The error names of the old service. The stock worker knows these and takes any other for an unknown one.
fn session_refused(error: &SessionError) -> Response {
    let unauthorised = |name| envelope(StatusCode::UNAUTHORIZED, name, Some(error));
    let failed = |name| envelope(StatusCode::INTERNAL_SERVER_ERROR, name, Some(error));
    match error {
        SessionError::NotByWorker => unauthorised("INVALID_AUTHORIZATION"),
        SessionError::NoTask => unauthorised("EXECUTION_NOT_AUTHORIZED_GET_CHAIN_TASK_FAILED"),
        SessionError::OtherFramework { .. } => failed("SECURE_SESSION_NO_TEE_FRAMEWORK"),
        SessionError::Refused(refusal) => match refusal {
            Refusal::TaskNotActive { .. }
            | Refusal::ContributionClosed { .. }
            | Refusal::FinalDeadlinePassed { .. } => unauthorised("EXECUTION_NOT_AUTHORIZED_TASK_NOT_ACTIVE"),
            Refusal::TaskNotOfDeal => unauthorised("EXECUTION_NOT_AUTHORIZED_GET_CHAIN_DEAL_FAILED"),
            Refusal::NoFramework { .. } => unauthorised("EXECUTION_NOT_AUTHORIZED_NO_MATCH_ONCHAIN_TYPE"),
            Refusal::NotAuthorisedByPool { .. } | Refusal::ForeignChallenge { .. } => {
                unauthorised("EXECUTION_NOT_AUTHORIZED_INVALID_SIGNATURE")
            }
            Refusal::NoEnclaveConfig(_) => failed("APP_COMPUTE_NO_ENCLAVE_CONFIG"),
            Refusal::InvalidEnclaveConfig(_) => failed("APP_COMPUTE_INVALID_ENCLAVE_CONFIG"),
            Refusal::DatasetKeyMissing { .. } => failed("PRE_COMPUTE_GET_DATASET_SECRET_FAILED"),
            Refusal::ResultKeyMissing { .. } => {
                failed("POST_COMPUTE_GET_ENCRYPTION_TOKENS_FAILED_EMPTY_BENEFICIARY_KEY")
            }
            Refusal::StorageTokenMissing { .. } => failed("POST_COMPUTE_GET_STORAGE_TOKENS_FAILED"),
            Refusal::ParamsNotUnderstood(_) | Refusal::ForeignApp { .. } | Refusal::ForeignDataset => {
                failed("GET_TASK_DESCRIPTION_FAILED")
            }
            Refusal::IndexNotCanonical { .. }
            | Refusal::NameNotCanonical { .. }
            | Refusal::RequesterSecretMissing { .. }
            | Refusal::BulkUnreadable(_)
            | Refusal::BulkDatasetUnknown { .. }
            | Refusal::BulkOrderIncompatible { .. }
            | Refusal::BulkOrderLimited { .. }
            | Refusal::BulkOrderPriced { .. }
            | Refusal::ForeignSession
            | Refusal::SessionExpired { .. }
            | Refusal::BoundToOtherSession
            | Refusal::NotBound
            | Refusal::DebugEnclave
            | Refusal::PolicyNotMet { .. }
            | Refusal::OtherPlatform { .. }
            | Refusal::ImageNotApproved { .. }
            | Refusal::OtherApp { .. } => failed("SECURE_SESSION_GENERATION_FAILED"),
        },
        SessionError::Keeper(source) => {
            warn!(error = source as &dyn Error, "the secret provisioner did not take a session");
            match source {
                KeeperError::NoPipeline { .. } => failed("APP_COMPUTE_INVALID_ENCLAVE_CONFIG"),
                KeeperError::NotEnvironment { .. } => failed("SECURE_SESSION_GENERATION_FAILED"),
                KeeperError::NoAttestationServer | KeeperError::Unreachable(_) | KeeperError::Refused(_) => {
                    failed("SECURE_SESSION_STORAGE_CALL_FAILED")
                }
            }
        }
        SessionError::Record(source) => match source {
            RecordError::NoSession
            | RecordError::SessionUsed
            | RecordError::NonceSpent
            | RecordError::OtherTrustDomain => failed("SECURE_SESSION_GENERATION_FAILED"),
            RecordError::Trouble(source) => store_trouble(source),
        },
        SessionError::Trouble(source) => match source {
            GatherError::Chain(source) => chain_trouble(source),
            GatherError::Content(source) => {
                warn!(error = source as &dyn Error, "a list of datasets could not be fetched");
                FrameworkError::trouble().into_response()
            }
            GatherError::Store(source) => store_trouble(source),
        },
        SessionError::Closed(_) => FrameworkError::trouble().into_response(),
        SessionError::Store(source) => store_trouble(source),
    }
}

fn store_trouble(source: &StoreError) -> Response {
    error!(error = source as &dyn Error, "the store is in trouble");
    FrameworkError::trouble().into_response()
}

fn envelope(status: StatusCode, name: &'static str, reason: Option<&SessionError>) -> Response {
    let mut response = (status, Json(Envelope::Error(name))).into_response();
    if let Some(reason) = reason {
        info!(%reason, "session refused");
        if let Ok(text) = HeaderValue::from_str(&reason.to_string()) {
            response.headers_mut().insert(REASON, text);
        }
    }
    response
}

fn chain_trouble(source: &crate::owners::ReadOwnersError) -> Response {
    warn!(error = source as &dyn Error, "the chain could not be read");
    FrameworkError::trouble().into_response()
}
