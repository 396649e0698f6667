//! `/secrets/web2`: named secrets of accounts, the only ones that can be replaced.

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

/// The query of every call: whose secret, and which.
struct Account {
    owner: String,
    /// As sent: the signature covers it in this letter case.
    name: String,
}

impl Account {
    fn of(query: Option<&str>) -> Option<Self> {
        Some(Self { owner: query_parameter(query, "ownerAddress")?, name: query_parameter(query, "secretName")? })
    }
}

pub(super) async fn push(
    State(sms): State<Arc<Sms>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Response {
    written(try_push(&sms, query.as_deref(), &headers, body).await)
}

async fn try_push(sms: &Sms, query: Option<&str>, headers: &HeaderMap, body: Body) -> Result<(), WriteError> {
    let signature = authorization(headers)?;
    let Account { owner, name } = Account::of(query).ok_or(WriteError::MissingParameter)?;
    let ReceivedSecret { value, place: _until_stored } = sms.bodies.read_secret(headers, body).await?;
    Ok(sms.push_account_secret(&name, Push { address: &owner, signature, value }).await?)
}

pub(super) async fn replace(
    State(sms): State<Arc<Sms>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Response {
    written(try_replace(&sms, query.as_deref(), &headers, body).await)
}

async fn try_replace(sms: &Sms, query: Option<&str>, headers: &HeaderMap, body: Body) -> Result<(), WriteError> {
    let signature = authorization(headers)?;
    let Account { owner, name } = Account::of(query).ok_or(WriteError::MissingParameter)?;
    let ReceivedSecret { value, place: _until_stored } = sms.bodies.read_secret(headers, body).await?;
    Ok(sms.replace_account_secret(&name, Push { address: &owner, signature, value }).await?)
}

fn written(result: Result<(), WriteError>) -> Response {
    match result {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => error_response::write_refused(SecretKind::Account, &error),
    }
}

pub(super) async fn check(State(sms): State<Arc<Sms>>, RawQuery(query): RawQuery) -> Response {
    let found = match Account::of(query.as_deref()) {
        Some(Account { owner, name }) => sms.account_secret_exists(&owner, &name).await.map_err(CheckError::LookUp),
        None => Err(CheckError::MissingParameter),
    };
    error_response::existence(SecretKind::Account, found)
}
