//! The engine against a world that can stop at any moment.

mod side_by_side;
mod world;

use std::sync::atomic::Ordering;

use alloy_primitives::B256;
use strongroom_protocol::snapshot::TaskStatus;
use strongroom_protocol::{Address, Framework, SigningKey, UnixSeconds};
use tokio::sync::{Mutex as AsyncMutex, OnceCell};
use url::Url;

use self::world::{Enclave, Stop, World};
use super::*;
use crate::cause::{Cause, Failure};
use crate::judge::Offer;
use crate::outside::{HowEnded, Objection};
use crate::store::Cursor;
use crate::test_support::{deal_view, found, open_store};

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
                proxy: proxy.clone(),
                margin_seconds: 60,
            },
            worker: worker_key().address(),
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
