//! `strongroom secret list`: what was pushed from here and is there, and what else one can ask for by name.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use strongroom_protocol::address::checksummed;
use strongroom_protocol::{AccountSecretName, Address, RequesterSecretName, SecretId};
use url::Url;

use crate::arguments::{Service, WalletChoice};
use crate::commands::Session;
use crate::commands::secret::Target;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Answer;
use crate::pushed_secrets::PushedSecrets;
use crate::sms::describe;
use crate::stock_project::Deployed;

/// What is asked for. An SMS never lists what it has.
pub(crate) struct Asked {
    pub(crate) app: Vec<Address>,
    pub(crate) dataset: Vec<Address>,
    pub(crate) name: Vec<RequesterSecretName>,
}

/// A secret at its SMS.
struct Secret {
    id: SecretId,
    target: Target,
    /// Whether it is there; `None` when nobody knows.
    exists: Option<bool>,
}

/// What was found out.
struct Found {
    secrets: Vec<Secret>,
    /// What an SMS said instead of an answer.
    troubles: BTreeMap<Url, CliError>,
}

/// Asks for each, for the wallet's key for results, and for what was pushed from here: each at the SMS to which it was pushed, unless one
/// SMS or network was named.
pub(crate) fn list(
    session: &Session<'_>,
    asked: Asked,
    wallet: &WalletChoice,
    service: &Service,
) -> Result<Answer, CliError> {
    let config = session.config()?;
    let target = Target::find(&config, service)?;
    let owner = session.wallet(wallet, &config)?.address()?;
    let pushed = PushedSecrets::in_folder(session.data_folder()?).all()?;
    let here = &target;
    let mut questions: Vec<(SecretId, Target)> =
        named(session, asked, owner, here.chain_id())?.into_iter().map(|id| (id, here.clone())).collect();
    let one_is_meant = service.sms.is_some() || service.chain.is_some();
    let pushed = pushed.iter().filter(|pushed| !one_is_meant || pushed.sms == *here.sms());
    questions.extend(pushed.map(|pushed| (pushed.id.clone(), here.of(pushed))));
    let mut seen = BTreeSet::new();
    questions.retain(|(id, target)| seen.insert((id.clone(), target.sms().clone())));
    Ok(answer(&ask(session, questions, here.sms())?, owner))
}

/// What was named on the command line or by the project.
fn named(session: &Session<'_>, asked: Asked, owner: Address, chain_id: u64) -> Result<Vec<SecretId>, CliError> {
    let deployed = Deployed::in_folder(&session.surroundings.current_folder)?;
    let or =
        |given: Vec<Address>, here: Option<Address>| if given.is_empty() { here.into_iter().collect() } else { given };
    let key = AccountSecretName::RESULT_ENCRYPTION_KEY.parse().expect("the reserved name is a name");
    let mut ids: Vec<SecretId> = or(asked.app, deployed.app(chain_id)).into_iter().map(SecretId::App).collect();
    ids.extend(or(asked.dataset, deployed.dataset(chain_id)).into_iter().map(SecretId::Dataset));
    ids.extend(asked.name.into_iter().map(|name| SecretId::Requester { owner, name }));
    ids.push(SecretId::Account { owner, name: key });
    Ok(ids)
}

/// Asks each question, and no SMS again that is in trouble. The network's own must answer; another does not hide what the rest say.
fn ask(session: &Session<'_>, questions: Vec<(SecretId, Target)>, own: &Url) -> Result<Found, CliError> {
    let mut found = Found { secrets: Vec::with_capacity(questions.len()), troubles: BTreeMap::new() };
    for (id, target) in questions {
        let sms = target.sms();
        let exists = if found.troubles.contains_key(sms) {
            None
        } else {
            match target.ask(session, "Asking the SMS", async |sms| sms.has(&id).await) {
                Ok(exists) => Some(exists),
                Err(error) if sms == own => return Err(error),
                Err(error) => {
                    found.troubles.insert(sms.clone(), error);
                    None
                }
            }
        };
        found.secrets.push(Secret { id, target, exists });
    }
    Ok(found)
}

fn answer(Found { secrets, troubles }: &Found, owner: Address) -> Answer {
    let word = |exists: Option<bool>| match exists {
        Some(true) => "there    ",
        Some(false) => "not there",
        None => "unknown  ",
    };
    let line =
        |Secret { id, target, exists }: &Secret| format!("{}  {} at {}", word(*exists), describe(id), target.sms());
    let mut text: Vec<String> = secrets.iter().map(line).collect();
    text.extend(
        troubles.values().map(|error| format!("{error}; to leave it out, name the SMS that is meant: --sms URL")),
    );
    let described = |Secret { id, target, exists }: &Secret| {
        let mut about = target.about(id);
        about["exists"] = (*exists).into();
        about
    };
    let told = |(sms, error): (&Url, &CliError)| json!({ "sms": sms, "message": error.to_string() });
    let json = json!({
        "wallet": checksummed(&owner),
        "secrets": secrets.iter().map(described).collect::<Vec<Value>>(),
        "troubles": troubles.iter().map(told).collect::<Vec<Value>>(),
    });
    let exit = if troubles.is_empty() { Exit::Done } else { Exit::Trouble };
    Answer { exit, text: text.join("\n"), json }
}
