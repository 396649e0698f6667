//! Keeps a file that is not encrypted from being registered and published by mistake: what was public once stays so.
//!
//! A key that opens a file proves little: one in 256 other files of whole blocks opens too. So the bytes are looked at as well.
//! They cannot prove anything either: what is compressed may pass.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek};
use std::path::Path;

use strongroom_content::dataset::{self as format, DatasetKey};

use super::failed;
use crate::error::CliError;

/// An IV and a block.
const SMALLEST: u64 = 32;
/// Of AES.
const BLOCK: u64 = 16;

/// Fails unless the file can be an encrypted one and, if its key is given, opens with it.
pub(super) fn must_be_encrypted(path: &Path, key: Option<&DatasetKey>) -> Result<(), CliError> {
    let unreadable = failed("read", path);
    let mut file = File::open(path).map_err(&unreadable)?;
    if let Some(why) = why_not(&mut file).map_err(&unreadable)? {
        return Err(CliError::NotEncrypted { path: path.to_owned(), why });
    }
    let Some(key) = key else { return Ok(()) };
    file.rewind().map_err(&unreadable)?;
    // The content goes nowhere.
    let opened = format::decrypt(key, BufReader::new(file), BufWriter::new(io::sink()));
    opened.map_err(|source| CliError::Dataset { path: path.to_owned(), source })
}

/// Why these bytes are not encrypted ones, if that can be seen.
fn why_not(file: &mut impl Read) -> io::Result<Option<&'static str>> {
    let mut counts = [0_u64; 256];
    let mut part = vec![0; 64 << 10];
    loop {
        match file.read(&mut part) {
            Ok(0) => break,
            Ok(length) => part[..length].iter().for_each(|byte| counts[usize::from(*byte)] += 1),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let length: u64 = counts.iter().sum();
    if length < SMALLEST || !length.is_multiple_of(BLOCK) {
        return Ok(Some("its length is not that of an encrypted file"));
    }
    if counts[128..].iter().all(|count| *count == 0) {
        return Ok(Some("it is plain text"));
    }
    Ok(if is_even(&counts) { None } else { Some("some bytes are more frequent in it than in an encrypted file") })
}

/// Whether random bytes may have these frequencies. Two of them are equal once in 256 pairs, give or take the root of that number:
/// ten times the root, and ten for short files, are not exceeded by chance.
fn is_even(counts: &[u64; 256]) -> bool {
    let pairs = |count: u64| u128::from(count) * u128::from(count.saturating_sub(1)) / 2;
    let equal: u128 = counts.iter().copied().map(pairs).sum();
    let expected = pairs(counts.iter().sum()) / 256;
    equal <= expected + 10 * expected.isqrt() + 10
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::digest::{SHA256, digest};

    fn encrypted(length: usize, seed: u8) -> Vec<u8> {
        let (key, iv) = (DatasetKey::from_random([seed; 32]), digest(&SHA256, &[seed]));
        let iv = iv.as_ref()[..16].try_into().unwrap();
        let mut file = Vec::new();
        format::encrypt(&key, iv, &vec![b'0'; length][..], &mut file).unwrap();
        file
    }

    fn why_not(content: &[u8]) -> Option<&'static str> {
        super::why_not(&mut &*content).unwrap()
    }

    #[test]
    fn what_is_encrypted_is_never_taken_for_something_else() {
        for length in [0, 1, 15, 16, 17, 100, 1000, 4096, 100_000, 1 << 20] {
            for seed in 0..=if length < 5000 { 255 } else { 9 } {
                assert_eq!(why_not(&encrypted(length, seed)), None, "{length} bytes, {seed}");
            }
        }
    }

    #[test]
    fn what_is_not_encrypted_shows_it_by_its_length_or_its_bytes() {
        let length = Some("its length is not that of an encrypted file");
        for wrong in [0, 15, 16, 31, 33, 47] {
            assert_eq!(why_not(&vec![0xa7; wrong]), length, "{wrong} bytes");
        }
        assert_eq!(why_not(b"no two letters of it: qwrfvjzkxp"), Some("it is plain text"));
        let frequent = Some("some bytes are more frequent in it than in an encrypted file");
        // Text that is not ASCII; the pages of a database; samples of a sound.
        let text = "Grüße aus Köln, größtenteils süß. ".repeat(8);
        assert_eq!(why_not(&text.as_bytes()[..256]), frequent);
        let mut pages = b"SQLite format 3\0\x10\0\x01\x01\0\x40\x20\x20".to_vec();
        pages.resize(4000, 0);
        pages.extend(encrypted(79, 1));
        assert_eq!((pages.len(), why_not(&pages)), (4096, frequent));
        let sound: Vec<u8> = (0..4096_u32).flat_map(|at| (at * at % 2000).to_le_bytes()).collect();
        assert_eq!(why_not(&sound), frequent);
    }

    #[test]
    fn a_key_must_open_the_very_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, encrypted(1000, 7)).unwrap();
        let key = |seed| DatasetKey::from_random([seed; 32]);
        must_be_encrypted(&path, None).unwrap();
        must_be_encrypted(&path, Some(&key(7))).unwrap();
        assert!(matches!(must_be_encrypted(&path, Some(&key(8))), Err(CliError::Dataset { .. })));
        std::fs::write(&path, [b'a'; 64]).unwrap();
        assert!(matches!(must_be_encrypted(&path, Some(&key(7))), Err(CliError::NotEncrypted { .. })));
        assert!(matches!(must_be_encrypted(folder.path(), None), Err(CliError::File { doing: "read", .. })));
    }
}
