//! What a task goes through, as its pool tells it: each stage is told once, when it is over.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::scheduler::{Stage, Word};

/// A stage that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Over {
    /// What the pool calls it.
    name: String,
    /// Whether it is one of the worker's. The worker's happen within the task's.
    is_workers: bool,
    began: Timestamp,
    ended: Timestamp,
}

impl Over {
    /// How long it took, to the second: pools tell no more.
    fn took(&self) -> Duration {
        Duration::from_secs(self.ended.duration_since(self.began).as_secs().try_into().unwrap_or(0))
    }

    /// On one line.
    pub(super) fn spoken(&self) -> String {
        let whose = if self.is_workers { "worker " } else { "" };
        format!("{whose}{}: {}", self.name, spoken(self.took()))
    }

    /// For programs.
    pub(super) fn described(&self) -> Value {
        let whose = if self.is_workers { "worker" } else { "task" };
        let seconds = self.took().as_secs();
        json!({ "of": whose, "stage": self.name, "began": self.began.to_string(), "seconds": seconds })
    }
}

/// All stages that are over, in the order in which they ended.
pub(super) fn over(word: &Word) -> Vec<Over> {
    let pairs = |is_workers: bool| {
        let stages = &word.course[usize::from(is_workers)];
        let over = move |(stage, next): (&Stage, &Stage)| Over {
            name: stage.name.clone(),
            is_workers,
            began: stage.began,
            ended: next.began,
        };
        stages.iter().zip(stages.iter().skip(1)).map(over)
    };
    let mut all: Vec<Over> = pairs(true).chain(pairs(false)).collect();
    all.sort_by_key(|over| over.ended);
    all
}

/// Those of `now` that are not among `before`, which was told earlier: a stage may come twice, and is told twice then.
pub(super) fn news(before: &[Over], now: &[Over]) -> Vec<Over> {
    let mut told = before.to_vec();
    let mut news = now.to_vec();
    news.retain(|one| match told.iter().position(|told| told == one) {
        Some(position) => {
            told.swap_remove(position);
            false
        }
        None => true,
    });
    news
}

fn spoken(time: Duration) -> String {
    match time.as_secs() {
        0 => "less than 1 s".to_owned(),
        seconds @ 1..60 => format!("{seconds} s"),
        seconds @ 60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        seconds => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stages(all: &[(&str, i64)]) -> Vec<Stage> {
        let stage =
            |(name, at): &(&str, i64)| Stage { name: (*name).to_owned(), began: Timestamp::from_second(*at).unwrap() };
        all.iter().map(stage).collect()
    }

    fn word(task: &[(&str, i64)], worker: &[(&str, i64)]) -> Word {
        Word { course: [stages(task), stages(worker)], ..Word::default() }
    }

    fn lines(all: &[Over]) -> Vec<String> {
        all.iter().map(Over::spoken).collect()
    }

    #[test]
    fn a_stage_is_over_when_the_next_of_the_same_begins() {
        let course = word(&[("RECEIVED", 0), ("RUNNING", 1), ("COMPLETED", 81)], &[("STARTING", 1), ("COMPUTING", 1)]);
        assert_eq!(lines(&over(&course)), ["worker STARTING: less than 1 s", "RECEIVED: 1 s", "RUNNING: 1 min 20 s"]);
        assert_eq!(over(&word(&[("RECEIVED", 0)], &[])), []);
        let backwards = word(&[("A", 9), ("B", 0)], &[]);
        assert_eq!(lines(&over(&backwards)), ["A: less than 1 s"], "a pool may tell anything");
        assert_eq!(lines(&over(&word(&[("A", 0), ("B", 7_260)], &[]))), ["A: 2 h 1 min"]);
    }

    #[test]
    fn each_stage_is_told_once() {
        let mut told = Vec::new();
        let mut said = Vec::new();
        let all = [("A", 0), ("B", 1), ("A", 2), ("B", 3), ("A", 3)];
        for seen in [0, 1, 1, 3, 3, 4, 5] {
            let now = over(&word(&all[..seen], &[]));
            said.extend(lines(&news(&told, &now)));
            told = now;
        }
        assert_eq!(said, ["A: 1 s", "B: 1 s", "A: 1 s", "B: less than 1 s"]);
    }
}
