//! The one place where errors become HTTP. No `_` arms: a new error must choose its answer.
//!
//! Apps and requesters get the envelope `{"error":[…]}`, the other two kinds an empty body; what the old service left to
//! its framework looks like that framework. "Could not find out" is 503 and worth a retry; it is logged, refusals are not.

use std::error::Error;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use strongroom_protocol::SecretKind;
use tracing::{error, warn};

use super::body::BodyError;
use super::framework_error::FrameworkError;
use crate::backups::BackupsError;
use crate::rate_limit::RetryAfter;
use crate::secrets::{LookUpError, PushError};

/// Why a write was not done, from the first check to the last.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError {
    #[error("the header Authorization is missing")]
    MissingAuthorization,
    #[error("a query parameter is missing")]
    MissingParameter,
    #[error(transparent)]
    Body(#[from] BodyError),
    #[error(transparent)]
    Push(#[from] PushError),
}

/// Why an existence check has no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum CheckError {
    #[error("a query parameter is missing")]
    MissingParameter,
    /// Only requester secrets have a rule that is told.
    #[error("the name breaks the rule of requester secrets")]
    BadRequesterName,
    #[error(transparent)]
    LookUp(#[from] LookUpError),
}

/// The envelope of the old service for errors. It has no other member: the stock clients decode it strictly.
#[derive(Serialize)]
struct Envelope {
    error: [&'static str; 1],
}

const INVALID_AUTHORIZATION: &str = "Invalid authorization";
const ALREADY_EXISTS: &str = "Secret already exists";
const NOT_FOUND: &str = "Secret not found";
const TOO_LARGE: &str = "Secret size should not exceed 4096 Kb";
const BAD_REQUESTER_NAME: &str = "Secret key should contain at most 64 characters from [0-9A-Za-z-_]";

/// The answer to a write of a secret of `kind` that was not done.
pub(super) fn write_refused(kind: SecretKind, error: &WriteError) -> Response {
    match error {
        WriteError::MissingAuthorization | WriteError::MissingParameter => framework(StatusCode::BAD_REQUEST),
        WriteError::Body(error) => match error {
            BodyError::Missing | BodyError::NotText | BodyError::Interrupted => framework(StatusCode::BAD_REQUEST),
            BodyError::UnsupportedMediaType => framework(StatusCode::UNSUPPORTED_MEDIA_TYPE),
            BodyError::TooSlow => framework(StatusCode::REQUEST_TIMEOUT),
            BodyError::Busy => FrameworkError::trouble().into_response(),
            BodyError::TooLarge => match kind {
                SecretKind::Requester => told(kind, StatusCode::BAD_REQUEST, TOO_LARGE),
                SecretKind::App | SecretKind::Dataset | SecretKind::Account => {
                    told(kind, StatusCode::PAYLOAD_TOO_LARGE, TOO_LARGE)
                }
            },
        },
        WriteError::Push(error) => match error {
            PushError::NotByOwner => told(kind, StatusCode::UNAUTHORIZED, INVALID_AUTHORIZATION),
            PushError::TooManyWrites(after) => too_many_requests(*after),
            PushError::BadRequesterName(_) => told(kind, StatusCode::BAD_REQUEST, BAD_REQUESTER_NAME),
            PushError::BadAccountName => framework(StatusCode::BAD_REQUEST),
            PushError::AlreadyExists => told(kind, StatusCode::CONFLICT, ALREADY_EXISTS),
            PushError::NothingToReplace => StatusCode::NOT_FOUND.into_response(),
            PushError::Replayed => StatusCode::CONFLICT.into_response(),
            PushError::Owners(source) => {
                warn!(error = source as &dyn Error, "the owner could not be found out");
                FrameworkError::trouble().into_response()
            }
            PushError::Closed(_) => FrameworkError::trouble().into_response(),
            PushError::Store(source) => {
                error!(error = source as &dyn Error, "the store is in trouble");
                FrameworkError::trouble().into_response()
            }
        },
    }
}

/// The answer to an existence check.
pub(super) fn existence(kind: SecretKind, found: Result<bool, CheckError>) -> Response {
    let error = match found {
        Ok(true) => return StatusCode::NO_CONTENT.into_response(),
        Ok(false) => return told(kind, StatusCode::NOT_FOUND, NOT_FOUND),
        Err(error) => error,
    };
    match error {
        CheckError::MissingParameter => framework(StatusCode::BAD_REQUEST),
        CheckError::BadRequesterName => told(SecretKind::Requester, StatusCode::BAD_REQUEST, BAD_REQUESTER_NAME),
        CheckError::LookUp(error) => match error {
            LookUpError::Closed(_) => FrameworkError::trouble().into_response(),
            LookUpError::Store(source) => {
                error!(error = &source as &dyn Error, "the store is in trouble");
                FrameworkError::trouble().into_response()
            }
        },
    }
}

/// The answer to an operation on backups that was not done: the status alone, as the old service tells it.
pub(super) fn backups_refused(error: &BackupsError) -> Response {
    match error {
        BackupsError::Blank => StatusCode::BAD_REQUEST,
        BackupsError::Busy => StatusCode::TOO_MANY_REQUESTS,
        BackupsError::NoSuchFolder | BackupsError::NoSuchBackup => StatusCode::NOT_FOUND,
        BackupsError::NotAnId
        | BackupsError::Outside
        | BackupsError::DestinationExists
        | BackupsError::NothingToDelete
        | BackupsError::Files(_)
        | BackupsError::NotMade(_)
        | BackupsError::NotRestored(_) => StatusCode::INTERNAL_SERVER_ERROR,
        BackupsError::Closed(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
    .into_response()
}

/// The answer to whoever comes too often.
pub(super) fn too_many_requests(RetryAfter(after): RetryAfter) -> Response {
    FrameworkError::retry_later(StatusCode::TOO_MANY_REQUESTS, after).into_response()
}

fn framework(status: StatusCode) -> Response {
    FrameworkError::new(status).into_response()
}

/// Apps and requesters are told the reason in words; the others get the status alone.
fn told(kind: SecretKind, status: StatusCode, message: &'static str) -> Response {
    match kind {
        SecretKind::App | SecretKind::Requester => (status, Json(Envelope { error: [message] })).into_response(),
        SecretKind::Dataset | SecretKind::Account => status.into_response(),
    }
}
