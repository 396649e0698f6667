//! A task in the words of the network's scheduler (`currentStatus`, `dateStatusList`, `replicates`). Pure.

use jiff::Timestamp;
use serde_json::{Value, json};
use strongroom_protocol::address::checksummed;
use strongroom_protocol::{Address, UnixSeconds};

use crate::lifecycle::State;
use crate::task::{Change, Task};

/// The task as JSON.
pub(super) fn task(task: &Task, history: &[Change], link: Option<&str>, worker: Address) -> Value {
    let failure = task.facts.failure.as_ref();
    let mut dates: Vec<(&str, UnixSeconds)> = Vec::new();
    for change in history {
        for status in task_statuses(change.state) {
            // Several of our states are one of theirs.
            if dates.last().is_none_or(|(last, _)| last != status) {
                dates.push((status, change.time));
            }
        }
    }
    let current = dates.last().map_or("RECEIVED", |(status, _)| *status);
    let dates: Vec<Value> =
        dates.into_iter().map(|(status, time)| json!({ "date": date(time), "status": status })).collect();
    let mut model = json!({
        "chainTaskId": task.id.to_string(),
        "chainDealId": task.deal.to_string(),
        "taskIndex": task.index,
        "currentStatus": current,
        "dateStatusList": dates,
        "contributionDeadline": date(task.contribution_deadline),
        "finalDeadline": date(task.final_deadline),
        "enclaveChallenge": task.facts.challenge.map(|challenge| checksummed(&challenge)),
        "resultLink": link,
        "replicates": replicate(task, history, link, worker),
    });
    if let Some(failure) = failure {
        model["cause"] = json!(failure.cause.name());
        model["message"] = json!(failure.message);
    }
    model
}

/// The worker's part; an empty list before it began.
fn replicate(task: &Task, history: &[Change], link: Option<&str>, worker: Address) -> Vec<Value> {
    let mut updates = Vec::new();
    for change in history {
        let failed = change.state == State::Stuck && !updates.is_empty();
        let statuses = if failed { &["FAILED"][..] } else { replicate_statuses(change.state) };
        for status in statuses {
            let mut update = json!({ "status": status, "modifier": "WORKER", "date": date(change.time) });
            if failed {
                let cause = task.facts.failure.as_ref().map(|failure| failure.cause.name());
                update["details"] = json!({ "cause": cause, "exitCode": task.facts.exit_code });
            }
            updates.push(update);
        }
    }
    let Some(last) = updates.last() else { return Vec::new() };
    vec![json!({
        "chainTaskId": task.id.to_string(),
        "walletAddress": checksummed(&worker),
        "currentStatus": last["status"],
        "appExitCode": task.facts.exit_code,
        "resultLink": link,
        "statusUpdateList": updates,
    })]
}

/// The statuses that a task takes on with one of our states.
fn task_statuses(state: State) -> &'static [&'static str] {
    match state {
        State::Received => &["RECEIVED"],
        State::Initializing | State::Authorizing => &["INITIALIZING"],
        State::Ready => &["INITIALIZED"],
        State::Starting | State::Running | State::Settling => &["RUNNING"],
        State::Completed => &["FINALIZED", "COMPLETED"],
        State::Stuck | State::Failed => &["FAILED"],
        State::Claiming => &["FINAL_DEADLINE_REACHED"],
    }
}

/// The statuses that the worker's part takes on.
fn replicate_statuses(state: State) -> &'static [&'static str] {
    match state {
        State::Starting => &["STARTING"],
        State::Running => &["STARTED", "COMPUTING"],
        State::Settling => &["COMPUTED", "CONTRIBUTE_AND_FINALIZE_ONGOING"],
        State::Completed => &["CONTRIBUTE_AND_FINALIZE_DONE", "COMPLETED"],
        State::Received
        | State::Initializing
        | State::Authorizing
        | State::Ready
        | State::Stuck
        | State::Claiming
        | State::Failed => &[],
    }
}

/// RFC 3339 with milliseconds, as the network's scheduler writes dates.
fn date(time: UnixSeconds) -> String {
    let seconds = i64::try_from(time.0).unwrap_or(i64::MAX);
    Timestamp::from_second(seconds).map(|date| format!("{date:.3}")).unwrap_or_default()
}
