//! Record, then open: one release per session, one entry per request, and nothing opens without its record.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

#[path = "fixture/grants.rs"]
mod grants;

mod fixture;

use fixture::{Folder, signature, value};
use grants::{APP, LATER, NOW, block, grant, session, task, token, transcript};
use strongroom_grant::{Refusal, TrustDomain};
use strongroom_protocol::record::Outcome;
use strongroom_protocol::{Address, SecretId, UnixSeconds};
use strongroom_store::{RecordError, Refused, Store};

async fn store_with_session(folder: &Folder) -> Store {
    let store = folder.open();
    store.settle_trust_domain(&TrustDomain::Production).await.unwrap();
    store.insert(token(), value(b"the token"), signature(1)).await.unwrap();
    store.insert(SecretId::App(APP), value(b"of the app"), signature(2)).await.unwrap();
    store.put_session(session(1)).await.unwrap();
    store
}

/// The outcomes of the task's journal, in order; `granted` or the code.
async fn journal(store: &Store) -> Vec<String> {
    let outcome = |record: strongroom_protocol::record::Record| match record.outcome {
        Outcome::Granted(_) => "granted".to_owned(),
        Outcome::Refused(code) => code,
    };
    store.journal(task()).await.unwrap().into_iter().map(outcome).collect()
}

#[tokio::test]
async fn a_recorded_grant_opens_exactly_the_secrets_of_its_plan() {
    let folder = Folder::new();
    let store = store_with_session(&folder).await;
    let recorded = store.record(grant(&session(1), 1, 1, true), LATER, NOW).await.unwrap();
    let receipt = recorded.receipt();
    let opened = store.open_recorded(recorded).await.unwrap();
    assert_eq!(opened.values[&token()].expose_secret(), b"the token");
    assert_eq!(opened.values[&SecretId::App(APP)].expose_secret(), b"of the app");
    assert_eq!(opened.values.len(), 2);
    assert_eq!(store.verify_journal().await.unwrap(), (1, receipt.record));
    assert_eq!(receipt.sequence, 1);
}

#[tokio::test]
async fn the_same_request_again_is_served_from_its_record_and_leaves_no_second_entry() {
    let folder = Folder::new();
    let store = store_with_session(&folder).await;
    let first = store.record(grant(&session(1), 1, 1, false), LATER, NOW).await.unwrap();
    let (receipt, opened) = (first.receipt(), store.open_recorded(first).await.unwrap());
    // Since then the app's secret was pushed, and the token replaced.
    store.replace(token(), value(b"a newer token"), signature(3)).await.unwrap();
    let again = store.record(grant(&session(1), 1, 1, true), LATER, UnixSeconds(NOW.0 + 9)).await.unwrap();
    assert_eq!(again.receipt(), receipt);
    let reopened = store.open_recorded(again).await.unwrap();
    assert_eq!(reopened.plan, opened.plan);
    assert_eq!(reopened.values.len(), 1);
    assert_eq!(reopened.values[&token()].expose_secret(), b"the token");
    assert_eq!(journal(&store).await, ["granted"]);
}

#[tokio::test]
async fn a_second_key_in_a_session_is_refused_and_journalled_once_however_often_it_asks() {
    let folder = Folder::new();
    let store = store_with_session(&folder).await;
    store.record(grant(&session(1), 1, 1, true), LATER, NOW).await.unwrap();
    for _ in 0..3 {
        let refused = store.record(grant(&session(1), 2, 9, true), LATER, NOW).await.unwrap_err();
        assert!(matches!(refused, RecordError::SessionUsed), "{refused}");
    }
    assert_eq!(journal(&store).await, ["granted", "session-used"]);
}

#[tokio::test]
async fn a_nonce_serves_one_request_and_its_replay_is_journalled_once() {
    let folder = Folder::new();
    let store = store_with_session(&folder).await;
    store.record(grant(&session(1), 1, 1, true), LATER, NOW).await.unwrap();
    store.put_session(session(2)).await.unwrap();
    for _ in 0..3 {
        let refused = store.record(grant(&session(2), 1, 9, true), LATER, NOW).await.unwrap_err();
        assert!(matches!(refused, RecordError::NonceSpent), "{refused}");
    }
    assert_eq!(journal(&store).await, ["granted", "nonce-spent"]);
    store.record(grant(&session(2), 2, 9, true), LATER, NOW).await.unwrap();
}

#[tokio::test]
async fn a_session_that_was_replaced_or_is_over_serves_nobody() {
    let folder = Folder::new();
    let store = store_with_session(&folder).await;
    store.put_session(session(2)).await.unwrap();
    let refused = store.record(grant(&session(1), 1, 1, true), LATER, NOW).await.unwrap_err();
    assert!(matches!(refused, RecordError::NoSession), "{refused}");
    store.forget_expired(session(2).expires).await.unwrap();
    assert!(store.session(session(2).id).await.unwrap().is_some(), "at its last second it is there");
    store.forget_expired(UnixSeconds(session(2).expires.0 + 1)).await.unwrap();
    assert!(store.session(session(2).id).await.unwrap().is_none());
    assert_eq!(journal(&store).await, ["no-session"], "the journal is never shortened");
}

#[tokio::test]
async fn a_store_for_other_enclaves_records_no_grant() {
    let folder = Folder::new();
    let store = folder.open();
    store.settle_trust_domain(&TrustDomain::Development("simulator".to_owned())).await.unwrap();
    store.put_session(session(1)).await.unwrap();
    let refused = store.record(grant(&session(1), 1, 1, true), LATER, NOW).await.unwrap_err();
    assert!(matches!(refused, RecordError::OtherTrustDomain), "{refused}");
    assert_eq!(journal(&store).await, ["other-trust-domain"]);
}

#[tokio::test]
async fn a_refusal_is_journalled_once_and_spends_its_nonce() {
    let folder = Folder::new();
    let store = store_with_session(&folder).await;
    let (session, refusal) = (session(1), Refusal::DebugEnclave);
    let transcript = transcript(&session, 1, 1);
    for _ in 0..2 {
        let worker = Address::repeat_byte(3);
        let refused =
            Refused { transcript: &transcript, block: block(), worker, enclave: "tdx".to_owned(), refusal: &refusal };
        store.record_refusal(refused, LATER, NOW).await.unwrap();
    }
    assert_eq!(journal(&store).await, ["debug-enclave"]);
    let spent = store.record(grant(&session, 1, 1, true), LATER, NOW).await.unwrap_err();
    assert!(matches!(spent, RecordError::NonceSpent), "{spent}");
}
