//! `strongroom devnet`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};
use strongroom_protocol::Address;

use super::{WalletChoice, address};

#[derive(Debug, Subcommand)]
pub(crate) enum DevnetCommand {
    /// Start a chain, an SMS, an order book, storage and a workerpool in the background, and use them. When they are up already,
    /// just use them
    Up {
        #[command(flatten)]
        folder: DevnetFolder,
        /// Longest wait until everything is up, in seconds
        #[arg(long, value_name = "SECONDS", default_value_t = 180, value_parser = clap::value_parser!(u64).range(1..=3600))]
        wait: u64,
        #[command(flatten)]
        program: DevnetProgram,
        /// Any free ports, so that it does not meet another one
        #[arg(long)]
        any_ports: bool,
    },
    /// Stop it. What it stored stays
    Down {
        #[command(flatten)]
        folder: DevnetFolder,
    },
    /// Say whether it is up, and where everything is
    Status {
        #[command(flatten)]
        folder: DevnetFolder,
    },
    /// Give an account RLC, and coins for gas: what is worth something on other networks is free on this one
    Fund {
        /// Address of the account [default: the wallet]
        #[arg(value_parser = address)]
        account: Option<Address>,
        #[command(flatten)]
        wallet: WalletChoice,
        #[command(flatten)]
        folder: DevnetFolder,
        #[command(flatten)]
        program: DevnetProgram,
    },
    /// Put an app's image where its workerpool finds it, as one is pushed to a registry elsewhere
    AddImage {
        /// The image: an OCI layout folder, or an archive of `docker save`
        #[arg(value_name = "FOLDER|FILE", value_hint = ValueHint::AnyPath)]
        image: PathBuf,
        #[command(flatten)]
        folder: DevnetFolder,
    },
    /// Print the end of what it wrote
    Logs {
        #[command(flatten)]
        folder: DevnetFolder,
        /// How many lines
        #[arg(long, short = 'n', value_name = "NUMBER", default_value_t = 50)]
        lines: usize,
    },
}

#[derive(Debug, Args)]
pub(crate) struct DevnetFolder {
    /// Folder of the network [default: devnet in the data folder]
    #[arg(long, value_name = "FOLDER", env = "STRONGROOM_DEVNET", hide_env_values = true, value_hint = ValueHint::DirPath)]
    pub(crate) folder: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct DevnetProgram {
    /// The program strongroom-devnet [default: the one beside this program]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) program: Option<PathBuf>,
}
