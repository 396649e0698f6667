//! `strongroom task`: bought tasks, from the deal to the result.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};
use strongroom_content::result::is_encrypted;
use strongroom_market::Search;
use strongroom_poco::accounts::DealDetails;
use strongroom_poco::calls;
use strongroom_protocol::address::checksummed;
use strongroom_protocol::snapshot::TaskStatus;
use strongroom_protocol::{Address, B256, DealId, TaskId, UnixSeconds};

use crate::arguments::{NetworkChoice, Signer, TaskCommand, WalletChoice};
use crate::commands::dataset::beside;
use crate::commands::{Session, buy, journal};
use crate::error::CliError;
use crate::exit::Exit;
use crate::ipfs;
use crate::network::Network;
use crate::output::Answer;
use crate::result_file::{self, ResultFileError, locate};
use crate::result_key::ResultKeys;
use crate::scheduler::{self, Word};

/// The pool's word for a task that it will not try again.
const GIVEN_UP: &str = "FAILED";
/// Between two looks at tasks that are watched.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// No worker can deliver this many times the category's duration after the deal, and the money can come back after that many times.
const CONTRIBUTION_TIMES: u64 = 7;
const FINAL_TIMES: u64 = 10;
/// Most tasks of a deal that are looked at.
const MAX_TASKS: u64 = 1000;
/// Most tasks of a deal that a list looks at.
const LISTED_TASKS: usize = 10;

/// Runs one of the commands.
pub(crate) fn run(session: &Session<'_>, command: TaskCommand) -> Result<Answer, CliError> {
    let of = |network: &NetworkChoice| Network::find(&session.config()?, network);
    match command {
        TaskCommand::Buy(buying) => buy::run(session, &buying),
        TaskCommand::List { requester, limit, wallet, network } => list(session, requester, limit, &wallet, &network),
        TaskCommand::Watch { id, network } => watch(session, &of(&network)?, id),
        TaskCommand::Result { id, output, unpack, no_decrypt, private_key, signer, network } => {
            let wanted = Wanted { output, unpack, no_decrypt, private_key };
            result(session, &of(&network)?, id, &wanted, &signer)
        }
        TaskCommand::Journal { id, signer, service } => journal::run(session, id.into(), &signer, &service),
        TaskCommand::Explain { id, network } => explain(session, &of(&network)?, id),
        TaskCommand::Claim { id, signer, network } => claim(session, &of(&network)?, id, &signer),
    }
}

/// Where a task stands, in the words of the iexec CLI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Unset,
    Active,
    Revealing,
    Completed,
    Failed,
    /// Not over in time; the money can be claimed.
    Timeout,
}

impl Standing {
    fn of(status: TaskStatus, now: UnixSeconds, final_deadline: UnixSeconds) -> Self {
        match status {
            TaskStatus::Completed => Self::Completed,
            TaskStatus::Failed => Self::Failed,
            _ if now >= final_deadline => Self::Timeout,
            TaskStatus::Unset => Self::Unset,
            TaskStatus::Active => Self::Active,
            TaskStatus::Revealing => Self::Revealing,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Unset => "UNSET",
            Self::Active => "ACTIVE",
            Self::Revealing => "REVEALING",
            Self::Completed => "COMPLETED",
            Self::Failed => "FAILED",
            Self::Timeout => "TIMEOUT",
        }
    }

    fn is_over(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Timeout)
    }
}

/// A deal and those of its tasks that are meant.
struct Subject {
    details: DealDetails,
    tasks: Vec<(u64, TaskId)>,
}

impl Subject {
    fn after(&self, times: u64) -> UnixSeconds {
        let start = self.details.deal.start_time.0;
        UnixSeconds(start.saturating_add(self.details.category_seconds.saturating_mul(times)))
    }

    fn contribution_deadline(&self) -> UnixSeconds {
        self.after(CONTRIBUTION_TIMES)
    }

    fn final_deadline(&self) -> UnixSeconds {
        self.after(FINAL_TIMES)
    }

    /// All tasks of a deal.
    fn whole(details: DealDetails, at_most: u64) -> Self {
        let (id, first) = (details.deal.id, details.deal.bot_first);
        let end = first.saturating_add(details.deal.bot_size.min(at_most));
        let tasks = (first..end).map(|index| (index, TaskId::of(id, index))).collect();
        Self { details, tasks }
    }

    /// Where each task stands.
    async fn standings(&self, network: &Network, now: UnixSeconds) -> Result<Vec<Standing>, CliError> {
        let mut standings = Vec::with_capacity(self.tasks.len());
        for (_, id) in &self.tasks {
            standings.push(Standing::of(network.chain.task_status(*id).await?, now, self.final_deadline()));
        }
        Ok(standings)
    }
}

/// The deal of this id, or the task of this id that was begun, with its deal.
async fn subject(network: &Network, id: B256, now: UnixSeconds) -> Result<Subject, CliError> {
    if let Some(details) = network.chain.deal(DealId::from(id)).await? {
        return Ok(Subject::whole(details, MAX_TASKS));
    }
    let unknown = || CliError::NoTask { id: id.to_string(), chain: network.name.clone() };
    let task = network.chain.snapshot(TaskId::from(id), now).await?.ok_or_else(unknown)?.task;
    let details = network.chain.deal(task.deal).await?.ok_or_else(unknown)?;
    Ok(Subject { details, tasks: vec![(task.index, task.id)] })
}

/// The subject, which must be one task.
async fn one_task(network: &Network, id: B256, now: UnixSeconds) -> Result<(Subject, TaskId), CliError> {
    let subject = subject(network, id, now).await?;
    match subject.tasks.as_slice() {
        [(_, task)] => Ok(*task).map(|task| (subject, task)),
        all => Err(CliError::SeveralTasks { id: id.to_string(), tasks: all.len() as u64 }),
    }
}

/// The time of the newest block: what the contracts go by.
async fn chain_time(network: &Network) -> Result<UnixSeconds, CliError> {
    Ok(network.chain.newest_block().await?.time)
}

/// What the pool says about those of the first tasks that are not over.
async fn ask_pool_about(network: &Network, subject: &Subject, standings: &[Standing]) -> Vec<Option<Word>> {
    let mut words = vec![None; standings.len()];
    for (word, ((_, task), standing)) in words.iter_mut().zip(subject.tasks.iter().zip(standings)).take(LISTED_TASKS) {
        if !standing.is_over() {
            *word = ask_pool(network, subject, *task).await;
        }
    }
    words
}

fn with_word(line: String, word: Option<&Word>) -> String {
    match word {
        Some(word) => line + "  (pool: " + &spoken(word) + ")",
        None => line,
    }
}

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

fn lines(subject: &Subject, standings: &[Standing]) -> Vec<String> {
    let line =
        |((index, task), standing): (&(u64, TaskId), &Standing)| format!("{index:>4}  {task}  {}", standing.as_str());
    subject.tasks.iter().zip(standings).map(line).collect()
}

fn described(network: &Network, subject: &Subject, standings: &[Standing]) -> Value {
    let tasks: Vec<Value> = subject
        .tasks
        .iter()
        .zip(standings)
        .map(|((index, id), standing)| json!({ "task": id.to_string(), "index": index, "status": standing.as_str() }))
        .collect();
    let deal = &subject.details.deal;
    json!({
        "deal": deal.id.to_string(),
        "app": checksummed(&deal.app.address),
        "dataset": deal.dataset.map(|dataset| checksummed(&dataset.address)),
        "workerpool": checksummed(&deal.workerpool.address),
        "requester": checksummed(&deal.requester),
        "start_time": deal.start_time.0,
        "final_deadline": subject.final_deadline().0,
        "tasks": tasks,
        "chain": network.name,
    })
}

fn list(
    session: &Session<'_>,
    requester: Option<Address>,
    limit: u64,
    wallet: &WalletChoice,
    network: &NetworkChoice,
) -> Result<Answer, CliError> {
    let config = session.config()?;
    let network = Network::find(&config, network)?;
    let requester = match requester {
        Some(requester) => requester,
        None => session.wallet(wallet, &config)?.address()?,
    };
    let market = network.market()?;
    let deals = network.wait(session, "Asking the order book and the chain", async {
        let now = chain_time(&network).await?;
        let ids = market.deals(&Search::default().with("requester", requester)).await?;
        let mut deals = Vec::new();
        for id in ids.into_iter().take(usize::try_from(limit).unwrap_or(usize::MAX)) {
            // The book may know a deal before our node does, or after its block is gone.
            let Some(details) = network.chain.deal(DealId::from(id)).await? else { continue };
            let subject = Subject::whole(details, LISTED_TASKS as u64);
            let standings = subject.standings(&network, now).await?;
            deals.push((subject, standings));
        }
        Ok::<_, CliError>(deals)
    })?;
    let block = |(subject, standings): &(Subject, Vec<Standing>)| {
        let deal = &subject.details.deal;
        let app = checksummed(&deal.app.address);
        let mut all = vec![format!("deal {}  {}  app {app}", deal.id, date(deal.start_time))];
        all.extend(lines(subject, standings));
        if deal.bot_size > standings.len() as u64 {
            all.push(format!("      and {} more", deal.bot_size - standings.len() as u64));
        }
        all.join("\n")
    };
    let text = match deals.as_slice() {
        [] => format!("{} has bought nothing here.", checksummed(&requester)),
        deals => deals.iter().map(block).collect::<Vec<_>>().join("\n"),
    };
    let json: Vec<Value> = deals.iter().map(|(subject, standings)| described(&network, subject, standings)).collect();
    Ok(Answer::done(text, json!({ "requester": checksummed(&requester), "deals": json })))
}

/// What is wanted of a result.
struct Wanted {
    output: Option<PathBuf>,
    unpack: Option<PathBuf>,
    no_decrypt: bool,
    private_key: Option<PathBuf>,
}

fn result(
    session: &Session<'_>,
    network: &Network,
    id: B256,
    wanted: &Wanted,
    signer: &Signer,
) -> Result<Answer, CliError> {
    let gateway = network.gateway()?;
    let results = network.wait(session, "Asking the chain", async {
        let (subject, task) = one_task(network, id, session.surroundings.now).await?;
        let standing = subject.standings(network, chain_time(network).await?).await?;
        match standing.first() {
            Some(Standing::Completed) => Ok((task, network.chain.task_results(task).await?)),
            other => {
                let status = other.map_or("UNSET", |standing| standing.as_str());
                Err(CliError::from(ResultFileError::NotThere { status }))
            }
        }
    });
    let (task, results) = results?;
    let cid = locate(&results)?;
    let output = wanted.unpack.clone().or_else(|| wanted.output.clone());
    let output = session.here(output.unwrap_or_else(|| format!("{task}.zip").into()));
    if output.symlink_metadata().is_ok() {
        return Err(CliError::FileExists { path: output });
    }
    let mut archive = beside(&output)?;
    let path = archive.path().to_owned();
    network.wait(session, "Downloading the result", ipfs::download(gateway, cid, archive.as_file_mut(), &path))?;
    let encrypted = is_encrypted(archive.as_file_mut());
    let decrypted = encrypted && !wanted.no_decrypt;
    if decrypted {
        archive = opened(session, archive, wanted.private_key.as_deref(), signer, &output)?;
    }
    if wanted.unpack.is_some() {
        result_file::unpack(archive.as_file_mut(), &output)?;
    } else {
        let failed = |source| CliError::File { doing: "write", path: output.clone(), source };
        archive.persist_noclobber(&output).map_err(|error| failed(error.error))?;
    }
    let words = match (encrypted, decrypted) {
        (true, true) => ", decrypted",
        (true, false) => ", still encrypted",
        (false, _) => "",
    };
    let text = format!("The result is in {}{words}.", output.display());
    let json = json!({
        "task": task.to_string(),
        "file": output.display().to_string(),
        "location": format!("/ipfs/{cid}"),
        "encrypted": encrypted,
        "decrypted": decrypted,
    });
    Ok(Answer::done(text, json))
}

/// The archive inside an encrypted one.
fn opened(
    session: &Session<'_>,
    mut archive: tempfile::NamedTempFile,
    private_key: Option<&Path>,
    signer: &Signer,
    output: &Path,
) -> Result<tempfile::NamedTempFile, CliError> {
    let mut plain = beside(output)?;
    let (keys, password) = if let Some(path) = private_key {
        (vec![session.here(path)], None)
    } else {
        let wallet = session.wallet(&signer.wallet, &session.config()?)?;
        let folder = session.data_folder()?.join("result-keys");
        let keys = ResultKeys::in_folder(folder.clone()).private_files(wallet.address()?)?;
        if keys.is_empty() {
            return Err(ResultFileError::NoKey { folder }.into());
        }
        let (_, password) = session.unlock(&wallet, &signer.password)?;
        (keys, Some(password))
    };
    let password = password.as_ref().map(|password| password.as_str());
    session.screen.while_doing("Decrypting the result", || {
        result_file::open(archive.as_file_mut(), &keys, password, plain.as_file_mut())
    })?;
    Ok(plain)
}

fn explain(session: &Session<'_>, network: &Network, id: B256) -> Result<Answer, CliError> {
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
            json!(word.map(|word| json!({ "status": word.status, "cause": word.cause, "message": word.message })));
    }
    Ok(Answer::done(text.join("\n"), json))
}

async fn ask_pool(network: &Network, subject: &Subject, task: TaskId) -> Option<Word> {
    let workerpool = subject.details.deal.workerpool.address;
    scheduler::ask(network.entry.compass.as_ref()?, network.entry.chain_id, workerpool, task, network.timeout).await
}

fn spoken(word: &Word) -> String {
    [Some(&word.status), word.cause.as_ref(), word.message.as_ref()]
        .into_iter()
        .flatten()
        .cloned()
        .collect::<Vec<_>>()
        .join(", ")
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

fn claim(session: &Session<'_>, network: &Network, id: B256, signer: &Signer) -> Result<Answer, CliError> {
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

fn date(time: UnixSeconds) -> String {
    let seconds = i64::try_from(time.0).ok();
    let date = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
    date.map_or_else(|| "the end of time".to_owned(), |date| date.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_that_is_not_over_at_its_final_deadline_has_timed_out() {
        for (status, now, expected) in [
            (TaskStatus::Unset, 9, Standing::Unset),
            (TaskStatus::Unset, 10, Standing::Timeout),
            (TaskStatus::Active, 9, Standing::Active),
            (TaskStatus::Active, 10, Standing::Timeout),
            (TaskStatus::Revealing, 9, Standing::Revealing),
            (TaskStatus::Revealing, 10, Standing::Timeout),
            (TaskStatus::Completed, 10, Standing::Completed),
            (TaskStatus::Failed, 9, Standing::Failed),
        ] {
            assert_eq!(Standing::of(status, UnixSeconds(now), UnixSeconds(10)), expected, "{status:?} at {now}");
        }
    }

    #[test]
    fn dates_are_shown_in_utc() {
        assert_eq!(date(UnixSeconds(1_752_900_000)), "2025-07-19T04:40:00Z");
        assert_eq!(date(UnixSeconds(u64::MAX)), "the end of time");
    }
}
