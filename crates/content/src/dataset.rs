//! Encrypted dataset files: IV (16 random bytes) ‖ AES-256-CBC of the content with PKCS#7 padding. No header, no tag.
//! The checksum on chain is the SHA-256 of the file as stored; it is what protects the content against changes.
//!
//! Source: `encryption-utils.js` of the stock SDK, the stock pre-compute.

use std::fmt;
use std::io::{self, Read, Write};

use alloy_primitives::B256;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::cbc_stream::{self, BLOCK, CbcError};

/// The key of a dataset: 32 bytes, as text standard base64 with padding. The text is the dataset's secret at the SMS.
pub struct DatasetKey(Zeroizing<[u8; 32]>);

/// The text is not the key of a dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the key of a dataset; it is the base64 of 32 bytes (44 characters), without white space around it")]
pub struct DatasetKeyError;

impl DatasetKey {
    /// A key of 32 random bytes.
    pub fn from_random(random: [u8; 32]) -> Self {
        Self(Zeroizing::new(random))
    }

    /// Reads the text that the SMS keeps, as strictly as the stock pre-compute does.
    pub fn from_text(text: &[u8]) -> Result<Self, DatasetKeyError> {
        let bytes = Zeroizing::new(STANDARD.decode(text).map_err(|_| DatasetKeyError)?);
        let key = bytes.as_slice().try_into().map_err(|_| DatasetKeyError)?;
        Ok(Self(Zeroizing::new(key)))
    }

    /// The text that the SMS keeps.
    pub fn expose_text(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(*self.0))
    }
}

impl fmt::Debug for DatasetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DatasetKey(..)")
    }
}

/// Why a file does not open.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// Shorter than an IV and a block, or no whole number of blocks.
    #[error("it is no encrypted dataset: its length is not 16 bytes and a positive number of whole blocks")]
    Length,
    /// Another key.
    #[error("it does not open with this key; is it the key of this very dataset?")]
    OtherKey,
    /// Reading or writing failed.
    #[error("reading or writing the dataset failed")]
    Io(#[from] io::Error),
}

/// Encrypts `from` into `to` and gives the checksum of the file. `iv` must be random, new for each file.
pub fn encrypt(key: &DatasetKey, iv: [u8; BLOCK], from: impl Read, to: impl Write) -> io::Result<B256> {
    let mut to = Hashing { to, hash: Sha256::new() };
    to.write_all(&iv)?;
    cbc_stream::encrypt(&key.0, &iv, from, &mut to)?;
    to.flush()?;
    Ok(B256::from_slice(&to.hash.finalize()))
}

/// Decrypts a file whose checksum was compared before. What was written when it fails is worth nothing.
pub fn decrypt(key: &DatasetKey, mut from: impl Read, to: impl Write) -> Result<(), DatasetError> {
    let mut iv = [0; BLOCK];
    from.read_exact(&mut iv).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => DatasetError::Length,
        _ => DatasetError::Io(error),
    })?;
    cbc_stream::decrypt(&key.0, &iv, from, to).map_err(|error| match error {
        CbcError::Length => DatasetError::Length,
        CbcError::Padding => DatasetError::OtherKey,
        CbcError::Io(error) => DatasetError::Io(error),
    })
}

/// Hashes what passes.
struct Hashing<W> {
    to: W,
    hash: Sha256,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        self.hash.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::hex;
    use proptest::prelude::*;

    const KEY: &[u8] = b"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    fn open(key: &[u8], file: &[u8]) -> Result<Vec<u8>, DatasetError> {
        let mut plain = Vec::new();
        decrypt(&DatasetKey::from_text(key).unwrap(), file, &mut plain).map(|()| plain)
    }

    #[test]
    fn files_are_those_of_the_worked_vectors() {
        let key = DatasetKey::from_text(KEY).unwrap();
        let mut file = Vec::new();
        let iv = hex!("a0a1a2a3a4a5a6a7a8a9aaabacadaeaf");
        let checksum = encrypt(&key, iv, &b"hello iexec\n"[..], &mut file).unwrap();
        assert_eq!(file, hex!("a0a1a2a3a4a5a6a7a8a9aaabacadaeafce4a82b6f0a542207eada967a10022c5"));
        assert_eq!(checksum, hex!("3701218d0caef20c9511837d02be552b256cf8885e0523b1b6131c57730de18f"));

        let by_the_sdk = hex!("c4c9aa6299d677d75f50db51b0cb21b2b91114383f7f8e4460d169a02ca0a727");
        assert_eq!(open(KEY, &by_the_sdk).unwrap(), b"hello iexec\n");
        let shipped =
            hex!("78ab4c3200a47fafad8e9b58c24004f6387639f4a68010f0038d45fd48beffa895bce7056c2f37c9262452c663fa545b");
        let plain = open(b"ubA6H9emVPJT91/flYAmnKHC0phSV3cfuqsLxQfgow0=", &shipped).unwrap();
        assert_eq!(plain, b"Some very useful data.");
    }

    #[test]
    fn keys_are_read_strictly() {
        let text = std::str::from_utf8(KEY).unwrap();
        for bad in [
            format!(" {text}"),
            format!("{text}\n"),
            text.trim_end_matches('=').to_owned(),
            "AAEC".into(),
            String::new(),
        ] {
            assert_eq!(DatasetKey::from_text(bad.as_bytes()).unwrap_err(), DatasetKeyError, "{bad:?}");
        }
        assert_eq!(DatasetKey::from_text(KEY).unwrap().expose_text().as_bytes(), KEY);
        assert_eq!(format!("{:?}", DatasetKey::from_text(KEY).unwrap()), "DatasetKey(..)");
    }

    #[test]
    fn files_of_other_lengths_or_keys_do_not_open() {
        let mut file = Vec::new();
        encrypt(&DatasetKey::from_text(KEY).unwrap(), [3; 16], &[7; 100][..], &mut file).unwrap();
        for length in [0, 15, 16, 17, file.len() - 1] {
            assert!(matches!(open(KEY, &file[..length]), Err(DatasetError::Length)), "{length} bytes");
        }
        let other = DatasetKey::from_random([9; 32]).expose_text();
        assert!(matches!(open(other.as_bytes(), &file), Err(DatasetError::OtherKey)));
    }

    proptest! {
        #[test]
        fn what_was_encrypted_opens(size in 0_usize..200_000, iv: [u8; 16], key: [u8; 32], fill: u8) {
            let plain = vec![fill; size];
            let key = DatasetKey::from_random(key);
            let mut file = Vec::new();
            let checksum = encrypt(&key, iv, &plain[..], &mut file).unwrap();
            prop_assert_eq!(checksum, B256::from_slice(&Sha256::digest(&file)));
            let mut opened = Vec::new();
            decrypt(&key, &file[..], &mut opened).unwrap();
            prop_assert_eq!(opened, plain);
        }
    }
}
