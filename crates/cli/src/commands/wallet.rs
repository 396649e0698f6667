//! `strongroom wallet`: the keys that sign.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};
use strongroom_protocol::SigningKey;
use strongroom_protocol::address::checksummed;
use zeroize::Zeroizing;

use crate::arguments::{PasswordSource, WalletChoice, WalletCommand, WalletFolder};
use crate::commands::{Session, random};
use crate::error::CliError;
use crate::keystore::{Freshness, Keystore, ScryptCost};
use crate::output::Answer;
use crate::secret_input::{Source, read_new_password, read_password, read_private_key, refuse_misplaced};
use crate::wallet::{Wallet, WalletName, Wallets};

/// Runs one of the commands.
pub(crate) fn run(session: &Session<'_>, command: WalletCommand) -> Result<Answer, CliError> {
    match command {
        WalletCommand::Create { name, folder, password, scrypt_n } => {
            create(session, name, &folder, &password, scrypt_n)
        }
        WalletCommand::Import { name, from_file, folder, password, scrypt_n, misplaced } => {
            refuse_misplaced("a private key", &misplaced)?;
            let name = name.map(|name| name.parse()).transpose()?;
            import(session, name, from_file.as_deref(), &folder, &password, scrypt_n)
        }
        WalletCommand::Show { wallet } => show(session, &wallet),
        WalletCommand::List { folder } => list(session, &folder),
        WalletCommand::Use { wallet, folder } => use_wallet(session, &wallet, &folder),
    }
}

fn create(
    session: &Session<'_>,
    name: Option<WalletName>,
    folder: &WalletFolder,
    password: &PasswordSource,
    cost: ScryptCost,
) -> Result<Answer, CliError> {
    let wallets = session.wallets(folder)?;
    if let Some(name) = &name {
        wallets.check_free(name)?;
    }
    let password = read_new_password(password)?;
    let wallet = add(session, &wallets, name, &new_key()?, &password, cost)?;
    Ok(added(&wallet, "Keep a copy of the file, and the password in another place: nobody can restore either."))
}

fn import(
    session: &Session<'_>,
    name: Option<WalletName>,
    from_file: Option<&Path>,
    folder: &WalletFolder,
    password: &PasswordSource,
    cost: ScryptCost,
) -> Result<Answer, CliError> {
    let wallets = session.wallets(folder)?;
    if let Some(name) = &name {
        wallets.check_free(name)?;
    }
    let text = read_private_key(&Source::beside_password("the private key", from_file, password)?)?;
    let (key, password) = if let Some(key) = unencrypted(&text) {
        (SigningKey::from_hex(key).map_err(|_| CliError::NotAPrivateKey)?, read_new_password(password)?)
    } else if text.trim_start().starts_with('{') {
        let locked = |source| CliError::Locked { wallet: "to import".to_owned(), source };
        let keystore = Keystore::from_json(text.as_bytes()).map_err(locked)?;
        let password = read_password(password, "Password of the wallet file (not shown): ")?;
        let opened = session.screen.while_doing("Opening the wallet", || keystore.decrypt(&password));
        (opened.map_err(locked)?, password)
    } else {
        let key = SigningKey::from_hex(text.trim()).map_err(|_| CliError::NotAPrivateKey)?;
        (key, read_new_password(password)?)
    };
    let wallet = add(session, &wallets, name, &key, &password, cost)?;
    Ok(added(&wallet, "Destroy what it was imported from, unless it was encrypted."))
}

/// The key in a `wallet.json` that the iexec CLI wrote without encryption. Borrowed: no copy of it stays.
fn unencrypted(text: &str) -> Option<&str> {
    #[derive(Deserialize)]
    struct StockWallet<'a> {
        #[serde(rename = "privateKey")]
        private_key: &'a str,
    }
    serde_json::from_str::<StockWallet<'_>>(text).ok().map(|wallet| wallet.private_key)
}

fn add(
    session: &Session<'_>,
    wallets: &Wallets,
    name: Option<WalletName>,
    key: &SigningKey,
    password: &str,
    cost: ScryptCost,
) -> Result<Wallet, CliError> {
    let name = name.unwrap_or_else(|| WalletName::of_time_and_address(session.surroundings.now, key.address()));
    let fresh = Freshness { salt: random()?, iv: random()?, id: random()? };
    let keystore =
        session.screen.while_doing("Encrypting the wallet", || Keystore::encrypt(key, password, cost, &fresh));
    Ok(wallets.add(&name, keystore)?)
}

fn added(wallet: &Wallet, advice: &str) -> Answer {
    let address = wallet.keystore.claimed_address().map(|address| checksummed(&address)).unwrap_or_default();
    let text = format!("wallet   {}\naddress  {address}\nfile     {}\n{advice}", wallet.name, wallet.file.display());
    Answer::done(text, json!({ "wallet": described(wallet, false) }))
}

fn show(session: &Session<'_>, choice: &WalletChoice) -> Result<Answer, CliError> {
    let config = session.config()?;
    let wallet = session.wallet(choice, &config)?;
    let in_use = is_in_use(&wallet, config.wallet());
    let address = wallet.address()?;
    let text = format!(
        "wallet   {}{}\naddress  {}\nfile     {}",
        wallet.name,
        if in_use { " (in use)" } else { "" },
        checksummed(&address),
        wallet.file.display()
    );
    Ok(Answer::done(text, json!({ "wallet": described(&wallet, in_use) })))
}

fn list(session: &Session<'_>, folder: &WalletFolder) -> Result<Answer, CliError> {
    let config = session.config()?;
    let wallets = session.wallets(folder)?.list()?;
    let line = |wallet: &Wallet| {
        let mark = if is_in_use(wallet, config.wallet()) { '*' } else { ' ' };
        let address = wallet.keystore.claimed_address().map(|address| checksummed(&address));
        format!("{mark} {}  {}", address.unwrap_or_else(|| format!("{:42}", "(address not in the file)")), wallet.name)
    };
    let text = wallets.iter().map(line).collect::<Vec<_>>().join("\n");
    let described: Vec<_> =
        wallets.iter().map(|wallet| described(wallet, is_in_use(wallet, config.wallet()))).collect();
    Ok(Answer::done(text, json!({ "wallets": described, "in_use": config.wallet() })))
}

fn use_wallet(session: &Session<'_>, choice: &str, folder: &WalletFolder) -> Result<Answer, CliError> {
    let config = session.config()?;
    let wallet = session.wallets(folder)?.find(choice)?;
    config.use_wallet(&wallet.name)?;
    let text = format!("{} is the wallet in use.", wallet.name);
    Ok(Answer::done(text, json!({ "wallet": described(&wallet, true) })))
}

fn described(wallet: &Wallet, in_use: bool) -> Value {
    json!({
        "name": wallet.name,
        "address": wallet.keystore.claimed_address().map(|address| checksummed(&address)),
        "file": wallet.file.display().to_string(),
        "in_use": in_use,
    })
}

/// The settings name it, by name or address.
fn is_in_use(wallet: &Wallet, in_use: Option<&str>) -> bool {
    in_use.is_some_and(|choice| {
        wallet.name == choice
            || wallet
                .keystore
                .claimed_address()
                .is_some_and(|address| checksummed(&address).eq_ignore_ascii_case(choice))
    })
}

/// A key nobody has: 32 random bytes, drawn again in the (never seen) case that they are no key.
fn new_key() -> Result<SigningKey, CliError> {
    loop {
        if let Ok(key) = SigningKey::from_bytes(&Zeroizing::new(random()?)) {
            return Ok(key);
        }
    }
}
