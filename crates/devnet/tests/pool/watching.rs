//! Waits for what a pool says in its log, and looks at what the chain says in the end.

use std::time::{Duration, Instant};

use alloy_primitives::B256;
use serde_json::Value;
use strongroom_devnet::node::Node;
use strongroom_devnet::pool::Pool;

use crate::scene::{COMPLETED, Scene, wallet};

/// How long anything may take that takes seconds.
pub(crate) const PATIENCE: Duration = Duration::from_mins(3);

/// Waits until `pool` has logged an event that `is_it`.
pub(crate) fn until_logged(pool: &Pool, is_it: impl Fn(&Value) -> bool) {
    tokio::task::block_in_place(|| pool.wait_for_log(PATIENCE, |event| is_it(event).then_some(()))).unwrap();
}

/// Waits until `pool` has said that `task` came to `state`.
pub(crate) fn until_state(pool: &Pool, task: B256, state: &str) {
    until_logged(pool, |event| is_move_to(event, state) && event["task"] == task.to_string());
}

/// Whether the event says that a task came to `state`.
pub(crate) fn is_move_to(event: &Value, state: &str) -> bool {
    event["message"] == "task moved on" && event["state"] == state
}

/// Waits until the enclave of `task` is being started: before that a task that is `running` still looks at the chain.
pub(crate) fn until_enclave(pool: &Pool, task: B256) {
    until_logged(pool, |event| event["message"] == "enclave starts" && event["task"] == task.to_string());
}

/// Waits until `pool` has logged `message`.
pub(crate) fn until_said(pool: &Pool, message: &str) {
    until_logged(pool, |event| event["message"] == message);
}

/// Waits until a step of `task` did not work for a reason with these words.
pub(crate) fn until_trouble(pool: &Pool, task: B256, words: &str) {
    until_logged(pool, |event| {
        let told = event["trouble"].as_str().is_some_and(|trouble| trouble.contains(words));
        told && event["task"] == task.to_string()
    });
}

/// Waits until the script of an app runs that has the argument `marker`: then its enclave has all that it needs from outside.
pub(crate) async fn until_app(marker: &str) {
    let wanted = format!("/bin/sh\0/app.sh\0{marker}\0");
    until("the app runs", || {
        let mut processes = std::fs::read_dir("/proc").unwrap().flatten();
        processes.any(|process| std::fs::read(process.path().join("cmdline")).is_ok_and(|it| it == wanted.as_bytes()))
    })
    .await;
}

/// Waits until a transaction of an account waits for a block.
pub(crate) async fn until_transaction_waits(node: &Node, account: usize) {
    let begun = Instant::now();
    while !node.has_waiting(wallet(account).address()).await.unwrap() {
        assert!(begun.elapsed() < PATIENCE, "no transaction was sent");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until `is_so`.
pub(crate) async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

impl Scene {
    /// Waits for the end of a task, which is a good one, also on chain, where everything happened once.
    pub(crate) async fn completes_once(&self, task: B256) {
        let model = self.end(task).await;
        let worker = self.worker.as_ref().map(Pool::log).unwrap_or_default();
        assert_eq!(model["currentStatus"], "COMPLETED", "{model:#}\n{}\n{worker}", self.pool.log());
        assert_eq!(self.on_chain(task).await.0, COMPLETED);
        assert_eq!(self.times_on_chain(task).await, [1, 1, 1, 0]);
    }

    /// Waits until a task that was given up is failed on chain, and claimed once. Its final deadline must be past.
    pub(crate) async fn is_claimed_once(&self, task: B256) {
        let is_claimed = |model: &Value| model["dateStatusList"].to_string().contains("FINAL_DEADLINE_REACHED");
        self.until(task, |model| is_claimed(model) && model["currentStatus"] == "FAILED").await;
        assert_eq!(self.on_chain(task).await.0, crate::scene::FAILED);
        assert_eq!(self.times_on_chain(task).await, [1, 0, 0, 1]);
    }
}
