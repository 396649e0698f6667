//! Checksums of files, and the digest of a result, as the stock post-compute computes it.
//!
//! A file: SHA-256 of its content. A folder: keccak-256 over the SHA-256 values of its files, in the order of their names; names and
//! sub-folders do not count. A callback: keccak-256 of its bytes. An empty file or folder has no digest: existing programs disagree about it.

use std::io::{self, Read};

use alloy_primitives::{B256, keccak256};
use sha2::{Digest, Sha256};

/// Bytes read at a time.
const BUFFER: usize = 64 * 1024;

/// SHA-256 of all that `content` holds, and how many bytes that is.
pub fn sha256(mut content: impl Read) -> io::Result<(B256, u64)> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; BUFFER];
    let mut bytes = 0;
    loop {
        match content.read(&mut buffer) {
            Ok(0) => return Ok((B256::from_slice(&hash.finalize()), bytes)),
            Ok(length) => {
                hash.update(&buffer[..length]);
                bytes += length as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// The digest of a folder from the names and SHA-256 values of the files directly in it. `None` when there are none.
pub fn folder(mut files: Vec<(Vec<u8>, B256)>) -> Option<B256> {
    files.sort();
    let all: Vec<u8> = files.iter().flat_map(|(_, hash)| hash.0).collect();
    (!all.is_empty()).then(|| keccak256(all))
}

/// The digest of what is handed to a callback.
pub fn callback(data: &[u8]) -> B256 {
    keccak256(data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::hex;

    #[test]
    fn digests_are_those_of_the_worked_vectors() {
        let hello = hex!("315f5bdb76d078c43b8ac0064e4a0164612b1fce77c869345bfc94c75894edd3");
        assert_eq!(sha256(&b"Hello, world!"[..]).unwrap(), (B256::from(hello), 13));
        let (a, b) = (sha256(&b"a\n"[..]).unwrap().0, sha256(&b"b\n"[..]).unwrap().0);
        let expected = hex!("b32936a4138fb66e9fc3de7fb4ccac45b9340dc96889a2c284aa8bd8408cfc7b");
        assert_eq!(folder(vec![(b"b.txt".to_vec(), b), (b"a.txt".to_vec(), a)]), Some(B256::from(expected)));
        let one = B256::with_last_byte(1);
        assert_eq!(callback(one.as_slice()), hex!("b10e2d527612073b26eecdfd717e6a320cf44b4afac2b0732d9fcbe2b7fa0cf6"));
    }

    #[test]
    fn a_folder_without_files_has_no_digest() {
        assert_eq!(folder(vec![]), None);
    }
}
