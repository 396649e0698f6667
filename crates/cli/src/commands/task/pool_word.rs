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

pub(super) fn spoken(word: &Word) -> String {
    [Some(&word.status), word.cause.as_ref(), word.message.as_ref()]
        .into_iter()
        .flatten()
        .cloned()
        .collect::<Vec<_>>()
        .join(", ")
}
