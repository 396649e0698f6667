//! `strongroom task explain`.

use serde_json::json;
use strongroom_protocol::{B256, TaskId, UnixSeconds};

use super::pool_word::{GIVEN_UP, ask_pool_about, spoken};
use super::subject::{LISTED_TASKS, Standing, Subject, chain_time, date, described, subject};
use crate::commands::Session;
use crate::error::CliError;
use crate::network::Network;
use crate::output::Answer;

pub(super) fn explain(session: &Session<'_>, network: &Network, id: B256) -> Result<Answer, CliError> {
    let (subject, standings, words, now) = network.wait(session, "Asking the chain and the pool", async {
        let now = chain_time(network).await?;
        let subject = subject(network, id, session.surroundings.now).await?;
        let standings = subject.standings(network, now).await?;
        let words = ask_pool_about(network, &subject, &standings).await;
        Ok::<_, CliError>((subject, standings, words, now))
    })?;
    let mut json = described(network, &subject, &standings);
    let mut text = Vec::new();
    for (position, ((index, task), standing)) in subject.tasks.iter().zip(&standings).take(LISTED_TASKS).enumerate() {
        let word = words.get(position).and_then(Option::as_ref);
        let given_up = word.is_some_and(|word| word.status == GIVEN_UP);
        let (reason, remedy) = reason(&subject, *task, *standing, now, given_up);
        text.push(format!("task {index}  {task}  {}\n  {reason}", standing.as_str()));
        text.extend(word.map(|word| format!("  The pool says: {}", spoken(word))));
        let label = if *standing == Standing::Completed { "next" } else { "remedy" };
        text.extend(remedy.as_ref().map(|remedy| format!("  {label}: {remedy}")));
        json["tasks"][position]["reason"] = reason.into();
        json["tasks"][position]["remedy"] = json!(remedy);
        json["tasks"][position]["pool"] =
            json!(word.map(|word| {
                let since = word.since.map(|since| since.to_string());
                json!({ "status": word.status, "stage": word.stage, "since": since, "cause": word.cause, "message": word.message })
            }));
    }
    Ok(Answer::done(text.join("\n"), json))
}

/// Why a task is where it is, and what can be done.
fn reason(
    subject: &Subject,
    task: TaskId,
    standing: Standing,
    now: UnixSeconds,
    given_up: bool,
) -> (String, Option<String>) {
    let (contribution, last) = (subject.contribution_deadline(), subject.final_deadline());
    let claim = format!("strongroom task claim {}", subject.details.deal.id);
    let later = format!("wait; from {} on the money can come back: {claim}", date(last));
    if given_up && !standing.is_over() {
        let again = format!("mend the cause and buy again; from {} on the money can come back: {claim}", date(last));
        return ("The pool has given it up.".to_owned(), Some(again));
    }
    match standing {
        Standing::Completed => {
            ("It is done, and the pool is paid.".to_owned(), Some(format!("strongroom task result {task}")))
        }
        Standing::Failed => ("It was not done in time; the money came back to whoever paid.".to_owned(), None),
        Standing::Timeout => (format!("It was not done until {}.", date(last)), Some(claim)),
        Standing::Unset if now >= contribution => {
            ("The pool has not begun it, and it is too late now.".to_owned(), Some(later))
        }
        Standing::Unset => ("It is bought, and the pool has not begun it yet.".to_owned(), Some(later)),
        Standing::Active if now >= contribution => {
            (format!("The pool began it and delivered nothing until {}.", date(contribution)), Some(later))
        }
        Standing::Active => {
            (format!("The pool has begun it, and may deliver until {}.", date(contribution)), Some(later))
        }
        Standing::Revealing => {
            ("The workers agree on a result, which is still to be revealed.".to_owned(), Some(later))
        }
    }
}
