//! Errors that the web framework of the old service made before its own code ran: missing header, parameter or body,
//! unknown route, wrong method, uncaught exception. Their JSON is that framework's, not the envelope of the service.
//!
//! A handler returns a [`FrameworkError`]; [`complete`] writes the body, because only there path, clock and the wish for
//! HTML are known.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::Serialize;
use std::time::Duration;

/// An answer whose body is still to be written by [`complete`].
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameworkError {
    status: StatusCode,
    retry_after: Option<Duration>,
}

impl FrameworkError {
    pub(super) fn new(status: StatusCode) -> Self {
        Self { status, retry_after: None }
    }

    /// "Could not find out": 503, to be asked again in a moment.
    pub(super) fn trouble() -> Self {
        Self::retry_later(StatusCode::SERVICE_UNAVAILABLE, Duration::from_secs(1))
    }

    pub(super) fn retry_later(status: StatusCode, after: Duration) -> Self {
        Self { status, retry_after: Some(after) }
    }
}

impl IntoResponse for FrameworkError {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        if let Some(after) = self.retry_after {
            // Whole seconds, rounded up: a client that obeys is served.
            let seconds = after.as_millis().div_ceil(1000).max(1);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(u64::try_from(seconds).unwrap_or(1)));
        }
        response.extensions_mut().insert(self);
        response
    }
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    timestamp: String,
    status: u16,
    error: &'a str,
    path: &'a str,
}

/// Writes the body of a [`FrameworkError`]; other answers pass untouched. `path` is the raw path, without the query.
pub(super) fn complete(mut response: Response, path: &str, wants_html: bool, now: Timestamp) -> Response {
    let Some(error) = response.extensions_mut().remove::<FrameworkError>() else { return response };
    let reason = error.status.canonical_reason().unwrap_or("Unknown Status");
    let (content_type, body) = if wants_html {
        ("text/html;charset=UTF-8", html(error.status, reason, now))
    } else {
        let body = ErrorBody {
            timestamp: now.strftime("%Y-%m-%dT%H:%M:%S%.3f+00:00").to_string(),
            status: error.status.as_u16(),
            error: reason,
            path,
        };
        ("application/json", serde_json::to_string(&body).expect("texts and a number are JSON"))
    };
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().remove(header::CONTENT_LENGTH);
    *response.body_mut() = body.into();
    response
}

/// Whether the client is a browser that shows pages: `text/html` is named, as the old framework asks.
pub(super) fn wants_html(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|accept| accept.to_str().ok())
        .flat_map(|accept| accept.split(','))
        .any(|media| media.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("text/html")))
}

/// Holds nothing that the client sent.
fn html(status: StatusCode, reason: &str, now: Timestamp) -> String {
    format!(
        "<html><body><h1>Whitelabel Error Page</h1><p>This application has no explicit mapping for /error, so you are \
         seeing this as a fallback.</p><div id='created'>{}</div><div>There was an unexpected error (type={reason}, \
         status={}).</div></body></html>",
        now.strftime("%a %b %d %H:%M:%S UTC %Y"),
        status.as_u16()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_browsers_get_pages() {
        for (accept, expected) in [
            ("*/*", false),
            ("application/json", false),
            ("text/html", true),
            ("text/html,application/xhtml+xml;q=0.9", true),
            ("application/json, Text/HTML;q=0.5", true),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]);
            assert_eq!(wants_html(&headers), expected, "{accept}");
        }
        assert!(!wants_html(&HeaderMap::new()));
    }

    #[test]
    fn waiting_times_are_rounded_up_to_whole_seconds() {
        for (milliseconds, expected) in [(0, "1"), (1, "1"), (1000, "1"), (1001, "2")] {
            let after = Duration::from_millis(milliseconds);
            let response = FrameworkError::retry_later(StatusCode::TOO_MANY_REQUESTS, after).into_response();
            assert_eq!(response.headers()[header::RETRY_AFTER], expected);
        }
    }
}
