//! What the chain says about a task: the question of the release flow.

use strongroom_protocol::snapshot::{Block, BulkDataset, BulkOrder, TaskSnapshot};
use strongroom_protocol::{DealId, TaskId, UnixSeconds};

use crate::owners::{BoxFuture, CheckedChain, ReadOwnersError};

/// Reads tasks from the chain. Implemented by [`CheckedChain`] and by the fakes of the tests.
pub trait ReadTasks: Send + Sync {
    /// All the chain says about a task, at one block; `None` when it does not know the task. Whatever could not be found
    /// out is an error.
    fn snapshot(&self, task: TaskId, now: UnixSeconds) -> BoxFuture<'_, Result<Option<TaskSnapshot>, ReadOwnersError>>;

    /// What the chain says about dataset orders for `deal`, at the block of a snapshot. Whatever could not be found out is an
    /// error.
    fn bulk(
        &self,
        block: Block,
        deal: DealId,
        orders: Vec<BulkOrder>,
    ) -> BoxFuture<'_, Result<Vec<BulkDataset>, ReadOwnersError>>;
}

impl ReadTasks for CheckedChain {
    fn snapshot(&self, task: TaskId, now: UnixSeconds) -> BoxFuture<'_, Result<Option<TaskSnapshot>, ReadOwnersError>> {
        Box::pin(async move { Ok(self.checked()?.snapshot(task, now).await?) })
    }

    fn bulk(
        &self,
        block: Block,
        deal: DealId,
        orders: Vec<BulkOrder>,
    ) -> BoxFuture<'_, Result<Vec<BulkDataset>, ReadOwnersError>> {
        Box::pin(async move { Ok(self.checked()?.bulk(block, deal, orders).await?) })
    }
}
