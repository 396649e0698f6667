//! The messages of a release: what the guest asks and what the service answers, with the answer's signature.
//!
//! Request: JSON, [`ReleaseRequest`]. Answer, media type [`ANSWER_MEDIA_TYPE`]: `1` (version, u8) ‖ sequence of the record
//! (u64, big-endian) ‖ hash of the record (32) ‖ signature (65) ‖ sealed bundle (encapsulated key ‖ ciphertext ‖ tag).

use alloy_primitives::{Address, B256, keccak256};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::sealing::{self, EnclaveKey, EnclaveKeyPair, OpenError};
use crate::session::{ParseSessionIdError, SessionId};
use crate::signature::{Signature, SigningKey};
use crate::transcript::{Deployment, Nonce, Transcript};

/// Name of the run-time event by which the digest of the app's image (32 bytes) is measured into RTMR3, before the app starts.
pub const APP_IMAGE_EVENT: &str = "strongroom-app-image";

/// Media type of the answer to a release.
pub const ANSWER_MEDIA_TYPE: &str = "application/vnd.strongroom.release.v1";

const ANSWER_LABEL: &[u8] = b"strongroom/answer/v1";
const AAD_LABEL: &[u8] = b"strongroom/sealed/v1";
const VERSION: u8 = 1;
const HEADER_BYTES: usize = 1 + 8 + 32 + 65;

/// Body of `POST /v1/releases`. Hex texts carry `0x`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReleaseRequest {
    /// The session.
    pub session: String,
    /// The nonce of `POST /v1/challenges`: 32 bytes in hex.
    pub nonce: String,
    /// Kind of the evidence: `sgx`, `tdx`, `snp`, `nitro`.
    pub kind: String,
    /// Quote, report or document, in base64.
    pub evidence: String,
    /// Event log of a TDX guest, as JSON text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_log: Option<String>,
    /// The enclave's one-use X25519 key: 32 bytes in hex.
    pub public_key: String,
}

/// A field of a request cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReleaseRequestError {
    /// The session id is malformed.
    #[error("session: {0}")]
    Session(#[from] ParseSessionIdError),
    /// The nonce or key is not `0x` and 64 hex digits.
    #[error("{0} must be 0x and 64 hex digits")]
    NotBytes32(&'static str),
}

impl ReleaseRequest {
    /// What the request is about, seen from the service at `deployment`.
    pub fn transcript(&self, deployment: Deployment) -> Result<Transcript, ReleaseRequestError> {
        let session: SessionId = self.session.parse()?;
        let nonce = Nonce(bytes32("nonce", &self.nonce)?);
        let key = EnclaveKey::from_bytes(bytes32("publicKey", &self.public_key)?);
        Ok(Transcript { nonce, deployment, session, key })
    }
}

fn bytes32(field: &'static str, text: &str) -> Result<[u8; 32], ReleaseRequestError> {
    let mut bytes = [0; 32];
    let digits = text.strip_prefix("0x").ok_or(ReleaseRequestError::NotBytes32(field))?;
    hex::decode_to_slice(digits, &mut bytes).map_err(|_| ReleaseRequestError::NotBytes32(field))?;
    Ok(bytes)
}

/// Answer of `POST /v1/challenges`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChallengeAnswer {
    /// 32 bytes in hex, with `0x`; opaque.
    pub nonce: String,
    /// Unix seconds after which it is void.
    pub expires_at: u64,
}

/// Answer of `GET /v1/identity`: which service this is. Nothing in it is to be believed that was not pinned before.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct IdentityAnswer {
    /// Chain id.
    pub chain_id: u64,
    /// The PoCo hub, checksummed.
    pub hub: String,
    /// Address of the identity key, checksummed.
    pub key_id: String,
}

/// Names the journal entry of a release, for its parties to look up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Position in the journal.
    pub sequence: u64,
    /// Hash of the entry.
    pub record: B256,
}

/// What the service hands the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseAnswer {
    /// The record that was durable before anything left.
    pub receipt: Receipt,
    /// By the service's identity key, over request, record and sealed bytes.
    pub signature: Signature,
    /// The bundle, sealed to the enclave's key.
    pub sealed: Vec<u8>,
}

/// Why an answer is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// The bytes are no answer of this version.
    #[error("answer of the service is malformed; guest and service must speak the same version")]
    Malformed,
    /// The signature is not by the pinned service over this request.
    #[error("answer is not signed by the pinned service {expected} for this request")]
    NotSigned {
        /// Key id that was pinned.
        expected: Address,
    },
    /// It does not open.
    #[error(transparent)]
    Sealed(#[from] OpenError),
}

/// What is sealed is bound to chain, hub, service, task, session and record.
pub fn sealing_aad(transcript: &Transcript, record: B256) -> Vec<u8> {
    let deployment = &transcript.deployment;
    [
        AAD_LABEL,
        &deployment.chain_id.to_be_bytes(),
        deployment.hub.as_slice(),
        deployment.sms.as_slice(),
        transcript.session.task().as_bytes(),
        transcript.session.to_string().as_bytes(),
        record.as_slice(),
    ]
    .concat()
}

/// What the service signs: keccak256(label ‖ transcript digest ‖ sequence ‖ record ‖ SHA-256 of the sealed bytes).
fn answer_challenge(transcript: &Transcript, receipt: Receipt, sealed: &[u8]) -> B256 {
    let parts: [&[u8]; 5] = [
        ANSWER_LABEL,
        &transcript.digest(),
        &receipt.sequence.to_be_bytes(),
        receipt.record.as_slice(),
        &Sha256::digest(sealed),
    ];
    keccak256(parts.concat())
}

impl ReleaseAnswer {
    /// Signs an answer to the request of `transcript`.
    pub fn sign(transcript: &Transcript, receipt: Receipt, sealed: Vec<u8>, identity: &SigningKey) -> Self {
        let signature = identity.sign(answer_challenge(transcript, receipt, &sealed));
        Self { receipt, signature, sealed }
    }

    /// The bytes on the wire.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES + self.sealed.len());
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.receipt.sequence.to_be_bytes());
        bytes.extend_from_slice(self.receipt.record.as_slice());
        bytes.extend_from_slice(&self.signature.to_bytes());
        bytes.extend_from_slice(&self.sealed);
        bytes
    }

    /// Reads [`Self::to_bytes`]. Nothing is believed yet.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, AnswerError> {
        let (header, sealed) = bytes.split_first_chunk::<HEADER_BYTES>().ok_or(AnswerError::Malformed)?;
        if header[0] != VERSION {
            return Err(AnswerError::Malformed);
        }
        let sequence = u64::from_be_bytes(header[1..9].try_into().map_err(|_| AnswerError::Malformed)?);
        let record = B256::from_slice(&header[9..41]);
        let signature = Signature::from_bytes(&header[41..]).map_err(|_| AnswerError::Malformed)?;
        Ok(Self { receipt: Receipt { sequence, record }, signature, sealed: sealed.to_vec() })
    }

    /// Opens the answer if the service pinned in `transcript` signed it for this very request.
    pub fn open(
        &self,
        transcript: &Transcript,
        keys: &EnclaveKeyPair,
    ) -> Result<zeroize::Zeroizing<Vec<u8>>, AnswerError> {
        let expected = transcript.deployment.sms;
        if !self.signature.is_by(expected, answer_challenge(transcript, self.receipt, &self.sealed)) {
            return Err(AnswerError::NotSigned { expected });
        }
        let aad = sealing_aad(transcript, self.receipt.record);
        Ok(keys.open(&transcript.digest(), &aad, &self.sealed)?)
    }
}

/// Seals `bundle` for the request of `transcript` under its record.
pub fn seal_bundle(
    transcript: &Transcript,
    record: B256,
    bundle: &[u8],
    random: &mut impl hpke::rand_core::CryptoRng,
) -> Result<Vec<u8>, sealing::WeakKeyError> {
    sealing::seal(transcript.key, &transcript.digest(), &sealing_aad(transcript, record), bundle, random)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::TaskId;

    fn random(seed: u64) -> rand_chacha::ChaCha20Rng {
        use rand_chacha::rand_core::SeedableRng;
        rand_chacha::ChaCha20Rng::seed_from_u64(seed)
    }

    fn identity() -> SigningKey {
        SigningKey::from_bytes(&[9; 32]).unwrap()
    }

    fn request(key: EnclaveKey) -> ReleaseRequest {
        let task = TaskId::from(B256::repeat_byte(4));
        ReleaseRequest {
            session: SessionId::from_random([0; 10], task).to_string(),
            nonce: format!("0x{}", "01".repeat(32)),
            kind: "tdx".into(),
            evidence: String::new(),
            event_log: None,
            public_key: format!("0x{}", hex::encode(key.as_bytes())),
        }
    }

    fn deployment() -> Deployment {
        Deployment { chain_id: 31337, hub: Address::repeat_byte(2), sms: identity().address() }
    }

    fn answered() -> (Transcript, EnclaveKeyPair, ReleaseAnswer) {
        let keys = EnclaveKeyPair::generate(&mut random(1));
        let transcript = request(keys.public()).transcript(deployment()).unwrap();
        let receipt = Receipt { sequence: 5, record: B256::repeat_byte(6) };
        let sealed = seal_bundle(&transcript, receipt.record, b"bundle", &mut random(2)).unwrap();
        let answer = ReleaseAnswer::sign(&transcript, receipt, sealed, &identity());
        (transcript, keys, answer)
    }

    #[test]
    fn an_answer_survives_the_wire_and_opens_for_its_request() {
        let (transcript, keys, answer) = answered();
        let read = ReleaseAnswer::from_bytes(&answer.to_bytes()).unwrap();
        assert_eq!(read, answer);
        assert_eq!(read.open(&transcript, &keys).unwrap().as_slice(), b"bundle");
    }

    #[test]
    fn no_changed_bit_of_an_answer_is_believed() {
        let (transcript, keys, answer) = answered();
        let bytes = answer.to_bytes();
        for bit in 0..bytes.len() * 8 {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let opened = ReleaseAnswer::from_bytes(&changed).and_then(|answer| answer.open(&transcript, &keys));
            assert!(opened.is_err(), "bit {bit}");
        }
        for length in 0..HEADER_BYTES {
            assert_eq!(ReleaseAnswer::from_bytes(&bytes[..length]), Err(AnswerError::Malformed));
        }
    }

    #[test]
    fn an_answer_of_another_service_or_to_another_request_is_not_believed() {
        let (transcript, keys, answer) = answered();
        let other = SigningKey::from_bytes(&[8; 32]).unwrap();
        let forged = ReleaseAnswer::sign(&transcript, answer.receipt, answer.sealed.clone(), &other);
        let expected = identity().address();
        assert_eq!(forged.open(&transcript, &keys).unwrap_err(), AnswerError::NotSigned { expected });
        let another = Transcript { nonce: Nonce([0; 32]), ..transcript };
        assert_eq!(answer.open(&another, &keys).unwrap_err(), AnswerError::NotSigned { expected });
    }

    #[test]
    fn malformed_requests_say_which_field() {
        let good = request(EnclaveKey::from_bytes([1; 32]));
        let with = |change: fn(&mut ReleaseRequest)| {
            let mut request = good.clone();
            change(&mut request);
            request.transcript(deployment()).unwrap_err()
        };
        assert_eq!(with(|r| r.session.clear()), ReleaseRequestError::Session(ParseSessionIdError));
        assert_eq!(with(|r| r.nonce.truncate(64)), ReleaseRequestError::NotBytes32("nonce"));
        assert_eq!(with(|r| r.public_key = r.public_key[2..].to_owned()), ReleaseRequestError::NotBytes32("publicKey"));
    }
}
