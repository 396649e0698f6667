//! What a stage was given, by name. A value that is empty counts as missing, as for the programs that came before.

use std::collections::BTreeMap;

use strongroom_protocol::bundle::{Item, Stage};
use strongroom_protocol::{Address, SecretValue, SigningKey, TaskId, address};

/// The values of one stage. Dropping them wipes them.
pub(crate) struct Values(BTreeMap<String, SecretValue>);

impl Values {
    /// Takes the values of `stage` out of all that was released.
    pub(crate) fn take(stage: Stage, items: &mut Vec<Item>) -> Self {
        let (own, others) = std::mem::take(items).into_iter().partition(|item| item.stage == stage);
        *items = others;
        let own: Vec<Item> = own;
        Self(own.into_iter().map(|item| (item.name, item.value)).collect())
    }

    /// A value.
    pub(crate) fn bytes(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).map(SecretValue::expose_secret).filter(|value| !value.is_empty())
    }

    /// A value as text; one that is none counts as missing.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.bytes(name)?).ok()
    }

    /// Whether the text of a value is `true`, in any letter case.
    pub(crate) fn is_true(&self, name: &str) -> bool {
        self.text(name).is_some_and(|text| text.eq_ignore_ascii_case("true"))
    }
}

/// Signs for a task in the name of its enclave.
pub(crate) struct Signer {
    pub(crate) task: TaskId,
    pub(crate) worker: Address,
    pub(crate) key: SigningKey,
}

/// What is missing to sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoSigner {
    /// The task's id.
    Task,
    /// The worker's address or the key.
    Key,
}

impl Signer {
    /// Reads the signing variables of a stage.
    pub(crate) fn of(values: &Values) -> Result<Self, NoSigner> {
        let task = values.text("IEXEC_TASK_ID").and_then(|id| id.parse().ok()).ok_or(NoSigner::Task)?;
        let worker = values.text("SIGN_WORKER_ADDRESS").and_then(|text| address::parse_any_case(text).ok());
        let key = values.text("SIGN_TEE_CHALLENGE_PRIVATE_KEY").and_then(|text| SigningKey::from_hex(text).ok());
        Ok(Self { task, worker: worker.ok_or(NoSigner::Key)?, key: key.ok_or(NoSigner::Key)? })
    }
}

#[cfg(test)]
pub(crate) fn values(entries: &[(&str, &str)]) -> Values {
    let value = |value: &str| SecretValue::new(value.as_bytes().to_vec()).unwrap();
    Values(entries.iter().map(|(name, text)| ((*name).to_owned(), value(text))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_values_count_as_missing() {
        let values = values(&[("A", ""), ("B", "TRUE")]);
        assert_eq!(
            (values.text("A"), values.text("C"), values.is_true("B"), values.is_true("A")),
            (None, None, true, false)
        );
    }

    #[test]
    fn what_is_missing_to_sign_is_told_apart() {
        let task = format!("0x{}", "11".repeat(32));
        let (worker, key) = (format!("0x{}", "22".repeat(20)), format!("0x{}", "33".repeat(32)));
        let of = |entries: &[(&str, &str)]| Signer::of(&values(entries)).map(|signer| signer.task.to_string());
        let (id, by, with) = ("IEXEC_TASK_ID", "SIGN_WORKER_ADDRESS", "SIGN_TEE_CHALLENGE_PRIVATE_KEY");
        assert_eq!(of(&[(by, &worker), (with, &key)]), Err(NoSigner::Task));
        assert_eq!(of(&[(id, &task), (with, &key)]), Err(NoSigner::Key));
        assert_eq!(of(&[(id, &task), (by, &worker), (with, "0x00")]), Err(NoSigner::Key));
        assert_eq!(of(&[(id, &task), (by, &worker), (with, &key)]), Ok(task.clone()));
    }
}
