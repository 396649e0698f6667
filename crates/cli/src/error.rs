//! Whatever can end a command before its answer. What each error means to the caller is decided in [`crate::exit`].

use std::io;
use std::path::PathBuf;

use alloy_primitives::U256;
use strongroom_client::ServiceError;
use strongroom_content::dataset::{DatasetError, DatasetKeyError};
use strongroom_market::MarketError;
use strongroom_oci::ImageError;
use strongroom_poco::{AssetKind, ChainConfigError, ChainError, CheckError, SendError};
use strongroom_protocol::Address;
use strongroom_protocol::address::checksummed;

use crate::amount::ParseAmountError;
use crate::chains::{ChainName, SmsUrlError};
use crate::config::ConfigError;
use crate::devnet::DevnetError;
use crate::inspect::InspectError;
use crate::ipfs::IpfsError;
use crate::keystore::KeystoreError;
use crate::order_file::OrderFileError;
use crate::pushed_secrets::PushedSecretsError;
use crate::result_file::ResultFileError;
use crate::result_key::ResultKeyError;
use crate::scheduler::SchedulerError;
use crate::secret_input::SecretInputError;
use crate::sms::SmsError;
use crate::stock_project::ProjectError;
use crate::wallet::{ParseWalletNameError, WalletError};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// The settings file, or the network in it.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The wallet files.
    #[error(transparent)]
    Wallet(#[from] WalletError),
    /// A wallet file that does not open.
    #[error("the wallet {wallet} cannot be opened")]
    Locked {
        /// Its name.
        wallet: String,
        /// Why.
        #[source]
        source: KeystoreError,
    },
    /// A value, password or key.
    #[error(transparent)]
    Input(#[from] SecretInputError),
    /// The SMS that was named.
    #[error(transparent)]
    SmsUrl(#[from] SmsUrlError),
    /// The call to the SMS.
    #[error(transparent)]
    Sms(#[from] SmsError),
    /// What was pushed from here.
    #[error(transparent)]
    PushedSecrets(#[from] PushedSecretsError),
    /// The pool, or who should know where it is.
    #[error(transparent)]
    Scheduler(#[from] SchedulerError),
    /// A call of `/v1`, which only Strongroom services have.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The SMS says that it serves something else.
    #[error("the SMS serves chain {served}, not {wanted}, or another hub")]
    OtherDeployment {
        /// Number of its chain.
        served: u64,
        /// Number of the network's chain.
        wanted: u64,
    },
    /// The key for results.
    #[error(transparent)]
    ResultKey(#[from] ResultKeyError),
    /// Evidence, or what it was to be judged with.
    #[error(transparent)]
    Inspect(#[from] InspectError),
    /// What was to be imported is no key.
    #[error("this is neither a private key nor a wallet file")]
    NotAPrivateKey,
    /// What was to be a wallet's name. It is not repeated: it may be a private key.
    #[error(transparent)]
    WalletName(#[from] ParseWalletNameError),
    /// The user has no home.
    #[error("the user's folders are unknown")]
    NoFolder {
        /// The option that names the place.
        option: &'static str,
    },
    /// The system gave no random bytes.
    #[error("the system gave no random bytes")]
    Randomness(#[source] rand::rand_core::OsError),
    /// The system gave no means to use the network.
    #[error("the system gave no means to use the network")]
    Runtime(#[source] io::Error),
    /// The network has no node.
    #[error("network {chain} names no node of its chain")]
    NoNode {
        /// The network.
        chain: ChainName,
    },
    /// The nodes of the network cannot be used.
    #[error(transparent)]
    ChainConfig(ChainConfigError),
    /// The chain did not answer.
    #[error("the chain could not be asked")]
    Chain(#[from] ChainError),
    /// The chain is not the one that was described.
    #[error("the chain is not the one of this network")]
    Check(#[from] CheckError),
    /// A transaction did not go through.
    #[error("the transaction did not go through")]
    Send(#[from] SendError),
    /// The wallet cannot pay for gas. Nothing was sent.
    #[error("wallet {} has {has} wei of the chain's coin and needs at least {needs} for gas", checksummed(wallet))]
    NoCoin {
        /// The wallet.
        wallet: Address,
        /// What it has.
        has: U256,
        /// What it needs.
        needs: U256,
        /// Whether the network gives its coin away.
        is_local_devnet: bool,
    },
    /// A transaction went through and left no trace of what it was for.
    #[error("transaction {transaction} went through, but does not say what it made")]
    NoTrace {
        /// Its hash.
        transaction: String,
    },
    /// The person said no.
    #[error("nothing was sent")]
    Declined,
    /// The network has no such service.
    #[error("network {chain} has no {service}")]
    NoService {
        /// The network.
        chain: ChainName,
        /// What is missing.
        service: &'static str,
        /// The option that names it.
        option: &'static str,
    },
    /// The order book.
    #[error(transparent)]
    Market(#[from] MarketError),
    /// Storage.
    #[error(transparent)]
    Ipfs(#[from] IpfsError),
    /// A resource that the chain does not know.
    #[error("{} {} is not registered on {chain}", kind_word(*kind), checksummed(asset))]
    NotRegistered {
        /// Of which kind.
        kind: AssetKind,
        /// Its address.
        asset: Address,
        /// The network.
        chain: ChainName,
    },
    /// A resource of somebody else.
    #[error("{} {} belongs to {}, not to this wallet {}", kind_word(*kind), checksummed(asset), checksummed(owner), checksummed(wallet))]
    NotOwner {
        /// Of which kind.
        kind: AssetKind,
        /// Its address.
        asset: Address,
        /// Its owner.
        owner: Address,
        /// The wallet.
        wallet: Address,
    },
    /// One wallet where two are meant.
    #[error("{wallet} is both owner and worker")]
    OneWallet {
        /// Its address.
        wallet: String,
    },
    /// A workerpool is needed.
    #[error("no workerpool was named, and network {chain} names none")]
    NoWorkerpool {
        /// The network.
        chain: ChainName,
    },
    /// An amount that cannot be read.
    #[error(transparent)]
    Amount(#[from] ParseAmountError),
    /// Less money than is to be moved.
    #[error("{wallet} has {has} {place}, less than {wanted}")]
    NotEnough {
        /// Whose money.
        wallet: String,
        /// How much there is.
        has: String,
        /// Where.
        place: &'static str,
        /// How much is wanted.
        wanted: String,
    },
    /// A file of a project of the iexec CLI.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// A file of orders.
    #[error(transparent)]
    OrderFile(#[from] OrderFileError),
    /// The order book does not have the order.
    #[error("the order book has no {kind} order {hash}")]
    NoOrder {
        /// Of which kind.
        kind: &'static str,
        /// Its hash.
        hash: String,
    },
    /// An order of this kind has no such member, or needs it.
    #[error("{kind} orders {what}")]
    OrderMember {
        /// Of which kind.
        kind: &'static str,
        /// What is wrong.
        what: &'static str,
    },
    /// Orders that the hub would not match.
    #[error("the orders do not match: {}", reasons.join("; "))]
    Mismatch {
        /// Why not.
        reasons: Vec<String>,
    },
    /// A file of the user.
    #[error("cannot {doing} {}", path.display())]
    File {
        /// What was to be done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A file that is not overwritten.
    #[error("{} exists already", path.display())]
    FileExists {
        /// The file.
        path: PathBuf,
    },
    /// A dataset's key.
    #[error("{} holds no key of a dataset", path.display())]
    DatasetKey {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: DatasetKeyError,
    },
    /// An encrypted dataset.
    #[error("{} cannot be decrypted", path.display())]
    Dataset {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: DatasetError,
    },
    /// A file that would be published in clear.
    #[error("{} is not encrypted: {why}", path.display())]
    NotEncrypted {
        /// The file.
        path: PathBuf,
        /// How that is known.
        why: &'static str,
    },
    /// A file that is not the one on chain.
    #[error("{} has checksum {found}, not {expected}", path.display())]
    OtherChecksum {
        /// The file.
        path: PathBuf,
        /// What it has.
        found: String,
        /// What it should have.
        expected: String,
    },
    /// An app's image.
    #[error("the image cannot be used")]
    Image(#[source] ImageError),
    /// An image without the digest that goes on chain.
    #[error("{} has no manifest, so it cannot be named on chain", path.display())]
    NoManifest {
        /// The image.
        path: PathBuf,
    },
    /// An image with several manifests.
    #[error("{} holds several images", path.display())]
    SeveralImages {
        /// The image.
        path: PathBuf,
    },
    /// Something of which no image can be made here.
    #[error("{} is neither a program of Linux nor a script of a shell", path.display())]
    NotPackable {
        /// The file.
        path: PathBuf,
    },
    /// A location that cannot stand on chain.
    #[error("`{location}` is no location of a file: write /ipfs/CID or an http(s) address")]
    Location {
        /// The text.
        location: String,
    },
    /// Neither a task nor a deal.
    #[error("{id} is no task that was begun, and no deal, on {chain}")]
    NoTask {
        /// The id.
        id: String,
        /// The network.
        chain: ChainName,
    },
    /// A deal where a task is meant.
    #[error("deal {id} has {tasks} tasks")]
    SeveralTasks {
        /// The deal.
        id: String,
        /// How many.
        tasks: u64,
    },
    /// The result of a task.
    #[error(transparent)]
    ResultFile(#[from] ResultFileError),
    /// Tasks that cannot be claimed.
    #[error("nothing can be claimed: {reason}")]
    NothingToClaim {
        /// Why not.
        reason: String,
    },
    /// The network on this machine.
    #[error(transparent)]
    Devnet(#[from] DevnetError),
}

/// What a kind of resource is called.
pub(crate) fn kind_word(kind: AssetKind) -> &'static str {
    match kind {
        AssetKind::App => "app",
        AssetKind::Dataset => "dataset",
        AssetKind::Workerpool => "workerpool",
    }
}
