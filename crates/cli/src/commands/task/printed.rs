//! What the apps of watched tasks printed, for `--logs`.

use serde_json::{Value, json};
use strongroom_protocol::SigningKey;

use super::logs;
use super::pool_word::find_scheduler;
use super::subject::{LISTED_TASKS, Subject};
use crate::error::CliError;
use crate::exit::explain;
use crate::network::Network;

/// For people, and for programs.
pub(super) struct Printed {
    pub(super) text: String,
    pub(super) json: Value,
}

/// Asks the pool about the first tasks, in the name of `reader`, who bought them. What it does not tell is said, and no error: the tasks
/// are over all the same.
pub(super) async fn by_apps(network: &Network, subject: &Subject, reader: &SigningKey) -> Printed {
    let scheduler = match find_scheduler(network, subject).await {
        Ok(scheduler) => scheduler,
        Err(error) => {
            let (why, trouble) = told(&error);
            return Printed { text: format!("printed by the apps: {why}"), json: json!([{ "trouble": trouble }]) };
        }
    };
    let (mut text, mut json) = (Vec::new(), Vec::new());
    for (index, task) in subject.tasks.iter().take(LISTED_TASKS) {
        match scheduler.logs(*task, reader).await {
            Ok(printed) => {
                text.push(format!("printed by {index}  {task}\n{}", logs::shown(&printed)));
                json.push(json!({ "task": task.to_string(), "logs": logs::described(&printed) }));
            }
            Err(error) => {
                let (why, trouble) = told(&error.into());
                text.push(format!("printed by {index}  {task}: {why}"));
                json.push(json!({ "task": task.to_string(), "trouble": trouble }));
            }
        }
    }
    Printed { text: text.join("\n"), json: json.into() }
}

fn told(error: &CliError) -> (String, Value) {
    let remedy = explain(error).remedy.unwrap_or_default();
    (format!("not known: {error}\n  remedy: {remedy}"), json!({ "message": error.to_string(), "remedy": remedy }))
}
