//! The engine against a world that can stop at any moment: before or after each thing that was asked of it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use alloy_primitives::B256;
use strongroom_protocol::snapshot::{Block, TaskStatus};
use strongroom_protocol::{Address, Framework, SecretValue, SigningKey, UnixSeconds};
use tokio::sync::{Mutex as AsyncMutex, OnceCell};
use url::Url;

use super::*;
use crate::cause::{Cause, Failure};
use crate::judge::Offer;
use crate::outside::{Asked, Authorization, Ended, HowEnded, Notices, Objection, Run, Settlement};
use crate::store::Cursor;
use crate::task::{Computed, Logs};
use crate::test_support::{deal_view, found, open_store};

/// Where a world stops, for the crash tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// Never.
    Never,
    /// Before the effect of the question of this number.
    Before(usize),
    /// After its effect, before its answer.
    After(usize),
}

/// What the outside remembers, whatever happens to the pool.
struct World {
    now: Mutex<UnixSeconds>,
    statuses: Mutex<HashMap<TaskId, TaskStatus>>,
    /// Transactions by name, as the chain took them.
    sent: Mutex<Vec<&'static str>>,
    asked: AtomicUsize,
    stop: Mutex<Stop>,
    stopped: Notify,
    /// What enclaves do.
    enclave: Mutex<Enclave>,
    runs: AtomicUsize,
    view: DealView,
    /// Whether a reorganisation took the deal back.
    is_deal_gone: AtomicBool,
    objections: Mutex<Vec<Objection>>,
    troubles: Mutex<HashMap<&'static str, usize>>,
    empty_wallet: AtomicUsize,
    store: Mutex<Option<Store>>,
}

#[derive(Clone)]
enum Enclave {
    Delivers,
    Reports(Failure),
    Ends(HowEnded),
    /// Ends so the first time, then delivers.
    First(HowEnded),
}

impl World {
    fn new() -> Arc<Self> {
        let mut view = deal_view(r#"{"iexec_result_storage_provider":"ipfs"}"#);
        view.deal.workerpool.address = Address::repeat_byte(0x33);
        view.deal.workerpool.owner = owner().address();
        Arc::new(Self {
            now: Mutex::new(view.deal.start_time),
            statuses: Mutex::default(),
            sent: Mutex::default(),
            asked: AtomicUsize::new(0),
            stop: Mutex::new(Stop::Never),
            stopped: Notify::new(),
            enclave: Mutex::new(Enclave::Delivers),
            runs: AtomicUsize::new(0),
            view,
            is_deal_gone: AtomicBool::new(false),
            objections: Mutex::default(),
            troubles: Mutex::default(),
            empty_wallet: AtomicUsize::new(0),
            store: Mutex::default(),
        })
    }

    /// One question: stops here if it is its turn, else has the effect.
    async fn question<T>(&self, name: &'static str, effect: impl AsyncFnOnce() -> T) -> Result<T, OutsideError> {
        if let Some(left) = self.troubles.lock().unwrap().get_mut(name).filter(|left| **left > 0) {
            *left -= 1;
            return Err(OutsideError::Trouble(format!("{name} is down")));
        }
        let number = self.asked.fetch_add(1, Ordering::SeqCst);
        let stop = *self.stop.lock().unwrap();
        if stop == Stop::Before(number) {
            self.halt().await;
        }
        let answer = effect().await;
        if stop == Stop::After(number) {
            self.halt().await;
        }
        Ok(answer)
    }

    async fn halt(&self) {
        self.stopped.notify_one();
        std::future::pending::<()>().await;
    }

    fn status_of(&self, task: TaskId) -> TaskStatus {
        self.statuses.lock().unwrap().get(&task).copied().unwrap_or(TaskStatus::Unset)
    }

    /// A transaction: the chain takes it in the right state only.
    fn send(&self, name: &'static str, task: TaskId, from: &[TaskStatus], to: TaskStatus) -> Result<(), OutsideError> {
        if self.is_deal_gone.load(Ordering::SeqCst) {
            // Its estimate fails, so that it is not even sent.
            return Err(OutsideError::refused(Cause::CHAIN_RECEIPT_NOT_VALID, format!("{name} would be reverted")));
        }
        self.sent.lock().unwrap().push(name);
        if !from.contains(&self.status_of(task)) {
            return Err(OutsideError::refused(Cause::CHAIN_RECEIPT_NOT_VALID, format!("{name} was reverted")));
        }
        self.statuses.lock().unwrap().insert(task, to);
        Ok(())
    }

    fn sent(&self) -> Vec<&'static str> {
        self.sent.lock().unwrap().clone()
    }

    fn pass_final_deadline(&self) {
        *self.now.lock().unwrap() = self.view.final_deadline();
    }
}

impl Ledger for World {
    fn head(&self) -> Asked<'_, Block> {
        let time = *self.now.lock().unwrap();
        Box::pin(async move { Ok(Block { number: 1, hash: B256::ZERO, time }) })
    }

    fn notices(&self, _after: Option<Cursor>) -> Asked<'_, Notices> {
        let cursor = Cursor { block: 1, hash: B256::ZERO };
        Box::pin(async move { Ok(Notices { deals: vec![self.view.deal.id], cursor }) })
    }

    fn deal(&self, _id: DealId) -> Asked<'_, DealView> {
        Box::pin(self.question("deal", async || self.view.clone()))
    }

    fn has_deal(&self, _id: DealId) -> Asked<'_, bool> {
        Box::pin(self.question("deal", async || !self.is_deal_gone.load(Ordering::SeqCst)))
    }

    fn dataset_location(&self, _dataset: Address) -> Asked<'_, Option<String>> {
        Box::pin(async { Ok(None) })
    }

    fn status(&self, id: TaskId) -> Asked<'_, TaskStatus> {
        Box::pin(self.question("status", async move || self.status_of(id)))
    }

    fn initialize(&self, deal: DealId, index: u64) -> Asked<'_, ()> {
        Box::pin(async move {
            if self.empty_wallet.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
                return Err(OutsideError::NoGas { wallet: owner().address() });
            }
            let task = TaskId::of(deal, index);
            let send = async || self.send("initialize", task, &[TaskStatus::Unset], TaskStatus::Active);
            self.question("initialize", send).await?
        })
    }

    fn settle(&self, settlement: Settlement) -> Asked<'_, ()> {
        Box::pin(async move {
            let send = async || self.send("settle", settlement.task, &[TaskStatus::Active], TaskStatus::Completed);
            self.question("settle", send).await?
        })
    }

    fn claim(&self, deal: DealId, index: u64, _status: TaskStatus) -> Asked<'_, ()> {
        Box::pin(async move {
            let task = TaskId::of(deal, index);
            let from = [TaskStatus::Unset, TaskStatus::Active];
            self.question("claim", async || self.send("claim", task, &from, TaskStatus::Failed)).await?
        })
    }
}

impl Services for World {
    fn framework(&self) -> Asked<'_, Framework> {
        Box::pin(self.question("framework", async || Framework::Tdx))
    }

    fn challenge(&self, _task: TaskId, _signature: String) -> Asked<'_, Address> {
        Box::pin(self.question("challenge", async || Address::repeat_byte(0xec)))
    }

    fn publish<'a>(&'a self, _key: &'a SigningKey, _name: &'a str, _value: &'a SecretValue) -> Asked<'a, ()> {
        Box::pin(self.question("publish", async || ()))
    }

    fn objections<'a>(&'a self, _authorization: &'a Authorization) -> Asked<'a, Vec<Objection>> {
        Box::pin(self.question("objections", async || self.objections.lock().unwrap().clone()))
    }

    fn session<'a>(&'a self, _authorization: &'a Authorization, _signature: String) -> Asked<'a, String> {
        Box::pin(self.question("session", async || "a session".to_owned()))
    }

    fn storage_token<'a>(
        &'a self,
        _proxy: &'a Url,
        _authorization: &'a Authorization,
        _signature: String,
    ) -> Asked<'a, SecretValue> {
        Box::pin(self.question("token", async || SecretValue::new(b"a token".to_vec()).unwrap()))
    }

    fn result_location<'a>(&'a self, _proxy: &'a Url, _task: TaskId) -> Asked<'a, Option<String>> {
        Box::pin(self.question("location", async || Some("/ipfs/Qm".to_owned())))
    }
}

impl RunTasks for World {
    fn fetch<'a>(&'a self, _deal: &'a DealView) -> Asked<'a, ()> {
        Box::pin(self.question("fetch", async || ()))
    }

    fn run(&self, run: Run) -> Asked<'_, Ended> {
        let enclave = self.enclave.lock().unwrap().clone();
        let first = self.runs.fetch_add(1, Ordering::SeqCst) == 0;
        let store = self.store.lock().unwrap().clone().unwrap();
        let deliver = async move || {
            let computed = Computed {
                result_digest: B256::repeat_byte(1),
                enclave_signature: "signed".to_owned(),
                callback_data: "0x".to_owned(),
            };
            store.deliver(run.task, computed).await.unwrap();
            HowEnded::Exited(0)
        };
        let store = self.store.lock().unwrap().clone().unwrap();
        let how = async move || match enclave {
            Enclave::First(how) if first => how,
            Enclave::Delivers | Enclave::First(_) => deliver().await,
            Enclave::Reports(failure) => {
                store.report(run.task, vec![failure]).await.unwrap();
                HowEnded::Exited(1)
            }
            Enclave::Ends(how) => how,
        };
        let logs = Logs { stdout: "hello".to_owned(), stderr: "last\n".to_owned() };
        Box::pin(self.question("run", async move || Ended { how: how().await, logs }))
    }
}

fn owner() -> SigningKey {
    SigningKey::from_bytes(&[1; 32]).unwrap()
}

fn worker_key() -> SigningKey {
    SigningKey::from_bytes(&[2; 32]).unwrap()
}

/// The engine of one life of the pool.
fn engine(world: &Arc<World>, store: &Store) -> Engine {
    *world.store.lock().unwrap() = Some(store.clone());
    let proxy: Option<Url> = Some("http://proxy.example".parse().unwrap());
    let clock = Arc::clone(world);
    Engine::new(Parts {
        store: store.clone(),
        ledger: world.clone(),
        services: world.clone(),
        runner: world.clone(),
        clock: Clock::new(move || *clock.now.lock().unwrap()),
        scheduler: Some(Scheduler {
            key: Arc::new(owner()),
            offer: Offer {
                workerpool: Address::repeat_byte(0x33),
                owner: owner().address(),
                frameworks: [Framework::Tdx].into(),
                margin_seconds: 60,
            },
            worker: worker_key().address(),
            proxy: proxy.clone(),
            claims: true,
            published: OnceCell::new(),
        }),
        worker: Some(Worker { key: Arc::new(worker_key()), proxy, attempts: 3, token: AsyncMutex::default() }),
        room: Room::new(1000, 1000, 1000, 1000),
        patience: Patience {
            look: Duration::from_millis(1),
            first_pause: Duration::from_millis(1),
            longest_pause: Duration::from_millis(1),
            deals_remembered: 10,
        },
        metrics: Arc::default(),
    })
}

fn id() -> TaskId {
    TaskId::of(deal_view("{}").deal.id, 0)
}

async fn with_task(folder: &std::path::Path) -> Store {
    let store = open_store(folder);
    let cursor = Cursor { block: 1, hash: B256::ZERO };
    store.take_in(vec![found(id())], cursor, UnixSeconds(1)).await.unwrap();
    store
}

/// Runs the engine until the task is in one of `states`.
async fn run_until(world: &Arc<World>, store: &Store, states: &[State]) -> Task {
    let engine = engine(world, store);
    let reached = async {
        loop {
            let task = store.task(id()).await.unwrap().unwrap();
            if states.contains(&task.state) {
                return task;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        task = reached => task,
        () = engine.run() => unreachable!("the engine never ends"),
    }
}

async fn outcome(world: &Arc<World>) -> Task {
    let folder = tempfile::tempdir().unwrap();
    let store = with_task(folder.path()).await;
    run_until(world, &store, &[State::Completed, State::Stuck]).await
}

#[tokio::test]
async fn a_task_that_goes_well_costs_two_transactions() {
    let world = World::new();
    assert_eq!(outcome(&world).await.state, State::Completed);
    assert_eq!(world.sent(), ["initialize", "settle"]);
}

/// The heart of it: killed before or after anything that it asks of the world, the next life of the pool goes on, and the
/// chain sees each transaction once.
#[tokio::test]
async fn a_pool_that_is_killed_at_any_moment_settles_once() {
    let undisturbed = World::new();
    outcome(&undisturbed).await;
    let questions = undisturbed.asked.load(Ordering::SeqCst);
    assert!(questions > 15, "{questions}");
    for stop in (0..questions).flat_map(|number| [Stop::Before(number), Stop::After(number)]) {
        let world = World::new();
        *world.stop.lock().unwrap() = stop;
        let folder = tempfile::tempdir().unwrap();
        {
            let store = with_task(folder.path()).await;
            let engine = engine(&world, &store);
            tokio::select! {
                () = world.stopped.notified() => {}
                () = engine.run() => unreachable!("the engine never ends"),
            }
        }
        *world.stop.lock().unwrap() = Stop::Never;
        let store = open_store(folder.path());
        let task = run_until(&world, &store, &[State::Completed, State::Stuck]).await;
        assert_eq!(task.state, State::Completed, "{stop:?}: {:?}", task.facts.failure);
        assert_eq!(world.sent(), ["initialize", "settle"], "{stop:?}");
    }
}

#[tokio::test]
async fn a_pool_that_is_killed_at_any_moment_claims_what_failed_once() {
    let failing = || {
        let world = World::new();
        *world.enclave.lock().unwrap() = Enclave::Ends(HowEnded::Exited(3));
        world
    };
    for stop in (0..60).flat_map(|number| [Stop::Before(number), Stop::After(number)]) {
        let world = failing();
        *world.stop.lock().unwrap() = stop;
        let folder = tempfile::tempdir().unwrap();
        let store = with_task(folder.path()).await;
        let life = engine(&world, &store);
        // It may be through before the question of this number.
        let over = async {
            loop {
                let task = store.task(id()).await.unwrap().unwrap();
                match task.state {
                    State::Stuck => world.pass_final_deadline(),
                    State::Failed => return,
                    _ => {}
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            () = world.stopped.notified() => {}
            () = over => {}
            () = life.run() => unreachable!("the engine never ends"),
        }
        drop(life);
        *world.stop.lock().unwrap() = Stop::Never;
        let store = open_store(folder.path());
        run_until(&world, &store, &[State::Stuck, State::Claiming, State::Failed]).await;
        world.pass_final_deadline();
        let task = run_until(&world, &store, &[State::Failed]).await;
        assert_eq!(task.facts.failure.unwrap().cause, Cause::APP_COMPUTE_FAILED, "{stop:?}");
        assert_eq!(world.sent(), ["initialize", "claim"], "{stop:?}");
    }
}

#[tokio::test]
async fn what_the_enclave_ends_with_is_told_in_the_old_words() {
    let reported = Failure::new(Cause::PRE_COMPUTE_INVALID_DATASET_CHECKSUM, "of 0x22");
    for (enclave, cause, part) in [
        (Enclave::Reports(reported), Cause::PRE_COMPUTE_INVALID_DATASET_CHECKSUM, "0x22"),
        (Enclave::Ends(HowEnded::Exited(0)), Cause::DETERMINISM_HASH_NOT_FOUND, "no result"),
        (Enclave::Ends(HowEnded::Exited(3)), Cause::APP_COMPUTE_FAILED, "exit code 3; last words: last"),
        (Enclave::Ends(HowEnded::Exited(77)), Cause::TEE_PREPARATION_FAILED, "77"),
        (Enclave::Ends(HowEnded::Signalled(9)), Cause::APP_COMPUTE_FAILED, "signal 9"),
        (Enclave::Ends(HowEnded::OutOfMemory), Cause::APP_COMPUTE_FAILED, "memory"),
        (Enclave::Ends(HowEnded::Deadline), Cause::APP_COMPUTE_TIMEOUT, "longer"),
        (Enclave::Ends(HowEnded::NotStarted("no root".to_owned())), Cause::TEE_PREPARATION_FAILED, "no root"),
    ] {
        let world = World::new();
        *world.enclave.lock().unwrap() = enclave;
        let task = outcome(&world).await;
        let failure = task.facts.failure.unwrap();
        assert_eq!((task.state, failure.cause), (State::Stuck, cause), "{failure}");
        assert!(failure.message.contains(part), "{failure}");
        assert_eq!(world.sent(), ["initialize"]);
    }
}

#[tokio::test]
async fn trouble_inside_the_enclave_is_worth_another_try_and_not_for_ever() {
    let world = World::new();
    *world.enclave.lock().unwrap() = Enclave::First(HowEnded::Exited(75));
    let task = outcome(&world).await;
    assert_eq!((task.state, task.facts.attempts), (State::Completed, 2));

    let world = World::new();
    *world.enclave.lock().unwrap() = Enclave::Ends(HowEnded::Exited(75));
    let task = outcome(&world).await;
    assert_eq!((task.state, task.facts.attempts), (State::Stuck, 3));
}

#[tokio::test]
async fn a_deal_that_is_not_worth_its_gas_costs_none() {
    let world = World::new();
    *world.now.lock().unwrap() = UnixSeconds(world.view.contribution_deadline().0 - 1);
    let task = outcome(&world).await;
    assert_eq!(task.facts.failure.unwrap().cause, Cause::CONTRIBUTION_TIMEOUT);
    assert_eq!(world.sent(), [""; 0]);
}

#[tokio::test]
async fn what_the_sms_would_refuse_is_not_started() {
    let world = World::new();
    let objection = |code: &str| Objection { code: code.to_owned(), reason: format!("for {code}") };
    *world.objections.lock().unwrap() = vec![objection("storage-token-missing"), objection("dataset-key-missing")];
    let task = outcome(&world).await;
    let failure = task.facts.failure.unwrap();
    assert_eq!(failure.cause, Cause::TEE_SESSION_GENERATION_PRE_COMPUTE_GET_DATASET_SECRET_FAILED);
    assert_eq!((failure.message.as_str(), world.runs.load(Ordering::SeqCst)), ("for dataset-key-missing", 0));
}

#[tokio::test]
async fn trouble_and_an_empty_wallet_are_waited_out() {
    let world = World::new();
    let names = ["status", "deal", "framework", "initialize", "challenge", "publish", "objections", "fetch"];
    let more = ["token", "session", "run", "location", "settle"];
    world.troubles.lock().unwrap().extend(names.into_iter().chain(more).map(|name| (name, 3)));
    world.empty_wallet.store(3, Ordering::SeqCst);
    let task = outcome(&world).await;
    assert_eq!(task.state, State::Completed, "{:?}", task.facts.failure);
    assert_eq!(world.sent(), ["initialize", "settle"]);
}

#[tokio::test]
async fn trouble_is_given_up_when_the_contribution_deadline_makes_it_pointless() {
    let world = World::new();
    world.troubles.lock().unwrap().insert("session", usize::MAX);
    let folder = tempfile::tempdir().unwrap();
    let store = with_task(folder.path()).await;
    run_until(&world, &store, &[State::Starting]).await;
    *world.now.lock().unwrap() = UnixSeconds(world.view.contribution_deadline().0 + 1);
    let task = run_until(&world, &store, &[State::Stuck]).await;
    assert_eq!(task.facts.failure.unwrap().cause, Cause::CONTRIBUTION_TIMEOUT);
}

#[tokio::test]
async fn a_task_that_somebody_else_initialised_is_not_initialised_again() {
    let world = World::new();
    world.statuses.lock().unwrap().insert(id(), TaskStatus::Active);
    assert_eq!(outcome(&world).await.state, State::Completed);
    assert_eq!(world.sent(), ["settle"]);
}

#[tokio::test]
async fn an_initialisation_that_a_reorganisation_took_back_is_made_again() {
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    let store = with_task(folder.path()).await;
    run_until(&world, &store, &[State::Ready, State::Starting, State::Running]).await;
    world.statuses.lock().unwrap().clear();
    let task = run_until(&world, &store, &[State::Completed, State::Stuck]).await;
    assert_eq!(task.state, State::Completed, "{:?}", task.facts.failure);
    assert_eq!(world.sent(), ["initialize", "initialize", "settle"]);
}

#[tokio::test]
async fn a_deal_that_a_reorganisation_took_back_is_waited_for_and_done_when_it_comes_again() {
    for (state, held_by) in [
        (State::Initializing, "initialize"),
        (State::Authorizing, "challenge"),
        (State::Starting, "session"),
        (State::Running, "run"),
        (State::Settling, "settle"),
    ] {
        let world = World::new();
        let folder = tempfile::tempdir().unwrap();
        let store = with_task(folder.path()).await;
        world.troubles.lock().unwrap().insert(held_by, usize::MAX);
        run_until(&world, &store, &[state]).await;
        world.troubles.lock().unwrap().clear();
        let sent = world.sent().len();
        world.statuses.lock().unwrap().clear();
        world.is_deal_gone.store(true, Ordering::SeqCst);
        let asked = world.asked.load(Ordering::SeqCst);
        let several_looks = async {
            while world.asked.load(Ordering::SeqCst) < asked + 20 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            () = several_looks => {}
            task = run_until(&world, &store, &[State::Stuck]) => panic!("{state}: {:?}", task.facts.failure),
        }
        assert_eq!(world.sent().len(), sent, "{state}");
        world.is_deal_gone.store(false, Ordering::SeqCst);
        assert_eq!(run_until(&world, &store, &[State::Completed]).await.state, State::Completed);
    }
}

#[tokio::test]
async fn a_deal_that_never_comes_again_is_given_up_and_nothing_is_claimed_of_it() {
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    let store = with_task(folder.path()).await;
    world.troubles.lock().unwrap().insert("run", usize::MAX);
    run_until(&world, &store, &[State::Running]).await;
    let sent = world.sent();
    world.statuses.lock().unwrap().clear();
    world.is_deal_gone.store(true, Ordering::SeqCst);
    *world.now.lock().unwrap() = UnixSeconds(world.view.contribution_deadline().0 + 1);
    let task = run_until(&world, &store, &[State::Stuck]).await;
    assert_eq!(task.facts.failure.unwrap().cause, Cause::CONTRIBUTION_TIMEOUT);
    world.pass_final_deadline();
    run_until(&world, &store, &[State::Failed]).await;
    assert_eq!(world.sent(), sent);
}

#[tokio::test]
async fn halves_in_two_processes_hand_tasks_over_through_the_state() {
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    let store = with_task(folder.path()).await;
    let half = |scheduler: bool| {
        let whole = engine(&world, &store);
        let mut parts = Arc::into_inner(whole.shared).unwrap().parts;
        if scheduler {
            parts.worker = None;
        } else {
            parts.scheduler = None;
        }
        Engine::new(parts)
    };
    let (scheduler, worker) = (half(true), half(false));
    let over = async {
        while store.task(id()).await.unwrap().unwrap().state != State::Completed {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = over => {}
        () = scheduler.run() => unreachable!("the engine never ends"),
        () = worker.run() => unreachable!("the engine never ends"),
    }
    assert_eq!(world.sent(), ["initialize", "settle"]);
}
