//! The tasks that are meant, and where they stand.

use jiff::Timestamp;
use serde_json::{Value, json};
use strongroom_poco::accounts::DealDetails;
use strongroom_protocol::address::checksummed;
use strongroom_protocol::snapshot::TaskStatus;
use strongroom_protocol::{B256, DealId, TaskId, UnixSeconds};

use crate::error::CliError;
use crate::network::Network;

/// No worker can deliver this many times the category's duration after the deal, and the money can come back after that many times.
const CONTRIBUTION_TIMES: u64 = 7;
const FINAL_TIMES: u64 = 10;
/// Most tasks of a deal that are looked at.
const MAX_TASKS: u64 = 1000;
/// Most tasks of a deal that a list looks at.
pub(super) const LISTED_TASKS: usize = 10;

/// Where a task stands, in the words of the iexec CLI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    Unset,
    Active,
    Revealing,
    Completed,
    Failed,
    /// Not over in time; the money can be claimed.
    Timeout,
}

impl Standing {
    pub(super) fn of(status: TaskStatus, now: UnixSeconds, final_deadline: UnixSeconds) -> Self {
        match status {
            TaskStatus::Completed => Self::Completed,
            TaskStatus::Failed => Self::Failed,
            _ if now >= final_deadline => Self::Timeout,
            TaskStatus::Unset => Self::Unset,
            TaskStatus::Active => Self::Active,
            TaskStatus::Revealing => Self::Revealing,
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Unset => "UNSET",
            Self::Active => "ACTIVE",
            Self::Revealing => "REVEALING",
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
            Self::Timeout => "TIMEOUT",
        }
    }

    pub(super) fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Timeout)
    }
}

/// A deal and those of its tasks that are meant.
pub(super) struct Subject {
    pub(super) details: DealDetails,
    pub(super) tasks: Vec<(u64, TaskId)>,
}

impl Subject {
    fn after(&self, times: u64) -> UnixSeconds {
        let start = self.details.deal.start_time.0;
        UnixSeconds(start.saturating_add(self.details.category_seconds.saturating_mul(times)))
    }

    pub(super) fn contribution_deadline(&self) -> UnixSeconds {
        self.after(CONTRIBUTION_TIMES)
    }

    pub(super) fn final_deadline(&self) -> UnixSeconds {
        self.after(FINAL_TIMES)
    }

    /// All tasks of a deal.
    pub(super) fn whole(details: DealDetails, at_most: u64) -> Self {
        let (id, first) = (details.deal.id, details.deal.bot_first);
        let end = first.saturating_add(details.deal.bot_size.min(at_most));
        let tasks = (first..end).map(|index| (index, TaskId::of(id, index))).collect();
        Self { details, tasks }
    }

    /// Where each task stands.
    pub(super) async fn standings(&self, network: &Network, now: UnixSeconds) -> Result<Vec<Standing>, CliError> {
        let mut standings = Vec::with_capacity(self.tasks.len());
        for (_, id) in &self.tasks {
            standings.push(Standing::of(network.chain.task_status(*id).await?, now, self.final_deadline()));
        }
        Ok(standings)
    }
}

/// The deal of this id, or the task of this id that was begun, with its deal.
pub(super) async fn subject(network: &Network, id: B256, now: UnixSeconds) -> Result<Subject, CliError> {
    if let Some(details) = network.chain.deal(DealId::from(id)).await? {
        return Ok(Subject::whole(details, MAX_TASKS));
    }
    let unknown = || CliError::NoTask { id: id.to_string(), chain: network.name.clone() };
    let task = network.chain.snapshot(TaskId::from(id), now).await?.ok_or_else(unknown)?.task;
    let details = network.chain.deal(task.deal).await?.ok_or_else(unknown)?;
    Ok(Subject { details, tasks: vec![(task.index, task.id)] })
}

/// The subject, which must be one task.
pub(super) async fn one_task(network: &Network, id: B256, now: UnixSeconds) -> Result<(Subject, TaskId), CliError> {
    let subject = subject(network, id, now).await?;
    match subject.tasks.as_slice() {
        [(_, task)] => Ok(*task).map(|task| (subject, task)),
        all => Err(CliError::SeveralTasks { id: id.to_string(), tasks: all.len() as u64 }),
    }
}

/// The time of the newest block: what the contracts go by.
pub(super) async fn chain_time(network: &Network) -> Result<UnixSeconds, CliError> {
    Ok(network.chain.newest_block().await?.time)
}

pub(super) fn lines(subject: &Subject, standings: &[Standing]) -> Vec<String> {
    let line =
        |((index, task), standing): (&(u64, TaskId), &Standing)| format!("{index:>4}  {task}  {}", standing.as_str());
    subject.tasks.iter().zip(standings).map(line).collect()
}

pub(super) fn described(network: &Network, subject: &Subject, standings: &[Standing]) -> Value {
    let tasks: Vec<Value> = subject
        .tasks
        .iter()
        .zip(standings)
        .map(|((index, id), standing)| json!({ "task": id.to_string(), "index": index, "status": standing.as_str() }))
        .collect();
    let deal = &subject.details.deal;
    json!({
        "deal": deal.id.to_string(),
        "app": checksummed(&deal.app.address),
        "dataset": deal.dataset.map(|dataset| checksummed(&dataset.address)),
        "workerpool": checksummed(&deal.workerpool.address),
        "requester": checksummed(&deal.requester),
        "start_time": deal.start_time.0,
        "final_deadline": subject.final_deadline().0,
        "tasks": tasks,
        "chain": network.name,
    })
}

pub(super) fn date(time: UnixSeconds) -> String {
    let seconds = i64::try_from(time.0).ok();
    let date = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
    date.map_or_else(|| "the end of time".to_owned(), |date| date.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_that_is_not_over_at_its_final_deadline_has_timed_out() {
        for (status, now, expected) in [
            (TaskStatus::Unset, 9, Standing::Unset),
            (TaskStatus::Unset, 10, Standing::Timeout),
            (TaskStatus::Active, 9, Standing::Active),
            (TaskStatus::Active, 10, Standing::Timeout),
            (TaskStatus::Revealing, 9, Standing::Revealing),
            (TaskStatus::Revealing, 10, Standing::Timeout),
            (TaskStatus::Completed, 10, Standing::Completed),
            (TaskStatus::Failed, 9, Standing::Failed),
        ] {
            assert_eq!(Standing::of(status, UnixSeconds(now), UnixSeconds(10)), expected, "{status:?} at {now}");
        }
    }

    #[test]
    fn dates_are_shown_in_utc() {
        assert_eq!(date(UnixSeconds(1_752_900_000)), "2025-07-19T04:40:00Z");
        assert_eq!(date(UnixSeconds(u64::MAX)), "the end of time");
    }
}
