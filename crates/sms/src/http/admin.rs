//! `/admin`: backups, for whoever has the API key. Bodies are empty; the status tells all.
//!
//! Each operation runs to its end even if the client goes away: a restore that stops half-way would leave no store.

use std::error::Error;
use std::sync::Arc;

use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tracing::{Instrument as _, error, info};

use super::error_response;
use super::framework_error::FrameworkError;
use super::percent::query_parameter;
use crate::Sms;
use crate::backups::{BackupsError, Named};

const TEXT: [(header::HeaderName, &str); 1] = [(header::CONTENT_TYPE, "text/plain;charset=UTF-8")];

/// Whether a path is an operator's, known or not: without the key nobody learns which.
pub(super) fn guards(path: &str) -> bool {
    path == "/admin" || path.starts_with("/admin/")
}

/// Lets whoever sends the key through.
#[expect(clippy::result_large_err, reason = "the error is the answer, made once per request")]
pub(super) fn authorize(sms: &Sms, headers: &HeaderMap) -> Result<(), Response> {
    if sms.admin_api_key.is_blank() {
        return Err((StatusCode::FORBIDDEN, TEXT, "This endpoint is disabled.").into_response());
    }
    let sent = headers.get("x-api-key");
    if !sent.is_some_and(|sent| sms.admin_api_key.matches(sent.as_bytes())) {
        let told = "You are not authorized to access this endpoint.";
        return Err((StatusCode::UNAUTHORIZED, TEXT, told).into_response());
    }
    Ok(())
}

pub(super) async fn backup(State(sms): State<Arc<Sms>>) -> Response {
    finish("backup", StatusCode::CREATED, sms.make_backup()).await
}

pub(super) async fn replicate(
    State(sms): State<Arc<Sms>>,
    Path(storage_id): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let Some(file) = query_parameter(query.as_deref(), "fileName") else { return missing_parameter() };
    finish("replicate", StatusCode::OK, sms.replicate_backup(Named { storage_id, file })).await
}

pub(super) async fn restore(
    State(sms): State<Arc<Sms>>,
    Path(storage_id): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let Some(file) = query_parameter(query.as_deref(), "fileName") else { return missing_parameter() };
    finish("restore", StatusCode::OK, sms.restore_backup(Named { storage_id, file })).await
}

pub(super) async fn delete(
    State(sms): State<Arc<Sms>>,
    Path(storage_id): Path<String>,
    RawQuery(query): RawQuery,
) -> Response {
    let Some(file) = query_parameter(query.as_deref(), "fileName") else { return missing_parameter() };
    finish("delete", StatusCode::OK, sms.delete_backup(Named { storage_id, file })).await
}

/// The destination has the name of the source unless another is given.
pub(super) async fn copy(
    State(sms): State<Arc<Sms>>,
    Path((source_id, destination_id)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Response {
    let query = query.as_deref();
    let Some(source_file) = query_parameter(query, "sourceFileName") else { return missing_parameter() };
    let destination_file = query_parameter(query, "destinationFileName")
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| source_file.clone());
    let source = Named { storage_id: source_id, file: source_file };
    let destination = Named { storage_id: destination_id, file: destination_file };
    finish("copy", StatusCode::OK, sms.copy_backup(source, destination)).await
}

fn missing_parameter() -> Response {
    FrameworkError::new(StatusCode::BAD_REQUEST).into_response()
}

async fn finish(
    operation: &'static str,
    success: StatusCode,
    work: impl Future<Output = Result<(), BackupsError>> + Send + 'static,
) -> Response {
    match tokio::spawn(work.in_current_span()).await {
        Ok(Ok(())) => {
            info!(operation, "done");
            success.into_response()
        }
        Ok(Err(error)) => {
            let response = error_response::backups_refused(&error);
            if response.status() == StatusCode::INTERNAL_SERVER_ERROR {
                error!(operation, error = &error as &dyn Error, "not done");
            } else {
                info!(operation, error = &error as &dyn Error, "refused");
            }
            response
        }
        Err(_) => FrameworkError::new(StatusCode::INTERNAL_SERVER_ERROR).into_response(),
    }
}
