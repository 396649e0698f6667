//! `decide`, `admit` and `explain` against the model, over a million random cases, and each reason to refuse reached.

use std::collections::BTreeMap;
use std::num::NonZero;

use super::model::{self, Outcome, Reason, Value, Variables};
use super::random::scenario;
use super::refusals::one_of_each;
use super::scenario::{Scenario, World};
use super::*;
use crate::needs::needs;
use crate::plan::Source;

/// Cases of a normal run.
const CASES: u64 = 1_000_000;
/// Names a larger number of cases: `STRONGROOM_GRANT_CASES=10000000 cargo test -p strongroom-grant agree`.
const CASES_VARIABLE: &str = "STRONGROOM_GRANT_CASES";
/// Every so many cases, the session alone is judged too and both are explained: that recovers the signature three times more.
const EXPLAINED: u64 = 32;

#[expect(
    clippy::disallowed_methods,
    reason = "how long to search is a choice of whoever runs the test, not of the code"
)]
fn cases() -> u64 {
    std::env::var(CASES_VARIABLE).map_or(CASES, |number| number.parse().expect("a number of cases"))
}

#[test]
fn a_million_random_cases_agree_with_the_model() {
    let (world, cases) = (&World::new(), cases());
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let reached = std::thread::scope(|scope| {
        let share =
            |first: u64| move || Reached::of((first..cases).step_by(threads).map(|case| check_case(world, case)));
        let running: Vec<_> = (0..).take(threads).map(|first| scope.spawn(share(first))).collect();
        running.into_iter().map(|thread| thread.join().unwrap()).fold(Reached::default(), Reached::and)
    });
    println!("{cases} cases\n{reached}");
    reached.assert_not_vacuous(cases);
}

/// Names a case, for whoever has to look into it.
struct Context<'a> {
    case: u64,
    scenario: &'a Scenario,
}

impl std::fmt::Display for Context<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "case {}: {:?}", self.case, self.scenario)
    }
}

/// Judges one case both ways and gives the code of what was decided.
fn check_case(world: &World, case: u64) -> &'static str {
    let scenario = scenario(world, case);
    let context = &Context { case, scenario: &scenario };
    let facts = world.facts(&scenario);
    let (session, release) = (model::session_checks(world, &scenario), model::release_checks(world, &scenario));
    let decided = decide(&facts);
    match (first(session.iter().chain(&release)), &decided) {
        (None, Ok(grant)) => assert_granted(world, &scenario, &facts, grant, context),
        (Some(expected), Err(refusal)) => {
            assert!(expected.is(refusal), "expected {expected:?}, found {refusal:?}, {context}");
        }
        (expected, found) => panic!("expected {expected:?}, found {found:?}, {context}"),
    }
    if case.is_multiple_of(EXPLAINED) {
        assert_admitted_and_explained(world, &scenario, &facts, &session, &release, context);
    }
    decided.map_or_else(|refusal| refusal.code(), |_| "granted")
}

fn first<'a>(mut outcomes: impl Iterator<Item = &'a Outcome>) -> Option<&'a Reason> {
    outcomes.find_map(|(_, reason)| reason.as_ref())
}

fn assert_granted(world: &World, scenario: &Scenario, facts: &Facts, grant: &Grant, context: &Context<'_>) {
    assert_eq!(variables_of(grant.plan()), model::released(world, scenario), "{context}");
    assert_eq!(grant.session(), world.session_id(scenario.session), "{context}");
    assert_eq!(grant.transcript(), &world.transcript(scenario.asked), "{context}");
    assert_eq!(grant.enclave_key(), facts.transcript.key, "{context}");
    assert_eq!(grant.worker(), world.address(scenario.worker), "{context}");
    assert_eq!(grant.block(), World::block(scenario), "{context}");
    assert_eq!(grant.identity(), &World::identity(scenario), "{context}");
    assert_eq!(grant.trust_domain(), &World::trust_domain(scenario), "{context}");
}

fn assert_admitted_and_explained(
    world: &World,
    scenario: &Scenario,
    facts: &Facts,
    session: &[Outcome],
    release: &[Outcome],
    context: &Context<'_>,
) {
    match (first(session.iter()), admit(&facts.task)) {
        (None, Ok(plan)) => {
            assert_eq!(variables_of(&plan), model::variables(world, scenario), "{context}");
            assert!(plan.items.is_sorted_by_key(|item| item.stage), "{context}");
            assert_repeated(world, scenario, &plan, context);
            assert_needs_suffice(facts, &plan, context);
        }
        (Some(expected), Err(refusal)) => assert!(expected.is(&refusal), "{expected:?}, {refusal:?}, {context}"),
        (expected, found) => panic!("expected {expected:?}, found {found:?}, {context}"),
    }
    let all: Vec<_> = session.iter().chain(release).collect();
    for (findings, outcomes) in [(explain_session(&facts.task), &all[..session.len()]), (explain(facts), &all[..])] {
        assert_eq!(findings.len(), outcomes.len(), "{context}");
        for (finding, (name, reason)) in findings.iter().zip(outcomes) {
            assert_eq!(finding.check, *name, "{context}");
            let same = match (reason, &finding.refusal) {
                (Some(reason), Some(refusal)) => reason.is(refusal),
                (None, None) => true,
                (Some(_), None) | (None, Some(_)) => false,
            };
            assert!(same, "{name}: expected {reason:?}, found {:?}, {context}", finding.refusal);
        }
    }
}

/// Secrets that were pushed or replaced after a release change nothing in the plan of the same release asked for again.
fn assert_repeated(world: &World, scenario: &Scenario, plan: &Plan, context: &Context<'_>) {
    let recorded = plan.secrets().into_iter().collect();
    let now = Scenario { stored: u64::MAX, later: scenario.later + 1, ..scenario.clone() };
    let again = admit(&world.facts(&now).task).unwrap().with_versions(&recorded);
    assert_eq!(variables_of(&again), variables_of(plan), "{context}");
}

/// To look up what `needs` names is enough: other stored secrets do not show in the plan.
fn assert_needs_suffice(facts: &Facts, plan: &Plan, context: &Context<'_>) {
    let mut task = facts.task.clone();
    let needs = needs(&task.chain, task.params.as_ref().unwrap(), task.bulk.as_deref().unwrap(), task.session.worker);
    task.stored.retain(|id, _| needs.iter().any(|need| need.candidates().contains(id)));
    assert_eq!(&admit(&task).unwrap(), plan, "{context}");
}

fn variables_of(plan: &Plan) -> Variables {
    let value = |source: &Source| match source {
        Source::Public(text) => Value::Text(text.clone()),
        Source::Secret(id, version) => Value::Stored { id: id.clone(), version: *version, trimmed: false },
        Source::TrimmedSecret(id, version) => Value::Stored { id: id.clone(), version: *version, trimmed: true },
        Source::ChallengeKey => Value::ChallengeKey,
    };
    let variables: Variables =
        plan.items.iter().map(|item| ((item.stage, item.name.clone()), value(&item.source))).collect();
    assert_eq!(variables.len(), plan.items.len(), "each variable stands once in the plan");
    variables
}

/// How often each decision was made.
#[derive(Default)]
struct Reached(BTreeMap<&'static str, u64>);

impl Reached {
    fn of(codes: impl Iterator<Item = &'static str>) -> Self {
        let mut reached = Self::default();
        codes.for_each(|code| *reached.0.entry(code).or_default() += 1);
        reached
    }

    fn and(mut self, other: Self) -> Self {
        other.0.into_iter().for_each(|(code, count)| *self.0.entry(code).or_default() += count);
        self
    }

    /// Every reason was the one given at least once in 2,000 cases, and grants are no rarity.
    fn assert_not_vacuous(&self, cases: u64) {
        for code in one_of_each().iter().map(Refusal::code) {
            let count = self.0.get(code).copied().unwrap_or_default();
            assert!(count >= cases / 2_000, "{code} was decided {count} times only\n{self}");
        }
        assert!(self.0["granted"] >= cases / 8, "{self}");
    }
}

impl std::fmt::Display for Reached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|(code, count)| writeln!(f, "{count:>9} {code}"))
    }
}
