//! `/secrets/web3`: keys of datasets.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use strongroom_protocol::SecretKind;

use super::authorization::authorization;
use super::body::ReceivedSecret;
use super::error_response::{self, CheckError, WriteError};
use super::percent::query_parameter;
use crate::Sms;
use crate::secrets::Push;

const DATASET: &str = "secretAddress";

pub(super) async fn push(
    State(sms): State<Arc<Sms>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match try_push(&sms, query.as_deref(), &headers, body).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => error_response::write_refused(SecretKind::Dataset, &error),
    }
}

async fn try_push(sms: &Sms, query: Option<&str>, headers: &HeaderMap, body: Body) -> Result<(), WriteError> {
    let signature = authorization(headers)?;
    let dataset = query_parameter(query, DATASET).ok_or(WriteError::MissingParameter)?;
    let ReceivedSecret { value, place: _until_stored } = sms.bodies.read_secret(headers, body).await?;
    Ok(sms.push_dataset_secret(Push { address: &dataset, signature, value }).await?)
}

pub(super) async fn check(State(sms): State<Arc<Sms>>, RawQuery(query): RawQuery) -> Response {
    let found = match query_parameter(query.as_deref(), DATASET) {
        Some(dataset) => sms.dataset_secret_exists(&dataset).await.map_err(CheckError::LookUp),
        None => Err(CheckError::MissingParameter),
    };
    error_response::existence(SecretKind::Dataset, found)
}
