//! Enclave challenges and sessions, as the stock scheduler and worker ask for them.

use ring::rand::{SecureRandom as _, SystemRandom};
use strongroom_grant::{Refusal, TaskFacts};
use strongroom_protocol::challenge::{enclave_challenge_request, workerpool_authorization};
use strongroom_protocol::sealing::EnclaveKey;
use strongroom_protocol::snapshot::TaskStatus;
use strongroom_protocol::transcript::{Nonce, Transcript};
use strongroom_protocol::{Address, Framework, Session, SessionId, Signature, TaskId, UnixSeconds};
use strongroom_store::{RecordError, Store, StoreError};

use super::provision::{KeeperClient, KeeperError, Provisioner};
use super::{GatherError, Releases};
use crate::owners::ReadOwnersError;
use crate::vault::{Vault, VaultClosed};

/// Why the scheduler gets no enclave challenge.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChallengeError {
    /// The task, its deal or the signature does not allow it. The old service never tells which.
    #[error("not authorised")]
    NotAuthorised,
    /// The chain could not be read.
    #[error(transparent)]
    Chain(#[from] ReadOwnersError),
    /// The store is being replaced.
    #[error(transparent)]
    Closed(#[from] VaultClosed),
}

/// Why the worker gets no session.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SessionError {
    /// The worker did not sign the authorization.
    #[error("the header Authorization is not signed by the worker of the request")]
    NotByWorker,
    /// The chain does not know the task.
    #[error("the task is not known on chain")]
    NoTask,
    /// The deal asks for another framework than this service serves.
    #[error("the deal asks for {asked}, this service serves {served}")]
    OtherFramework {
        /// Of the deal's tag.
        asked: Framework,
        /// Of the configuration.
        served: Framework,
    },
    /// The decision says no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The operator's secret provisioner did not take the session.
    #[error(transparent)]
    Keeper(#[from] KeeperError),
    /// The session was taken back before it was handed over.
    #[error(transparent)]
    Record(#[from] RecordError),
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

/// What a worker asks a session with: the authorization it got from the scheduler, and its own signature over it.
#[derive(Clone, Debug)]
pub(crate) struct SessionRequest {
    pub(crate) task: TaskId,
    pub(crate) worker: Address,
    pub(crate) enclave_challenge: Address,
    pub(crate) pool_signature: Signature,
    pub(crate) worker_signature: Signature,
}

impl Releases {
    /// The address of a task's enclave challenge, for the owner of the pool that runs it.
    pub(crate) async fn enclave_challenge(
        &self,
        vault: &Vault,
        task: TaskId,
        signature: Signature,
        now: UnixSeconds,
    ) -> Result<Address, ChallengeError> {
        let store = vault.store()?;
        let chain = self.tasks.snapshot(task, now).await?.ok_or(ChallengeError::NotAuthorised)?;
        let authorised = chain.task.status == TaskStatus::Active
            && chain.deal.tag.framework().is_some()
            && signature.is_by(chain.deal.workerpool.owner, enclave_challenge_request(task));
        if authorised { Ok(self.challenge_key(&store, task).address()) } else { Err(ChallengeError::NotAuthorised) }
    }

    /// Makes a session when chain, authorization and stored secrets allow the task to run. The plan is made dry here, so
    /// that a secret that is missing is found out before an enclave starts. Gives its id, and where the enclave asks for its
    /// secrets: here, or at the operator's keeper, which has them then.
    pub(crate) async fn session(
        &self,
        vault: &Vault,
        request: &SessionRequest,
        served: Framework,
        random: [u8; 10],
        now: UnixSeconds,
    ) -> Result<(SessionId, String), SessionError> {
        let authorization = workerpool_authorization(request.worker, request.task, request.enclave_challenge);
        if !request.worker_signature.is_by(request.worker, authorization) {
            return Err(SessionError::NotByWorker);
        }
        let store = vault.store()?;
        let facts = self.session_facts(&store, request, random, now).await?;
        strongroom_grant::admit(&facts)?;
        match facts.chain.deal.tag.framework() {
            Some(asked) if asked != served => return Err(SessionError::OtherFramework { asked, served }),
            _ => {}
        }
        let id = facts.session.id;
        let address = match &self.provisioner {
            Provisioner::Attested(public_url) => {
                store.put_session(facts.session).await?;
                public_url.to_string()
            }
            Provisioner::Keeper(keeper) => {
                self.entrust(&store, keeper, &facts, now).await?;
                keeper.enclave_address().to_owned()
            }
        };
        Ok((id, address))
    }

    /// Hands the secrets of a session to the operator's keeper: decided and recorded first, as for an enclave.
    async fn entrust(
        &self,
        store: &Store,
        keeper: &KeeperClient,
        facts: &TaskFacts,
        now: UnixSeconds,
    ) -> Result<(), SessionError> {
        let prepared = keeper.prepare(facts).await?;
        let mut nonce = [0; 32];
        SystemRandom::new().fill(&mut nonce).map_err(|_| StoreError::Randomness)?;
        // No enclave asks, so there is no key to seal to: the keeper is reached over TLS.
        let key = EnclaveKey::from_bytes([0; 32]);
        let transcript =
            Transcript { nonce: Nonce(nonce), deployment: self.deployment, session: facts.session.id, key };
        let grant = strongroom_grant::entrust(facts, transcript, prepared.keeper())?;
        store.put_session(facts.session.clone()).await?;
        let recorded = store.record(grant, facts.session.expires, now).await?;
        let opened = store.open_recorded(recorded).await?;
        let challenge_key = self.challenge_key(store, facts.chain.task.id);
        Ok(prepared.hand_over(facts.session.id, &opened, &challenge_key).await?)
    }

    /// What is known about the session that a request would make.
    pub(super) async fn session_facts(
        &self,
        store: &Store,
        request: &SessionRequest,
        random: [u8; 10],
        now: UnixSeconds,
    ) -> Result<TaskFacts, SessionError> {
        let chain = self.tasks.snapshot(request.task, now).await.map_err(GatherError::from)?;
        let chain = chain.ok_or(SessionError::NoTask)?;
        let session = Session {
            id: SessionId::from_random(random, request.task),
            worker: request.worker,
            enclave_challenge: request.enclave_challenge,
            pool_signature: request.pool_signature,
            expires: chain.task.final_deadline,
        };
        Ok(self.facts(store, chain, session, now).await?)
    }
}
