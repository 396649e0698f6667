//! Commands that do what they are asked to, as a person sees them: what was typed, what the command says, for every noun.
//! `golden/successes.txt` has them all, but for `evidence`, which has transcripts of its own. What sends transactions is not among
//! them: the stand-in of the chain takes none.

use std::fmt::Write as _;

use alloy_primitives::{B256, U256};
use expect_test::expect_file;
use serde_json::{Value, json};
use strongroom_content::cid::{AddAs, Cid};
use strongroom_poco::orders::{AppOrder, DatasetOrder, Order as _, Signed, domain};
use strongroom_protocol::{DealId, TaskId};

use crate::home::{ADDRESS, CANARY, Ran};
use crate::stage::{APP, DATASET, HUB, POOL, Stage, me, owner, text};
use crate::stand_in_chain::{CHAIN_ID, Task, deal, empty_task};
use crate::stand_in_sms::{Scripted, StandInSms};

const DEAL: B256 = B256::repeat_byte(0xde);

/// Commands about one noun, one after the other on a stage of their own.
struct Act {
    stage: Stage,
    transcript: String,
}

/// Has the commands about a noun run.
type Play = fn(&mut Act);

impl Act {
    /// Everything on the stage belongs to the wallet that is used.
    fn new(noun: &str) -> Self {
        let stage = Stage::new();
        for asset in [APP, DATASET, POOL] {
            stage.chain.world().owners.insert(asset, me());
        }
        let sms = stage.sms.owned(&text(APP), ADDRESS).owned(&text(DATASET), ADDRESS);
        let stage = Stage { sms, ..stage };
        Self { stage, transcript: format!("# {noun}\n") }
    }

    /// The network gets a gateway of IPFS.
    fn with_gateway(&self) -> StandInSms {
        let gateway = StandInSms::start();
        let storage = ["--ipfs-gateway", &gateway.url()];
        self.stage.describe_with(&self.stage.chain.url(), &self.stage.market.url(), &storage);
        gateway
    }

    /// A command that needs no password.
    fn run(&mut self, command: &str) {
        self.run_to(0, command);
    }

    /// A command whose exit code is an answer.
    fn run_to(&mut self, code: i32, command: &str) {
        let words: Vec<&str> = command.split(' ').collect();
        let ran = self.stage.home.run(&words);
        self.tell(code, command, &ran);
    }

    /// A command that opens the wallet, with a value on standard input.
    fn sign(&mut self, value: &str, command: &str) -> Ran {
        let words: Vec<&str> = command.split(' ').collect();
        let ran = self.stage.home.sign(value, &words);
        self.tell(0, command, &ran);
        ran
    }

    fn tell(&mut self, code: i32, command: &str, ran: &Ran) {
        let said = format!("{}{}", ran.ends_with(code).stdout, ran.stderr);
        let (command, said) = (self.stage.home.stable(command), self.stage.home.stable(&said));
        writeln!(self.transcript, "$ strongroom {command}\n{}[{code}]\n", without_what_is_new(&said)).unwrap();
    }
}

/// Without what may have been made at random: accounts, hashes and signatures that the stage does not know. Tags and zeros stay.
fn without_what_is_new(said: &str) -> String {
    let known = [APP, DATASET, POOL, HUB, me(), owner().address()].map(text);
    let known: Vec<String> = known.into_iter().chain([DEAL.to_string(), task().to_string()]).collect();
    let mut parts = said.split("0x");
    let mut stable = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let length = part.find(|letter: char| !letter.is_ascii_hexdigit()).unwrap_or(part.len());
        let (digits, rest) = part.split_at(length);
        let word = match length {
            _ if digits.starts_with(&"0".repeat(32))
                || known.iter().any(|known| known[2..].eq_ignore_ascii_case(digits)) =>
            {
                digits
            }
            40 => "ADDRESS",
            64 => "HASH",
            130 => "SIGNATURE",
            _ => digits,
        };
        stable += "0x";
        stable += word;
        stable += rest;
    }
    stable
}

fn task() -> TaskId {
    TaskId::of(DealId::from(DEAL), 0)
}

fn wallets(act: &mut Act) {
    act.sign("", "wallet create alice --scrypt-n 4096");
    act.run("wallet use me");
    act.run("wallet list");
    act.run("wallet show");
}

fn chains(act: &mut Act) {
    let hub = text(HUB);
    act.run(&format!(
        "chain add other --chain-id 7 --hub {hub} --rpc https://rpc.example.org --sms https://sms.example.org"
    ));
    act.run("chain list");
    act.run("chain show");
    act.run("chain use other");
}

fn accounts(act: &mut Act) {
    act.stage.chain.world().stakes.insert(me(), 1_500_000_000);
    act.stage.chain.world().rlc.insert(me(), 7);
    act.run("account balance");
}

fn apps(act: &mut Act) {
    let app = text(APP);
    act.run("app init hello --template shell");
    act.run(&format!("app show {app}"));
    act.run_to(4, &format!("app check-secret {app}"));
    act.sign(CANARY, &format!("app push-secret {app}"));
    act.run(&format!("app check-secret {app}"));
}

fn requesters(act: &mut Act) {
    act.sign(CANARY, "requester push-secret api-key");
    act.run("requester check-secret api-key");
}

fn datasets(act: &mut Act) {
    let (app, dataset) = (text(APP), text(DATASET));
    act.stage.home.write("table.csv", "name,value\nanna,7\nbert,9\n");
    act.run("dataset encrypt table.csv");
    act.run("dataset decrypt datasets/encrypted/table.csv.enc --output again.csv");
    act.run(&format!("dataset show {dataset}"));
    let key = std::fs::read_to_string(act.stage.home.path(".secrets/datasets/table.csv.key")).unwrap();
    act.sign(&key, &format!("dataset push-secret {dataset}"));
    act.run(&format!("dataset check-secret {dataset}"));
    act.sign("", &format!("dataset revoke {dataset}"));
    let signed = act.sign("", &format!("dataset grant {dataset} --app {app} --price 5 --volume 9 --no-publish"));
    let signed: Value = serde_json::from_str(&signed.stdout).unwrap();
    let order: Signed<DatasetOrder> = serde_json::from_value(signed["datasetorder"].clone()).unwrap();
    act.stage.market.offer(&order, 9);
    act.run(&format!("dataset grants {dataset}"));
}

fn pools(act: &mut Act) {
    let pool = text(POOL);
    let storage = ["--ipfs-gateway", "http://127.0.0.1:1", "--result-proxy", "http://127.0.0.1:2"];
    act.stage.describe_with(&act.stage.chain.url(), &act.stage.market.url(), &storage);
    act.stage.home.sign("", &["wallet", "create", "worker", "--scrypt-n", "4096"]).ends_with(0);
    act.stage.home.run(&["wallet", "use", "me"]).ends_with(0);
    act.run(&format!("pool show {pool}"));
    act.run(&format!("pool settings {pool} --worker worker --worker-password-file password"));
}

fn orders(act: &mut Act) {
    let (app, pool) = (text(APP), text(POOL));
    act.sign("", &format!("order sign app --app {app} --price 5 --tag tee,tdx"));
    let file = std::fs::read(act.stage.home.path("orders.json")).unwrap();
    let file: Value = serde_json::from_slice(&file).unwrap();
    let order: Signed<AppOrder> = serde_json::from_value(file["65535"]["apporder"].clone()).unwrap();
    let hash = order.order.hash(&domain(CHAIN_ID, HUB));
    act.stage.market.next(200, json!({ "ok": true, "published": { "orderHash": hash } }));
    act.sign("", "order publish app");
    act.stage.market.offer(&order, 1);
    act.run(&format!("order book app --app {app}"));
    act.sign("", &format!("order sign workerpool --workerpool {pool} --price 100 --volume 3 --tag tee,tdx"));
    act.sign("", &format!("order sign request --app {app} --workerpool {pool} --workerpool-max-price 100"));
}

/// Here the offers are somebody else's.
fn tasks(act: &mut Act) {
    let app = text(APP);
    for asset in [APP, DATASET, POOL] {
        act.stage.chain.world().owners.insert(asset, owner().address());
    }
    act.stage.offer_all(9);
    act.stage.chain.world().stakes.extend([(me(), 700), (owner().address(), 60)]);
    act.run(&format!("task buy {app} --volume 2 --dry-run"));
    let content = "what the app left";
    let cid = Cid::of(content.as_bytes(), AddAs::V0).unwrap();
    let gateway = act.with_gateway();
    act.stage.market.deal(DEAL);
    let begun = Task { status: 1, dealid: DEAL, finalDeadline: U256::from(2_000), ..empty_task() };
    let results = format!(r#"{{ "storage": "ipfs", "location": "/ipfs/{cid}" }}"#).into_bytes().into();
    let done = Task { status: 3, results, ..begun.clone() };
    act.stage.chain.world().deals.insert(DEAL, deal(me(), APP, 1));
    act.stage.chain.world().tasks.insert(B256::from(*task().as_bytes()), begun);
    act.run("task list");
    act.run(&format!("task explain {DEAL}"));
    act.stage.chain.world().tasks.insert(B256::from(*task().as_bytes()), done);
    act.run(&format!("task watch {DEAL}"));
    act.run(&format!("task explain {DEAL}"));
    gateway.next(Scripted::Status(200, "", content.to_owned()));
    act.run(&format!("task result {DEAL}"));
}

fn results(act: &mut Act) {
    act.stage.home.write("key.pem", include_str!("../../testdata/result-key.pub.pem"));
    act.run_to(4, "result check-encryption-key");
    act.sign("", "result push-encryption-key --public-key key.pem");
    act.run(&format!("result check-encryption-key {ADDRESS}"));
}

fn secrets(act: &mut Act) {
    act.stage.home.sign(CANARY, &["requester", "push-secret", "api-key"]).ends_with(0);
    act.run(&format!("secret list --name api-key --dataset {}", text(DATASET)));
}

fn the_doctor(act: &mut Act) {
    let _gateway = act.with_gateway();
    act.run("doctor");
}

fn devnets(act: &mut Act) {
    act.run_to(4, "devnet status");
}

#[test]
fn what_is_said_when_a_command_does_what_it_should_is_as_written_down() {
    let mut actual = String::new();
    let acts: [(&str, Play); 13] = [
        ("wallet", wallets),
        ("chain", chains),
        ("account", accounts),
        ("app", apps),
        ("requester", requesters),
        ("dataset", datasets),
        ("pool", pools),
        ("order", orders),
        ("task", tasks),
        ("result", results),
        ("secret", secrets),
        ("doctor", the_doctor),
        ("devnet", devnets),
    ];
    for (noun, play) in acts {
        let mut act = Act::new(noun);
        play(&mut act);
        actual += &act.transcript;
    }
    expect_file!["golden/successes.txt"].assert_eq(&actual);
}
