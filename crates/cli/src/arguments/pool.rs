//! `strongroom pool`.

use clap::Subcommand;
use strongroom_protocol::Address;

use super::{NetworkChoice, Signer, address};

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
}
