//! The story's steps with the stock `iexec` command line.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use alloy_primitives::{Address, B256, hex};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use strongroom_devnet::sdk::{CommandLine, SdkError};
use strongroom_devnet::whole::POOL_OWNER;
use strongroom_oci::Digest;
use strongroom_protocol::TaskId;

use crate::scene::{DATA_OWNER, DEVELOPER, PATIENCE, REQUESTER, Scene, wallet};
use crate::tools::{Encrypted, Tool, Wanted};

/// A project folder of each person's.
pub(crate) struct Iexec<'a> {
    scene: &'a Scene,
    folder: PathBuf,
    people: BTreeMap<usize, CommandLine>,
}

impl<'a> Iexec<'a> {
    pub(crate) fn new(scene: &'a Scene) -> Self {
        let folder = scene.folder.path().join("by-iexec");
        let people = [DEVELOPER, DATA_OWNER, REQUESTER, POOL_OWNER].map(|who| {
            let project = folder.join(who.to_string());
            std::fs::create_dir_all(&project).unwrap();
            (who, scene.command_line(who, &project))
        });
        Self { scene, folder, people: people.into() }
    }

    fn folder(&self, who: usize) -> PathBuf {
        self.folder.join(who.to_string())
    }

    /// The command line of somebody, in the project folder.
    fn of(&self, who: usize) -> &CommandLine {
        &self.people[&who]
    }

    fn ask_for(&self, wanted: &Wanted, further: &[&str]) -> Result<Value, SdkError> {
        let (app, dataset) = (wanted.app.to_string(), wanted.dataset.to_string());
        let pool = self.scene.whole.workerpool.to_string();
        let command = ["app", "run", &app, "--tag", "tee,tdx", "--force", "--encrypt-result"];
        let parts = ["--dataset", &dataset, "--workerpool", &pool, "--args", wanted.argument];
        let secrets = ["--secret", "1=one", "2=two"];
        self.of(REQUESTER).run_with_wallet(&[&command[..], &parts, &secrets, further].concat())
    }

    #[track_caller]
    fn done(&self, who: usize, command: &[&str]) -> Value {
        self.of(who).run_with_wallet(command).unwrap()
    }
}

impl Tool for Iexec<'_> {
    fn deploy_app(&self, name: &str, _layout: &Path, checksum: Digest) -> Address {
        let developer = self.of(DEVELOPER);
        let app = json!({
            "owner": wallet(DEVELOPER).address(), "name": name, "type": "DOCKER", "multiaddr": name,
            "checksum": hex::encode_prefixed(checksum.as_bytes()),
        });
        developer.write("iexec.json", &json!({ "app": app })).unwrap();
        let deployed = developer.run_with_wallet(&["app", "deploy"]).unwrap();
        serde_json::from_value(deployed["address"].clone()).unwrap()
    }

    fn push_app_secret(&self, app: Address, value: &str) {
        self.done(DEVELOPER, &["app", "push-secret", &app.to_string(), "--secret-value", value]);
    }

    fn publish_app(&self, app: Address, price: u64) {
        let (app, price) = (app.to_string(), price.to_string());
        let offer = ["--price", &price, "--volume", "9", "--tag", "tee,tdx", "--force"];
        self.done(DEVELOPER, &[&["app", "publish", &app], &offer[..]].concat());
    }

    fn encrypt(&self, file: &Path) -> Encrypted {
        let (owner, folder) = (self.of(DATA_OWNER), self.folder(DATA_OWNER));
        owner.write("iexec.json", &json!({})).unwrap();
        owner.run(&["dataset", "init", "--encrypted"]).unwrap();
        std::fs::copy(file, folder.join("datasets/original/table.csv")).unwrap();
        owner.run(&["dataset", "encrypt"]).unwrap();
        Encrypted {
            file: folder.join("datasets/encrypted/table.csv.enc"),
            key: folder.join(".secrets/datasets/table.csv.key"),
        }
    }

    fn deploy_dataset(&self, name: &str, file: &Path) -> Address {
        let bytes = std::fs::read(file).unwrap();
        let checksum = hex::encode_prefixed(Sha256::digest(&bytes));
        let location = tokio::runtime::Handle::current().block_on(self.scene.upload(bytes));
        let owner = self.of(DATA_OWNER);
        let dataset = json!({
            "owner": wallet(DATA_OWNER).address(), "name": name, "multiaddr": location, "checksum": checksum,
        });
        owner.write("iexec.json", &json!({ "dataset": dataset })).unwrap();
        let deployed = owner.run_with_wallet(&["dataset", "deploy"]).unwrap();
        serde_json::from_value(deployed["address"].clone()).unwrap()
    }

    fn push_dataset_key(&self, dataset: Address, key: &Path) {
        let (dataset, key) = (dataset.to_string(), key.to_str().unwrap());
        self.done(DATA_OWNER, &["dataset", "push-secret", &dataset, "--secret-path", key]);
    }

    fn grant(&self, dataset: Address, app: Address, price: u64) {
        let (dataset, app, price) = (dataset.to_string(), app.to_string(), price.to_string());
        let grant = ["--price", &price, "--volume", "9", "--tag", "tee", "--app-restrict", &app, "--force"];
        self.done(DATA_OWNER, &[&["dataset", "publish", &dataset], &grant[..]].concat());
    }

    fn revoke(&self, _dataset: Address, grant: &Value) {
        // It cancels what `order sign` has put into this file; `dataset publish` leaves nothing there.
        let chain = self.scene.network.deployment().chain_id.to_string();
        self.of(DATA_OWNER).write("orders.json", &json!({ chain: { "datasetorder": grant } })).unwrap();
        let cancelled = self.done(DATA_OWNER, &["order", "cancel", "--dataset", "--force"]);
        assert!(cancelled["datasetorder"]["txHash"].is_string(), "{cancelled:#}");
    }

    fn offer_pool(&self, price: u64, volume: u64) {
        let (pool, price, volume) = (self.scene.whole.workerpool.to_string(), price.to_string(), volume.to_string());
        let offer = ["--price", &price, "--volume", &volume, "--category", "0", "--tag", "tee,tdx", "--force"];
        self.done(POOL_OWNER, &[&["workerpool", "publish", &pool], &offer[..]].concat());
    }

    fn deposit(&self, amount: u64) {
        self.done(REQUESTER, &["account", "deposit", &amount.to_string(), "nRLC"]);
    }

    fn push_requester_secret(&self, name: &str, value: &str) {
        self.done(REQUESTER, &["requester", "push-secret", name, "--secret-value", value]);
    }

    fn push_result_key(&self) {
        self.done(REQUESTER, &["result", "generate-encryption-keypair"]);
        self.done(REQUESTER, &["result", "push-encryption-key"]);
    }

    fn buy(&self, wanted: &Wanted) -> Result<String, String> {
        let bought = self.ask_for(wanted, &["--watch"]).map_err(|error| error.to_string())?;
        assert!(bought["failedTasks"].as_array().is_none_or(Vec::is_empty), "{bought:#}");
        Ok(bought["tasks"][0]["taskid"].as_str().unwrap().to_owned())
    }

    fn buy_in_vain(&self, wanted: &Wanted) -> String {
        // Watching would last until the task's deadline: this command line watches the chain, and there the task stays unknown.
        let bought = self.ask_for(wanted, &[]).unwrap();
        let deal: B256 = serde_json::from_value(bought["deals"][0]["dealid"].clone()).unwrap();
        let task = TaskId::of(deal.into(), 0).to_string();
        let begun = Instant::now();
        let told = loop {
            match self.scene.told_by_pool(&task) {
                Some(told) if told["currentStatus"] == "FAILED" => break told.to_string(),
                told => assert!(begun.elapsed() < PATIENCE, "{told:#?}"),
            }
            std::thread::sleep(Duration::from_millis(100));
        };
        // The pool has not begun it, so the stock command line only sees that: why is told by the pool itself.
        let unknown = self.of(REQUESTER).run(&["task", "debug", &task]).unwrap_err().to_string();
        assert!(unknown.contains("No task found"), "{unknown}");
        told
    }

    fn fetch(&self, task: &str) -> PathBuf {
        self.done(REQUESTER, &["task", "show", task, "--download", "result", "--decrypt"]);
        self.folder(REQUESTER).join("result.zip")
    }
}
