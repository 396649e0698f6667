//! The command line as types: every command, option and help text. Parsing happens here and nothing else does.

mod account;
mod app;
mod dataset;
mod devnet;
mod order;
mod pool;
mod task;
mod words;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueHint};
use strongroom_attest::EvidenceKind;
use strongroom_protocol::address::parse_checked;
use strongroom_protocol::{Address, B256, RequesterSecretName, UnixSeconds};
use url::Url;

use crate::chains::ChainName;
use crate::keystore::ScryptCost;
use crate::wallet::WalletName;

pub(crate) use account::AccountCommand;
pub(crate) use app::{AppCommand, AppDeployment, Template};
pub(crate) use dataset::{DatasetCommand, DatasetDeployment, Granting};
pub(crate) use devnet::{DevnetCommand, DevnetFolder, DevnetProgram};
pub(crate) use order::{BookSearch, Kind, OrderCommand, OrderSource, Signing};
pub(crate) use pool::{PoolCommand, PoolOffer, PoolSettings};
pub(crate) use task::{Buying, TaskCommand};
pub(crate) use words::{NamedSecret, TagWord};

// Headings of the help, so that the options of one command stand together.
const GENERAL: &str = "General options";
const WALLET: &str = "Wallet options";
const SMS: &str = "SMS options";
const NETWORK: &str = "Network options";

const EXIT_CODES: &str = "\
Exit codes:
  0  done; for check commands: the secret is there; for evidence: the policy accepts it
  1  trouble: it could not be done or found out; trying again may help
  2  the command line is wrong
  3  refused: the wallet is not allowed to do this, a contract or the order book says no, or something
     is missing; for evidence: it is not good enough
  4  not found; for check commands: the secret is not there; for devnet status: it is down
  5  already there, and not replaced
  6  a file, value or setting that was given is not acceptable
  7  the wallet stays locked: no password, or a wrong one

Every command takes --json: the answer is then one JSON object on standard output, an error is one
JSON object on standard error. Secrets and passwords are read from files, standard input or hidden
prompts, never from arguments.";

const INSPECT_EXIT_CODES: &str = "\
Exit codes:
  0  accepted: authentic, every rule of the policy passed, and the report data is the one given.
     Without --report-data the last part is not known: it may have been made for anything
  3  refused: not authentic, made for other report data, or a rule failed; the first reason is told
  1  undecided: the endorsements are missing, expired, damaged or for another platform
  6  a file is not what it should be: nothing was judged

An envelope is a JSON object of kind (sgx, tdx, snp or nitro), document (base64) and, for TDX,
event_log (JSON as text). Endorsements are Intel's collateral as one JSON object, as its tools and
verification libraries keep it; for AMD the certificates of chip and issuer, and the revocation
list, in DER or PEM; or the files that the service keeps. Nitro needs none.";

/// Keeps confidential assets of iExec apps, datasets and requesters in a Strongroom (or any iExec) SMS, grants their use, and
/// buys tasks that use them.
#[derive(Debug, Parser)]
#[command(name = "strongroom", version, max_term_width = 120, after_help = EXIT_CODES)]
#[command(arg_required_else_help = true, infer_subcommands = false, disable_help_subcommand = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) general: General,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Args)]
pub(crate) struct General {
    /// Answer with one JSON object on standard output; errors are one JSON object on standard error
    #[arg(help_heading = GENERAL, long, global = true)]
    pub(crate) json: bool,
    /// Print no progress and no notes
    #[arg(help_heading = GENERAL, long, short, global = true)]
    pub(crate) quiet: bool,
    /// Send transactions without asking first; only a person at a terminal is asked
    #[arg(help_heading = GENERAL, long, short = 'y', global = true)]
    pub(crate) yes: bool,
    /// Settings file [default: strongroom/config.toml in the user's configuration folder]
    #[arg(help_heading = GENERAL, long, global = true, value_name = "FILE", env = "STRONGROOM_CLI_CONFIG", hide_env_values = true)]
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) config: Option<PathBuf>,
    /// Folder of wallets and result keys [default: strongroom in the user's data folder]
    #[arg(help_heading = GENERAL, long, global = true, value_name = "FOLDER", env = "STRONGROOM_DATA", hide_env_values = true)]
    #[arg(value_hint = ValueHint::DirPath)]
    pub(crate) data: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make, import and look at wallets, the keys that sign
    #[command(subcommand, arg_required_else_help = true)]
    Wallet(WalletCommand),
    /// Choose the network, and describe further ones
    #[command(subcommand, arg_required_else_help = true)]
    Chain(ChainCommand),
    /// Money: in the wallet, and at the hub for paying tasks
    #[command(subcommand, arg_required_else_help = true)]
    Account(AccountCommand),
    /// Programs: write, register, publish them, and their developer's secret
    #[command(subcommand, arg_required_else_help = true)]
    App(AppCommand),
    /// A requester's named secrets
    #[command(subcommand, arg_required_else_help = true)]
    Requester(RequesterCommand),
    /// Files: encrypt, register, grant and revoke them, and their key
    #[command(subcommand, arg_required_else_help = true)]
    Dataset(DatasetCommand),
    /// Workerpools
    #[command(subcommand, arg_required_else_help = true)]
    Pool(PoolCommand),
    /// Orders: sign, publish, cancel and match them, and look into the order book
    #[command(subcommand, arg_required_else_help = true)]
    Order(OrderCommand),
    /// Buy tasks, watch them, fetch their results
    #[command(subcommand, arg_required_else_help = true)]
    Task(TaskCommand),
    /// The key for which results are encrypted
    #[command(subcommand, arg_required_else_help = true)]
    Result(ResultCommand),
    /// Which secrets the SMS has
    #[command(subcommand, arg_required_else_help = true)]
    Secret(SecretCommand),
    /// What an enclave proves
    #[command(subcommand, arg_required_else_help = true)]
    Evidence(EvidenceCommand),
    /// A network of one's own on this machine, to try everything
    #[command(subcommand, arg_required_else_help = true)]
    Devnet(DevnetCommand),
    /// Look at settings, wallet and every service, and say how to mend what is wrong
    Doctor {
        #[command(flatten)]
        wallet: WalletChoice,
        #[command(flatten)]
        service: Service,
    },
    /// Print the manual page, or write the pages of all commands into a folder
    Man {
        /// Write one page for each command into this folder
        #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
        folder: Option<PathBuf>,
    },
    /// Print the completion script of a shell
    Completion {
        /// The shell that will read it
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum WalletCommand {
    /// Make a new wallet and encrypt it under a password
    Create {
        /// How to call it [default: a name of time and address, as geth and iexec make them]
        name: Option<WalletName>,
        #[command(flatten)]
        folder: WalletFolder,
        #[command(flatten)]
        password: PasswordSource,
        /// Cost of guessing the password: the n of scrypt, a power of two
        #[arg(long, value_name = "N", default_value_t = ScryptCost::STANDARD)]
        scrypt_n: ScryptCost,
    },
    /// Encrypt an existing private key, or another wallet file, as a wallet here
    Import {
        /// How to call it [default: a name of time and address, as geth and iexec make them]
        // Checked later, so that a private key in its place is not repeated in an error message.
        name: Option<String>,
        /// A file with the private key as 64 hex digits, or a wallet file; `-` is standard input [default: standard
        /// input, or a hidden prompt on a terminal]. The password given is the one of the wallet file, which is kept
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        from_file: Option<PathBuf>,
        #[command(flatten)]
        folder: WalletFolder,
        #[command(flatten)]
        password: PasswordSource,
        /// Cost of guessing the password: the n of scrypt, a power of two
        #[arg(long, value_name = "N", default_value_t = ScryptCost::STANDARD)]
        scrypt_n: ScryptCost,
        /// Catches a key typed as an argument, so that it is not repeated in an error message.
        #[arg(hide = true)]
        misplaced: Vec<OsString>,
    },
    /// Show a wallet's address and file; the password is not needed
    Show {
        #[command(flatten)]
        wallet: WalletChoice,
    },
    /// List the wallets
    List {
        #[command(flatten)]
        folder: WalletFolder,
    },
    /// Make a wallet the one that is used when none is named
    Use {
        /// Name or address
        wallet: String,
        #[command(flatten)]
        folder: WalletFolder,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ChainCommand {
    /// Describe a network of your own
    Add(Box<ChainDescription>),
    /// Make a network the one that is used when none is named
    Use {
        /// Name of the network
        name: ChainName,
    },
    /// List the networks
    List,
    /// Show one network
    Show {
        /// Name of the network [default: the one in use]
        name: Option<ChainName>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct ChainDescription {
    /// How to call it: lower-case letters, digits and hyphens
    pub(crate) name: ChainName,
    /// Number of the chain
    #[arg(long, value_name = "NUMBER")]
    pub(crate) chain_id: u64,
    /// Address of the PoCo hub contract
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub(crate) hub: Address,
    /// JSON-RPC endpoint of a node; may be given several times
    #[arg(long, value_name = "URL", required = true)]
    pub(crate) rpc: Vec<Url>,
    /// Where the SMS answers: scheme, host and port, without a path
    #[arg(long, value_name = "URL")]
    pub(crate) sms: Url,
    /// Allow an SMS without TLS on another machine: everybody on the way can read the secrets
    #[arg(long)]
    pub(crate) danger_plain_http: bool,
    #[command(flatten)]
    pub(crate) services: ChainServices,
    /// Replace a network of the same name
    #[arg(long)]
    pub(crate) replace: bool,
    /// Use it from now on
    #[arg(long = "use")]
    pub(crate) use_it: bool,
}

/// What stands beside chain and SMS. Commands that need one say so when it is missing.
#[derive(Debug, Args)]
pub(crate) struct ChainServices {
    /// Root of the order book
    #[arg(long, value_name = "URL")]
    pub(crate) market: Option<Url>,
    /// Gateway where files of IPFS are read
    #[arg(long, value_name = "URL")]
    pub(crate) ipfs_gateway: Option<Url>,
    /// API of an IPFS node where files are put
    #[arg(long, value_name = "URL")]
    pub(crate) ipfs_node: Option<Url>,
    /// Service that keeps results on their way to IPFS
    #[arg(long, value_name = "URL")]
    pub(crate) result_proxy: Option<Url>,
    /// Service that tells where workerpools answer
    #[arg(long, value_name = "URL")]
    pub(crate) compass: Option<Url>,
    /// Workerpool to use when none is named
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    pub(crate) workerpool: Option<Address>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum RequesterCommand {
    /// Push a secret under a name. It can never be changed afterwards
    PushSecret {
        /// Name: 1 to 64 characters from 0-9, A-Z, a-z, - and _
        name: RequesterSecretName,
        #[command(flatten)]
        push: Push,
    },
    /// Say whether a requester has a secret of this name
    CheckSecret {
        /// Name: 1 to 64 characters from 0-9, A-Z, a-z, - and _
        name: RequesterSecretName,
        /// Address of the requester [default: the wallet]
        #[arg(value_parser = address)]
        requester: Option<Address>,
        #[command(flatten)]
        wallet: WalletChoice,
        #[command(flatten)]
        service: Service,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum ResultCommand {
    /// Push the wallet's public key for results. Makes an RSA-4096 pair when the wallet has none
    #[command(after_help = "\
The private half stays in the data folder, in result-keys/ADDRESS.NUMBER.private.pem, encrypted
under the wallet's password (PKCS#8). For programs that want it in the clear:
  openssl pkcs8 -in FILE -out PLAIN.pem
Pairs are never overwritten: results that are already encrypted need the old ones.")]
    PushEncryptionKey {
        /// Push this public key (PEM, RSA) instead of one of ours
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "new_pair")]
        public_key: Option<PathBuf>,
        /// Make a new pair even though the wallet has one
        #[arg(long)]
        new_pair: bool,
        /// Replace the key that the SMS has
        #[arg(long)]
        force_update: bool,
        #[command(flatten)]
        wallet: WalletChoice,
        #[command(flatten)]
        password: PasswordSource,
        #[command(flatten)]
        service: Service,
    },
    /// Say whether an account has a key for results
    CheckEncryptionKey {
        /// Address of the account [default: the wallet]
        #[arg(value_parser = address)]
        account: Option<Address>,
        #[command(flatten)]
        wallet: WalletChoice,
        #[command(flatten)]
        service: Service,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum SecretCommand {
    /// List the secrets that were pushed from here, and those that are named: where they are, and whether they are there
    #[command(after_help = "\
What is pushed from here is remembered in the data folder: which secret, and to which SMS, which is
asked whether it is there. The network's SMS is asked for those that are named, and for the wallet's
key for results. With --sms or --chain only that SMS is asked. Values never come back.")]
    List {
        /// Ask for the secret of this app [default: those in deployed.json here]; may be given several times
        #[arg(long, value_name = "ADDRESS", value_parser = address)]
        app: Vec<Address>,
        /// Ask for the key of this dataset [default: those in deployed.json here]; may be given several times
        #[arg(long, value_name = "ADDRESS", value_parser = address)]
        dataset: Vec<Address>,
        /// Ask for the wallet's requester secret of this name; may be given several times
        #[arg(long, value_name = "NAME")]
        name: Vec<RequesterSecretName>,
        #[command(flatten)]
        wallet: WalletChoice,
        #[command(flatten)]
        service: Service,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum EvidenceCommand {
    /// Say what a piece of evidence is, what of it is authentic, and how each rule of a policy judges it. Uses no network
    #[command(after_help = INSPECT_EXIT_CODES)]
    Inspect(Box<Inspect>),
}

#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// The evidence: an envelope (JSON), or a quote, report or Nitro document as it is
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) file: PathBuf,
    /// What a document without envelope is: sgx, tdx, snp or nitro [default: told by its first bytes]
    #[arg(long)]
    pub(crate) kind: Option<EvidenceKind>,
    /// Event log of a TDX quote without envelope (JSON)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) event_log: Option<PathBuf>,
    /// What the vendor says about the platform: a file, or a folder of which the files that fit are used
    #[arg(long, value_name = "FILE|FOLDER", value_hint = ValueHint::AnyPath)]
    pub(crate) endorsements: Option<PathBuf>,
    /// When the endorsements were fetched, as for --at [default: as their files say, else when Intel issued them; AMD's
    /// certificates do not say]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) fetched_at: Option<UnixSeconds>,
    /// Judge as of this time: seconds since 1970, or a date like 2025-07-19T04:40:00Z [default: now]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) at: Option<UnixSeconds>,
    /// The report data that the evidence must carry: 128 hex digits [default: not checked, and said so]
    #[arg(long, value_name = "HEX", value_parser = report_data)]
    pub(crate) report_data: Option<[u8; 64]>,
    /// The rules, TOML or JSON [default: those for production]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) policy: Option<PathBuf>,
    /// Approved operating-system images of TDX guests, TOML or JSON; one that is not in it is refused [default: not judged]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) images: Option<PathBuf>,
    /// Also trust this root of a simulator (DER), named as `strongroom-simulator roots` does: intel.der, amd-milan.der,
    /// aws.der…; may be given several times. What is below it stays marked as simulated
    #[cfg(feature = "development-anchors")]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) root: Vec<PathBuf>,
}

/// What every command that pushes a value takes.
#[derive(Debug, Args)]
pub(crate) struct Push {
    /// Read the value from this file, byte for byte; `-` is standard input [default: standard input, or a hidden prompt on
    /// a terminal]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) from_file: Option<PathBuf>,
    /// Drop one line break at the end of a value from a file or standard input (`echo` adds one); without this it is part
    /// of the value
    #[arg(long)]
    pub(crate) trim: bool,
    #[command(flatten)]
    pub(crate) wallet: WalletChoice,
    #[command(flatten)]
    pub(crate) password: PasswordSource,
    #[command(flatten)]
    pub(crate) service: Service,
    /// Catches a value typed as an argument, so that it is not repeated in an error message.
    #[arg(hide = true)]
    pub(crate) misplaced: Vec<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct WalletFolder {
    /// Folder of wallet files; `ethereum` is the one that geth and iexec use, `local` the current one [default: wallets in
    /// the data folder; without any there, the current folder]
    #[arg(help_heading = WALLET, long, value_name = "FOLDER", env = "STRONGROOM_KEYSTORE", hide_env_values = true)]
    #[arg(value_hint = ValueHint::DirPath)]
    pub(crate) keystore: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct WalletChoice {
    /// Wallet, by name or address [default: the one in use, or the only one]
    #[arg(help_heading = WALLET, long, value_name = "NAME|ADDRESS", env = "STRONGROOM_WALLET", hide_env_values = true)]
    pub(crate) wallet: Option<String>,
    #[command(flatten)]
    pub(crate) folder: WalletFolder,
}

#[derive(Debug, Args)]
pub(crate) struct PasswordSource {
    /// Read the wallet's password from this file; one line break at the end is dropped [default: a hidden prompt]
    #[arg(help_heading = WALLET, long, value_name = "FILE", env = "STRONGROOM_PASSWORD_FILE", hide_env_values = true)]
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) password_file: Option<PathBuf>,
    /// Read the wallet's password from standard input; one line break at the end is dropped
    #[arg(help_heading = WALLET, long, conflicts_with = "password_file")]
    pub(crate) password_stdin: bool,
}

/// The wallet that signs, and its password.
#[derive(Debug, Args)]
pub(crate) struct Signer {
    #[command(flatten)]
    pub(crate) wallet: WalletChoice,
    #[command(flatten)]
    pub(crate) password: PasswordSource,
}

/// Which network, and how patiently.
#[derive(Debug, Args)]
pub(crate) struct NetworkChoice {
    /// Network, by name [default: the one in use, else the default of chain.json here]
    #[arg(help_heading = NETWORK, long, value_name = "NAME", env = "STRONGROOM_CHAIN", hide_env_values = true)]
    pub(crate) chain: Option<ChainName>,
    /// Longest wait for one answer of a service, in seconds
    #[arg(help_heading = NETWORK, long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) timeout: u64,
}

/// Which SMS, and how patiently.
#[derive(Debug, Args)]
pub(crate) struct Service {
    /// Network, by name [default: the one in use, else the default of chain.json here]
    #[arg(help_heading = SMS, long, value_name = "NAME", env = "STRONGROOM_CHAIN", hide_env_values = true)]
    pub(crate) chain: Option<ChainName>,
    /// Ask this SMS instead of the network's
    #[arg(help_heading = SMS, long, value_name = "URL", env = "STRONGROOM_SMS", hide_env_values = true)]
    pub(crate) sms: Option<Url>,
    /// Longest wait for one answer, in seconds
    #[arg(help_heading = SMS, long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) timeout: u64,
    /// How often to ask again when the SMS is busy (429, 503); at most half a minute between two tries
    #[arg(help_heading = SMS, long, value_name = "TIMES", default_value_t = 4, value_parser = clap::value_parser!(u32).range(0..=20))]
    pub(crate) retries: u32,
}

fn time(text: &str) -> Result<UnixSeconds, &'static str> {
    let as_date = || u64::try_from(text.parse::<jiff::Timestamp>().ok()?.as_second()).ok();
    let seconds = text.parse().ok().or_else(as_date);
    seconds.map(UnixSeconds).ok_or("write seconds since 1970, or a date with its time zone like 2025-07-19T04:40:00Z")
}

fn report_data(text: &str) -> Result<[u8; 64], &'static str> {
    let mut bytes = [0; 64];
    let digits = text.strip_prefix("0x").unwrap_or(text);
    hex::decode_to_slice(digits, &mut bytes).map_err(|_| "report data is 64 bytes: write 128 hex digits")?;
    Ok(bytes)
}

/// What stands on a command line in place of a variable that is not set.
const EMPTY: &str = "it is empty; a variable in its place may not be set";

fn address(text: &str) -> Result<Address, String> {
    if text.is_empty() {
        return Err(EMPTY.to_owned());
    }
    parse_checked(text).map_err(|error| error.to_string())
}

/// Ids of tasks and deals, hashes of orders.
fn id(text: &str) -> Result<B256, &'static str> {
    if text.is_empty() {
        return Err(EMPTY);
    }
    text.parse().map_err(|_| "ids and hashes are 0x and 64 hex digits; check that it was copied whole")
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_time_is_seconds_or_a_date_with_its_zone() {
        for text in ["1752900000", "2025-07-19T04:40:00Z", "2025-07-19T06:40:00+02:00", "2025-07-19 04:40:00Z"] {
            assert_eq!(time(text), Ok(UnixSeconds(1_752_900_000)), "{text}");
        }
        for text in ["", "now", "-1", "2025-07-19", "2025-07-19T04:40:00", "1969-12-31T23:59:59Z"] {
            assert!(time(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_a_variable_that_is_not_set_leaves_is_told_as_such() {
        for command in [&["app", "show"][..], &["task", "explain"][..], &["dataset", "revoke", "--order"][..]] {
            let words = [&["strongroom"], command, &[""]].concat();
            let error = Arguments::try_parse_from(words).unwrap_err().to_string();
            assert!(error.contains("a variable in its place may not be set"), "{error}");
        }
        let error = Arguments::try_parse_from(["strongroom", "task", "watch", "0x12"]).unwrap_err().to_string();
        assert!(error.contains("0x and 64 hex digits"), "{error}");
    }

    #[test]
    fn an_address_with_a_mistyped_digit_is_refused_where_it_is_typed() {
        let parse = |app: &str| Arguments::try_parse_from(["strongroom", "app", "check-secret", app]);
        assert!(parse("0x1a642f0E3c3aF545E7AcBD38b07251B3990914F1").is_ok());
        let error = parse("0x1A642f0E3c3aF545E7AcBD38b07251B3990914F1").unwrap_err().to_string();
        assert!(error.contains("0x1a642f0E3c3aF545E7AcBD38b07251B3990914F1"), "{error}");
    }
}
