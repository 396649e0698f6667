//! What verification states and the production policy refuses, on forged reports that verify.

use strongroom_attest::claims::SnpTcb;
use strongroom_attest::policy::{Floor, Rule};
use strongroom_attest::{AmdProduct, Policy};

use super::forge::{Forgery, Revocations, tcb_components};

/// Production, but for the root, with the forged firmware as the floor of Turin.
fn policy() -> Policy {
    let mut policy = Policy::production();
    policy.danger_development = Some("forge".to_owned());
    let minimum = SnpTcb { fmc: 11, bootloader: 12, tee: 13, snp: 14, microcode: 218 };
    policy.amd.floors.insert(AmdProduct::Turin, Floor { minimum, bulletin: "forged".to_owned() });
    policy
}

/// The rule that refuses a Turin forgery with a revocation list, after `change`.
#[track_caller]
fn refusing_rule(policy: &Policy, mut forgery: Forgery, change: impl FnOnce(&mut Forgery)) -> Option<Rule> {
    forgery.revocations = Some(forgery.empty_revocations());
    change(&mut forgery);
    let verified = forgery.sign().verified().expect("the forgery verifies");
    policy.evaluate(&verified).err().map(|refusal| refusal.rule)
}

fn turin(change: impl FnOnce(&mut Forgery)) -> Option<Rule> {
    refusing_rule(&policy(), Forgery::of(AmdProduct::Turin), change)
}

#[test]
fn a_flawless_forgery_is_accepted_only_where_its_root_is_named() {
    assert_eq!(turin(|_| {}), None);
    let rule = refusing_rule(&Policy::production(), Forgery::of(AmdProduct::Turin), |_| {});
    assert_eq!(rule, Some(Rule::TrustDomain));
}

#[test]
fn debug_mode_is_refused() {
    assert_eq!(turin(|forgery| forgery.report[0x0a] |= 1 << 3), Some(Rule::Debug));
}

#[test]
fn a_possible_migration_agent_is_refused() {
    assert_eq!(turin(|forgery| forgery.report[0x0a] |= 1 << 2), Some(Rule::Attributes));
}

#[test]
fn privilege_levels_1_to_3_are_refused() {
    for level in 1..=3 {
        assert_eq!(turin(|forgery| forgery.report[0x30] = level), Some(Rule::Attributes));
    }
}

#[test]
fn a_masked_chip_key_is_refused() {
    assert_eq!(turin(|forgery| forgery.report[0x48] |= 0b10), Some(Rule::Configuration));
}

#[test]
fn an_unfinished_check_for_aliased_memory_is_refused() {
    assert_eq!(turin(|forgery| forgery.report[0x40] &= !(1 << 5)), Some(Rule::Configuration));
}

#[test]
fn version_2_which_names_no_product_is_refused() {
    assert_eq!(turin(|forgery| forgery.report[0] = 2), Some(Rule::Attributes));
}

#[test]
fn a_committed_version_below_the_floor_in_one_component_is_refused() {
    for (_, at) in tcb_components(AmdProduct::Turin) {
        assert_eq!(turin(|forgery| forgery.report[0x1e0 + at] -= 1), Some(Rule::TcbFloor), "{at}");
    }
}

#[test]
fn a_reported_version_below_the_floor_in_one_component_is_refused() {
    let raise = [
        |floor: &mut SnpTcb| floor.fmc += 1,
        |floor: &mut SnpTcb| floor.bootloader += 1,
        |floor: &mut SnpTcb| floor.tee += 1,
        |floor: &mut SnpTcb| floor.snp += 1,
        |floor: &mut SnpTcb| floor.microcode += 1,
    ];
    for raise in raise {
        let mut policy = policy();
        let floor = policy.amd.floors.get_mut(&AmdProduct::Turin).unwrap();
        raise(&mut floor.minimum);
        let with_higher_commitment = |forgery: &mut Forgery| forgery.report[0x1e0..0x1e8].fill(0xff);
        let rule = refusing_rule(&policy, Forgery::of(AmdProduct::Turin), with_higher_commitment);
        assert_eq!(rule, Some(Rule::TcbFloor));
    }
}

#[test]
fn a_product_without_a_floor_is_refused() {
    assert_eq!(refusing_rule(&policy(), Forgery::of(AmdProduct::Genoa), |_| {}), Some(Rule::TcbFloor));
}

#[test]
fn a_providers_key_is_refused_where_only_chips_are_accepted() {
    let mut policy = policy();
    assert_eq!(refusing_rule(&policy, Forgery::with_vlek(AmdProduct::Turin), |_| {}), None);
    policy.amd.allow_vlek = false;
    let rule = refusing_rule(&policy, Forgery::with_vlek(AmdProduct::Turin), |_| {});
    assert_eq!(rule, Some(Rule::Configuration));
}

#[test]
fn evidence_judged_without_a_revocation_list_is_refused() {
    assert_eq!(turin(|forgery| forgery.revocations = None), Some(Rule::Revocation));
    let of_others = |forgery: &mut Forgery| {
        forgery.revocations = Some(Revocations { serials: vec![7], ..forgery.empty_revocations() });
    };
    assert_eq!(turin(of_others), None);
}
