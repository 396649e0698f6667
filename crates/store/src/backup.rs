//! Copies of the database: made while it is in use, checked before one takes the place of a database.
//!
//! A backup holds what the database holds, wrapped keys included; the root key is in neither. Keep them apart.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use ring::rand::SystemRandom;
use rusqlite::Connection;

use crate::connection;
use crate::error::{OpenError, StoreError};
use crate::files;
use crate::keys::Keys;
use crate::root_key::{IfMissing, RootKey, RootKeyError, RootKeySource};
use crate::schema::{self, Found};
use crate::secrets::{self, SecretCounts};
use crate::store::{self, Share, Store, StoreConfig};

/// Why there is no new backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Something is there already. It was not touched.
    #[error("{path} exists already; choose another name, backups are never overwritten")]
    AlreadyExists {
        /// The destination.
        path: PathBuf,
    },
    /// SQLite takes names that are text.
    #[error("the name {path} is not UTF-8; choose another name")]
    NotText {
        /// The destination.
        path: PathBuf,
    },
    /// The destination cannot be written.
    #[error("the backup {path} cannot be written; check its folder, the free space and the permissions")]
    File {
        /// The destination.
        path: PathBuf,
        /// The answer of the operating system.
        #[source]
        source: io::Error,
    },
    /// The database could not be read, or the copy not be written.
    #[error(transparent)]
    Trouble(#[from] StoreError),
}

/// Why a backup was not restored. The database is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The store is open somewhere.
    #[error("the database {path} is in use; stop the service, then restore")]
    InUse {
        /// The database.
        path: PathBuf,
    },
    /// The file is the database of a running or crashed service, not a backup.
    #[error(
        "{path} has a log beside it, so it is a database in use and not a backup; make one with the backup command"
    )]
    NotABackup {
        /// The file.
        path: PathBuf,
    },
    /// The structure of the file is damaged.
    #[error("the backup {path} is damaged; take another one")]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// The backup is none of ours, of a newer program or another chain, or the root key does not fit it.
    #[error(transparent)]
    Refused(OpenError),
    /// The root key could not be had.
    #[error(transparent)]
    RootKey(#[from] RootKeyError),
    /// A file cannot be read or written.
    #[error("{path} cannot be read or written; check the folder, the free space and the permissions")]
    File {
        /// The file.
        path: PathBuf,
        /// The answer of the operating system.
        #[source]
        source: io::Error,
    },
}

/// What a restore did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The secrets that are there now.
    pub secrets: SecretCounts,
    /// Where the former database was put, if there was one. Remove it when the restored one has proven itself.
    pub replaced: Option<PathBuf>,
}

impl Store {
    /// Writes a compact copy of one state of the database to a new file (mode 0600), while the store is in use. The
    /// file is complete and durable when this returns; until then the name is taken by an empty file, which is no
    /// backup.
    pub async fn backup(&self, destination: &Path) -> Result<(), BackupError> {
        let destination = std::path::absolute(destination)
            .map_err(|source| BackupError::File { path: destination.to_owned(), source })?;
        let random = self.inner.keys.random.clone();
        let copied = self.inner.readers.read(move |connection| Ok(write_backup(connection, &destination, &random)));
        copied.await?
    }

    /// Puts a backup in the place of the database named in `config`, which must not be open anywhere. The backup is
    /// copied and checked first: it is one of ours, whole, of this chain, of a schema that this program knows, and the
    /// root key fits. The former database is kept beside. Blocks.
    ///
    /// To see also whether each value opens, open the store and call [`Store::verify`].
    pub fn restore(backup: &Path, config: &StoreConfig, root_key: &RootKeySource) -> Result<Restored, RestoreError> {
        let path = std::path::absolute(&config.path).map_err(|source| file_failed(&config.path, source))?;
        files::create_parent(&path).map_err(|source| file_failed(&path, source))?;
        let lock = store::lock(&path, Share::Alone).map_err(|error| match error {
            OpenError::BeingRestored { path } => RestoreError::InUse { path },
            OpenError::File { path, source } => RestoreError::File { path, source },
            other => RestoreError::Refused(other),
        })?;
        let random = SystemRandom::new();
        let root = root_key.load(IfMissing::Refuse, &random)?;
        if fs::metadata(files::with_suffix(backup, "-wal")).is_ok_and(|log| log.len() > 0) {
            return Err(RestoreError::NotABackup { path: backup.to_owned() });
        }

        // The copy is checked, not the original: what is checked is what is put in place.
        let copy = files::temporary_beside(&path, &random).map_err(|source| file_failed(&path, source))?;
        let outcome = copy_file(backup, &copy)
            .and_then(|()| check(&copy, backup, config.chain_id, root, &random))
            .and_then(|secrets| {
                let replaced = set_aside(&path, &random).map_err(|source| file_failed(&path, source))?;
                fs::rename(&copy, &path)
                    .and_then(|()| files::sync_parent(&path))
                    .map_err(|source| file_failed(&path, source))?;
                Ok(Restored { secrets, replaced })
            });
        if outcome.is_err() {
            // Whether this works or not, the reason to tell is the first one.
            let _ = fs::remove_file(&copy);
        }
        drop(lock);
        outcome
    }
}

fn file_failed(path: &Path, source: io::Error) -> RestoreError {
    RestoreError::File { path: path.to_owned(), source }
}

fn write_backup(connection: &Connection, destination: &Path, random: &SystemRandom) -> Result<(), BackupError> {
    let failed = |source: io::Error| BackupError::File { path: destination.to_owned(), source };
    if destination.to_str().is_none() {
        return Err(BackupError::NotText { path: destination.to_owned() });
    }
    // The empty file takes the name, so that the rename below replaces nothing but our own.
    match files::create_private(destination) {
        Ok(file) => drop(file),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(BackupError::AlreadyExists { path: destination.to_owned() });
        }
        Err(error) => return Err(failed(error)),
    }
    let outcome = files::temporary_beside(destination, random).map_err(failed).and_then(|partial| {
        let copied = copy_database(connection, &partial).and_then(|()| {
            let name = |source| BackupError::File { path: destination.to_owned(), source };
            fs::rename(&partial, destination).and_then(|()| files::sync_parent(destination)).map_err(name)
        });
        if copied.is_err() {
            let _ = fs::remove_file(&partial);
        }
        copied
    });
    if outcome.is_err() {
        let _ = fs::remove_file(destination);
    }
    outcome
}

fn copy_database(connection: &Connection, partial: &Path) -> Result<(), BackupError> {
    let failed = |source| BackupError::File { path: partial.to_owned(), source };
    let text = partial.to_str().ok_or_else(|| BackupError::NotText { path: partial.to_owned() })?;
    // Made here for its mode; SQLite takes an empty file as a new one.
    drop(files::create_private(partial).map_err(failed)?);
    connection.execute("VACUUM INTO ?1", [text]).map_err(StoreError::from)?;
    File::open(partial).and_then(|file| file.sync_all()).map_err(failed)
}

fn copy_file(from: &Path, to: &Path) -> Result<(), RestoreError> {
    let mut source = File::open(from).map_err(|source| file_failed(from, source))?;
    let mut target = files::create_private(to).map_err(|source| file_failed(to, source))?;
    io::copy(&mut source, &mut target).and_then(|_| target.sync_all()).map_err(|source| file_failed(to, source))
}

/// Opens the copy, looks for every reason to refuse it, and leaves it without companions.
fn check(
    copy: &Path,
    backup: &Path,
    chain_id: u64,
    root: RootKey,
    random: &SystemRandom,
) -> Result<SecretCounts, RestoreError> {
    let database_failed = |source: rusqlite::Error| match source.sqlite_error_code() {
        Some(rusqlite::ErrorCode::DatabaseCorrupt) => RestoreError::Damaged { path: backup.to_owned() },
        _ => RestoreError::Refused(OpenError::Database { path: backup.to_owned(), source }),
    };
    let connection = connection::open_untouched(copy).map_err(database_failed)?;
    match schema::find(&connection).map_err(database_failed)? {
        // A file without tables is a fine new database, but no backup.
        Found::Empty => return Err(RestoreError::Refused(OpenError::NotAStore { path: backup.to_owned() })),
        found => store::known_schema(backup, found).map_err(RestoreError::Refused)?,
    }
    let verdict: String =
        connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0)).map_err(database_failed)?;
    if verdict != "ok" {
        return Err(RestoreError::Damaged { path: backup.to_owned() });
    }
    Keys::load(&connection, root, chain_id, random)
        .map_err(|error| RestoreError::Refused(store::load_failed(error, backup, chain_id)))?;
    let counts = secrets::counts(&connection).map_err(database_failed)?;
    connection.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(())).map_err(database_failed)?;
    connection.close().map_err(|(_, error)| database_failed(error))?;
    Ok(counts)
}

/// Gives the database at `path` a second name and removes what SQLite keeps beside it. Afterwards `path` can be replaced
/// by a rename, so that at every moment a whole database has the name.
fn set_aside(path: &Path, random: &SystemRandom) -> io::Result<Option<PathBuf>> {
    let (log, index) = (files::with_suffix(path, "-wal"), files::with_suffix(path, "-shm"));
    let aside = files::with_suffix(path, &format!(".replaced-{}", files::random_digits(random)?));
    if path.exists() {
        // Moves the log into the file and removes it. A database too damaged for that keeps its log, under the new name.
        if let Ok(connection) = connection::open_reader(path) {
            let emptied = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
            tracing::debug!(emptied = emptied.is_ok(), "the former database was closed");
        }
        fs::hard_link(path, &aside)?;
    }
    if log.exists() {
        fs::rename(&log, files::with_suffix(&aside, "-wal"))?;
    }
    if index.exists() {
        fs::remove_file(&index)?;
    }
    files::sync_parent(path)?;
    Ok(aside.exists().then_some(aside))
}
