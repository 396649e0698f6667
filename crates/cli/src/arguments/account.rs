//! `strongroom account`.

use clap::Subcommand;
use strongroom_protocol::Address;

use super::{NetworkChoice, Signer, WalletChoice, address};

#[derive(Debug, Subcommand)]
pub(crate) enum AccountCommand {
    /// Show what an account has: at the hub, where tasks are paid from, and in the wallet
    Balance {
        /// Address of the account [default: the wallet]
        #[arg(value_parser = address)]
        account: Option<Address>,
        #[command(flatten)]
        wallet: WalletChoice,
        #[command(flatten)]
        network: NetworkChoice,
    },
    /// Pay RLC of the wallet into its account at the hub
    Deposit {
        /// How much: in nRLC, or with a unit such as 1.5 RLC
        #[arg(required = true, num_args = 1..=2, value_name = "AMOUNT")]
        amount: Vec<String>,
        #[command(flatten)]
        signer: Signer,
        #[command(flatten)]
        network: NetworkChoice,
    },
    /// Pay RLC out of the account at the hub into the wallet
    Withdraw {
        /// How much: in nRLC, or with a unit such as 1.5 RLC
        #[arg(required = true, num_args = 1..=2, value_name = "AMOUNT")]
        amount: Vec<String>,
        #[command(flatten)]
        signer: Signer,
        #[command(flatten)]
        network: NetworkChoice,
    },
}
