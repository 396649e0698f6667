//! Moves every task of the pool on: does what a task's state asks for, and writes down what came of it before anything else.
//!
//! A driver owns one task at a time and holds nothing that matters in memory: killed at any moment, its successor reads state
//! and chain and goes on. Each action looks at the chain before it writes to it.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use strongroom_protocol::{DealId, TaskId};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use crate::cause::{Cause, Failure};
use crate::lifecycle::{Event, Role, State};
use crate::metrics::Metrics;
use crate::outside::{Clock, DealView, Ledger, OutsideError, RunTasks, Services, with_causes};
use crate::room::{Place, Room};
use crate::scheduler::Scheduler;
use crate::store::{FactsLearned, Note, Store, StoreError};
use crate::task::Task;
use crate::worker::Worker;

mod act;

/// How long the engine is patient.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// How often the state is looked at for tasks of the other process or that became due.
    pub look: Duration,
    /// First pause after trouble; each next one is twice as long.
    pub first_pause: Duration,
    /// Longest pause.
    pub longest_pause: Duration,
    /// How many deals are remembered, so that a task costs no read of its deal.
    pub deals_remembered: usize,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            look: Duration::from_secs(1),
            first_pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(30),
            deals_remembered: 1024,
        }
    }
}

/// What the engine works with.
pub struct Parts {
    /// The state.
    pub store: Store,
    /// The chain.
    pub ledger: Arc<dyn Ledger>,
    /// SMS and result proxy.
    pub services: Arc<dyn Services>,
    /// Enclaves; only the worker uses them.
    pub runner: Arc<dyn RunTasks>,
    /// The time.
    pub clock: Clock,
    /// The half that holds the owner's key, if it runs here.
    pub scheduler: Option<Scheduler>,
    /// The half that holds the worker's key, if it runs here.
    pub worker: Option<Worker>,
    /// Places for enclaves.
    pub room: Room,
    /// Patience.
    pub patience: Patience,
    /// Counters.
    pub metrics: Arc<Metrics>,
}

/// The engine; clones share everything.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

struct Shared {
    parts: Parts,
    /// Rung when there may be something to do.
    bell: Notify,
    driven: Mutex<HashSet<TaskId>>,
    deals: Mutex<HashMap<DealId, Arc<DealView>>>,
}

/// What came of an action.
enum Outcome {
    /// The task moves on.
    Happened(Event, Note),
    /// Nothing to do now; somebody else or a later look goes on.
    Later,
}

impl Engine {
    /// An engine; nothing runs yet.
    pub fn new(parts: Parts) -> Self {
        let (bell, driven, deals) = (Notify::new(), Mutex::default(), Mutex::default());
        Self { shared: Arc::new(Shared { parts, bell, driven, deals }) }
    }

    /// Says that there may be something to do.
    pub fn ring(&self) {
        self.shared.bell.notify_one();
    }

    /// Drives all tasks, for ever. Dropping the future stops every driver where it is; running enclaves are killed.
    pub async fn run(&self) {
        let mut drivers = JoinSet::new();
        loop {
            if let Err(trouble) = self.start_drivers(&mut drivers).await {
                error!(error = with_causes(&trouble), "the state of the pool cannot be read");
            }
            while let Some(ended) = drivers.try_join_next() {
                self.driver_ended(ended);
            }
            tokio::select! {
                () = self.shared.bell.notified() => {}
                () = tokio::time::sleep(self.shared.parts.patience.look) => {}
            }
        }
    }

    /// One driver for each task that needs one and has none.
    async fn start_drivers(&self, drivers: &mut JoinSet<TaskId>) -> Result<(), StoreError> {
        let parts = &self.shared.parts;
        let now = self.chain_time().await;
        for role in self.roles() {
            for id in parts.store.to_do(role, now).await? {
                if !self.driven().insert(id) {
                    continue;
                }
                let engine = self.clone();
                drivers.spawn(async move {
                    if let Err(trouble) = engine.drive(id).await {
                        error!(task = %id, error = with_causes(&trouble), "a task cannot be moved on");
                    }
                    id
                });
            }
        }
        Ok(())
    }

    fn driver_ended(&self, ended: Result<TaskId, tokio::task::JoinError>) {
        match ended {
            Ok(id) => {
                self.driven().remove(&id);
            }
            // The task stays marked: a driver that panics would panic again. The next start of the program tries anew.
            Err(panic) => error!(%panic, "a driver broke down; its task rests until the pool is started again"),
        }
    }

    fn driven(&self) -> std::sync::MutexGuard<'_, HashSet<TaskId>> {
        self.shared.driven.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn roles(&self) -> Vec<Role> {
        let scheduler = self.shared.parts.scheduler.as_ref().map(|_| Role::Scheduler);
        scheduler.into_iter().chain(self.shared.parts.worker.as_ref().map(|_| Role::Worker)).collect()
    }

    /// The time that counts for deadlines: ours or the chain's, whichever is later.
    async fn chain_time(&self) -> strongroom_protocol::UnixSeconds {
        let ours = self.shared.parts.clock.now();
        self.shared.parts.ledger.head().await.map_or(ours, |head| head.time.max(ours))
    }

    /// Moves one task on until it is over, waits for its final deadline, or is the other process's.
    async fn drive(&self, id: TaskId) -> Result<(), StoreError> {
        let parts = &self.shared.parts;
        let roles = self.roles();
        let mut task = parts.store.task(id).await?.ok_or(StoreError::NoTask(id))?;
        let mut place = None;
        // Whether this driver brought the task to the state it is in.
        let mut fresh = false;
        let mut pause = parts.patience.first_pause;
        let mut last_trouble = None;
        while task.state.role().is_some_and(|role| roles.contains(&role)) {
            let (event, note) = match self.act(&task, fresh, &mut place).await {
                Ok(Outcome::Happened(event, note)) => (event, note),
                Ok(Outcome::Later) => return Ok(()),
                Err(OutsideError::Refused(failure)) if task.state.is_hopeful() => {
                    given_up(with_trouble(failure, last_trouble.as_ref()))
                }
                Err(trouble) => {
                    self.tell(&task, &trouble);
                    if let Some(failure) = self.pointless(&task, &trouble).await {
                        given_up(failure)
                    } else {
                        last_trouble = Some(trouble);
                        // What this task waits for may never come; others that wait for a place go first.
                        place = None;
                        tokio::time::sleep(pause).await;
                        pause = pause.saturating_mul(2).min(parts.patience.longest_pause);
                        continue;
                    }
                }
            };
            let from = task.state;
            task = parts.store.advance(id, from, event, note, parts.clock.now()).await?;
            (fresh, pause, last_trouble) = (true, parts.patience.first_pause, None);
            if !matches!(task.state, State::Starting | State::Running) {
                place = None;
            }
            self.moved(&task, event);
        }
        Ok(())
    }

    /// Why it makes no sense to try again, if it makes none.
    async fn pointless(&self, task: &Task, trouble: &OutsideError) -> Option<Failure> {
        let now = self.chain_time().await;
        (task.state.is_hopeful() && now > task.contribution_deadline).then(|| {
            let late = Failure::new(Cause::CONTRIBUTION_TIMEOUT, "the contribution deadline passed");
            with_trouble(late, Some(trouble))
        })
    }

    fn tell(&self, task: &Task, trouble: &OutsideError) {
        self.shared.parts.metrics.count_trouble(task.state);
        match trouble {
            OutsideError::NoGas { wallet } if self.shared.parts.metrics.wallet_is_empty(*wallet) => {
                error!(task = %task.id, state = %task.state, %wallet, "the wallet has no gas; tasks wait until it has");
            }
            // The alarm was given.
            OutsideError::NoGas { .. } => {}
            trouble => warn!(task = %task.id, state = %task.state, %trouble, "a step did not work; it is tried again"),
        }
    }

    fn moved(&self, task: &Task, event: Event) {
        self.shared.parts.metrics.count_change(task.state);
        match (task.state, &task.facts.failure) {
            (State::Completed, _) => info!(task = %task.id, deal = %task.deal, "task completed"),
            (State::Stuck, Some(failure)) => {
                info!(task = %task.id, deal = %task.deal, cause = %failure.cause, reason = failure.message, "task given up");
            }
            (State::Failed, _) if event == Event::Vanished => {
                info!(task = %task.id, deal = %task.deal, "task is over; its deal is not on chain any more, so nothing is to be paid back");
            }
            (State::Failed, _) => {
                info!(task = %task.id, deal = %task.deal, "task failed on chain; the requester is paid back");
            }
            (state, _) => tracing::debug!(task = %task.id, %state, "task moved on"),
        }
    }

    /// A deal, from memory if it was read before; it never changes while it is on chain.
    async fn deal(&self, id: DealId) -> Result<Arc<DealView>, OutsideError> {
        let known = self.deals().get(&id).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let read = Arc::new(self.shared.parts.ledger.deal(id).await?);
        let mut deals = self.deals();
        if deals.len() >= self.shared.parts.patience.deals_remembered {
            deals.clear();
        }
        deals.insert(id, Arc::clone(&read));
        Ok(read)
    }

    /// Forgets a deal that is not on chain: if it comes again it may be another match of the same order.
    fn forget_deal(&self, id: DealId) {
        self.deals().remove(&id);
    }

    fn deals(&self) -> std::sync::MutexGuard<'_, HashMap<DealId, Arc<DealView>>> {
        self.shared.deals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what the task's state asks for.
    async fn act(&self, task: &Task, fresh: bool, place: &mut Option<Place>) -> Result<Outcome, OutsideError> {
        act::act(self, task, fresh, place).await
    }
}

/// A deadline passes because something did not work before.
fn with_trouble(failure: Failure, last: Option<&OutsideError>) -> Failure {
    match last {
        Some(trouble) if failure.cause == Cause::CONTRIBUTION_TIMEOUT => {
            Failure::new(failure.cause, format!("{}; last trouble: {trouble}", failure.message))
        }
        _ => failure,
    }
}

fn given_up(failure: Failure) -> (Event, Note) {
    (Event::GivenUp, Note { facts: FactsLearned { failure: Some(failure), ..FactsLearned::default() }, link: None })
}

#[cfg(test)]
mod tests;
