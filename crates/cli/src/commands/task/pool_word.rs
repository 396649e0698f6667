//! What the pool says about tasks of its own.

use strongroom_protocol::TaskId;

use super::subject::{LISTED_TASKS, Standing, Subject};
use crate::network::Network;
use crate::scheduler::{self, Word};

/// The pool's word for a task that it will not try again.
pub(super) const GIVEN_UP: &str = "FAILED";

/// What the pool says about those of the first tasks that are not over.
pub(super) async fn ask_pool_about(network: &Network, subject: &Subject, standings: &[Standing]) -> Vec<Option<Word>> {
    let mut words = vec![None; standings.len()];
    for (word, ((_, task), standing)) in words.iter_mut().zip(subject.tasks.iter().zip(standings)).take(LISTED_TASKS) {
        if !standing.is_over() {
            *word = ask_pool(network, subject, *task).await;
        }
    }
    words
}

async fn ask_pool(network: &Network, subject: &Subject, task: TaskId) -> Option<Word> {
    let workerpool = subject.details.deal.workerpool.address;
    scheduler::ask(network.entry.compass.as_ref()?, network.entry.chain_id, workerpool, task, network.timeout).await
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
        };
        assert_eq!(spoken(&failed), "FAILED since 03:04:05 UTC, APP_COMPUTE_FAILED, exit code 3");
    }
}
