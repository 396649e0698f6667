//! The store in use, and its replacement from a backup while the service runs. While it is being replaced there is no
//! store: callers are told to come back.

use std::sync::{PoisonError, RwLock};

use strongroom_store::{OpenError, RootKeySource, Store, StoreConfig};

/// There is no store at this moment.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the store is being restored from a backup; try again shortly")]
pub(crate) struct VaultClosed;

/// Where the root key comes from, so that the store can be opened again after a restore.
pub type MakeRootKeySource = Box<dyn Fn() -> RootKeySource + Send + Sync>;

/// Holds the store that requests use.
pub struct Vault {
    current: RwLock<Option<Store>>,
    config: StoreConfig,
    root_key: MakeRootKeySource,
}

impl Vault {
    /// Opens the store. Fails rather than guess: a missing or changed root key is never replaced.
    pub fn open(config: StoreConfig, root_key: MakeRootKeySource) -> Result<Self, OpenError> {
        let store = Store::open(&config, root_key())?;
        Ok(Self { current: RwLock::new(Some(store)), config, root_key })
    }

    pub(crate) fn store(&self) -> Result<Store, VaultClosed> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone().ok_or(VaultClosed)
    }

    /// Finishes what was acknowledged; afterwards there is no store.
    pub(crate) async fn close(&self) {
        if let Some(store) = self.take() {
            store.close().await;
        }
    }

    fn take(&self) -> Option<Store> {
        self.current.write().unwrap_or_else(PoisonError::into_inner).take()
    }
}
