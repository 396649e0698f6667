//! The description of every route in OpenAPI, and a page that shows it. The page comes with the program; nothing is loaded
//! from elsewhere.

use std::sync::{Arc, LazyLock};

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use utoipa_swagger_ui::Config;

use super::framework_error::FrameworkError;

const DOCUMENT: &str = include_str!("openapi.json");
const PAGE: &str = "/swagger-ui/index.html";

static PAGE_CONFIG: LazyLock<Arc<Config<'static>>> = LazyLock::new(|| Arc::new(Config::new(["/v3/api-docs"])));

pub(super) async fn json() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT).into_response()
}

/// Every JSON document is a YAML document.
pub(super) async fn yaml() -> Response {
    ([(header::CONTENT_TYPE, "application/vnd.oai.openapi")], DOCUMENT).into_response()
}

pub(super) async fn to_page() -> Response {
    Redirect::to(PAGE).into_response()
}

pub(super) async fn page(Path(file): Path<String>) -> Response {
    match utoipa_swagger_ui::serve(&file, Arc::clone(&PAGE_CONFIG)) {
        Ok(Some(found)) => ([(header::CONTENT_TYPE, found.content_type)], found.bytes.into_owned()).into_response(),
        Ok(None) => FrameworkError::new(StatusCode::NOT_FOUND).into_response(),
        Err(_) => FrameworkError::new(StatusCode::INTERNAL_SERVER_ERROR).into_response(),
    }
}
