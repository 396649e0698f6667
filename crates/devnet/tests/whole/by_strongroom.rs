//! The story's steps with `strongroom`.

use std::path::{Path, PathBuf};

use alloy_primitives::{Address, hex};
use serde_json::Value;
use strongroom_devnet::home::{Answer, DONE, Home, REFUSED, TROUBLE};
use strongroom_devnet::whole::POOL_OWNER;
use strongroom_oci::Digest;

use crate::scene::{DATA_OWNER, DEVELOPER, REQUESTER, STRANGER, Scene, wallet};
use crate::support;
use crate::tools::{Encrypted, Tool, Wanted};

/// One home with the wallets of all; each command names the one it needs.
pub(crate) struct Strongroom {
    home: Home,
    workerpool: String,
}

impl Strongroom {
    pub(crate) fn new(scene: &Scene) -> Self {
        let folder = scene.folder.path().join("by-strongroom");
        std::fs::create_dir(&folder).unwrap();
        let home = Home::new(support::program("strongroom-cli", "strongroom"), folder).unwrap();
        home.use_whole_network(&scene.network, &scene.whole).unwrap();
        for who in [DEVELOPER, DATA_OWNER, REQUESTER, POOL_OWNER, STRANGER] {
            home.import_wallet(&name(who), &wallet(who)).unwrap();
        }
        Self { home, workerpool: scene.whole.workerpool.to_string() }
    }

    fn answer(&self, who: usize, command: &[&str], input: &str) -> Answer {
        self.home.run(&[command, &["--wallet", &name(who)]].concat(), input.as_bytes()).unwrap()
    }

    /// What the service recorded about a task, as somebody sees it: the answer, and its exit code.
    pub(crate) fn journal(&self, who: usize, task: &str) -> Answer {
        self.answer(who, &["task", "journal", task], "")
    }

    /// What the app of a task printed, as somebody sees it.
    pub(crate) fn logs(&self, who: usize, task: &str) -> Answer {
        self.answer(who, &["task", "logs", task], "")
    }

    /// The requester buys a task of `app` over `dataset` and waits for its end.
    pub(crate) fn ask_to_buy(&self, app: Address, dataset: Address, further: &[&str]) -> Answer {
        let (app, dataset) = (app.to_string(), dataset.to_string());
        let command = ["task", "buy", &app, "--dataset", &dataset, "--watch"];
        self.answer(REQUESTER, &[&command[..], further].concat(), "")
    }

    fn ask_for(&self, wanted: &Wanted) -> Answer {
        let further = ["--args", wanted.argument, "--encrypt-result", "--secret", "1=one", "--secret", "2=two"];
        self.ask_to_buy(wanted.app, wanted.dataset, &further)
    }

    #[track_caller]
    fn done(&self, who: usize, command: &[&str], input: &str) -> Value {
        let answer = self.answer(who, command, input);
        assert_eq!(answer.code, DONE, "{command:?}: {:#}", answer.json);
        answer.json
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.folder().join(name)
    }
}

fn name(who: usize) -> String {
    format!("person-{who}")
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn address(answer: &Value, member: &str) -> Address {
    serde_json::from_value(answer[member].clone()).unwrap()
}

impl Tool for Strongroom {
    fn deploy_app(&self, name: &str, layout: &Path, checksum: Digest) -> Address {
        let deployed = self.done(DEVELOPER, &["app", "deploy", "--name", name, "--image", text(layout)], "");
        assert_eq!(deployed["checksum"], format!("0x{}", hex::encode(checksum.as_bytes())), "{deployed:#}");
        address(&deployed, "app")
    }

    fn push_app_secret(&self, app: Address, value: &str) {
        self.done(DEVELOPER, &["app", "push-secret", &app.to_string()], value);
    }

    fn publish_app(&self, app: Address, price: u64) {
        self.done(DEVELOPER, &["app", "publish", &app.to_string(), "--price", &price.to_string()], "");
    }

    fn encrypt(&self, file: &Path) -> Encrypted {
        let encrypted = Encrypted { file: self.path("table.enc"), key: self.path("table.key") };
        let command = ["dataset", "encrypt", text(file), "--output", text(&encrypted.file)];
        let command = [&command[..], &["--key-file", text(&encrypted.key)]].concat();
        self.home.run_to(DONE, &command, b"").unwrap();
        encrypted
    }

    fn deploy_dataset(&self, name: &str, file: &Path) -> Address {
        let deployed =
            self.done(DATA_OWNER, &["dataset", "deploy", "--name", name, "--file", text(file), "--upload"], "");
        address(&deployed, "dataset")
    }

    fn push_dataset_key(&self, dataset: Address, key: &Path) {
        self.done(DATA_OWNER, &["dataset", "push-secret", &dataset.to_string(), "--from-file", text(key)], "");
    }

    fn grant(&self, dataset: Address, app: Address, price: u64) {
        let (dataset, app, price) = (dataset.to_string(), app.to_string(), price.to_string());
        self.done(DATA_OWNER, &["dataset", "grant", &dataset, "--app", &app, "--price", &price, "--volume", "9"], "");
        let grants = self.home.run_to(DONE, &["dataset", "grants", &dataset], b"").unwrap();
        assert_eq!(grants["grants"].as_array().unwrap().len(), 1, "{grants:#}");
    }

    fn revoke(&self, dataset: Address, _grant: &Value) {
        let revoked = self.done(DATA_OWNER, &["dataset", "revoke", &dataset.to_string()], "");
        assert_eq!(revoked["revoked"].as_array().unwrap().len(), 1, "{revoked:#}");
    }

    fn offer_pool(&self, price: u64, volume: u64) {
        let (price, volume, file) = (price.to_string(), volume.to_string(), self.path("orders.json"));
        let order = ["--workerpool", &self.workerpool, "--price", &price, "--volume", &volume, "--tag", "tee,tdx"];
        let file = ["--file", text(&file)];
        self.done(POOL_OWNER, &[&["order", "sign", "workerpool"], &order[..], &file].concat(), "");
        self.done(POOL_OWNER, &[&["order", "publish", "workerpool"], &file[..]].concat(), "");
    }

    fn deposit(&self, amount: u64) {
        self.done(REQUESTER, &["account", "deposit", &amount.to_string()], "");
    }

    fn push_requester_secret(&self, name: &str, value: &str) {
        self.done(REQUESTER, &["requester", "push-secret", name], value);
    }

    fn push_result_key(&self) {
        self.done(REQUESTER, &["result", "push-encryption-key"], "");
    }

    fn buy(&self, wanted: &Wanted) -> Result<String, String> {
        let answer = self.ask_for(wanted);
        match answer.code {
            DONE => Ok(answer.json["watched"]["tasks"][0]["task"].as_str().unwrap().to_owned()),
            REFUSED => Err(answer.json["missing"].to_string()),
            _ => panic!("{answer:#?}"),
        }
    }

    fn buy_in_vain(&self, wanted: &Wanted) -> String {
        let answer = self.ask_for(wanted);
        assert_eq!(answer.code, TROUBLE, "{answer:#?}");
        // By the deal: the chain has no task that the pool did not begin.
        let deal = answer.json["watched"]["deal"].as_str().unwrap();
        let told = self.home.run_to(DONE, &["task", "explain", deal], b"").unwrap();
        told["tasks"][0]["pool"].to_string()
    }

    fn fetch(&self, task: &str) -> PathBuf {
        let archive = self.path("result.zip");
        let fetched = self.done(REQUESTER, &["task", "result", task, "--output", text(&archive)], "");
        assert_eq!((&fetched["encrypted"], &fetched["decrypted"]), (&true.into(), &true.into()), "{fetched:#}");
        archive
    }
}
