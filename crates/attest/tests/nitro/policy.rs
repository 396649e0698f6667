//! What verification states and the production policy refuses, on documents that verify.

use ciborium::Value;
use strongroom_attest::Policy;
use strongroom_attest::policy::Rule;

use super::forge::{Fields, Forgery, NOW, field};

/// The rule by which the production policy, but for the root, refuses a forgery with its payload after `change`.
fn refusing_rule(change: impl FnOnce(&mut Fields)) -> Option<Rule> {
    let mut policy = Policy::production();
    policy.danger_development = Some("forge".to_owned());
    let verified = Forgery::new().sign_with(change).verified().expect("the forgery verifies");
    policy.evaluate(&verified).err().map(|refusal| refusal.rule)
}

#[test]
fn a_flawless_document_is_accepted_only_where_its_root_is_named() {
    assert_eq!(refusing_rule(|_| {}), None);
    let verified = Forgery::new().sign().verified().unwrap();
    assert_eq!(Policy::production().evaluate(&verified).unwrap_err().rule, Rule::TrustDomain);
}

#[test]
fn a_debug_enclave_is_refused() {
    let rule = refusing_rule(|fields| {
        let pcrs = field(fields, "pcrs").as_map_mut().expect("registers are a map");
        for (_, value) in &mut pcrs[..3] {
            *value = Value::Bytes(vec![0; 48]);
        }
    });
    assert_eq!(rule, Some(Rule::Debug));
}

#[test]
fn a_document_more_than_five_minutes_from_now_is_refused() {
    for (seconds, rule) in [
        (NOW.0 - 300, None),
        (NOW.0 - 301, Some(Rule::EvidenceAge)),
        (NOW.0 + 300, None),
        (NOW.0 + 301, Some(Rule::EvidenceAge)),
    ] {
        assert_eq!(refusing_rule(|fields| *field(fields, "timestamp") = (seconds * 1_000).into()), rule, "{seconds}");
    }
}
