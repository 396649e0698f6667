//! Several tasks at once: what one of them waits for does not stop the others, and each wallet has its own alarm.

use std::future::Future;

use super::*;
use crate::store::Found;

/// More tries than a task makes while another one goes from its place to its end.
const MANY_TRIES: usize = 1000;

fn second() -> TaskId {
    TaskId::of(deal_view("{}").deal.id, 1)
}

async fn take_in_second(store: &Store) {
    let cursor = Cursor { block: 2, hash: B256::ZERO };
    let found = Found { index: 1, ..found(second()) };
    store.take_in(vec![found], cursor, UnixSeconds(1)).await.unwrap();
}

async fn until(store: &Store, task: TaskId, state: State) {
    while store.task(task).await.unwrap().unwrap().state != state {
        tokio::task::yield_now().await;
    }
}

/// Runs the engine as long as `story` goes on.
async fn during(engine: &Engine, story: impl Future<Output = ()>) {
    tokio::select! {
        () = story => {}
        () = engine.run() => unreachable!("the engine never ends"),
    }
}

#[tokio::test]
async fn a_task_whose_preparation_does_not_work_gives_its_place_to_others() {
    let world = World::new();
    *world.tokenless.lock().unwrap() = Some(id());
    let folder = tempfile::tempdir().unwrap();
    let store = with_task(folder.path()).await;
    let engine = engine(&world, &store);
    assert_eq!(engine.shared.parts.room.free(), 1);
    let tries = || world.refused_tokens.load(Ordering::SeqCst);
    during(&engine, async {
        while tries() == 0 {
            tokio::task::yield_now().await;
        }
        take_in_second(&store).await;
        while store.task(second()).await.unwrap().unwrap().state != State::Completed {
            assert!(tries() < MANY_TRIES, "the first task keeps the only place");
            tokio::task::yield_now().await;
        }
        assert_eq!(store.task(id()).await.unwrap().unwrap().state, State::Starting);
        // The first is not forgotten.
        *world.tokenless.lock().unwrap() = None;
        until(&store, id(), State::Completed).await;
    })
    .await;
}

#[tokio::test]
async fn a_task_waits_for_its_image_without_a_place() {
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    let store = with_task(folder.path()).await;
    let engine = engine(&world, &store);
    world.troubles.lock().unwrap().insert("challenge", usize::MAX);
    during(&engine, async {
        // Its image was there when the task was judged, and is not any more.
        until(&store, id(), State::Authorizing).await;
        world.troubles.lock().unwrap().extend([("fetch", usize::MAX), ("challenge", 0)]);
        until(&store, id(), State::Ready).await;
        let before = engine.shared.parts.metrics.troubles(State::Ready);
        while engine.shared.parts.metrics.troubles(State::Ready) < before + 3 {
            assert_eq!(engine.shared.parts.room.free(), 1);
            assert_eq!(store.task(id()).await.unwrap().unwrap().state, State::Ready);
            tokio::task::yield_now().await;
        }
        world.troubles.lock().unwrap().clear();
        until(&store, id(), State::Completed).await;
    })
    .await;
}

#[tokio::test]
async fn the_alarm_about_a_wallet_ends_with_its_own_transactions_only() {
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    let store = with_task(folder.path()).await;
    let engine = engine(&world, &store);
    let is_alarmed = |wallet: Address| {
        let text = String::from_utf8(engine.shared.parts.metrics.text(&[], 0)).unwrap();
        text.contains(&format!("strongroom_pool_wallet_empty{{wallet=\"{wallet}\"}} 1"))
    };
    world.troubles.lock().unwrap().insert("settle", usize::MAX);
    during(&engine, async {
        until(&store, id(), State::Settling).await;
        world.empty_wallet.store(usize::MAX, Ordering::SeqCst);
        take_in_second(&store).await;
        while !is_alarmed(owner().address()) {
            tokio::task::yield_now().await;
        }
        // The worker's transaction goes through; the owner can pay no more than before.
        world.troubles.lock().unwrap().clear();
        until(&store, id(), State::Completed).await;
        assert!(is_alarmed(owner().address()));
        world.empty_wallet.store(0, Ordering::SeqCst);
        until(&store, second(), State::Completed).await;
        assert!(!is_alarmed(owner().address()));
    })
    .await;
}
