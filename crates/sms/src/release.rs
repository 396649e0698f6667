//! Releases: an enclave of a bought, active task proves what it is and receives what chain and owners allow.
//!
//! [`Releases::release`] reads like the promise: parse, verify, gather, decide, record, open, seal. Each step consumes the
//! proof made by the one before.

pub mod attestation;
pub mod bulk;
pub(crate) mod deliver;
mod explain;
mod journal;
mod nonces;
pub mod provision;
mod sessions;
pub mod setup;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use strongroom_attest::{EndorsementFault, Evidence, EvidenceFault, EvidenceKind, ExpectedBinding, VerifyError};
use strongroom_grant::{Enclave, Facts, Need, Refusal, TaskFacts, TrustDomain, needs};
use strongroom_protocol::deal_params::DealParams;
use strongroom_protocol::release::{ChallengeAnswer, ReleaseAnswer, ReleaseRequest, ReleaseRequestError};
use strongroom_protocol::snapshot::TaskSnapshot;
use strongroom_protocol::transcript::{Deployment, Transcript};
use strongroom_protocol::{Address, B256, Session, SigningKey, TaskId, UnixSeconds};
use strongroom_store::{RecordError, Recorded, Refused, Store, StoreError};

use self::attestation::{Attestation, Busy};
use self::bulk::{BulkLists, FetchContent, FetchError};
use self::nonces::{NonceError, Nonces};
use self::provision::Provisioner;

use crate::owners::ReadOwnersError;
use crate::tasks::ReadTasks;
use crate::vault::{Vault, VaultClosed};

pub(crate) use self::explain::{Asker, ExplainError};
pub(crate) use self::journal::JournalError;
pub(crate) use self::provision::KeeperError;
pub(crate) use self::sessions::{ChallengeError, SessionError, SessionRequest};

/// Why there is no release.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReleaseError {
    /// A field of the request cannot be read.
    #[error(transparent)]
    Request(#[from] ReleaseRequestError),
    /// The evidence is not base64 or of no known kind.
    #[error("{0}")]
    MalformedEvidence(String),
    /// The nonce is not one of ours, or too old.
    #[error(transparent)]
    Nonce(#[from] NonceError),
    /// The session is not there.
    #[error("there is no such session; ask for a new one")]
    NoSession,
    /// The evidence does not hold.
    #[error("evidence was refused")]
    Evidence(#[source] EvidenceFault),
    /// The evidence cannot be judged now.
    #[error("endorsements of the platform are missing or out of date; try again later")]
    Endorsements(#[source] EndorsementFault),
    /// Too much is being verified.
    #[error("the service is busy verifying evidence; try again shortly")]
    Busy(#[from] Busy),
    /// The chain does not know the task.
    #[error("the task is not known on chain")]
    NoTask,
    /// The decision says no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The record says no.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The enclave's key cannot be sealed to.
    #[error(transparent)]
    WeakKey(#[from] strongroom_protocol::sealing::WeakKeyError),
    /// The facts could not be found out.
    #[error(transparent)]
    Trouble(#[from] GatherError),
    /// The store is being replaced.
    #[error(transparent)]
    Closed(#[from] VaultClosed),
    /// The store is in trouble.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why the facts of a decision could not be found out. Always worth a retry.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GatherError {
    /// The chain could not be read.
    #[error(transparent)]
    Chain(#[from] ReadOwnersError),
    /// The list of datasets could not be fetched.
    #[error(transparent)]
    Content(#[from] FetchError),
    /// The store is in trouble.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What releases need besides the store.
pub(crate) struct Releases {
    deployment: Deployment,
    identity: SigningKey,
    nonces: Nonces,
    tasks: Arc<dyn ReadTasks>,
    attestation: Attestation,
    lists: BulkLists,
    provisioner: Provisioner,
}

/// What releases are started with.
pub struct ReleaseSettings {
    /// The PoCo hub.
    pub hub: Address,
    /// Reads tasks from the chain.
    pub tasks: Arc<dyn ReadTasks>,
    /// Roots, policy, images and endorsements.
    pub attestation: Attestation,
    /// Where the lists of datasets are fetched from.
    pub content: Arc<dyn FetchContent>,
    /// Who hands the secrets of a session to its enclave, this service or another.
    pub provisioner: Provisioner,
    /// Whose evidence opens the secrets of the store.
    pub trust_domain: TrustDomain,
}

impl Releases {
    /// Derives the service's keys from the store.
    pub(crate) fn new(chain_id: u64, settings: ReleaseSettings, store: &Store) -> Self {
        let ReleaseSettings { hub, tasks, attestation, content, provisioner, trust_domain: _settled_before } = settings;
        let identity = derived_key(store, "strongroom/identity/v1", hub.as_slice());
        let deployment = Deployment { chain_id, hub, sms: identity.address() };
        let nonces = Nonces::new(&store.derive_key("strongroom/nonces/v1", hub.as_slice()));
        let lists = BulkLists::new(content);
        Self { deployment, identity, nonces, tasks, attestation, lists, provisioner }
    }

    /// This service and its chain.
    pub(crate) fn deployment(&self) -> Deployment {
        self.deployment
    }

    /// A nonce for one release.
    pub(crate) fn challenge(&self, now: UnixSeconds) -> Result<ChallengeAnswer, StoreError> {
        let (nonce, expires) = self.nonces.make(now).ok_or(StoreError::Randomness)?;
        Ok(ChallengeAnswer { nonce: format!("0x{}", hex::encode(nonce.0)), expires_at: expires.0 })
    }

    /// Judges a request and hands out exactly what the decision allows, after the record of it is durable.
    pub(crate) async fn release(
        &self,
        vault: &Vault,
        request: &ReleaseRequest,
        now: UnixSeconds,
    ) -> Result<ReleaseAnswer, ReleaseError> {
        let store = vault.store()?;
        let transcript = request.transcript(self.deployment)?;
        let nonce_expires = self.nonces.check(&transcript.nonce, now)?;
        let session = store.session(transcript.session).await?.ok_or(ReleaseError::NoSession)?;
        let verified = self.verify(request, &transcript, now).await?;
        let task = self.gather(&store, session, now).await?;
        let (block, worker) = (task.chain.block, task.session.worker);
        let (enclave, decided) = match verified {
            Ok(enclave) => {
                let facts = Facts { task, transcript: transcript.clone(), enclave };
                (facts.enclave.identity().to_string(), strongroom_grant::decide(&facts))
            }
            // Authentic, so it is worth an entry, but nothing that it says of its code is for this request.
            Err(refusal) => (request.kind.clone(), Err(refusal)),
        };
        let grant = match decided {
            Ok(grant) => grant,
            Err(refusal) => {
                let refused = Refused { transcript: &transcript, block, worker, enclave, refusal: &refusal };
                store.record_refusal(refused, nonce_expires, now).await?;
                return Err(refusal.into());
            }
        };
        let recorded = store.record(grant, nonce_expires, now).await?;
        self.open_and_seal(&store, recorded).await
    }

    /// The enclave of authentic evidence, or why authentic evidence is refused before anything else is known.
    async fn verify(
        &self,
        request: &ReleaseRequest,
        transcript: &Transcript,
        now: UnixSeconds,
    ) -> Result<Result<Enclave, Refusal>, ReleaseError> {
        let evidence = evidence(request)?;
        let binding = ExpectedBinding::new(transcript.report_data());
        match self.attestation.verify(evidence, binding, now).await? {
            Ok(enclave) => Ok(Ok(enclave)),
            // Both are looked at after every signature was found good.
            Err(VerifyError::Evidence(EvidenceFault::Binding)) => Ok(Err(Refusal::NotBound)),
            Err(VerifyError::Evidence(EvidenceFault::Debug)) => Ok(Err(Refusal::DebugEnclave)),
            Err(VerifyError::Evidence(fault)) => Err(ReleaseError::Evidence(fault)),
            Err(VerifyError::Endorsements(fault)) => Err(ReleaseError::Endorsements(fault)),
        }
    }

    /// Reads all that a decision about `session` needs, the chain at one block.
    async fn gather(&self, store: &Store, session: Session, now: UnixSeconds) -> Result<TaskFacts, ReleaseError> {
        let task = session.id.task();
        let chain = self.tasks.snapshot(task, now).await.map_err(GatherError::from)?.ok_or(ReleaseError::NoTask)?;
        Ok(self.facts(store, chain, session, now).await?)
    }

    async fn facts(
        &self,
        store: &Store,
        chain: TaskSnapshot,
        session: Session,
        now: UnixSeconds,
    ) -> Result<TaskFacts, GatherError> {
        let params = DealParams::parse(&chain.deal.params);
        let bulk = match params.as_ref().ok().and_then(|params| params.bulk_cid.as_deref()) {
            None => Ok(Vec::new()),
            Some(list) => match self.lists.orders(list, chain.task.index).await? {
                Err(unreadable) => Err(unreadable),
                Ok(orders) => Ok(self.tasks.bulk(chain.block, chain.deal.id, orders).await?),
            },
        };
        let of = |params| needs(&chain, params, bulk.as_deref().unwrap_or_default(), session.worker);
        let needs = params.as_ref().map(of).unwrap_or_default();
        let wanted = needs.iter().flat_map(Need::candidates).cloned().collect();
        let stored = store.versions(wanted).await?;
        let derived_challenge = self.challenge_key(store, chain.task.id).address();
        Ok(TaskFacts { chain, params, bulk, session, derived_challenge, stored, now })
    }

    async fn open_and_seal(&self, store: &Store, recorded: Recorded) -> Result<ReleaseAnswer, ReleaseError> {
        let opened = store.open_recorded(recorded).await?;
        let challenge_key = self.challenge_key(store, opened.transcript.session.task());
        let bundle = deliver::bundle(&opened, &challenge_key);
        let mut random = hpke::rand_core::UnwrapErr(getrandom::SysRng);
        let (transcript, receipt) = (&opened.transcript, opened.receipt);
        let sealed = strongroom_protocol::release::seal_bundle(transcript, receipt.record, &bundle, &mut random)?;
        Ok(ReleaseAnswer::sign(transcript, receipt, sealed, &self.identity))
    }

    /// The key of a task's enclave challenge: derived, so that it needs no row and all replicas agree.
    fn challenge_key(&self, store: &Store, task: TaskId) -> SigningKey {
        let context = [self.deployment.hub.as_slice(), task.as_bytes()].concat();
        derived_key(store, "strongroom/enclave-challenge/v1", &context)
    }
}

/// A key of secp256k1 from the store's derivation key. One in 2^128 derived values is no key; then the next one is taken.
fn derived_key(store: &Store, label: &'static str, context: &[u8]) -> SigningKey {
    let attempt = |round: u8| SigningKey::from_bytes(&store.derive_key(label, &[context, &[round]].concat())).ok();
    (0..=u8::MAX).find_map(attempt).expect("256 values in a row are not all above the order of the curve")
}

fn evidence(request: &ReleaseRequest) -> Result<Evidence, ReleaseError> {
    let malformed = |reason: &dyn std::fmt::Display| ReleaseError::MalformedEvidence(reason.to_string());
    let kind = EvidenceKind::ALL
        .into_iter()
        .find(|kind| kind.as_str() == request.kind)
        .ok_or_else(|| malformed(&"kind is none of sgx, tdx, snp, nitro"))?;
    if request.evidence.len() > kind.max_document_bytes().div_ceil(3) * 4 {
        return Err(malformed(&"evidence is larger than any of its kind"));
    }
    let document = STANDARD.decode(&request.evidence).map_err(|_| malformed(&"evidence is not base64"))?;
    let evidence = Evidence::new(kind, document).map_err(ReleaseError::Evidence)?;
    match &request.event_log {
        None => Ok(evidence),
        Some(log) => evidence.with_event_log(log.clone().into_bytes()).map_err(ReleaseError::Evidence),
    }
}

/// Which task a request is about, for logs; nothing else of it is repeated.
pub(crate) fn task_of(request: &ReleaseRequest) -> Option<B256> {
    request.session.parse::<strongroom_protocol::SessionId>().ok().map(|session| session.task().into())
}
