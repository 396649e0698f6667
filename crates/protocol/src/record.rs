//! The journal entry of a decision about verified evidence: what was decided, about whom, from which facts. Entries form a
//! chain of hashes, so that one cannot be changed or dropped without changing all that follow.
//! An entry names secrets and versions; it never holds a value, its length or its hash.
//!
//! Layout of an entry, all numbers big-endian, `text` = length (u16) ‖ UTF-8: label `strongroom/record/v1` as text ‖
//! sequence (u64) ‖ hash of the entry before (32) ‖ time (u64) ‖ chain id (u64) ‖ hub (20) ‖ service (20) ‖ block number
//! (u64) ‖ block hash (32) ‖ session as text ‖ worker (20) ‖ transcript digest (32) ‖ what the enclave proved to be as text ‖
//! outcome (u8: 0 granted, 1 refused) ‖ refusal code as text (empty when granted) ‖ count (u16) ‖ per secret: kind (u8) ‖
//! address (20) ‖ name as text ‖ version (u64). The hash of an entry is the SHA-256 of these bytes.

use alloy_primitives::{Address, B256};
use sha2::{Digest, Sha256};

use crate::secret::SecretId;
use crate::session::SessionId;
use crate::snapshot::Block;
use crate::time::UnixSeconds;
use crate::transcript::Deployment;

const LABEL: &str = "strongroom/record/v1";

/// How it was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// These secrets, in these versions, were opened for the enclave.
    Granted(Vec<(SecretId, u64)>),
    /// Nothing was opened, for this reason (a stable word).
    Refused(String),
}

/// One entry of the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Position in the journal, from 1 on.
    pub sequence: u64,
    /// Hash of the entry before; zero for the first.
    pub previous: B256,
    /// When it was written.
    pub time: UnixSeconds,
    /// The service and its chain.
    pub deployment: Deployment,
    /// The block at which the chain was read.
    pub block: Block,
    /// The session, and through it the task.
    pub session: SessionId,
    /// The worker of the session.
    pub worker: Address,
    /// Digest of what the request was bound to, the enclave's key among it.
    pub transcript: [u8; 32],
    /// What the enclave proved to be, as text.
    pub enclave: String,
    /// How it was decided.
    pub outcome: Outcome,
}

impl Record {
    /// The bytes of the entry, as the module describes them. Texts longer than 65,535 bytes are cut; none is made that long.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(512);
        push_text(&mut bytes, LABEL);
        bytes.extend_from_slice(&self.sequence.to_be_bytes());
        bytes.extend_from_slice(self.previous.as_slice());
        bytes.extend_from_slice(&self.time.0.to_be_bytes());
        bytes.extend_from_slice(&self.deployment.chain_id.to_be_bytes());
        bytes.extend_from_slice(self.deployment.hub.as_slice());
        bytes.extend_from_slice(self.deployment.sms.as_slice());
        bytes.extend_from_slice(&self.block.number.to_be_bytes());
        bytes.extend_from_slice(self.block.hash.as_slice());
        push_text(&mut bytes, &self.session.to_string());
        bytes.extend_from_slice(self.worker.as_slice());
        bytes.extend_from_slice(&self.transcript);
        push_text(&mut bytes, &self.enclave);
        let (mark, reason, secrets): (u8, &str, &[_]) = match &self.outcome {
            Outcome::Granted(secrets) => (0, "", secrets),
            Outcome::Refused(reason) => (1, reason, &[]),
        };
        bytes.push(mark);
        push_text(&mut bytes, reason);
        bytes.extend_from_slice(&u16::try_from(secrets.len()).unwrap_or(u16::MAX).to_be_bytes());
        for (id, version) in secrets.iter().take(usize::from(u16::MAX)) {
            bytes.push(id.kind() as u8);
            bytes.extend_from_slice(id.address().as_slice());
            push_text(&mut bytes, id.name());
            bytes.extend_from_slice(&version.to_be_bytes());
        }
        bytes
    }

    /// SHA-256 of [`Self::to_bytes`]: names the entry in receipts and in the next entry.
    pub fn hash(&self) -> B256 {
        B256::from_slice(&Sha256::digest(self.to_bytes()))
    }
}

fn push_text(bytes: &mut Vec<u8>, text: &str) {
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(&text.as_bytes()[..usize::from(length)]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::TaskId;

    fn record(outcome: Outcome) -> Record {
        Record {
            sequence: 3,
            previous: B256::repeat_byte(1),
            time: UnixSeconds(1_000),
            deployment: Deployment { chain_id: 31337, hub: Address::repeat_byte(2), sms: Address::repeat_byte(3) },
            block: Block { number: 7, hash: B256::repeat_byte(4), time: UnixSeconds(999) },
            session: SessionId::from_random([0; 10], TaskId::from(B256::repeat_byte(5))),
            worker: Address::repeat_byte(6),
            transcript: [7; 32],
            enclave: "tdx".to_owned(),
            outcome,
        }
    }

    #[test]
    fn an_entry_has_its_documented_bytes() {
        let secret = SecretId::Requester { owner: Address::repeat_byte(8), name: "k".parse().unwrap() };
        let bytes = record(Outcome::Granted(vec![(secret, 2)])).to_bytes();
        let session = format!("{}0000{}", "0".repeat(10), B256::repeat_byte(5));
        let expected = [
            &[0, 20][..],
            b"strongroom/record/v1",
            &3_u64.to_be_bytes(),
            &[1; 32],
            &1_000_u64.to_be_bytes(),
            &31_337_u64.to_be_bytes(),
            &[2; 20],
            &[3; 20],
            &7_u64.to_be_bytes(),
            &[4; 32],
            &[0, 80],
            session.as_bytes(),
            &[6; 20],
            &[7; 32],
            &[0, 3],
            b"tdx",
            &[0, 0, 0, 0, 1, 2],
            &[8; 20],
            &[0, 1, b'k'],
            &2_u64.to_be_bytes(),
        ]
        .concat();
        assert_eq!(bytes, expected);
    }

    #[test]
    fn every_field_changes_the_hash() {
        let original = record(Outcome::Granted(Vec::new()));
        let mut others = vec![record(Outcome::Refused("x".into())), record(Outcome::Refused(String::new()))];
        let mut with = |change: fn(&mut Record)| {
            let mut other = original.clone();
            change(&mut other);
            others.push(other);
        };
        with(|r| r.sequence += 1);
        with(|r| r.previous = B256::ZERO);
        with(|r| r.time.0 += 1);
        with(|r| r.deployment.chain_id += 1);
        with(|r| r.deployment.hub = Address::ZERO);
        with(|r| r.deployment.sms = Address::ZERO);
        with(|r| r.block.number += 1);
        with(|r| r.block.hash = B256::ZERO);
        with(|r| r.session = SessionId::from_random([1; 10], TaskId::from(B256::repeat_byte(5))));
        with(|r| r.worker = Address::ZERO);
        with(|r| r.transcript[0] ^= 1);
        with(|r| r.enclave.push('x'));
        with(|r| r.outcome = Outcome::Granted(vec![(SecretId::App(Address::ZERO), 1)]));
        for other in others {
            assert_ne!(other.hash(), original.hash(), "{other:?}");
        }
    }
}
