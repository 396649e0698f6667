//! `/apps/{appAddress}/secrets`: the one secret of an app.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use strongroom_protocol::SecretKind;

use super::authorization::authorization;
use super::body::ReceivedSecret;
use super::error_response::{self, CheckError, WriteError};
use crate::Sms;
use crate::secrets::Push;

pub(super) async fn push(
    State(sms): State<Arc<Sms>>,
    Path(app): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match try_push(&sms, &app, &headers, body).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => error_response::write_refused(SecretKind::App, &error),
    }
}

async fn try_push(sms: &Sms, app: &str, headers: &HeaderMap, body: Body) -> Result<(), WriteError> {
    let signature = authorization(headers)?;
    let ReceivedSecret { value, place: _until_stored } = sms.bodies.read_secret(headers, body).await?;
    Ok(sms.push_app_secret(Push { address: app, signature, value }).await?)
}

pub(super) async fn check(State(sms): State<Arc<Sms>>, Path(app): Path<String>) -> Response {
    let found = sms.app_secret_exists(&app).await;
    error_response::existence(SecretKind::App, found.map_err(CheckError::LookUp))
}
