//! The store as its callers see it: open, insert, replace, ask, close.

use std::fmt;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use ring::rand::SystemRandom;
use rusqlite::TransactionBehavior;
use strongroom_protocol::{SecretId, SecretValue, Signature};
use zeroize::Zeroizing;

use crate::connection;
use crate::envelope::{self, Binding, SealedValue};
use crate::error::{InsertError, OpenError, ReplaceError, StoreError};
use crate::files;
use crate::keys::{self, Keys, LoadError, SpentTag};
use crate::readers::Readers;
use crate::root_key::{IfMissing, RootKeySource};
use crate::schema::{self, Found};
use crate::secrets::{self, Inserted, Replaced, SecretCounts, Written};
use crate::writer::Writer;

/// Sealing a value longer than this (64 KiB, some 50 µs) leaves the threads of the runtime.
const LONG_VALUE_BYTES: usize = 64 * 1024;

/// Which database to open, and whose it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreConfig {
    /// The database file. SQLite keeps `-wal` and `-shm` files beside it, this crate a `-lock` file. The folder is made
    /// (mode 0700) when it is missing and must be on a local file system.
    pub path: PathBuf,
    /// The chain whose assets own the secrets. A database belongs to one chain for ever.
    pub chain_id: u64,
}

/// An open store. A cheap handle: clones share everything.
///
/// Several processes may open one database (the service, and a command that rotates keys beside it); a restore needs it
/// alone.
#[derive(Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) path: PathBuf,
    pub(crate) keys: Arc<Keys>,
    pub(crate) writer: Writer,
    pub(crate) readers: Arc<Readers>,
    /// Threads to wait for when closing, and the lock that keeps a restore away until then.
    running: Mutex<Option<Running>>,
}

struct Running {
    threads: [JoinHandle<()>; 2],
    _lock: File,
}

impl Store {
    /// Opens the database, or makes it on the first start. Blocks for as long as SQLite needs to recover the log of a
    /// crash; reads nothing of the secrets, so that the time does not grow with them.
    ///
    /// Fails, and changes nothing, when the root key is missing, lies open to others or does not fit, and when the
    /// database is of another chain, of a newer program, or no database.
    pub fn open(config: &StoreConfig, root_key: RootKeySource) -> Result<Self, OpenError> {
        let path = std::path::absolute(&config.path)
            .map_err(|source| OpenError::File { path: config.path.clone(), source })?;
        let file_failed = |source| OpenError::File { path: path.clone(), source };
        files::create_parent(&path).map_err(file_failed)?;
        let lock = lock(&path, Share::Shared)?;

        let random = SystemRandom::new();
        let if_missing = if database_exists(&path) { IfMissing::Refuse } else { IfMissing::Create };
        let root = root_key.load(if_missing, &random)?;
        drop(root_key);
        match files::create_private(&path) {
            Ok(file) => {
                drop(file);
                files::sync_parent(&path).map_err(file_failed)?;
            }
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(file_failed(error)),
        }

        let database_failed = |source| OpenError::Database { path: path.clone(), source };
        let mut connection = connection::open_untouched(&path).map_err(database_failed)?;
        known_schema(&path, schema::find(&connection).map_err(database_failed)?)?;
        connection::prepare_writer(&connection).map_err(database_failed)?;
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(database_failed)?;
        // Looked at again inside of the transaction: another process may have made or migrated it just now.
        let load_failed = |error| load_failed(error, &path, config.chain_id);
        match schema::find(&transaction).map_err(database_failed)? {
            Found::Empty => {
                schema::migrate(&transaction, 0).map_err(database_failed)?;
                keys::create(&transaction, &root, config.chain_id, &random).map_err(load_failed)?;
            }
            Found::Store(version) if version < schema::VERSION => {
                schema::migrate(&transaction, version).map_err(database_failed)?;
            }
            found => known_schema(&path, found)?,
        }
        // Before the commit, so that a wrong key leaves an old schema as it was.
        let keys = Keys::load(&transaction, root, config.chain_id, &random).map_err(load_failed)?;
        transaction.commit().map_err(database_failed)?;

        let (writer, threads) = Writer::start(connection, &path).map_err(file_failed)?;
        let readers = Readers::new(path.clone());
        let running = Mutex::new(Some(Running { threads, _lock: lock }));
        Ok(Self { inner: Arc::new(Inner { path, keys: Arc::new(keys), writer, readers, running }) })
    }

    /// Stores a new secret. Returns only after it is durable: what was acknowledged survives `kill -9` and power loss.
    /// `signature` is the one that authorised the push; of secrets that can be replaced it is remembered as spent.
    pub async fn insert(&self, id: SecretId, value: SecretValue, signature: Signature) -> Result<(), InsertError> {
        let inner = &self.inner;
        let id = Arc::new(id);
        let value = Arc::new(value);
        let tag = id.kind().is_updatable().then(|| self.tag(&id, &signature));
        loop {
            let room = inner.writer.room_for(value.expose_secret().len()).await?;
            let sealed = self.seal(&id, 1, &value).await?;
            let (row_id, chain_id) = (Arc::clone(&id), inner.keys.chain_id);
            let insert = move |transaction: &_| {
                secrets::insert_first(transaction, &Binding::new(chain_id, &row_id, 1), &sealed, tag.as_ref())
            };
            match inner.writer.write(room, insert).await? {
                Inserted::Stored => return Ok(()),
                Inserted::AlreadyExists => return Err(InsertError::AlreadyExists),
                Inserted::EpochGone => self.reload_epochs().await?,
            }
        }
    }

    /// Gives an existing secret a new value, as a new version; the old ones stay, for releases that were recorded with
    /// them. Only secrets of accounts can be replaced.
    ///
    /// The same value again is [`Replaced::Unchanged`]. A signature that wrote a value which was replaced since is
    /// refused: whoever recorded an old request cannot bring the old value back.
    pub async fn replace(
        &self,
        id: SecretId,
        value: SecretValue,
        signature: Signature,
    ) -> Result<Replaced, ReplaceError> {
        if !id.kind().is_updatable() {
            return Err(ReplaceError::NotUpdatable);
        }
        let inner = &self.inner;
        let id = Arc::new(id);
        let value = Arc::new(value);
        let tag = self.tag(&id, &signature);
        // Ends, because another round is only needed when another caller's change was committed.
        loop {
            let Some(latest) = self.compare_with_latest(&id, &value, tag).await? else {
                return Err(ReplaceError::NotFound);
            };
            let (row_id, chain_id) = (Arc::clone(&id), inner.keys.chain_id);
            let (outcome, written) = match latest {
                Latest { same_value: true, spent: true, .. } => return Ok(Replaced::Unchanged),
                Latest { same_value: false, spent: true, .. } => return Err(ReplaceError::Replayed),
                Latest { same_value: true, spent: false, row, version } => {
                    let room = inner.writer.room_for(0).await?;
                    let spend = move |transaction: &_| {
                        secrets::spend(transaction, &Binding::new(chain_id, &row_id, version), row, &tag)
                    };
                    (Replaced::Unchanged, inner.writer.write(room, spend).await?)
                }
                Latest { same_value: false, spent: false, version, .. } => {
                    let next = version.checked_add(1).ok_or(StoreError::Damaged("a secret has 2^32 versions"))?;
                    let room = inner.writer.room_for(value.expose_secret().len()).await?;
                    let sealed = self.seal(&id, next, &value).await?;
                    let update = move |transaction: &_| {
                        secrets::insert_next(transaction, &Binding::new(chain_id, &row_id, next), &sealed, &tag)
                    };
                    (Replaced::Updated, inner.writer.write(room, update).await?)
                }
            };
            match written {
                Written::Stored => return Ok(outcome),
                Written::Overtaken => {}
                Written::EpochGone => self.reload_epochs().await?,
            }
        }
    }

    /// Whether there is a secret under this id. Never "no" because of trouble.
    pub async fn exists(&self, id: &SecretId) -> Result<bool, StoreError> {
        let id = id.clone();
        self.inner.readers.read(move |connection| Ok(secrets::exists(connection, &id)?)).await
    }

    /// How many secrets there are. Reads four rows, whatever the size of the database.
    pub async fn counts(&self) -> Result<SecretCounts, StoreError> {
        self.inner.readers.read(|connection| Ok(secrets::counts(connection)?)).await
    }

    /// Derives a key that needs no row: HKDF-SHA-256 of the derivation key of this store, with salt
    /// `strongroom/store/derivation/v1` and info = length of `label` (4 bytes, big-endian) ‖ `label` ‖ chain id (8 bytes)
    /// ‖ `context`. The same arguments give the same key for ever, whatever is rotated, also after a restore.
    pub fn derive_key(&self, label: &'static str, context: &[u8]) -> Zeroizing<[u8; 32]> {
        self.inner.keys.derive(label, context)
    }

    /// Finishes what was accepted, then closes the files. Calls on other clones fail with [`StoreError::Closed`] from
    /// here on. A store that is merely dropped finishes too, but nobody waits for it.
    pub async fn close(self) {
        self.inner.writer.close().await;
        self.inner.readers.close();
        let running = self.inner.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        let waited = tokio::task::spawn_blocking(move || {
            if let Some(running) = running {
                for thread in running.threads {
                    // A thread that panicked has told the panic handler; there is nothing left to close.
                    let _ = thread.join();
                }
            }
        });
        let _ = waited.await;
    }

    pub(crate) async fn reload_epochs(&self) -> Result<(), StoreError> {
        let keys = Arc::clone(&self.inner.keys);
        self.inner.readers.read(move |connection| keys.reload_epochs(connection)).await
    }

    fn tag(&self, id: &SecretId, signature: &Signature) -> SpentTag {
        self.inner.keys.spent_tag(&Binding::new(self.inner.keys.chain_id, id, 0), signature)
    }

    async fn seal(
        &self,
        id: &Arc<SecretId>,
        version: u32,
        value: &Arc<SecretValue>,
    ) -> Result<SealedValue, StoreError> {
        let (keys, id, value) = (Arc::clone(&self.inner.keys), Arc::clone(id), Arc::clone(value));
        let is_long = value.expose_secret().len() > LONG_VALUE_BYTES;
        let seal = move || {
            let place = Binding::new(keys.chain_id, &id, version);
            envelope::seal(&value, &place, &keys.current_epoch(), &keys.random)
        };
        if !is_long {
            return Ok(seal()?);
        }
        Ok(tokio::task::spawn_blocking(seal).await.map_err(|_| StoreError::Interrupted)??)
    }

    async fn compare_with_latest(
        &self,
        id: &Arc<SecretId>,
        value: &Arc<SecretValue>,
        tag: SpentTag,
    ) -> Result<Option<Latest>, StoreError> {
        let (keys, id, value) = (Arc::clone(&self.inner.keys), Arc::clone(id), Arc::clone(value));
        let look = move |connection: &rusqlite::Connection| {
            // One state for both questions; dropped, the transaction ends.
            let transaction = connection.unchecked_transaction()?;
            let Some(stored) = secrets::latest(&transaction, &Binding::new(keys.chain_id, &id, 0))? else {
                return Ok(None);
            };
            let place = Binding::new(keys.chain_id, &id, stored.version);
            let opened = match keys.epoch(stored.epoch, &transaction)? {
                Some(key) => envelope::open(&stored.wrapped_key, &stored.ciphertext, &place, &key).ok(),
                None => None,
            };
            let opened = opened.ok_or_else(|| StoreError::DoesNotOpen {
                kind: id.kind().to_string(),
                address: strongroom_protocol::address::lower_case(&id.address()),
                version: stored.version,
            })?;
            let spent = secrets::is_spent(&transaction, &tag)?;
            let same_value = opened.constant_time_eq(&value);
            Ok(Some(Latest { row: stored.row, version: stored.version, same_value, spent }))
        };
        self.inner.readers.read(look).await
    }
}

/// The path only.
impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("path", &self.inner.path).finish_non_exhaustive()
    }
}

/// What a replacement has to know of the newest version.
struct Latest {
    row: i64,
    version: u32,
    same_value: bool,
    /// The signature was used before.
    spent: bool,
}

/// Who else may use the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Share {
    /// Every process that opens the store.
    Shared,
    /// Nobody: it is being replaced.
    Alone,
}

/// Takes the lock beside the database. It ends with the file handle, thus also with a killed process.
pub(crate) fn lock(path: &Path, share: Share) -> Result<File, OpenError> {
    let lock_path = files::with_suffix(path, "-lock");
    let failed = |source| OpenError::File { path: lock_path.clone(), source };
    let file = match files::create_private(&lock_path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => File::open(&lock_path),
        other => other,
    };
    let file = file.map_err(failed)?;
    let locked = match share {
        Share::Shared => file.try_lock_shared(),
        Share::Alone => file.try_lock(),
    };
    match locked {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(OpenError::BeingRestored { path: path.to_owned() }),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// Whether a database was made here, even if its file was lost and only the log is left.
pub(crate) fn database_exists(path: &Path) -> bool {
    [path.to_owned(), files::with_suffix(path, "-wal")].iter().any(|file| file.symlink_metadata().is_ok())
}

pub(crate) fn known_schema(path: &Path, found: Found) -> Result<(), OpenError> {
    match found {
        Found::Empty | Found::Store(_) => Ok(()),
        Found::Newer(found) => Err(OpenError::NewerSchema { path: path.to_owned(), found, known: schema::VERSION }),
        Found::Foreign => Err(OpenError::NotAStore { path: path.to_owned() }),
    }
}

pub(crate) fn load_failed(error: LoadError, path: &Path, configured: u64) -> OpenError {
    let path = path.to_owned();
    match error {
        LoadError::Database(source) => OpenError::Database { path, source },
        LoadError::Randomness => OpenError::Randomness,
        LoadError::WrongChain { found } => OpenError::WrongChain { path, configured, found },
        LoadError::WrongRootKey => OpenError::WrongRootKey { path },
        LoadError::Damaged(what) => OpenError::DamagedKeys { path, what },
    }
}

#[cfg(test)]
mod tests;
