//! Backups on the disk of the service, for operators: made, copied, put back, deleted, one at a time and only inside of one
//! folder. A backup is one file with encrypted values and wrapped keys; the root key is never in it.
//!
//! Folders are named as the old service names them: the hexadecimal form of the bytes of their absolute path.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use strongroom_store::BackupError;
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::Sms;
use crate::vault::{RestoreStoreError, VaultClosed};

/// The folder below the backup folder, and the file in it, where a new backup is made.
const WORK_FOLDER: &str = "work";
const WORK_FILE: &str = "backup.db";
const UNFINISHED_FILE: &str = "backup.db.unfinished";

/// How long a request waits for the one before it.
const PATIENCE: Duration = Duration::from_millis(100);

/// Why an operation on backups was not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BackupsError {
    /// A name or an id is empty or white space.
    #[error("a storage id or a file name is blank")]
    Blank,
    /// Another operation is running.
    #[error("another operation on backups is running")]
    Busy,
    /// The id names something that is not a folder.
    #[error("the storage id names no folder")]
    NoSuchFolder,
    /// The id is not hexadecimal.
    #[error("the storage id is not hexadecimal")]
    NotAnId,
    /// There is no backup of that name, or none was made.
    #[error("there is no such backup")]
    NoSuchBackup,
    /// The name or the folder leads out of the backup folder.
    #[error("the path leads out of the backup folder")]
    Outside,
    /// There is a file of that name already.
    #[error("the destination exists already")]
    DestinationExists,
    /// What is to be deleted is not there.
    #[error("there is nothing to delete")]
    NothingToDelete,
    /// The disk.
    #[error("the files of the backup could not be read or written")]
    Files(#[from] io::Error),
    /// The store could not be copied.
    #[error("the backup could not be made")]
    NotMade(#[from] BackupError),
    /// There is no store at this moment.
    #[error(transparent)]
    Closed(#[from] VaultClosed),
    /// The backup could not be restored.
    #[error("the backup could not be restored")]
    NotRestored(#[from] RestoreStoreError),
}

/// The folder of backups, and the right to work in it.
pub(crate) struct Backups {
    folder: PathBuf,
    turn: Arc<Mutex<()>>,
}

/// Names a file in a folder that a request asked for; neither was looked up yet.
pub(crate) struct Named {
    /// Hexadecimal form of the folder's path.
    pub(crate) storage_id: String,
    /// Name of the file in it.
    pub(crate) file: String,
}

impl Named {
    fn is_blank(&self) -> bool {
        self.storage_id.trim().is_empty() || self.file.trim().is_empty()
    }
}

impl Backups {
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder, turn: Arc::default() }
    }

    async fn turn(&self) -> Result<OwnedMutexGuard<()>, BackupsError> {
        tokio::time::timeout(PATIENCE, Arc::clone(&self.turn).lock_owned()).await.map_err(|_| BackupsError::Busy)
    }

    fn work_file(&self) -> PathBuf {
        self.folder.join(WORK_FOLDER).join(WORK_FILE)
    }

    /// The folder of an id. It exists and lies inside of the backup folder.
    fn folder_of(&self, storage_id: &str) -> Result<PathBuf, BackupsError> {
        let bytes = hex::decode(storage_id).map_err(|_| BackupsError::NotAnId)?;
        let folder = Path::new(OsStr::from_bytes(&bytes));
        if !folder.is_dir() {
            return Err(BackupsError::NoSuchFolder);
        }
        let folder = folder.canonicalize()?;
        if !folder.starts_with(self.folder.canonicalize()?) {
            return Err(BackupsError::Outside);
        }
        Ok(folder)
    }

    /// The path of a name: directly in its folder. Nothing may be there yet, or anything.
    fn path_of(&self, named: &Named) -> Result<PathBuf, BackupsError> {
        let folder = self.folder_of(&named.storage_id)?;
        let mut components = Path::new(&named.file).components();
        match (components.next(), components.next()) {
            (Some(Component::Normal(name)), None) if name.as_bytes() == named.file.as_bytes() => Ok(folder.join(name)),
            _ => Err(BackupsError::Outside),
        }
    }

    /// The path of a backup that is there: a file, not a link that may lead anywhere.
    fn existing(&self, named: &Named) -> Result<PathBuf, BackupsError> {
        let path = self.path_of(named)?;
        if is_file(&path)? { Ok(path) } else { Err(BackupsError::NoSuchBackup) }
    }
}

impl Sms {
    /// Copies the store, as it is at one moment, to the work file, which is replaced when the copy is whole.
    pub(crate) async fn make_backup(self: Arc<Self>) -> Result<(), BackupsError> {
        let _turn = self.backups.turn().await?;
        let store = self.vault.store()?;
        let work_file = self.backups.work_file();
        let folder = self.backups.folder.join(WORK_FOLDER);
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        let unfinished = folder.join(UNFINISHED_FILE);
        remove_if_there(&unfinished)?;
        store.backup(&unfinished).await?;
        fs::rename(&unfinished, &work_file)?;
        File::open(&folder)?.sync_all()?;
        Ok(())
    }

    /// Copies the newest backup to a name.
    pub(crate) async fn replicate_backup(self: Arc<Self>, destination: Named) -> Result<(), BackupsError> {
        if destination.is_blank() {
            return Err(BackupsError::Blank);
        }
        let _turn = self.backups.turn().await?;
        self.blocking(move |backups| {
            let destination = backups.path_of(&destination)?;
            let source = backups.work_file();
            if !is_file(&source)? {
                return Err(BackupsError::NoSuchBackup);
            }
            copy(&source, &destination)
        })
        .await
    }

    /// Copies a backup from a name to a name.
    pub(crate) async fn copy_backup(self: Arc<Self>, source: Named, destination: Named) -> Result<(), BackupsError> {
        if source.is_blank() || destination.is_blank() {
            return Err(BackupsError::Blank);
        }
        let _turn = self.backups.turn().await?;
        self.blocking(move |backups| {
            let destination = backups.path_of(&destination)?;
            copy(&backups.existing(&source)?, &destination)
        })
        .await
    }

    /// Deletes a backup.
    pub(crate) async fn delete_backup(self: Arc<Self>, named: Named) -> Result<(), BackupsError> {
        if named.is_blank() {
            return Err(BackupsError::Blank);
        }
        let _turn = self.backups.turn().await?;
        self.blocking(move |backups| match backups.existing(&named) {
            Err(BackupsError::NoSuchBackup) => Err(BackupsError::NothingToDelete),
            found => Ok(fs::remove_file(found?)?),
        })
        .await
    }

    /// Puts a backup in the place of the store. Everybody else is told to come back meanwhile.
    pub(crate) async fn restore_backup(self: Arc<Self>, named: Named) -> Result<(), BackupsError> {
        if named.is_blank() {
            return Err(BackupsError::Blank);
        }
        let _turn = self.backups.turn().await?;
        let backup = self.blocking(move |backups| backups.existing(&named)).await?;
        self.vault.restore(&backup).await?;
        self.note_store(true);
        self.count_stored().await;
        Ok(())
    }

    async fn blocking<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Backups) -> Result<T, BackupsError> + Send + 'static,
    ) -> Result<T, BackupsError> {
        let sms = Arc::clone(self);
        tokio::task::spawn_blocking(move || work(&sms.backups)).await.map_err(io::Error::other)?
    }
}

/// Copies to a new file that only its owner may read. What is there is never overwritten; a failed copy is removed.
fn copy(source: &Path, destination: &Path) -> Result<(), BackupsError> {
    let mut from = File::open(source)?;
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(destination);
    let mut to = match opened {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(BackupsError::DestinationExists),
        other => other?,
    };
    let copied = io::copy(&mut from, &mut to).and_then(|_| to.sync_all());
    if let Err(error) = copied {
        remove_if_there(destination)?;
        return Err(error.into());
    }
    Ok(())
}

fn is_file(path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(metadata.is_file()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
