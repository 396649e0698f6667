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

use crate::secret::{SecretId, SecretKind};
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

    /// Reads [`Self::to_bytes`]. The block's time is not in the entry and reads as zero.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MalformedRecord> {
        let mut rest = Reader(bytes);
        if rest.text()? != LABEL {
            return Err(MalformedRecord);
        }
        let sequence = u64::from_be_bytes(rest.array()?);
        let previous = B256::from(rest.array()?);
        let time = UnixSeconds(u64::from_be_bytes(rest.array()?));
        let chain_id = u64::from_be_bytes(rest.array()?);
        let deployment = Deployment { chain_id, hub: Address::from(rest.array()?), sms: Address::from(rest.array()?) };
        let number = u64::from_be_bytes(rest.array()?);
        let block = Block { number, hash: B256::from(rest.array()?), time: UnixSeconds(0) };
        let session = rest.text()?.parse().map_err(|_| MalformedRecord)?;
        let worker = Address::from(rest.array()?);
        let transcript = rest.array()?;
        let enclave = rest.text()?.to_owned();
        let [mark] = rest.array()?;
        let reason = rest.text()?.to_owned();
        let count = u16::from_be_bytes(rest.array()?);
        let mut secrets = Vec::new();
        for _ in 0..count {
            secrets.push(rest.secret()?);
        }
        let outcome = match (mark, reason.is_empty(), secrets.is_empty()) {
            (0, true, _) => Outcome::Granted(secrets),
            (1, _, true) => Outcome::Refused(reason),
            _ => return Err(MalformedRecord),
        };
        if !rest.0.is_empty() {
            return Err(MalformedRecord);
        }
        Ok(Self { sequence, previous, time, deployment, block, session, worker, transcript, enclave, outcome })
    }

    /// SHA-256 of [`Self::to_bytes`]: names the entry in receipts and in the next entry.
    pub fn hash(&self) -> B256 {
        B256::from_slice(&Sha256::digest(self.to_bytes()))
    }
}

/// The bytes are no journal entry of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("bytes are not a journal entry that this version reads")]
pub struct MalformedRecord;

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], MalformedRecord> {
        let (head, tail) = self.0.split_first_chunk().ok_or(MalformedRecord)?;
        self.0 = tail;
        Ok(*head)
    }

    fn text(&mut self) -> Result<&'a str, MalformedRecord> {
        let length = u16::from_be_bytes(self.array()?);
        let (head, tail) = self.0.split_at_checked(usize::from(length)).ok_or(MalformedRecord)?;
        self.0 = tail;
        std::str::from_utf8(head).map_err(|_| MalformedRecord)
    }

    fn secret(&mut self) -> Result<(SecretId, u64), MalformedRecord> {
        let [kind] = self.array()?;
        let address = Address::from(self.array()?);
        let name = self.text()?;
        let kind = SecretKind::ALL.into_iter().find(|known| *known as u8 == kind).ok_or(MalformedRecord)?;
        let id = match (kind, name) {
            (SecretKind::App, "") => SecretId::App(address),
            (SecretKind::Dataset, "") => SecretId::Dataset(address),
            (SecretKind::Requester, name) => {
                SecretId::Requester { owner: address, name: name.parse().map_err(|_| MalformedRecord)? }
            }
            (SecretKind::Account, name) => {
                SecretId::Account { owner: address, name: name.parse().map_err(|_| MalformedRecord)? }
            }
            (SecretKind::App | SecretKind::Dataset, _) => return Err(MalformedRecord),
        };
        Ok((id, u64::from_be_bytes(self.array()?)))
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
    fn entries_are_read_back_and_nothing_else_is() {
        let owner = Address::repeat_byte(8);
        let secrets = vec![
            (SecretId::App(owner), 1),
            (SecretId::Dataset(owner), 1),
            (SecretId::Requester { owner, name: "Key_1".parse().unwrap() }, 2),
            (SecretId::Account { owner, name: "token".parse().unwrap() }, 3),
        ];
        for outcome in [Outcome::Granted(secrets), Outcome::Granted(vec![]), Outcome::Refused("debug-enclave".into())] {
            let mut record = record(outcome);
            record.block.time = UnixSeconds(0);
            let bytes = record.to_bytes();
            assert_eq!(Record::from_bytes(&bytes), Ok(record));
            for length in 0..bytes.len() {
                assert_eq!(Record::from_bytes(&bytes[..length]), Err(MalformedRecord), "{length} bytes");
            }
            assert_eq!(Record::from_bytes(&[&bytes[..], &[0]].concat()), Err(MalformedRecord));
        }
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
