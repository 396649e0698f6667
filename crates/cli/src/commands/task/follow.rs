//! Follows tasks at their pool while they are watched. A pool that says nothing is no trouble: the chain alone decides.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::course::{Over, news, over};
use super::pool_word::{GIVEN_UP, find_scheduler, spoken};
use super::subject::{LISTED_TASKS, Standing, Subject, lines};
use crate::network::Network;
use crate::output::Watching;
use crate::scheduler::{Scheduler, Word};

/// Between two questions about a task.
const ASK_EVERY: Duration = Duration::from_millis(300);
/// How often the pool is asked about a task that is over on chain: it notices a moment later.
const LAST_QUESTIONS: usize = 5;
/// The pool's word for a task that is done.
const DONE: &str = "COMPLETED";
/// Where there is no live view, a stage is told before it is over when it lasts this long.
const LONG: Duration = Duration::from_secs(10);

/// What the pool said so far.
pub(super) struct Follower<'a> {
    subject: &'a Subject,
    scheduler: Option<Scheduler>,
    /// The first of the tasks.
    tasks: Vec<Followed>,
}

#[derive(Clone)]
struct Followed {
    word: Option<Word>,
    /// When this word was first heard.
    heard: Instant,
    /// The stages that were shown.
    told: Vec<Over>,
    /// Whether nothing more is expected.
    is_complete: bool,
}

impl Followed {
    /// Takes a new word; no word leaves the last. Says whether the task, not only its worker, has moved on.
    fn hear(&mut self, word: Option<Word>) -> bool {
        let Some(word) = word else { return false };
        let now = (Some(&word.status), Some(&word.stage));
        let before = (self.word.as_ref().map(|word| &word.status), self.word.as_ref().map(|word| &word.stage));
        let (has_moved, has_changed) = (now.0 != before.0, now != before);
        if has_changed {
            self.heard = Instant::now();
        }
        self.word = Some(word);
        has_moved
    }

    fn is_final(&self) -> bool {
        self.word.as_ref().is_some_and(|word| [DONE, GIVEN_UP].contains(&word.status.as_str()))
    }

    fn is_given_up(&self) -> bool {
        self.word.as_ref().is_some_and(|word| word.status == GIVEN_UP)
    }
}

impl<'a> Follower<'a> {
    /// Nothing is asked yet.
    pub(super) fn new(subject: &'a Subject) -> Self {
        let one = Followed { word: None, heard: Instant::now(), told: Vec::new(), is_complete: false };
        Self { subject, scheduler: None, tasks: vec![one; subject.tasks.len().min(LISTED_TASKS)] }
    }

    /// Asks about all tasks of which more is expected, after a look at the chain. Finds the pool first, if it is not found yet.
    pub(super) async fn look(&mut self, network: &Network, standings: &[Standing]) {
        if self.scheduler.is_none() && self.tasks.iter().any(|task| !task.is_complete) {
            self.scheduler = find_scheduler(network, self.subject).await.ok();
        }
        self.ask(standings).await;
        self.ask_for_last_words(standings).await;
    }

    /// Asks about the tasks that are not over. Says whether one has moved on, so that a look at the chain is due.
    pub(super) async fn ask(&mut self, standings: &[Standing]) -> bool {
        let Some(scheduler) = &self.scheduler else { return false };
        let mut has_moved = false;
        for (position, task) in
            self.tasks.iter_mut().enumerate().filter(|(position, _)| !standings[*position].is_over())
        {
            has_moved |= task.hear(scheduler.word(self.subject.tasks[position].1).await);
        }
        has_moved
    }

    async fn ask_for_last_words(&mut self, standings: &[Standing]) {
        for (position, task) in self.tasks.iter_mut().enumerate().filter(|(position, _)| standings[*position].is_over())
        {
            for question in 0..LAST_QUESTIONS {
                let Some(scheduler) = self.scheduler.as_ref().filter(|_| !task.is_complete && !task.is_final()) else {
                    break;
                };
                if question > 0 {
                    tokio::time::sleep(ASK_EVERY).await;
                }
                task.hear(scheduler.word(self.subject.tasks[position].1).await);
                if task.word.is_none() {
                    break;
                }
            }
            task.is_complete = true;
        }
    }

    /// How long to wait before the next question: the longer, the more tasks are asked about.
    pub(super) fn pause(&self, standings: &[Standing], at_most: Duration) -> Duration {
        let open = standings.iter().take(self.tasks.len()).filter(|standing| !standing.is_over()).count();
        match u32::try_from(open) {
            Ok(open @ 1..) if self.scheduler.is_some() => ASK_EVERY.saturating_mul(open).min(at_most),
            _ => at_most,
        }
    }

    /// Whether no task goes on: on chain, one that the pool has given up stays as it is for long.
    pub(super) fn is_over(&self, standings: &[Standing]) -> bool {
        let given_up = |position| self.tasks.get(position).is_some_and(Followed::is_given_up);
        standings.iter().enumerate().all(|(position, standing)| standing.is_over() || given_up(position))
    }

    /// Shows each stage once, when it is over, and where the tasks stand.
    pub(super) fn show(&mut self, view: &mut Watching, standings: &[Standing]) {
        for ((index, _), task) in self.subject.tasks.iter().zip(&mut self.tasks) {
            let now = task.word.as_ref().map(over).unwrap_or_default();
            for stage in news(&task.told, &now) {
                view.say(&format!("{index:>4}  {}", stage.spoken()));
            }
            task.told = now;
        }
        let mut lines = lines(self.subject, standings);
        for ((line, task), standing) in lines.iter_mut().zip(&self.tasks).zip(standings) {
            let is_told = view.is_live() || task.is_given_up() || task.heard.elapsed() >= LONG;
            if let Some(word) = task.word.as_ref().filter(|_| is_told && !standing.is_over()) {
                let _ = write!(line, "  (pool: {})", spoken(word));
            }
        }
        view.show(&lines);
    }

    /// Adds the stages to an answer.
    pub(super) fn describe(&self, json: &mut Value) {
        for (position, task) in self.tasks.iter().enumerate() {
            json["tasks"][position]["stages"] = task.told.iter().map(Over::described).collect();
        }
    }
}
