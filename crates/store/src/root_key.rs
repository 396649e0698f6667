//! The root key: 32 bytes that wrap every other key and are never in the database or a backup. Losing or changing it is
//! a start-up error, never a new key.
//!
//! As text it is 64 hexadecimal digits or the standard base64 of the 32 bytes (44 characters, or 43 without padding);
//! white space around it is ignored. `openssl rand -hex 32` makes one.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use ring::rand::{SecureRandom, SystemRandom};
use strongroom_protocol::SecretValue;
use zeroize::Zeroizing;

use crate::envelope::WrappingKey;
use crate::files;

/// Where the root key comes from.
#[derive(Debug)]
pub enum RootKeySource {
    /// A file that only its owner may read (mode 0600 or narrower), made with a fresh key when there is no database yet.
    /// For development and single machines.
    File(PathBuf),
    /// A file that somebody else provides and this program never writes: a systemd credential, a mounted secret. Its
    /// owner's group may read it, others may not.
    Credential(PathBuf),
    /// The text of the key, as `main` found it in the environment.
    Env(SecretValue),
}

/// Why there is no root key.
#[derive(Debug, thiserror::Error)]
pub enum RootKeyError {
    /// The database exists and its key file does not.
    #[error(
        "the root key file {path} does not exist, but the database does; put the key back, a new one opens nothing"
    )]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// The credential file does not exist.
    #[error("the root key credential {path} does not exist; provide it, for example with LoadCredential= of systemd")]
    NoCredential {
        /// The file.
        path: PathBuf,
    },
    /// More people than allowed can read or change the file.
    #[error("the root key file {path} has mode {mode:03o} and may have at most {allowed:03o}; narrow it with chmod")]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
        /// The widest permission bits that are accepted.
        allowed: u32,
    },
    /// A folder, a device, a pipe.
    #[error("the root key file {path} is not a regular file")]
    NotAFile {
        /// What the path names.
        path: PathBuf,
    },
    /// The text is not a key.
    #[error("the root key is neither 64 hex digits nor the base64 of 32 bytes; check that it was copied whole")]
    Malformed,
    /// The file cannot be read or written.
    #[error("the root key file {path} cannot be read or created; check its folder, owner and permissions")]
    File {
        /// The file.
        path: PathBuf,
        /// The answer of the operating system.
        #[source]
        source: io::Error,
    },
    /// The operating system gives no random bytes for a new key.
    #[error("the operating system gives no random bytes")]
    Randomness,
}

/// What to do when the key file is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IfMissing {
    /// There is no database: this is the first start.
    Create,
    /// A database was made with a key that must be somewhere.
    Refuse,
}

/// The root key, ready to wrap.
pub(crate) struct RootKey(pub(crate) WrappingKey);

impl RootKeySource {
    pub(crate) fn load(&self, if_missing: IfMissing, random: &SystemRandom) -> Result<RootKey, RootKeyError> {
        let key = match self {
            Self::Env(text) => parse(text.expose_secret()),
            Self::Credential(path) => match read(path, 0o740) {
                Err(RootKeyError::File { source, path }) if source.kind() == io::ErrorKind::NotFound => {
                    Err(RootKeyError::NoCredential { path })
                }
                other => other,
            },
            Self::File(path) => match read(path, 0o700) {
                Err(RootKeyError::File { source, path }) if source.kind() == io::ErrorKind::NotFound => {
                    match if_missing {
                        IfMissing::Refuse => Err(RootKeyError::Missing { path }),
                        IfMissing::Create => {
                            create(&path, random)?;
                            read(&path, 0o700)
                        }
                    }
                }
                other => other,
            },
        }?;
        Ok(RootKey(WrappingKey::new(&key)))
    }
}

/// Reads a key from a file that grants no permission outside of `allowed`.
fn read(path: &Path, allowed: u32) -> Result<Zeroizing<[u8; 32]>, RootKeyError> {
    let failed = |source| RootKeyError::File { path: path.to_owned(), source };
    // Checked on the open file, not on the name: what is checked is what is read.
    let mut file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(RootKeyError::NotAFile { path: path.to_owned() });
    }
    let mode = metadata.mode() & 0o777;
    if mode & !allowed != 0 {
        return Err(RootKeyError::TooOpen { path: path.to_owned(), mode, allowed: allowed & 0o660 });
    }
    // A fixed buffer, because a growing one leaves copies behind; no key text is nearly as long.
    let mut text = Zeroizing::new([0; 256]);
    let mut filled = 0;
    loop {
        match file.read(&mut text[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
    parse(&text[..filled])
}

/// Writes a fresh key. The file appears whole under its name, or, when another process was first, not at all.
fn create(path: &Path, random: &SystemRandom) -> Result<(), RootKeyError> {
    let failed = |source| RootKeyError::File { path: path.to_owned(), source };
    let mut key = Zeroizing::new([0; 32]);
    random.fill(key.as_mut()).map_err(|_| RootKeyError::Randomness)?;
    let mut text = Zeroizing::new([b'\n'; 65]);
    hex::encode_to_slice(key.as_ref(), &mut text[..64]).expect("32 bytes are 64 digits");

    files::create_parent(path).map_err(failed)?;
    let temporary = files::temporary_beside(path, random).map_err(failed)?;
    let written = files::create_private(&temporary).and_then(|mut file| {
        file.write_all(text.as_ref())?;
        file.sync_all()
    });
    // A hard link, unlike a rename, never replaces a key that appeared in the meantime.
    let linked = written.and_then(|()| match std::fs::hard_link(&temporary, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    });
    let removed = std::fs::remove_file(&temporary);
    linked.and(removed).and_then(|()| files::sync_parent(path)).map_err(failed)
}

fn parse(text: &[u8]) -> Result<Zeroizing<[u8; 32]>, RootKeyError> {
    const BASE64: GeneralPurpose = GeneralPurpose::new(
        &base64::alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let text = text.trim_ascii();
    let mut key = Zeroizing::new([0; 32]);
    let decoded = match text.len() {
        64 => hex::decode_to_slice(text, key.as_mut()).is_ok(),
        43 | 44 => {
            // `decode_slice` wants room for its estimate, which is larger than the key.
            let mut room = Zeroizing::new([0; 48]);
            let length = BASE64.decode_slice(text, room.as_mut());
            key.copy_from_slice(&room[..32]);
            length == Ok(32)
        }
        _ => false,
    };
    if decoded { Ok(key) } else { Err(RootKeyError::Malformed) }
}

#[cfg(test)]
mod tests;
