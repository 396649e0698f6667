//! `strongroom order`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};
use strongroom_protocol::{Address, B256};

use super::{NetworkChoice, Signer, TagWord, address, id};
use crate::amount::Amount;

/// The four kinds of orders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    App,
    Dataset,
    Workerpool,
    Request,
}

#[derive(Debug, Subcommand)]
pub(crate) enum OrderCommand {
    /// Sign an order and write it into orders.json, as the iexec CLI does
    Sign(Box<Signing>),
    /// Publish a signed order in the order book
    Publish {
        /// Which kind
        kind: Kind,
        #[command(flatten)]
        from: OrderFile,
        #[command(flatten)]
        signer: Signer,
        #[command(flatten)]
        network: NetworkChoice,
    },
    /// Revoke an order for good: on chain, and out of the order book
    Cancel {
        /// Which kind
        kind: Kind,
        #[command(flatten)]
        from: OrderSource,
        #[command(flatten)]
        signer: Signer,
        #[command(flatten)]
        network: NetworkChoice,
    },
    /// List open orders, the best first
    Book {
        /// Which kind
        kind: Kind,
        #[command(flatten)]
        search: BookSearch,
        #[command(flatten)]
        network: NetworkChoice,
    },
    /// Match four orders into a deal. Those that are not named by hash come from the file
    Match {
        /// File of signed orders
        #[arg(long, value_name = "FILE", default_value = "orders.json", value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Hash of an app order in the book
        #[arg(long, value_name = "HASH", value_parser = id)]
        app: Option<B256>,
        /// Hash of a dataset order in the book
        #[arg(long, value_name = "HASH", value_parser = id)]
        dataset: Option<B256>,
        /// Hash of a workerpool order in the book
        #[arg(long, value_name = "HASH", value_parser = id)]
        workerpool: Option<B256>,
        /// Hash of a request order in the book
        #[arg(long, value_name = "HASH", value_parser = id)]
        request: Option<B256>,
        #[command(flatten)]
        signer: Signer,
        #[command(flatten)]
        network: NetworkChoice,
    },
}

#[derive(Debug, Args)]
pub(crate) struct OrderFile {
    /// File of signed orders: orders.json of the iexec CLI, or one order
    #[arg(long, value_name = "FILE", default_value = "orders.json", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct OrderSource {
    #[command(flatten)]
    pub(crate) file: OrderFile,
    /// Hash of an order in the book, instead of a file
    #[arg(long, value_name = "HASH", value_parser = id, conflicts_with = "file")]
    pub(crate) order: Option<B256>,
}

/// All members of all kinds. Those that a kind does not have say nothing about it.
#[derive(Debug, Args)]
pub(crate) struct Signing {
    /// Which kind
    pub(crate) kind: Kind,
    /// The app: what an app order is for, what a request asks for, or the only one that others allow
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub(crate) app: Option<Address>,
    /// The dataset, likewise
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub(crate) dataset: Option<Address>,
    /// The workerpool, likewise
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub(crate) workerpool: Option<Address>,
    /// The only requester that is allowed [for requests: the wallet]
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub(crate) requester: Option<Address>,
    /// Price of one task: in nRLC, or with a unit
    #[arg(long, value_name = "AMOUNT", default_value = "0")]
    pub(crate) price: Amount,
    /// For how many tasks
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub(crate) volume: u64,
    /// tee, tdx, scone, gramine, gpu, joined by commas
    #[arg(long, value_name = "TAG", default_value = "none")]
    pub(crate) tag: TagWord,
    /// Category, for workerpool and request orders
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub(crate) category: u64,
    /// Replication, for workerpool and request orders
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub(crate) trust: u64,
    /// Most to pay for the app, for request orders
    #[arg(long, value_name = "AMOUNT", default_value = "0")]
    pub(crate) app_max_price: Amount,
    /// Most to pay for the dataset, for request orders
    #[arg(long, value_name = "AMOUNT", default_value = "0")]
    pub(crate) dataset_max_price: Amount,
    /// Most to pay for the workerpool, for request orders
    #[arg(long, value_name = "AMOUNT", default_value = "0")]
    pub(crate) workerpool_max_price: Amount,
    /// Who gets the result, for request orders [default: the wallet]
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub(crate) beneficiary: Option<Address>,
    /// Contract to call with the result, for request orders
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub(crate) callback: Option<Address>,
    /// Parameters (JSON), for request orders
    #[arg(long, value_name = "JSON", default_value = "{}")]
    pub(crate) params: String,
    /// Where to write the order; others in the file are kept
    #[arg(long, value_name = "FILE", default_value = "orders.json", value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) signer: Signer,
    #[command(flatten)]
    pub(crate) network: NetworkChoice,
}

#[derive(Debug, Args)]
pub(crate) struct BookSearch {
    /// For this app; whoever restricts it is asked for this very one
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub(crate) app: Option<Address>,
    /// For this dataset
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub(crate) dataset: Option<Address>,
    /// For this workerpool
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub(crate) workerpool: Option<Address>,
    /// For this requester
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub(crate) requester: Option<Address>,
    /// Of this category, for workerpool and request orders
    #[arg(long, value_name = "NUMBER")]
    pub(crate) category: Option<u64>,
    /// With at least this tag
    #[arg(long, value_name = "TAG")]
    pub(crate) tag: Option<TagWord>,
}
