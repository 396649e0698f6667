//! How the program ends: each error has an exit code and, where a person can do something, a remedy. The one place that
//! decides it, without a catch-all arm, so that a new error must choose.

use crate::chains::{ChainName, SmsUrlError};
use crate::config::ConfigError;
use crate::error::CliError;
use crate::inspect::InspectError;
use crate::keystore::KeystoreError;
use crate::result_key::ResultKeyError;
use crate::secret_input::SecretInputError;
use crate::sms::SmsError;
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
        ConfigError::NoChain => Explanation::new(
            Exit::Usage,
            "name one with --chain, or for good: strongroom chain use NAME (strongroom chain list shows them)",
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
            "make one with strongroom wallet create, or import one with strongroom wallet import",
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
