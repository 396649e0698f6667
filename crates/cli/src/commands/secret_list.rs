//! `strongroom secret list`: what the SMS has, as far as one can ask by name.

use serde_json::{Value, json};
use strongroom_protocol::address::checksummed;
use strongroom_protocol::{AccountSecretName, Address, RequesterSecretName, SecretId};

use crate::arguments::{Service, WalletChoice};
use crate::commands::Session;
use crate::commands::secret::Target;
use crate::error::CliError;
use crate::output::Answer;
use crate::sms::describe;
use crate::stock_project::Deployed;

/// What is asked for. An SMS never lists what it has.
pub(crate) struct Asked {
    pub(crate) app: Vec<Address>,
    pub(crate) dataset: Vec<Address>,
    pub(crate) name: Vec<RequesterSecretName>,
}

/// Asks for each, and for the wallet's key for results.
pub(crate) fn list(
    session: &Session<'_>,
    asked: Asked,
    wallet: &WalletChoice,
    service: &Service,
) -> Result<Answer, CliError> {
    let config = session.config()?;
    let target = Target::find(&config, service)?;
    let owner = session.wallet(wallet, &config)?.address()?;
    let deployed = Deployed::in_folder(&session.surroundings.current_folder)?;
    let chain_id = target.chain_id();
    let or =
        |given: Vec<Address>, here: Option<Address>| if given.is_empty() { here.into_iter().collect() } else { given };
    let key = AccountSecretName::RESULT_ENCRYPTION_KEY.parse().expect("the reserved name is a name");
    let mut ids: Vec<SecretId> = or(asked.app, deployed.app(chain_id)).into_iter().map(SecretId::App).collect();
    ids.extend(or(asked.dataset, deployed.dataset(chain_id)).into_iter().map(SecretId::Dataset));
    ids.extend(asked.name.into_iter().map(|name| SecretId::Requester { owner, name }));
    ids.push(SecretId::Account { owner, name: key });
    let found = target.ask(session, "Asking the SMS", async |sms| {
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            let exists = sms.has(&id).await?;
            found.push((id, exists));
        }
        Ok(found)
    })?;
    let word = |exists: bool| if exists { "there    " } else { "not there" };
    let text = found.iter().map(|(id, exists)| format!("{}  {}", word(*exists), describe(id))).collect::<Vec<_>>();
    let json: Vec<Value> = found
        .iter()
        .map(|(id, exists)| {
            let mut about = target.about(id);
            about["exists"] = (*exists).into();
            about
        })
        .collect();
    Ok(Answer::done(text.join("\n"), json!({ "wallet": checksummed(&owner), "secrets": json })))
}
