//! What the end-to-end tests start: a network, the service as a process of its own, the SDK.

#![allow(clippy::unwrap_used, dead_code, reason = "each test file uses its part of these, and may unwrap like a test")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::Value;
use strongroom_devnet::anvil::{AnvilOptions, Mining};
use strongroom_devnet::npm::Cache;
use strongroom_devnet::process::OwnedProcess;
use strongroom_devnet::sdk::{Sdk, SdkContext};
use strongroom_devnet::{Devnet, Options, development_accounts};

/// A network on which blocks also come without transactions: the SDK waits for them.
pub(crate) async fn devnet() -> Devnet {
    let chain = AnvilOptions { mining: Mining::Mixed(Duration::from_secs(1)), ..AnvilOptions::default() };
    Devnet::start(Options { chain, ..Options::default() }).await.unwrap()
}

/// The stock SDK.
pub(crate) fn sdk() -> Sdk {
    Sdk::install(&Cache::of_user().unwrap()).unwrap()
}

/// The context of the `index`th development account.
pub(crate) fn context(devnet: &Devnet, sms: Option<&Sms>, index: usize) -> SdkContext {
    SdkContext {
        rpc_url: devnet.rpc_url().to_owned(),
        deployment: *devnet.deployment(),
        sms_url: sms.map(|sms| sms.url.clone()),
        wallet: development_accounts()[index].signer(),
    }
}

/// A running `strongroom-sms`, stopped when dropped.
pub(crate) struct Sms {
    /// Its address, such as `http://127.0.0.1:41234`.
    pub url: String,
    process: OwnedProcess,
}

impl Sms {
    /// Kills it as a power failure would.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        self.process.output()
    }
}

/// Starts the service for this network, with its data in `folder`, and waits until it is ready for requests.
pub(crate) fn start_sms(devnet: &Devnet, folder: &Path) -> Sms {
    let config = folder.join("strongroom-sms.toml");
    let text = format!(
        r#"
            [server]
            address = "127.0.0.1"
            port = 0
            [chain]
            endpoints = ["{endpoint}"]
            id = {id}
            hub = "{hub}"
            head_refresh_ms = 50
            [store]
            path = "{folder}/strongroom.db"
            root_key_file = "{folder}/root.key"
            [log]
            format = "json"
            filter = "info"
        "#,
        endpoint = devnet.rpc_url(),
        id = devnet.deployment().chain_id,
        hub = devnet.deployment().hub,
        folder = folder.display(),
    );
    std::fs::write(&config, text).unwrap();
    let mut command = Command::new(program("strongroom-sms", "strongroom-sms"));
    command.arg("--config").arg(&config);
    let process = OwnedProcess::start("strongroom-sms", command).unwrap();
    let patience = Duration::from_mins(1);
    let address =
        process.wait_for_line(patience, |line| logged(line, "listening")?["address"].as_str().map(str::to_owned));
    let url = format!("http://{}", address.unwrap());
    process.wait_for_line(patience, |line| logged(line, "chain id and hub are as configured")).unwrap();
    Sms { url, process }
}

/// The fields of a log line with this message.
fn logged(line: &str, message: &str) -> Option<Value> {
    let event: Value = serde_json::from_str(line).ok()?;
    let fields = event.get("fields").unwrap_or(&event);
    (fields["message"] == message).then(|| fields.clone())
}

/// Builds a program of this workspace as the tests were built, once, and tells where it is.
pub(crate) fn program(package: &'static str, name: &'static str) -> PathBuf {
    static BUILT: Mutex<BTreeSet<&str>> = Mutex::new(BTreeSet::new());
    // target/<profile>/deps/<this test>
    let own = std::env::current_exe().unwrap();
    let folder = own.parent().unwrap().parent().unwrap();
    let mut built = BUILT.lock().unwrap();
    if !built.contains(name) {
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--package", package, "--bin", name]);
        build.arg("--target-dir").arg(folder.parent().unwrap());
        build.current_dir(env!("CARGO_MANIFEST_DIR"));
        if folder.ends_with("release") {
            build.arg("--release");
        }
        let output = build.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        built.insert(name);
    }
    folder.join(name)
}
