//! Backups of a store in use, and what a restore accepts.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

mod fixture;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use fixture::{CHAIN, Folder, account, signature, value};
use rusqlite::Connection;
use strongroom_protocol::SecretValue;
use strongroom_store::{
    BackupError, OpenError, Replaced, RestoreError, RootKeyError, RootKeySource, Store, StoreConfig,
};

fn root_key(folder: &Folder) -> RootKeySource {
    RootKeySource::File(folder.root_key())
}

/// A folder with an open store of `secrets` secrets.
async fn filled(secrets: u32) -> (Folder, Store) {
    let folder = Folder::new();
    let store = folder.open();
    for number in 0..secrets {
        store.insert(account(&format!("name {number}")), value(b"value"), signature(1)).await.unwrap();
    }
    (folder, store)
}

#[tokio::test]
async fn a_backup_brings_back_what_was_there_when_it_was_made() {
    let (folder, store) = filled(20).await;
    store.replace(account("name 0"), value(b"second"), signature(2)).await.unwrap();
    let derived = store.derive_key("label", b"context");
    let backup = folder.path("backups");
    fs::create_dir(&backup).unwrap();
    let backup = backup.join("one");
    store.backup(&backup).await.unwrap();
    assert_eq!(fs::metadata(&backup).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::read_dir(backup.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");

    store.insert(account("later"), value(b"value"), signature(1)).await.unwrap();
    store.rotate_epoch(|_| {}).await.unwrap();
    store.close().await;
    let before = fs::read(folder.database()).unwrap();
    let restored = Store::restore(&backup, &folder.config(), &root_key(&folder)).unwrap();
    assert_eq!(restored.secrets.account, 20);
    assert_eq!(fs::read(restored.replaced.unwrap()).unwrap(), before, "the former database is kept");

    let store = folder.open();
    assert!(store.verify().await.unwrap().is_sound());
    assert!(!store.exists(&account("later")).await.unwrap());
    assert_eq!(*store.derive_key("label", b"context"), *derived);
    let current = store.replace(account("name 0"), value(b"second"), signature(2)).await;
    assert_eq!(current.unwrap(), Replaced::Unchanged);
    store.insert(account("after"), value(b"value"), signature(1)).await.unwrap();
    assert_eq!(store.counts().await.unwrap().account, 21);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_during_pushes_is_one_whole_state() {
    let (folder, store) = filled(100).await;
    let pushing = {
        let store = store.clone();
        tokio::spawn(async move {
            for number in 0..500 {
                store.insert(account(&format!("pushed {number}")), value(b"value"), signature(1)).await.unwrap();
            }
        })
    };
    let mut backups = Vec::new();
    while !pushing.is_finished() || backups.is_empty() {
        let path = folder.path(&format!("backup {}", backups.len()));
        store.backup(&path).await.unwrap();
        backups.push(path);
    }
    pushing.await.unwrap();
    store.close().await;
    for backup in backups {
        let elsewhere = StoreConfig { path: backup.with_extension("restored"), chain_id: CHAIN };
        let restored = Store::restore(&backup, &elsewhere, &root_key(&folder)).unwrap();
        assert_eq!(restored.replaced, None);
        let store = Store::open(&elsewhere, root_key(&folder)).unwrap();
        let report = store.verify().await.unwrap();
        assert!(report.is_sound());
        assert_eq!(report.opened, restored.secrets.account);
        store.close().await;
    }
}

#[tokio::test]
async fn a_backup_never_overwrites_anything() {
    let (folder, store) = filled(1).await;
    let backup = folder.path("backup");
    for content in ["something", ""] {
        fs::write(&backup, content).unwrap();
        let refused = store.backup(&backup).await;
        assert!(matches!(refused, Err(BackupError::AlreadyExists { .. })), "{refused:?}");
        assert_eq!(fs::read_to_string(&backup).unwrap(), content);
    }
    let refused = store.backup(&folder.database()).await;
    assert!(matches!(refused, Err(BackupError::AlreadyExists { .. })), "{refused:?}");
    let refused = store.backup(&folder.path("no such folder/backup")).await;
    assert!(matches!(refused, Err(BackupError::File { .. })), "{refused:?}");
    assert!(store.verify().await.unwrap().is_sound());
    store.close().await;
}

#[tokio::test]
async fn the_root_key_is_not_in_a_backup() {
    let (folder, store) = filled(1).await;
    let backup = folder.path("backup");
    store.backup(&backup).await.unwrap();
    let bytes = fs::read(&backup).unwrap();
    let text = fs::read_to_string(folder.root_key()).unwrap();
    let key: Vec<u8> = (0..32).map(|index| u8::from_str_radix(&text[2 * index..2 * index + 2], 16).unwrap()).collect();
    assert!(!bytes.windows(32).any(|window| window == key));
    assert!(!bytes.windows(64).any(|window| window.eq_ignore_ascii_case(text.trim().as_bytes())));
    store.close().await;
}

#[tokio::test]
async fn a_backup_that_does_not_fit_is_refused_and_the_database_stays() {
    let (folder, store) = filled(3).await;
    let backup = folder.path("backup");
    store.backup(&backup).await.unwrap();
    store.insert(account("later"), value(b"value"), signature(1)).await.unwrap();
    store.close().await;
    let before = fs::read(folder.database()).unwrap();
    let good = fs::read(&backup).unwrap();
    let other_key = RootKeySource::Env(SecretValue::new("a".repeat(64).into_bytes()).unwrap());
    let missing_key = RootKeySource::File(folder.path("no such key"));
    let other_chain = StoreConfig { chain_id: CHAIN + 1, ..folder.config() };
    let restore = |config: &StoreConfig, key: &RootKeySource| Store::restore(&backup, config, key).unwrap_err();

    let error = restore(&folder.config(), &other_key);
    assert!(matches!(error, RestoreError::Refused(OpenError::WrongRootKey { .. })), "{error:?}");
    let error = restore(&folder.config(), &missing_key);
    assert!(matches!(error, RestoreError::RootKey(RootKeyError::Missing { .. })), "{error:?}");
    assert!(!folder.path("no such key").exists());
    let error = restore(&other_chain, &root_key(&folder));
    assert!(matches!(error, RestoreError::Refused(OpenError::WrongChain { .. })), "{error:?}");

    Connection::open(&backup).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let error = restore(&folder.config(), &root_key(&folder));
    assert!(matches!(error, RestoreError::Refused(OpenError::NewerSchema { found: 99, .. })), "{error:?}");

    for bytes in [b"".as_slice(), b"no database at all, only a text that somebody put here"] {
        fs::write(&backup, bytes).unwrap();
        let error = restore(&folder.config(), &root_key(&folder));
        assert!(matches!(error, RestoreError::Refused(OpenError::NotAStore { .. })), "{error:?}");
    }
    // Cut short, and with a damaged page in the middle.
    let mut damaged = good.clone();
    let middle = damaged.len() / 2 / 4096 * 4096;
    damaged[middle..middle + 4096].fill(0xee);
    for bytes in [&good[..good.len() / 2 / 4096 * 4096], &damaged] {
        fs::write(&backup, bytes).unwrap();
        let error = restore(&folder.config(), &root_key(&folder));
        assert!(matches!(error, RestoreError::Damaged { .. }), "{error:?}");
    }
    fs::remove_file(&backup).unwrap();
    assert!(matches!(restore(&folder.config(), &root_key(&folder)), RestoreError::File { .. }));

    assert_eq!(fs::read(folder.database()).unwrap(), before);
    let left: Vec<_> = fs::read_dir(folder.data()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "the database and its lock, no temporary files: {left:?}");
    let store = folder.open();
    assert!(store.exists(&account("later")).await.unwrap());
    store.close().await;
}

#[tokio::test]
async fn a_store_in_use_is_not_replaced() {
    let (folder, store) = filled(3).await;
    let backup = folder.path("backup");
    store.backup(&backup).await.unwrap();
    let refused = Store::restore(&backup, &folder.config(), &root_key(&folder));
    assert!(matches!(refused, Err(RestoreError::InUse { .. })), "{refused:?}");
    store.close().await;
    assert!(Store::restore(&backup, &folder.config(), &root_key(&folder)).is_ok());
}

#[tokio::test]
async fn the_files_of_a_running_service_are_not_a_backup() {
    let (folder, store) = filled(3).await;
    let elsewhere = StoreConfig { path: folder.path("elsewhere/secrets.sqlite3"), chain_id: CHAIN };
    let refused = Store::restore(&folder.database(), &elsewhere, &root_key(&folder));
    assert!(matches!(refused, Err(RestoreError::NotABackup { .. })), "{refused:?}");
    store.close().await;
}

#[tokio::test]
async fn a_damaged_database_is_replaced_by_a_restore_and_kept() {
    let (folder, store) = filled(3).await;
    let backup = folder.path("backup");
    store.backup(&backup).await.unwrap();
    store.close().await;
    fs::write(folder.database(), "garbage").unwrap();
    fs::write(folder.data().join("secrets.sqlite3-wal"), "garbage of a log").unwrap();
    let restored = Store::restore(&backup, &folder.config(), &root_key(&folder)).unwrap();
    let replaced = restored.replaced.unwrap();
    assert_eq!(fs::read_to_string(&replaced).unwrap(), "garbage");
    let store = folder.open();
    assert!(store.verify().await.unwrap().is_sound());
    store.close().await;
}
