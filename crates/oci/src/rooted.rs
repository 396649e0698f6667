//! A folder that is filled on a stranger's word. Every path is resolved inside it by the kernel (`openat2`), so that neither
//! `..` nor a symbolic link can lead out.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, chmodat, mkdirat, openat, openat2, statat, unlinkat,
};
use rustix::io::Errno;

/// The kernel asks for a new attempt when something moved elsewhere on the machine meanwhile.
const ATTEMPTS: usize = 1000;

pub(crate) struct Rooted(OwnedFd);

/// A folder inside, and a name in it.
pub(crate) struct Place {
    pub(crate) folder: OwnedFd,
    pub(crate) name: OsString,
}

impl Rooted {
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        Ok(Self(openat(CWD, folder, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?))
    }

    /// Opens what is at `path`; symbolic links lead on inside the folder.
    pub(crate) fn resolve(&self, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        for _ in 0..ATTEMPTS {
            match openat2(&self.0, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve) {
                Err(Errno::AGAIN) => {}
                other => return other,
            }
        }
        Err(Errno::AGAIN)
    }

    pub(crate) fn folder(&self, path: &Path) -> rustix::io::Result<OwnedFd> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        self.resolve(path, OFlags::PATH | OFlags::DIRECTORY)
    }

    /// The folder above `path`, made with its own parents where it is missing, and the last name.
    pub(crate) fn place(&self, path: &Path) -> rustix::io::Result<Place> {
        let (Some(name), Some(above)) = (path.file_name(), path.parent()) else { return Err(Errno::INVAL) };
        let name = name.to_owned();
        match self.folder(above) {
            Err(Errno::NOENT) => {}
            other => return Ok(Place { folder: other?, name }),
        }
        let mut folder = self.folder(Path::new(""))?;
        let mut so_far = PathBuf::new();
        for part in above {
            so_far.push(part);
            folder = match self.folder(&so_far) {
                Err(Errno::NOENT) => {
                    make_readable(&folder, part)?;
                    self.folder(&so_far)?
                }
                other => other?,
            };
        }
        Ok(Place { folder, name })
    }

    /// The place of something that must exist.
    pub(crate) fn existing(&self, path: &Path) -> rustix::io::Result<Place> {
        let (Some(name), Some(above)) = (path.file_name(), path.parent()) else { return Err(Errno::INVAL) };
        Ok(Place { folder: self.folder(above)?, name: name.to_owned() })
    }
}

impl Place {
    /// What is there, itself, not what it points to.
    pub(crate) fn kind(&self) -> rustix::io::Result<Option<FileType>> {
        match statat(&self.folder, &self.name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(about) => Ok(Some(FileType::from_raw_mode(about.st_mode))),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes whatever is there.
    pub(crate) fn clear(&self) -> io::Result<()> {
        match self.kind()? {
            None => Ok(()),
            Some(FileType::Directory) => fs::remove_dir_all(below(&self.folder).join(&self.name)),
            Some(_) => Ok(unlinkat(&self.folder, &self.name, AtFlags::empty())?),
        }
    }

    /// Makes a folder there, or keeps the one that is.
    pub(crate) fn make_folder(&self) -> io::Result<()> {
        if self.kind()? == Some(FileType::Directory) {
            return Ok(());
        }
        self.clear()?;
        Ok(make_readable(&self.folder, &self.name)?)
    }
}

/// Makes a folder that everybody may enter, whatever the process' umask says: the sandbox's users are others.
fn make_readable(folder: &OwnedFd, name: &OsStr) -> rustix::io::Result<()> {
    let mode = Mode::from_raw_mode(0o755);
    mkdirat(folder, name, mode)?;
    chmodat(folder, name, mode, AtFlags::empty())
}

/// A path by which the standard library reaches an open folder.
pub(crate) fn below(folder: &OwnedFd) -> PathBuf {
    format!("/proc/self/fd/{}", folder.as_raw_fd()).into()
}

/// Why a path in an image is refused.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadPath(pub(crate) &'static str);

/// A path of an image relative to its root. Many tools write a leading `/` or `./`; `..` is never needed.
pub(crate) fn relative(bytes: &[u8], limit: usize) -> Result<PathBuf, BadPath> {
    if bytes.len() > limit {
        return Err(BadPath("has too long a path"));
    }
    if bytes.contains(&0) {
        return Err(BadPath("has a zero byte in its path"));
    }
    let mut path = PathBuf::new();
    for component in Path::new(OsStr::from_bytes(bytes)).components() {
        match component {
            Component::RootDir | Component::CurDir => {}
            Component::Normal(name) if name.len() <= 255 => path.push(name),
            Component::Normal(_) => return Err(BadPath("has too long a name in its path")),
            Component::ParentDir | Component::Prefix(_) => return Err(BadPath("has `..` in its path")),
        }
    }
    Ok(path)
}
