//! The whole network, and the people who use it with the stock SDK.

use std::path::Path;
use std::time::{Duration, Instant};

use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::{Address, B256, Bytes, U256};
use serde_json::{Value, json};
use strongroom_devnet::resources::{App, Dataset};
use strongroom_devnet::sdk::{CommandLine, SdkContext, SdkVersion, Session};
use strongroom_devnet::whole::{Folders, POOL_OWNER, Ports, Programs, WORKER, WholeNetwork};
use strongroom_devnet::{Chain, Devnet, development_accounts};
use strongroom_protocol::UnixSeconds;
use tempfile::TempDir;

use crate::support;
use crate::support::archive::unpacked;

pub(crate) const DEVELOPER: usize = 1;
pub(crate) const DATA_OWNER: usize = 2;
pub(crate) const REQUESTER: usize = 3;
/// Has no part in anything.
pub(crate) const STRANGER: usize = 4;
/// What the pool asks for a task, in nRLC.
pub(crate) const POOL_PRICE: u64 = 100;
/// What requester, pool owner and worker have at the hub in the beginning, in nRLC.
pub(crate) const STAKE: u64 = 10_000;
/// How long the book or the pool may take to see what happened on chain.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);
/// The tag of TDX tasks, in the words of the SDK.
pub(crate) const TAG: [&str; 2] = ["tee", "tdx"];

pub(crate) struct Scene {
    pub(crate) network: Devnet,
    pub(crate) whole: WholeNetwork,
    pub(crate) folder: TempDir,
}

pub(crate) fn wallet(index: usize) -> PrivateKeySigner {
    development_accounts()[index].signer()
}

impl Scene {
    pub(crate) async fn new() -> Self {
        // Only the first of the tests in this process can; the choice is the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let network = support::devnet().await;
        let programs = tokio::task::block_in_place(|| Programs {
            sms: support::program("strongroom-sms", "strongroom-sms"),
            pool: support::program("strongroom-pool", "strongroom-pool"),
            simulator: support::program("strongroom-simulator", "strongroom-simulator"),
            guest: support::static_guest(),
        });
        // Unix sockets of runs are below it.
        let folder = tempfile::Builder::new().prefix("sr").tempdir_in("/tmp").unwrap();
        let now = UnixSeconds(u64::try_from(jiff::Timestamp::now().as_second()).unwrap());
        let whole = WholeNetwork::start(&network, &programs, Folders::all_in(folder.path()), Ports::default(), now)
            .await
            .unwrap();
        Self { network, whole, folder }
    }

    pub(crate) fn chain(&self) -> Chain {
        self.network.chain().unwrap()
    }

    /// Gives everybody who needs it RLC at the hub.
    pub(crate) async fn fund(&self) {
        let chain = self.chain();
        for who in [REQUESTER, POOL_OWNER, WORKER] {
            let amount = U256::from(STAKE);
            chain.give(wallet(who).address(), amount).await.unwrap();
            chain.deposit(&wallet(who), amount).await.unwrap();
        }
    }

    pub(crate) fn context(&self, who: usize) -> SdkContext {
        let context = support::context(&self.network, Some(self.whole.sms.url()), &wallet(who));
        SdkContext { services: self.whole.services(), ..context }
    }

    /// The library, at work for somebody.
    pub(crate) fn session(&self, version: SdkVersion, who: usize) -> Session {
        support::sdk().session(version, &self.context(who)).unwrap()
    }

    /// The command line of somebody, in a folder.
    pub(crate) fn command_line(&self, who: usize, folder: &Path) -> CommandLine {
        support::sdk().command_line(folder, &self.context(who)).unwrap()
    }

    /// An app of the developer's that runs this shell script.
    pub(crate) async fn app(&self, name: &str, script: &str) -> Address {
        let digest = support::shell_image(script).write_layout(&self.whole.images, name).unwrap();
        let app = App { checksum: B256::from(*digest.as_bytes()), ..App::named(name) };
        self.chain().create_app(&wallet(DEVELOPER), &app).await.unwrap()
    }

    /// A dataset of the data owner's.
    pub(crate) async fn dataset(&self, name: &str, location: String, checksum: [u8; 32]) -> Address {
        let (multiaddr, checksum) = (Bytes::from(location.into_bytes()), checksum.into());
        let dataset = Dataset { name: name.to_owned(), multiaddr, checksum };
        self.chain().create_dataset(&wallet(DATA_OWNER), &dataset).await.unwrap()
    }

    /// Stores a file as the tools of IPFS do. Gives its location.
    pub(crate) async fn upload(&self, file: Vec<u8>) -> String {
        let form = reqwest::multipart::Form::new().part("file", reqwest::multipart::Part::bytes(file));
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let store = self.whole.store.url();
        let answer = http.post(format!("{store}/api/v0/add")).multipart(form).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        let cid = answer["Hash"].as_str().unwrap();
        assert!(http.head(format!("{store}/ipfs/{cid}")).send().await.unwrap().status().is_success());
        format!("/ipfs/{cid}")
    }

    /// Free stake of somebody at the hub, in nRLC.
    pub(crate) fn stake(&self, who: usize) -> u64 {
        let balance = self.session(SdkVersion::V9, who).call("account.checkBalance", &[json!(wallet(who).address())]);
        number(&balance.unwrap()["stake"])
    }

    /// The workerpool's order in the book.
    pub(crate) fn publish_pool(&self, volume: u64) -> Value {
        let template = json!({
            "workerpool": self.whole.workerpool, "workerpoolprice": POOL_PRICE, "volume": volume, "category": 0, "tag": TAG,
        });
        publish(&mut self.session(SdkVersion::V9, POOL_OWNER), "Workerpool", &template)
    }

    /// Buys what `request` asks for with the best orders in the book for its app and of the workerpool. Gives the ids of the tasks.
    pub(crate) fn buy(&self, requester: &mut Session, request: &Value) -> Vec<Value> {
        let mut best = |call: &str, query: Value| {
            let book = requester.call(call, &[query]).unwrap();
            book["orders"][0]["order"].clone()
        };
        let apporder = best("orderbook.fetchAppOrderbook", json!({ "app": request["app"] }));
        let pool = json!({ "workerpool": self.whole.workerpool, "category": 0 });
        let workerpoolorder = best("orderbook.fetchWorkerpoolOrderbook", pool);
        let requestorder = sign(requester, "Request", request);
        let orders = json!({ "apporder": apporder, "workerpoolorder": workerpoolorder, "requestorder": requestorder });
        let matched = requester.call("order.matchOrders", &[orders]).unwrap();
        let deal = requester.call("deal.show", &[matched["dealid"].clone()]).unwrap();
        match &deal["tasks"] {
            Value::Object(tasks) => tasks.values().cloned().collect(),
            tasks => tasks.as_array().unwrap().clone(),
        }
    }

    /// What the pool tells anybody about a task, once it knows it.
    pub(crate) fn told_by_pool(&self, task: &str) -> Option<Value> {
        let url = format!("{}/tasks/{task}", self.whole.pool.url());
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let asked = async {
            let answer = http.get(url).send().await.unwrap();
            if answer.status() == reqwest::StatusCode::NOT_FOUND {
                return None;
            }
            Some(answer.error_for_status().unwrap().json().await.unwrap())
        };
        tokio::runtime::Handle::current().block_on(asked)
    }

    /// Asks until the answer is as expected: the order book follows the chain with a little distance, and a task of a deal is only there
    /// once the pool has begun it.
    pub(crate) fn until(
        session: &mut Session,
        call: &str,
        arguments: &[Value],
        is_so: impl Fn(&Value) -> bool,
    ) -> Value {
        let begun = Instant::now();
        loop {
            let answer = session.call(call, arguments);
            match answer {
                Ok(answer) if is_so(&answer) => return answer,
                answer => assert!(begun.elapsed() < PATIENCE, "{call}: {answer:#?}"),
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

/// Downloads and decrypts the result of a task and gives what the app saw.
pub(crate) fn fetched(requester: &CommandLine, folder: &Path, task: &str) -> String {
    let mut command = vec!["task", "show", task, "--download", "result"];
    if folder.join(".secrets").exists() {
        command.push("--decrypt");
    }
    let _ = std::fs::remove_file(folder.join("result.zip"));
    requester.run_with_wallet(&command).unwrap();
    unpacked(&folder.join("result.zip"), "seen.txt")
}

/// Makes, signs and publishes an order with the library. Gives its hash.
pub(crate) fn publish(session: &mut Session, kind: &str, template: &Value) -> Value {
    let signed = sign(session, kind, template);
    let options = json!({ "preflightCheck": false });
    let arguments = if matches!(kind, "App" | "Dataset" | "Request") { vec![signed, options] } else { vec![signed] };
    session.call(&format!("order.publish{kind}order"), &arguments).unwrap()
}

/// Makes and signs an order with the library.
pub(crate) fn sign(session: &mut Session, kind: &str, template: &Value) -> Value {
    let order = session.call(&format!("order.create{kind}order"), std::slice::from_ref(template)).unwrap();
    let options = json!({ "preflightCheck": false });
    let arguments = if matches!(kind, "App" | "Dataset" | "Request") { vec![order, options] } else { vec![order] };
    session.call(&format!("order.sign{kind}order"), &arguments).unwrap()
}

/// A number that the driver may have written as a number, a text, or a big number of ethers' or bn.js' making.
pub(crate) fn number(value: &Value) -> u64 {
    match value {
        Value::String(text) => u64::from_str_radix(text, 16).unwrap(),
        other => other.as_u64().unwrap(),
    }
}
