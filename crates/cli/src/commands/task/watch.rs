//! `strongroom task watch`: where tasks stand on the chain, and what they go through at their pool, until they are over.

use std::time::{Duration, Instant};

use strongroom_protocol::{B256, SigningKey, UnixSeconds};

use super::follow::Follower;
use super::printed;
use super::subject::{Standing, described, subject};
use crate::arguments::Signer;
use crate::commands::Session;
use crate::error::CliError;
use crate::exit::Exit;
use crate::network::Network;
use crate::output::Answer;

/// Between two looks at the chain, unless the pool tells that something happened.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// `task watch`. With `--logs`, the wallet is opened first: nobody is asked for a password hours later.
pub(super) fn run(
    session: &Session<'_>,
    network: &Network,
    id: B256,
    reader: Option<&Signer>,
) -> Result<Answer, CliError> {
    let Some(signer) = reader else { return watch(session, network, id, None) };
    network.compass()?;
    let wallet = session.wallet(&signer.wallet, &session.config()?)?;
    let (key, _) = session.unlock(&wallet, &signer.password)?;
    watch(session, network, id, Some(&key))
}

/// Watches tasks until they are over, or until the pool has given them up: on chain they then stay as they are for long. Then shows what
/// their apps printed, if a reader asks for it.
pub(crate) fn watch(
    session: &Session<'_>,
    network: &Network,
    id: B256,
    reader: Option<&SigningKey>,
) -> Result<Answer, CliError> {
    let begun = Instant::now();
    let started = session.surroundings.now;
    let now = || UnixSeconds(started.0.saturating_add(begun.elapsed().as_secs()));
    let subject = network.wait(session, "Asking the chain", subject(network, id, started))?;
    let mut view = session.screen.watching();
    let mut pool = Follower::new(&subject);
    let standings = network.quietly(async {
        loop {
            let standings = subject.standings(network, now()).await?;
            let looked = Instant::now();
            pool.look(network, &standings).await;
            pool.show(&mut view, &standings);
            if pool.is_over(&standings) {
                return Ok(standings);
            }
            let mut has_moved = false;
            while !has_moved && !pool.is_over(&standings) && looked.elapsed() < LOOK_EVERY {
                tokio::time::sleep(pool.pause(&standings, LOOK_EVERY)).await;
                has_moved = pool.ask(&standings).await;
                pool.show(&mut view, &standings);
            }
        }
    })?;
    drop(view);
    let exit = if standings.iter().all(|one| *one == Standing::Completed) { Exit::Done } else { Exit::Trouble };
    let mut text = Vec::new();
    let mut json = described(network, &subject, &standings);
    pool.describe(&mut json);
    if let Some(reader) = reader {
        let question = async { Ok::<_, CliError>(printed::by_apps(network, &subject, reader).await) };
        let printed = network.wait(session, "Asking the pool", question)?;
        text.push(printed.text);
        json["printed"] = printed.json;
    }
    if exit == Exit::Done {
        text.extend(subject.tasks.iter().map(|(_, task)| format!("Result: strongroom task result {task}")));
    } else {
        text.push(format!("Not all tasks were done. Why: strongroom task explain {id}"));
    }
    Ok(Answer { exit, text: text.join("\n"), json })
}
