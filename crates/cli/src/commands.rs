//! The commands, one function each: arguments in, an [`Answer`] out. Here is what they share: where things are, and how a
//! wallet is unlocked.

pub(crate) mod account;
pub(crate) mod app;
pub(crate) mod buy;
pub(crate) mod chain;
pub(crate) mod completion;
pub(crate) mod dataset;
pub(crate) mod devnet;
pub(crate) mod doctor;
pub(crate) mod evidence;
pub(crate) mod manual;
pub(crate) mod order;
pub(crate) mod pack;
pub(crate) mod pool;
pub(crate) mod pool_settings;
pub(crate) mod result;
pub(crate) mod secret;
pub(crate) mod secret_list;
pub(crate) mod task;
pub(crate) mod wallet;

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

use rand::TryRngCore;
use rand::rngs::OsRng;
use strongroom_protocol::SigningKey;
use zeroize::Zeroizing;

use crate::Surroundings;
use crate::arguments::{Command, General, PasswordSource, RequesterCommand, SecretCommand, WalletChoice, WalletFolder};
use crate::config::Config;
use crate::error::CliError;
use crate::output::{Answer, Screen};
use crate::secret_input::read_password;
use crate::wallet::{Wallet, WalletError, Wallets};

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
        Command::Account(command) => account::run(session, command),
        Command::App(command) => app::run(session, command),
        Command::Requester(RequesterCommand::PushSecret { name, push }) => secret::push_requester(session, name, &push),
        Command::Requester(RequesterCommand::CheckSecret { name, requester, wallet, service }) => {
            secret::check_requester(session, name, requester, &wallet, &service)
        }
        Command::Dataset(command) => dataset::run(session, command),
        Command::Pool(command) => pool::run(session, command),
        Command::Order(command) => order::run(session, command),
        Command::Task(command) => task::run(session, command),
        Command::Result(command) => result::run(session, command),
        Command::Secret(SecretCommand::List { app, dataset, name, wallet, service }) => {
            secret_list::list(session, secret_list::Asked { app, dataset, name }, &wallet, &service)
        }
        Command::Evidence(command) => evidence::run(session, command),
        Command::Devnet(command) => devnet::run(session, command),
        Command::Doctor { wallet, service } => Ok(doctor::run(session, &wallet, &service)),
        Command::Man { folder } => manual::run(folder.as_deref()),
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
        Ok(Config::load(&path, &self.surroundings.current_folder)?)
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
            Some(name) if name == Path::new("local") => self.surroundings.current_folder.clone(),
            Some(folder) => folder.clone(),
            None => self.data_folder()?.join("wallets"),
        };
        Ok(Wallets::in_folder(folder))
    }

    /// The wallet that was named, else the one in use, else the only one. Without any wallet of ours, one of a project of the iexec
    /// CLI in the current folder.
    pub(crate) fn wallet(&self, choice: &WalletChoice, config: &Config) -> Result<Wallet, CliError> {
        let chosen = self.wallets(&choice.folder)?.choose(choice.wallet.as_deref(), config.wallet());
        if matches!(chosen, Err(WalletError::None { .. })) && choice.folder.keystore.is_none() {
            let project = Wallets::in_folder(self.surroundings.current_folder.clone()).choose(None, None);
            if !matches!(project, Err(WalletError::None { .. })) {
                return Ok(project?);
            }
        }
        Ok(chosen?)
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

impl Session<'_> {
    /// Asks before something is sent. Only a person at a terminal is asked, and not one who said yes already.
    pub(crate) fn confirm(&self, question: &str) -> Result<(), CliError> {
        let somebody_is_there = io::stdin().is_terminal() && io::stderr().is_terminal();
        if self.general.yes || self.general.json || !somebody_is_there {
            return Ok(());
        }
        let mut answer = String::new();
        let asked = write!(io::stderr(), "{question} [y/N] ").and_then(|()| io::stdin().lock().read_line(&mut answer));
        let is_yes = ["y", "yes"].contains(&answer.trim().to_lowercase().as_str());
        if asked.is_ok() && is_yes { Ok(()) } else { Err(CliError::Declined) }
    }

    /// A path below the current folder, where it is not one by itself.
    pub(crate) fn here(&self, path: impl AsRef<Path>) -> PathBuf {
        self.surroundings.current_folder.join(path)
    }
}

/// Random bytes of the system.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], CliError> {
    let mut bytes = [0; N];
    OsRng.try_fill_bytes(&mut bytes).map_err(CliError::Randomness)?;
    Ok(bytes)
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
