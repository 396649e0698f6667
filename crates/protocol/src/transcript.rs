//! What a release is about, as one hash: the enclave puts it into its evidence, the service recomputes it, and what is sealed
//! hangs on it. A quote made for another nonce, deployment, session or key therefore proves nothing here.

use alloy_primitives::Address;
use sha2::{Digest, Sha256, Sha512};

use crate::sealing::{EnclaveKey, SUITE_ID};
use crate::session::SessionId;

/// Starts every transcript, so that evidence made for another purpose is never taken for a release.
const LABEL: &[u8] = b"strongroom/release/v1";

/// One service on one chain: what "here" means in a transcript.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Deployment {
    /// Chain id.
    pub chain_id: u64,
    /// The PoCo hub on that chain.
    pub hub: Address,
    /// Key id of the service: the address of its identity key.
    pub sms: Address,
}

impl Deployment {
    /// chain id (8 bytes, big-endian) ‖ hub (20) ‖ service (20).
    fn to_bytes(self) -> [u8; 48] {
        let mut bytes = [0; 48];
        bytes[..8].copy_from_slice(&self.chain_id.to_be_bytes());
        bytes[8..28].copy_from_slice(self.hub.as_slice());
        bytes[28..].copy_from_slice(self.sms.as_slice());
        bytes
    }
}

/// A challenge of the service: 32 bytes, single use, short-lived. Opaque to everybody but the service that made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Nonce(pub [u8; 32]);

/// Everything a release is bound to, before any decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transcript {
    /// The service's challenge.
    pub nonce: Nonce,
    /// The service and its chain.
    pub deployment: Deployment,
    /// The session, and through it the task.
    pub session: SessionId,
    /// The one-use key to which secrets will be sealed.
    pub key: EnclaveKey,
}

impl Transcript {
    /// be32(length) ‖ part, for the label and each part: injective, so no two transcripts share their bytes.
    fn to_bytes(&self) -> Vec<u8> {
        let session = self.session.to_string();
        let parts: [&[u8]; 6] =
            [LABEL, &self.nonce.0, &self.deployment.to_bytes(), session.as_bytes(), &SUITE_ID, self.key.as_bytes()];
        let mut bytes = Vec::with_capacity(256);
        for part in parts {
            let length = u32::try_from(part.len()).expect("every part is a few bytes long");
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(part);
        }
        bytes
    }

    /// SHA-512 of the transcript: the 64 bytes of report data that evidence for this release must carry.
    pub fn report_data(&self) -> [u8; 64] {
        Sha512::digest(self.to_bytes()).into()
    }

    /// SHA-256 of the transcript: the HPKE `info` of what is sealed, and what the service's answer names.
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.to_bytes()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::TaskId;
    use alloy_primitives::B256;

    fn transcript() -> Transcript {
        Transcript {
            nonce: Nonce([1; 32]),
            deployment: Deployment { chain_id: 31337, hub: Address::repeat_byte(2), sms: Address::repeat_byte(3) },
            session: SessionId::from_random([0; 10], TaskId::from(B256::repeat_byte(4))),
            key: EnclaveKey::from_bytes([5; 32]),
        }
    }

    #[test]
    fn the_transcript_is_its_label_and_length_prefixed_parts() {
        let session = format!("{}0000{}", "0".repeat(10), B256::repeat_byte(4));
        let expected = [
            &[0, 0, 0, 21],
            LABEL,
            &[0, 0, 0, 32],
            &[1; 32],
            &[0, 0, 0, 48, 0, 0, 0, 0, 0, 0, 0x7a, 0x69],
            &[2; 20],
            &[3; 20],
            &[0, 0, 0, 80],
            session.as_bytes(),
            &[0, 0, 0, 6, 0, 0x20, 0, 1, 0, 3],
            &[0, 0, 0, 32],
            &[5; 32],
        ]
        .concat();
        assert_eq!(transcript().to_bytes(), expected);
    }

    #[test]
    fn every_part_changes_the_report_data() {
        let original = transcript();
        let deployment = original.deployment;
        let others = [
            Transcript { nonce: Nonce([9; 32]), ..original.clone() },
            Transcript { deployment: Deployment { chain_id: 1, ..deployment }, ..original.clone() },
            Transcript { deployment: Deployment { hub: Address::ZERO, ..deployment }, ..original.clone() },
            Transcript { deployment: Deployment { sms: Address::ZERO, ..deployment }, ..original.clone() },
            Transcript { session: SessionId::from_random([1; 10], original.session.task()), ..original.clone() },
            Transcript { session: SessionId::from_random([0; 10], TaskId::from(B256::ZERO)), ..original.clone() },
            Transcript { key: EnclaveKey::from_bytes([6; 32]), ..original.clone() },
        ];
        for other in others {
            assert_ne!(other.report_data(), original.report_data(), "{other:?}");
            assert_ne!(other.digest(), original.digest(), "{other:?}");
        }
    }
}
