//! The commands, one function each: arguments in, an [`Answer`] out. Here is what they share: where things are, and how a
//! wallet is unlocked.

pub(crate) mod chain;
pub(crate) mod completion;
pub(crate) mod evidence;
pub(crate) mod result;
pub(crate) mod secret;
pub(crate) mod wallet;

use std::path::{Path, PathBuf};

use strongroom_protocol::SigningKey;
use zeroize::Zeroizing;

use crate::Surroundings;
use crate::arguments::{AppCommand, Command, DatasetCommand, General, PasswordSource, RequesterCommand};
use crate::arguments::{WalletChoice, WalletFolder};
use crate::config::Config;
use crate::error::CliError;
use crate::output::{Answer, Screen};
use crate::secret_input::read_password;
use crate::wallet::{Wallet, Wallets};

/// What every command is given beside its arguments.
pub(crate) struct Session<'a> {
    pub(crate) screen: Screen,
    pub(crate) general: &'a General,
    pub(crate) surroundings: &'a Surroundings,
}

/// Runs the command.
pub(crate) fn run(session: &Session<'_>, command: Command) -> Result<Answer, CliError> {
    match command {
        Command::Wallet(command) => wallet::run(session, command),
        Command::Chain(command) => chain::run(session, command),
        Command::App(AppCommand::PushSecret { app, push }) => secret::push_app(session, app, &push),
        Command::App(AppCommand::CheckSecret { app, service }) => secret::check_app(session, app, &service),
        Command::Requester(RequesterCommand::PushSecret { name, push }) => secret::push_requester(session, name, &push),
        Command::Requester(RequesterCommand::CheckSecret { name, requester, wallet, service }) => {
            secret::check_requester(session, name, requester, &wallet, &service)
        }
        Command::Dataset(DatasetCommand::PushSecret { dataset, push }) => secret::push_dataset(session, dataset, &push),
        Command::Dataset(DatasetCommand::CheckSecret { dataset, service }) => {
            secret::check_dataset(session, dataset, &service)
        }
        Command::Result(command) => result::run(session, command),
        Command::Evidence(command) => evidence::run(session, command),
        Command::Completion { shell } => Ok(completion::script(shell)),
    }
}

impl Session<'_> {
    /// The settings, read now.
    pub(crate) fn config(&self) -> Result<Config, CliError> {
        let path = match (&self.general.config, &self.surroundings.config_folder) {
            (Some(path), _) => path.clone(),
            (None, Some(folder)) => folder.join("strongroom").join("config.toml"),
            (None, None) => return Err(CliError::NoFolder { option: "--config" }),
        };
        Ok(Config::load(&path)?)
    }

    /// The folder of wallets and result keys.
    pub(crate) fn data_folder(&self) -> Result<PathBuf, CliError> {
        match (&self.general.data, &self.surroundings.data_folder) {
            (Some(path), _) => Ok(path.clone()),
            (None, Some(folder)) => Ok(folder.join("strongroom")),
            (None, None) => Err(CliError::NoFolder { option: "--data" }),
        }
    }

    /// The folder of wallets that was named, else ours.
    pub(crate) fn wallets(&self, folder: &WalletFolder) -> Result<Wallets, CliError> {
        let folder = match &folder.keystore {
            Some(name) if name == Path::new("ethereum") => {
                let home = self.surroundings.home_folder.as_ref();
                home.ok_or(CliError::NoFolder { option: "--keystore" })?.join(ethereum_keystore())
            }
            Some(folder) => folder.clone(),
            None => self.data_folder()?.join("wallets"),
        };
        Ok(Wallets::in_folder(folder))
    }

    /// The wallet that was named, else the one in use, else the only one.
    pub(crate) fn wallet(&self, choice: &WalletChoice, config: &Config) -> Result<Wallet, CliError> {
        Ok(self.wallets(&choice.folder)?.choose(choice.wallet.as_deref(), config.wallet())?)
    }

    /// Opens a wallet. The password comes back too, since result keys are kept under it.
    pub(crate) fn unlock(
        &self,
        wallet: &Wallet,
        source: &PasswordSource,
    ) -> Result<(SigningKey, Zeroizing<String>), CliError> {
        let password = read_password(source, &format!("Password of wallet {} (not shown): ", wallet.name))?;
        let opened = self.screen.while_doing("Opening the wallet", || wallet.keystore.decrypt(&password));
        let key = opened.map_err(|source| CliError::Locked { wallet: wallet.name.clone(), source })?;
        Ok((key, password))
    }
}

/// Where geth and the stock `iexec` command keep wallets, below the user's home.
fn ethereum_keystore() -> &'static str {
    if cfg!(target_os = "macos") {
        "Library/Ethereum/keystore"
    } else if cfg!(windows) {
        "AppData/Roaming/Ethereum/keystore"
    } else {
        ".ethereum/keystore"
    }
}
