//! What was decided about a task, as a service tells it to a party: each entry is read from its own bytes, and checked.

use serde::Deserialize;
use strongroom_protocol::challenge::read_journal;
use strongroom_protocol::record::Record;
use strongroom_protocol::transcript::Deployment;
use strongroom_protocol::{SigningKey, TaskId, UnixSeconds};

use crate::service::{Service, ServiceError};

/// An entry on the wire, as far as it is believed: the rest of it repeats what the bytes say.
#[derive(Deserialize)]
struct Shown {
    hash: String,
    bytes: String,
}

impl Service {
    /// The entries about `task`, oldest first, for the party with `key`. `now` is signed too: a service takes it for some minutes.
    ///
    /// The entries belong to this task and to the service and chain of `deployment`, have the hashes that they are shown with, and lead
    /// on from one another where nothing lies between them.
    pub async fn journal(
        &self,
        deployment: Deployment,
        task: TaskId,
        key: &SigningKey,
        now: UnixSeconds,
    ) -> Result<Vec<Record>, ServiceError> {
        let signature = key.sign(read_journal(deployment, task, now));
        let path = format!("/v1/journal/{task}");
        let shown: Vec<Shown> = self.get_signed(&path, &format!("Strongroom {now} {signature}")).await?;
        checked(&shown, deployment, task).map_err(|reason| self.unexpected(&path, reason))
    }
}

fn checked(shown: &[Shown], deployment: Deployment, task: TaskId) -> Result<Vec<Record>, String> {
    let mut records: Vec<Record> = Vec::with_capacity(shown.len());
    for Shown { hash, bytes } in shown {
        let bytes = hex::decode(bytes.strip_prefix("0x").unwrap_or(bytes)).map_err(|_| "an entry is not hex")?;
        let record = Record::from_bytes(&bytes).map_err(|error| error.to_string())?;
        let number = record.sequence;
        if record.deployment != deployment {
            return Err(format!("entry {number} is of another service or chain"));
        }
        if record.session.task() != task {
            return Err(format!("entry {number} is about another task"));
        }
        if record.hash().to_string() != *hash {
            return Err(format!("entry {number} does not have the hash that it is shown with"));
        }
        if let Some(before) = records.last() {
            if before.sequence >= number {
                return Err(format!("entry {number} is out of order"));
            }
            if before.sequence + 1 == number && before.hash() != record.previous {
                return Err(format!("entry {number} does not lead on from the one before"));
            }
        }
        records.push(record);
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use strongroom_protocol::record::Outcome;
    use strongroom_protocol::snapshot::Block;
    use strongroom_protocol::{Address, B256, SessionId};

    use super::*;

    fn deployment() -> Deployment {
        Deployment { chain_id: 7, hub: Address::repeat_byte(1), sms: Address::repeat_byte(2) }
    }

    fn task() -> TaskId {
        TaskId::from(B256::repeat_byte(5))
    }

    fn record(sequence: u64, previous: B256) -> Record {
        Record {
            sequence,
            previous,
            time: UnixSeconds(1_000),
            deployment: deployment(),
            block: Block { number: 7, hash: B256::repeat_byte(4), time: UnixSeconds(0) },
            session: SessionId::from_random([0; 10], task()),
            worker: Address::repeat_byte(6),
            transcript: [7; 32],
            enclave: "tdx".to_owned(),
            outcome: Outcome::Refused("no-task".to_owned()),
        }
    }

    fn shown(record: &Record) -> Shown {
        Shown { hash: record.hash().to_string(), bytes: format!("0x{}", hex::encode(record.to_bytes())) }
    }

    #[test]
    fn entries_are_read_from_their_bytes() {
        let first = record(1, B256::ZERO);
        let (second, later) = (record(2, first.hash()), record(9, B256::repeat_byte(9)));
        let all = [first, second, later];
        let read = checked(&all.each_ref().map(shown), deployment(), task()).unwrap();
        assert_eq!(read, all);
        assert_eq!(checked(&[], deployment(), task()), Ok(Vec::new()));
    }

    #[test]
    fn what_does_not_fit_is_not_believed() {
        let (first, stray) = (record(1, B256::ZERO), record(2, B256::repeat_byte(9)));
        let refused = |shown: &[Shown], deployment, task, part: &str| {
            let reason = checked(shown, deployment, task).unwrap_err();
            assert!(reason.contains(part), "{part}: {reason}");
        };
        let other_chain = Deployment { chain_id: 8, ..deployment() };
        refused(&[shown(&first)], other_chain, task(), "another service or chain");
        refused(&[shown(&first)], deployment(), TaskId::from(B256::ZERO), "another task");
        refused(&[shown(&first), shown(&stray)], deployment(), task(), "does not lead on");
        refused(&[shown(&stray), shown(&first)], deployment(), task(), "out of order");
        refused(&[Shown { hash: stray.hash().to_string(), ..shown(&first) }], deployment(), task(), "hash");
        refused(&[Shown { bytes: "0x00".to_owned(), ..shown(&first) }], deployment(), task(), "not a journal entry");
        refused(&[Shown { bytes: "zz".to_owned(), ..shown(&first) }], deployment(), task(), "not hex");
    }
}
