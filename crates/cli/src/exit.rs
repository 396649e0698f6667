//! How the program ends: each error has an exit code and, where a person can do something, a remedy. The one place that
//! decides it, without a catch-all arm, so that a new error must choose.

use strongroom_client::ServiceError;
use strongroom_market::MarketError;
use strongroom_poco::{ChainError, CheckError, SendError, match_refusal};
use strongroom_protocol::Address;
use strongroom_protocol::address::checksummed;

use crate::chains::{ChainName, SmsUrlError};
use crate::config::ConfigError;
use crate::devnet::DevnetError;
use crate::error::CliError;
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
use crate::wallet::WalletError;

/// The exit codes. They are a promise to scripts, as are the words of [`Self::as_str`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done; for check commands: the secret is there; for evidence: it is accepted.
    Done = 0,
    /// It could not be done or found out; trying again may help. For evidence: other endorsements may help.
    Trouble = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The wallet is not allowed to do this; for evidence: it is not good enough.
    Refused = 3,
    /// Not found; for check commands: the secret is not there.
    NotFound = 4,
    /// Already there, and not replaced.
    AlreadyExists = 5,
    /// A file, value or setting that was given is not acceptable.
    Invalid = 6,
    /// The wallet stays locked: no password, or a wrong one.
    Locked = 7,
}

impl Exit {
    /// The number for the operating system.
    pub(crate) fn code(self) -> u8 {
        self as u8
    }

    /// The word for it in JSON.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Trouble => "trouble",
            Self::Usage => "usage",
            Self::Refused => "refused",
            Self::NotFound => "not_found",
            Self::AlreadyExists => "already_exists",
            Self::Invalid => "invalid",
            Self::Locked => "locked",
        }
    }
}

/// What an error means to the caller.
#[derive(Debug)]
pub(crate) struct Explanation {
    /// How the program ends.
    pub(crate) exit: Exit,
    /// What to do about it.
    pub(crate) remedy: Option<String>,
}

impl Explanation {
    fn new(exit: Exit, remedy: impl Into<String>) -> Self {
        Self { exit, remedy: Some(remedy.into()) }
    }

    fn bare(exit: Exit) -> Self {
        Self { exit, remedy: None }
    }
}

/// Explains an error.
pub(crate) fn explain(error: &CliError) -> Explanation {
    match error {
        CliError::Config(error) => config(error),
        CliError::Wallet(error) => wallet(error),
        CliError::Locked { source, .. } => keystore(source),
        CliError::Input(error) => input(error),
        CliError::SmsUrl(error) => sms_url(error),
        CliError::Sms(error) => sms(error),
        CliError::PushedSecrets(error) => pushed_secrets(error),
        CliError::Scheduler(error) => scheduler(error),
        CliError::Service(error) => service(error),
        CliError::OtherDeployment { .. } => {
            Explanation::new(Exit::Invalid, "name the SMS of this network: strongroom chain show, or --sms URL")
        }
        CliError::ResultKey(error) => result_key(error),
        CliError::Inspect(error) => inspect(error),
        CliError::NotAPrivateKey => {
            Explanation::new(Exit::Invalid, "give 64 hex digits, with or without 0x, or a wallet file (JSON)")
        }
        CliError::WalletName(_) => Explanation::bare(Exit::Usage),
        CliError::NoFolder { option } => {
            Explanation::new(Exit::Usage, format!("name the place with {option}, or set HOME"))
        }
        CliError::Randomness(_) | CliError::Runtime(_) => Explanation::bare(Exit::Trouble),
        CliError::NoNode { .. }
        | CliError::ChainConfig(_)
        | CliError::Chain(_)
        | CliError::Check(_)
        | CliError::Send(_)
        | CliError::NoCoin { .. }
        | CliError::NoTrace { .. }
        | CliError::Declined
        | CliError::NoService { .. }
        | CliError::NotRegistered { .. }
        | CliError::NotOwner { .. }
        | CliError::OneWallet { .. }
        | CliError::NoWorkerpool { .. }
        | CliError::NotEnough { .. } => on_chain(error),
        CliError::Market(error) => market(error),
        CliError::Ipfs(error) => ipfs(error),
        CliError::Project(error) => project(error),
        CliError::OrderFile(error) => order_file(error),
        CliError::Amount(_) => Explanation::new(Exit::Usage, "write 100, or with a unit: 100 nRLC, 1.5 RLC"),
        CliError::NoOrder { .. }
        | CliError::OrderMember { .. }
        | CliError::Mismatch { .. }
        | CliError::NoTask { .. }
        | CliError::SeveralTasks { .. }
        | CliError::NothingToClaim { .. } => trade(error),
        CliError::File { .. }
        | CliError::FileExists { .. }
        | CliError::DatasetKey { .. }
        | CliError::Dataset { .. }
        | CliError::NotEncrypted { .. }
        | CliError::OtherChecksum { .. }
        | CliError::Image(_)
        | CliError::NoManifest { .. }
        | CliError::SeveralImages { .. }
        | CliError::NotPackable { .. }
        | CliError::Location { .. } => files(error),
        CliError::ResultFile(error) => result_file(error),
        CliError::Devnet(error) => devnet(error),
    }
}

/// What the chain, or how it was described, has against it.
fn on_chain(error: &CliError) -> Explanation {
    match error {
        CliError::NoNode { .. } | CliError::ChainConfig(_) => Explanation::new(
            Exit::Invalid,
            "describe the network again: strongroom chain add NAME --replace … --rpc URL",
        ),
        CliError::Chain(error) | CliError::Check(CheckError::Unreachable(error)) => chain(error),
        CliError::Check(CheckError::WrongChain { .. } | CheckError::WrongHub { .. }) => {
            Explanation::new(Exit::Invalid, "check its nodes, number and hub with strongroom chain show")
        }
        CliError::Send(error) => send(error),
        CliError::NoCoin { is_local_devnet, wallet, .. } => {
            Explanation::new(Exit::Refused, gas_remedy(*is_local_devnet, wallet))
        }
        CliError::NoTrace { .. } => {
            Explanation::new(Exit::Trouble, "look at the transaction with an explorer of the chain")
        }
        CliError::Declined => Explanation::new(Exit::Refused, "answer y, or give --yes"),
        CliError::NoService { chain, option, .. } => Explanation::new(
            Exit::Invalid,
            format!("describe the network again with it: strongroom chain add {chain} --replace … {option} URL"),
        ),
        CliError::NotRegistered { .. } => {
            Explanation::new(Exit::NotFound, "check the address and the network (--chain)")
        }
        CliError::NotOwner { .. } => Explanation::new(Exit::Refused, "choose the owner's wallet with --wallet"),
        CliError::OneWallet { .. } => Explanation::new(
            Exit::Usage,
            "make one for the worker: strongroom wallet create worker; then --worker worker",
        ),
        CliError::NoWorkerpool { .. } => Explanation::new(Exit::Usage, "give its address"),
        CliError::NotEnough { place: "in the wallet", .. } => {
            Explanation::new(Exit::Refused, "get RLC into the wallet first: strongroom account balance shows it")
        }
        _ => Explanation::new(Exit::Refused, "strongroom account balance shows what there is"),
    }
}

/// No answer, whatever the reason, says nothing about the question.
fn chain(_: &ChainError) -> Explanation {
    Explanation::new(
        Exit::Trouble,
        "try again, raise --timeout, or describe the network with another node: strongroom chain add NAME --replace … --rpc URL",
    )
}

fn send(error: &SendError) -> Explanation {
    match error {
        SendError::Chain { .. } => {
            Explanation::new(Exit::Trouble, "look at the chain before trying again: it may have gone through")
        }
        SendError::Reverted { reason, .. } => match match_refusal::explain(reason) {
            Some(words) => Explanation::new(Exit::Refused, format!("the hub means: {words}")),
            None => Explanation::new(Exit::Refused, "check addresses, amounts and who owns what"),
        },
        SendError::TooExpensive { .. } => Explanation::new(Exit::Trouble, "try again when gas is cheaper"),
        SendError::NoCoin { wallet, .. } => Explanation::new(Exit::Refused, gas_remedy(false, wallet)),
        SendError::Stuck { .. } => {
            Explanation::new(Exit::Trouble, "wait, and look whether it got there, before trying again")
        }
        SendError::Overtaken { .. } => Explanation::new(Exit::Trouble, "let the other program finish, then try again"),
    }
}

/// Where a wallet gets coin to pay for gas.
pub(crate) fn gas_remedy(is_local_devnet: bool, wallet: &Address) -> String {
    let wallet = checksummed(wallet);
    if is_local_devnet {
        format!("strongroom devnet fund {wallet}")
    } else {
        format!("send some of the chain's coin to {wallet}")
    }
}

fn market(error: &MarketError) -> Explanation {
    match error {
        MarketError::Client(_) => {
            Explanation::new(Exit::Trouble, "for https, the system's certificates must be installed (ca-certificates)")
        }
        MarketError::Unreachable { .. } | MarketError::Trouble { .. } => {
            Explanation::new(Exit::Trouble, "try again; strongroom chain show tells where it is looked for")
        }
        MarketError::Refused { .. } => Explanation::new(
            Exit::Refused,
            "strongroom order book shows what it has, strongroom account balance what is staked; sign an order that is \
             wrong anew: strongroom order sign",
        ),
        MarketError::NotABook { .. } => {
            Explanation::new(Exit::Trouble, "check the network's order book with strongroom chain show")
        }
    }
}

fn ipfs(error: &IpfsError) -> Explanation {
    match error {
        IpfsError::Client(_) => {
            Explanation::new(Exit::Trouble, "for https, the system's certificates must be installed (ca-certificates)")
        }
        IpfsError::Unreachable { .. } => {
            Explanation::new(Exit::Trouble, "try again; strongroom chain show tells where it is looked for")
        }
        IpfsError::Refused { status: 404, .. } => Explanation::new(
            Exit::NotFound,
            "try again later: a gateway may need a while to find a file; or describe the network with another --ipfs-gateway",
        ),
        IpfsError::Refused { .. } => Explanation::new(Exit::Trouble, "try again later, or ask its operator"),
        IpfsError::OtherFile { .. } | IpfsError::NotANode { .. } | IpfsError::TooLarge { .. } => Explanation::new(
            Exit::Trouble,
            "do not trust it: describe the network with another --ipfs-gateway or --ipfs-node",
        ),
        IpfsError::File { .. } => {
            Explanation::new(Exit::Invalid, "check the file's name, its permissions and the space left")
        }
    }
}

fn project(error: &ProjectError) -> Explanation {
    match error {
        ProjectError::Unreadable { .. } => Explanation::new(Exit::Invalid, "check the file's permissions and size"),
        ProjectError::Malformed { .. } => Explanation::new(Exit::Invalid, "correct it there"),
        ProjectError::Incomplete { .. } => {
            Explanation::new(Exit::Invalid, "add it there, or describe the network here: strongroom chain add")
        }
        ProjectError::UnusableSms { source, .. } => sms_url(source),
    }
}

fn order_file(error: &OrderFileError) -> Explanation {
    match error {
        OrderFileError::File(error) => project(error),
        OrderFileError::Absent { .. } | OrderFileError::NoOrder { .. } => {
            Explanation::new(Exit::NotFound, "sign one: strongroom order sign; or name another file with --file")
        }
        OrderFileError::Malformed { .. } => Explanation::new(Exit::Invalid, "sign it again: strongroom order sign"),
        OrderFileError::Unwritable { .. } => Explanation::new(Exit::Trouble, "look at the folder's permissions"),
    }
}

fn trade(error: &CliError) -> Explanation {
    match error {
        CliError::NoOrder { kind, .. } => Explanation::new(
            Exit::NotFound,
            format!(
                "strongroom order book {kind} shows what is there; one that is only in a file is revoked by strongroom \
                 order cancel {kind} --file FILE"
            ),
        ),
        CliError::OrderMember { .. } => Explanation::bare(Exit::Usage),
        CliError::Mismatch { .. } => Explanation::new(Exit::Refused, "sign orders that fit: strongroom order sign"),
        CliError::NoTask { .. } => Explanation::new(
            Exit::NotFound,
            "for a task that no pool has begun give the id of its deal; strongroom task list shows them",
        ),
        CliError::SeveralTasks { .. } => {
            Explanation::new(Exit::Usage, "give the id of one of them: strongroom task explain shows them")
        }
        _ => Explanation::new(Exit::Refused, "strongroom task explain tells when it can be done"),
    }
}

fn files(error: &CliError) -> Explanation {
    match error {
        CliError::File { .. } => Explanation::new(Exit::Invalid, "check the name, the permissions and the space left"),
        CliError::FileExists { .. } => {
            Explanation::new(Exit::AlreadyExists, "move it away, or name another one; nothing is overwritten")
        }
        CliError::DatasetKey { .. } => {
            Explanation::new(Exit::Invalid, "name the file of the key (--key-file; to deploy, --push-key)")
        }
        CliError::Dataset { .. } => {
            Explanation::new(Exit::Refused, "give the file and its own key (--key-file; to deploy, --push-key)")
        }
        CliError::NotEncrypted { path, .. } => Explanation::new(
            Exit::Invalid,
            format!(
                "deploy what this writes: strongroom dataset encrypt {}; or say --unencrypted if everybody may read it",
                path.display()
            ),
        ),
        CliError::OtherChecksum { .. } => Explanation::new(Exit::Refused, "take the file that was meant, whole"),
        CliError::Image(_) => Explanation::new(Exit::Refused, "build the image again, or check --checksum"),
        CliError::NoManifest { .. } => Explanation::new(
            Exit::Invalid,
            "make a layout of it: skopeo copy docker-archive:FILE oci:FOLDER; or give --checksum alone",
        ),
        CliError::SeveralImages { .. } => {
            Explanation::new(Exit::Usage, "say which one: --checksum with the digest of its manifest")
        }
        CliError::NotPackable { .. } => Explanation::new(
            Exit::Invalid,
            "name a program, or a script that begins with #!/bin/sh; build the image of anything else: docker buildx build -o \
             type=oci,dest=FOLDER.oci,tar=false …",
        ),
        _ => Explanation::new(Exit::Usage, "of IPFS, only ids that begin with Qm come out again: ipfs cid format -v 0"),
    }
}

fn result_file(error: &ResultFileError) -> Explanation {
    match error {
        ResultFileError::NotThere { .. } => {
            Explanation::new(Exit::NotFound, "strongroom task explain tells why; strongroom task watch waits for it")
        }
        ResultFileError::NoLocation => Explanation::new(Exit::NotFound, "ask the operator of the workerpool"),
        ResultFileError::Elsewhere { .. } => Explanation::new(Exit::NotFound, "fetch it from there"),
        ResultFileError::Location { .. } => Explanation::new(Exit::Invalid, "ask the operator of the workerpool"),
        ResultFileError::UnreadableKey { .. } => {
            Explanation::new(Exit::Invalid, "check the file, and the wallet's password")
        }
        ResultFileError::NoKey { .. } => Explanation::new(
            Exit::NotFound,
            "choose the beneficiary's --wallet, or name its key with --private-key; --no-decrypt leaves it encrypted",
        ),
        ResultFileError::Packed { .. } => Explanation::new(
            Exit::Invalid,
            "fetch the archive as it is, without --unpack, and look into it with care: it is what the app left",
        ),
        ResultFileError::Closed(_) => {
            Explanation::new(Exit::Refused, "choose the beneficiary's --wallet, or name its key with --private-key")
        }
    }
}

fn devnet(error: &DevnetError) -> Explanation {
    match error {
        DevnetError::NoPool { .. } => {
            Explanation::new(Exit::NotFound, "start it as a whole: strongroom devnet down, then strongroom devnet up")
        }
        DevnetError::NoMoney { .. } => Explanation::new(Exit::Trouble, "strongroom devnet logs tells how it is"),
        DevnetError::Down { .. } => Explanation::new(Exit::NotFound, "start it: strongroom devnet up"),
        DevnetError::NoProgram { .. } => {
            Explanation::new(Exit::NotFound, "install strongroom-devnet beside this program, or name it with --program")
        }
        DevnetError::NoStart { .. } => Explanation::new(Exit::Trouble, "check that it may be run"),
        DevnetError::Ended { .. } => {
            Explanation::new(Exit::Trouble, "strongroom devnet logs tells more; when ports are in use, try --any-ports")
        }
        DevnetError::Slow { .. } => {
            Explanation::new(Exit::Trouble, "strongroom devnet logs tells what it does; raise --wait next time")
        }
        DevnetError::OtherProcess { .. } => {
            Explanation::new(Exit::Refused, "the network has ended by itself; start it again: strongroom devnet up")
        }
        DevnetError::NoEnd { .. } => Explanation::new(Exit::Trouble, "strongroom devnet logs tells what it does"),
        DevnetError::File { .. } => {
            Explanation::new(Exit::Trouble, "look at its permissions, or name another --folder")
        }
        DevnetError::Description(error) => project(error),
    }
}

fn config(error: &ConfigError) -> Explanation {
    match error {
        ConfigError::Unreadable { .. } | ConfigError::Unwritable { .. } => Explanation::new(
            Exit::Trouble,
            "look at the file's and its folder's permissions, or name another with --config",
        ),
        ConfigError::Malformed { .. } => {
            Explanation::new(Exit::Invalid, "correct that line, or move the file away to start afresh")
        }
        ConfigError::UnusableChain { source, .. } => sms_url(source),
        ConfigError::Project(error) => project(error),
        ConfigError::NoChain => Explanation::new(
            Exit::Usage,
            "name one with --chain, or for good: strongroom chain use NAME (strongroom chain list shows them); or start one here: \
             strongroom devnet up",
        ),
        ConfigError::UnknownChain { known, .. } => {
            let known: Vec<_> = known.iter().map(ChainName::as_str).collect();
            Explanation::new(
                Exit::NotFound,
                format!("use one of {}, or describe it first: strongroom chain add", known.join(", ")),
            )
        }
        ConfigError::ChainExists { .. } => {
            Explanation::new(Exit::AlreadyExists, "choose another name, or replace it with --replace")
        }
    }
}

fn wallet(error: &WalletError) -> Explanation {
    match error {
        WalletError::Unreadable { .. } | WalletError::Unwritable { .. } => {
            Explanation::new(Exit::Trouble, "look at its permissions, or name another folder with --keystore")
        }
        WalletError::Unusable { source, .. } => keystore(source),
        WalletError::Exists { .. } => Explanation::new(Exit::AlreadyExists, "choose another name"),
        WalletError::Unknown { .. } => Explanation::new(
            Exit::NotFound,
            "strongroom wallet list shows the wallets; --keystore names another folder (ethereum: geth's and iexec's)",
        ),
        WalletError::Ambiguous { names, .. } => {
            Explanation::new(Exit::Usage, format!("choose one by name: {}", names.join(", ")))
        }
        WalletError::None { .. } => Explanation::new(
            Exit::NotFound,
            "make one with strongroom wallet create, or import one with strongroom wallet import (--from-file wallet.json takes \
             one of the iexec CLI)",
        ),
        WalletError::NoneChosen { names } => Explanation::new(
            Exit::Usage,
            format!("choose one with --wallet, or for good with strongroom wallet use: {}", names.join(", ")),
        ),
        WalletError::AddressUnknown { .. } => {
            Explanation::new(Exit::Usage, "give the address on the command line, or import the wallet again")
        }
    }
}

fn keystore(error: &KeystoreError) -> Explanation {
    match error {
        KeystoreError::WrongPassword => {
            Explanation::new(Exit::Locked, "try again, and check that it is the right wallet")
        }
        KeystoreError::NotAKeystore(_)
        | KeystoreError::WrongVersion { .. }
        | KeystoreError::Unsupported { .. }
        | KeystoreError::TooCostly
        | KeystoreError::Damaged => {
            Explanation::new(Exit::Invalid, "restore the file from a copy, or import the private key again")
        }
    }
}

fn input(error: &SecretInputError) -> Explanation {
    match error {
        SecretInputError::Unreadable { .. } => Explanation::new(Exit::Invalid, "check the file's name and permissions"),
        SecretInputError::Prompt(_) => Explanation::new(Exit::Trouble, "use a file or standard input instead"),
        SecretInputError::NoTerminal { what } => match *what {
            "the password" => Explanation::new(Exit::Locked, "use --password-file FILE or --password-stdin"),
            _ => Explanation::new(Exit::Usage, "use --from-file FILE or standard input"),
        },
        SecretInputError::StandardInputTwice { .. } => {
            Explanation::new(Exit::Usage, "use --from-file FILE for the one or --password-file FILE for the other")
        }
        SecretInputError::Misplaced { .. } => Explanation::new(
            Exit::Usage,
            "take another one, since this one may have been seen; use --from-file FILE, standard input or the prompt",
        ),
        SecretInputError::TooLarge(_) => Explanation::bare(Exit::Invalid),
        SecretInputError::TooLong { .. } => Explanation::new(Exit::Invalid, "check that it is the right file"),
        SecretInputError::NotText { .. } => {
            Explanation::new(Exit::Invalid, "encode other data as text, for instance with base64")
        }
        SecretInputError::Blank => {
            Explanation::new(Exit::Invalid, "check that the file or command before the pipe worked")
        }
        SecretInputError::EmptyPassword => Explanation::new(Exit::Locked, "choose one of at least one character"),
        SecretInputError::PasswordsDiffer => Explanation::new(Exit::Locked, "try again"),
    }
}

fn sms_url(error: &SmsUrlError) -> Explanation {
    match error {
        SmsUrlError::WrongScheme | SmsUrlError::NotARoot | SmsUrlError::Credentials => {
            Explanation::new(Exit::Invalid, "write it like https://sms.example.org or http://127.0.0.1:13300")
        }
        SmsUrlError::PlainHttp => Explanation::new(
            Exit::Invalid,
            "use https://; in a closed test network, describe it with: strongroom chain add --danger-plain-http",
        ),
    }
}

fn scheduler(error: &SchedulerError) -> Explanation {
    match error {
        SchedulerError::Client(_) => {
            Explanation::new(Exit::Trouble, "for https, the system's certificates must be installed (ca-certificates)")
        }
        SchedulerError::Unreachable { .. } | SchedulerError::Strange { .. } => {
            Explanation::new(Exit::Trouble, "try again later, or ask the pool's owner")
        }
        SchedulerError::Unlisted { .. } => {
            Explanation::new(Exit::NotFound, "ask the pool's owner, or describe the network with another --compass")
        }
        SchedulerError::Refused { status: 401 | 403, .. } => {
            Explanation::new(Exit::Refused, "choose the wallet that bought the task with --wallet")
        }
        SchedulerError::Refused { status: 404, .. } => Explanation::new(
            Exit::NotFound,
            "there are none yet, or none any more: pools keep them for some days after the app ended",
        ),
        SchedulerError::Refused { .. } => Explanation::new(Exit::Trouble, "try again later, or ask the pool's owner"),
    }
}

fn service(error: &ServiceError) -> Explanation {
    match error {
        ServiceError::Setup { .. } | ServiceError::Unreachable { .. } => {
            Explanation::new(Exit::Trouble, "check the network's SMS with strongroom chain show, and that it runs")
        }
        ServiceError::Trouble { .. } => Explanation::new(Exit::Trouble, "try again later"),
        ServiceError::Refused { status: 404, code, .. } if code == "no-task" => {
            Explanation::new(Exit::NotFound, "check the id and the network (--chain)")
        }
        ServiceError::Refused { status: 404, .. } => {
            Explanation::new(Exit::NotFound, "this SMS keeps no journal; only a Strongroom service does")
        }
        ServiceError::Refused { status: 401, .. } => Explanation::new(Exit::Trouble, "set this machine's clock"),
        ServiceError::Refused { .. } => {
            Explanation::new(Exit::Refused, "choose the wallet of somebody who has a part in it with --wallet")
        }
        ServiceError::Unexpected { .. } | ServiceError::Answer(_) => {
            Explanation::new(Exit::Trouble, "do not trust it: ask the service's operator, and keep the answer")
        }
    }
}

fn sms(error: &SmsError) -> Explanation {
    const CHECK: &str = "check the network's SMS with strongroom chain show, and that it runs";
    match error {
        SmsError::Client(_) => {
            Explanation::new(Exit::Trouble, "for https, the system's certificates must be installed (ca-certificates)")
        }
        SmsError::Unreachable { .. }
        | SmsError::NotAnSms { .. }
        | SmsError::Redirected { .. }
        | SmsError::Unexpected { .. } => Explanation::new(Exit::Trouble, CHECK),
        SmsError::NoAnswer { writing: true, .. } => Explanation::new(
            Exit::Trouble,
            "the secret may or may not have been stored: look with the check command before trying again",
        ),
        SmsError::NoAnswer { writing: false, .. } => Explanation::new(Exit::Trouble, "try again, or raise --timeout"),
        SmsError::Busy { .. } => Explanation::new(Exit::Trouble, "try again later, or raise --retries"),
        SmsError::Refused { needs } => Explanation::new(
            Exit::Refused,
            format!("sign with {needs} (--wallet), and check the network (strongroom chain show)"),
        ),
        SmsError::AlreadyExists { retried: true, .. } => Explanation::new(
            Exit::AlreadyExists,
            "an earlier try of this very command may have stored it; otherwise it was there before and cannot be changed",
        ),
        SmsError::AlreadyExists { updatable: true, .. } => {
            Explanation::new(Exit::AlreadyExists, "replace it with --force-update")
        }
        SmsError::AlreadyExists { updatable: false, .. } => Explanation::new(
            Exit::AlreadyExists,
            "secrets of this kind cannot be changed; use another name, or deploy the app or dataset anew",
        ),
        SmsError::Replayed { .. } => Explanation::new(
            Exit::Refused,
            "push a new value: strongroom result push-encryption-key --new-pair --force-update makes one",
        ),
        SmsError::Gone { .. } => Explanation::new(Exit::NotFound, "run the command again without --force-update"),
        SmsError::TooLarge => Explanation::new(Exit::Invalid, "this SMS takes less: the iExec one at most 4096 bytes"),
        SmsError::Invalid => {
            Explanation::new(Exit::Invalid, "the iExec SMS takes at most 4096 bytes; else report this")
        }
        SmsError::ServerTrouble { .. } => {
            Explanation::new(Exit::Trouble, "try again later, or tell the SMS's operator")
        }
    }
}

/// The secrets themselves are at their SMS, whatever becomes of the file.
fn pushed_secrets(error: &PushedSecretsError) -> Explanation {
    match error {
        PushedSecretsError::Damaged { path, .. } => Explanation::new(
            Exit::Invalid,
            format!("move {} away: it only tells secret list what to ask for", path.display()),
        ),
        PushedSecretsError::Unreadable { .. } | PushedSecretsError::Unwritable { .. } => {
            Explanation::new(Exit::Trouble, "look at the folder's permissions and the space left, or use --data")
        }
    }
}

fn result_key(error: &ResultKeyError) -> Explanation {
    match error {
        ResultKeyError::Unreadable { .. } => Explanation::new(Exit::Invalid, "check the file's name and permissions"),
        ResultKeyError::Unwritable { .. } => {
            Explanation::new(Exit::Trouble, "look at the folder's permissions, or use --data")
        }
        ResultKeyError::NotAPublicKey { .. } => Explanation::new(
            Exit::Invalid,
            "give an RSA public key in PEM (BEGIN PUBLIC KEY), as openssl pkey -pubout writes it",
        ),
        ResultKeyError::TooWeak { .. } => {
            Explanation::new(Exit::Invalid, "make one of 4096 bits: leave --public-key out")
        }
        ResultKeyError::Generation(_) | ResultKeyError::Encoding(_) => Explanation::bare(Exit::Trouble),
    }
}

fn inspect(error: &InspectError) -> Explanation {
    let remedy = match error {
        InspectError::Unreadable { .. } => "check the file's name and permissions",
        InspectError::TooLarge { .. } => "check that it is the right file",
        InspectError::Unrecognised { .. } => "decode hex or base64 first; for a damaged one say what it is with --kind",
        InspectError::Malformed { .. } => "check that it was copied whole and is of this kind (--kind says otherwise)",
        InspectError::OtherKind { .. } => "leave --kind out, or give the document without its envelope",
        InspectError::TwoEventLogs { .. } => "leave --event-log out, or give the quote without its envelope",
        InspectError::EventLog { .. } => "only a TDX quote has one: the JSON array that the guest agent answers",
        InspectError::NotEndorsements { .. }
        | InspectError::Endorsements { .. }
        | InspectError::NoChip { .. }
        | InspectError::TooManyFiles { .. } => {
            "strongroom evidence inspect --help says which files serve; name one of them instead of its folder"
        }
        InspectError::Policy { .. } => "correct it there; a policy begins with version = 1",
        InspectError::Images { .. } => "correct it there: [[images]] with name, mrtd, rtmr0 (a list), rtmr1, rtmr2",
        #[cfg(feature = "development-anchors")]
        InspectError::RootName { .. } => {
            "name it as strongroom-simulator roots does: intel.der, amd-milan.der, amd-genoa.der, amd-turin.der, aws.der"
        }
    };
    Explanation::new(Exit::Invalid, remedy)
}
