//! Finds new tasks: reads the notices of our pool from where the last read ended, and takes their tasks in. A deal that
//! cannot be read now is read again; the cursor never passes it.

use std::sync::Arc;
use std::time::Duration;

use strongroom_protocol::TaskId;
use tracing::{info, warn};

use crate::engine::Engine;
use crate::metrics::Metrics;
use crate::outside::{Clock, Ledger, OutsideError, with_causes};
use crate::store::{Found, Store, StoreError};

/// Most tasks that one deal may bring, against a deal that would fill the disk. Orders have no bound of their own.
const MAX_TASKS_PER_DEAL: u64 = 100_000;

/// What the watch works with.
pub struct Watch {
    /// The chain.
    pub ledger: Arc<dyn Ledger>,
    /// Where tasks go.
    pub store: Store,
    /// The time.
    pub clock: Clock,
    /// Pause between two looks when there is nothing new.
    pub pause: Duration,
    /// Counters.
    pub metrics: Arc<Metrics>,
}

/// Why a look did not work.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The chain.
    #[error(transparent)]
    Outside(#[from] OutsideError),
    /// The state.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Watch {
    /// Looks for new tasks, for ever, and rings the engine for them.
    pub async fn run(&self, engine: &Engine) {
        let mut works = true;
        loop {
            match self.look().await {
                Ok(Looked { new, moved }) => {
                    if !works {
                        info!("deals can be read again");
                    }
                    works = true;
                    if new > 0 {
                        info!(tasks = new, "new tasks");
                        engine.ring();
                    }
                    if moved {
                        continue;
                    }
                }
                Err(trouble) => {
                    if works {
                        warn!(error = with_causes(&trouble), "deals cannot be read; tried again until they can");
                    }
                    works = false;
                }
            }
            tokio::time::sleep(self.pause).await;
        }
    }

    /// Reads one stretch of blocks.
    pub(crate) async fn look(&self) -> Result<Looked, WatchError> {
        let cursor = self.store.cursor().await?;
        let notices = self.ledger.notices(cursor).await?;
        let moved = cursor != Some(notices.cursor);
        let mut found = Vec::new();
        for id in notices.deals {
            let view = self.ledger.deal(id).await?;
            let size = view.deal.bot_size.min(MAX_TASKS_PER_DEAL);
            for index in (view.deal.bot_first..).take(usize::try_from(size).unwrap_or(usize::MAX)) {
                found.push(Found {
                    id: TaskId::of(id, index),
                    deal: id,
                    index,
                    contribution_deadline: view.contribution_deadline(),
                    final_deadline: view.final_deadline(),
                });
            }
        }
        let new = if moved || !found.is_empty() {
            self.store.take_in(found, notices.cursor, self.clock.now()).await?
        } else {
            0
        };
        self.metrics.read_up_to(notices.cursor.block);
        Ok(Looked { new, moved })
    }
}

/// What one look found.
pub(crate) struct Looked {
    /// New tasks.
    pub(crate) new: usize,
    /// Whether the cursor moved: there may be more.
    pub(crate) moved: bool,
}
