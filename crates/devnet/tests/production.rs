//! The service as it is built for production: no development root is in it, and none can be configured.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use strongroom_simulator::Simulator;

/// The service built alone, with the features it has for production. A build of the whole workspace gives it those that the
/// simulator asks for.
fn built_service() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let build = || {
        // target/<profile>/deps/<this test>
        let own = std::env::current_exe().unwrap();
        let folder = own.parent().unwrap().parent().unwrap();
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--package", "strongroom-sms", "--bin", "strongroom-sms"]);
        build.arg("--target-dir").arg(folder.parent().unwrap()).current_dir(env!("CARGO_MANIFEST_DIR"));
        if folder.ends_with("release") {
            build.arg("--release");
        }
        let output = build.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        folder.join("strongroom-sms")
    };
    BUILT.get_or_init(build).clone()
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[test]
fn the_built_service_holds_the_vendors_roots_and_no_simulators() {
    let binary = std::fs::read(built_service()).unwrap();
    // Positive control: what is compiled in is found this way.
    assert!(contains(&binary, b"Intel SGX Root CA"), "the vendors' roots are compiled in");
    let roots = Simulator::from_seed([0; 32]).development_anchors();
    let amd = roots.amd_roots.into_iter().map(|(_, root)| root);
    let all: Vec<Vec<u8>> = roots.intel_root.into_iter().chain(amd).chain(roots.aws_root).collect();
    assert_eq!(all.len(), 5, "Intel, three AMD products, AWS");
    for root in all {
        assert!(!contains(&binary, &root), "a development root is compiled in");
    }
    for name in [&b"SIMULATED SGX Root CA"[..], b"SIMULATED ARK", b"Development simulation"] {
        assert!(!contains(&binary, name), "{} is compiled in", String::from_utf8_lossy(name));
    }
}

#[test]
fn the_built_service_refuses_to_start_with_a_simulators_roots() {
    let folder = tempfile::tempdir().unwrap();
    for (chain_id, expected) in [("31337", "build for production"), ("42161", "production chain")] {
        let config = folder.path().join("sms.toml");
        let text = format!(
            "[server]\naddress = \"127.0.0.1\"\nport = 0\n[chain]\nendpoints = [\"http://127.0.0.1:1\"]\nid = {chain_id}\n\
             hub = \"0x5FC8d32690cc91D4c39d9d3abcBD16989F875707\"\n[store]\npath = \"{folder}/{chain_id}.db\"\n\
             root_key_file = \"{folder}/{chain_id}.key\"\n[attestation]\ndanger_simulator_roots = \"{folder}\"\n",
            folder = folder.path().display(),
        );
        std::fs::write(&config, text).unwrap();
        let output = Command::new(built_service()).arg("--config").arg(&config).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "it started");
        assert!(told.contains(expected), "{told}");
    }
}
