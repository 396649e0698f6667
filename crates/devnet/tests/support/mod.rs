//! What the end-to-end tests start: a network, the programs of this workspace, the SDK.

#![allow(clippy::unwrap_used, dead_code, reason = "each test file uses its part of these, and may unwrap like a test")]

pub(crate) mod archive;
pub(crate) mod stage;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use alloy::signers::local::PrivateKeySigner;
use strongroom_devnet::anvil::{AnvilOptions, Mining};
use strongroom_devnet::npm::Cache;
use strongroom_devnet::sdk::{Sdk, SdkContext, Services};
use strongroom_devnet::{Devnet, Options};
use strongroom_oci::ImageBuilder;

/// A network on which blocks also come without transactions: the SDK waits for them.
pub(crate) async fn devnet() -> Devnet {
    let chain = AnvilOptions { mining: Mining::Mixed(Duration::from_secs(1)), ..AnvilOptions::default() };
    Devnet::start(Options { chain, ..Options::default() }).await.unwrap()
}

/// The stock SDK.
pub(crate) fn sdk() -> Sdk {
    Sdk::install(&Cache::of_user().unwrap()).unwrap()
}

/// What the SDK must know to work for `wallet`.
pub(crate) fn context(devnet: &Devnet, sms_url: Option<&str>, wallet: &PrivateKeySigner) -> SdkContext {
    SdkContext {
        rpc_url: devnet.rpc_url().to_owned(),
        deployment: *devnet.deployment(),
        sms_url: sms_url.map(str::to_owned),
        services: Services::default(),
        wallet: wallet.clone(),
    }
}

/// Builds a program of this workspace as the tests were built, once, and tells where it is. The package is for the reader: names of
/// programs are unique.
pub(crate) fn program(_package: &str, name: &'static str) -> PathBuf {
    programs(&[name]).join(name)
}

/// Builds programs, with one command, and tells the folder in which they are.
pub(crate) fn programs(names: &[&'static str]) -> PathBuf {
    static BUILT: Mutex<BTreeSet<&str>> = Mutex::new(BTreeSet::new());
    // target/<profile>/deps/<this test>
    let own = std::env::current_exe().unwrap();
    let folder = own.parent().unwrap().parent().unwrap();
    let mut built = BUILT.lock().unwrap();
    let missing: Vec<&str> = names.iter().copied().filter(|name| !built.contains(name)).collect();
    if !missing.is_empty() {
        let mut build = Command::new(env!("CARGO"));
        // With the features of the whole workspace, as `cargo build --workspace --bins` has them: nothing is built twice.
        build.args(["build", "--workspace"]).args(missing.iter().flat_map(|name| ["--bin", name]));
        build.arg("--target-dir").arg(folder.parent().unwrap());
        build.current_dir(env!("CARGO_MANIFEST_DIR"));
        if folder.ends_with("release") {
            build.arg("--release");
        }
        let output = build.output().unwrap();
        assert!(output.status.success(), "{missing:?}: {}", String::from_utf8_lossy(&output.stderr));
        built.extend(missing);
    }
    folder.to_owned()
}

/// An image that runs this shell script.
pub(crate) fn shell_image(script: &str) -> ImageBuilder {
    let mut image = ImageBuilder::default();
    image.host_shell().unwrap();
    image.file("/app.sh", format!("#!/bin/sh\nset -e\n{script}\n"), true).unwrap();
    image.entrypoint(["/bin/sh", "/app.sh"]);
    image
}

/// Builds the static guest, once, and tells where it is.
pub(crate) fn static_guest() -> PathBuf {
    static BUILT: Mutex<bool> = Mutex::new(false);
    let mut built = BUILT.lock().unwrap();
    if !*built {
        let mut build = Command::new(env!("CARGO"));
        build.args(["xtask", "guest"]).current_dir(env!("CARGO_MANIFEST_DIR"));
        let output = build.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        *built = true;
    }
    strongroom_devnet::programs::static_guest().unwrap()
}
