//! Cross-origin rules: every origin may use the routes of secrets, none may use anything else. Browsers ask before a write
//! because of the header `Authorization`.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// Routes that pages of any origin may call, with their methods.
const OPEN_ROUTES: [(&str, &[&str]); 4] = [
    ("/apps/{appAddress}/secrets", &["POST", "HEAD"]),
    ("/requesters/{requesterAddress}/secrets/{secretKey}", &["POST", "HEAD"]),
    ("/secrets/web2", &["POST", "PUT", "HEAD"]),
    ("/secrets/web3", &["POST", "HEAD"]),
];

/// Browsers may remember the answer to a preflight for this many seconds.
const MAX_AGE_SECONDS: &str = "1800";

/// What the rules say about one request.
pub(super) struct Cors {
    /// Methods of the route, if pages of any origin may call it.
    open_methods: Option<&'static [&'static str]>,
    has_origin: bool,
    preflight: Option<Preflight>,
}

struct Preflight {
    method: HeaderValue,
    /// Header names separated by `, `, as they were asked; none if none were.
    headers: Option<HeaderValue>,
}

impl Cors {
    /// `route` is the template that the path matched.
    pub(super) fn of(request: &Request, route: &str) -> Self {
        let headers = request.headers();
        let has_origin = headers.contains_key(header::ORIGIN);
        let asked = headers.get(header::ACCESS_CONTROL_REQUEST_METHOD);
        let preflight = asked.filter(|_| has_origin && request.method() == Method::OPTIONS).map(|method| Preflight {
            method: method.clone(),
            headers: joined(headers.get_all(header::ACCESS_CONTROL_REQUEST_HEADERS).iter()),
        });
        let open_methods = OPEN_ROUTES.iter().find(|(open, _)| *open == route).map(|(_, methods)| *methods);
        Self { open_methods, has_origin, preflight }
    }

    /// The answer to a preflight; none if the request is none.
    pub(super) fn preflight(&self) -> Option<Response> {
        let asked = self.preflight.as_ref()?;
        let methods = self.open_methods.unwrap_or_default();
        if !methods.iter().any(|method| asked.method.as_bytes() == method.as_bytes()) {
            return Some((StatusCode::FORBIDDEN, Body::from("Invalid CORS request")).into_response());
        }
        let mut response = StatusCode::OK.into_response();
        let headers = response.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, asked.method.clone());
        if let Some(names) = &asked.headers {
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
        }
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE_SECONDS));
        Some(response)
    }

    /// Adds what every answer of an open route carries.
    pub(super) fn decorate(&self, mut response: Response) -> Response {
        let headers = response.headers_mut();
        if self.open_methods.is_some() || self.preflight.is_some() {
            for name in ["Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers"] {
                headers.append(header::VARY, HeaderValue::from_static(name));
            }
        }
        if self.open_methods.is_some() && self.has_origin && may_be_read(response.status()) {
            let headers = response.headers_mut();
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        }
        response
    }
}

/// Pages may read every answer of the routes themselves; a refused preflight or method is none.
fn may_be_read(status: StatusCode) -> bool {
    !matches!(status, StatusCode::METHOD_NOT_ALLOWED | StatusCode::FORBIDDEN)
}

fn joined<'a>(values: impl Iterator<Item = &'a HeaderValue>) -> Option<HeaderValue> {
    let names: Vec<&str> = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect();
    if names.is_empty() { None } else { HeaderValue::from_str(&names.join(", ")).ok() }
}
