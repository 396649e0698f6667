//! Reads the PoCo contracts at one block and writes the transactions that owners, buyers and pools need.
//!
//! [`Chain`] is the handle. Every read is one `eth_call` of a small program that makes all the contract calls inside the node
//! ([`mod@reader`]), pinned to the hash of one block. "Not registered" is an answer; a [`ChainError`] means that we could not find
//! out, and never stands for a "no".

mod bulk;
mod chain;
mod config;
mod contracts;
mod endpoints;
mod error;
mod head;
mod owners;
mod reader;
mod rpc;
mod snapshot;

#[cfg(test)]
mod fake_node;

pub use bulk::{MAX_BULK_ORDERS, MAX_ORDER_SIGNATURE_BYTES};
pub use chain::Chain;
pub use config::{ChainConfig, ChainConfigError};
pub use endpoints::EndpointHealth;
pub use error::{ChainError, CheckError, EndpointError, Fault};
pub use owners::AssetKind;
pub use reader::NotAReading;
