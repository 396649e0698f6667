//! The journal of a task, for its parties.

use strongroom_protocol::challenge::read_journal;
use strongroom_protocol::record::Record;
use strongroom_protocol::snapshot::TaskSnapshot;
use strongroom_protocol::transcript::Deployment;
use strongroom_protocol::{Address, Signature, TaskId, UnixSeconds};
use strongroom_store::StoreError;

use super::Releases;
use crate::owners::ReadOwnersError;
use crate::vault::{Vault, VaultClosed};

/// How far the time in a request may be from the service's, in seconds.
const TOLERANCE_SECONDS: u64 = 300;

/// Why the journal is not shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JournalError {
    /// The time in the request is too far from now.
    #[error("the time in the request is more than {TOLERANCE_SECONDS} seconds from now; sign the current time")]
    Stale,
    /// The chain does not know the task.
    #[error("the task is not known on chain")]
    NoTask,
    /// Who signed has no part in the task.
    #[error(
        "this is for the owners, requester, beneficiary, pool and workers of the task; sign with the wallet of one"
    )]
    NotAParty,
    /// The chain could not be read.
    #[error(transparent)]
    Chain(#[from] ReadOwnersError),
    /// The store is being replaced.
    #[error(transparent)]
    Closed(#[from] VaultClosed),
    /// The store is in trouble.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Releases {
    /// The entries of `task`, oldest first, for whoever signed and has a part in it.
    pub(crate) async fn journal(
        &self,
        vault: &Vault,
        task: TaskId,
        signed_at: UnixSeconds,
        signature: Signature,
        now: UnixSeconds,
    ) -> Result<Vec<Record>, JournalError> {
        let signer = signer(self.deployment, task, signed_at, signature, now)?;
        let chain = self.tasks.snapshot(task, now).await?.ok_or(JournalError::NoTask)?;
        let records = vault.store()?.journal(task).await?;
        let worked = records.iter().any(|record| record.worker == signer);
        if worked || is_party(&chain, signer) { Ok(records) } else { Err(JournalError::NotAParty) }
    }
}

/// Who signed, around this time, that they want to read what concerns `task`.
pub(super) fn signer(
    deployment: Deployment,
    task: TaskId,
    signed_at: UnixSeconds,
    signature: Signature,
    now: UnixSeconds,
) -> Result<Address, JournalError> {
    if now.0.abs_diff(signed_at.0) > TOLERANCE_SECONDS {
        return Err(JournalError::Stale);
    }
    signature.recover(read_journal(deployment, task, signed_at)).map_err(|_| JournalError::NotAParty)
}

/// Owners at the match and now, buyer, beneficiary.
pub(super) fn is_party(chain: &TaskSnapshot, wallet: Address) -> bool {
    let deal = &chain.deal;
    let parties = [deal.app.owner, deal.workerpool.owner, deal.requester, deal.beneficiary, chain.app.owner];
    parties.contains(&wallet)
        || chain.workerpool_owner == wallet
        || deal.dataset.is_some_and(|dataset| dataset.owner == wallet)
        || chain.dataset.as_ref().is_some_and(|dataset| dataset.owner == wallet)
}
