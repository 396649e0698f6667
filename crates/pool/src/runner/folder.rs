//! The folder of runs: each run has a folder of its own in it, which ends with the run. One pool has it for itself, so what an
//! earlier life left is removed at the start; nothing else ever is: a folder that holds anything else is refused.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use tracing::warn;

/// Characters of a run's name that its folder has: sockets are in it, and their paths must be short.
pub const NAME_CHARS: usize = 20;
/// With what the name of every run begins; hexadecimal digits follow.
pub(super) const NAME_PREFIX: &str = "sr";
const LAUNCHES: &str = "launches";
const LAUNCH_FILE: &str = ".launch.json";

/// Why a folder cannot be the folder of runs.
#[derive(Debug, thiserror::Error)]
pub enum RunsError {
    /// Something is in it that is not ours to remove.
    #[error(
        "setting pool.runs: {} holds {found:?}, which is nothing of a run; name a folder that the pool has for itself",
        folder.display()
    )]
    Foreign {
        /// The folder.
        folder: PathBuf,
        /// The name of what is in it.
        found: String,
    },
    /// Another pool runs with it.
    #[error("setting pool.runs: another pool has its runs in {}; name a folder of its own for each", folder.display())]
    InUse {
        /// The folder.
        folder: PathBuf,
    },
    /// It cannot be made, read or locked.
    #[error("setting pool.runs: {} cannot be used", folder.display())]
    Io {
        /// The folder.
        folder: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// The folder of runs, held against other pools as long as this lives.
#[derive(Debug)]
pub struct RunsFolder {
    path: PathBuf,
    _lock: File,
}

/// The folder of one run. It is removed when it is dropped.
#[derive(Debug)]
pub(super) struct RunFolder(pub(super) PathBuf);

impl Drop for RunFolder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            warn!(folder = %self.0.display(), %error, "the folder of a run could not be removed");
        }
    }
}

impl RunsFolder {
    /// Makes the folder where it is missing, and keeps other pools out. Removes nothing.
    pub fn open(path: &Path) -> Result<Self, RunsError> {
        let failed = |source| RunsError::Io { folder: path.to_owned(), source };
        fs::create_dir_all(path).map_err(failed)?;
        let lock = File::open(path).map_err(failed)?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(RunsError::InUse { folder: path.to_owned() }),
            locked => locked.map_err(|error| failed(error.into()))?,
        }
        examine(path)?;
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// Names of the runs that an earlier life of the pool left.
    pub(super) fn left(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let name = entry?.file_name();
            names.extend(name.to_str().filter(|name| is_run(name)).map(str::to_owned));
        }
        Ok(names)
    }

    /// Removes what a run of this name left.
    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_dir_all(self.path.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes the launch files that an earlier life of the pool left.
    pub(super) fn remove_launches(&self) -> io::Result<()> {
        let entries = match fs::read_dir(launches(&self.path)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            let path = entry?.path();
            if path.to_string_lossy().ends_with(LAUNCH_FILE) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// A fresh folder for the run of this name, with one for its relay; what is left of one that was interrupted is removed.
    pub(super) fn fresh(&self, name: &str) -> Result<RunFolder, (PathBuf, io::Error)> {
        let folder = self.path.join(name);
        let relay = folder.join("relay");
        self.remove(name).map_err(|error| (folder.clone(), error))?;
        fs::create_dir_all(&relay).map_err(|error| (folder.clone(), error))?;
        // The sandbox's users are other users of this machine; they reach nothing but what is bound into the sandbox.
        for (path, mode) in [(&folder, 0o711), (&relay, 0o755)] {
            fs::set_permissions(path, Permissions::from_mode(mode)).map_err(|error| (path.clone(), error))?;
        }
        Ok(RunFolder(folder))
    }
}

/// Where launch files of confidential machines are, in the folder of runs.
pub fn launches(runs: &Path) -> PathBuf {
    runs.join(LAUNCHES)
}

/// Whether a folder may be the folder of runs: it is missing, or holds nothing but what runs left.
pub fn examine(runs: &Path) -> Result<(), RunsError> {
    let failed = |source| RunsError::Io { folder: runs.to_owned(), source };
    let entries = match fs::read_dir(runs) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(failed)?,
    };
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let is_ours = name.to_str().is_some_and(|name| name == LAUNCHES || is_run(name));
        if !is_ours || !entry.file_type().map_err(failed)?.is_dir() {
            return Err(RunsError::Foreign { folder: runs.to_owned(), found: name.to_string_lossy().into_owned() });
        }
    }
    Ok(())
}

fn is_run(name: &str) -> bool {
    let digits = name.strip_prefix(NAME_PREFIX);
    name.len() == NAME_CHARS && digits.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = "sr0123456789abcdef01";

    #[test]
    fn what_earlier_runs_left_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let runs = folder.path().join("runs");
        fs::create_dir_all(runs.join(RUN).join("relay")).unwrap();
        fs::create_dir(launches(&runs)).unwrap();
        fs::write(launches(&runs).join(format!("{RUN}.launch.json")), "{}").unwrap();
        let held = RunsFolder::open(&runs).unwrap();
        assert_eq!(held.left().unwrap(), [RUN]);
        held.remove(RUN).unwrap();
        held.remove_launches().unwrap();
        assert_eq!(held.left().unwrap(), [""; 0]);
        assert_eq!(fs::read_dir(launches(&runs)).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_holds_anything_else_is_refused_and_left_as_it_is() {
        for name in
            ["letters", "sr0123456789abcdef0", "sr0123456789abcdef012", "xr0123456789abcdef01", "sr0123456789abcdeg01"]
        {
            let folder = tempfile::tempdir().unwrap();
            fs::create_dir(folder.path().join(name)).unwrap();
            fs::write(folder.path().join(name).join("precious"), "kept").unwrap();
            let error = RunsFolder::open(folder.path()).unwrap_err();
            assert!(matches!(&error, RunsError::Foreign { found, .. } if found == name), "{error}");
            assert!(error.to_string().contains("pool.runs"), "{error}");
            assert_eq!(fs::read_to_string(folder.path().join(name).join("precious")).unwrap(), "kept");
        }
        // A file or a link is no folder of a run, whatever its name.
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/", folder.path().join(RUN)).unwrap();
        assert!(matches!(RunsFolder::open(folder.path()), Err(RunsError::Foreign { .. })));
    }

    #[test]
    fn a_second_pool_does_not_get_the_folder_of_one_that_runs() {
        let folder = tempfile::tempdir().unwrap();
        let first = RunsFolder::open(folder.path()).unwrap();
        let running = first.fresh(RUN).unwrap();
        assert!(matches!(RunsFolder::open(folder.path()), Err(RunsError::InUse { .. })));
        assert!(running.0.is_dir());
        drop(first);
        assert_eq!(RunsFolder::open(folder.path()).unwrap().left().unwrap(), [RUN]);
    }

    #[test]
    fn a_run_finds_its_folder_empty_and_leaves_none() {
        let folder = tempfile::tempdir().unwrap();
        let runs = RunsFolder::open(folder.path()).unwrap();
        fs::create_dir(folder.path().join(RUN)).unwrap();
        fs::write(folder.path().join(RUN).join("worker.sock"), "old").unwrap();
        let run = runs.fresh(RUN).unwrap();
        assert!(run.0.join("relay").is_dir() && !run.0.join("worker.sock").exists());
        drop(run);
        assert!(!folder.path().join(RUN).exists());
    }
}
