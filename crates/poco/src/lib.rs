//! Reads the PoCo contracts at one block and writes the transactions that owners, buyers and pools need.
//!
//! [`Chain`] is the handle. Every read is one `eth_call` of a small program that makes all the contract calls inside the node
//! ([`mod@reader`]), pinned to the hash of one block. "Not registered" is an answer; a [`ChainError`] means that we could not find
//! out, and never stands for a "no".
//!
//! Writing: make a [`calls::Call`] (pure) and give it to a [`Wallet`], which answers when it is in a block. [`orders`] are signed by
//! EIP-712 and need no transaction until they match. [`notices`] tells what happened since, without ever leaving a block out.

pub mod accounts;
mod bulk;
pub mod calls;
mod chain;
mod config;
mod contracts;
mod endpoints;
mod error;
mod head;
pub mod match_refusal;
pub mod notices;
pub mod orders;
mod owners;
mod reader;
mod rpc;
mod snapshot;
mod transaction_rpc;
mod wallet;

#[cfg(test)]
mod fake_node;

pub use bulk::{MAX_BULK_ORDERS, MAX_ORDER_SIGNATURE_BYTES};
pub use chain::Chain;
pub use config::{ChainConfig, ChainConfigError};
pub use endpoints::EndpointHealth;
pub use error::{ChainError, CheckError, EndpointError, Fault};
pub use owners::AssetKind;
pub use reader::NotAReading;
pub use wallet::{Receipt, SendError, SendLimits, Wallet};
