//! The RSA pairs for which results are encrypted: making them, keeping them, and the text that is pushed.
//!
//! A pair is two files in a folder, `ADDRESS.NUMBER.private.pem` (PKCS#8, encrypted under the wallet's password, 0600) and
//! `ADDRESS.NUMBER.public.pem`. The highest number is in use. Nothing is overwritten or deleted, since results that are
//! already encrypted need the older keys. There is no private-key operation here, only generation.

use std::path::{Path, PathBuf};
use std::{fs, io};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rsa::pkcs8::der::pem::PemLabel;
use rsa::pkcs8::pkcs5::pbes2;
use rsa::pkcs8::{
    DecodePublicKey, EncodePrivateKey, EncodePublicKey, EncryptedPrivateKeyInfo, LineEnding, PrivateKeyInfo,
};
use rsa::rand_core::{OsRng, RngCore};
use rsa::traits::PublicKeyParts;
use rsa::{RsaPrivateKey, RsaPublicKey};
use strongroom_protocol::address::lower_case;
use strongroom_protocol::{Address, SecretValue};
use zeroize::Zeroizing;

use crate::private_file;

/// Size of the pairs we make, as the stock command does.
const BITS: usize = 4096;
/// Smallest key we push.
const MIN_BITS: usize = 2048;

/// Why there is no key to push.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResultKeyError {
    /// The folder or file cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The folder or file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file of the pair cannot be written.
    #[error("cannot write {}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The text is no RSA public key: results would be lost.
    #[error("{} is no RSA public key in PEM", path.display())]
    NotAPublicKey {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rsa::pkcs8::spki::Error,
    },
    /// The key protects nothing.
    #[error("the public key has {bits} bits; at least {MIN_BITS} are needed")]
    TooWeak {
        /// Its size.
        bits: usize,
    },
    /// No pair was found.
    #[error("cannot make an RSA pair")]
    Generation(#[source] rsa::Error),
    /// The pair could not be written as text.
    #[error("cannot encode the RSA pair")]
    Encoding(#[source] rsa::pkcs8::Error),
}

/// A public key that may be pushed, and its file.
#[derive(Debug)]
pub(crate) struct PublicKey {
    /// Where it was read from or written to.
    pub(crate) file: PathBuf,
    /// The private half, if it is ours.
    pub(crate) private_file: Option<PathBuf>,
    /// As in the file, line breaks and all.
    pem: String,
}

impl PublicKey {
    /// Reads somebody's public key.
    pub(crate) fn read(file: &Path) -> Result<Self, ResultKeyError> {
        let pem =
            fs::read_to_string(file).map_err(|source| ResultKeyError::Unreadable { path: file.to_owned(), source })?;
        let key = RsaPublicKey::from_public_key_pem(&pem)
            .map_err(|source| ResultKeyError::NotAPublicKey { path: file.to_owned(), source })?;
        if key.n().bits() < MIN_BITS {
            return Err(ResultKeyError::TooWeak { bits: key.n().bits() });
        }
        Ok(Self { file: file.to_owned(), private_file: None, pem })
    }

    /// What is pushed.
    pub(crate) fn to_secret(&self) -> SecretValue {
        pushed_form(&self.pem)
    }
}

/// The text of the PEM file in base64, with padding: what the SDK pushes and the enclave expects.
fn pushed_form(pem: &str) -> SecretValue {
    SecretValue::new(STANDARD.encode(pem).into_bytes()).expect("a public key's PEM is far below the limit")
}

/// The folder of the pairs.
pub(crate) struct ResultKeys {
    folder: PathBuf,
}

impl ResultKeys {
    /// The folder need not exist yet.
    pub(crate) fn in_folder(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The pair in use by `owner`, if there is one.
    pub(crate) fn latest(&self, owner: Address) -> Result<Option<PublicKey>, ResultKeyError> {
        let whole = |number: &u32| {
            let (private, public) = self.files(owner, *number);
            private.is_file() && public.is_file()
        };
        let Some(number) = self.numbers(owner)?.into_iter().filter(whole).max() else { return Ok(None) };
        let (private, public) = self.files(owner, number);
        Ok(Some(PublicKey { private_file: Some(private), ..PublicKey::read(&public)? }))
    }

    /// The private keys of `owner`, the newest first.
    pub(crate) fn private_files(&self, owner: Address) -> Result<Vec<PathBuf>, ResultKeyError> {
        let mut numbers = self.numbers(owner)?;
        numbers.sort_unstable_by(|a, b| b.cmp(a));
        numbers.dedup();
        let files = numbers.into_iter().map(|number| self.files(owner, number).0);
        Ok(files.filter(|file| file.is_file()).collect())
    }

    /// Makes a pair of 4096 bits (slow) and keeps it as the one in use. Both files are durable before it returns.
    pub(crate) fn generate(&self, owner: Address, password: &str) -> Result<PublicKey, ResultKeyError> {
        self.keep(owner, &RsaPrivateKey::new(&mut OsRng, BITS).map_err(ResultKeyError::Generation)?, password)
    }

    fn keep(&self, owner: Address, pair: &RsaPrivateKey, password: &str) -> Result<PublicKey, ResultKeyError> {
        let private_pem = encrypted_pem(pair, password).map_err(ResultKeyError::Encoding)?;
        let pem = pair
            .to_public_key()
            .to_public_key_pem(LineEnding::LF)
            .map_err(|error| ResultKeyError::Encoding(error.into()))?;
        let number = self.numbers(owner)?.into_iter().max().map_or(1, |highest| highest + 1);
        let (private, public) = self.files(owner, number);
        for (path, content) in [(&private, private_pem.as_bytes()), (&public, pem.as_bytes())] {
            private_file::write_new(path, content)
                .map_err(|source| ResultKeyError::Unwritable { path: path.clone(), source })?;
        }
        Ok(PublicKey { file: public, private_file: Some(private), pem })
    }

    /// The private and the public file of pair `number`.
    fn files(&self, owner: Address, number: u32) -> (PathBuf, PathBuf) {
        let file = |half: &str| self.folder.join(format!("{}.{number}.{half}.pem", lower_case(&owner)));
        (file("private"), file("public"))
    }

    /// The numbers of which at least one file is there.
    fn numbers(&self, owner: Address) -> Result<Vec<u32>, ResultKeyError> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(ResultKeyError::Unreadable { path: self.folder.clone(), source }),
        };
        let start = format!("{}.", lower_case(&owner));
        let number = |name: &str| name.strip_prefix(&start)?.split('.').next()?.parse().ok();
        Ok(entries.flatten().filter_map(|entry| number(&entry.file_name().to_string_lossy())).collect())
    }
}

/// PKCS#8, PBES2 with scrypt (n = 2^14, r = 8, p = 5) and AES-256-CBC. The usual n = 2^17 with p = 1 costs a guesser about as
/// much, but needs more memory than OpenSSL (and with it the stock command's runtime) allows by default: 32 MiB.
fn encrypted_pem(pair: &RsaPrivateKey, password: &str) -> Result<Zeroizing<String>, rsa::pkcs8::Error> {
    let (mut salt, mut iv) = ([0; 16], [0; 16]);
    OsRng.fill_bytes(&mut salt);
    OsRng.fill_bytes(&mut iv);
    let cost = scrypt::Params::new(14, 8, 5, 32).expect("n = 2^14, r = 8, p = 5 are valid");
    let parameters = pbes2::Parameters::scrypt_aes256cbc(cost, &salt, &iv)?;
    let plain = pair.to_pkcs8_der()?;
    let encrypted = PrivateKeyInfo::try_from(plain.as_bytes())?.encrypt_with_params(parameters, password)?;
    Ok(encrypted.to_pem(EncryptedPrivateKeyInfo::PEM_LABEL, LineEnding::LF)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rsa::pkcs8::{DecodePrivateKey, SecretDocument};

    const OWNER: Address = Address::repeat_byte(0xab);

    #[test]
    fn the_pushed_text_is_the_one_of_the_sdk() {
        let pem = "-----BEGIN PUBLIC KEY-----\nMFwwDQYJ\n-----END PUBLIC KEY-----";
        let expected = "LS0tLS1CRUdJTiBQVUJMSUMgS0VZLS0tLS0KTUZ3d0RRWUoKLS0tLS1FTkQgUFVCTElDIEtFWS0tLS0t";
        assert_eq!(pushed_form(pem).expose_secret(), expected.as_bytes());
    }

    #[test]
    fn pairs_are_numbered_and_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let keys = ResultKeys::in_folder(folder.path().join("keys"));
        assert!(keys.latest(OWNER).unwrap().is_none());
        let pair = RsaPrivateKey::new(&mut OsRng, MIN_BITS).unwrap();
        let first = keys.keep(OWNER, &pair, "p").unwrap();
        let second = keys.keep(OWNER, &RsaPrivateKey::new(&mut OsRng, MIN_BITS).unwrap(), "p").unwrap();
        assert_ne!((&first.file, &first.private_file), (&second.file, &second.private_file));
        assert_eq!(keys.latest(OWNER).unwrap().unwrap().pem, second.pem);
        assert!(keys.latest(Address::ZERO).unwrap().is_none());
        let newest_first = [second.private_file.clone().unwrap(), first.private_file.clone().unwrap()];
        assert_eq!(keys.private_files(OWNER).unwrap(), newest_first);

        let private = fs::read_to_string(first.private_file.unwrap()).unwrap();
        assert!(private.starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----"));
        assert_eq!(RsaPrivateKey::from_pkcs8_encrypted_pem(&private, "p").unwrap(), pair);
        assert!(RsaPrivateKey::from_pkcs8_encrypted_pem(&private, "q").is_err());
    }

    #[test]
    fn openssl_can_open_the_private_key_within_the_memory_it_allows() {
        let pair = RsaPrivateKey::new(&mut OsRng, MIN_BITS).unwrap();
        let pem = encrypted_pem(&pair, "p").unwrap();
        let (label, document) = SecretDocument::from_pem(&pem).unwrap();
        assert_eq!(label, "ENCRYPTED PRIVATE KEY");
        let info = EncryptedPrivateKeyInfo::try_from(document.as_bytes()).unwrap();
        let scheme = info.encryption_algorithm.pbes2().unwrap();
        let cost = scheme.kdf.scrypt().unwrap();
        // The sum that OpenSSL compares with 32 MiB (crypto/evp/pbe_scrypt.c): working memory and blocks.
        let (n, r, p) = (cost.cost_parameter, u64::from(cost.block_size), u64::from(cost.parallelization));
        assert!(128 * r * (n + 2) + 128 * r * p <= 32 << 20, "{n} {r} {p}");
    }

    #[test]
    fn half_a_pair_is_not_in_use_and_its_number_is_not_reused() {
        let folder = tempfile::tempdir().unwrap();
        let keys = ResultKeys::in_folder(folder.path().to_owned());
        let pair = RsaPrivateKey::new(&mut OsRng, MIN_BITS).unwrap();
        let first = keys.keep(OWNER, &pair, "p").unwrap();
        private_file::write_new(&keys.files(OWNER, 2).0, b"left by a crash").unwrap();
        assert_eq!(keys.latest(OWNER).unwrap().unwrap().file, first.file);
        assert_eq!(keys.keep(OWNER, &pair, "p").unwrap().file, keys.files(OWNER, 3).1);
    }

    #[test]
    fn only_an_rsa_key_of_some_strength_is_pushed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key.pem");
        assert!(matches!(PublicKey::read(&file), Err(ResultKeyError::Unreadable { .. })));
        for text in ["", "-----BEGIN PUBLIC KEY-----\nMFwwDQYJ\n-----END PUBLIC KEY-----"] {
            fs::write(&file, text).unwrap();
            assert!(matches!(PublicKey::read(&file), Err(ResultKeyError::NotAPublicKey { .. })), "{text}");
        }
        let weak = RsaPrivateKey::new(&mut OsRng, 1024).unwrap().to_public_key();
        fs::write(&file, weak.to_public_key_pem(LineEnding::LF).unwrap()).unwrap();
        assert!(matches!(PublicKey::read(&file), Err(ResultKeyError::TooWeak { bits: 1024 })));
        fs::write(&file, include_str!("../testdata/result-key.pub.pem")).unwrap();
        assert!(PublicKey::read(&file).is_ok());
    }
}
