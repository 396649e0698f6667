//! One release: nonce, one-use key, evidence over both, request, and an answer that is believed only when the pinned service
//! signed it for this very request.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hpke::rand_core::CryptoRng;
use strongroom_protocol::bundle::{self, DecodeError, Item};
use strongroom_protocol::release::{AnswerError, Receipt, ReleaseRequest};
use strongroom_protocol::sealing::EnclaveKeyPair;
use strongroom_protocol::session::SessionId;
use strongroom_protocol::transcript::{Deployment, Nonce, Transcript};

use crate::evidence::{EvidenceError, EvidenceSource};
use crate::service::{Service, ServiceError};

/// The service that the enclave's measured configuration names. Whoever answers must hold this key.
pub type Pinned = Deployment;

/// How long trouble of the service is waited out.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Times the service is asked in all; at least one.
    pub attempts: u32,
    /// Wait between two times, unless the service names its own.
    pub pause: Duration,
}

impl Default for Patience {
    /// Ten times, three seconds apart: within the life of a nonce.
    fn default() -> Self {
        Self { attempts: 10, pause: Duration::from_secs(3) }
    }
}

/// What a release gave.
#[derive(Debug)]
pub struct Released {
    /// The values, by stage.
    pub items: Vec<Item>,
    /// Names the journal entry.
    pub receipt: Receipt,
}

/// Why there is no release.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// The service did not give it.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The machine gives no evidence.
    #[error(transparent)]
    Evidence(#[from] EvidenceError),
    /// The nonce of the service is malformed.
    #[error("service gave a nonce that is not 0x and 64 hex digits")]
    Nonce,
    /// The answer is not believed.
    #[error(transparent)]
    Answer(#[from] AnswerError),
    /// The bundle is malformed.
    #[error(transparent)]
    Bundle(#[from] DecodeError),
}

/// Obtains the secrets of `session` from the service that is `pinned`.
///
/// Trouble is waited out with `patience`: the request is repeated unchanged, so that a release whose answer was lost is
/// answered again. The key pair lives only in this call; another call makes a new one and is refused by the service once a
/// release of the session succeeded.
pub async fn release(
    service: &Service,
    pinned: Pinned,
    session: SessionId,
    source: &EvidenceSource,
    patience: Patience,
    random: &mut impl CryptoRng,
) -> Result<Released, ReleaseError> {
    let challenge = patiently(patience, || service.challenge()).await?;
    let nonce = parse_nonce(&challenge.nonce).ok_or(ReleaseError::Nonce)?;
    let keys = EnclaveKeyPair::generate(random);
    let transcript = Transcript { nonce, deployment: pinned, session, key: keys.public() };
    let evidence = source.evidence(transcript.report_data()).await?;
    let request = ReleaseRequest {
        session: session.to_string(),
        nonce: format!("0x{}", hex::encode(nonce.0)),
        kind: evidence.kind.to_owned(),
        evidence: STANDARD.encode(&evidence.document),
        event_log: evidence.event_log,
        public_key: format!("0x{}", hex::encode(keys.public().as_bytes())),
    };
    let answer = patiently(patience, || service.release(&request)).await?;
    let opened = answer.open(&transcript, &keys)?;
    Ok(Released { items: bundle::decode(&opened)?, receipt: answer.receipt })
}

async fn patiently<T, F: Future<Output = Result<T, ServiceError>>>(
    patience: Patience,
    call: impl Fn() -> F,
) -> Result<T, ServiceError> {
    for _ in 1..patience.attempts {
        match call().await {
            Err(error) if error.is_retryable() => {
                tokio::time::sleep(error.retry_after().unwrap_or(patience.pause)).await;
            }
            answer => return answer,
        }
    }
    call().await
}

fn parse_nonce(text: &str) -> Option<Nonce> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text.strip_prefix("0x")?, &mut bytes).ok()?;
    Some(Nonce(bytes))
}
