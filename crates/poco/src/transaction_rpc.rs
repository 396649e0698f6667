//! The questions around a transaction: what it takes, whether it was taken, whether it is in a block.

use alloy_primitives::{Address, B256, Bytes, Log, LogData, U64, U128, U256};
use alloy_sol_types::{Revert, SolError};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::Fault;
use crate::notices::Event;
use crate::rpc::{Question, Refusal};
use crate::wallet::Receipt;

/// Longest reason that is repeated, in characters.
const MAX_REASON: usize = 300;

fn read_number<T: for<'de> Deserialize<'de>>(result: Value, expected: &'static str) -> Result<T, Fault> {
    serde_json::from_value(result).map_err(|_| Fault::Unreadable { expected })
}

/// Up to which point the transactions of an account are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NonceAt {
    /// Those in blocks.
    Latest,
    /// Those that wait as well.
    Pending,
}

/// The number of transactions of an account: the nonce of the next one.
#[derive(Clone)]
pub(crate) struct Nonce {
    pub(crate) account: Address,
    pub(crate) at: NonceAt,
}

impl Question for Nonce {
    type Answer = u64;
    const METHOD: &'static str = "eth_getTransactionCount";

    fn params(&self) -> Value {
        json!([
            self.account,
            match self.at {
                NonceAt::Latest => "latest",
                NonceAt::Pending => "pending",
            }
        ])
    }

    fn read(&self, result: Value) -> Result<u64, Fault> {
        Ok(read_number::<U64>(result, "a number of transactions")?.to())
    }
}

/// Coin of the chain that an account has, in wei.
#[derive(Clone)]
pub(crate) struct Balance(pub(crate) Address);

impl Question for Balance {
    type Answer = U256;
    const METHOD: &'static str = "eth_getBalance";

    fn params(&self) -> Value {
        json!([self.0, "latest"])
    }

    fn read(&self, result: Value) -> Result<U256, Fault> {
        read_number(result, "a balance")
    }
}

/// The base fee of the newest block in wei; `None` on a chain without one.
#[derive(Clone)]
pub(crate) struct BaseFee;

impl Question for BaseFee {
    type Answer = Option<u128>;
    const METHOD: &'static str = "eth_getBlockByNumber";

    fn params(&self) -> Value {
        json!(["latest", false])
    }

    fn read(&self, result: Value) -> Result<Option<u128>, Fault> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Header {
            base_fee_per_gas: Option<U128>,
        }
        Ok(read_number::<Header>(result, "a block")?.base_fee_per_gas.map(|fee| fee.to()))
    }
}

/// What one unit of gas costs now, tip included, in wei.
#[derive(Clone)]
pub(crate) struct GasPrice;

impl Question for GasPrice {
    type Answer = u128;
    const METHOD: &'static str = "eth_gasPrice";

    fn params(&self) -> Value {
        json!([])
    }

    fn read(&self, result: Value) -> Result<u128, Fault> {
        Ok(read_number::<U128>(result, "a price of gas")?.to())
    }
}

/// How much gas a call would take now.
#[derive(Clone)]
pub(crate) struct EstimateGas {
    pub(crate) from: Address,
    pub(crate) to: Address,
    pub(crate) input: Bytes,
}

/// The answer to [`EstimateGas`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Estimate {
    /// That much.
    Gas(u64),
    /// The contract refuses, for this reason.
    Reverted(String),
    /// The sender cannot pay.
    NoCoin,
}

impl Question for EstimateGas {
    type Answer = Estimate;
    const METHOD: &'static str = "eth_estimateGas";

    fn params(&self) -> Value {
        // Not on what waits for a block: a transaction that is stuck is no reason to refuse its own call.
        json!([{ "from": self.from, "to": self.to, "input": self.input }, "latest"])
    }

    fn read(&self, result: Value) -> Result<Estimate, Fault> {
        Ok(Estimate::Gas(read_number::<U64>(result, "an amount of gas")?.to()))
    }

    fn read_refusal(&self, refusal: &Refusal) -> Option<Estimate> {
        let message = refusal.message.to_lowercase();
        if message.contains("insufficient funds") {
            return Some(Estimate::NoCoin);
        }
        // Code 3 is that of a revert (EIP-1474 leaves it open, all common nodes use it).
        (refusal.code == 3 || message.contains("revert")).then(|| Estimate::Reverted(revert_reason(refusal)))
    }
}

/// The reason of a revert: the text of `Error(string)` in the returned data, else what the node says. Of a contract's own errors the
/// first bytes are shown, which name it.
pub(crate) fn revert_reason(refusal: &Refusal) -> String {
    let data = refusal.data.as_str().and_then(|text| text.parse::<Bytes>().ok()).unwrap_or_default();
    let reason = match Revert::abi_decode(&data) {
        Ok(revert) if !revert.reason.is_empty() => revert.reason,
        _ if data.len() >= 4 => format!("error {:#x}", alloy_primitives::FixedBytes::<4>::from_slice(&data[..4])),
        _ if refusal.message.trim() == "execution reverted" => {
            "it gave no reason; mostly the state or the sender is not the right one".to_owned()
        }
        _ => refusal.message.trim_start_matches("execution reverted: ").trim_start_matches("revert: ").to_owned(),
    };
    reason.chars().filter(|c| !c.is_control()).take(MAX_REASON).collect()
}

/// Submits a signed transaction.
#[derive(Clone)]
pub(crate) struct SendRaw {
    pub(crate) raw: Vec<u8>,
    pub(crate) hash: B256,
}

/// The answer to [`SendRaw`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// It waits for a block, now or since before.
    Taken,
    /// A transaction with this nonce is in a block.
    NonceUsed,
    /// The node does not take it, for this reason.
    Refused {
        /// In the node's words.
        reason: String,
    },
}

impl Question for SendRaw {
    type Answer = Sent;
    const METHOD: &'static str = "eth_sendRawTransaction";

    fn params(&self) -> Value {
        json!([Bytes::copy_from_slice(&self.raw)])
    }

    fn read(&self, result: Value) -> Result<Sent, Fault> {
        let hash: B256 = read_number(result, "a transaction hash")?;
        if hash == self.hash { Ok(Sent::Taken) } else { Err(Fault::Unreadable { expected: "our transaction's hash" }) }
    }

    fn read_refusal(&self, refusal: &Refusal) -> Option<Sent> {
        let message = refusal.message.to_lowercase();
        Some(
            if ["already known", "known transaction", "already imported"].iter().any(|known| message.contains(known)) {
                Sent::Taken
            } else if message.contains("nonce too low") {
                Sent::NonceUsed
            } else {
                Sent::Refused { reason: refusal.message.chars().filter(|c| !c.is_control()).take(MAX_REASON).collect() }
            },
        )
    }
}

/// The receipt of a transaction; `None` while it is in no block.
#[derive(Clone)]
pub(crate) struct MinedReceipt {
    pub(crate) hash: B256,
}

/// The answer to [`MinedReceipt`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mined {
    pub(crate) receipt: Receipt,
    pub(crate) succeeded: bool,
}

impl Question for MinedReceipt {
    type Answer = Option<Mined>;
    const METHOD: &'static str = "eth_getTransactionReceipt";

    fn params(&self) -> Value {
        json!([self.hash])
    }

    fn read(&self, result: Value) -> Result<Option<Mined>, Fault> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Wire {
            transaction_hash: B256,
            block_number: Option<U64>,
            gas_used: U64,
            status: U64,
            logs: Vec<WireLog>,
        }
        let Some(wire) = read_number::<Option<Wire>>(result, "a receipt")? else { return Ok(None) };
        let Some(block) = wire.block_number else { return Ok(None) };
        if wire.transaction_hash != self.hash {
            return Err(Fault::Unreadable { expected: "the receipt asked for" });
        }
        let receipt = Receipt {
            transaction: self.hash,
            block: block.to(),
            gas_used: wire.gas_used.to(),
            logs: wire.logs.into_iter().map(WireLog::into_log).collect(),
        };
        Ok(Some(Mined { receipt, succeeded: wire.status.to::<u64>() == 1 }))
    }
}

/// An event as nodes write it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WireLog {
    address: Address,
    topics: Vec<B256>,
    data: Bytes,
    /// Both are there in all that is in a block.
    #[serde(default)]
    block_number: U64,
    #[serde(default)]
    transaction_hash: B256,
    /// A node may tell of events that a reorganisation removed.
    #[serde(default)]
    pub(crate) removed: bool,
}

impl WireLog {
    pub(crate) fn into_log(self) -> Log {
        Log { address: self.address, data: LogData::new_unchecked(self.topics, self.data) }
    }

    pub(crate) fn into_event(self) -> Event {
        let (block, transaction) = (self.block_number.to(), self.transaction_hash);
        Event { log: self.into_log(), block, transaction }
    }
}
