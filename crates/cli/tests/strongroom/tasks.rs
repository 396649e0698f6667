//! Bought tasks: where they are and why, their results, and money that comes back.

use alloy_primitives::{B256, U256};
use serde_json::{Value, json};
use strongroom_content::cid::{AddAs, Cid};
use strongroom_protocol::{DealId, TaskId};

use crate::stage::{APP, Stage, me, text};
use crate::stand_in_chain::{Task, deal, empty_task};
use crate::stand_in_sms::{Scripted, StandInSms};

const DEAL: B256 = B256::repeat_byte(0xde);

/// A deal of `tasks` tasks, of which the first has this status.
fn bought(stage: &Stage, tasks: u64, status: u8, results: &str) -> (String, String) {
    stage.chain.world().deals.insert(DEAL, deal(me(), APP, tasks));
    let task = TaskId::of(DealId::from(DEAL), 0);
    if status > 0 {
        let results = results.as_bytes().to_vec().into();
        let task_on_chain = Task { status, dealid: DEAL, finalDeadline: U256::from(2_000), results, ..empty_task() };
        stage.chain.world().tasks.insert(B256::from(*task.as_bytes()), task_on_chain);
    }
    (DEAL.to_string(), task.to_string())
}

#[test]
fn a_task_is_explained_with_what_can_be_done() {
    for (status, time, standing, word) in [
        (0, 1_000, "UNSET", "not begun it yet"),
        (0, 1_700, "UNSET", "too late"),
        (0, 2_000, "TIMEOUT", "not done until"),
        (1, 1_000, "ACTIVE", "may deliver until"),
        (1, 1_700, "ACTIVE", "delivered nothing"),
        (1, 2_000, "TIMEOUT", "not done until"),
        (3, 1_000, "COMPLETED", "is done"),
        (4, 2_000, "FAILED", "money came back"),
    ] {
        let stage = Stage::new();
        let (deal, task) = bought(&stage, 1, status, "");
        stage.chain.world().time = time;
        let answer = stage.run(&["task", "explain", &deal]).ends_with(0).json();
        let found = &answer["tasks"][0];
        assert_eq!((&found["status"], &found["task"]), (&standing.into(), &task.clone().into()), "{answer}");
        assert!(found["reason"].as_str().unwrap().contains(word), "{answer}");
    }
}

#[test]
fn an_id_that_means_nothing_is_not_found() {
    let stage = Stage::new();
    let id = B256::repeat_byte(9).to_string();
    for command in ["explain", "watch"] {
        let error = stage.run(&["task", command, &id]).ends_with(4).error();
        assert!(error["remedy"].as_str().unwrap().contains("deal"), "{error}");
    }
    stage.run(&["task", "explain", "0x12"]).ends_with(2).error();
}

#[test]
fn money_comes_back_after_the_final_deadline_and_not_before() {
    let stage = Stage::new();
    let (deal, _) = bought(&stage, 1, 1, "");
    stage.chain.world().time = 1_999;
    let error = stage.sign(&["task", "claim", &deal]).ends_with(3).error();
    assert!(error["message"].as_str().unwrap().contains("1970-01-01T00:33:20Z"), "{error}");
    stage.chain.world().time = 2_000;
    stage.chain.world().refusal = "sent at last";
    let error = stage.sign(&["task", "claim", &deal]).ends_with(3).error();
    assert!(error["causes"].to_string().contains("sent at last"), "{error}");
    let stage = Stage::new();
    let (deal, _) = bought(&stage, 1, 3, "");
    stage.sign(&["task", "claim", &deal]).ends_with(3).error();
}

#[test]
fn a_result_is_fetched_from_ipfs_only_and_only_when_there_is_one() {
    for (status, results, code, part) in [
        (1, "", 4, "no result: it is"),
        (3, "", 4, "without saying where"),
        (3, r#"{ "storage": "dropbox", "location": "/results/0x" }"#, 4, "dropbox"),
        (3, r#"{ "storage": "ipfs", "location": "/ipfs/../etc" }"#, 6, "no file of IPFS"),
        (
            3,
            r#"{ "storage": "ipfs", "location": "/ipfs/QmUVhChbLFiuzNK1g2GsWyWEiad7SXPqARnWzGumgziwEp" }"#,
            1,
            "does not answer",
        ),
    ] {
        let stage = Stage::new();
        let (deal, _) = bought(&stage, 1, status, results);
        let error = stage.run(&["task", "result", &deal]).ends_with(code).error();
        assert!(error["message"].as_str().unwrap().contains(part), "{error}");
        assert!(error["remedy"].is_string(), "{error}");
        let left = std::fs::read_dir(stage.home.path(".")).unwrap().flatten();
        assert!(left.into_iter().all(|entry| !entry.file_name().to_string_lossy().starts_with(".strongroom-")));
    }
    let stage = Stage::new();
    let (deal, _) = bought(&stage, 2, 0, "");
    stage.run(&["task", "result", &deal]).ends_with(2).error();
}

#[test]
fn watching_ends_with_the_tasks_and_says_how_they_ended() {
    let stage = Stage::new();
    let (deal, task) = bought(&stage, 1, 3, "");
    let ran = stage.home.run(&["task", "watch", &deal]);
    assert!(ran.ends_with(0).stdout.contains(&format!("{task}  COMPLETED\n")), "{ran:?}");
    let stage = Stage::new();
    let (deal, _) = bought(&stage, 1, 4, "");
    let answer = stage.run(&["task", "watch", &deal]).ends_with(1).json();
    assert_eq!(answer["tasks"][0]["status"], "FAILED");
}

#[test]
fn bought_deals_are_listed_as_the_chain_has_them() {
    let stage = Stage::new();
    let none = stage.run(&["task", "list"]).ends_with(0).json();
    assert_eq!(none["deals"], json!([]));
    let (deal, task) = bought(&stage, 12, 1, "");
    stage.market.deal(DEAL);
    // One that the chain does not know is passed over.
    stage.market.deal(B256::repeat_byte(1));
    let answer = stage.run(&["task", "list"]).ends_with(0).json();
    let deals = answer["deals"].as_array().unwrap();
    assert_eq!((deals.len(), &deals[0]["deal"], &deals[0]["tasks"][0]["task"]), (1, &json!(deal), &json!(task)));
    let shown = stage.home.run(&["task", "list"]);
    assert!(shown.ends_with(0).stdout.contains("and 2 more"), "{shown:?}");
}

#[test]
fn a_result_is_kept_only_when_it_is_the_file_that_the_chain_names() {
    let content = "what the app left";
    let cid = Cid::of(content.as_bytes(), AddAs::V0).unwrap();
    let results = format!(r#"{{ "storage": "ipfs", "location": "/ipfs/{cid}" }}"#);
    for (body, code) in [("something else", 1), (content, 0)] {
        let (stage, gateway) = (Stage::new(), StandInSms::start());
        stage.describe_with(&stage.chain.url(), &stage.market.url(), &["--ipfs-gateway", &gateway.url()]);
        let (deal, task) = bought(&stage, 1, 3, &results);
        gateway.next(Scripted::Status(200, "", body.to_owned()));
        stage.run(&["task", "result", &deal]).ends_with(code);
        assert_eq!(gateway.requests()[0].target, format!("/ipfs/{cid}"));
        let kept = std::fs::read_to_string(stage.home.path(&format!("{task}.zip"))).ok();
        assert_eq!(kept.as_deref(), (code == 0).then_some(content));
        if code == 0 {
            stage.run(&["task", "result", &deal]).ends_with(5).error();
        }
    }
}

#[test]
fn what_is_no_archive_is_not_unpacked_and_leaves_nothing() {
    let content = "what the app left";
    let cid = Cid::of(content.as_bytes(), AddAs::V0).unwrap();
    let (stage, gateway) = (Stage::new(), StandInSms::start());
    stage.describe_with(&stage.chain.url(), &stage.market.url(), &["--ipfs-gateway", &gateway.url()]);
    let (deal, _) = bought(&stage, 1, 3, &format!(r#"{{ "storage": "ipfs", "location": "/ipfs/{cid}" }}"#));
    gateway.next(Scripted::Status(200, "", content.to_owned()));
    let error = stage.run(&["task", "result", &deal, "--unpack", "result"]).ends_with(6).error();
    assert!(error["remedy"].as_str().unwrap().contains("without --unpack"), "{error}");
    assert!(!stage.home.path("result").exists());
    std::fs::create_dir(stage.home.path("result")).unwrap();
    stage.run(&["task", "result", &deal, "--unpack", "result"]).ends_with(5).error();
}

#[test]
fn what_the_pool_says_is_told_and_ends_the_watching_when_it_has_given_up() {
    let (stage, pool) = (Stage::new(), StandInSms::start());
    stage.describe_with(&stage.chain.url(), &stage.market.url(), &["--compass", &pool.url()]);
    let (deal, task) = bought(&stage, 1, 1, "");
    // Watching goes by the clock of this machine, and time is still left.
    stage.chain.world().deals.get_mut(&DEAL).unwrap().startTime = U256::from(4_000_000_000_u64);
    let says = |word: Value| {
        pool.next(Scripted::Status(200, "", json!({ "apiUrl": pool.url() }).to_string()));
        pool.next(Scripted::Status(200, "", word.to_string()));
    };
    says(json!({ "currentStatus": "RUNNING" }));
    let answer = stage.run(&["task", "explain", &deal]).ends_with(0).json();
    assert_eq!(answer["tasks"][0]["pool"]["status"], "RUNNING");
    says(json!({ "currentStatus": "FAILED", "cause": "APP_COMPUTE_FAILED", "message": "exit \u{1b}code 3" }));
    let answer = stage.run(&["task", "explain", &deal]).ends_with(0).json();
    assert_eq!(answer["tasks"][0]["reason"], "The pool has given it up.");
    assert!(answer["tasks"][0]["remedy"].as_str().unwrap().contains("buy again"), "{answer}");
    says(json!({ "currentStatus": "FAILED", "cause": "APP_COMPUTE_FAILED", "message": "exit \u{1b}code 3" }));
    let ran = stage.home.run(&["task", "watch", &deal]);
    let line = format!("{task}  ACTIVE  (pool: FAILED, APP_COMPUTE_FAILED, exit code 3)");
    assert!(ran.ends_with(1).stdout.contains(&line), "{ran:?}");
    assert!(ran.stdout.contains("task explain"), "{ran:?}");
    let asked: Vec<String> = pool.requests().into_iter().map(|request| request.target).collect();
    assert_eq!(asked[1], format!("/tasks/{task}"));
}

#[test]
fn what_an_app_printed_is_told_to_whoever_signs_the_pools_challenge() {
    let (stage, pool) = (Stage::new(), StandInSms::start());
    stage.describe_with(&stage.chain.url(), &stage.market.url(), &["--compass", &pool.url()]);
    let (deal, task) = bought(&stage, 1, 1, "");
    let answers = |answer: Value| pool.next(Scripted::Status(200, "", answer.to_string()));
    let direct = || answers(json!({ "apiUrl": pool.url() }));
    let challenge = || answers(json!({ "message": { "challenge": "Sign this" } }));
    let ask = || stage.sign(&["task", "logs", &deal]);

    direct();
    challenge();
    let printed = json!({ "walletAddress": "0x1", "stdout": "out\n", "stderr": "" });
    answers(json!({ "chainTaskId": task, "computeLogsList": [printed] }));
    let answer = ask().ends_with(0).json();
    assert_eq!(answer["logs"], json!([{ "worker": "0x1", "stdout": "out\n", "stderr": "" }]));
    let asked = pool.requests();
    let authorization = &asked[2].headers["authorization"];
    assert!(asked[2].target.ends_with("/logs") && authorization.ends_with(&text(me())), "{asked:#?}");

    for (status, code, remedy) in
        [(403, 3, "--wallet"), (401, 3, "--wallet"), (404, 4, "for some days"), (500, 1, "again")]
    {
        direct();
        challenge();
        pool.next_status(status);
        let error = ask().ends_with(code).error();
        assert!(error["remedy"].as_str().unwrap().contains(remedy), "{status}: {error}");
    }
    // A compass that does not know the pool, and one that is none.
    pool.next_status(404);
    let error = ask().ends_with(4).error();
    assert!(error["remedy"].as_str().unwrap().contains("--compass"), "{error}");
    answers(json!({}));
    ask().ends_with(1).error();
    stage.describe_with(&stage.chain.url(), &stage.market.url(), &["--compass", &crate::stage::nobody()]);
    ask().ends_with(1).error();
    stage.describe(&stage.chain.url(), &stage.market.url());
    ask().ends_with(6).error();
}
