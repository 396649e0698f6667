//! Results encrypted for their beneficiary: a ZIP of `iexec_out.zip.aes` (IV ‖ AES-256-CBC of the archive under a fresh key) and
//! `aes-key.rsa` (that key, RSAES-PKCS1-v1_5 under the beneficiary's public key).
//!
//! Sources: the stock post-compute (`encryption.rs`), the stock SDK (`result-utils.js`), which opens what is made here.

use std::io::{self, Read, Seek, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::pkcs8::{DecodePrivateKey, DecodePublicKey};
pub use rsa::rand_core;
use rsa::rand_core::CryptoRngCore;
use rsa::{Pkcs1v15Encrypt, RsaPrivateKey, RsaPublicKey};
use zeroize::Zeroizing;

use crate::archive::{Archive, ArchiveError};
use crate::cbc_stream::{self, BLOCK, CbcError};

const KEY_FILE: &str = "aes-key.rsa";
const ARCHIVE_FILE: &str = "iexec_out.zip.aes";
/// Largest encrypted key that is read; the stock SDK has the same limit.
const MAX_KEY_BYTES: u64 = 1000;

/// The public key of a beneficiary, as the SMS keeps it: base64 of PEM (SubjectPublicKeyInfo).
#[derive(Clone, Debug)]
pub struct BeneficiaryKey(RsaPublicKey);

/// The text is no public key for results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a public key for results; it is the base64 of an RSA key in PEM (BEGIN PUBLIC KEY)")]
pub struct BeneficiaryKeyError;

impl BeneficiaryKey {
    /// Reads the text that the SMS keeps.
    pub fn from_text(text: &[u8]) -> Result<Self, BeneficiaryKeyError> {
        let pem = STANDARD.decode(text.trim_ascii()).map_err(|_| BeneficiaryKeyError)?;
        let pem = std::str::from_utf8(&pem).map_err(|_| BeneficiaryKeyError)?;
        RsaPublicKey::from_public_key_pem(pem.trim()).map(Self).map_err(|_| BeneficiaryKeyError)
    }
}

/// Why a result was not encrypted.
#[derive(Debug, thiserror::Error)]
pub enum SealResultError {
    /// The key is too short for what it must carry.
    #[error("the beneficiary's key cannot encrypt; is it an RSA key of 2048 bits or more?")]
    Key(#[source] rsa::Error),
    /// Writing failed.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
}

/// Encrypts `archive` for `beneficiary` into `to`.
pub fn encrypt<W: Write + Seek>(
    archive: impl Read,
    beneficiary: &BeneficiaryKey,
    random: &mut impl CryptoRngCore,
    to: W,
) -> Result<W, SealResultError> {
    let (mut key, mut iv) = (Zeroizing::new([0; 32]), [0; BLOCK]);
    random.fill_bytes(&mut *key);
    random.fill_bytes(&mut iv);
    let sealed = beneficiary.0.encrypt(random, Pkcs1v15Encrypt, &*key).map_err(SealResultError::Key)?;
    let mut outer = Archive::new(to);
    outer.add(KEY_FILE, sealed.as_slice())?;
    outer.start(ARCHIVE_FILE)?;
    let writer = outer.writer();
    writer.write_all(&iv).and_then(|()| cbc_stream::encrypt(&key, &iv, archive, writer)).map_err(ArchiveError::Io)?;
    Ok(outer.finish()?)
}

/// Why a result does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenResultError {
    /// The private key cannot be read.
    #[error("not a private key; it is an RSA key in PEM (BEGIN PRIVATE KEY or BEGIN RSA PRIVATE KEY), not encrypted")]
    Key,
    /// Not an encrypted result.
    #[error("it is no encrypted result: {0} is missing in it")]
    NotEncrypted(&'static str),
    /// For somebody else.
    #[error("it is not encrypted for this key; use the key that was pushed when the task was bought")]
    OtherKey,
    /// Damaged.
    #[error("the encrypted archive is damaged: {0}")]
    Damaged(&'static str),
    /// Reading or writing failed.
    #[error("reading or writing the result failed")]
    Io(#[from] io::Error),
}

/// Whether `from` is an encrypted result, rather than a plain archive.
pub fn is_encrypted(from: impl Read + Seek) -> bool {
    zip::ZipArchive::new(from).is_ok_and(|zip| zip.index_for_name(KEY_FILE).is_some())
}

/// Decrypts a result with the beneficiary's private key (PEM, PKCS#8 or PKCS#1) and writes the archive to `to`.
pub fn decrypt(
    from: impl Read + Seek,
    private_key_pem: &str,
    random: &mut impl CryptoRngCore,
    to: impl Write,
) -> Result<(), OpenResultError> {
    let private = RsaPrivateKey::from_pkcs8_pem(private_key_pem)
        .or_else(|_| RsaPrivateKey::from_pkcs1_pem(private_key_pem))
        .map_err(|_| OpenResultError::Key)?;
    let mut outer = zip::ZipArchive::new(from).map_err(|_| OpenResultError::NotEncrypted("the archive itself"))?;
    let mut sealed = Vec::new();
    outer
        .by_name(KEY_FILE)
        .map_err(|_| OpenResultError::NotEncrypted(KEY_FILE))?
        .take(MAX_KEY_BYTES)
        .read_to_end(&mut sealed)?;
    let key = open_key(&private, &sealed, random)?;
    let mut content = outer.by_name(ARCHIVE_FILE).map_err(|_| OpenResultError::NotEncrypted(ARCHIVE_FILE))?;
    let mut iv = [0; BLOCK];
    content.read_exact(&mut iv).map_err(|_| OpenResultError::Damaged("it is too short"))?;
    cbc_stream::decrypt(&key, &iv, content, to).map_err(|error| match error {
        CbcError::Length => OpenResultError::Damaged("its length is wrong"),
        CbcError::Padding => OpenResultError::Damaged("its end is wrong"),
        CbcError::Io(error) => OpenResultError::Io(error),
    })
}

/// The key as bytes, or, as old programs wrote it, with base64 around and inside.
fn open_key(
    private: &RsaPrivateKey,
    sealed: &[u8],
    random: &mut impl CryptoRngCore,
) -> Result<Zeroizing<[u8; 32]>, OpenResultError> {
    let mut opened = private.decrypt_blinded(random, Pkcs1v15Encrypt, sealed).map(Zeroizing::new);
    if opened.is_err()
        && let Ok(bytes) = STANDARD.decode(sealed.trim_ascii())
    {
        opened = private
            .decrypt_blinded(random, Pkcs1v15Encrypt, &bytes)
            .and_then(|text| STANDARD.decode(text).map(Zeroizing::new).map_err(|_| rsa::Error::Decryption));
    }
    let key = opened.map_err(|_| OpenResultError::OtherKey)?;
    let key: [u8; 32] = key.as_slice().try_into().map_err(|_| OpenResultError::Damaged("its key is not 32 bytes"))?;
    Ok(Zeroizing::new(key))
}

#[cfg(test)]
mod tests;
