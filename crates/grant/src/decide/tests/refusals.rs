//! Each reason to refuse: its own stable code, its own words, a remedy, and facts that lead to it.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256, U256};
use strongroom_protocol::snapshot::TaskStatus;
use strongroom_protocol::{Framework, Tag, UnixSeconds};

use super::*;
use super::{random::scenario, scenario::World};

/// A refusal of each variant with its code. The codes stand in journals and clients: they never change.
fn codes() -> Vec<(Refusal, &'static str)> {
    use Refusal as R;
    let (address, word) = (Address::repeat_byte(1), B256::repeat_byte(2));
    let (earlier, now) = (UnixSeconds(1), UnixSeconds(2));
    vec![
        (R::TaskNotActive { found: TaskStatus::Unset }, "task-not-active"),
        (R::TaskNotOfDeal, "task-not-of-deal"),
        (R::ContributionClosed { deadline: earlier, now }, "contribution-closed"),
        (R::FinalDeadlinePassed { deadline: earlier, now }, "final-deadline-passed"),
        (R::NoFramework { tag: Tag(B256::ZERO) }, "no-framework"),
        (R::NotAuthorisedByPool { owner: address }, "not-authorised-by-pool"),
        (R::ForeignChallenge { found: address }, "foreign-challenge"),
        (R::ForeignSession, "foreign-session"),
        (R::SessionExpired { expired: earlier, now }, "session-expired"),
        (R::BoundToOtherSession, "bound-to-other-session"),
        (R::NotBound, "not-bound"),
        (R::ParamsNotUnderstood("parser of parameters".to_owned()), "params-not-understood"),
        (R::IndexNotCanonical { index: "01".to_owned() }, "index-not-canonical"),
        (R::NameNotCanonical { name: "a b".to_owned() }, "name-not-canonical"),
        (R::ForeignApp { found: address }, "foreign-app"),
        (R::ForeignDataset, "foreign-dataset"),
        (R::BulkUnreadable("cut short".to_owned()), "bulk-unreadable"),
        (R::BulkDatasetUnknown { dataset: address }, "bulk-dataset-unknown"),
        (R::BulkOrderIncompatible { dataset: address, reason: "of the hub".to_owned() }, "bulk-order-incompatible"),
        (R::BulkOrderLimited { dataset: address, volume: U256::ONE }, "bulk-order-limited"),
        (R::BulkOrderPriced { dataset: address, price: U256::ONE }, "bulk-order-priced"),
        (R::DebugEnclave, "debug-enclave"),
        (R::PolicyNotMet { reason: "reason of the operator".to_owned() }, "policy-not-met"),
        (R::OtherPlatform { asked: Framework::Tdx }, "other-platform"),
        (R::ImageNotApproved { found: word.into() }, "image-not-approved"),
        (R::OtherApp { found: None, expected: word }, "other-app"),
        (R::NoEnclaveConfig("parser, none".to_owned()), "no-enclave-config"),
        (R::InvalidEnclaveConfig("parser, invalid".to_owned()), "invalid-enclave-config"),
        (R::DatasetKeyMissing { dataset: address }, "dataset-key-missing"),
        (R::RequesterSecretMissing { requester: address, name: "a".to_owned() }, "requester-secret-missing"),
        (R::ResultKeyMissing { beneficiary: address }, "result-key-missing"),
        (R::StorageTokenMissing { owner: address }, "storage-token-missing"),
    ]
}

/// Place of each variant in [`codes`]. Without a `_` arm: a new variant does not compile until it has its place there.
fn place(refusal: &Refusal) -> usize {
    match refusal {
        Refusal::TaskNotActive { .. } => 0,
        Refusal::TaskNotOfDeal => 1,
        Refusal::ContributionClosed { .. } => 2,
        Refusal::FinalDeadlinePassed { .. } => 3,
        Refusal::NoFramework { .. } => 4,
        Refusal::NotAuthorisedByPool { .. } => 5,
        Refusal::ForeignChallenge { .. } => 6,
        Refusal::ForeignSession => 7,
        Refusal::SessionExpired { .. } => 8,
        Refusal::BoundToOtherSession => 9,
        Refusal::NotBound => 10,
        Refusal::ParamsNotUnderstood(_) => 11,
        Refusal::IndexNotCanonical { .. } => 12,
        Refusal::NameNotCanonical { .. } => 13,
        Refusal::ForeignApp { .. } => 14,
        Refusal::ForeignDataset => 15,
        Refusal::BulkUnreadable(_) => 16,
        Refusal::BulkDatasetUnknown { .. } => 17,
        Refusal::BulkOrderIncompatible { .. } => 18,
        Refusal::BulkOrderLimited { .. } => 19,
        Refusal::BulkOrderPriced { .. } => 20,
        Refusal::DebugEnclave => 21,
        Refusal::PolicyNotMet { .. } => 22,
        Refusal::OtherPlatform { .. } => 23,
        Refusal::ImageNotApproved { .. } => 24,
        Refusal::OtherApp { .. } => 25,
        Refusal::NoEnclaveConfig(_) => 26,
        Refusal::InvalidEnclaveConfig(_) => 27,
        Refusal::DatasetKeyMissing { .. } => 28,
        Refusal::RequesterSecretMissing { .. } => 29,
        Refusal::ResultKeyMissing { .. } => 30,
        Refusal::StorageTokenMissing { .. } => 31,
    }
}

const VARIANTS: usize = 32;

/// A refusal of each variant.
pub(super) fn one_of_each() -> Vec<Refusal> {
    codes().into_iter().map(|(refusal, _)| refusal).collect()
}

#[test]
fn every_reason_to_refuse_has_its_own_stable_code_and_words() {
    let places: Vec<_> = one_of_each().iter().map(place).collect();
    assert_eq!(places, (0..VARIANTS).collect::<Vec<_>>());
    for (refusal, code) in codes() {
        assert_eq!(refusal.code(), code);
    }
    let distinct = |texts: Vec<String>| texts.into_iter().collect::<BTreeSet<_>>().len();
    assert_eq!(distinct(codes().into_iter().map(|(_, code)| code.to_owned()).collect()), VARIANTS);
    assert_eq!(distinct(one_of_each().iter().map(ToString::to_string).collect()), VARIANTS);
}

#[test]
fn every_refusal_says_what_mends_it() {
    let mut remedies: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for refusal in one_of_each() {
        assert!(refusal.remedy().len() > 10, "{}", refusal.code());
        remedies.entry(refusal.remedy()).or_default().push(refusal.code());
    }
    // Reasons share a remedy only where the same act mends them.
    let shared: Vec<_> = remedies.into_values().filter(|codes| codes.len() > 1).collect();
    let mut expected = [
        vec!["contribution-closed", "final-deadline-passed"],
        vec!["foreign-session", "session-expired", "bound-to-other-session"],
        vec!["params-not-understood", "index-not-canonical", "name-not-canonical"],
        vec!["foreign-app", "foreign-dataset"],
        vec!["bulk-unreadable", "bulk-dataset-unknown"],
        vec!["bulk-order-limited", "bulk-order-priced"],
        vec!["no-enclave-config", "invalid-enclave-config"],
    ];
    expected.sort();
    let mut found = shared;
    found.sort();
    assert_eq!(found, expected);
}

#[test]
fn a_task_that_was_never_initialised_is_mended_otherwise_than_one_that_is_over() {
    let remedy = |found| Refusal::TaskNotActive { found }.remedy();
    assert!(remedy(TaskStatus::Unset).contains("initialize"));
    for over in [TaskStatus::Revealing, TaskStatus::Completed, TaskStatus::Failed] {
        assert!(remedy(over).contains("buy a new execution"), "{over:?}");
    }
}

#[test]
fn every_reason_to_refuse_is_the_answer_to_some_facts() {
    let world = World::new();
    let decided = (0..).take(40_000).filter_map(|case| decide(&world.facts(&scenario(&world, case))).err());
    let reached: BTreeSet<_> = decided.map(|refusal| place(&refusal)).collect();
    let missing: Vec<_> =
        one_of_each().iter().filter(|one| !reached.contains(&place(one))).map(Refusal::code).collect();
    assert!(missing.is_empty(), "never decided: {missing:?}");
}
