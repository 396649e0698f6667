//! An image that was verified and unpacked: the root folder of a sandbox, with what the image says about running it.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::rooted::Rooted;
use crate::{Digest, ImageConfig, ImageError};

/// Bytes of `/etc/passwd` and `/etc/group` that are looked at.
const USER_FILE_BYTES: u64 = 1 << 20;

/// A verified image, unpacked into a folder that is shared by all tasks and never written to again.
#[derive(Clone, Debug)]
pub struct UnpackedImage {
    /// The root folder.
    pub root: PathBuf,
    /// Digest of the manifest; `None` when the image came from a docker-archive without one (known by its image id only).
    pub manifest_digest: Option<Digest>,
    /// Digest of the configuration: the image id of Docker.
    pub config_digest: Digest,
    /// How the image wants to be run.
    pub config: ImageConfig,
}

/// A user of an image, looked up in the image's own files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// User id inside the sandbox.
    pub uid: u32,
    /// Group id inside the sandbox.
    pub gid: u32,
}

/// Why the user that an image names is none.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// No line of the image's file has that name.
    #[error("the image wants to run as `{name}`, which its own {file} does not have")]
    Unknown {
        /// The name, control characters escaped.
        name: String,
        /// The file that was searched.
        file: &'static str,
    },
    /// The image's files could not be read.
    #[error(transparent)]
    Io(ImageError),
}

impl UnpackedImage {
    /// The user that the image wants to run as. Empty means 0; names are looked up in the image's `/etc/passwd` and `/etc/group`; the
    /// group of a user without one is that of its line in `/etc/passwd`, or else 0.
    pub fn user(&self) -> Result<User, UserError> {
        let (user, group) = match self.config.user.split_once(':') {
            Some((user, group)) => (user, Some(group)),
            None => (&*self.config.user, None),
        };
        let passwd = self.text("/etc/passwd")?;
        // name:password:uid:gid:…
        let line = lines(&passwd).find(|fields| match user.parse::<u32>() {
            Ok(uid) => fields.get(2).is_some_and(|field| field.parse() == Ok(uid)),
            Err(_) => !user.is_empty() && fields[0] == user,
        });
        let number =
            |fields: Option<&Vec<&str>>, at: usize| fields.and_then(|fields| fields.get(at)?.parse::<u32>().ok());
        let uid = match user {
            "" => 0,
            user => {
                user.parse().ok().or_else(|| number(line.as_ref(), 2)).ok_or_else(|| unknown(user, "/etc/passwd"))?
            }
        };
        let gid = match group.filter(|group| !group.is_empty()) {
            None => number(line.as_ref(), 3).unwrap_or(0),
            Some(group) => {
                let named = || {
                    let groups = self.text("/etc/group")?;
                    let line = lines(&groups).find(|fields| fields[0] == group);
                    number(line.as_ref(), 2).ok_or_else(|| unknown(group, "/etc/group"))
                };
                group.parse().or_else(|_| named())?
            }
        };
        Ok(User { uid, gid })
    }

    /// A text file of the image; empty when there is none. Links lead on inside the image only.
    fn text(&self, path: &str) -> Result<String, UserError> {
        let failed =
            |error: io::Error| UserError::Io(ImageError::io(self.root.join(path.trim_start_matches('/')))(error));
        let root = Rooted::open(&self.root).map_err(failed)?;
        let file = match root.resolve(Path::new(path), OFlags::RDONLY | OFlags::NONBLOCK) {
            Ok(file) => File::from(file),
            Err(rustix::io::Errno::NOENT | rustix::io::Errno::NOTDIR | rustix::io::Errno::LOOP) => {
                return Ok(String::new());
            }
            Err(error) => return Err(failed(error.into())),
        };
        if !file.metadata().map_err(failed)?.is_file() {
            return Ok(String::new());
        }
        let mut bytes = Vec::new();
        file.take(USER_FILE_BYTES).read_to_end(&mut bytes).map_err(failed)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

fn lines(text: &str) -> impl Iterator<Item = Vec<&str>> {
    text.lines().map(|line| line.split(':').collect())
}

fn unknown(name: &str, file: &'static str) -> UserError {
    UserError::Unknown { name: name.escape_debug().to_string(), file }
}
