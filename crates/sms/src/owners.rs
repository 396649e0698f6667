//! Who owns an app or a dataset: the one question the service asks the chain. Nothing is believed before the chain id and
//! the hub were checked.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use strongroom_poco::{AssetKind, Chain, ChainError, CheckError};
use strongroom_protocol::{Address, B256, Signature};
use tracing::{info, warn};

/// Waits between two checks of a chain that does not answer: doubled from the first to the last.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Could not find out who the owner is; always worth a retry, never a "no".
#[derive(Debug, thiserror::Error)]
pub enum ReadOwnersError {
    /// The chain has not answered since the service started, so it is not known to be the right one.
    #[error("the chain has not been reached yet; try again shortly")]
    NotChecked,
    /// Reading the chain failed.
    #[error(transparent)]
    Chain(#[from] ChainError),
}

/// A future that borrows and crosses threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Reads owners from the chain. Implemented by [`CheckedChain`] and by the fakes of the tests.
pub trait ReadOwners: Send + Sync {
    /// Whether `asset` is registered in the registry of its kind and `signature` over `challenge` is by its owner. `false`
    /// is certain; whatever could not be found out is an error.
    fn owner_signed<'a>(
        &'a self,
        kind: AssetKind,
        asset: Address,
        challenge: B256,
        signature: &'a Signature,
    ) -> BoxFuture<'a, Result<bool, ReadOwnersError>>;

    /// Whether a question asked now has a good chance of being answered.
    fn is_ready(&self) -> bool;
}

/// The chain behind the nodes, once they have proved to be on the right one.
pub struct CheckedChain {
    chain: Chain,
    checked: AtomicBool,
}

impl CheckedChain {
    /// Asks nobody yet; [`Self::watch`] does.
    pub fn new(chain: Chain) -> Arc<Self> {
        Arc::new(Self { chain, checked: AtomicBool::new(false) })
    }

    /// Checks chain id and hub until a node answers, then follows the newest block for ever. Returns only with what must
    /// stop the service: another chain or another hub.
    pub async fn watch(&self) -> CheckError {
        let mut wait = FIRST_WAIT;
        loop {
            match self.chain.check().await {
                Ok(()) => break,
                Err(CheckError::Unreachable(error)) => {
                    warn!(
                        error = &error as &dyn std::error::Error,
                        retry_ms = wait.as_millis(),
                        "the chain is out of reach"
                    );
                }
                Err(fatal @ (CheckError::WrongChain { .. } | CheckError::WrongHub { .. })) => return fatal,
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
        self.checked.store(true, Ordering::Release);
        info!("chain id and hub are as configured");
        self.chain.watch_head().await;
        std::future::pending().await
    }
}

impl CheckedChain {
    /// The chain, once it proved to be the right one.
    pub(crate) fn checked(&self) -> Result<&Chain, ReadOwnersError> {
        if self.checked.load(Ordering::Acquire) { Ok(&self.chain) } else { Err(ReadOwnersError::NotChecked) }
    }
}

impl ReadOwners for CheckedChain {
    fn owner_signed<'a>(
        &'a self,
        kind: AssetKind,
        asset: Address,
        challenge: B256,
        signature: &'a Signature,
    ) -> BoxFuture<'a, Result<bool, ReadOwnersError>> {
        Box::pin(async move { Ok(self.checked()?.owner_signed(kind, asset, challenge, signature).await?) })
    }

    fn is_ready(&self) -> bool {
        self.checked.load(Ordering::Acquire) && self.chain.is_ready()
    }
}
