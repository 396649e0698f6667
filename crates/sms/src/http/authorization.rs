//! The header `Authorization` of writes: the bare hex signature, without a scheme.

use axum::http::{HeaderMap, header};

use super::error_response::WriteError;

/// The text of the header, not yet read as a signature: that comes after the body was seen. An empty or repeated header is
/// there but fits no signature.
pub(super) fn authorization(headers: &HeaderMap) -> Result<&[u8], WriteError> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let first = values.next().ok_or(WriteError::MissingAuthorization)?;
    Ok(if values.next().is_none() { first.as_bytes() } else { b"" })
}
