//! The session that a TDX session storage takes: JSON with members in the order that it is known by.

use std::collections::BTreeMap;

use strongroom_protocol::bundle::Stage;
use zeroize::Zeroizing;

use super::Prepared;
use super::environment::{Environment, buffer_for, push_quoted};

const VERSION: &str = "0.1.0";

pub(super) fn session(
    prepared: &Prepared<'_>,
    name: &str,
    stages: &BTreeMap<Stage, Environment>,
) -> Zeroizing<Vec<u8>> {
    let pipeline = prepared.pipeline;
    let app = &prepared.app;
    let mut out = buffer_for(stages, name.len() + app.location.len() + pipeline.images_bytes());
    out.extend_from_slice(b"{\"name\":");
    push_quoted(&mut out, name);
    out.extend_from_slice(format!(",\"version\":\"{VERSION}\",\"services\":[").as_bytes());
    for (number, (stage, environment)) in stages.iter().enumerate() {
        let (image, fingerprint) = match stage {
            Stage::PreCompute => (&pipeline.pre_compute.image, &pipeline.pre_compute.fingerprint),
            Stage::App => (&app.location, &app.checksum),
            Stage::PostCompute => (&pipeline.post_compute.image, &pipeline.post_compute.fingerprint),
        };
        out.extend_from_slice(if number == 0 { b"{\"name\":" } else { b",{\"name\":" });
        push_quoted(&mut out, stage.service_name());
        out.extend_from_slice(b",\"image_name\":");
        push_quoted(&mut out, image);
        out.extend_from_slice(b",\"fingerprint\":");
        push_quoted(&mut out, fingerprint);
        out.extend_from_slice(b",\"environment\":");
        push_environment(&mut out, environment);
        out.push(b'}');
    }
    out.extend_from_slice(b"]}");
    out
}

/// Appends variables as a JSON object.
pub(super) fn push_environment(out: &mut Zeroizing<Vec<u8>>, environment: &Environment) {
    out.push(b'{');
    for (number, (name, value)) in environment.iter().enumerate() {
        if number > 0 {
            out.push(b',');
        }
        push_quoted(out, name);
        out.push(b':');
        push_quoted(out, value);
    }
    out.push(b'}');
}
