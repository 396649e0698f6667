//! Changing the epoch key under a store that is in use.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

mod fixture;

use std::future::Future;
use std::task::{Context, Poll, Waker};

use fixture::{Folder, account, signature, value};
use strongroom_store::{Replaced, RotationReport, Store};

async fn fill(store: &Store, secrets: u32) {
    for number in 0..secrets {
        store.insert(account(&format!("name {number}")), value(b"value"), signature(1)).await.unwrap();
    }
}

/// The epochs that have keys, and for each the number of data keys under it.
fn epochs(folder: &Folder) -> Vec<(i64, i64)> {
    let connection = folder.raw();
    let mut statement = connection
        .prepare("SELECT e.epoch, count(k.epoch) FROM epochs e LEFT JOIN data_keys k ON k.epoch = e.epoch GROUP BY 1")
        .unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

fn column(folder: &Folder, query: &str) -> Vec<Vec<u8>> {
    let connection = folder.raw();
    let mut statement = connection.prepare(query).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

#[tokio::test]
async fn a_rotation_wraps_every_data_key_anew_and_deletes_the_old_epoch_key() {
    let folder = Folder::new();
    let store = folder.open();
    fill(&store, 600).await;
    let derived = store.derive_key("label", b"context");
    let (keys, values) = ("SELECT wrapped_key FROM data_keys", "SELECT ciphertext FROM secret_versions ORDER BY id");
    let before = (column(&folder, keys), column(&folder, values));
    let mut steps = Vec::new();
    let report = store.rotate_epoch(|progress| steps.push((progress.rewrapped, progress.total))).await.unwrap();
    assert_eq!(report, RotationReport { rewrapped: 600, unreadable: 0, continued: false, retired: 1 });
    assert_eq!(steps, [(256, 600), (512, 600), (600, 600)]);
    assert_eq!(epochs(&folder), [(2, 600)]);
    assert!(column(&folder, keys).iter().all(|key| !before.0.contains(key)));
    assert_eq!(column(&folder, values), before.1, "values are not touched");

    assert!(store.verify().await.unwrap().is_sound());
    assert_eq!(*store.derive_key("label", b"context"), *derived, "derived keys outlive rotations");
    let replayed = store.replace(account("name 0"), value(b"value"), signature(1)).await;
    assert_eq!(replayed.unwrap(), Replaced::Unchanged);
    store.close().await;
    assert!(folder.open().verify().await.unwrap().is_sound());
}

#[tokio::test]
async fn an_empty_store_rotates_too_and_numbers_are_never_used_twice() {
    let folder = Folder::new();
    let store = folder.open();
    for expected in 2..5 {
        assert_eq!(store.rotate_epoch(|_| {}).await.unwrap().retired, 1);
        assert_eq!(epochs(&folder), [(expected, 0)]);
    }
    store.close().await;
}

#[tokio::test]
async fn an_interrupted_rotation_is_continued_by_the_next() {
    let folder = Folder::new();
    let store = folder.open();
    fill(&store, 1000).await;
    let mut steps = 0;
    {
        let mut rotation = Box::pin(store.rotate_epoch(|_| steps += 1));
        // Polled by hand until the first step is done, then dropped: as if the process had been killed there.
        let mut context = Context::from_waker(Waker::noop());
        while epochs(&folder).iter().all(|(epoch, data_keys)| *epoch == 1 || *data_keys == 0) {
            assert!(matches!(rotation.as_mut().poll(&mut context), Poll::Pending));
            tokio::task::yield_now().await;
        }
    }
    store.close().await;
    let halfway = epochs(&folder);
    assert!(halfway.len() == 2 && halfway.iter().all(|(_, data_keys)| *data_keys > 0), "{halfway:?}");

    let store = folder.open();
    assert!(store.verify().await.unwrap().is_sound());
    store.insert(account("new"), value(b"value"), signature(1)).await.unwrap();
    let left = u64::try_from(halfway[0].1).unwrap();
    let report = store.rotate_epoch(|_| {}).await.unwrap();
    assert_eq!(report, RotationReport { rewrapped: left, unreadable: 0, continued: true, retired: 1 });
    assert_eq!(epochs(&folder), [(2, 1001)]);
    assert!(store.verify().await.unwrap().is_sound());
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pushes_go_on_during_rotations_by_this_and_another_process() {
    let folder = Folder::new();
    let (service, command) = (folder.open(), folder.open());
    fill(&service, 300).await;
    let pushing = {
        let service = service.clone();
        tokio::spawn(async move {
            for number in 0..400 {
                let name = format!("pushed {number}");
                service.insert(account(&name), value(b"one"), signature(1)).await.unwrap();
                let replaced = service.replace(account(&name), value(b"two"), signature(2)).await;
                assert_eq!(replaced.unwrap(), Replaced::Updated);
            }
        })
    };
    let mut rotations = 0;
    while !pushing.is_finished() || rotations < 4 {
        let rotating = if rotations % 2 == 0 { &service } else { &command };
        assert_eq!(rotating.rotate_epoch(|_| {}).await.unwrap().unreadable, 0);
        rotations += 1;
    }
    pushing.await.unwrap();
    for store in [service, command] {
        let report = store.verify().await.unwrap();
        assert!(report.is_sound(), "{report:?}");
        assert_eq!(report.opened, 300 + 2 * 400);
        store.close().await;
    }
}

#[tokio::test]
async fn a_damaged_data_key_keeps_its_epoch_and_does_not_stop_this_or_later_rotations() {
    let folder = Folder::new();
    let store = folder.open();
    fill(&store, 3).await;
    folder.raw().execute_batch("UPDATE data_keys SET wrapped_key = zeroblob(60) WHERE version_id = 2").unwrap();
    let report = store.rotate_epoch(|_| {}).await.unwrap();
    assert_eq!(report, RotationReport { rewrapped: 2, unreadable: 1, continued: false, retired: 0 });
    assert_eq!(epochs(&folder), [(1, 1), (2, 2)]);
    let report = store.rotate_epoch(|_| {}).await.unwrap();
    assert_eq!(report, RotationReport { rewrapped: 2, unreadable: 1, continued: false, retired: 1 });
    assert_eq!(epochs(&folder), [(1, 1), (3, 2)]);
    let report = store.verify().await.unwrap();
    assert_eq!((report.opened, report.unreadable), (2, 1));
    store.close().await;
}
