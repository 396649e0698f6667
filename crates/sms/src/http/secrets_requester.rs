//! `/requesters/{requesterAddress}/secrets/{secretKey}`: named secrets of requesters.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use strongroom_protocol::{RequesterSecretName, SecretKind};

use super::authorization::authorization;
use super::body::ReceivedSecret;
use super::error_response::{self, CheckError, WriteError};
use crate::Sms;
use crate::secrets::Push;

pub(super) async fn push(
    State(sms): State<Arc<Sms>>,
    Path((requester, name)): Path<(String, String)>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match try_push(&sms, &requester, &name, &headers, body).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => error_response::write_refused(SecretKind::Requester, &error),
    }
}

async fn try_push(sms: &Sms, requester: &str, name: &str, headers: &HeaderMap, body: Body) -> Result<(), WriteError> {
    let signature = authorization(headers)?;
    let ReceivedSecret { value, place: _until_stored } = sms.bodies.read_secret(headers, body).await?;
    Ok(sms.push_requester_secret(name, Push { address: requester, signature, value }).await?)
}

pub(super) async fn check(State(sms): State<Arc<Sms>>, Path((requester, name)): Path<(String, String)>) -> Response {
    let found = match name.parse::<RequesterSecretName>() {
        Ok(name) => sms.requester_secret_exists(&requester, name).await.map_err(CheckError::LookUp),
        Err(_) => Err(CheckError::BadRequesterName),
    };
    error_response::existence(SecretKind::Requester, found)
}
