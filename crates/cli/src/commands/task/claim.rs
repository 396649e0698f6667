//! `strongroom task claim`.

use serde_json::json;
use strongroom_poco::calls;
use strongroom_protocol::snapshot::TaskStatus;
use strongroom_protocol::{B256, TaskId};

use super::subject::{chain_time, date, subject};
use crate::arguments::Signer;
use crate::commands::Session;
use crate::error::CliError;
use crate::network::Network;
use crate::output::Answer;

pub(super) fn claim(session: &Session<'_>, network: &Network, id: B256, signer: &Signer) -> Result<Answer, CliError> {
    let (subject, statuses, now) = network.wait(session, "Asking the chain", async {
        let now = chain_time(network).await?;
        let subject = subject(network, id, session.surroundings.now).await?;
        let mut statuses = Vec::new();
        for (_, task) in &subject.tasks {
            statuses.push(network.chain.task_status(*task).await?);
        }
        Ok::<_, CliError>((subject, statuses, now))
    })?;
    let open: Vec<((u64, TaskId), TaskStatus)> = subject
        .tasks
        .iter()
        .copied()
        .zip(statuses)
        .filter(|(_, status)| !matches!(status, TaskStatus::Completed | TaskStatus::Failed))
        .collect();
    if open.is_empty() {
        return Err(CliError::NothingToClaim { reason: "every task is over".to_owned() });
    }
    let last = subject.final_deadline();
    if now < last {
        let reason = format!("the pool has time until {}", date(last));
        return Err(CliError::NothingToClaim { reason });
    }
    let wallet = network.signer(session, &session.config()?, signer)?;
    let mut claimed = Vec::new();
    for ((index, task), status) in open {
        let call = match status {
            TaskStatus::Unset => calls::initialize_and_claim(network.hub(), subject.details.deal.id, index),
            _ => calls::claim(network.hub(), task),
        };
        network.send(session, &wallet, &call, &format!("Claim task {task}?"))?;
        claimed.push(task.to_string());
    }
    let text = claimed.iter().map(|task| format!("{task} is claimed.")).collect::<Vec<_>>().join("\n");
    Ok(Answer::done(
        text,
        json!({ "deal": subject.details.deal.id.to_string(), "claimed": claimed, "chain": network.name }),
    ))
}
