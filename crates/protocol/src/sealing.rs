//! Sealing to an enclave's one-use key: HPKE base mode (RFC 9180), DHKEM(X25519, HKDF-SHA256), HKDF-SHA256,
//! ChaCha20-Poly1305. Randomness is an argument, as everywhere in this crate.

use std::fmt;

use hpke::rand_core::CryptoRng;
use hpke::{Deserializable, Kem as _, OpModeR, OpModeS, Serializable};
use zeroize::Zeroizing;

type Kem = hpke::kem::X25519HkdfSha256;
type Kdf = hpke::kdf::HkdfSha256;
type Aead = hpke::aead::ChaCha20Poly1305;

/// KEM id ‖ KDF id ‖ AEAD id, two big-endian bytes each (RFC 9180 §7): 0x0020, 0x0001, 0x0003.
pub const SUITE_ID: [u8; 6] = [0x00, 0x20, 0x00, 0x01, 0x00, 0x03];

/// Bytes of an encapsulated key, which precede the ciphertext.
const ENCAPSULATED_BYTES: usize = 32;
/// Bytes of the authentication tag, which end the ciphertext.
const TAG_BYTES: usize = 16;

/// Public key of an enclave, made for one release: an X25519 point, 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct EnclaveKey([u8; 32]);

impl EnclaveKey {
    /// Takes the 32 bytes of an X25519 public key. Keys of small order are found out by [`seal`].
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for EnclaveKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EnclaveKey({})", hex::encode(self.0))
    }
}

/// The enclave's one-use key pair. It opens one release and is wiped when dropped.
pub struct EnclaveKeyPair {
    secret: <Kem as hpke::Kem>::PrivateKey,
    public: EnclaveKey,
}

impl EnclaveKeyPair {
    /// Makes a key pair.
    pub fn generate(random: &mut impl CryptoRng) -> Self {
        let (secret, public) = Kem::gen_keypair_with_rng(random);
        let mut bytes = [0; 32];
        bytes.copy_from_slice(&public.to_bytes());
        Self { secret, public: EnclaveKey(bytes) }
    }

    /// The public half, which evidence vouches for.
    pub fn public(&self) -> EnclaveKey {
        self.public
    }

    /// Opens what [`seal`] made for this key, the same `info` and the same `aad`.
    pub fn open(&self, info: &[u8; 32], aad: &[u8], sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let (encapsulated, ciphertext) = sealed.split_at_checked(ENCAPSULATED_BYTES).ok_or(OpenError)?;
        let encapsulated = <Kem as hpke::Kem>::EncappedKey::from_bytes(encapsulated).map_err(|_| OpenError)?;
        hpke::single_shot_open::<Aead, Kdf, Kem>(&OpModeR::Base, &self.secret, &encapsulated, info, ciphertext, aad)
            .map(Zeroizing::new)
            .map_err(|_| OpenError)
    }
}

impl fmt::Debug for EnclaveKeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EnclaveKeyPair({:?})", self.public)
    }
}

/// The sealed bytes were made for another key, release or record, or were changed on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("sealed answer does not open with this key for this release; ask for a new release")]
pub struct OpenError;

/// The recipient's key has small order: anybody could open what is sealed to it. Nothing was encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("enclave key is a point of small order; make a fresh X25519 key pair")]
pub struct WeakKeyError;

/// Seals `plaintext` so that only the holder of `to` opens it, and only with the same `info` and `aad`.
/// Returns encapsulated key (32 bytes) ‖ ciphertext ‖ tag (16 bytes).
pub fn seal(
    to: EnclaveKey,
    info: &[u8; 32],
    aad: &[u8],
    plaintext: &[u8],
    random: &mut impl CryptoRng,
) -> Result<Vec<u8>, WeakKeyError> {
    let public = <Kem as hpke::Kem>::PublicKey::from_bytes(&to.0).map_err(|_| WeakKeyError)?;
    let (encapsulated, ciphertext) =
        hpke::single_shot_seal_with_rng::<Aead, Kdf, Kem>(&OpModeS::Base, &public, info, plaintext, aad, random)
            .map_err(|_| WeakKeyError)?;
    let mut sealed = Vec::with_capacity(ENCAPSULATED_BYTES + plaintext.len() + TAG_BYTES);
    sealed.extend_from_slice(&encapsulated.to_bytes());
    sealed.extend_from_slice(&ciphertext);
    Ok(sealed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(seed: u64) -> rand_chacha::ChaCha20Rng {
        use rand_chacha::rand_core::SeedableRng;
        rand_chacha::ChaCha20Rng::seed_from_u64(seed)
    }

    #[test]
    fn what_is_sealed_opens_with_its_key_info_and_aad_only() {
        let enclave = EnclaveKeyPair::generate(&mut random(1));
        let sealed = seal(enclave.public(), &[7; 32], b"aad", b"plain", &mut random(2)).unwrap();
        assert_eq!(sealed.len(), 32 + 5 + 16);
        assert_eq!(enclave.open(&[7; 32], b"aad", &sealed).unwrap().as_slice(), b"plain");
        assert_eq!(enclave.open(&[8; 32], b"aad", &sealed).unwrap_err(), OpenError);
        assert_eq!(enclave.open(&[7; 32], b"other", &sealed).unwrap_err(), OpenError);
        let other = EnclaveKeyPair::generate(&mut random(3));
        assert_eq!(other.open(&[7; 32], b"aad", &sealed).unwrap_err(), OpenError);
    }

    #[test]
    fn no_changed_bit_is_accepted() {
        let enclave = EnclaveKeyPair::generate(&mut random(1));
        let sealed = seal(enclave.public(), &[7; 32], b"aad", b"plain", &mut random(2)).unwrap();
        for bit in 0..sealed.len() * 8 {
            // X25519 ignores the top bit of a coordinate (RFC 7748 §5), but the KEM context binds its bytes.
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(enclave.open(&[7; 32], b"aad", &changed).unwrap_err(), OpenError, "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert_eq!(enclave.open(&[7; 32], b"aad", &sealed[..length]).unwrap_err(), OpenError, "{length} bytes");
        }
    }

    #[test]
    fn nothing_is_sealed_to_a_key_of_small_order() {
        let one = std::array::from_fn(|index| u8::from(index == 0));
        for weak in [[0; 32], one] {
            assert_eq!(seal(EnclaveKey::from_bytes(weak), &[0; 32], b"", b"x", &mut random(1)), Err(WeakKeyError));
        }
    }

    #[test]
    fn the_suite_id_is_that_of_the_algorithms() {
        use hpke::{aead::Aead as _, kdf::Kdf as _, kem::Kem as _};
        let ids = [Kem::KEM_ID, Kdf::KDF_ID, Aead::AEAD_ID].map(u16::to_be_bytes).concat();
        assert_eq!(ids, SUITE_ID);
    }
}
