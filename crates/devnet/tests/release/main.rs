//! The whole path from "owner pushes" to "enclave holds": secrets pushed by the stock SDK, orders matched on the real
//! contracts, challenge and session as the stock scheduler and worker ask them, evidence of a simulated TDX guest, and the
//! app that sees exactly its own values.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

mod scene;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeMap;

use alloy_primitives::B256;
use scene::{Bought, Scene};
use strongroom_client::{EvidenceSource, ReleaseError, ServiceError};
use strongroom_protocol::bundle::Stage;
use strongroom_protocol::contribution::contribution_message;
use strongroom_protocol::{SigningKey, TaskId};

/// Tells everything it was given, and how large the big secret is.
const TELL: &str =
    r#"env | grep -v -e ^PWD= -e ^SHLVL= -e ^_= -e ^PATH= | sort; wc -c < "$IEXEC_REQUESTER_SECRET_3_FILE""#;

/// Multi-threaded, because the SDK's helper blocks while the service must answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_enclave_of_a_bought_task_receives_what_chain_and_owners_allow() {
    let scene = Scene::new().await;
    scene.push_secrets();
    for app in ["first", "second"] {
        let bought = scene.buy(app).await;
        let session = scene.session(&bought).await.unwrap();
        let guest = scene.guest(&session, &Scene::enclave(bought.image), TELL);
        assert!(guest.status.success(), "{}", String::from_utf8_lossy(&guest.stderr));
        let told = String::from_utf8(guest.stdout).unwrap();
        let seen: BTreeMap<&str, &str> = told.lines().filter_map(|line| line.split_once('=')).collect();
        if app == "first" {
            assert_eq!(seen["IEXEC_APP_DEVELOPER_SECRET"], scene::APP_SECRET);
        } else {
            assert!(!seen.contains_key("IEXEC_APP_DEVELOPER_SECRET"), "the other app's secret stays its own");
        }
        assert_eq!(seen["IEXEC_REQUESTER_SECRET_1"], scene::REQUESTER_SECRETS[0].1);
        assert_eq!(seen["IEXEC_REQUESTER_SECRET_2"], scene::REQUESTER_SECRETS[1].1);
        assert!(!seen.contains_key("IEXEC_REQUESTER_SECRET_3"), "3 MB are no environment string");
        assert_eq!(told.lines().last().unwrap().trim(), scene::BIG_SECRET_BYTES.to_string());
        assert_eq!(seen["IEXEC_TASK_ID"], bought.task.to_string());
        for foreign in
            ["SIGN_TEE_CHALLENGE_PRIVATE_KEY", "IEXEC_DATASET_KEY", "RESULT_STORAGE_TOKEN", "STRONGROOM_SESSION"]
        {
            assert!(!seen.contains_key(foreign), "{foreign} is not for the app");
        }
        assert!(!told.contains(scene::DATASET_KEY));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_contract_accepts_a_contribution_signed_with_the_delivered_challenge_key() {
    let scene = Scene::new().await;
    scene.push_secrets();
    let bought = scene.buy("first").await;
    let session = scene.session(&bought).await.unwrap();
    let released = scene.release(&session, &Scene::enclave(bought.image)).await.unwrap();
    let of = |stage: Stage, name: &str| {
        released
            .items
            .iter()
            .find(|item| item.stage == stage && item.name == name)
            .map(|item| item.value.expose_secret())
    };
    assert_eq!(of(Stage::PreCompute, "IEXEC_DATASET_KEY").unwrap(), scene::DATASET_KEY.as_bytes());
    let key = of(Stage::PostCompute, "SIGN_TEE_CHALLENGE_PRIVATE_KEY").unwrap();
    let key = SigningKey::from_hex(std::str::from_utf8(key).unwrap()).unwrap();
    let digest = B256::repeat_byte(0x33);
    let signed = key.sign(contribution_message(Scene::worker(), bought.task, digest));
    scene.contribute(&bought, &session, digest, signed).await;
    assert_eq!(scene.status(bought.task).await, 2, "the task is revealing");

    let records = scene.store().journal(bought.task).await.unwrap();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].hash(), released.receipt.record);
    assert_eq!(scene.store().verify_journal().await.unwrap(), (1, released.receipt.record));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn parties_read_the_journal_of_their_task_and_anybody_the_reasons() {
    let scene = Scene::new().await;
    let bought = scene.buy("first").await;
    let explained = scene.explain(&bought).await;
    let failed: Vec<_> =
        explained["checks"].as_array().unwrap().iter().filter(|check| check["passes"] == false).collect();
    assert_eq!(explained["passes"], false);
    assert_eq!(failed.len(), 1, "{explained}");
    assert_eq!(failed[0]["code"], "dataset-key-missing");
    assert!(
        failed[0]["compared"].as_str().unwrap().contains("requester secret \"one\""),
        "all that is missing is named"
    );

    scene.push_secrets();
    assert_eq!(scene.explain(&bought).await["passes"], true);
    let session = scene.session(&bought).await.unwrap();
    let released = scene.release(&session, &Scene::enclave(bought.image)).await.unwrap();
    let seen = scene.journal(&bought, scene::REQUESTER).await;
    assert_eq!(seen.0, 200, "{}", seen.1);
    assert_eq!(seen.1[0]["hash"], released.receipt.record.to_string());
    assert_eq!(seen.1[0]["outcome"], "granted");
    assert!(!seen.1.to_string().contains(scene::DATASET_KEY));
    let stranger = scene.journal(&bought, scene::STRANGER).await;
    assert_eq!((stranger.0, stranger.1["code"].as_str()), (403, Some("not-a-party")));
}

#[track_caller]
fn assert_refused<T: std::fmt::Debug>(outcome: Result<T, ReleaseError>, expected: &str) {
    match outcome {
        Err(ReleaseError::Service(ServiceError::Refused { code, .. })) => assert_eq!(code, expected),
        other => panic!("not refused with {expected}: {other:?}"),
    }
}

fn only_task(bought: &Bought) -> TaskId {
    bought.task
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn another_app_image_another_key_and_another_platform_get_nothing_and_are_journalled() {
    let scene = Scene::new().await;
    scene.push_secrets();
    let bought = scene.buy("first").await;
    let session = scene.session(&bought).await.unwrap();

    assert_refused(scene.release(&session, &Scene::enclave(B256::repeat_byte(1))).await, "other-app");
    assert_refused(scene.release(&session, &Scene::unapproved_enclave(bought.image)).await, "image-not-approved");
    assert_refused(scene.release(&session, &Scene::debug_enclave(bought.image)).await, "evidence-refused");
    let enclave = Scene::enclave(bought.image);
    scene.release(&session, &enclave).await.unwrap();
    assert_refused(scene.release(&session, &enclave).await, "session-used");

    let outcomes: Vec<_> =
        scene.store().journal(only_task(&bought)).await.unwrap().into_iter().map(|record| record.outcome).collect();
    let codes: Vec<_> = outcomes
        .iter()
        .map(|outcome| match outcome {
            strongroom_protocol::record::Outcome::Granted(_) => "granted",
            strongroom_protocol::record::Outcome::Refused(code) => code,
        })
        .collect();
    assert_eq!(codes, ["other-app", "image-not-approved", "granted"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_missing_secret_refuses_the_session_with_the_old_name_and_says_which() {
    let scene = Scene::new().await;
    let bought = scene.buy("first").await;
    let refused = scene.session(&bought).await.unwrap_err();
    assert_eq!(refused.body, r#"{"error":"PRE_COMPUTE_GET_DATASET_SECRET_FAILED"}"#);
    assert_eq!(refused.status, 500);
    assert!(refused.reason.contains("is not stored"), "{}", refused.reason);
}

#[test]
fn a_guest_without_evidence_says_so() {
    let nowhere = strongroom_client::SourcePaths {
        dstack_sockets: vec!["/nonexistent/dstack.sock".into()],
        coco: None,
        tsm: "/nonexistent/tsm".into(),
        gramine: "/nonexistent/attestation".into(),
    };
    let error = EvidenceSource::probe(&nowhere).unwrap_err();
    assert!(error.to_string().contains("offers no evidence"), "{error}");
}
