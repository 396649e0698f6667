//! What the app left in its output folder: read with care, because the app is a stranger. Links are never followed, and nothing outside of
//! the folder is looked at. The app has ended by then, so nothing changes underneath.

use std::fs::{self, File};
use std::io;
use std::path::{Component, Path, PathBuf};

use strongroom_content::archive::{Archive, ArchiveError};
use strongroom_content::digest;
use strongroom_protocol::B256;

/// Deeper folders than anybody makes on purpose.
const MAX_DEPTH: usize = 64;

/// Why a result has no digest.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DigestError {
    /// Not below the output folder, or a link on the way.
    #[error("{0:?} is not a file or folder below the output folder")]
    Outside(String),
    /// Nothing there.
    #[error("{0:?} is not there")]
    Absent(String),
    /// An empty file or a folder without files: existing programs disagree about its digest.
    #[error("{0:?} is empty, so it has no digest")]
    Empty(String),
    /// Reading failed.
    #[error("the result could not be read")]
    Io(#[from] io::Error),
}

/// The digest of the result at `path`, as the app names it, in `folder`.
pub(crate) fn digest_of(folder: &Path, path: &str) -> Result<B256, DigestError> {
    let found = below(folder, path)?;
    let empty = || DigestError::Empty(path.to_owned());
    if fs::symlink_metadata(&found)?.is_file() {
        let (hash, bytes) = digest::sha256(File::open(&found)?)?;
        return if bytes == 0 { Err(empty()) } else { Ok(hash) };
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(&found)? {
        let entry = entry?;
        // Folders within count for nothing, as always.
        if !entry.file_type()?.is_file() {
            continue;
        }
        let (hash, bytes) = digest::sha256(File::open(entry.path())?)?;
        if bytes == 0 {
            return Err(DigestError::Empty(entry.file_name().to_string_lossy().into_owned()));
        }
        files.push((entry.file_name().into_encoded_bytes(), hash));
    }
    digest::folder(files).ok_or_else(empty)
}

/// The path in the folder, when every step of it is a file or folder there and no link.
fn below(folder: &Path, path: &str) -> Result<PathBuf, DigestError> {
    let outside = || DigestError::Outside(path.to_owned());
    let inner = Path::new(path).strip_prefix(folder).map_err(|_| outside())?;
    let mut found = folder.to_owned();
    for step in inner.components() {
        let Component::Normal(name) = step else { return Err(outside()) };
        found.push(name);
        match fs::symlink_metadata(&found) {
            Ok(metadata) if metadata.is_symlink() => return Err(outside()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(DigestError::Absent(path.to_owned())),
            Err(error) => return Err(DigestError::Io(error)),
        }
    }
    let kind = fs::symlink_metadata(&found)?.file_type();
    if kind.is_file() || kind.is_dir() { Ok(found) } else { Err(outside()) }
}

/// Writes everything in `folder` to `archive`, in the order of names. Links and special files are left out, as always.
pub(crate) fn archive(folder: &Path, archive: &mut Archive<File>) -> Result<(), ArchiveError> {
    add(folder, "", 0, archive)
}

fn add(folder: &Path, prefix: &str, depth: usize, archive: &mut Archive<File>) -> Result<(), ArchiveError> {
    if depth > MAX_DEPTH {
        return Err(ArchiveError::Io(io::Error::other("folders are nested too deeply")));
    }
    let mut entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = entry.file_name();
        let name = name.to_str().ok_or_else(|| ArchiveError::Io(io::Error::other("a name is not UTF-8")))?;
        let path = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") };
        let kind = entry.file_type()?;
        if kind.is_dir() {
            add(&entry.path(), &path, depth + 1, archive)?;
        } else if kind.is_file() {
            archive.add(&path, File::open(entry.path())?)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use strongroom_protocol::B256;

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        fs::create_dir_all(at("sub/inner")).unwrap();
        fs::write(at("result.txt"), "Hello, world!").unwrap();
        fs::write(at("empty.txt"), "").unwrap();
        fs::write(at("sub/a.txt"), "a\n").unwrap();
        fs::write(at("sub/b.txt"), "b\n").unwrap();
        fs::write(at("sub/inner/c.txt"), "c\n").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", at("link")).unwrap();
        std::os::unix::fs::symlink("sub", at("folder-link")).unwrap();
        folder
    }

    #[test]
    fn files_and_folders_have_the_digests_of_the_worked_vectors() {
        let folder = folder();
        let of = |path: &str| digest_of(folder.path(), folder.path().join(path).to_str().unwrap());
        let hex = |text: &str| text.parse::<B256>().unwrap();
        let file = hex("0x315f5bdb76d078c43b8ac0064e4a0164612b1fce77c869345bfc94c75894edd3");
        assert_eq!(of("result.txt").unwrap(), file);
        let sub = hex("0xb32936a4138fb66e9fc3de7fb4ccac45b9340dc96889a2c284aa8bd8408cfc7b");
        assert_eq!(of("sub").unwrap(), sub, "sub-folders count for nothing");
        assert!(matches!(of("empty.txt"), Err(DigestError::Empty(_))));
        assert!(matches!(of(""), Err(DigestError::Empty(name)) if name == "empty.txt"));
        assert!(matches!(of("nothing"), Err(DigestError::Absent(_))));
    }

    #[test]
    fn nothing_outside_is_read_whatever_the_app_says() {
        let folder = folder();
        let inside = folder.path().to_str().unwrap();
        for path in [
            "/etc/passwd",
            "relative.txt",
            &format!("{inside}/../x"),
            &format!("{inside}/link"),
            &format!("{inside}/folder-link/a.txt"),
        ] {
            assert!(matches!(digest_of(folder.path(), path), Err(DigestError::Outside(_))), "{path}");
        }
    }

    #[test]
    fn an_archive_holds_the_files_and_no_links() {
        let folder = folder();
        let mut made = Archive::new(tempfile::tempfile().unwrap());
        archive(folder.path(), &mut made).unwrap();
        let bytes = {
            use std::io::{Read, Seek};
            let mut file = made.finish().unwrap();
            file.rewind().unwrap();
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes).unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        for (name, there) in [("sub/inner/c.txt", true), ("result.txt", true), ("link", false), ("root:", false)] {
            assert_eq!(bytes.contains(name), there, "{name}");
        }
    }
}
