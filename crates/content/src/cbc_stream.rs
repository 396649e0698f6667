//! AES-256-CBC with PKCS#7 padding (NIST SP 800-38A, RFC 5652 §6.3), piece by piece: the cipher of datasets and results.
//! It hides content and does not authenticate it: whoever reads checks a checksum first.

use std::io::{self, Read, Write};

use aes::Aes256;
use cbc::cipher::{BlockDecryptMut, BlockEncryptMut, KeyIvInit};
use zeroize::Zeroizing;

use crate::reading::fill;

pub(crate) const BLOCK: usize = 16;
/// Bytes worked on at a time.
const BUFFER: usize = 64 * 1024;

/// The content is no ciphertext of this key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CbcError {
    /// Not a positive number of whole blocks.
    #[error("its length is not that of an encrypted file")]
    Length,
    /// What comes out does not end as it must.
    #[error("it does not open with this key")]
    Padding,
    /// Reading or writing failed.
    #[error("reading or writing failed")]
    Io(#[from] io::Error),
}

/// Encrypts all of `from`.
pub(crate) fn encrypt(key: &[u8; 32], iv: &[u8; BLOCK], mut from: impl Read, mut to: impl Write) -> io::Result<()> {
    let mut cipher = cbc::Encryptor::<Aes256>::new(key.into(), iv.into());
    let mut buffer = Zeroizing::new(vec![0; BUFFER]);
    loop {
        let length = fill(&mut from, &mut buffer)?;
        let is_last = length < BUFFER;
        let whole = length / BLOCK * BLOCK;
        let padded = if is_last { whole + BLOCK } else { whole };
        if is_last {
            // The buffer has room: `length` is below its size. Each byte of the padding says how many there are.
            buffer[length..padded].fill((padded - length).to_le_bytes()[0]);
        }
        for block in buffer[..padded].as_chunks_mut::<BLOCK>().0 {
            cipher.encrypt_block_mut(block.into());
        }
        to.write_all(&buffer[..padded])?;
        if is_last {
            return Ok(());
        }
    }
}

/// Decrypts all of `from`. What was written when it fails is worth nothing.
pub(crate) fn decrypt(
    key: &[u8; 32],
    iv: &[u8; BLOCK],
    mut from: impl Read,
    mut to: impl Write,
) -> Result<(), CbcError> {
    let mut cipher = cbc::Decryptor::<Aes256>::new(key.into(), iv.into());
    let mut buffer = Zeroizing::new(vec![0; BUFFER]);
    // The last block seen, plain: only the very last one has padding.
    let mut held: Option<Zeroizing<[u8; BLOCK]>> = None;
    loop {
        let length = fill(&mut from, &mut buffer)?;
        if !length.is_multiple_of(BLOCK) {
            return Err(CbcError::Length);
        }
        if length > 0 {
            if let Some(block) = held.take() {
                to.write_all(&*block)?;
            }
            for block in buffer[..length].as_chunks_mut::<BLOCK>().0 {
                cipher.decrypt_block_mut(block.into());
            }
            let (most, last) = buffer[..length].split_at(length - BLOCK);
            to.write_all(most)?;
            held = Some(Zeroizing::new(last.try_into().expect("a block has its size")));
        }
        if length < BUFFER {
            break;
        }
    }
    let last = held.ok_or(CbcError::Length)?;
    let padding = usize::from(last[BLOCK - 1]);
    if !(1..=BLOCK).contains(&padding) || last[BLOCK - padding..].iter().any(|byte| usize::from(*byte) != padding) {
        return Err(CbcError::Padding);
    }
    Ok(to.write_all(&last[..BLOCK - padding])?)
}
