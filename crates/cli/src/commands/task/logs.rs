//! `strongroom task logs`.

use serde_json::{Value, json};
use strongroom_protocol::B256;

use super::pool_word::find_scheduler;
use super::subject::one_task;
use crate::arguments::Signer;
use crate::commands::Session;
use crate::error::CliError;
use crate::network::Network;
use crate::output::Answer;
use crate::scheduler::Logs;

/// What the app of a task printed, asked of the pool that ran it.
pub(super) fn logs(session: &Session<'_>, network: &Network, id: B256, signer: &Signer) -> Result<Answer, CliError> {
    network.compass()?;
    let question = one_task(network, id, session.surroundings.now);
    let (subject, task) = network.wait(session, "Asking the chain", question)?;
    let wallet = session.wallet(&signer.wallet, &session.config()?)?;
    let (key, _) = session.unlock(&wallet, &signer.password)?;
    let logs = network.wait(session, "Asking the pool", async {
        let scheduler = find_scheduler(network, &subject).await?;
        Ok::<_, CliError>(scheduler.logs(task, &key).await?)
    })?;
    let json = json!({ "task": task.to_string(), "logs": described(&logs), "chain": network.name });
    Ok(Answer::done(shown(&logs), json))
}

/// For people.
pub(super) fn shown(logs: &[Logs]) -> String {
    logs.iter().map(of_one_worker).collect::<Vec<_>>().join("\n")
}

/// For programs.
pub(super) fn described(logs: &[Logs]) -> Value {
    logs.iter().map(|logs| json!({ "worker": logs.worker, "stdout": logs.stdout, "stderr": logs.stderr })).collect()
}

/// Apps are strangers: what moves the cursor or rings the bell stays out of the terminal.
fn harmless(text: &str) -> String {
    text.chars().filter(|c| matches!(c, '\n' | '\t') || !c.is_control()).collect()
}

fn of_one_worker(logs: &Logs) -> String {
    let part = |name: &str, text: &str| match harmless(text).trim_end() {
        "" => format!("{name}: nothing"),
        text => format!("{name}:\n{text}"),
    };
    let (stdout, stderr) = (part("standard output", &logs.stdout), part("standard error", &logs.stderr));
    format!("worker {}\n{stdout}\n{stderr}", logs.worker)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_app_printed_cannot_take_over_the_terminal() {
        let (worker, stdout) = ("0x1".to_owned(), "a\u{1b}[2Jb\r\n\tc\u{7}\n".to_owned());
        let logs = Logs { worker, stdout, stderr: String::new() };
        assert_eq!(shown(&[logs]), "worker 0x1\nstandard output:\na[2Jb\n\tc\nstandard error: nothing");
    }
}
