//! How a wallet shows the order book who it is: the book gives a text, the wallet signs it, the header of the next request carries both.
//! Pure.
//!
//! The text is signed as typed data (EIP-712) of `Challenge(string challenge)` in the domain `iExec Gateway`, version 1, of the chain,
//! without a verifying contract. Header: `authorization: HASH_SIGNATURE_ADDRESS`, each part as 0x text.
//!
//! Source: the market API of iExec and its stock clients.

use std::fmt;
use std::str::FromStr;

use alloy_primitives::{Address, B256};
use alloy_sol_types::{SolStruct, eip712_domain, sol};
use serde::Deserialize;
use serde_json::{Value, json};
use strongroom_protocol::address::checksummed;
use strongroom_protocol::{Signature, SigningKey};

/// Name in the domain of the typed data.
const DOMAIN: &str = "iExec Gateway";
/// Its version.
const VERSION: &str = "1";

sol! {
    struct Challenge { string challenge; }
}

/// What a book gives a wallet to sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginChallenge {
    /// The chain of the book.
    pub chain_id: u64,
    /// The text.
    pub text: String,
}

/// The typed data are not those of a challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the challenge of the order book is not typed data of iExec Gateway, version 1, with a text to sign")]
pub struct NotAChallenge;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TypedData {
    domain: Domain,
    message: Message,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Domain {
    name: String,
    version: String,
    chain_id: Value,
}

#[derive(Deserialize)]
struct Message {
    challenge: String,
}

impl LoginChallenge {
    /// What is signed.
    pub fn digest(&self) -> B256 {
        let domain = eip712_domain! { name: DOMAIN, version: VERSION, chain_id: self.chain_id, };
        Challenge { challenge: self.text.clone() }.eip712_signing_hash(&domain)
    }

    /// The typed data, as the book hands them out.
    pub fn to_typed_data(&self) -> Value {
        json!({
            "types": {
                "EIP712Domain": [
                    { "name": "name", "type": "string" },
                    { "name": "version", "type": "string" },
                    { "name": "chainId", "type": "uint256" },
                ],
                "Challenge": [{ "name": "challenge", "type": "string" }],
            },
            "domain": { "name": DOMAIN, "version": VERSION, "chainId": self.chain_id.to_string() },
            "primaryType": "Challenge",
            "message": { "challenge": self.text },
        })
    }

    /// Reads typed data that a book handed out. Only this very shape is ever signed: a book must not get a signature of an order.
    pub fn from_typed_data(data: &Value) -> Result<Self, NotAChallenge> {
        let data = TypedData::deserialize(data).map_err(|_| NotAChallenge)?;
        let chain_id = match &data.domain.chain_id {
            Value::String(text) => text.parse().map_err(|_| NotAChallenge)?,
            other => other.as_u64().ok_or(NotAChallenge)?,
        };
        if data.domain.name != DOMAIN || data.domain.version != VERSION {
            return Err(NotAChallenge);
        }
        Ok(Self { chain_id, text: data.message.challenge })
    }

    /// The value of the header `authorization` for the holder of `key`.
    pub fn authorization(&self, key: &SigningKey) -> String {
        let digest = self.digest();
        Authorization { digest, signature: key.sign_digest(digest), address: key.address() }.to_string()
    }
}

/// The value of the header, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authorization {
    /// Digest of the challenge that was signed.
    pub digest: B256,
    /// The signature of the digest.
    pub signature: Signature,
    /// Who claims to have signed.
    pub address: Address,
}

/// The header is not `HASH_SIGNATURE_ADDRESS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the header authorization must be HASH_SIGNATURE_ADDRESS, each a 0x text")]
pub struct NotAnAuthorization;

impl Authorization {
    /// Whether the claimed address really signed the digest.
    pub fn is_true(&self) -> bool {
        self.signature.recover_digest(self.digest).is_ok_and(|signer| signer == self.address)
    }
}

impl FromStr for Authorization {
    type Err = NotAnAuthorization;

    fn from_str(text: &str) -> Result<Self, NotAnAuthorization> {
        let mut parts = text.split('_');
        let (Some(digest), Some(signature), Some(address), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(NotAnAuthorization);
        };
        Ok(Self {
            digest: digest.parse().map_err(|_| NotAnAuthorization)?,
            signature: signature.parse().map_err(|_| NotAnAuthorization)?,
            address: address.parse().map_err(|_| NotAnAuthorization)?,
        })
    }
}

impl fmt::Display for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}_{}", self.digest, self.signature, checksummed(&self.address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by the stock client for the key 1.
    const SIGNED: &str = "0xca3fdd93cdb84a0e531858e3ab56185fad2efd556f4dcce00a29030b1da53b1c_0xd1b1ea45d30b022f9862d14e97ae52fc1ab3df947341cb66faa483ee93a93fdc323df32e8a99b1c4f5c1db4cdc781153b59dfeb6c563a1de74526e46aca4259f1b_0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf";

    fn challenge() -> LoginChallenge {
        let text = "Sign this message to log into iExec Gateway: abcdefghijklmnopqrstuvwxyzABCDEF";
        LoginChallenge { chain_id: 421_614, text: text.to_owned() }
    }

    fn key() -> SigningKey {
        let mut bytes = [0; 32];
        bytes[31] = 1;
        SigningKey::from_bytes(&bytes).unwrap()
    }

    #[test]
    fn the_header_is_the_one_of_the_stock_client() {
        assert_eq!(challenge().authorization(&key()), SIGNED);
    }

    #[test]
    fn a_header_is_read_back_and_proven() {
        let read: Authorization = SIGNED.parse().unwrap();
        assert_eq!((read.to_string().as_str(), read.digest, read.is_true()), (SIGNED, challenge().digest(), true));
        let other = Authorization { address: Address::ZERO, ..read };
        assert!(!other.is_true());
    }

    #[test]
    fn a_header_of_another_shape_is_refused() {
        let more = format!("{SIGNED}_0x00");
        for text in ["", "0x00_0x00_0x00", &SIGNED[1..], &more] {
            assert_eq!(text.parse::<Authorization>(), Err(NotAnAuthorization), "{text}");
        }
    }

    #[test]
    fn typed_data_are_read_back_and_nothing_else_is_signed() {
        let data = challenge().to_typed_data();
        assert_eq!(LoginChallenge::from_typed_data(&data), Ok(challenge()));
        let mut number = data.clone();
        number["domain"]["chainId"] = json!(421_614);
        assert_eq!(LoginChallenge::from_typed_data(&number), Ok(challenge()));
        let mut order = data;
        order["domain"]["name"] = json!("iExecODB");
        assert_eq!(LoginChallenge::from_typed_data(&order), Err(NotAChallenge));
    }
}
