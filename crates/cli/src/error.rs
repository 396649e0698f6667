//! Whatever can end a command before its answer. What each error means to the caller is decided in [`crate::exit`].

use std::io;

use crate::chains::SmsUrlError;
use crate::config::ConfigError;
use crate::inspect::InspectError;
use crate::keystore::KeystoreError;
use crate::result_key::ResultKeyError;
use crate::secret_input::SecretInputError;
use crate::sms::SmsError;
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
}
