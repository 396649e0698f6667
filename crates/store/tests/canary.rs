//! A secret that is searched for in every file the store leaves: rule 1 of the design.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

mod fixture;

use std::fs;
use std::path::Path;

use fixture::{Folder, account, id_of, signature, value};
use strongroom_protocol::{SecretKind, Signature};

const CANARY: &[u8] = b"canary-that-must-never-be-seen-7f3a9c";

/// Names of the files under `folder` that hold `needle`.
fn files_with(folder: &Path, needle: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_with(&path, needle));
        } else if fs::read(&path).unwrap().windows(needle.len()).any(|window| window == needle) {
            found.push(path.display().to_string());
        }
    }
    found
}

/// Values and signatures, whole and in part: a stored signature would let a thief test guesses of the value.
fn assert_nothing_leaked(folder: &Folder, signatures: &[Signature], moment: &str) {
    assert!(files_with(&folder.data(), b"secret_versions").len() >= 2, "the search sees what is in the files");
    assert!(files_with(&folder.data(), CANARY).is_empty(), "{moment}");
    assert!(files_with(&folder.data(), &CANARY[7..23]).is_empty(), "{moment}");
    for signature in signatures {
        assert!(files_with(&folder.data(), &signature.to_bytes()[..32]).is_empty(), "{moment}: r");
    }
}

#[tokio::test]
async fn no_file_holds_a_value_a_signature_or_the_root_key() {
    let folder = Folder::new();
    let store = folder.open();
    let signatures = [signature(1), signature(2), signature(3)];
    for kind in SecretKind::ALL {
        store.insert(id_of(kind, 1, "name"), value(CANARY), signatures[0]).await.unwrap();
        let _ = store.insert(id_of(kind, 1, "name"), value(CANARY), signatures[1]).await;
        let _ = store.replace(id_of(kind, 1, "name"), value(CANARY), signatures[1]).await;
    }
    store.insert(account("large"), value(&CANARY.repeat(100_000)), signatures[0]).await.unwrap();
    store.replace(account("large"), value(&CANARY.repeat(50_000)), signatures[2]).await.unwrap();
    store.backup(&folder.data().join("backup")).await.unwrap();
    assert_nothing_leaked(&folder, &signatures, "in use");
    store.rotate_epoch(|_| {}).await.unwrap();
    store.verify().await.unwrap();
    store.close().await;
    assert_nothing_leaked(&folder, &signatures, "closed");

    let text = fs::read_to_string(folder.root_key()).unwrap();
    let key: Vec<u8> = (0..32).map(|index| u8::from_str_radix(&text[2 * index..2 * index + 2], 16).unwrap()).collect();
    assert!(files_with(&folder.data(), &key).is_empty());
    assert!(files_with(&folder.data(), text.trim().as_bytes()).is_empty());
}
