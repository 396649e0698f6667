//! Wallet files in "Web3 Secret Storage" version 3, as geth, ethers and the stock `iexec` command write and read them.
//!
//! Turns a private key and a password into such a file and back. Pure apart from its cost: randomness is an argument,
//! files are the business of the caller.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use aes::cipher::{KeyIvInit, StreamCipher};
use serde::{Deserialize, Serialize};
use strongroom_protocol::address::parse_any_case;
use strongroom_protocol::{Address, SigningKey};
use subtle::ConstantTimeEq;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

type Aes128Ctr = ctr::Ctr128BE<aes::Aes128>;

/// The work that one guess of a password costs, as the `n` of scrypt with r = 8 and p = 1. Memory is 1024 · n bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScryptCost(u8);

impl ScryptCost {
    /// n = 131072, what ethers and the stock `iexec` command use: 128 MiB and about half a second.
    pub const STANDARD: Self = Self(17);

    fn n(self) -> u64 {
        1 << self.0
    }
}

/// The n.
impl fmt::Display for ScryptCost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.n().fmt(f)
    }
}

/// The text is not a cost we would accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the cost must be a power of two from 1024 to 1048576")]
pub struct ParseScryptCostError;

impl FromStr for ScryptCost {
    type Err = ParseScryptCostError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        (10..=20).map(Self).find(|cost| text.parse() == Ok(cost.n())).ok_or(ParseScryptCostError)
    }
}

/// Most memory that opening a foreign file may take, in bytes. geth's costliest files take 256 MiB.
const MAX_SCRYPT_MEMORY_BYTES: u64 = 1 << 30;
/// Most PBKDF2 rounds that opening a foreign file may take. geth wrote 262,144.
const MAX_PBKDF2_ROUNDS: u32 = 10_000_000;

/// Why a wallet file cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum KeystoreError {
    /// No JSON, or not the members of version 3.
    #[error("this is not a wallet file in the Web3 Secret Storage format")]
    NotAKeystore(#[source] serde_json::Error),
    /// Another version of the format.
    #[error("the wallet file has version {found}; only version 3 is supported")]
    WrongVersion {
        /// What the file says.
        found: u32,
    },
    /// Version 3, with an algorithm or a length that nobody writes.
    #[error("the wallet file uses an unsupported {what}")]
    Unsupported {
        /// What is unsupported.
        what: &'static str,
    },
    /// Opening would take more memory or time than any honest file does.
    #[error("the wallet file asks for an unreasonable amount of work to be opened")]
    TooCostly,
    /// The password does not fit.
    #[error("the password does not open this wallet")]
    WrongPassword,
    /// The password fits, but the content contradicts itself.
    #[error("the wallet file is damaged: what it holds does not belong to the address it names")]
    Damaged,
}

/// The file, as JSON. Members that are not named here (`x-ethers`, for one) are ignored when read.
#[derive(Debug, Serialize, Deserialize)]
pub struct Keystore {
    /// 40 hex digits. Some programs leave it out for privacy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(default)]
    id: String,
    version: u32,
    #[serde(alias = "Crypto")]
    crypto: Crypto,
}

#[derive(Debug, Serialize, Deserialize)]
struct Crypto {
    cipher: String,
    cipherparams: CipherParams,
    ciphertext: String,
    #[serde(flatten)]
    kdf: Kdf,
    mac: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct CipherParams {
    iv: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kdf", content = "kdfparams", rename_all = "lowercase")]
enum Kdf {
    Scrypt { dklen: u32, n: u64, p: u32, r: u32, salt: String },
    Pbkdf2 { c: u32, dklen: u32, prf: String, salt: String },
}

/// The random bytes that one wallet file needs.
pub struct Freshness {
    /// Salt of the password, public.
    pub salt: [u8; 32],
    /// Counter block of the cipher, public.
    pub iv: [u8; 16],
    /// Becomes the `id`, a version 4 UUID without meaning.
    pub id: [u8; 16],
}

/// 32 bytes from the password: the first 16 are the cipher's key, the last 16 the authentication key.
type DerivedKey = Zeroizing<[u8; 32]>;

impl Keystore {
    /// Encrypts `key` under `password`. Slow on purpose, see [`ScryptCost`].
    pub fn encrypt(key: &SigningKey, password: &str, cost: ScryptCost, fresh: &Freshness) -> Self {
        let params = scrypt::Params::new(cost.0, 8, 1, 32).expect("every ScryptCost is valid with r = 8 and p = 1");
        let derived = scrypt_key(&normalised(password), &fresh.salt, &params);
        let mut ciphertext = key.expose_secret();
        apply_cipher(&derived, &fresh.iv, ciphertext.as_mut());
        Self {
            address: Some(hex::encode(key.address())),
            id: uuid_v4(fresh.id),
            version: 3,
            crypto: Crypto {
                cipher: "aes-128-ctr".to_owned(),
                cipherparams: CipherParams { iv: hex::encode(fresh.iv) },
                ciphertext: hex::encode(ciphertext.as_ref()),
                kdf: Kdf::Scrypt { dklen: 32, n: cost.n(), p: 1, r: 8, salt: hex::encode(fresh.salt) },
                mac: hex::encode(mac(&derived, ciphertext.as_ref())),
            },
        }
    }

    /// Reads a file. Whether its algorithms are known is found out by [`Self::decrypt`].
    pub fn from_json(text: &[u8]) -> Result<Self, KeystoreError> {
        /// Asked first, so that a version 1 file is told from something that is no wallet at all.
        #[derive(Deserialize)]
        struct Version {
            version: u32,
        }
        let Version { version } = serde_json::from_slice(text).map_err(KeystoreError::NotAKeystore)?;
        if version != 3 {
            return Err(KeystoreError::WrongVersion { found: version });
        }
        serde_json::from_slice(text).map_err(KeystoreError::NotAKeystore)
    }

    /// The file's text, with a final line break.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("strings and numbers always serialise");
        text.push('\n');
        text
    }

    /// The address that the file claims, without proof until it is opened. `None` if it claims none.
    pub fn claimed_address(&self) -> Option<Address> {
        let text = self.address.as_deref()?;
        let digits = text.strip_prefix("0x").unwrap_or(text);
        parse_any_case(&format!("0x{digits}")).ok()
    }

    /// Opens the file. ethers normalises passwords (NFKC) and geth does not, so a password that differs between the two
    /// is tried both ways.
    pub fn decrypt(&self, password: &str) -> Result<SigningKey, KeystoreError> {
        let normal = normalised(password);
        let key = match self.decrypt_exactly(&normal) {
            Err(KeystoreError::WrongPassword) if normal.as_str() != password => self.decrypt_exactly(password),
            result => result,
        }?;
        if self.address.is_some() && self.claimed_address() != Some(key.address()) {
            return Err(KeystoreError::Damaged);
        }
        Ok(key)
    }

    fn decrypt_exactly(&self, password: &str) -> Result<SigningKey, KeystoreError> {
        let crypto = &self.crypto;
        if crypto.cipher != "aes-128-ctr" {
            return Err(KeystoreError::Unsupported { what: "cipher" });
        }
        let iv: [u8; 16] = bytes_of(&crypto.cipherparams.iv, "initialisation vector")?;
        let mut plaintext: DerivedKey = Zeroizing::new(bytes_of(&crypto.ciphertext, "length of the encrypted key")?);
        let expected: [u8; 32] = bytes_of(&crypto.mac, "authentication code")?;
        let derived = crypto.kdf.derive(password)?;
        if !bool::from(mac(&derived, plaintext.as_ref()).ct_eq(&expected)) {
            return Err(KeystoreError::WrongPassword);
        }
        apply_cipher(&derived, &iv, plaintext.as_mut());
        SigningKey::from_bytes(&plaintext).map_err(|_| KeystoreError::Damaged)
    }
}

impl Kdf {
    fn derive(&self, password: &str) -> Result<DerivedKey, KeystoreError> {
        match self {
            Self::Scrypt { dklen, n, p, r, salt } => {
                let salt = hex::decode(salt).map_err(|_| KeystoreError::Unsupported { what: "salt" })?;
                if *dklen != 32 || !n.is_power_of_two() || *n < 2 || *r == 0 || *p == 0 {
                    return Err(KeystoreError::Unsupported { what: "scrypt parameter" });
                }
                let memory = n.checked_mul(128 * u64::from(*r)).filter(|bytes| *bytes <= MAX_SCRYPT_MEMORY_BYTES);
                if memory.is_none() || *p > 16 {
                    return Err(KeystoreError::TooCostly);
                }
                let log_n = u8::try_from(n.ilog2()).map_err(|_| KeystoreError::TooCostly)?;
                let params = scrypt::Params::new(log_n, *r, *p, 32)
                    .map_err(|_| KeystoreError::Unsupported { what: "scrypt parameter" })?;
                Ok(scrypt_key(password, &salt, &params))
            }
            Self::Pbkdf2 { c, dklen, prf, salt } => {
                let salt = hex::decode(salt).map_err(|_| KeystoreError::Unsupported { what: "salt" })?;
                if *dklen != 32 || prf != "hmac-sha256" {
                    return Err(KeystoreError::Unsupported { what: "PBKDF2 parameter" });
                }
                let rounds = NonZeroU32::new(*c).ok_or(KeystoreError::Unsupported { what: "PBKDF2 parameter" })?;
                if *c > MAX_PBKDF2_ROUNDS {
                    return Err(KeystoreError::TooCostly);
                }
                let mut derived = DerivedKey::default();
                let algorithm = ring::pbkdf2::PBKDF2_HMAC_SHA256;
                ring::pbkdf2::derive(algorithm, rounds, &salt, password.as_bytes(), derived.as_mut());
                Ok(derived)
            }
        }
    }
}

fn scrypt_key(password: &str, salt: &[u8], params: &scrypt::Params) -> DerivedKey {
    let mut derived = DerivedKey::default();
    scrypt::scrypt(password.as_bytes(), salt, params, derived.as_mut()).expect("32 bytes is a valid output length");
    derived
}

/// keccak256(authentication key ‖ ciphertext).
fn mac(derived: &DerivedKey, ciphertext: &[u8]) -> [u8; 32] {
    let mut preimage = Zeroizing::new(derived[16..].to_vec());
    preimage.extend_from_slice(ciphertext);
    alloy_primitives::keccak256(preimage.as_slice()).0
}

/// Encrypts and decrypts alike: AES-128 in counter mode.
fn apply_cipher(derived: &DerivedKey, iv: &[u8; 16], data: &mut [u8]) {
    Aes128Ctr::new(derived[..16].into(), iv.into()).apply_keystream(data);
}

fn normalised(password: &str) -> Zeroizing<String> {
    Zeroizing::new(password.nfkc().collect())
}

fn bytes_of<const N: usize>(text: &str, what: &'static str) -> Result<[u8; N], KeystoreError> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text.strip_prefix("0x").unwrap_or(text), &mut bytes)
        .map_err(|_| KeystoreError::Unsupported { what })?;
    Ok(bytes)
}

/// RFC 9562 §5.4: 122 given bits, version 4, variant 10.
fn uuid_v4(mut bytes: [u8; 16]) -> String {
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let digits = hex::encode(bytes);
    format!("{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..])
}

#[cfg(test)]
mod tests;
