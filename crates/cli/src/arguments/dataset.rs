//! `strongroom dataset`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};
use strongroom_protocol::{Address, B256};

use super::app::checksum;
use super::{NetworkChoice, Push, Service, Signer, TagWord, address, id};
use crate::amount::Amount;

#[derive(Debug, Subcommand)]
pub(crate) enum DatasetCommand {
    /// Encrypt a file under a new key, as the iexec CLI does
    #[command(after_help = "\
The encrypted file goes to datasets/encrypted/NAME.enc, its key to .secrets/datasets/NAME.key (0600),
where the iexec CLI has them too. Nothing that exists is overwritten.")]
    Encrypt {
        /// The file
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Where to write the encrypted file [default: datasets/encrypted/NAME.enc]
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        output: Option<PathBuf>,
        /// Where to write the key [default: .secrets/datasets/NAME.key]
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        key_file: Option<PathBuf>,
    },
    /// Decrypt a file
    Decrypt {
        /// The encrypted file
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
        /// Where to write the content
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        output: PathBuf,
        /// The file with the key [default: .secrets/datasets/NAME.key, else .secrets/datasets/dataset.key]
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        key_file: Option<PathBuf>,
        /// SHA-256 of the encrypted file, as on chain [default: not compared]
        #[arg(long, value_name = "DIGEST", value_parser = checksum)]
        checksum: Option<B256>,
    },
    /// Register an encrypted file on chain
    Deploy(DatasetDeployment),
    /// Show what the chain says about a dataset
    Show {
        /// Address of the dataset
        #[arg(value_parser = address)]
        dataset: Address,
        #[command(flatten)]
        network: NetworkChoice,
    },
    /// Allow tasks to use the dataset: sign an order and publish it
    Grant(Granting),
    /// Take grants back for good: on chain, and out of the order book
    Revoke {
        /// Address of the dataset
        #[arg(value_parser = address)]
        dataset: Address,
        /// Only the order with this hash [default: every open order in the book]
        #[arg(long, value_name = "HASH", value_parser = id)]
        order: Option<B256>,
        #[command(flatten)]
        signer: Signer,
        #[command(flatten)]
        network: NetworkChoice,
    },
    /// List the open orders in the book, and what the chain says is left of them
    Grants {
        /// Address of the dataset
        #[arg(value_parser = address)]
        dataset: Address,
        #[command(flatten)]
        network: NetworkChoice,
    },
    /// Push the dataset's key. It can never be changed afterwards
    PushSecret {
        /// Address of the dataset
        #[arg(value_parser = address)]
        dataset: Address,
        #[command(flatten)]
        push: Push,
    },
    /// Say whether the dataset has its key
    CheckSecret {
        /// Address of the dataset
        #[arg(value_parser = address)]
        dataset: Address,
        #[command(flatten)]
        service: Service,
    },
}

#[derive(Debug, Args)]
pub(crate) struct DatasetDeployment {
    /// Name of the dataset
    #[arg(long)]
    pub(crate) name: String,
    /// The encrypted file; its checksum goes on chain
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, required_unless_present = "checksum")]
    pub(crate) file: Option<PathBuf>,
    /// Put the file on IPFS, and see that the gateway has it
    #[arg(long, requires = "file", conflicts_with = "multiaddr", required_unless_present = "multiaddr")]
    pub(crate) upload: bool,
    /// The file is not encrypted, for everybody to read. Without this, a file is refused if it is visibly not encrypted or does
    /// not open with the key of --push-key
    #[arg(long, requires = "file", conflicts_with = "push_key")]
    pub(crate) unencrypted: bool,
    /// Where the file is: /ipfs/CID, or an http(s) address
    #[arg(long, value_name = "LOCATION")]
    pub(crate) multiaddr: Option<String>,
    /// SHA-256 of the encrypted file [default: computed from the file]
    #[arg(long, value_name = "DIGEST", value_parser = checksum)]
    pub(crate) checksum: Option<B256>,
    /// Push this key to the SMS afterwards, and keep it as .secrets/datasets/ADDRESS.key
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) push_key: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) signer: Signer,
    #[command(flatten)]
    pub(crate) service: Service,
}

#[derive(Debug, Args)]
pub(crate) struct Granting {
    /// Address of the dataset
    #[arg(value_parser = address)]
    pub(crate) dataset: Address,
    /// Price of one task: in nRLC, or with a unit
    #[arg(long, value_name = "AMOUNT", default_value = "0")]
    pub(crate) price: Amount,
    /// For how many tasks
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub(crate) volume: u64,
    /// What tasks must have: tee (an enclave), gpu; `none` for nothing
    #[arg(long, value_name = "TAG", default_value = "tee")]
    pub(crate) tag: TagWord,
    /// Only this app, or a whitelist contract of apps [default: any app, which could give the content away]
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub(crate) app: Option<Address>,
    /// Only in this workerpool, or a whitelist contract
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub(crate) workerpool: Option<Address>,
    /// Only for this requester, or a whitelist contract
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub(crate) requester: Option<Address>,
    /// Only sign, and print the order
    #[arg(long)]
    pub(crate) no_publish: bool,
    #[command(flatten)]
    pub(crate) signer: Signer,
    #[command(flatten)]
    pub(crate) network: NetworkChoice,
}
