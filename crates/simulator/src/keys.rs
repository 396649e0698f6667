//! Keys derived from the seed, signing without randomness (RFC 6979).

use p256::ecdsa::signature::Signer as _;
use sha2::{Digest, Sha256, Sha384};

/// The digest of the length-prefixed label, the seed, and a counter that starts at zero.
fn derive<D: Digest>(seed: &[u8; 32], label: &str, counter: u32) -> Vec<u8> {
    D::new()
        .chain_update((label.len() as u64).to_be_bytes())
        .chain_update(label)
        .chain_update(seed)
        .chain_update(counter.to_be_bytes())
        .finalize()
        .to_vec()
}

/// A P-256 key that signs with SHA-256.
pub(crate) struct P256Key {
    signing: p256::ecdsa::SigningKey,
    point: Vec<u8>,
}

impl P256Key {
    /// The key that `label` names under this seed.
    pub(crate) fn derive(seed: &[u8; 32], label: &str) -> Self {
        let signing = (0..=u32::MAX)
            .find_map(|counter| p256::ecdsa::SigningKey::from_slice(&derive::<Sha256>(seed, label, counter)).ok())
            .expect("all but one in 2^32 hashes are scalars of the curve");
        let point = signing.verifying_key().to_encoded_point(false).as_bytes().to_vec();
        Self { signing, point }
    }

    /// r ‖ s, 64 bytes big-endian.
    pub(crate) fn sign_raw(&self, message: &[u8]) -> [u8; 64] {
        let signature: p256::ecdsa::Signature = self.signing.sign(message);
        signature.to_bytes().into()
    }

    /// x ‖ y, 64 bytes.
    pub(crate) fn coordinates(&self) -> &[u8] {
        &self.point[1..]
    }
}

impl rcgen::PublicKeyData for P256Key {
    fn der_bytes(&self) -> &[u8] {
        &self.point
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

impl rcgen::SigningKey for P256Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let signature: p256::ecdsa::Signature = self.signing.sign(message);
        Ok(signature.to_der().as_bytes().to_vec())
    }
}

/// A P-384 key that signs with SHA-384.
pub(crate) struct P384Key {
    signing: p384::ecdsa::SigningKey,
    point: Vec<u8>,
}

impl P384Key {
    /// The key that `label` names under this seed.
    pub(crate) fn derive(seed: &[u8; 32], label: &str) -> Self {
        let signing = (0..=u32::MAX)
            .find_map(|counter| p384::ecdsa::SigningKey::from_slice(&derive::<Sha384>(seed, label, counter)).ok())
            .expect("nearly all hashes are scalars of the curve");
        let point = signing.verifying_key().to_encoded_point(false).as_bytes().to_vec();
        Self { signing, point }
    }

    /// r ‖ s, 96 bytes big-endian.
    pub(crate) fn sign_raw(&self, message: &[u8]) -> [u8; 96] {
        let signature: p384::ecdsa::Signature = self.signing.sign(message);
        let mut bytes = [0; 96];
        bytes.copy_from_slice(&signature.to_bytes());
        bytes
    }

    /// The public key as an uncompressed point, 97 bytes.
    pub(crate) fn point(&self) -> &[u8] {
        &self.point
    }
}

impl rcgen::PublicKeyData for P384Key {
    fn der_bytes(&self) -> &[u8] {
        &self.point
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P384_SHA384
    }
}

impl rcgen::SigningKey for P384Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let signature: p384::ecdsa::Signature = self.signing.sign(message);
        Ok(signature.to_der().as_bytes().to_vec())
    }
}
