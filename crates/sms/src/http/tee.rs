//! `/tee/framework` and `/tee/properties`: which framework this service serves, and the programs around the app.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use strongroom_protocol::Framework;

use super::framework_error::FrameworkError;
use crate::Sms;
use crate::config::{Pipeline, Stage, TeeConfig, TeeFramework};

/// What the routes answer, made once from the settings.
pub(crate) struct TeeInformation {
    framework: TeeFramework,
    /// In the order of the settings; the first is the default.
    properties: Vec<Properties>,
}

/// The answer of `/tee/properties`. Stock workers decode it strictly, so nothing can be added.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Properties {
    tee_framework: &'static str,
    tee_framework_version: String,
    #[serde(rename = "preComputeProperties")]
    pre_compute: Program,
    #[serde(rename = "postComputeProperties")]
    post_compute: Program,
    /// SCONE only.
    #[serde(skip_serializing_if = "Option::is_none")]
    las_image: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Program {
    image: String,
    fingerprint: String,
    entrypoint: String,
    heap_size_in_bytes: u64,
}

impl TeeInformation {
    pub(crate) fn new(config: &TeeConfig) -> Self {
        let las_image = (config.framework == TeeFramework::Scone).then(|| config.las_image.clone());
        let properties = |pipeline: &Pipeline| Properties {
            tee_framework: name(config.framework),
            tee_framework_version: pipeline.version.clone(),
            pre_compute: stage(&pipeline.pre_compute),
            post_compute: stage(&pipeline.post_compute),
            las_image: las_image.clone(),
        };
        Self { framework: config.framework, properties: config.pipelines.iter().map(properties).collect() }
    }
}

impl TeeInformation {
    /// The framework that this service serves.
    pub(crate) fn framework(&self) -> Framework {
        match self.framework {
            TeeFramework::Scone => Framework::Scone,
            TeeFramework::Gramine => Framework::Gramine,
            TeeFramework::Tdx => Framework::Tdx,
        }
    }
}

fn stage(stage: &Stage) -> Program {
    Program {
        image: stage.image.clone(),
        fingerprint: stage.fingerprint.clone(),
        entrypoint: stage.entrypoint.clone(),
        heap_size_in_bytes: stage.heap_size_bytes,
    }
}

fn name(framework: TeeFramework) -> &'static str {
    match framework {
        TeeFramework::Scone => "SCONE",
        TeeFramework::Gramine => "GRAMINE",
        TeeFramework::Tdx => "TDX",
    }
}

fn parse(text: &str) -> Option<TeeFramework> {
    [TeeFramework::Scone, TeeFramework::Gramine, TeeFramework::Tdx]
        .into_iter()
        .find(|framework| name(*framework).eq_ignore_ascii_case(text))
}

/// A JSON text, with its quotes.
pub(super) async fn framework(State(sms): State<Arc<Sms>>) -> Response {
    Json(name(sms.tee.framework)).into_response()
}

/// The version is judged before the framework, as clients are used to.
pub(super) async fn properties(
    State(sms): State<Arc<Sms>>,
    Path((framework, version)): Path<(String, String)>,
) -> Response {
    let Some(framework) = parse(&framework) else {
        return FrameworkError::new(StatusCode::BAD_REQUEST).into_response();
    };
    let Some(found) = sms.tee.properties.iter().find(|properties| properties.tee_framework_version == version) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    if framework != sms.tee.framework {
        return StatusCode::CONFLICT.into_response();
    }
    Json(found).into_response()
}

/// Deprecated: the default version. 404 only when no pipeline is configured, which the old service could not be.
pub(super) async fn first_properties(State(sms): State<Arc<Sms>>, Path(framework): Path<String>) -> Response {
    let Some(framework) = parse(&framework) else {
        return FrameworkError::new(StatusCode::BAD_REQUEST).into_response();
    };
    if framework != sms.tee.framework {
        return StatusCode::CONFLICT.into_response();
    }
    sms.tee
        .properties
        .first()
        .map_or_else(|| StatusCode::NOT_FOUND.into_response(), |first| Json(first).into_response())
}
