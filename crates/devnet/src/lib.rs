//! The local network, and the end-to-end tests.
//!
//! [`Devnet::start`] gives a chain of its own with the published PoCo contracts on it: `anvil` as an owned child, the
//! contracts deployed in token mode and read back. [`Chain`] plays everybody on it: owners who create resources, buyers who match orders,
//! schedulers and workers. [`sms`] starts the service for it; [`home`] runs the `strongroom` command and [`sdk`] the stock `iexec`
//! SDK against both.
//!
//! Nothing here is for production: the accounts and their keys are those that every development chain has.

pub mod anvil;
pub mod artifacts;
pub mod compass;
pub mod content_store;
pub mod contracts;
pub mod deploy;
pub mod enclave;
pub mod home;
pub mod market;
mod network;
pub mod node;
pub mod npm;
pub mod order_book;
pub mod pool;
pub mod process;
pub mod programs;
pub mod resources;
pub mod result_proxy;
pub mod sdk;
pub mod simulated;
pub mod sms;
pub mod tasks;
pub mod whole;

pub use deploy::{Chain, Deployment};
pub use network::{Account, Devnet, DevnetError, Options, development_accounts};
