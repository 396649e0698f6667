//! `strongroom task journal`.

use serde_json::{Value, json};
use strongroom_client::{Service as Client, ServiceError};
use strongroom_protocol::address::{checksummed, parse_any_case};
use strongroom_protocol::record::{Outcome, Record};
use strongroom_protocol::transcript::Deployment;
use strongroom_protocol::{SecretId, TaskId};

use super::subject::date;
use crate::arguments::{Service, Signer};
use crate::commands::Session;
use crate::commands::secret::Target;
use crate::error::CliError;
use crate::output::Answer;
use crate::sms::describe;

/// What was decided about a task.
pub(super) fn journal(
    session: &Session<'_>,
    task: TaskId,
    signer: &Signer,
    service: &Service,
) -> Result<Answer, CliError> {
    let config = session.config()?;
    let target = Target::find(&config, service)?;
    let wallet = session.wallet(&signer.wallet, &config)?;
    let client = Client::new(target.sms().clone())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CliError::Runtime)?;
    let asking = "Asking the SMS";
    let identity = session.screen.while_doing(asking, || runtime.block_on(client.identity()))?;
    let (served, wanted) = (identity.chain_id, target.chain_id());
    let is_key = |text: &str| parse_any_case(text).map_err(|_| unreadable(&target, text));
    let (hub, sms) = (is_key(&identity.hub)?, is_key(&identity.key_id)?);
    if served != wanted || hub != target.hub() {
        return Err(CliError::OtherDeployment { served, wanted });
    }
    let (key, _) = session.unlock(&wallet, &signer.password)?;
    let deployment = Deployment { chain_id: served, hub, sms };
    let now = session.surroundings.now;
    let question = client.journal(deployment, task, &key, now);
    let records = session.screen.while_doing(asking, || runtime.block_on(question))?;
    let text = if records.is_empty() {
        "Nothing was decided about this task.".to_owned()
    } else {
        records.iter().map(shown).collect::<Vec<_>>().join("\n")
    };
    let entries: Vec<Value> = records.iter().map(described).collect();
    let json =
        json!({ "task": task.to_string(), "service": checksummed(&sms), "sms": target.sms(), "entries": entries });
    Ok(Answer::done(text, json))
}

fn unreadable(target: &Target, text: &str) -> CliError {
    let reason = format!("{text:?} is no address");
    ServiceError::Unexpected { url: target.sms().clone(), reason }.into()
}

fn opened(record: &Record) -> &[(SecretId, u64)] {
    match &record.outcome {
        Outcome::Granted(secrets) => secrets,
        Outcome::Refused(_) => &[],
    }
}

fn shown(record: &Record) -> String {
    let outcome = match &record.outcome {
        Outcome::Granted(_) => "granted".to_owned(),
        Outcome::Refused(code) => format!("refused: {code}"),
    };
    let mut lines = vec![
        format!("entry {}  {}  {outcome}", record.sequence, date(record.time)),
        format!("  worker   {}", checksummed(&record.worker)),
        format!("  enclave  {}", record.enclave),
        format!("  chain    at block {}  {}", record.block.number, record.block.hash),
    ];
    let secrets = opened(record).iter().map(|(id, version)| format!("  opened   {}, version {version}", describe(id)));
    lines.extend(secrets);
    lines.push(format!("  hash     {}", record.hash()));
    lines.join("\n")
}

fn described(record: &Record) -> Value {
    let refusal = match &record.outcome {
        Outcome::Granted(_) => None,
        Outcome::Refused(code) => Some(code),
    };
    let secret = |(id, version): &(SecretId, u64)| {
        json!({
            "kind": id.kind().to_string(),
            "address": checksummed(&id.address()),
            "name": Some(id.name()).filter(|name| !name.is_empty()),
            "version": version,
        })
    };
    json!({
        "sequence": record.sequence,
        "time": record.time.0,
        "outcome": if refusal.is_none() { "granted" } else { "refused" },
        "refusal": refusal,
        "secrets": opened(record).iter().map(secret).collect::<Vec<_>>(),
        "worker": checksummed(&record.worker),
        "enclave": record.enclave,
        "session": record.session.to_string(),
        "block_number": record.block.number,
        "block_hash": record.block.hash.to_string(),
        "previous": record.previous.to_string(),
        "hash": record.hash().to_string(),
    })
}
