//! Every reason not to release, each with its own message and, where there was authentic evidence, its own journal entry.

use std::time::Duration;

use alloy_primitives::B256;
use strongroom_attest::Policy;
use strongroom_client::{ReleaseError, ServiceError};
use strongroom_devnet::market::tag;
use strongroom_protocol::bundle::Stage;
use strongroom_protocol::contribution::contribution_message;
use strongroom_protocol::transcript::Transcript;
use strongroom_protocol::{SigningKey, TaskId};

use crate::ground::{Bought, SCHEDULER, STRANGER, WORKER, Wish, key};
use crate::scene::{Held, RefusedSession, Scene, Setting};

/// Asserts that the service refused with this code and says this.
#[track_caller]
fn assert_refused<T: std::fmt::Debug>(outcome: Result<T, impl Into<ReleaseError>>, code: &str, says: &str) {
    match outcome.map_err(Into::into) {
        Err(ReleaseError::Service(ServiceError::Refused { code: found, detail, .. })) => {
            assert_eq!(found, code, "{detail}");
            assert!(detail.contains(says), "{detail:?} does not say {says:?}");
        }
        other => panic!("not refused with {code}: {other:?}"),
    }
}

#[track_caller]
fn assert_no_session(outcome: Result<Held, RefusedSession>, status: u16, error: &str, says: &str) {
    let refused = outcome.unwrap_err();
    assert_eq!((refused.status, refused.body.as_str()), (status, format!(r#"{{"error":"{error}"}}"#).as_str()));
    assert!(refused.reason.contains(says), "{:?} does not say {says:?}", refused.reason);
}

/// A scene with a bought task, all its secrets and a session.
async fn ready() -> (Scene, Bought, Held) {
    let scene = Scene::new().await;
    scene.store_secrets().await;
    let bought = scene.ground.buy(&scene.ground.wish()).await;
    let held = scene.session(&bought).await.unwrap();
    (scene, bought, held)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_enclave_that_measured_another_app_image() {
    let (scene, bought, held) = ready().await;
    let enclave = Scene::enclave(B256::repeat_byte(1));
    assert_refused(scene.release(&held, &enclave).await, "other-app", "the chain names");
    assert_eq!(scene.outcomes(&bought).await, ["other-app"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_platform_that_nobody_approved() {
    let (scene, bought, held) = ready().await;
    let enclave = Scene::unapproved_enclave(bought.image);
    assert_refused(scene.release(&held, &enclave).await, "image-not-approved", "not in the list of approved images");
    assert_eq!(scene.outcomes(&bought).await, ["image-not-approved"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_enclave_in_debug_mode() {
    let (scene, bought, held) = ready().await;
    let enclave = Scene::debug_enclave(bought.image);
    assert_refused(scene.release(&held, &enclave).await, "debug-enclave", "debug mode");
    assert_eq!(scene.outcomes(&bought).await, ["debug-enclave"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_below_the_policy_learns_no_details_and_a_machine_that_meets_it_is_served() {
    let policy = Policy { danger_development: Some("simulator".to_owned()), ..Policy::production() };
    let scene = Scene::with(Setting { policy, ..Setting::default() }).await;
    scene.store_secrets().await;
    let bought = scene.ground.buy(&scene.ground.wish()).await;
    let held = scene.session(&bought).await.unwrap();
    let refused = scene.release(&held, &Scene::outdated_enclave(bought.image)).await;
    assert!(!format!("{refused:?}").contains("OutOfDate"), "{refused:?}");
    assert_refused(refused, "policy-not-met", "does not meet the operator's policy");
    scene.release(&held, &Scene::enclave(bought.image)).await.unwrap();
    assert_eq!(scene.outcomes(&bought).await, ["policy-not-met", "granted"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nonce_that_was_used() {
    let (scene, bought, held) = ready().await;
    let enclave = Scene::enclave(bought.image);
    let first = scene.transcript(held.id).await;
    scene.client().release(&scene.request(held.id, &first, &enclave).await).await.unwrap();
    let held = scene.session(&bought).await.unwrap();
    let replayed = Transcript { nonce: first.nonce, ..scene.transcript(held.id).await };
    for _ in 0..2 {
        let request = scene.request(held.id, &replayed, &enclave).await;
        assert_refused(scene.client().release(&request).await, "nonce-spent", "the nonce was used before");
    }
    assert_eq!(scene.outcomes(&bought).await, ["granted", "nonce-spent"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nonce_that_this_service_did_not_make() {
    let (scene, bought, held) = ready().await;
    let mut transcript = scene.transcript(held.id).await;
    transcript.nonce.0[31] ^= 1;
    let request = scene.request(held.id, &transcript, &Scene::enclave(bought.image)).await;
    assert_refused(scene.client().release(&request).await, "nonce-void", "not made by this service");
    assert!(scene.outcomes(&bought).await.is_empty(), "its evidence was not even looked at");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_key_in_one_session() {
    let (scene, bought, held) = ready().await;
    let enclave = Scene::enclave(bought.image);
    scene.release(&held, &enclave).await.unwrap();
    assert_refused(scene.release(&held, &enclave).await, "session-used", "to another enclave key");
    assert_eq!(scene.outcomes(&bought).await, ["granted", "session-used"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evidence_that_was_made_for_another_task_or_another_service_or_key() {
    let (scene, bought, held) = ready().await;
    let other = scene.session(&scene.ground.buy(&scene.ground.wish()).await).await.unwrap();
    let enclave = Scene::enclave(bought.image);
    for what in ["task", "service", "key"] {
        let transcript = scene.transcript(held.id).await;
        let mut evidenced = transcript.clone();
        match what {
            "task" => evidenced.session = other.id,
            "service" => evidenced.deployment.sms = key(STRANGER).address(),
            _ => evidenced.key = scene.transcript(held.id).await.key,
        }
        let mut request = scene.request(held.id, &evidenced, &enclave).await;
        request.public_key = B256::from(*transcript.key.as_bytes()).to_string();
        assert_refused(scene.client().release(&request).await, "not-bound", "was not made for this request");
    }
    assert_eq!(scene.outcomes(&bought).await, ["not-bound"; 3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_session_of_another_worker() {
    let (scene, bought, _) = ready().await;
    let asked = scene.session_signed(&bought, &key(SCHEDULER), &key(STRANGER)).await;
    assert_no_session(asked, 401, "INVALID_AUTHORIZATION", "not signed by the worker");
    let held = scene.unchecked_session(&bought, |session| session.worker = key(STRANGER).address()).await;
    let released = scene.release(&held, &Scene::enclave(bought.image)).await;
    assert_refused(released, "not-authorised-by-pool", "authorization is not signed by");
    assert_eq!(scene.outcomes(&bought).await, ["not-authorised-by-pool"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_authorization_that_somebody_else_signed_than_the_pools_owner() {
    let (scene, bought, _) = ready().await;
    let asked = scene.session_signed(&bought, &key(STRANGER), &key(WORKER)).await;
    assert_no_session(asked, 401, "EXECUTION_NOT_AUTHORIZED_INVALID_SIGNATURE", "authorization is not signed by");
    let forged = key(STRANGER).sign(B256::ZERO);
    let held = scene.unchecked_session(&bought, |session| session.pool_signature = forged).await;
    let released = scene.release(&held, &Scene::enclave(bought.image)).await;
    assert_refused(released, "not-authorised-by-pool", "authorization is not signed by");
    assert_eq!(scene.outcomes(&bought).await, ["not-authorised-by-pool"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_that_is_no_longer_active() {
    let (scene, bought, held) = ready().await;
    let enclave = Scene::enclave(bought.image);
    let released = scene.release(&held, &enclave).await.unwrap();
    let signing = |item: &&strongroom_protocol::bundle::Item| {
        item.stage == Stage::PostCompute && item.name == "SIGN_TEE_CHALLENGE_PRIVATE_KEY"
    };
    let value = released.items.iter().find(signing).unwrap().value.expose_secret();
    let signer = SigningKey::from_hex(std::str::from_utf8(value).unwrap()).unwrap();
    let digest = B256::repeat_byte(0x33);
    let signed = signer.sign(contribution_message(key(WORKER).address(), bought.task, digest));
    scene.ground.contribute(&bought, held.challenge, held.authorization, digest, signed).await;
    assert_eq!(scene.ground.status(bought.task).await, 2, "the task is revealing");

    // What it knows of the chain may be two looks at the newest block old.
    while scene.ask_challenge(bought.task).await != (401, String::new()) {
        tokio::task::yield_now().await;
    }
    assert_refused(scene.release(&held, &enclave).await, "task-not-active", "Revealing on chain, not active");
    assert_eq!(scene.outcomes(&bought).await, ["granted", "task-not-active"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_task_whose_deadline_is_past() {
    let (scene, bought, held) = ready().await;
    // Contributions to tasks of this category close 7 times 5 minutes after the deal was made.
    let later = scene.beside(Setting { ahead: Duration::from_mins(36), ..Setting::default() }).await;
    let released = later.release(&held, &Scene::enclave(bought.image)).await;
    assert_refused(released, "contribution-closed", "contributions closed at");
    let asked = later.session(&bought).await;
    assert_no_session(asked, 401, "EXECUTION_NOT_AUTHORIZED_TASK_NOT_ACTIVE", "contributions closed at");
    assert_eq!(scene.outcomes(&bought).await, ["contribution-closed"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deal_that_asks_for_another_framework() {
    let scene = Scene::new().await;
    scene.store_secrets().await;
    let wish = Wish { app: scene.ground.sgx_app, tag: tag::SCONE, ..scene.ground.wish() };
    let bought = scene.ground.buy(&wish).await;
    let asked = scene.session(&bought).await;
    assert_no_session(
        asked,
        500,
        "SECURE_SESSION_NO_TEE_FRAMEWORK",
        "the deal asks for SCONE, this service serves TDX",
    );
    let held = scene.unchecked_session(&bought, |_| ()).await;
    let released = scene.release(&held, &Scene::enclave(bought.image)).await;
    assert_refused(released, "other-platform", "deal asks for SCONE, evidence is of another kind");
    assert_eq!(scene.outcomes(&bought).await, ["other-platform"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deal_that_never_came_about_because_an_order_was_revoked() {
    let scene = Scene::new().await;
    let (refused, deal) = scene.ground.buy_with_a_revoked_order(&scene.ground.wish()).await;
    assert!(format!("{refused:?}").contains("revert"), "{refused:?}");
    let task = TaskId::of(deal, 0);
    assert_eq!(scene.ask_challenge(task).await, (401, String::new()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_is_missing() {
    let scene = Scene::new().await;
    let bought = scene.ground.buy(&scene.ground.wish()).await;
    let asked = scene.session(&bought).await;
    assert_no_session(asked, 500, "PRE_COMPUTE_GET_DATASET_SECRET_FAILED", "is not stored");
    let held = scene.unchecked_session(&bought, |_| ()).await;
    let released = scene.release(&held, &Scene::enclave(bought.image)).await;
    assert_refused(released, "dataset-key-missing", "is not stored");
    assert_eq!(scene.outcomes(&bought).await, ["dataset-key-missing"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evidence_that_is_forged_leaves_no_entry_and_learns_no_reason() {
    let (scene, bought, held) = ready().await;
    let transcript = scene.transcript(held.id).await;
    let mut request = scene.request(held.id, &transcript, &Scene::enclave(bought.image)).await;
    let middle = request.evidence.len() / 8;
    let other = if &request.evidence[middle..=middle] == "A" { "B" } else { "A" };
    request.evidence.replace_range(middle..=middle, other);
    assert_refused(scene.client().release(&request).await, "evidence-refused", "evidence was refused");
    assert!(scene.outcomes(&bought).await.is_empty());
}
