//! EIP-191 signatures of 32-byte challenges: strict parsing, recovery with libsecp256k1, deterministic signing.
//!
//! Accepted texts are `0x` (optional, as old clients may omit it) and 65 bytes r ‖ s ‖ v with v = 27 or 28, or the 64
//! bytes of EIP-2098. High s (EIP-2) is normalised, so one signing act has one form. Anything else is refused.

use std::fmt;
use std::str::FromStr;

use alloy_primitives::{Address, B256, Keccak256, keccak256};
use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use secp256k1::{Message, PublicKey, SecretKey};

/// Why a text is not a signature, or a signature names no signer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SignatureError {
    /// Not hexadecimal.
    #[error("signature is not hexadecimal; send 0x and 130 hex digits")]
    NotHex(#[source] hex::FromHexError),
    /// Neither 65 bytes nor the 64 bytes of EIP-2098.
    #[error("signature is {found} bytes; send 65 (r, s, v) or 64 (EIP-2098)")]
    WrongLength {
        /// Number of bytes that were sent.
        found: usize,
    },
    /// The last byte is neither 27 nor 28.
    #[error("signature has recovery value {found}; it must be 27 or 28")]
    WrongRecoveryValue {
        /// The byte that was sent.
        found: u8,
    },
    /// r or s is zero or not below the order of the curve.
    #[error("signature is not a point of the curve; sign again")]
    OutOfRange,
    /// No public key makes this signature of this message.
    #[error("signature matches no key; sign again")]
    Unrecoverable,
}

/// A recoverable ECDSA signature on secp256k1 with low s. Two signatures of one signing act are equal.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Signature {
    /// r ‖ s, big-endian, s at most half the order of the curve.
    compact: [u8; 64],
    y_is_odd: bool,
}

impl Signature {
    /// Reads r ‖ s ‖ v (65 bytes) or r ‖ (y parity in the top bit of) s (64 bytes, EIP-2098).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SignatureError> {
        let mut compact = [0; 64];
        let y_is_odd = match bytes.len() {
            65 => {
                compact.copy_from_slice(&bytes[..64]);
                match bytes[64] {
                    27 => false,
                    28 => true,
                    found => return Err(SignatureError::WrongRecoveryValue { found }),
                }
            }
            64 => {
                compact.copy_from_slice(bytes);
                let odd = compact[32] & 0x80 != 0;
                compact[32] &= 0x7f;
                odd
            }
            found => return Err(SignatureError::WrongLength { found }),
        };
        Self::normalised(&compact, y_is_odd)
    }

    /// Refuses r or s outside 1..n and turns (r, s) with high s into the equal signature (r, n − s).
    fn normalised(compact: &[u8; 64], y_is_odd: bool) -> Result<Self, SignatureError> {
        let mut standard =
            secp256k1::ecdsa::Signature::from_compact(compact).map_err(|_| SignatureError::OutOfRange)?;
        if compact[..32] == [0; 32] || compact[32..] == [0; 32] {
            return Err(SignatureError::OutOfRange);
        }
        standard.normalize_s();
        let low = standard.serialize_compact();
        Ok(Self { compact: low, y_is_odd: y_is_odd ^ (low[32..] != compact[32..]) })
    }

    /// r ‖ s ‖ v, 65 bytes, v = 27 or 28, low s.
    pub fn to_bytes(&self) -> [u8; 65] {
        let mut bytes = [0; 65];
        bytes[..64].copy_from_slice(&self.compact);
        bytes[64] = 27 + u8::from(self.y_is_odd);
        bytes
    }

    /// The wallet that signed `challenge` as an EIP-191 personal message of 32 bytes.
    pub fn recover(&self, challenge: B256) -> Result<Address, SignatureError> {
        self.recover_digest(eip191_digest(challenge))
    }

    /// The wallet that signed a digest that is already domain-separated, such as one of EIP-712.
    pub fn recover_digest(&self, digest: B256) -> Result<Address, SignatureError> {
        let id = if self.y_is_odd { RecoveryId::One } else { RecoveryId::Zero };
        let signature =
            RecoverableSignature::from_compact(&self.compact, id).map_err(|_| SignatureError::OutOfRange)?;
        let key = signature.recover(Message::from_digest(digest.0)).map_err(|_| SignatureError::Unrecoverable)?;
        Ok(address_of(&key))
    }

    /// Whether `signer` signed `challenge`. A signature that recovers to nobody is simply not that signer's.
    pub fn is_by(&self, signer: Address, challenge: B256) -> bool {
        self.recover(challenge) == Ok(signer)
    }
}

impl FromStr for Signature {
    type Err = SignatureError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        Self::from_bytes(&hex::decode(digits).map_err(SignatureError::NotHex)?)
    }
}

/// `0x` and 130 lower-case hex digits.
impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", hex::encode(self.to_bytes()))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// keccak256(`"\x19Ethereum Signed Message:\n32"` ‖ challenge): what is signed (EIP-191, version 0x45).
pub fn eip191_digest(challenge: B256) -> B256 {
    let mut hasher = Keccak256::new();
    hasher.update(b"\x19Ethereum Signed Message:\n32");
    hasher.update(challenge);
    hasher.finalize()
}

fn address_of(key: &PublicKey) -> Address {
    let uncompressed = key.serialize_uncompressed();
    Address::from_slice(&keccak256(&uncompressed[1..])[12..])
}

/// The bytes are not a private key: zero, or not below the order of the curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a private key of secp256k1; expected 32 bytes between 1 and the order of the curve")]
pub struct InvalidSigningKey;

/// A private key of a wallet or of an enclave challenge. Wiped when dropped, never printed.
pub struct SigningKey {
    secret: SecretKey,
    address: Address,
}

impl SigningKey {
    /// Takes a key of 32 big-endian bytes.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, InvalidSigningKey> {
        let secret = SecretKey::from_secret_bytes(*bytes).map_err(|_| InvalidSigningKey)?;
        let address = address_of(&PublicKey::from_secret_key(&secret));
        Ok(Self { secret, address })
    }

    /// Reads `0x` (optional) and 64 hex digits.
    pub fn from_hex(text: &str) -> Result<Self, InvalidSigningKey> {
        let mut bytes = zeroize::Zeroizing::new([0; 32]);
        hex::decode_to_slice(text.strip_prefix("0x").unwrap_or(text), bytes.as_mut()).map_err(|_| InvalidSigningKey)?;
        Self::from_bytes(&bytes)
    }

    /// The wallet address of this key.
    pub fn address(&self) -> Address {
        self.address
    }

    /// Signs `challenge` as an EIP-191 personal message of 32 bytes. Deterministic (RFC 6979), low s.
    pub fn sign(&self, challenge: B256) -> Signature {
        self.sign_digest(eip191_digest(challenge))
    }

    /// Signs a digest that is already domain-separated, such as an EIP-712 order hash. Deterministic, low s.
    pub fn sign_digest(&self, digest: B256) -> Signature {
        let signed = RecoverableSignature::sign_ecdsa_recoverable(Message::from_digest(digest.0), &self.secret);
        let (id, compact) = signed.serialize_compact();
        Signature { compact, y_is_odd: id.to_u8() & 1 == 1 }
    }

    /// The 32 bytes of the key. Search for this name to audit every use.
    pub fn expose_secret(&self) -> zeroize::Zeroizing<[u8; 32]> {
        zeroize::Zeroizing::new(self.secret.to_secret_bytes())
    }
}

impl Drop for SigningKey {
    fn drop(&mut self) {
        self.secret.non_secure_erase();
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CHALLENGE: B256 = B256::repeat_byte(0x5a);

    fn signer() -> SigningKey {
        SigningKey::from_bytes(&[7; 32]).unwrap()
    }

    /// The order of secp256k1 (SEC 2, 2.4.1).
    const ORDER: [u8; 32] = alloy_primitives::hex!("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141");

    fn negated(s: &[u8]) -> [u8; 32] {
        let order = alloy_primitives::U256::from_be_bytes(ORDER);
        (order - alloy_primitives::U256::from_be_slice(s)).to_be_bytes()
    }

    #[test]
    fn a_signature_names_its_signer() {
        let signature = signer().sign(CHALLENGE);
        assert_eq!(signature.recover(CHALLENGE), Ok(signer().address()));
        assert!(signature.is_by(signer().address(), CHALLENGE));
        assert!(!signature.is_by(signer().address(), B256::repeat_byte(0x5b)));
    }

    #[test]
    fn the_prefix_is_optional_and_the_text_is_strict_hex() {
        let text = signer().sign(CHALLENGE).to_string();
        assert_eq!(text[2..].parse::<Signature>(), text.parse());
        assert_eq!(text.to_uppercase()[2..].parse::<Signature>(), text.parse());
        for wrong in [format!("{text} "), text.replace("0x", "0X"), format!("0xzz{}", &text[4..]), format!("{text}0")] {
            assert!(matches!(wrong.parse::<Signature>(), Err(SignatureError::NotHex(_))), "{wrong}");
        }
    }

    #[test]
    fn trailing_and_missing_bytes_are_refused() {
        let bytes = signer().sign(CHALLENGE).to_bytes();
        for found in [0, 1, 63, 66, 97, 130] {
            let mut wrong = bytes.to_vec();
            wrong.resize(found, 27);
            assert_eq!(Signature::from_bytes(&wrong), Err(SignatureError::WrongLength { found }));
        }
    }

    #[test]
    fn only_27_and_28_are_recovery_values() {
        let mut bytes = signer().sign(CHALLENGE).to_bytes();
        for found in (0..=255).filter(|v| !matches!(v, 27 | 28)) {
            bytes[64] = found;
            assert_eq!(Signature::from_bytes(&bytes), Err(SignatureError::WrongRecoveryValue { found }));
        }
    }

    #[test]
    fn the_short_form_of_eip_2098_is_the_same_signature() {
        for byte in 1..=20 {
            let signature = SigningKey::from_bytes(&[byte; 32]).unwrap().sign(CHALLENGE);
            let long = signature.to_bytes();
            let mut short = long[..64].to_vec();
            short[32] |= (long[64] - 27) << 7;
            assert_eq!(Signature::from_bytes(&short), Ok(signature));
        }
    }

    #[test]
    fn a_high_s_is_normalised_to_the_one_form() {
        let signature = signer().sign(CHALLENGE);
        let mut high = signature.to_bytes();
        let s = negated(&high[32..64]);
        high[32..64].copy_from_slice(&s);
        high[64] = if high[64] == 27 { 28 } else { 27 };
        assert_eq!(Signature::from_bytes(&high), Ok(signature));
    }

    #[test]
    fn numbers_outside_the_curve_are_refused_without_a_panic() {
        let good = signer().sign(CHALLENGE).to_bytes();
        for (range, number) in
            [(0..32, [0; 32]), (32..64, [0; 32]), (0..32, ORDER), (32..64, ORDER), (0..32, [0xff; 32])]
        {
            let mut wrong = good;
            wrong[range].copy_from_slice(&number);
            assert_eq!(Signature::from_bytes(&wrong), Err(SignatureError::OutOfRange));
        }
    }

    #[test]
    fn a_signed_digest_recovers_as_a_digest_and_not_as_a_message() {
        let signature = signer().sign_digest(CHALLENGE);
        assert_eq!(signature.recover_digest(CHALLENGE), Ok(signer().address()));
        assert!(!signature.is_by(signer().address(), CHALLENGE));
    }

    #[test]
    fn an_r_that_is_no_coordinate_recovers_to_nobody() {
        // x = 5 is on no point of secp256k1.
        let mut bytes = signer().sign(CHALLENGE).to_bytes();
        bytes[..32].copy_from_slice(B256::with_last_byte(5).as_slice());
        let signature = Signature::from_bytes(&bytes).unwrap();
        assert_eq!(signature.recover(CHALLENGE), Err(SignatureError::Unrecoverable));
    }

    #[test]
    fn keys_outside_the_curve_are_refused_and_none_is_printed() {
        assert_eq!(SigningKey::from_bytes(&[0; 32]).unwrap_err(), InvalidSigningKey);
        assert_eq!(SigningKey::from_bytes(&ORDER).unwrap_err(), InvalidSigningKey);
        assert_eq!(SigningKey::from_hex("0x07").unwrap_err(), InvalidSigningKey);
        let key = SigningKey::from_hex(&format!("0x{}", "07".repeat(32))).unwrap();
        assert_eq!(format!("{key:?}"), format!("SigningKey({})", key.address()));
    }

    proptest! {
        #[test]
        fn signatures_survive_a_round_trip(secret in 1_u64.., challenge: [u8; 32]) {
            let mut bytes = [0; 32];
            bytes[24..].copy_from_slice(&secret.to_be_bytes());
            let key = SigningKey::from_bytes(&bytes).unwrap();
            let signature = key.sign(B256::from(challenge));
            prop_assert_eq!(signature.to_string().parse(), Ok(signature));
            prop_assert_eq!(signature.recover(B256::from(challenge)), Ok(key.address()));
        }

        #[test]
        fn no_bytes_make_the_parser_or_recovery_panic(bytes in proptest::collection::vec(any::<u8>(), 60..70)) {
            if let Ok(signature) = Signature::from_bytes(&bytes) {
                let _ = signature.recover(CHALLENGE);
            }
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in ".*") {
            let _ = text.parse::<Signature>();
        }
    }
}
