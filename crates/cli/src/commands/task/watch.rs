//! `strongroom task watch`.

use std::time::{Duration, Instant};

use strongroom_protocol::{B256, TaskId, UnixSeconds};

use super::pool_word::{GIVEN_UP, ask_pool_about, spoken};
use super::subject::{Standing, described, lines, subject};
use crate::commands::Session;
use crate::error::CliError;
use crate::exit::Exit;
use crate::network::Network;
use crate::output::Answer;
use crate::scheduler::Word;

/// Between two looks at tasks that are watched.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Watches tasks until they are over, or until the pool has given them up: on chain they then stay as they are for long.
pub(crate) fn watch(session: &Session<'_>, network: &Network, id: B256) -> Result<Answer, CliError> {
    let started = session.surroundings.now;
    let begun = Instant::now();
    let subject = network.wait(session, "Asking the chain", subject(network, id, started))?;
    let mut view = session.screen.watching();
    let standings = loop {
        let now = UnixSeconds(started.0.saturating_add(begun.elapsed().as_secs()));
        let (standings, words) = network.quietly(async {
            let standings = subject.standings(network, now).await?;
            let words = ask_pool_about(network, &subject, &standings).await;
            Ok((standings, words))
        })?;
        let lines = lines(&subject, &standings).into_iter().zip(&words);
        view.show(&lines.map(|(line, word)| with_word(line, word.as_ref())).collect::<Vec<_>>());
        let given_up = |word: &Option<Word>| word.as_ref().is_some_and(|word| word.status == GIVEN_UP);
        if standings.iter().zip(&words).all(|(standing, word)| standing.is_over() || given_up(word)) {
            break standings;
        }
        std::thread::sleep(LOOK_EVERY);
    };
    drop(view);
    let exit = if standings.iter().all(|one| *one == Standing::Completed) { Exit::Done } else { Exit::Trouble };
    let text = if exit == Exit::Done {
        let result = |(_, task): &(u64, TaskId)| format!("Result: strongroom task result {task}");
        subject.tasks.iter().map(result).collect::<Vec<_>>().join("\n")
    } else {
        format!("Not all tasks were done. Why: strongroom task explain {id}")
    };
    Ok(Answer { exit, text, json: described(network, &subject, &standings) })
}

fn with_word(line: String, word: Option<&Word>) -> String {
    match word {
        Some(word) => line + "  (pool: " + &spoken(word) + ")",
        None => line,
    }
}
