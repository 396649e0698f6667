//! `task journal`: what an SMS decided, for the parties of a task, and what is said when it does not tell.

use serde_json::json;
use strongroom_protocol::record::{Outcome, Record};
use strongroom_protocol::snapshot::Block;
use strongroom_protocol::transcript::Deployment;
use strongroom_protocol::{Address, B256, SecretId, SessionId, TaskId, UnixSeconds};

use crate::home::Ran;
use crate::stage::{APP, HUB, Stage, text};
use crate::stand_in_chain::CHAIN_ID;
use crate::stand_in_sms::Scripted;

const SERVICE: Address = Address::repeat_byte(0x5e);

fn task() -> TaskId {
    TaskId::from(B256::repeat_byte(5))
}

fn identity(chain_id: u64) -> Scripted {
    let identity = json!({ "chainId": chain_id, "hub": text(HUB), "keyId": text(SERVICE) });
    Scripted::Status(200, "content-type: application/json\r\n", identity.to_string())
}

fn granted() -> Record {
    Record {
        sequence: 3,
        previous: B256::repeat_byte(9),
        time: UnixSeconds(1_700_000_000),
        deployment: Deployment { chain_id: CHAIN_ID, hub: HUB, sms: SERVICE },
        block: Block { number: 7, hash: B256::repeat_byte(4), time: UnixSeconds(0) },
        session: SessionId::from_random([0; 10], task()),
        worker: Address::repeat_byte(6),
        transcript: [7; 32],
        enclave: "simulated TDX".to_owned(),
        outcome: Outcome::Granted(vec![(SecretId::App(APP), 1)]),
    }
}

fn entries(records: &[Record], hash: impl Fn(&Record) -> B256) -> Scripted {
    let entry =
        |record: &Record| json!({ "hash": hash(record), "bytes": format!("0x{}", hex::encode(record.to_bytes())) });
    let entries: Vec<_> = records.iter().map(entry).collect();
    Scripted::Status(200, "content-type: application/json\r\n", json!(entries).to_string())
}

/// Asks for the journal of a service that answers like this.
fn journal(answers: [Scripted; 2], more: &[&str]) -> Ran {
    let stage = Stage::new();
    for answer in answers {
        stage.sms.next(answer);
    }
    stage.home.sign("", &[&["task", "journal", &task().to_string()], more].concat())
}

fn problem(status: u16, code: &str) -> Scripted {
    Scripted::Status(status, "content-type: application/problem+json\r\n", json!({ "code": code }).to_string())
}

#[test]
fn an_entry_is_told_with_everything_that_was_opened() {
    let ran = journal([identity(CHAIN_ID), entries(&[granted()], Record::hash)], &[]);
    let hash = granted().hash().to_string();
    for part in
        ["entry 3", "2023-11-14T22:13:20Z", "granted", "simulated TDX", "block 7", &text(APP), "version 1", &hash]
    {
        assert!(ran.ends_with(0).stdout.contains(part), "{part}: {ran:?}");
    }
    let ran = journal([identity(CHAIN_ID), entries(&[granted()], Record::hash)], &["--json"]);
    let answer = ran.ends_with(0).json();
    let entry = &answer["entries"][0];
    assert_eq!((&entry["outcome"], &entry["hash"]), (&"granted".into(), &json!(hash)));
    assert_eq!(entry["secrets"], json!([{ "kind": "app", "address": text(APP), "name": null, "version": 1 }]));
    let refused = Record { outcome: Outcome::Refused("image".to_owned()), ..granted() };
    let ran = journal([identity(CHAIN_ID), entries(&[refused], Record::hash)], &[]);
    assert!(ran.ends_with(0).stdout.contains("refused: image") && !ran.stdout.contains("opened"), "{ran:?}");
    let ran = journal([identity(CHAIN_ID), entries(&[], Record::hash)], &[]);
    assert!(ran.ends_with(0).stdout.contains("Nothing was decided"), "{ran:?}");
}

#[test]
fn whoever_has_no_part_in_the_task_is_told_so() {
    let error = |answers, code| journal(answers, &["--json"]).ends_with(code).error();
    let remedy = |error: &serde_json::Value| error["remedy"].as_str().unwrap().to_owned();
    assert!(remedy(&error([identity(CHAIN_ID), problem(403, "not-a-party")], 3)).contains("--wallet"));
    assert!(remedy(&error([identity(CHAIN_ID), problem(404, "no-task")], 4)).contains("--chain"));
    assert!(remedy(&error([identity(CHAIN_ID), problem(401, "stale-signature")], 1)).contains("clock"));
    error([identity(CHAIN_ID), problem(503, "trouble")], 1);
}

#[test]
fn an_sms_that_is_another_one_or_none_of_ours_is_asked_nothing_that_is_signed() {
    let stage = Stage::new();
    let ask = || stage.sign(&["task", "journal", &task().to_string()]);
    stage.sms.next(identity(1));
    let error = ask().ends_with(6).error();
    assert!(error["message"].as_str().unwrap().contains("chain 1"), "{error}");
    stage.sms.next(problem(404, ""));
    let error = ask().ends_with(4).error();
    assert!(error["remedy"].as_str().unwrap().contains("keeps no journal"), "{error}");
    let unreadable = json!({ "chainId": CHAIN_ID, "hub": "0x1", "keyId": text(SERVICE) }).to_string();
    stage.sms.next(Scripted::Status(200, "content-type: application/json\r\n", unreadable));
    ask().ends_with(1).error();
    assert!(stage.sms.requests().iter().all(|request| !request.headers.contains_key("authorization")));
    stage.describe(&stage.chain.url(), &stage.market.url());
    stage.home.sign("", &["task", "journal", "0x12"]).ends_with(2);
}

#[test]
fn an_entry_that_is_not_what_it_is_shown_as_is_not_believed() {
    let ran = journal([identity(CHAIN_ID), entries(&[granted()], |_| B256::ZERO)], &["--json"]);
    let error = ran.ends_with(1).error();
    assert!(error["remedy"].as_str().unwrap().contains("do not trust it"), "{error}");
}
