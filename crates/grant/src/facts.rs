//! What is known when a request is judged: gathered by the caller, all chain values at one block, and kept with the record.

use std::collections::BTreeMap;

use alloy_primitives::Address;
use strongroom_protocol::deal_params::{DealParams, DealParamsError};
use strongroom_protocol::snapshot::{BulkDataset, TaskSnapshot};
use strongroom_protocol::transcript::Transcript;
use strongroom_protocol::{SecretId, Session, UnixSeconds};

use crate::enclave::Enclave;

/// Version of a stored secret: 1 for the first value, one more for each replacement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretVersion(pub u32);

/// Which of the secrets a task involves are stored, and in which version. A secret that is not in it does not exist;
/// "could not find out" never gets this far.
pub type StoredSecrets = BTreeMap<SecretId, SecretVersion>;

/// What is known when a session is asked for.
#[derive(Clone, Debug)]
pub struct TaskFacts {
    /// Task, deal, app, dataset and owners at one block.
    pub chain: TaskSnapshot,
    /// The deal's parameters, read once.
    pub params: Result<DealParams, DealParamsError>,
    /// The dataset orders of the task's bulk slice, read at the block of `chain`; none when the deal names no list. An
    /// error says why the list that the deal names can never be read; "could not find out" never gets this far.
    pub bulk: Result<Vec<BulkDataset>, String>,
    /// The permission asked for or held: worker, enclave challenge, the pool owner's signature.
    pub session: Session,
    /// Address of the enclave-challenge key that this service derives for the task.
    pub derived_challenge: Address,
    /// The secrets of [`needs`](crate::needs()) that exist.
    pub stored: StoredSecrets,
    /// The service's clock. Deadlines are judged by the later of this and the block's time.
    pub now: UnixSeconds,
}

impl TaskFacts {
    /// The dataset orders that the enclave serves besides the deal's own dataset.
    pub(crate) fn bulk_datasets(&self) -> &[BulkDataset] {
        self.bulk.as_deref().unwrap_or_default()
    }

    /// The time by which deadlines are judged.
    pub fn time(&self) -> UnixSeconds {
        self.now.max(self.chain.block.time)
    }
}

/// What is known when an enclave asks for the secrets of its session.
#[derive(Debug)]
pub struct Facts {
    /// All that a session is judged by, read anew.
    pub task: TaskFacts,
    /// What the request is bound to: nonce, deployment, session, key.
    pub transcript: Transcript,
    /// What the enclave proved, under the operator's policy.
    pub enclave: Enclave,
}
