//! The store in use, and its replacement from a backup while the service runs. While it is being replaced there is no
//! store: callers are told to come back.

use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use strongroom_store::{OpenError, RestoreError, RootKeySource, Store, StoreConfig};

/// There is no store at this moment.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the store is being restored from a backup; try again shortly")]
pub(crate) struct VaultClosed;

/// Why a backup did not take the place of the store.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RestoreStoreError {
    /// Another restore is running, or the service is stopping.
    #[error(transparent)]
    Closed(#[from] VaultClosed),
    /// The backup is not usable, or could not be put in place. The service goes on with the store it had.
    #[error(transparent)]
    Refused(RestoreError),
    /// What is in place now does not open: there is no store until the service is started again.
    #[error("the store could not be opened after the restore; look at the files, then start the service again")]
    NotOpened(#[source] OpenError),
}

/// Where the root key comes from, so that the store can be opened again after a restore.
pub type MakeRootKeySource = Arc<dyn Fn() -> RootKeySource + Send + Sync>;

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

    /// Puts the backup in the place of the store. What was acknowledged before is finished on the old store first; from then
    /// on callers are told to come back. To be awaited to the end: a dropped future would leave no store.
    pub(crate) async fn restore(&self, backup: &Path) -> Result<(), RestoreStoreError> {
        self.take().ok_or(VaultClosed)?.close().await;
        let (backup, config, root_key) = (backup.to_owned(), self.config.clone(), Arc::clone(&self.root_key));
        let files = tokio::task::spawn_blocking(move || {
            let restored = Store::restore(&backup, &config, &root_key());
            (restored, Store::open(&config, root_key()))
        });
        let (restored, opened) = files.await.expect("neither call panics, and nobody cancels them");
        let opened = opened.map_err(RestoreStoreError::NotOpened)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(opened);
        restored.map(|_| ()).map_err(RestoreStoreError::Refused)
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
