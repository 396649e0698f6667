//! What the pool says about tasks of its own.

use super::subject::{LISTED_TASKS, Standing, Subject};
use crate::error::CliError;
use crate::network::Network;
use crate::scheduler::{Scheduler, Word};

/// The pool's word for a task that it will not try again.
pub(super) const GIVEN_UP: &str = "FAILED";

/// What the pool says about those of the first tasks that are not over.
pub(super) async fn ask_pool_about(network: &Network, subject: &Subject, standings: &[Standing]) -> Vec<Option<Word>> {
    let mut words = vec![None; standings.len()];
    let open = |(_, standing): &(usize, &Standing)| !standing.is_over();
    let mut open = standings.iter().enumerate().take(LISTED_TASKS).filter(open).peekable();
    if open.peek().is_some()
        && let Ok(scheduler) = find_scheduler(network, subject).await
    {
        for (index, _) in open {
            words[index] = scheduler.word(subject.tasks[index].1).await;
        }
    }
    words
}

/// The scheduler of the workerpool, where the compass says that it answers.
pub(super) async fn find_scheduler(network: &Network, subject: &Subject) -> Result<Scheduler, CliError> {
    let (compass, workerpool) = (network.compass()?, subject.details.deal.workerpool.address);
    Ok(Scheduler::find(compass, network.entry.chain_id, workerpool, network.timeout).await?)
}

/// The word on one line.
pub(super) fn spoken(word: &Word) -> String {
    let stage = word.stage.as_ref().filter(|stage| **stage != word.status);
    let mut parts: Vec<String> = [Some(&word.status), stage].into_iter().flatten().cloned().collect();
    if let (Some(last), Some(since)) = (parts.last_mut(), word.since) {
        *last += &since.strftime(" since %H:%M:%S UTC").to_string();
    }
    parts.extend([&word.cause, &word.message].into_iter().flatten().cloned());
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_tells_what_the_worker_is_at_and_since_when() {
        let running = Word { status: "RUNNING".to_owned(), ..Word::default() };
        assert_eq!(spoken(&running), "RUNNING");
        let since = "2026-01-02T03:04:05Z".parse().ok();
        let computing = Word { stage: Some("COMPUTING".to_owned()), since, ..running.clone() };
        assert_eq!(spoken(&computing), "RUNNING, COMPUTING since 03:04:05 UTC");
        let failed = Word {
            status: "FAILED".to_owned(),
            stage: Some("FAILED".to_owned()),
            since,
            cause: Some("APP_COMPUTE_FAILED".to_owned()),
            message: Some("exit code 3".to_owned()),
            ..Word::default()
        };
        assert_eq!(spoken(&failed), "FAILED since 03:04:05 UTC, APP_COMPUTE_FAILED, exit code 3");
    }
}
