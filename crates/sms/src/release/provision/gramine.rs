//! The session that Gramine's secret provisioning server takes. It has enclaves for the app and for post-compute only.

use std::collections::BTreeMap;

use strongroom_protocol::bundle::Stage;
use zeroize::Zeroizing;

use super::Prepared;
use super::environment::{Environment, buffer_for, push_quoted};
use super::tdx::push_environment;

pub(super) fn session(
    prepared: &Prepared<'_>,
    name: &str,
    stages: &BTreeMap<Stage, Environment>,
) -> Zeroizing<Vec<u8>> {
    let mut out = buffer_for(stages, name.len() + prepared.pipeline.images_bytes());
    out.extend_from_slice(b"{\"session\":");
    push_quoted(&mut out, name);
    out.extend_from_slice(b",\"enclaves\":[");
    for (number, (stage, environment)) in stages.iter().enumerate() {
        let fingerprint = match stage {
            Stage::PreCompute => prepared.pipeline.pre_compute.fingerprint.clone(),
            Stage::App => prepared.app_fingerprint(),
            Stage::PostCompute => prepared.pipeline.post_compute.fingerprint.clone(),
        };
        out.extend_from_slice(if number == 0 { b"{\"name\":" } else { b",{\"name\":" });
        push_quoted(&mut out, stage.service_name());
        out.extend_from_slice(b",\"mrenclave\":");
        push_quoted(&mut out, &fingerprint);
        out.extend_from_slice(b",\"command\":\"\",\"environment\":");
        push_environment(&mut out, environment);
        out.extend_from_slice(b",\"volumes\":[]}");
    }
    out.extend_from_slice(b"]}");
    out
}
