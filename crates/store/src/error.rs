//! What can go wrong. "Exists", "absent" and "could not find out" are different variants everywhere: the last one is
//! always [`StoreError`], is worth a retry, and never means that a secret is there or is not.

use std::path::PathBuf;
use std::sync::Arc;

use crate::root_key::RootKeyError;

/// Trouble: the store could not find out or could not write. Repeat the call: a write that ends with this was, as a
/// rule, not made, and if the disk failed at the very end of its commit it was made whole.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite failed: locked for too long, input/output error, damaged file.
    #[error("the database could not be read or written; the cause is in the log")]
    Database(#[source] Arc<rusqlite::Error>),
    /// No space is left for the database.
    #[error("the database is full; free disk space, then repeat the call")]
    Full(#[source] Arc<rusqlite::Error>),
    /// [`crate::Store::close`] was called, or the writing thread is gone.
    #[error("the store is closed")]
    Closed,
    /// A stored value does not open with the keys of this store.
    #[error(
        "version {version} of the {kind} secret of {address} does not open; run the verification, then restore a backup"
    )]
    DoesNotOpen {
        /// Kind of the secret in words.
        kind: String,
        /// The address of its id, `0x` and 40 hex digits.
        address: String,
        /// Number of the version, from 1.
        version: u32,
    },
    /// A row says something that this program never writes.
    #[error("the database holds what this program does not write ({0}); run the verification, then restore a backup")]
    Damaged(&'static str),
    /// The operating system gives no random bytes.
    #[error("the operating system gives no random bytes")]
    Randomness,
    /// The runtime is shutting down and dropped the task.
    #[error("the task was interrupted by the end of the program")]
    Interrupted,
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull) {
            return Self::Full(Arc::new(error));
        }
        Self::Database(Arc::new(error))
    }
}

impl From<crate::envelope::NoRandomness> for StoreError {
    fn from(_: crate::envelope::NoRandomness) -> Self {
        Self::Randomness
    }
}

/// Why a new secret was not stored.
#[derive(Debug, thiserror::Error)]
pub enum InsertError {
    /// There is a secret under this id already. It was not changed.
    #[error("the secret exists already")]
    AlreadyExists,
    /// Could not find out or could not write.
    #[error(transparent)]
    Trouble(#[from] StoreError),
}

/// Why a secret was not replaced.
#[derive(Debug, thiserror::Error)]
pub enum ReplaceError {
    /// There is no secret under this id.
    #[error("there is no such secret; create it first")]
    NotFound,
    /// The signature installed a value that has been replaced since. Whoever holds an old request cannot undo a change.
    #[error("this request was used before and its value has been replaced since; sign a new one")]
    Replayed,
    /// Secrets of this kind never change.
    #[error("secrets of this kind cannot be replaced")]
    NotUpdatable,
    /// Could not find out or could not write.
    #[error(transparent)]
    Trouble(#[from] StoreError),
}

/// Why a store does not open. None of these changes a file that was there before.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The root key could not be had.
    #[error(transparent)]
    RootKey(#[from] RootKeyError),
    /// The root key is not the one with which this database was made.
    #[error("the root key does not fit the database {path}; put back the key with which it was made")]
    WrongRootKey {
        /// The database.
        path: PathBuf,
    },
    /// The database belongs to another chain.
    #[error("the database {path} belongs to chain {found}, but chain {configured} is configured; choose another file")]
    WrongChain {
        /// The database.
        path: PathBuf,
        /// The chain in the configuration.
        configured: u64,
        /// The chain in the database.
        found: String,
    },
    /// A newer program wrote this database.
    #[error(
        "the database {path} has schema {found}, this program knows schemas up to {known}; use the program that wrote it or a newer one"
    )]
    NewerSchema {
        /// The database.
        path: PathBuf,
        /// Version in the file.
        found: u32,
        /// Newest version that this program knows.
        known: u32,
    },
    /// The file is something else.
    #[error("{path} is not a database of this program; choose another file")]
    NotAStore {
        /// The file.
        path: PathBuf,
    },
    /// A restore is under way, or a process that runs one holds the lock.
    #[error("the database {path} is being restored by another process; wait until it ends")]
    BeingRestored {
        /// The database.
        path: PathBuf,
    },
    /// A folder, the lock or the database file cannot be made or opened.
    #[error("{path} cannot be opened or created; check the folder, its owner and its permissions")]
    File {
        /// What was opened.
        path: PathBuf,
        /// The answer of the operating system.
        #[source]
        source: std::io::Error,
    },
    /// The keys in the database are damaged, though the root key fits.
    #[error("the keys in the database {path} are damaged ({what}); restore a backup")]
    DamagedKeys {
        /// The database.
        path: PathBuf,
        /// Which key.
        what: &'static str,
    },
    /// SQLite failed.
    #[error("the database {path} cannot be opened; the cause is in the log")]
    Database {
        /// The database.
        path: PathBuf,
        /// The cause.
        #[source]
        source: rusqlite::Error,
    },
    /// The operating system gives no random bytes.
    #[error("the operating system gives no random bytes")]
    Randomness,
}
