use std::io::Cursor;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rsa::pkcs8::{EncodePublicKey, LineEnding};
use rsa::rand_core::{CryptoRng, RngCore};

use super::*;

const PRIVATE: &str = include_str!("../../testdata/result-key.pem");
const INNER: &[u8] = include_bytes!("../../testdata/result-inner.zip");

/// A generator of today in the shape that `rsa` wants.
struct Seeded(ChaCha20Rng);

impl RngCore for Seeded {
    fn next_u32(&mut self) -> u32 {
        self.0.next_u32()
    }
    fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }
    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        self.0.fill_bytes(bytes);
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand_core::Error> {
        self.0.fill_bytes(bytes);
        Ok(())
    }
}

impl CryptoRng for Seeded {}

fn random() -> Seeded {
    Seeded(ChaCha20Rng::seed_from_u64(1))
}

fn beneficiary() -> BeneficiaryKey {
    let public = RsaPrivateKey::from_pkcs8_pem(PRIVATE).unwrap().to_public_key();
    let pem = public.to_public_key_pem(LineEnding::LF).unwrap();
    BeneficiaryKey::from_text(STANDARD.encode(pem).as_bytes()).unwrap()
}

fn open(result: &[u8], key: &str) -> Result<Vec<u8>, OpenResultError> {
    let mut opened = Vec::new();
    decrypt(Cursor::new(result), key, &mut random(), &mut opened).map(|()| opened)
}

fn outer(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = Archive::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        archive.add(name, *content).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

#[test]
fn the_worked_vector_opens() {
    let key: &[u8] = include_bytes!("../../testdata/result-key.rsa");
    let content: &[u8] = include_bytes!("../../testdata/result-archive.aes");
    let result = outer(&[(KEY_FILE, key), (ARCHIVE_FILE, content)]);
    assert!(is_encrypted(Cursor::new(&result)));
    assert_eq!(open(&result, PRIVATE).unwrap(), INNER);
    let as_text = outer(&[(KEY_FILE, STANDARD.encode(key).as_bytes()), (ARCHIVE_FILE, content)]);
    assert!(matches!(open(&as_text, PRIVATE), Err(OpenResultError::OtherKey)), "text around a key that is none inside");
}

#[test]
fn what_is_encrypted_opens_with_its_key_only() {
    let result = encrypt(INNER, &beneficiary(), &mut random(), Cursor::new(Vec::new())).unwrap().into_inner();
    assert_eq!(open(&result, PRIVATE).unwrap(), INNER);
    let other = RsaPrivateKey::new(&mut random(), 2048).unwrap();
    let other = rsa::pkcs8::EncodePrivateKey::to_pkcs8_pem(&other, LineEnding::LF).unwrap();
    assert!(matches!(open(&result, &other), Err(OpenResultError::OtherKey)));
}

#[test]
fn each_way_not_to_open_is_told() {
    assert!(!is_encrypted(Cursor::new(INNER)));
    assert!(matches!(open(INNER, PRIVATE), Err(OpenResultError::NotEncrypted(KEY_FILE))));
    assert!(matches!(open(b"no archive", PRIVATE), Err(OpenResultError::NotEncrypted(_))));
    assert!(matches!(open(INNER, "no key"), Err(OpenResultError::Key)));
    let key: &[u8] = include_bytes!("../../testdata/result-key.rsa");
    assert!(matches!(open(&outer(&[(KEY_FILE, key)]), PRIVATE), Err(OpenResultError::NotEncrypted(ARCHIVE_FILE))));
    for (content, why) in [(&[0; 3][..], "short"), (&[0; 20], "length"), (&[0; 64], "end")] {
        match open(&outer(&[(KEY_FILE, key), (ARCHIVE_FILE, content)]), PRIVATE) {
            Err(OpenResultError::Damaged(reason)) => assert!(reason.contains(why), "{reason}"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn keys_in_another_form_are_refused() {
    for bad in ["", "AAAA", "-----BEGIN PUBLIC KEY-----", PRIVATE] {
        assert_eq!(BeneficiaryKey::from_text(bad.as_bytes()).unwrap_err(), BeneficiaryKeyError);
        assert_eq!(BeneficiaryKey::from_text(STANDARD.encode(bad).as_bytes()).unwrap_err(), BeneficiaryKeyError);
    }
}
