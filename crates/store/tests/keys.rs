//! When a store refuses to open, and that refusing changes nothing.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

mod fixture;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use fixture::{CHAIN, Folder, account, signature, value};
use strongroom_store::{OpenError, RootKeyError, RootKeySource, Store, StoreConfig};

/// A folder with a database of one secret, closed.
async fn closed_store() -> Folder {
    let folder = Folder::new();
    let store = folder.open();
    store.insert(account("name"), value(b"value"), signature(1)).await.unwrap();
    store.close().await;
    folder
}

fn key_text(digit: char) -> RootKeySource {
    RootKeySource::Env(value(String::from(digit).repeat(64).as_bytes()))
}

/// Opening must fail as `expected` says and leave database and key file as they were.
fn assert_refused(folder: &Folder, root_key: RootKeySource, expected: impl Fn(&OpenError) -> bool) {
    let before = (fs::read(folder.database()).unwrap(), fs::read(folder.root_key()).ok());
    let error = Store::open(&folder.config(), root_key).unwrap_err();
    assert!(expected(&error), "{error:?}");
    assert_eq!((fs::read(folder.database()).unwrap(), fs::read(folder.root_key()).ok()), before);
}

#[tokio::test]
async fn the_first_start_makes_private_files_and_the_next_finds_them() {
    let folder = closed_store().await;
    for path in [folder.database(), folder.root_key()] {
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
    }
    assert_eq!(fs::metadata(folder.data()).unwrap().permissions().mode() & 0o777, 0o700);
    let store = folder.open();
    store.insert(account("other"), value(b"value"), signature(1)).await.unwrap();
    for entry in fs::read_dir(folder.data()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", entry.path().display());
    }
    store.close().await;
}

#[tokio::test]
async fn a_lost_root_key_is_an_error_and_never_a_new_key() {
    let folder = closed_store().await;
    fs::rename(folder.root_key(), folder.path("elsewhere")).unwrap();
    assert_refused(&folder, RootKeySource::File(folder.root_key()), |error| {
        matches!(error, OpenError::RootKey(RootKeyError::Missing { .. }))
    });
    fs::rename(folder.path("elsewhere"), folder.root_key()).unwrap();
    assert!(folder.open().exists(&account("name")).await.unwrap());
}

#[tokio::test]
async fn a_lost_database_file_with_its_log_still_there_is_not_a_first_start() {
    let folder = closed_store().await;
    fs::remove_file(folder.root_key()).unwrap();
    fs::rename(folder.database(), folder.data().join("secrets.sqlite3-wal")).unwrap();
    let error = folder.try_open().unwrap_err();
    assert!(matches!(error, OpenError::RootKey(RootKeyError::Missing { .. })), "{error:?}");
    assert!(!folder.database().exists());
}

#[tokio::test]
async fn another_root_key_does_not_fit() {
    let folder = closed_store().await;
    assert_refused(&folder, key_text('a'), |error| matches!(error, OpenError::WrongRootKey { .. }));
    let original = fs::read(folder.root_key()).unwrap();
    fs::write(folder.root_key(), "b".repeat(64)).unwrap();
    assert_refused(&folder, RootKeySource::File(folder.root_key()), |error| {
        matches!(error, OpenError::WrongRootKey { .. })
    });
    fs::write(folder.root_key(), "not a key").unwrap();
    assert_refused(&folder, RootKeySource::File(folder.root_key()), |error| {
        matches!(error, OpenError::RootKey(RootKeyError::Malformed))
    });
    fs::write(folder.root_key(), original).unwrap();
    assert!(folder.open().exists(&account("name")).await.unwrap());
}

#[tokio::test]
async fn a_root_key_open_to_others_is_refused_although_it_fits() {
    let folder = closed_store().await;
    fs::set_permissions(folder.root_key(), Permissions::from_mode(0o644)).unwrap();
    assert_refused(&folder, RootKeySource::File(folder.root_key()), |error| {
        matches!(error, OpenError::RootKey(RootKeyError::TooOpen { .. }))
    });
}

#[tokio::test]
async fn the_same_key_may_come_from_a_file_a_credential_or_the_environment() {
    let folder = closed_store().await;
    let text = fs::read(folder.root_key()).unwrap();
    for source in [RootKeySource::Credential(folder.root_key()), RootKeySource::Env(value(&text))] {
        let store = Store::open(&folder.config(), source).unwrap();
        assert!(store.exists(&account("name")).await.unwrap());
        store.close().await;
    }
}

#[tokio::test]
async fn a_database_can_be_begun_with_a_key_of_the_environment() {
    let folder = Folder::new();
    let store = Store::open(&folder.config(), key_text('c')).unwrap();
    store.insert(account("name"), value(b"value"), signature(1)).await.unwrap();
    store.close().await;
    assert!(!folder.root_key().exists());
    assert_refused(&folder, key_text('d'), |error| matches!(error, OpenError::WrongRootKey { .. }));
    assert!(Store::open(&folder.config(), key_text('c')).unwrap().verify().await.unwrap().is_sound());
}

#[tokio::test]
async fn the_database_of_another_chain_is_refused() {
    let folder = closed_store().await;
    let config = StoreConfig { chain_id: CHAIN + 1, ..folder.config() };
    let error = Store::open(&config, RootKeySource::File(folder.root_key())).unwrap_err();
    let OpenError::WrongChain { configured, found, .. } = &error else { panic!("{error:?}") };
    assert_eq!((*configured, found.as_str()), (CHAIN + 1, "134"));

    // Whoever edits the row instead finds that the keys know their chain too.
    folder.raw().execute("UPDATE store SET chain_id = '135'", []).unwrap();
    let error = Store::open(&config, RootKeySource::File(folder.root_key())).unwrap_err();
    assert!(matches!(error, OpenError::WrongRootKey { .. }), "{error:?}");
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_says_which() {
    let folder = closed_store().await;
    let known: u32 = folder.raw().pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
    folder.raw().pragma_update(None, "user_version", known + 1).unwrap();
    assert_refused(&folder, RootKeySource::File(folder.root_key()), |error| {
        let message = error.to_string();
        matches!(error, OpenError::NewerSchema { found, known: ours, .. } if *found == known + 1 && *ours == known)
            && message.contains(&format!("schema {}", known + 1))
            && message.contains("use the program that wrote it or a newer one")
    });
}

#[tokio::test]
async fn other_files_are_not_taken_for_a_store() {
    let folder = Folder::new();
    fs::create_dir_all(folder.data()).unwrap();
    fs::write(folder.root_key(), "a".repeat(64)).unwrap();
    fs::set_permissions(folder.root_key(), Permissions::from_mode(0o600)).unwrap();

    fs::write(folder.database(), "this is a text and no database, long enough to be looked at ".repeat(100)).unwrap();
    assert_refused(&folder, RootKeySource::File(folder.root_key()), |error| {
        matches!(error, OpenError::NotAStore { .. })
    });
    fs::remove_file(folder.database()).unwrap();
    folder.raw().execute_batch("CREATE TABLE addresses (name TEXT)").unwrap();
    assert_refused(&folder, RootKeySource::File(folder.root_key()), |error| {
        matches!(error, OpenError::NotAStore { .. })
    });
}

#[tokio::test]
async fn damaged_keys_are_told_apart_from_a_wrong_root_key() {
    for damage in [
        "UPDATE fixed_keys SET wrapped_key = zeroblob(60) WHERE purpose = 'derivation'",
        "DELETE FROM fixed_keys WHERE purpose = 'spent-signatures'",
        "UPDATE epochs SET wrapped_key = zeroblob(60)",
        "UPDATE fixed_keys SET wrapped_key = (SELECT wrapped_key FROM epochs) WHERE purpose = 'derivation'",
        "DELETE FROM store",
    ] {
        let folder = closed_store().await;
        folder.raw().execute_batch(damage).unwrap();
        let error = folder.try_open().unwrap_err();
        assert!(matches!(error, OpenError::DamagedKeys { .. }), "{damage}: {error:?}");
    }
}
