//! What every caller of the store relies on, for every kind of secret.

mod fixture;

use std::collections::BTreeSet;

use fixture::{Folder, account, id_of, signature, value};
use strongroom_protocol::SecretKind;
use strongroom_protocol::secret::MAX_SECRET_BYTES;
use strongroom_store::{InsertError, ReplaceError, Replaced, SecretCounts, StoreError};

#[tokio::test]
async fn a_secret_of_each_kind_is_stored_once_and_found() {
    let folder = Folder::new();
    let store = folder.open();
    for (index, kind) in SecretKind::ALL.into_iter().enumerate() {
        let (id, other) = (id_of(kind, 1, "name"), id_of(kind, 2, "name"));
        assert!(!store.exists(&id).await.unwrap(), "{kind}");
        store.insert(id.clone(), value(b"first"), signature(1)).await.unwrap();
        assert!(store.exists(&id).await.unwrap(), "{kind}");
        assert!(!store.exists(&other).await.unwrap(), "{kind} of another address");
        for bytes in [b"first".as_slice(), b"second"] {
            let again = store.insert(id.clone(), value(bytes), signature(2)).await;
            assert!(matches!(again, Err(InsertError::AlreadyExists)), "{kind}");
        }
        assert_eq!(store.counts().await.unwrap().of(kind), 1, "{kind}");
        let counts = store.counts().await.unwrap();
        let sum: u64 = SecretKind::ALL.into_iter().map(|kind| counts.of(kind)).sum();
        assert_eq!(sum, index as u64 + 1, "{kind}");
    }
    store.close().await;
}

#[tokio::test]
async fn names_addresses_and_kinds_are_kept_apart() {
    let folder = Folder::new();
    let store = folder.open();
    let mut ids = BTreeSet::new();
    for kind in SecretKind::ALL {
        for address in [1, 2] {
            for name in ["name", "nam", "namename"] {
                ids.insert(id_of(kind, address, name));
            }
        }
    }
    for id in &ids {
        store.insert(id.clone(), value(b"one"), signature(1)).await.unwrap();
    }
    assert_eq!(
        store.counts().await.unwrap(),
        SecretCounts { app: 2, requester: 6, dataset: 2, account: 6 },
        "apps and datasets have no name"
    );
    store.close().await;
}

#[tokio::test]
async fn only_account_secrets_can_be_replaced() {
    let folder = Folder::new();
    let store = folder.open();
    for kind in SecretKind::ALL {
        let id = id_of(kind, 1, "name");
        let absent = store.replace(id.clone(), value(b"new"), signature(9)).await;
        store.insert(id.clone(), value(b"old"), signature(1)).await.unwrap();
        let replaced = store.replace(id, value(b"new"), signature(2)).await;
        if kind == SecretKind::Account {
            assert!(matches!(absent, Err(ReplaceError::NotFound)), "{kind}");
            assert_eq!(replaced.unwrap(), Replaced::Updated, "{kind}");
        } else {
            assert!(matches!(absent, Err(ReplaceError::NotUpdatable)), "{kind}");
            assert!(matches!(replaced, Err(ReplaceError::NotUpdatable)), "{kind}");
        }
    }
    assert_eq!(store.counts().await.unwrap().account, 1, "versions of one secret count once");
    store.close().await;
}

#[tokio::test]
async fn the_same_value_again_changes_nothing() {
    let folder = Folder::new();
    let store = folder.open();
    store.insert(account("name"), value(b"old"), signature(1)).await.unwrap();
    for number in [1, 1, 2] {
        let again = store.replace(account("name"), value(b"old"), signature(number)).await;
        assert_eq!(again.unwrap(), Replaced::Unchanged, "signature {number}");
    }
    assert_eq!(folder.versions_of("name"), 1);
    store.close().await;
}

#[tokio::test]
async fn an_old_request_cannot_bring_back_an_old_value() {
    let folder = Folder::new();
    let store = folder.open();
    let replace = |bytes: &[u8], number| store.replace(account("name"), value(bytes), signature(number));
    store.insert(account("name"), value(b"one"), signature(1)).await.unwrap();
    assert_eq!(replace(b"two", 2).await.unwrap(), Replaced::Updated);
    // The signature of the first push, which was no replacement.
    assert!(matches!(replace(b"one", 1).await, Err(ReplaceError::Replayed)));
    assert_eq!(replace(b"three", 3).await.unwrap(), Replaced::Updated);
    assert!(matches!(replace(b"two", 2).await, Err(ReplaceError::Replayed)));
    // A request that changed nothing is remembered too: it was over a value that is replaced later.
    assert_eq!(replace(b"three", 4).await.unwrap(), Replaced::Unchanged);
    assert_eq!(replace(b"four", 5).await.unwrap(), Replaced::Updated);
    assert!(matches!(replace(b"three", 3).await, Err(ReplaceError::Replayed)));
    assert!(matches!(replace(b"three", 4).await, Err(ReplaceError::Replayed)));
    // The owner who wants the old value back signs anew.
    assert_eq!(replace(b"one", 6).await.unwrap(), Replaced::Updated);
    assert_eq!(folder.versions_of("name"), 5);
    store.close().await;

    let store = folder.open();
    let replayed = store.replace(account("name"), value(b"four"), signature(5)).await;
    assert!(matches!(replayed, Err(ReplaceError::Replayed)), "spent signatures survive a restart");
    let other = store.replace(account("other"), value(b"four"), signature(5)).await;
    assert!(matches!(other, Err(ReplaceError::NotFound)));
    store.insert(account("other"), value(b"zero"), signature(7)).await.unwrap();
    let other = store.replace(account("other"), value(b"four"), signature(5)).await;
    assert_eq!(other.unwrap(), Replaced::Updated, "a signature is spent for one secret");
    store.close().await;
}

#[tokio::test]
async fn a_value_may_be_empty_or_as_large_as_promised() {
    let folder = Folder::new();
    let store = folder.open();
    for (name, length) in [("empty", 0), ("one", 1), ("largest", MAX_SECRET_BYTES)] {
        store.insert(account(name), value(&vec![0xa5; length]), signature(1)).await.unwrap();
    }
    store.close().await;
    let store = folder.open();
    for (name, length) in [("empty", 0), ("one", 1), ("largest", MAX_SECRET_BYTES)] {
        let same = store.replace(account(name), value(&vec![0xa5; length]), signature(1)).await;
        assert_eq!(same.unwrap(), Replaced::Unchanged, "{name}");
    }
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_a_hundred_concurrent_pushes_of_one_secret_exactly_one_wins() {
    let folder = Folder::new();
    let store = folder.open();
    for kind in SecretKind::ALL {
        let pushes: Vec<_> = (0..100_u8)
            .map(|number| {
                let (store, id) = (store.clone(), id_of(kind, 1, "name"));
                tokio::spawn(async move { store.insert(id, value(&[number]), signature(number)).await })
            })
            .collect();
        let mut won = 0;
        for push in pushes {
            match push.await.unwrap() {
                Ok(()) => won += 1,
                Err(InsertError::AlreadyExists) => {}
                Err(InsertError::Trouble(trouble)) => panic!("{kind}: {trouble}"),
            }
        }
        assert_eq!(won, 1, "{kind}");
        assert_eq!(store.counts().await.unwrap().of(kind), 1, "{kind}");
    }
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_replacements_of_one_secret_all_become_versions() {
    let folder = Folder::new();
    let store = folder.open();
    store.insert(account("name"), value(b"first"), signature(200)).await.unwrap();
    let updates: Vec<_> = (0..50_u8)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move { store.replace(account("name"), value(&[number]), signature(number)).await })
        })
        .collect();
    for update in updates {
        assert_eq!(update.await.unwrap().unwrap(), Replaced::Updated);
    }
    assert_eq!(folder.versions_of("name"), 51);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_request_sent_many_times_at_once_is_one_version() {
    let folder = Folder::new();
    let store = folder.open();
    store.insert(account("name"), value(b"first"), signature(1)).await.unwrap();
    let updates: Vec<_> = (0..50)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move { store.replace(account("name"), value(b"second"), signature(2)).await })
        })
        .collect();
    let mut updated = 0;
    for update in updates {
        updated += usize::from(update.await.unwrap().unwrap() == Replaced::Updated);
    }
    assert_eq!((updated, folder.versions_of("name")), (1, 2));
    store.close().await;
}

#[tokio::test]
async fn everything_is_there_after_a_restart_with_and_without_close() {
    let folder = Folder::new();
    for round in 0..4_u8 {
        let store = folder.open();
        for earlier in 0..round {
            assert!(store.exists(&account(&format!("round {earlier}"))).await.unwrap());
        }
        assert_eq!(store.counts().await.unwrap().account, u64::from(round));
        store.insert(account(&format!("round {round}")), value(&[round]), signature(round)).await.unwrap();
        if round % 2 == 0 {
            store.close().await;
        }
    }
}

#[tokio::test]
async fn a_closed_store_says_so_to_every_clone() {
    let folder = Folder::new();
    let store = folder.open();
    let clone = store.clone();
    store.close().await;
    assert!(matches!(clone.exists(&account("name")).await, Err(StoreError::Closed)));
    assert!(matches!(clone.counts().await, Err(StoreError::Closed)));
    let insert = clone.insert(account("name"), value(b"one"), signature(1)).await;
    assert!(matches!(insert, Err(InsertError::Trouble(StoreError::Closed))));
    let replace = clone.replace(account("name"), value(b"one"), signature(1)).await;
    assert!(matches!(replace, Err(ReplaceError::Trouble(StoreError::Closed))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_accepted_before_the_close_is_finished() {
    let folder = Folder::new();
    let store = folder.open();
    let pushes: Vec<_> = (0..200_u8)
        .map(|number| {
            let store = store.clone();
            let id = account(&format!("name {number}"));
            tokio::spawn(async move { store.insert(id, value(&[number]), signature(number)).await })
        })
        .collect();
    store.close().await;
    let mut acknowledged = 0;
    for push in pushes {
        match push.await.unwrap() {
            Ok(()) => acknowledged += 1,
            Err(InsertError::Trouble(StoreError::Closed)) => {}
            Err(other) => panic!("{other}"),
        }
    }
    let store = folder.open();
    assert_eq!(store.counts().await.unwrap().account, acknowledged);
    store.close().await;
}

#[tokio::test]
async fn derived_keys_depend_on_each_argument_and_survive_a_restart() {
    let folder = Folder::new();
    let store = folder.open();
    let key = store.derive_key("label", b"context");
    let others = [store.derive_key("label", b"contexT"), store.derive_key("labe", b"lcontext"), {
        let other_store = Folder::new();
        other_store.open().derive_key("label", b"context")
    }];
    assert!(others.iter().all(|other| **other != *key));
    store.close().await;
    assert_eq!(*folder.open().derive_key("label", b"context"), *key);
}
