//! `strongroom task`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};
use strongroom_protocol::{Address, B256};
use url::Url;

use super::{NamedSecret, NetworkChoice, PasswordSource, Service, Signer, TagWord, WalletChoice, address, id};
use crate::amount::Amount;

#[derive(Debug, Subcommand)]
pub(crate) enum TaskCommand {
    /// Buy tasks of an app. First everything is looked at; what is missing is listed with what mends it
    #[command(after_help = "\
Exit code 3 when something is missing: nothing was bought then. Orders come from the order book, the
cheapest first; for an app, dataset or workerpool of the wallet's own they are signed on the fly.
Parameters of a deal are public for ever: arguments and input files must hold no secrets.")]
    Buy(Box<Buying>),
    /// List the newest deals of a requester with their tasks
    List {
        /// Address of the requester [default: the wallet]
        #[arg(value_parser = address)]
        requester: Option<Address>,
        /// How many deals
        #[arg(long, value_name = "NUMBER", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=100))]
        limit: u64,
        #[command(flatten)]
        wallet: WalletChoice,
        #[command(flatten)]
        network: NetworkChoice,
    },
    /// Watch tasks until they are over: what they go through, and how long each stage took
    #[command(after_help = "\
Stages are those of the pool, which is asked where the network's compass says that it answers.
Without it only what stands on the chain is shown. The wallet is needed for --logs alone.")]
    Watch {
        /// Id of a task, or of a deal for all its tasks
        #[arg(value_parser = id)]
        id: B256,
        /// Show afterwards what the apps printed, for the requester of the tasks
        #[arg(long)]
        logs: bool,
        #[command(flatten)]
        signer: Signer,
        #[command(flatten)]
        network: NetworkChoice,
    },
    /// Download the result of a task, and decrypt it if it is encrypted for the wallet
    Result {
        /// Id of the task, or of a deal with one task
        #[arg(value_parser = id)]
        id: B256,
        /// Where to write the archive [default: ID.zip here]
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        output: Option<PathBuf>,
        /// Write the files of the archive into this new folder instead
        #[arg(long, value_name = "FOLDER", conflicts_with_all = ["output", "no_decrypt"], value_hint = ValueHint::DirPath)]
        unpack: Option<PathBuf>,
        /// Leave an encrypted result as it is
        #[arg(long)]
        no_decrypt: bool,
        /// Decrypt with this private key (PEM) instead of the wallet's
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        private_key: Option<PathBuf>,
        #[command(flatten)]
        signer: Signer,
        #[command(flatten)]
        network: NetworkChoice,
    },
    /// Show what the app of a task printed, for the requester of the task
    #[command(after_help = "\
The pool is asked where the network's compass says that it answers. Pools keep logs for some days and
cut long ones.")]
    Logs {
        /// Id of the task, or of a deal with one task
        #[arg(value_parser = id)]
        id: B256,
        #[command(flatten)]
        signer: Signer,
        #[command(flatten)]
        network: NetworkChoice,
    },
    /// Show what the SMS decided about a task and which secrets it opened, for the parties of the task
    #[command(after_help = "\
Every entry is checked against its own bytes, and each against the one before it where they are
neighbours. Keep the hashes: an operator who shows another journal later is found out.")]
    Journal {
        /// Id of the task
        #[arg(value_parser = id)]
        id: B256,
        #[command(flatten)]
        signer: Signer,
        #[command(flatten)]
        service: Service,
    },
    /// Say where a task is and why, and what can be done
    Explain {
        /// Id of a task, or of a deal for all its tasks
        #[arg(value_parser = id)]
        id: B256,
        #[command(flatten)]
        network: NetworkChoice,
    },
    /// Get the money back for tasks that were not done in time
    Claim {
        /// Id of a task, or of a deal for all its tasks
        #[arg(value_parser = id)]
        id: B256,
        #[command(flatten)]
        signer: Signer,
        #[command(flatten)]
        network: NetworkChoice,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Buying {
    /// Address of the app
    #[arg(value_parser = address)]
    pub(crate) app: Address,
    /// Arguments of the app, as one text
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) args: Option<String>,
    /// A file for the app to download; may be given several times
    #[arg(long, value_name = "URL", alias = "input-files")]
    pub(crate) input_file: Vec<Url>,
    /// A requester secret for the app, by name: NUMBER=NAME; may be given several times
    #[arg(long, value_name = "NUMBER=NAME")]
    pub(crate) secret: Vec<NamedSecret>,
    /// Address of a dataset
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub(crate) dataset: Option<Address>,
    /// A whitelist contract that has the app: grants of the dataset to it count as well
    #[arg(long, value_name = "ADDRESS", value_parser = address, requires = "dataset")]
    pub(crate) app_whitelist: Option<Address>,
    /// Address of the workerpool [default: the network's, else any]
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub(crate) workerpool: Option<Address>,
    /// Category: how long a task may take [default: the lowest that is offered]
    #[arg(long, value_name = "NUMBER")]
    pub(crate) category: Option<u64>,
    /// What the task needs: tee, tdx, scone, gramine, gpu, joined by commas
    #[arg(long, value_name = "TAG", default_value = "tee,tdx")]
    pub(crate) tag: TagWord,
    /// Replication of the computation
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub(crate) trust: u64,
    /// How many tasks
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    pub(crate) volume: u64,
    /// Most to pay for one task, app and dataset included: in nRLC, or with a unit [default: whatever the offers cost]
    #[arg(long, value_name = "AMOUNT")]
    pub(crate) max_price: Option<Amount>,
    /// Encrypt the result for the beneficiary
    #[arg(long)]
    pub(crate) encrypt_result: bool,
    /// Where the result goes: ipfs or dropbox [default: ipfs; with --callback nowhere]
    #[arg(long, value_name = "PROVIDER", value_parser = ["ipfs", "dropbox"])]
    pub(crate) storage_provider: Option<String>,
    /// Contract to call with the result
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub(crate) callback: Option<Address>,
    /// Who gets the result [default: the wallet]
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub(crate) beneficiary: Option<Address>,
    /// Only look: buy nothing. The password is not needed
    #[arg(long)]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) afterwards: Afterwards,
    #[command(flatten)]
    pub(crate) wallet: WalletChoice,
    #[command(flatten)]
    pub(crate) password: PasswordSource,
    #[command(flatten)]
    pub(crate) service: Service,
}

/// What follows a purchase.
#[derive(Debug, Args)]
pub(crate) struct Afterwards {
    /// Watch the tasks afterwards until they are over
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) watch: bool,
    /// Then show what the apps printed
    #[arg(long, requires = "watch")]
    pub(crate) logs: bool,
}
