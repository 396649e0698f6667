//! The permission to start a task is no grant: `admit` gives a plan, and a plan opens nothing.

use strongroom_grant::{Facts, Grant, TaskFacts, admit, decide};

fn of_session_facts(facts: &TaskFacts) -> Grant {
    decide(facts).unwrap()
}

fn of_admission(facts: &Facts) -> Grant {
    admit(&facts.task).unwrap()
}

fn main() {}
