//! `strongroom pool`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};
use strongroom_protocol::Address;

use super::{NetworkChoice, Signer, TagWord, WalletChoice, address};
use crate::amount::Amount;

#[derive(Debug, Subcommand)]
pub(crate) enum PoolCommand {
    /// Register a workerpool on chain
    Deploy {
        /// Description of the pool
        #[arg(long)]
        description: String,
        #[command(flatten)]
        signer: Signer,
        #[command(flatten)]
        network: NetworkChoice,
    },
    /// Show a workerpool: its owner, what the owner has at the hub, and its open orders
    Show {
        /// Address of the workerpool [default: the network's]
        #[arg(value_parser = address)]
        workerpool: Option<Address>,
        #[command(flatten)]
        network: NetworkChoice,
    },
    /// Write the settings with which strongroom-pool runs a workerpool of this network
    #[command(after_help = "\
On the network of `strongroom devnet` the pool simulates its enclaves, takes images from where
`strongroom devnet add-image` puts them, and lets deals name addresses of this machine. Elsewhere
[runtime] is still to be set: docs/strongroom-pool.toml has every setting, strongroom-pool doctor
says what is missing.")]
    Settings(Box<PoolSettings>),
    /// Sign an order for the pool and publish it: whoever it allows may buy its tasks
    Publish(Box<PoolOffer>),
}

#[derive(Debug, Args)]
pub(crate) struct PoolSettings {
    /// Address of the workerpool
    #[arg(value_parser = address)]
    pub(crate) workerpool: Address,
    /// Wallet of the worker, by name or address: another one than the owner's, which is --wallet
    #[arg(long, value_name = "NAME|ADDRESS")]
    pub(crate) worker: String,
    /// File in which strongroom-pool finds the password of the owner's wallet [default: it is given in the environment]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) owner_password_file: Option<PathBuf>,
    /// File in which it finds the password of the worker's wallet [default: it is given in the environment]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) worker_password_file: Option<PathBuf>,
    /// Folder for the pool's state, runs and images; a short path, because sockets are below it
    #[arg(long, value_name = "FOLDER", default_value = "pool", value_hint = ValueHint::DirPath)]
    pub(crate) folder: PathBuf,
    /// Port on which the pool tells about its tasks
    #[arg(long, value_name = "PORT", default_value_t = 13_000)]
    pub(crate) port: u16,
    /// Where to write the settings
    #[arg(long, value_name = "FILE", default_value = "strongroom-pool.toml", value_hint = ValueHint::FilePath)]
    pub(crate) output: PathBuf,
    /// Folder of the network on this machine [default: devnet in the data folder]
    #[arg(long, value_name = "FOLDER", env = "STRONGROOM_DEVNET", hide_env_values = true, value_hint = ValueHint::DirPath)]
    pub(crate) devnet: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) wallet: WalletChoice,
    #[command(flatten)]
    pub(crate) network: NetworkChoice,
}

#[derive(Debug, Args)]
pub(crate) struct PoolOffer {
    /// Address of the workerpool
    #[arg(value_parser = address)]
    pub(crate) workerpool: Address,
    /// Price of one task: in nRLC, or with a unit. The pool's owner holds 30 % of it as stake until a task is done
    #[arg(long, value_name = "AMOUNT", default_value = "0")]
    pub(crate) price: Amount,
    /// For how many tasks
    #[arg(long, value_name = "NUMBER", default_value_t = 1000)]
    pub(crate) volume: u64,
    /// Category: how long a task may take
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub(crate) category: u64,
    /// Highest replication that may be asked for
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub(crate) trust: u64,
    /// What the pool has: tee, tdx, scone, gramine, gpu, joined by commas
    #[arg(long, value_name = "TAG", default_value = "tee,tdx")]
    pub(crate) tag: TagWord,
    /// Only for this app
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub(crate) app: Option<Address>,
    /// Only with this dataset
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub(crate) dataset: Option<Address>,
    /// Only for this requester
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub(crate) requester: Option<Address>,
    #[command(flatten)]
    pub(crate) signer: Signer,
    #[command(flatten)]
    pub(crate) network: NetworkChoice,
}
