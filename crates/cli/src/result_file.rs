//! Where the result of a task is, and opening it: the text on chain, the archive, the private key that opens it.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};

use rsa::RsaPrivateKey;
use rsa::pkcs8::{DecodePrivateKey, EncodePrivateKey, LineEnding};
use rsa::rand_core::OsRng;
use serde::Deserialize;
use strongroom_content::archive::{UnpackError, each_file};
use strongroom_content::cid::{Cid, ParseCidError};
use strongroom_content::result::{OpenResultError, decrypt};
use zeroize::Zeroizing;

/// Most that the files of a result may have together, in bytes: archives can claim to be small.
const MAX_RESULT_BYTES: u64 = 16 << 30;
/// Largest key file that is read, in bytes.
const MAX_KEY_BYTES: u64 = 64 << 10;

/// Why a result cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResultFileError {
    /// The task is not over.
    #[error("the task has no result: it is {status}")]
    NotThere {
        /// Where it stands.
        status: &'static str,
    },
    /// The pool left no location.
    #[error("the pool settled the task without saying where its result is")]
    NoLocation,
    /// Not on IPFS.
    #[error("the result is at {storage} ({location}), where this command cannot fetch it")]
    Elsewhere {
        /// Which storage.
        storage: String,
        /// Where in it.
        location: String,
    },
    /// The location is no file of IPFS.
    #[error("the location of the result is no file of IPFS: {location}")]
    Location {
        /// The text.
        location: String,
        /// What is wrong.
        #[source]
        source: ParseCidError,
    },
    /// A private key that cannot be read.
    #[error("cannot read the private key {}", path.display())]
    UnreadableKey {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No private key of ours.
    #[error("the result is encrypted, and there is no key of this wallet in {}", folder.display())]
    NoKey {
        /// Where keys are.
        folder: PathBuf,
    },
    /// The archive does not open.
    #[error("the result does not open")]
    Closed(#[source] OpenResultError),
    /// The archive cannot be taken apart.
    #[error("the result cannot be unpacked into {}", folder.display())]
    Packed {
        /// Where to.
        folder: PathBuf,
        /// Why not.
        #[source]
        source: UnpackError,
    },
}

/// The text that a pool leaves on chain.
#[derive(Debug, Deserialize)]
struct Link {
    storage: String,
    location: String,
}

/// The file of IPFS that a task's results name.
pub(crate) fn locate(results: &[u8]) -> Result<Cid, ResultFileError> {
    let link: Link = serde_json::from_slice(results).map_err(|_| ResultFileError::NoLocation)?;
    let visible = |text: &str| text.chars().filter(|c| !c.is_control()).take(200).collect::<String>();
    if link.storage != "ipfs" {
        let (storage, location) = (visible(&link.storage), visible(&link.location));
        return Err(ResultFileError::Elsewhere { storage, location });
    }
    let id = link.location.strip_prefix("/ipfs/").unwrap_or(&link.location);
    id.parse().map_err(|source| ResultFileError::Location { location: visible(&link.location), source })
}

/// Reads a private key in PEM, opening it with the wallet's password where it is encrypted.
fn read_key(path: &Path, password: Option<&str>) -> Result<Zeroizing<String>, ResultFileError> {
    let unreadable = |source| ResultFileError::UnreadableKey { path: path.to_owned(), source };
    if path.metadata().map_err(unreadable)?.len() > MAX_KEY_BYTES {
        return Err(unreadable(io::ErrorKind::InvalidData.into()));
    }
    let pem = Zeroizing::new(std::fs::read_to_string(path).map_err(unreadable)?);
    let Some(password) = password.filter(|_| pem.contains("ENCRYPTED PRIVATE KEY")) else { return Ok(pem) };
    let closed = |_| unreadable(io::Error::other("it does not open with the wallet's password"));
    let key = RsaPrivateKey::from_pkcs8_encrypted_pem(&pem, password).map_err(closed)?;
    key.to_pkcs8_pem(LineEnding::LF).map_err(closed)
}

/// Decrypts `archive` into `to` with the first of `keys` that opens it.
pub(crate) fn open(
    archive: &mut File,
    keys: &[PathBuf],
    password: Option<&str>,
    to: &mut File,
) -> Result<(), ResultFileError> {
    let io = |error| ResultFileError::Closed(OpenResultError::Io(error));
    let mut last = OpenResultError::OtherKey;
    for path in keys {
        let pem = read_key(path, password)?;
        archive.rewind().map_err(io)?;
        match decrypt(&mut *archive, &pem, &mut OsRng, &mut *to) {
            Ok(()) => return to.flush().map_err(io),
            // Made for another pair: one that was in use before.
            Err(error @ OpenResultError::OtherKey) => last = error,
            Err(error) => return Err(ResultFileError::Closed(error)),
        }
    }
    Err(ResultFileError::Closed(last))
}

/// Writes the files of an archive into a new folder.
pub(crate) fn unpack(archive: &mut File, folder: &Path) -> Result<(), ResultFileError> {
    let failed = |source| ResultFileError::Packed { folder: folder.to_owned(), source };
    archive.rewind().and_then(|()| std::fs::create_dir(folder)).map_err(|error| failed(error.into()))?;
    let written = each_file(archive, MAX_RESULT_BYTES, |path, content| {
        let target = folder.join(path);
        std::fs::create_dir_all(target.parent().unwrap_or(folder))?;
        io::copy(content, &mut File::create_new(&target)?).map(|_| ())
    });
    if written.is_err() {
        // Half a result would pass for a whole one. It was made here and just now.
        let _ = std::fs::remove_dir_all(folder);
    }
    written.map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_ipfs_are_fetched() {
        let cid = "QmUVhChbLFiuzNK1g2GsWyWEiad7SXPqARnWzGumgziwEp";
        let located = |text: &str| locate(text.as_bytes());
        let found = located(&format!(r#"{{ "storage": "ipfs", "location": "/ipfs/{cid}" }}"#)).unwrap();
        assert_eq!(found.to_string(), cid);
        assert!(matches!(located(""), Err(ResultFileError::NoLocation)));
        assert!(matches!(
            located(r#"{ "storage": "dropbox", "location": "/results/0x" }"#),
            Err(ResultFileError::Elsewhere { .. })
        ));
        assert!(matches!(
            located(r#"{ "storage": "ipfs", "location": "/ipfs/../x" }"#),
            Err(ResultFileError::Location { .. })
        ));
    }
}
