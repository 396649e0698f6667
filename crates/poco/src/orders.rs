//! The four orders of the market: typed, hashed and signed by EIP-712, as JSON in the shape of the stock SDK and the market API.
//! Pure: what the chain knows of an order (used up, revoked, presigned) is read elsewhere.
//!
//! Source: `IexecLibOrders_v5.sol` of PoCo. The hash of an order is its EIP-712 digest, the same everywhere: in events, in the map of
//! what was consumed, in the market.

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::{Eip712Domain, SolStruct, sol};
use serde::de::{Deserialize, Deserializer, Error as _};
use serde::{Serialize, Serializer};
use strongroom_protocol::{Signature, SigningKey, address};

/// Bit of a tag that asks for an enclave.
const TEE: u8 = 0x01;
/// Bits of a tag that name a framework. Those of a dataset order do not count (PoCo 6.2).
const FRAMEWORKS: u8 = 0x0e;

/// What owners and requesters sign. Each struct has a `sign` beside it in [`Signed`].
pub mod unsigned {
    #![allow(missing_docs, reason = "the members are those of the contract, in its words")]
    use super::sol;

    sol! {
        #[derive(Debug, Default, PartialEq, Eq)]
        struct AppOrder {
            address app; uint256 appprice; uint256 volume; bytes32 tag; address datasetrestrict; address workerpoolrestrict;
            address requesterrestrict; bytes32 salt;
        }
        #[derive(Debug, Default, PartialEq, Eq)]
        struct DatasetOrder {
            address dataset; uint256 datasetprice; uint256 volume; bytes32 tag; address apprestrict; address workerpoolrestrict;
            address requesterrestrict; bytes32 salt;
        }
        #[derive(Debug, Default, PartialEq, Eq)]
        struct WorkerpoolOrder {
            address workerpool; uint256 workerpoolprice; uint256 volume; bytes32 tag; uint256 category; uint256 trust;
            address apprestrict; address datasetrestrict; address requesterrestrict; bytes32 salt;
        }
        #[derive(Debug, Default, PartialEq, Eq)]
        struct RequestOrder {
            address app; uint256 appmaxprice; address dataset; uint256 datasetmaxprice; address workerpool;
            uint256 workerpoolmaxprice; address requester; uint256 volume; bytes32 tag; uint256 category; uint256 trust;
            address beneficiary; address callback; string params; bytes32 salt;
        }
    }
}

pub use unsigned::{AppOrder, DatasetOrder, RequestOrder, WorkerpoolOrder};

/// The EIP-712 domain of the hub at `hub` on chain `chain_id`.
pub fn domain(chain_id: u64, hub: Address) -> Eip712Domain {
    alloy_sol_types::eip712_domain! { name: "iExecODB", version: "5.0.0", chain_id: chain_id, verifying_contract: hub, }
}

/// One of the four orders.
pub trait Order: SolStruct + Clone {
    /// The word of the market's paths: `app`, `dataset`, `workerpool` or `request`.
    const KIND: &'static str;

    /// The members as the stock SDK writes them, without `sign`.
    fn to_json(&self) -> serde_json::Map<String, serde_json::Value>;

    /// Reads members that the stock SDK or the market wrote.
    fn from_json(members: &Members<'_>) -> Result<Self, OrderJsonError>;

    /// The hash of the order: its EIP-712 digest.
    fn hash(&self, domain: &Eip712Domain) -> B256 {
        self.eip712_signing_hash(domain)
    }

    /// Signs the order as the holder of `key`.
    fn sign(self, domain: &Eip712Domain, key: &SigningKey) -> Signed<Self> {
        let sign = key.sign_digest(self.hash(domain)).to_bytes().to_vec().into();
        Signed { order: self, sign }
    }
}

/// An order with its signature: 65 or 64 bytes of a key, whatever a contract takes, or nothing for a presigned one.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Signed<O> {
    /// What was signed.
    pub order: O,
    /// The signature.
    pub sign: Bytes,
}

impl<O: Order> Signed<O> {
    /// Who signed, if the signature is one of a key over this very order.
    pub fn signer(&self, domain: &Eip712Domain) -> Option<Address> {
        Signature::from_bytes(&self.sign).ok()?.recover_digest(self.order.hash(domain)).ok()
    }
}

impl<O: Order> Serialize for Signed<O> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = self.order.to_json();
        members.insert("sign".to_owned(), self.sign.to_string().into());
        members.serialize(serializer)
    }
}

impl<'de, O: Order> Deserialize<'de> for Signed<O> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let members = serde_json::Map::deserialize(deserializer)?;
        let members = Members(&members);
        Ok(Self {
            order: O::from_json(&members).map_err(D::Error::custom)?,
            sign: members.parsed("sign", "a 0x text").map_err(D::Error::custom)?,
        })
    }
}

/// A member of an order's JSON cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("order member `{member}` is not {expected}")]
pub struct OrderJsonError {
    /// Its name.
    pub member: &'static str,
    /// What it must be.
    pub expected: &'static str,
}

/// The members of an order's JSON.
pub struct Members<'a>(&'a serde_json::Map<String, serde_json::Value>);

impl Members<'_> {
    fn text(&self, member: &'static str) -> Option<&str> {
        self.0.get(member)?.as_str()
    }

    fn parsed<T: std::str::FromStr>(&self, member: &'static str, expected: &'static str) -> Result<T, OrderJsonError> {
        self.text(member).and_then(|text| text.parse().ok()).ok_or(OrderJsonError { member, expected })
    }

    /// An address in any letter case.
    fn address(&self, member: &'static str) -> Result<Address, OrderJsonError> {
        let error = OrderJsonError { member, expected: "an address (0x and 40 hex digits)" };
        self.text(member).and_then(|text| address::parse_any_case(text).ok()).ok_or(error)
    }

    /// A JSON number, or its digits as text.
    fn number(&self, member: &'static str) -> Result<U256, OrderJsonError> {
        let error = OrderJsonError { member, expected: "a whole number" };
        let digits = match self.0.get(member) {
            Some(serde_json::Value::Number(number)) => number.to_string(),
            Some(serde_json::Value::String(text)) if text.bytes().all(|digit| digit.is_ascii_digit()) => text.clone(),
            _ => return Err(error),
        };
        U256::from_str_radix(&digits, 10).map_err(|_| error)
    }

    fn word(&self, member: &'static str) -> Result<B256, OrderJsonError> {
        self.parsed(member, "0x and 64 hex digits")
    }
}

/// Declares how the members of an order stand in JSON: numbers as decimal text, addresses checksummed, words in hex.
macro_rules! order_json {
    ($order:ident, $kind:literal, $($member:ident: $form:ident),+) => {
        impl Order for $order {
            const KIND: &'static str = $kind;

            fn to_json(&self) -> serde_json::Map<String, serde_json::Value> {
                let mut members = serde_json::Map::new();
                $(members.insert(stringify!($member).to_owned(), order_json!(@write $form, self.$member).into());)+
                members
            }

            fn from_json(members: &Members<'_>) -> Result<Self, OrderJsonError> {
                Ok(Self { $($member: order_json!(@read $form, members, stringify!($member)),)+ })
            }
        }
    };
    (@write address, $value:expr) => { address::checksummed(&$value) };
    (@write number, $value:expr) => { $value.to_string() };
    (@write word, $value:expr) => { format!("{:#x}", $value) };
    (@write text, $value:expr) => { $value.clone() };
    (@read text, $members:ident, $member:expr) => {
        $members.text($member).ok_or(OrderJsonError { member: $member, expected: "a text" })?.to_owned()
    };
    (@read $form:ident, $members:ident, $member:expr) => { $members.$form($member)? };
}

order_json!(AppOrder, "app", app: address, appprice: number, volume: number, tag: word, datasetrestrict: address,
    workerpoolrestrict: address, requesterrestrict: address, salt: word);
order_json!(DatasetOrder, "dataset", dataset: address, datasetprice: number, volume: number, tag: word, apprestrict: address,
    workerpoolrestrict: address, requesterrestrict: address, salt: word);
order_json!(WorkerpoolOrder, "workerpool", workerpool: address, workerpoolprice: number, volume: number, tag: word,
    category: number, trust: number, apprestrict: address, datasetrestrict: address, requesterrestrict: address, salt: word);
order_json!(RequestOrder, "request", app: address, appmaxprice: number, dataset: address, datasetmaxprice: number,
    workerpool: address, workerpoolmaxprice: number, requester: address, volume: number, tag: word, category: number,
    trust: number, beneficiary: address, callback: address, params: text, salt: word);

/// Why the hub would refuse to match four orders, in its own order (`iExecV5-matchOrders-0x…`).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// 0x00.
    #[error("request asks for category {asked}, the workerpool offers {offered}")]
    Category {
        /// The request's.
        asked: U256,
        /// The workerpool's.
        offered: U256,
    },
    /// 0x02.
    #[error("request asks for trust {asked}, the workerpool offers {offered}")]
    Trust {
        /// The request's.
        asked: U256,
        /// The workerpool's.
        offered: U256,
    },
    /// 0x03 to 0x05.
    #[error("{what} costs {price} nRLC per task, the request pays at most {maximum}")]
    Price {
        /// App, dataset or workerpool.
        what: &'static str,
        /// What it costs.
        price: U256,
        /// What the request pays.
        maximum: U256,
    },
    /// 0x06.
    #[error("tag {asked:#x} asks for what the workerpool's tag {offered:#x} does not offer")]
    Tag {
        /// Of app, dataset and request together.
        asked: B256,
        /// The workerpool's.
        offered: B256,
    },
    /// 0x07.
    #[error("an enclave is asked for, but the app order's tag does not offer one")]
    AppWithoutEnclave,
    /// 0x10 and 0x11.
    #[error("request names {what} {asked}, the order is for {offered}")]
    Other {
        /// App or dataset.
        what: &'static str,
        /// The request's.
        asked: Address,
        /// The order's.
        offered: Address,
    },
    /// 0x12 to 0x1b.
    #[error("{whose} is restricted to {what} {only}, not {found}")]
    Restricted {
        /// Which order restricts.
        whose: &'static str,
        /// What it restricts.
        what: &'static str,
        /// What it is restricted to; perhaps a whitelist.
        only: Address,
        /// What the other orders bring.
        found: Address,
    },
}

/// Compares four orders as the hub does, without what only the chain knows: signatures, volumes left, balances, whitelists.
/// A restriction that is neither zero nor the very address is reported, since only the chain can tell whether it is a whitelist
/// that holds the address.
pub fn mismatches(
    app: &AppOrder,
    dataset: &DatasetOrder,
    workerpool: &WorkerpoolOrder,
    request: &RequestOrder,
) -> Vec<Mismatch> {
    let mut found = Vec::new();
    if request.category != workerpool.category {
        found.push(Mismatch::Category { asked: request.category, offered: workerpool.category });
    }
    if request.trust > workerpool.trust {
        found.push(Mismatch::Trust { asked: request.trust, offered: workerpool.trust });
    }
    for (what, price, maximum) in [
        ("app", app.appprice, request.appmaxprice),
        ("dataset", dataset.datasetprice, request.datasetmaxprice),
        ("workerpool", workerpool.workerpoolprice, request.workerpoolmaxprice),
    ] {
        if price > maximum {
            found.push(Mismatch::Price { what, price, maximum });
        }
    }
    let asked = deal_tag(app.tag, dataset.tag, request.tag);
    if (asked & !workerpool.tag) != B256::ZERO {
        found.push(Mismatch::Tag { asked, offered: workerpool.tag });
    }
    if asked[31] & TEE != 0 && app.tag[31] & TEE == 0 {
        found.push(Mismatch::AppWithoutEnclave);
    }
    for (what, asked, offered) in [("app", request.app, app.app), ("dataset", request.dataset, dataset.dataset)] {
        if asked != offered {
            found.push(Mismatch::Other { what, asked, offered });
        }
    }
    let requester = request.requester;
    for (whose, what, only, brought) in [
        ("request order", "workerpool", request.workerpool, workerpool.workerpool),
        ("app order", "dataset", app.datasetrestrict, dataset.dataset),
        ("app order", "workerpool", app.workerpoolrestrict, workerpool.workerpool),
        ("app order", "requester", app.requesterrestrict, requester),
        ("dataset order", "app", dataset.apprestrict, app.app),
        ("dataset order", "workerpool", dataset.workerpoolrestrict, workerpool.workerpool),
        ("dataset order", "requester", dataset.requesterrestrict, requester),
        ("workerpool order", "app", workerpool.apprestrict, app.app),
        ("workerpool order", "dataset", workerpool.datasetrestrict, dataset.dataset),
        ("workerpool order", "requester", workerpool.requesterrestrict, requester),
    ] {
        if !only.is_zero() && only != brought {
            found.push(Mismatch::Restricted { whose, what, only, found: brought });
        }
    }
    found
}

/// The tag that a deal of orders with these tags has.
pub fn deal_tag(app: B256, dataset: B256, request: B256) -> B256 {
    let mut dataset = dataset;
    dataset[31] &= !FRAMEWORKS;
    app | dataset | request
}

#[cfg(test)]
mod tests;
