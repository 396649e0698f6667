//! Turns opened secrets and the plan's public text into the bundle that is sealed to the enclave.

use strongroom_grant::{PlannedItem, Source};
use strongroom_protocol::bundle::{self, Form, Item};
use strongroom_protocol::{SecretValue, SigningKey};
use strongroom_store::Opened;
use zeroize::Zeroizing;

/// The bundle of a release, in memory that is wiped.
pub(crate) fn bundle(opened: &Opened, challenge_key: &SigningKey) -> Zeroizing<Vec<u8>> {
    let items: Vec<Item> = opened.plan.items.iter().map(|planned| item(planned, opened, challenge_key)).collect();
    bundle::encode(&items)
}

fn item(planned: &PlannedItem, opened: &Opened, challenge_key: &SigningKey) -> Item {
    let value_of = |id| opened.values.get(id).expect("the store opened every secret of the plan").expose_secret();
    let (form, bytes) = match &planned.source {
        Source::Public(text) => (Form::Variable, text.as_bytes().to_vec()),
        Source::Secret(id, _) => (Form::Secret, value_of(id).to_vec()),
        Source::TrimmedSecret(id, _) => (Form::Variable, trimmed(value_of(id)).to_vec()),
        Source::ChallengeKey => {
            let mut text = Vec::with_capacity(66);
            text.extend_from_slice(b"0x");
            text.extend_from_slice(Zeroizing::new(hex::encode(*challenge_key.expose_secret())).as_bytes());
            (Form::Variable, text)
        }
    };
    let value = SecretValue::new(bytes).expect("stored secrets, locations and keys are below the limit");
    Item { stage: planned.stage, form, name: planned.name.clone(), value }
}

/// Without the characters up to U+0020 at both ends, as the old service trimmed account secrets on delivery.
fn trimmed(value: &[u8]) -> &[u8] {
    let blank = |byte: &u8| *byte <= b' ';
    let start = value.iter().position(|byte| !blank(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !blank(byte)).map_or(start, |last| last + 1);
    &value[start..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_and_control_characters_are_trimmed_at_both_ends_only() {
        for (value, expected) in
            [("", ""), (" \n\t", ""), ("a", "a"), ("\0 a b\r\n", "a b"), ("é ", "é"), ("\u{a0}a", "\u{a0}a")]
        {
            assert_eq!(trimmed(value.as_bytes()), expected.as_bytes(), "{value:?}");
        }
    }
}
