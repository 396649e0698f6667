//! What the chain says about one task at one block: the vocabulary between whoever reads the chain and whoever decides.
//! Values are as the contracts gave them; nothing here has been judged.

use alloy_primitives::{Address, B256, U256};

use crate::ids::{DealId, TaskId};
use crate::tag::Tag;
use crate::time::UnixSeconds;

/// One block. Everything in a [`TaskSnapshot`] was read at the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Height.
    pub number: u64,
    /// Hash: what "the same block" means.
    pub hash: B256,
    /// Time stamp that its producer gave it.
    pub time: UnixSeconds,
}

/// Where a task stands (PoCo `IexecLibCore_v5.TaskStatusEnum`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TaskStatus {
    /// Not initialised.
    Unset,
    /// Initialised; contributions are open. The only status in which secrets are released.
    Active,
    /// Consensus reached, result not yet revealed.
    Revealing,
    /// Finalised and paid.
    Completed,
    /// Claimed after its final deadline.
    Failed,
}

impl TaskStatus {
    /// Reads the number the contract gives.
    pub fn from_number(number: u8) -> Option<Self> {
        [Self::Unset, Self::Active, Self::Revealing, Self::Completed, Self::Failed].get(usize::from(number)).copied()
    }
}

/// A task of a deal (hub `viewTask`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// Where it stands.
    pub status: TaskStatus,
    /// The deal it belongs to.
    pub deal: DealId,
    /// Its index, from the deal's `bot_first` on.
    pub index: u64,
    /// After this, no worker can contribute any more.
    pub contribution_deadline: UnixSeconds,
    /// After this, anybody can claim the task as failed.
    pub final_deadline: UnixSeconds,
}

/// An app, dataset or workerpool as a deal fixed it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DealAsset {
    /// The resource's contract.
    pub address: Address,
    /// Who owned it when the orders were matched; later transfers do not change this.
    pub owner: Address,
    /// Price per task in nRLC.
    pub price: U256,
}

/// A deal: four orders matched, immutable (hub `viewDeal`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deal {
    /// Its id.
    pub id: DealId,
    /// The app that runs.
    pub app: DealAsset,
    /// The dataset, if one was bought.
    pub dataset: Option<DealAsset>,
    /// The pool that runs it.
    pub workerpool: DealAsset,
    /// Replication asked for; 1 allows the short path.
    pub trust: U256,
    /// Number of the category.
    pub category: U256,
    /// Bit field of what the buyer asked for.
    pub tag: Tag,
    /// Who bought.
    pub requester: Address,
    /// For whom the result is.
    pub beneficiary: Address,
    /// Contract to call with the result, if any.
    pub callback: Option<Address>,
    /// JSON text of parameters, as signed by the requester.
    pub params: String,
    /// When the orders were matched.
    pub start_time: UnixSeconds,
    /// Index of the deal's first task.
    pub bot_first: u64,
    /// Number of the deal's tasks.
    pub bot_size: u64,
}

/// An app as registered now (hub `viewApp`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct App {
    /// Its contract.
    pub address: Address,
    /// Its owner at the block of the snapshot.
    pub owner: Address,
    /// Where its image is: text, or a binary multiaddr.
    pub multiaddr: Vec<u8>,
    /// Digest of its image.
    pub checksum: B256,
    /// Text of the SGX enclave configuration; empty for an app that is not SGX.
    pub mrenclave: Vec<u8>,
}

/// A dataset as registered now (hub `viewDataset`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// Its contract.
    pub address: Address,
    /// Its owner at the block of the snapshot.
    pub owner: Address,
    /// Where its encrypted file is: text, or a binary multiaddr.
    pub multiaddr: Vec<u8>,
    /// SHA-256 of the encrypted file.
    pub checksum: B256,
}

/// A dataset order of a bulk slice, as its signer wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BulkOrder {
    /// The dataset's address as text, case included.
    pub name: String,
    /// The dataset.
    pub dataset: Address,
    /// Price of one use in nRLC.
    pub price: U256,
    /// How many uses the order is good for.
    pub volume: U256,
    /// What the deal's tag must ask for.
    pub tag: B256,
    /// The only app or whitelist; zero for any.
    pub app_restrict: Address,
    /// The only workerpool or whitelist; zero for any.
    pub workerpool_restrict: Address,
    /// The only requester or whitelist; zero for any.
    pub requester_restrict: Address,
    /// Makes orders distinct.
    pub salt: B256,
    /// By the dataset's owner; the hub judges it.
    pub signature: Vec<u8>,
}

/// One dataset order of a bulk slice: what its signer wrote, and what the chain says about it at the block of the task's
/// snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BulkDataset {
    /// The dataset's address as the order writes it, case included: the name under which the app finds the file.
    pub name: String,
    /// The same, read.
    pub address: Address,
    /// Price of one use in nRLC.
    pub price: U256,
    /// How many uses the order is good for.
    pub volume: U256,
    /// The dataset there; `None` when there is none.
    pub dataset: Option<Dataset>,
    /// Whether the hub finds the order compatible with the deal (neither revoked nor used up, signed by the dataset's owner,
    /// its restrictions and tag met), or what the hub says against it.
    pub compatible: Result<(), String>,
}

/// All the chain says about one task, at one block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskSnapshot {
    /// The block at which everything below was read.
    pub block: Block,
    /// The task.
    pub task: Task,
    /// Its deal.
    pub deal: Deal,
    /// Longest run of the deal's category, in seconds (`workClockTimeRef`).
    pub category_seconds: u64,
    /// The deal's app.
    pub app: App,
    /// The deal's dataset, if it has one.
    pub dataset: Option<Dataset>,
    /// Owner of the deal's workerpool at the block of the snapshot.
    pub workerpool_owner: Address,
}
