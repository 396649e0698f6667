//! The newest block we know: asked for once on behalf of all who want to know at the same time, never going back.

use std::sync::{Mutex, PoisonError};

use strongroom_protocol::snapshot::Block;
use tokio::time::Instant;

use crate::endpoints::Endpoints;
use crate::error::ChainError;

/// A block, and when we asked for the newest one and were told this.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    pub(crate) block: Block,
    pub(crate) asked: Instant,
}

/// The newest block known.
#[derive(Debug, Default)]
pub(crate) struct HeadTracker {
    state: Mutex<State>,
    /// Held while a node is asked, so that all who wait share the answer.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    newest: Option<Head>,
    /// The last time we asked, if it failed.
    failure: Option<(Instant, ChainError)>,
}

impl HeadTracker {
    /// A head that was asked for at `oldest` or later: the known one, or the answer to a new question. A question by
    /// somebody else that began after this call and failed is this call's failure too.
    pub(crate) async fn newest_since(&self, oldest: Instant, endpoints: &Endpoints) -> Result<Head, ChainError> {
        let called = Instant::now();
        if let Some(head) = self.known_since(oldest) {
            return Ok(head);
        }
        let _asking = self.asking.lock().await;
        if let Some(head) = self.known_since(oldest) {
            return Ok(head);
        }
        if let Some((asked, error)) = &self.state().failure
            && *asked >= called
        {
            return Err(error.clone());
        }
        let at_least = self.state().newest.map_or(0, |head| head.block.number);
        let asked = Instant::now();
        let answer = endpoints.newest_block(at_least).await;
        let mut state = self.state();
        match answer {
            Ok(block) => {
                let head = Head { block, asked };
                *state = State { newest: Some(head), failure: None };
                Ok(head)
            }
            Err(error) => {
                state.failure = Some((asked, error.clone()));
                Err(error)
            }
        }
    }

    /// Whether the last question was answered.
    pub(crate) fn is_known(&self) -> bool {
        let state = self.state();
        state.newest.is_some() && state.failure.is_none()
    }

    fn known_since(&self, oldest: Instant) -> Option<Head> {
        self.state().newest.filter(|head| head.asked >= oldest)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
