//! `strongroom task logs`.

use serde_json::{Value, json};
use strongroom_protocol::B256;

use super::subject::one_task;
use crate::arguments::Signer;
use crate::commands::Session;
use crate::error::CliError;
use crate::network::Network;
use crate::output::Answer;
use crate::scheduler::{Logs, Scheduler};

/// What the app of a task printed, asked of the pool that ran it.
pub(super) fn logs(session: &Session<'_>, network: &Network, id: B256, signer: &Signer) -> Result<Answer, CliError> {
    let compass = network.compass()?;
    let question = one_task(network, id, session.surroundings.now);
    let (subject, task) = network.wait(session, "Asking the chain", question)?;
    let wallet = session.wallet(&signer.wallet, &session.config()?)?;
    let (key, _) = session.unlock(&wallet, &signer.password)?;
    let workerpool = subject.details.deal.workerpool.address;
    let logs = network.wait(session, "Asking the pool", async {
        let scheduler = Scheduler::find(compass, network.entry.chain_id, workerpool, network.timeout).await?;
        scheduler.logs(task, &key).await
    })?;
    let text = logs.iter().map(shown).collect::<Vec<_>>().join("\n");
    let described = |logs: &Logs| json!({ "worker": logs.worker, "stdout": logs.stdout, "stderr": logs.stderr });
    let all: Vec<Value> = logs.iter().map(described).collect();
    Ok(Answer::done(text, json!({ "task": task.to_string(), "logs": all, "chain": network.name })))
}

/// Apps are strangers: what moves the cursor or rings the bell stays out of the terminal.
fn harmless(text: &str) -> String {
    text.chars().filter(|c| matches!(c, '\n' | '\t') || !c.is_control()).collect()
}

fn shown(logs: &Logs) -> String {
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
        assert_eq!(shown(&logs), "worker 0x1\nstandard output:\na[2Jb\n\tc\nstandard error: nothing");
    }
}
