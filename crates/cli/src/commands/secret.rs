//! `strongroom app`, `requester` and `dataset`: pushing a secret that can never be changed, and asking whether it is there.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::{Value, json};
use strongroom_protocol::address::checksummed;
use strongroom_protocol::{Address, RequesterSecretName, SecretId, SigningKey, challenge};

use url::Url;

use crate::arguments::{Push, Service, WalletChoice};
use crate::chains::{ChainEntry, ChainName, check_sms_url};
use crate::commands::Session;
use crate::config::Config;
use crate::dataset_key;
use crate::error::CliError;
use crate::exit::{Exit, explain};
use crate::output::Answer;
use crate::pushed_secrets::{Pushed, PushedSecrets};
use crate::secret_input::{SecretInput, Source, read_value, refuse_misplaced};
use crate::sms::{Patience, Sms, SmsError, describe};

/// `app push-secret`
pub(crate) fn push_app(session: &Session<'_>, app: Address, push: &Push) -> Result<Answer, CliError> {
    push_secret(session, push, None, |_| SecretId::App(app))
}

/// `app check-secret`
pub(crate) fn check_app(session: &Session<'_>, app: Address, service: &Service) -> Result<Answer, CliError> {
    check(session, &SecretId::App(app), &session.config()?, service)
}

/// `dataset push-secret`. Instead of asking for the key, the one that the project has for this dataset is taken.
pub(crate) fn push_dataset(session: &Session<'_>, dataset: Address, push: &Push) -> Result<Answer, CliError> {
    let key_file = dataset_key::of_address(&session.surroundings.current_folder, dataset);
    push_secret(session, push, key_file, |_| SecretId::Dataset(dataset))
}

/// `dataset check-secret`
pub(crate) fn check_dataset(session: &Session<'_>, dataset: Address, service: &Service) -> Result<Answer, CliError> {
    check(session, &SecretId::Dataset(dataset), &session.config()?, service)
}

/// `requester push-secret`
pub(crate) fn push_requester(
    session: &Session<'_>,
    name: RequesterSecretName,
    push: &Push,
) -> Result<Answer, CliError> {
    push_secret(session, push, None, |owner| SecretId::Requester { owner, name })
}

/// `requester check-secret`
pub(crate) fn check_requester(
    session: &Session<'_>,
    name: RequesterSecretName,
    requester: Option<Address>,
    wallet: &WalletChoice,
    service: &Service,
) -> Result<Answer, CliError> {
    let config = session.config()?;
    let owner = match requester {
        Some(address) => address,
        None => session.wallet(wallet, &config)?.address()?,
    };
    check(session, &SecretId::Requester { owner, name }, &config, service)
}

/// Everything that can go wrong here goes wrong before the password is asked, and that before anything is sent.
fn push_secret(
    session: &Session<'_>,
    push: &Push,
    key_file: Option<PathBuf>,
    id_for: impl FnOnce(Address) -> SecretId,
) -> Result<Answer, CliError> {
    refuse_misplaced("a secret", &push.misplaced)?;
    let config = session.config()?;
    let target = Target::find(&config, &push.service)?;
    let wallet = session.wallet(&push.wallet, &config)?;
    let (source, trim) =
        match (Source::beside_password("the secret", push.from_file.as_deref(), &push.password)?, key_file) {
            (Source::Prompt, Some(file)) => {
                session.screen.note(&format!("the key comes from {}", file.display()));
                (Source::File(file), true)
            }
            (source, _) => (source, push.trim),
        };
    let SecretInput { value, ends_with_line_break } = read_value(&source, trim)?;
    if ends_with_line_break {
        session.screen.note("the secret ends with a line break, which is part of it; --trim drops one");
    }
    let (key, _) = session.unlock(&wallet, &push.password)?;
    let id = id_for(key.address());
    let signature = key.sign(challenge::push(&id, None, &value));
    let remembered =
        target.push(session, "Pushing the secret", &id, async |sms| sms.create(&id, &value, signature).await)?;
    Ok(remembered.told_in(target.pushed(&id, &key, false)))
}

/// Asks whether a secret is there. Absent is an answer, with an exit code of its own, and not an error.
pub(crate) fn check(
    session: &Session<'_>,
    id: &SecretId,
    config: &Config,
    service: &Service,
) -> Result<Answer, CliError> {
    let target = Target::find(config, service)?;
    let exists = target.ask(session, "Asking the SMS", async |sms| sms.has(id).await)?;
    let mut json = target.about(id);
    json["exists"] = exists.into();
    let text = format!("{} {}.", capitalised(&describe(id)), if exists { "is there" } else { "is not there" });
    Ok(Answer { exit: if exists { Exit::Done } else { Exit::NotFound }, text, json })
}

/// The SMS that is meant.
#[derive(Clone)]
pub(crate) struct Target {
    chain_name: ChainName,
    chain: ChainEntry,
    patience: Patience,
}

impl Target {
    /// The SMS that was named, else the one of the network that was named, else of the one in use.
    pub(crate) fn find(config: &Config, service: &Service) -> Result<Self, CliError> {
        let (chain_name, mut chain, _) = config.chain(service.chain.as_ref())?;
        if let Some(sms) = &service.sms {
            check_sms_url(sms, chain.danger_plain_http)?;
            chain.sms = sms.clone();
        }
        let timeout = std::time::Duration::from_secs(service.timeout);
        Ok(Self { chain_name, chain, patience: Patience { timeout, retries: service.retries } })
    }

    /// Talks to the SMS, showing that it is being waited for.
    pub(crate) fn ask<T>(
        &self,
        session: &Session<'_>,
        what: &str,
        question: impl AsyncFnOnce(&Sms) -> Result<T, SmsError>,
    ) -> Result<T, CliError> {
        let sms = Sms::new(self.chain.sms.clone(), self.patience)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CliError::Runtime)?;
        Ok(session.screen.while_doing(what, || runtime.block_on(question(&sms)))?)
    }

    /// Pushes a secret, and remembers where it is for `secret list`.
    pub(crate) fn push(
        &self,
        session: &Session<'_>,
        what: &str,
        id: &SecretId,
        push: impl AsyncFnOnce(&Sms) -> Result<(), SmsError>,
    ) -> Result<Remembered, CliError> {
        self.ask(session, what, push)?;
        let (sms, chain, chain_id) = (self.chain.sms.clone(), self.chain_name.clone(), self.chain.chain_id);
        let remember =
            |folder| PushedSecrets::in_folder(folder).remember(Pushed { id: id.clone(), sms, chain, chain_id });
        Ok(Remembered(session.data_folder().and_then(|folder| Ok(remember(folder)?))))
    }

    /// The same, for a secret that was pushed to `pushed.sms`.
    pub(crate) fn of(&self, pushed: &Pushed) -> Self {
        let chain = ChainEntry { sms: pushed.sms.clone(), chain_id: pushed.chain_id, ..self.chain.clone() };
        Self { chain_name: pushed.chain.clone(), chain, patience: self.patience }
    }

    /// The answer to a push that was acknowledged.
    pub(crate) fn pushed(&self, id: &SecretId, by: &SigningKey, updated: bool) -> Answer {
        let mut json = self.about(id);
        json["pushed"] = true.into();
        json["updated"] = updated.into();
        json["wallet"] = checksummed(&by.address()).into();
        let done = if updated { "was replaced" } else { "is stored" };
        Answer::done(format!("{} {done} by {}.", capitalised(&describe(id)), self.chain.sms), json)
    }

    /// Where it answers.
    pub(crate) fn sms(&self) -> &Url {
        &self.chain.sms
    }

    /// The contracts of its chain.
    pub(crate) fn hub(&self) -> Address {
        self.chain.hub
    }

    /// The number of its chain.
    pub(crate) fn chain_id(&self) -> u64 {
        self.chain.chain_id
    }

    /// The members that every answer about a secret has.
    pub(crate) fn about(&self, id: &SecretId) -> Value {
        json!({
            "kind": id.kind().to_string(),
            "address": checksummed(&id.address()),
            "name": Some(id.name()).filter(|name| !name.is_empty()),
            "chain": self.chain_name,
            "chain_id": self.chain.chain_id,
            "sms": self.chain.sms,
        })
    }
}

/// Whether a push is remembered here. It is done all the same.
#[must_use = "whoever pushed is told when the push is not remembered"]
pub(crate) struct Remembered(Result<(), CliError>);

impl Remembered {
    /// The answer, with the trouble that there was.
    pub(crate) fn told_in(self, mut answer: Answer) -> Answer {
        if let Err(error) = self.0 {
            let remedy = explain(&error).remedy.unwrap_or_default();
            let _ = write!(answer.text, "\nsecret list will not show it: {error}\n  remedy: {remedy}");
            answer.json["not_remembered"] = json!({ "message": error.to_string(), "remedy": remedy });
        }
        answer
    }
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}
