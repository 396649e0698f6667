//! Making files so that they are private from the first moment, appear whole or not at all, and stay after a crash.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use ring::rand::{SecureRandom, SystemRandom};

/// Makes the folder of `path`, readable by its owner only, if it is missing.
pub(crate) fn create_parent(path: &Path) -> io::Result<()> {
    match parent(path) {
        folder if folder.exists() => Ok(()),
        folder => DirBuilder::new().recursive(true).mode(0o700).create(folder),
    }
}

/// Makes a new file with mode 0600. An existing one is an error and stays as it is.
pub(crate) fn create_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Makes names created, renamed or removed in the folder of `path` durable.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    File::open(parent(path))?.sync_all()
}

/// A name for a temporary file in the folder of `path` that nobody uses: `.<file name>.<16 random hex digits>`.
pub(crate) fn temporary_beside(path: &Path, random: &SystemRandom) -> io::Result<PathBuf> {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}", random_digits(random)?));
    Ok(path.with_file_name(name))
}

/// 16 random hex digits.
pub(crate) fn random_digits(random: &SystemRandom) -> io::Result<String> {
    let mut bytes = [0; 8];
    random.fill(&mut bytes).map_err(|_| io::Error::other("the operating system gives no random bytes"))?;
    Ok(hex::encode(bytes))
}

/// `path` with `suffix` after its file name, as SQLite names its companions (`-wal`, `-shm`).
pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}
