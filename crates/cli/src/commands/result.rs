//! `strongroom result`: the key for which results are encrypted.

use strongroom_protocol::{AccountSecretName, Address, SecretId, challenge};

use crate::arguments::{PasswordSource, ResultCommand, Service, WalletChoice};
use crate::commands::Session;
use crate::commands::secret::{Target, check};
use crate::error::CliError;
use crate::output::Answer;
use crate::result_key::{PublicKey, ResultKeys};
use crate::sms::{SmsError, describe};

/// Runs one of the commands.
pub(crate) fn run(session: &Session<'_>, command: ResultCommand) -> Result<Answer, CliError> {
    match command {
        ResultCommand::PushEncryptionKey { public_key, new_pair, force_update, wallet, password, service } => {
            let key = public_key.as_deref().map(PublicKey::read).transpose()?;
            push(session, key, new_pair, force_update, &wallet, &password, &service)
        }
        ResultCommand::CheckEncryptionKey { account, wallet, service } => {
            let config = session.config()?;
            let owner = match account {
                Some(address) => address,
                None => session.wallet(&wallet, &config)?.address()?,
            };
            check(session, &key_of(owner), &config, &service)
        }
    }
}

fn push(
    session: &Session<'_>,
    given: Option<PublicKey>,
    new_pair: bool,
    force_update: bool,
    wallet: &WalletChoice,
    password: &PasswordSource,
    service: &Service,
) -> Result<Answer, CliError> {
    let config = session.config()?;
    let target = Target::find(&config, service)?;
    let wallet = session.wallet(wallet, &config)?;
    let keys = ResultKeys::in_folder(session.data_folder()?.join("result-keys"));
    let (key, password) = session.unlock(&wallet, password)?;
    let id = key_of(key.address());

    // Asked first: making a pair is slow, and one that is not pushed would only confuse.
    let exists = target.ask(session, "Asking the SMS", async |sms| sms.has(&id).await)?;
    if exists && !force_update {
        return Err(SmsError::AlreadyExists { what: describe(&id), updatable: true, retried: false }.into());
    }
    let ours = || if new_pair { Ok(None) } else { keys.latest(key.address()) };
    let public_key = match given.map_or_else(ours, |given| Ok(Some(given)))? {
        Some(public_key) => public_key,
        None => session.screen.while_doing("Making an RSA-4096 pair", || keys.generate(key.address(), &password))?,
    };
    let value = public_key.to_secret();
    let signature = key.sign(challenge::push(&id, None, &value));
    let remembered = target.push(session, "Pushing the key", &id, async |sms| {
        if exists { sms.replace(&id, &value, signature).await } else { sms.create(&id, &value, signature).await }
    })?;

    let mut answer = target.pushed(&id, &key, exists);
    answer.json["public_key_file"] = public_key.file.display().to_string().into();
    answer.json["private_key_file"] = public_key.private_file.as_ref().map(|file| file.display().to_string()).into();
    if let Some(file) = &public_key.private_file {
        answer.text.push_str("\nThe private key is under the wallet's password, in ");
        answer.text.push_str(&file.display().to_string());
    }
    Ok(remembered.told_in(answer))
}

fn key_of(owner: Address) -> SecretId {
    let name = AccountSecretName::RESULT_ENCRYPTION_KEY.parse().expect("the reserved name is a name");
    SecretId::Account { owner, name }
}
