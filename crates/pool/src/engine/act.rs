//! What is done about a task in each state. Every action begins with a look at the chain, whose word holds.

use strongroom_protocol::snapshot::TaskStatus;

use super::{Engine, Outcome};
use crate::cause::{Cause, Failure};
use crate::judge;
use crate::lifecycle::{Action, Event, Role};
use crate::outside::{Authorization, Ended, HowEnded, OutsideError, Run, Settlement};
use crate::room::Place;
use crate::scheduler::Scheduler;
use crate::store::{FactsLearned, Note};
use crate::task::Task;
use crate::worker::Worker;

pub(super) async fn act(
    engine: &Engine,
    task: &Task,
    fresh: bool,
    place: &mut Option<Place>,
) -> Result<Outcome, OutsideError> {
    let parts = &engine.shared.parts;
    let status = parts.ledger.status(task.id).await?;
    match status {
        TaskStatus::Completed => return Ok(happened(Event::Settled)),
        TaskStatus::Failed => return Ok(happened(Event::Claimed)),
        // Nobody but us contributes to our tasks, and we never without finalising.
        TaskStatus::Revealing if task.state.is_hopeful() => {
            return Err(OutsideError::refused(
                Cause::TASK_ALREADY_CONTRIBUTED,
                "somebody else contributed to the task",
            ));
        }
        TaskStatus::Unset | TaskStatus::Active | TaskStatus::Revealing => {}
    }
    let now = engine.chain_time().await;
    if task.state.is_hopeful() && now > task.contribution_deadline {
        return Err(OutsideError::refused(Cause::CONTRIBUTION_TIMEOUT, "the contribution deadline passed"));
    }
    let action = task.state.action();
    if status == TaskStatus::Unset
        && !matches!(action, Action::Judge | Action::Initialize | Action::AwaitDeadline | Action::Claim)
    {
        // A reorganisation took our transaction back.
        initialize(engine, task).await?;
    }
    match action {
        Action::Judge => {
            let view = engine.deal(task.deal).await?;
            if status == TaskStatus::Unset {
                judge::judge(&view, &scheduler(engine)?.offer, now).map_err(OutsideError::Refused)?;
                scheduler(engine)?.check_framework(&view, parts.services.as_ref()).await?;
                if parts.worker.is_some() {
                    parts.runner.fetch(&view).await?;
                }
            }
            Ok(happened(Event::Accepted))
        }
        Action::Initialize => {
            // Anybody may have done it before us.
            if status == TaskStatus::Unset {
                initialize(engine, task).await?;
            }
            Ok(happened(Event::Initialized))
        }
        Action::Authorize => authorize(engine, task).await,
        Action::AwaitRoom => {
            // Before it has a place: a registry that a deal names may be slow, or be there no more.
            parts.runner.fetch(&*engine.deal(task.deal).await?).await?;
            *place = Some(parts.room.enter().await);
            Ok(happened(Event::Taken))
        }
        Action::Prepare => {
            have_place(engine, place).await;
            prepare(engine, task).await
        }
        Action::Run => {
            if fresh {
                have_place(engine, place).await;
            }
            run(engine, task, fresh).await
        }
        Action::Settle => settle(engine, task).await,
        Action::AwaitDeadline => Ok(if now >= task.final_deadline && scheduler(engine)?.claims {
            happened(Event::Expired)
        } else {
            Outcome::Later
        }),
        Action::Claim => match parts.ledger.claim(task.deal, task.index, status).await {
            Ok(()) => {
                can_pay(engine, Role::Scheduler);
                Ok(happened(Event::Claimed))
            }
            Err(OutsideError::Refused(failure)) if parts.ledger.has_deal(task.deal).await? => {
                Err(OutsideError::Refused(failure))
            }
            Err(OutsideError::Refused(_)) => Ok(happened(Event::Vanished)),
            Err(trouble) => Err(trouble),
        },
        Action::Rest => Ok(Outcome::Later),
    }
}

/// Takes a place unless it is held: it is given back when something does not work.
async fn have_place(engine: &Engine, place: &mut Option<Place>) {
    if place.is_none() {
        *place = Some(engine.shared.parts.room.enter().await);
    }
}

/// Ends the alarm about the wallet of the half whose transaction went through. Each half has a wallet; the owner's is used for what
/// anybody may do, where it is.
fn can_pay(engine: &Engine, half: Role) {
    let parts = &engine.shared.parts;
    let owner = parts.scheduler.as_ref().map(|scheduler| scheduler.key.address());
    let worker = parts.worker.as_ref().map(|worker| worker.key.address());
    let wallet = match half {
        Role::Scheduler => owner.or(worker),
        Role::Worker => worker,
    };
    if let Some(wallet) = wallet {
        parts.metrics.wallet_can_pay(wallet);
    }
}

/// Makes a task active. A refusal holds only while its deal is on chain: a reorganisation that took it back may bring it again.
async fn initialize(engine: &Engine, task: &Task) -> Result<(), OutsideError> {
    let ledger = &engine.shared.parts.ledger;
    match ledger.initialize(task.deal, task.index).await {
        Err(OutsideError::Refused(_)) if !ledger.has_deal(task.deal).await? => {
            engine.forget_deal(task.deal);
            let message = format!("deal {} is not on chain any more: the chain has lost blocks that it had", task.deal);
            Err(OutsideError::Trouble(message))
        }
        done => done.map(|()| can_pay(engine, Role::Scheduler)),
    }
}

async fn authorize(engine: &Engine, task: &Task) -> Result<Outcome, OutsideError> {
    let parts = &engine.shared.parts;
    let scheduler = scheduler(engine)?;
    let view = engine.deal(task.deal).await?;
    let params = judge::params_of(&view).map_err(OutsideError::Refused)?;
    let (challenge, signature) = scheduler.authorize(task.id, parts.services.as_ref()).await?;
    let authorization = Authorization {
        task: task.id,
        deal: task.deal,
        index: task.index,
        worker: scheduler.worker,
        challenge,
        signature: signature.clone(),
    };
    scheduler.publish_proxy(parts.services.as_ref()).await?;
    scheduler.ask_for_objections(&params, &authorization, parts.services.as_ref()).await?;
    let facts = FactsLearned { challenge: Some(challenge), authorization: Some(signature), ..FactsLearned::default() };
    Ok(Outcome::Happened(Event::Authorized, Note { facts, link: None }))
}

async fn prepare(engine: &Engine, task: &Task) -> Result<Outcome, OutsideError> {
    let parts = &engine.shared.parts;
    let worker = worker(engine)?;
    let view = engine.deal(task.deal).await?;
    let params = judge::params_of(&view).map_err(OutsideError::Refused)?;
    parts.runner.fetch(&view).await?;
    let authorization = authorization(engine, task)?;
    worker.obtain_token(&view, &params, &authorization, parts.services.as_ref()).await?;
    let session = parts.services.session(&authorization, worker.sign(&authorization)).await?;
    let facts = FactsLearned { session: Some(session), ..FactsLearned::default() };
    Ok(Outcome::Happened(Event::Prepared, Note { facts, link: None }))
}

async fn run(engine: &Engine, task: &Task, fresh: bool) -> Result<Outcome, OutsideError> {
    let parts = &engine.shared.parts;
    let may_try_again = task.facts.attempts < worker(engine)?.attempts;
    let ended = if fresh {
        let authorization = authorization(engine, task)?;
        let session = task.facts.session.clone();
        let session =
            session.ok_or_else(|| OutsideError::refused(Cause::TEE_PREPARATION_FAILED, "the session was not kept"))?;
        let run = Run {
            task: task.id,
            deal: engine.deal(task.deal).await?,
            index: task.index,
            session,
            worker: authorization.worker,
            challenge: authorization.challenge,
        };
        let ended = parts.runner.run(run).await?;
        parts.store.keep_logs(task.id, ended.logs.clone()).await.map_err(|error| OutsideError::trouble(&error))?;
        Some(ended)
    } else {
        None
    };
    let delivered = parts.store.task(task.id).await.map_err(|error| OutsideError::trouble(&error))?;
    let delivered = delivered.unwrap_or_else(|| task.clone());
    Ok(judge_end(&delivered, ended.as_ref(), may_try_again))
}

/// What the end of a run means. `ended` is `None` when the pool was stopped while the enclave ran.
fn judge_end(task: &Task, ended: Option<&Ended>, may_try_again: bool) -> Outcome {
    let exit_code = ended.and_then(|ended| match ended.how {
        HowEnded::Exited(code) => Some(code),
        _ => None,
    });
    let with_code = |event, failure| {
        let facts = FactsLearned { failure, exit_code, ..FactsLearned::default() };
        Outcome::Happened(event, Note { facts, link: None })
    };
    // A failure that a stage reported is final, whatever was delivered before it.
    if let Some(reported) = task.reported.first() {
        return with_code(Event::GivenUp, Some(reported.clone()));
    }
    if task.computed.is_some() {
        return with_code(Event::Computed, None);
    }
    match ended {
        Some(ended) if !is_worth_another_try(&ended.how) || !may_try_again => {
            with_code(Event::GivenUp, Some(failure_of(ended)))
        }
        None if !may_try_again => {
            let message = format!("the pool was stopped while the enclave ran, {} times", task.facts.attempts);
            with_code(Event::GivenUp, Some(Failure::new(Cause::ABORTED_BY_WORKER, message)))
        }
        Some(_) | None => with_code(Event::Interrupted, None),
    }
}

/// Exit code of the guest for trouble outside of it (BSD `EX_TEMPFAIL`), such as an SMS that does not answer.
const GUEST_TROUBLE: i32 = 75;

fn is_worth_another_try(how: &HowEnded) -> bool {
    *how == HowEnded::Exited(GUEST_TROUBLE)
}

/// What the end of an enclave says that neither reported nor delivered anything.
fn failure_of(ended: &Ended) -> Failure {
    let last_words = ended.logs.stderr.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let said = |text: String| if last_words.is_empty() { text } else { format!("{text}; last words: {last_words}") };
    match &ended.how {
        HowEnded::Exited(0) => Failure::new(
            Cause::DETERMINISM_HASH_NOT_FOUND,
            said("the enclave ended well but delivered no result".to_owned()),
        ),
        HowEnded::Exited(code @ 64..=78) => Failure::new(
            Cause::TEE_PREPARATION_FAILED,
            said(format!("the guest could not prepare the app (exit code {code})")),
        ),
        HowEnded::Exited(code) => {
            Failure::new(Cause::APP_COMPUTE_FAILED, said(format!("the app ended with exit code {code}")))
        }
        HowEnded::Signalled(signal) => {
            Failure::new(Cause::APP_COMPUTE_FAILED, said(format!("the enclave was ended by signal {signal}")))
        }
        HowEnded::OutOfMemory => {
            Failure::new(Cause::APP_COMPUTE_FAILED, said("the app used more memory than it may".to_owned()))
        }
        HowEnded::Deadline => Failure::new(
            Cause::APP_COMPUTE_TIMEOUT,
            // An app that runs too long is ended by the guest, who says so.
            said("the enclave took longer than the category of the deal allows for inputs, app and result".to_owned()),
        ),
        HowEnded::NotStarted(cause) => {
            Failure::new(Cause::TEE_PREPARATION_FAILED, format!("the enclave was not started: {cause}"))
        }
    }
}

async fn settle(engine: &Engine, task: &Task) -> Result<Outcome, OutsideError> {
    let parts = &engine.shared.parts;
    let view = engine.deal(task.deal).await?;
    let params = judge::params_of(&view).map_err(OutsideError::Refused)?;
    let computed = task.computed.clone().ok_or_else(|| {
        OutsideError::refused(Cause::DETERMINISM_HASH_NOT_FOUND, "the result of the enclave was not kept")
    })?;
    let authorization = authorization(engine, task)?;
    let link = worker(engine)?.result_link(&view, &params, task.id, parts.services.as_ref()).await?;
    let settlement = Settlement {
        task: task.id,
        computed,
        link: link.clone(),
        challenge: authorization.challenge,
        authorization: authorization.signature,
    };
    parts.ledger.settle(settlement).await?;
    can_pay(engine, Role::Worker);
    Ok(Outcome::Happened(Event::Settled, Note { facts: FactsLearned::default(), link: Some(link) }))
}

/// The authorization that the scheduler left with the task.
fn authorization(engine: &Engine, task: &Task) -> Result<Authorization, OutsideError> {
    let missing = || OutsideError::refused(Cause::WORKERPOOL_AUTHORIZATION_NOT_FOUND, "the authorization was not kept");
    Ok(Authorization {
        task: task.id,
        deal: task.deal,
        index: task.index,
        worker: worker(engine)?.key.address(),
        challenge: task.facts.challenge.ok_or_else(missing)?,
        signature: task.facts.authorization.clone().ok_or_else(missing)?,
    })
}

fn happened(event: Event) -> Outcome {
    Outcome::Happened(event, Note::default())
}

fn scheduler(engine: &Engine) -> Result<&Scheduler, OutsideError> {
    engine.shared.parts.scheduler.as_ref().ok_or_else(|| OutsideError::Trouble("no scheduler runs here".to_owned()))
}

fn worker(engine: &Engine) -> Result<&Worker, OutsideError> {
    engine.shared.parts.worker.as_ref().ok_or_else(|| OutsideError::Trouble("no worker runs here".to_owned()))
}
