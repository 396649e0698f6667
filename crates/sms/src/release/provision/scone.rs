//! The session that a SCONE CAS takes: YAML with members in the order that it is known by. All text stands in double quotes.

use std::collections::BTreeMap;

use strongroom_protocol::bundle::Stage;
use zeroize::Zeroizing;

use super::Prepared;
use super::environment::{Environment, buffer_for, push_quoted};
use crate::config::AttestationMode;

const VERSION: &str = "0.3.10";

/// What pre- and post-compute of SCONE need besides, to run at all.
const JAVA: [(&str, &str); 2] = [
    ("LD_LIBRARY_PATH", "/opt/java/openjdk/lib/server:/opt/java/openjdk/lib:/opt/java/openjdk/../lib"),
    ("JAVA_TOOL_OPTIONS", "-Xmx256m"),
];

/// Volumes of each image by name and place, and all of them.
const VOLUMES: &str = r#"images:
  - name: "pre-compute-image"
    volumes:
      - name: "iexec_in"
        path: "/iexec_in"
  - name: "app-image"
    volumes:
      - name: "iexec_in"
        path: "/iexec_in"
      - name: "iexec_out"
        path: "/iexec_out"
  - name: "post-compute-image"
    volumes:
      - name: "iexec_out"
        path: "/iexec_out"
      - name: "post-compute-tmp"
        path: "/post-compute-tmp"
volumes:
  - name: "iexec_in"
  - name: "iexec_out"
  - name: "post-compute-tmp"
"#;

pub(super) fn session(
    prepared: &Prepared<'_>,
    name: &str,
    stages: &BTreeMap<Stage, Environment>,
) -> Zeroizing<Vec<u8>> {
    let settings = &prepared.client.settings;
    let lists = [&settings.tolerated_insecure_options, &settings.ignored_advisories];
    let listed: usize = lists.iter().flat_map(|list| list.iter()).map(|item| item.len() + 16).sum();
    let command = app_command(prepared);
    let fixed = name.len() + listed + command.len() + prepared.pipeline.images_bytes();
    let mut out = buffer_for(stages, fixed);
    line(&mut out, "name: ", name);
    line(&mut out, "version: ", VERSION);
    out.extend_from_slice(b"access_policy:\n  read: [\"CREATOR\"]\n  update: [\"NONE\"]\nservices:\n");
    for (stage, environment) in stages {
        let (fingerprint, command) = match stage {
            Stage::PreCompute => {
                let program = &prepared.pipeline.pre_compute;
                (program.fingerprint.clone(), program.entrypoint.clone())
            }
            Stage::App => (prepared.app_fingerprint(), command.clone()),
            Stage::PostCompute => {
                let program = &prepared.pipeline.post_compute;
                (program.fingerprint.clone(), program.entrypoint.clone())
            }
        };
        line(&mut out, "  - name: ", stage.service_name());
        line(&mut out, "    image_name: ", &format!("{stage}-image"));
        out.extend_from_slice(b"    mrenclaves:\n");
        line(&mut out, "      - ", &fingerprint);
        line(&mut out, "    pwd: ", "/");
        line(&mut out, "    command: ", &command);
        out.extend_from_slice(b"    environment:\n");
        let java: &[(&str, &str)] = if *stage == Stage::App { &[] } else { &JAVA };
        let own = environment.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in own.chain(java.iter().copied()) {
            out.extend_from_slice(b"      ");
            push_quoted(&mut out, name);
            line(&mut out, ": ", value);
        }
    }
    out.extend_from_slice(VOLUMES.as_bytes());
    out.extend_from_slice(b"security:\n  attestation:\n");
    list(&mut out, "    tolerate: ", &settings.tolerated_insecure_options);
    list(&mut out, "    ignore_advisories: ", &settings.ignored_advisories);
    let mode = match settings.attestation_mode {
        AttestationMode::Maa => "maa",
        AttestationMode::Hardware => "hardware",
    };
    line(&mut out, "    mode: ", mode);
    match &prepared.attestation_server {
        Some(server) => line(&mut out, "    url: ", server),
        None => out.extend_from_slice(b"    url: null\n"),
    }
    out
}

/// The entry point that the app's owner signed for, and the arguments that the requester signed for.
fn app_command(prepared: &Prepared<'_>) -> String {
    let entrypoint = prepared.enclave_config.as_ref().map_or("", |config| config.entrypoint.as_str());
    match prepared.arguments.as_deref().filter(|arguments| !arguments.trim().is_empty()) {
        Some(arguments) => format!("{entrypoint} {arguments}"),
        None => entrypoint.to_owned(),
    }
}

fn line(out: &mut Zeroizing<Vec<u8>>, before: &str, text: &str) {
    out.extend_from_slice(before.as_bytes());
    push_quoted(out, text);
    out.push(b'\n');
}

fn list(out: &mut Zeroizing<Vec<u8>>, before: &str, items: &[String]) {
    out.extend_from_slice(before.as_bytes());
    out.push(b'[');
    for (number, item) in items.iter().enumerate() {
        if number > 0 {
            out.extend_from_slice(b", ");
        }
        push_quoted(out, item);
    }
    out.extend_from_slice(b"]\n");
}
