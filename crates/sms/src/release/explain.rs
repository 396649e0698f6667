//! Why a session or a release would be refused: every check, for whoever may see it.

use strongroom_grant::{Audience, Facts, Finding};
use strongroom_protocol::release::ReleaseRequest;
use strongroom_protocol::snapshot::TaskSnapshot;
use strongroom_protocol::{Signature, TaskId, UnixSeconds};
use strongroom_store::StoreError;

use super::journal::{is_party, signer};
use super::{JournalError, ReleaseError, Releases, SessionError, SessionRequest};
use crate::vault::{Vault, VaultClosed};

/// Why there is no explanation.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExplainError {
    /// The facts of the session could not be found out.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// Who asks has no part in the task, or does not prove it.
    #[error(transparent)]
    Asker(#[from] JournalError),
    /// The evidence is not worth an explanation.
    #[error(transparent)]
    Release(#[from] ReleaseError),
}

impl From<VaultClosed> for ExplainError {
    fn from(closed: VaultClosed) -> Self {
        Self::Session(closed.into())
    }
}

impl From<StoreError> for ExplainError {
    fn from(error: StoreError) -> Self {
        Self::Session(error.into())
    }
}

/// Who asks: the time and signature of the header, if there is one.
pub(crate) type Asker = Option<(UnixSeconds, Signature)>;

impl Releases {
    /// The checks of the session that a worker would ask for, failed or not: those whose facts are public, and all for a
    /// party of the task.
    pub(crate) async fn explain_session(
        &self,
        vault: &Vault,
        request: &SessionRequest,
        asker: Asker,
        now: UnixSeconds,
    ) -> Result<Vec<Finding>, ExplainError> {
        let store = vault.store()?;
        let facts = self.session_facts(&store, request, [0; 10], now).await?;
        let mut findings = strongroom_grant::explain_session(&facts);
        match asker {
            Some(asker) => self.refuse_strangers(&facts.chain, asker, now)?,
            None => findings.retain(|finding| finding.audience == Audience::Anybody),
        }
        Ok(findings)
    }

    /// All checks of a release with this evidence, failed or not, for a party of the task. Nothing is spent or recorded.
    pub(crate) async fn explain_release(
        &self,
        vault: &Vault,
        request: &ReleaseRequest,
        asker: Asker,
        now: UnixSeconds,
    ) -> Result<Vec<Finding>, ExplainError> {
        let asker = asker.ok_or(JournalError::NotAParty)?;
        let store = vault.store()?;
        let transcript = request.transcript(self.deployment).map_err(ReleaseError::from)?;
        self.nonces.check(&transcript.nonce, now).map_err(ReleaseError::from)?;
        let session = store.session(transcript.session).await?.ok_or(ReleaseError::NoSession)?;
        let task = self.gather(&store, session, now).await?;
        self.refuse_strangers(&task.chain, asker, now)?;
        let enclave = self.verify(request, &transcript, now).await?.map_err(ReleaseError::from)?;
        Ok(strongroom_grant::explain(&Facts { task, transcript, enclave }))
    }

    /// The signature is the one that shows the journal: it lets its holder read what concerns the task.
    fn refuse_strangers(
        &self,
        chain: &TaskSnapshot,
        (signed_at, signature): (UnixSeconds, Signature),
        now: UnixSeconds,
    ) -> Result<(), JournalError> {
        let task: TaskId = chain.task.id;
        let signer = signer(self.deployment, task, signed_at, signature, now)?;
        if is_party(chain, signer) { Ok(()) } else { Err(JournalError::NotAParty) }
    }
}
