//! `task watch`: what a task goes through, with times, and what its app printed.

use alloy_primitives::{B256, U256};
use serde_json::{Value, json};
use strongroom_protocol::{DealId, TaskId};

use crate::stage::{APP, Stage, me};
use crate::stand_in_chain::{Task, deal, empty_task};
use crate::stand_in_pool::{StandInPool, Step};

const DEAL: B256 = B256::repeat_byte(0xde);
const ACTIVE: u8 = 1;
const COMPLETED: u8 = 3;

/// The stages that a task of the pool goes through, each with the second at which it begins: of the task, and of its worker.
const OF_TASK: [(&str, u64); 6] =
    [("RECEIVED", 0), ("INITIALIZING", 2), ("INITIALIZED", 2), ("RUNNING", 3), ("FINALIZED", 90), ("COMPLETED", 90)];
const OF_WORKER: [(&str, u64); 4] = [("STARTING", 3), ("COMPUTING", 5), ("COMPUTED", 80), ("COMPLETED", 90)];

fn stages(all: &[(&str, u64)], until: u64) -> Vec<Value> {
    let date = |second: u64| format!("2026-01-02T03:{:02}:{:02}.000Z", 4 + second / 60, second % 60);
    let so_far = all.iter().filter(|(_, second)| *second <= until);
    so_far.map(|(status, second)| json!({ "status": status, "date": date(*second) })).collect()
}

/// What the pool says at this second.
fn word(second: u64) -> Value {
    let (task, worker) = (stages(&OF_TASK, second), stages(&OF_WORKER, second));
    let last = |stages: &[Value]| stages.last().map(|stage| stage["status"].clone());
    let replicate = last(&worker).map(|last| json!({ "currentStatus": last, "statusUpdateList": worker }));
    let replicates: Vec<Value> = replicate.into_iter().collect();
    json!({ "currentStatus": last(&task), "dateStatusList": task, "replicates": replicates })
}

/// A bought task, and the pool where it goes on with each question.
fn bought(steps: impl IntoIterator<Item = Step>) -> (Stage, StandInPool) {
    let stage = Stage::new();
    let task = B256::from(*TaskId::of(DealId::from(DEAL), 0).as_bytes());
    {
        let mut world = stage.chain.world();
        let mut deal = deal(me(), APP, 1);
        // Watching goes by the clock of this machine, and time is still left.
        deal.startTime = U256::from(4_000_000_000_u64);
        world.deals.insert(DEAL, deal);
        world.tasks.insert(task, Task { status: ACTIVE, dealid: DEAL, ..empty_task() });
    }
    let pool = StandInPool::start(task, stage.chain.shared_world(), steps);
    stage.describe_with(&stage.chain.url(), &stage.market.url(), &["--compass", &pool.url()]);
    (stage, pool)
}

/// The pool is asked at seconds that skip none, some and all of the stages between.
fn whole_course() -> [Step; 6] {
    let step = |second| Step { word: word(second), on_chain: if second < 90 { ACTIVE } else { COMPLETED } };
    [step(0), step(2), step(3), step(3), step(80), step(90)]
}

#[test]
fn each_stage_is_told_once_with_the_time_that_it_took() {
    let (stage, _pool) = bought(whole_course());
    let ran = stage.home.run(&["task", "watch", &DEAL.to_string()]);
    ran.ends_with(0);
    let is_stage = |line: &&str| line.ends_with(" s");
    let told: Vec<&str> = ran.stdout.lines().filter(is_stage).collect();
    assert_eq!(
        told,
        [
            "   0  RECEIVED: 2 s",
            "   0  INITIALIZING: less than 1 s",
            "   0  INITIALIZED: 1 s",
            "   0  worker STARTING: 2 s",
            "   0  worker COMPUTING: 1 min 15 s",
            "   0  worker COMPUTED: 10 s",
            "   0  RUNNING: 1 min 27 s",
            "   0  FINALIZED: less than 1 s",
        ],
        "{ran:?}"
    );
    // Where the task stands on chain is told at the beginning and last of all.
    let task = TaskId::of(DealId::from(DEAL), 0);
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(lines[0], format!("   0  {task}  ACTIVE"), "{ran:?}");
    assert_eq!(
        lines[lines.len() - 2..],
        [format!("   0  {task}  COMPLETED"), format!("Result: strongroom task result {task}")]
    );
}

#[test]
fn programs_are_told_the_stages_at_the_end() {
    let (stage, _pool) = bought(whole_course());
    let answer = stage.run(&["task", "watch", &DEAL.to_string()]).ends_with(0).json();
    let stages = answer["tasks"][0]["stages"].as_array().unwrap();
    assert_eq!(stages.len(), 8, "{answer}");
    let computing = json!({ "of": "worker", "stage": "COMPUTING", "began": "2026-01-02T03:04:05Z", "seconds": 75 });
    assert_eq!(stages[4], computing);
    assert!(answer.get("printed").is_none(), "nobody asked for it");
}

#[test]
fn a_task_that_is_over_is_told_too_also_when_the_pool_notices_late() {
    let over = |second| Step { word: word(second), on_chain: COMPLETED };
    let (stage, pool) = bought([over(80), over(90)]);
    let task = B256::from(*TaskId::of(DealId::from(DEAL), 0).as_bytes());
    stage.chain.world().tasks.get_mut(&task).unwrap().status = COMPLETED;
    let answer = stage.run(&["task", "watch", &DEAL.to_string()]).ends_with(0).json();
    assert_eq!(answer["tasks"][0]["stages"].as_array().unwrap().len(), 8, "{answer}");
    assert_eq!(pool.asked().len(), 3, "the compass, then twice the pool");
}

#[test]
fn what_the_app_printed_is_shown_when_the_task_is_over() {
    let (stage, pool) = bought(whole_course());
    pool.printed(json!({ "walletAddress": "0x1", "stdout": "out\n", "stderr": "" }));
    let watch = ["task", "watch", &DEAL.to_string(), "--logs"];
    let ran = stage.home.sign("", &watch);
    assert!(
        ran.ends_with(0).stdout.contains("worker 0x1\nstandard output:\nout\nstandard error: nothing\nResult: "),
        "{ran:?}"
    );
    let asked = pool.asked();
    let last = asked.last().unwrap();
    assert!(last.target.ends_with("/logs") && last.headers["authorization"].ends_with(&crate::stage::text(me())));
    let answer = stage.sign(&watch).ends_with(0).json();
    assert_eq!(answer["printed"][0]["logs"], json!([{ "worker": "0x1", "stdout": "out\n", "stderr": "" }]));
}

#[test]
fn a_pool_that_keeps_no_logs_does_not_undo_the_task() {
    let (stage, pool) = bought(whole_course());
    let watch = ["task", "watch", &DEAL.to_string(), "--logs"];
    let answer = stage.sign(&watch).ends_with(0).json();
    assert!(answer["printed"][0]["trouble"]["remedy"].as_str().unwrap().contains("for some days"), "{answer}");
    // Whoever cannot ask for them is told so first.
    stage.describe(&stage.chain.url(), &stage.market.url());
    let before = pool.asked().len();
    stage.sign(&watch).ends_with(6).error();
    let buy = ["task", "buy", &crate::stage::text(APP), "--watch", "--logs"];
    let error = stage.sign(&buy).ends_with(6).error();
    assert!(error["remedy"].as_str().unwrap().contains("--compass"), "{error}");
    assert_eq!(pool.asked().len(), before);
}

#[test]
fn without_a_pool_the_chain_alone_is_watched() {
    let (stage, pool) = bought(whole_course());
    let task = B256::from(*TaskId::of(DealId::from(DEAL), 0).as_bytes());
    stage.chain.world().tasks.get_mut(&task).unwrap().status = COMPLETED;
    drop(pool);
    let ran = stage.home.run(&["task", "watch", &DEAL.to_string()]);
    assert!(ran.ends_with(0).stdout.contains("COMPLETED\nResult: "), "{ran:?}");
}
