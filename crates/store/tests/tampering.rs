//! What whoever can write to the database achieves: trouble, never another value in the place of one.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

mod fixture;

use fixture::{Folder, account, id_of, signature, value};
use strongroom_protocol::SecretKind;
use strongroom_store::{ReplaceError, StoreError};

/// A folder with a closed database: a secret of each kind, and one of an account with two versions.
async fn closed_store() -> Folder {
    let folder = Folder::new();
    let store = folder.open();
    for kind in SecretKind::ALL {
        store.insert(id_of(kind, 1, "name"), value(format!("value of {kind}").as_bytes()), signature(1)).await.unwrap();
    }
    store.insert(account("replaced"), value(b"one"), signature(1)).await.unwrap();
    store.replace(account("replaced"), value(b"two"), signature(2)).await.unwrap();
    store.close().await;
    folder
}

#[tokio::test]
async fn an_untouched_store_is_sound() {
    let folder = closed_store().await;
    let report = folder.open().verify().await.unwrap();
    assert_eq!((report.opened, report.unreadable, report.counts_agree), (6, 0, true));
    assert!(report.is_sound() && report.examples.is_empty());
}

#[tokio::test]
async fn a_row_that_was_moved_or_changed_does_not_open() {
    for (tampering, unreadable) in [
        // Moved to another name, owner, kind, version.
        ("UPDATE secret_versions SET name = 'other' WHERE kind = 2", 1),
        ("UPDATE secret_versions SET address = zeroblob(20) WHERE kind = 3", 1),
        ("UPDATE secret_versions SET kind = 3, address = zeroblob(20) WHERE kind = 1", 1),
        ("UPDATE secret_versions SET version = 3 WHERE version = 2", 1),
        ("UPDATE secret_versions SET version = 4 WHERE version = 2; UPDATE secret_versions SET version = 2 WHERE id = 5", 2),
        // The value of one row in the place of another, with and without its data key.
        ("UPDATE secret_versions SET ciphertext = (SELECT ciphertext FROM secret_versions WHERE id = 1) WHERE id = 2", 1),
        (
            "UPDATE secret_versions SET ciphertext = (SELECT ciphertext FROM secret_versions WHERE id = 1) WHERE id = 2;
             UPDATE data_keys SET wrapped_key = (SELECT wrapped_key FROM data_keys WHERE version_id = 1) WHERE version_id = 2",
            1,
        ),
        // An old version as the new one: a roll-back of the value.
        (
            "UPDATE secret_versions SET ciphertext = (SELECT ciphertext FROM secret_versions WHERE id = 5) WHERE id = 6;
             UPDATE data_keys SET wrapped_key = (SELECT wrapped_key FROM data_keys WHERE version_id = 5) WHERE version_id = 6",
            1,
        ),
        // Damage.
        ("UPDATE secret_versions SET ciphertext = zeroblob(length(ciphertext)) WHERE id = 4", 1),
        ("UPDATE secret_versions SET ciphertext = x'' WHERE id = 4", 1),
        ("UPDATE secret_versions SET ciphertext = substr(ciphertext, 1, length(ciphertext) - 1) WHERE id = 4", 1),
        ("UPDATE data_keys SET wrapped_key = x'00' WHERE version_id = 4", 1),
        ("DELETE FROM data_keys WHERE version_id = 4", 1),
        ("UPDATE secret_versions SET name = CAST(x'ff' AS TEXT) WHERE kind = 2", 1),
        ("PRAGMA ignore_check_constraints = ON; UPDATE secret_versions SET kind = 9 WHERE kind = 1", 1),
        ("PRAGMA foreign_keys = OFF; UPDATE data_keys SET epoch = 99", 6),
        ("UPDATE data_keys SET wrapped_key = zeroblob(60)", 6),
    ] {
        let folder = closed_store().await;
        folder.raw().execute_batch(tampering).unwrap();
        let store = folder.open();
        let report = store.verify().await.unwrap();
        assert_eq!((report.unreadable, report.opened), (unreadable, 6 - unreadable), "{tampering}");
        assert_eq!(report.examples.len() as u64, unreadable, "{tampering}");
        assert!(!report.is_sound(), "{tampering}");
        store.close().await;
    }
}

#[tokio::test]
async fn a_deleted_or_invented_row_shows_in_the_counts() {
    for tampering in [
        "PRAGMA foreign_keys = OFF; DELETE FROM secret_versions WHERE kind = 1",
        "UPDATE secret_counts SET secrets = 9 WHERE kind = 1",
    ] {
        let folder = closed_store().await;
        folder.raw().execute_batch(tampering).unwrap();
        let report = folder.open().verify().await.unwrap();
        assert!(!report.counts_agree && !report.is_sound(), "{tampering}");
    }
}

#[tokio::test]
async fn a_report_names_the_rows_that_do_not_open() {
    let folder = closed_store().await;
    folder.raw().execute_batch("UPDATE secret_versions SET ciphertext = x'00' WHERE id = 6").unwrap();
    let report = folder.open().verify().await.unwrap();
    let [example] = report.examples.as_slice() else { panic!("{report:?}") };
    let claims = example.claims.as_ref().unwrap();
    assert_eq!(
        (example.row, claims.kind, claims.name.as_str(), claims.version),
        (6, SecretKind::Account, "replaced", 2)
    );
}

#[tokio::test]
async fn a_current_value_that_does_not_open_is_trouble_for_its_replacement() {
    let folder = closed_store().await;
    folder.raw().execute_batch("UPDATE secret_versions SET ciphertext = x'00' WHERE id = 6").unwrap();
    let store = folder.open();
    let outcome = store.replace(account("replaced"), value(b"three"), signature(3)).await;
    let Err(ReplaceError::Trouble(StoreError::DoesNotOpen { version: 2, .. })) = outcome else { panic!("{outcome:?}") };
    assert_eq!(folder.versions_of("replaced"), 2);
    store.close().await;
}

#[tokio::test]
async fn the_report_names_a_hundred_rows_and_counts_all() {
    let folder = Folder::new();
    let store = folder.open();
    for number in 0..600 {
        store.insert(account(&format!("name {number}")), value(b"value"), signature(1)).await.unwrap();
    }
    folder.raw().execute_batch("UPDATE secret_versions SET ciphertext = x'00' WHERE id > 300").unwrap();
    let report = store.verify().await.unwrap();
    assert_eq!((report.opened, report.unreadable, report.examples.len()), (300, 300, 100));
    store.close().await;
}
