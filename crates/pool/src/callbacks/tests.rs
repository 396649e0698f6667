use axum::body::{Body, to_bytes};
use axum::http::Request;
use serde_json::json;
use strongroom_protocol::SigningKey;
use tower::ServiceExt as _;

use super::*;
use crate::test_support::running_task;

const WORKER: Address = Address::repeat_byte(0x77);

fn enclave() -> SigningKey {
    SigningKey::from_bytes(&[9; 32]).unwrap()
}

struct Scene {
    store: Store,
    task: TaskId,
    router: Router,
    _folder: tempfile::TempDir,
}

async fn scene(has_callback: bool) -> Scene {
    let (store, task, folder) = running_task().await;
    let callbacks =
        Callbacks { store: store.clone(), task, worker: WORKER, challenge: enclave().address(), has_callback };
    Scene { store, task, router: callbacks.router(), _folder: folder }
}

impl Scene {
    async fn send(&self, path: &str, authorization: Option<String>, body: serde_json::Value) -> (u16, String) {
        let mut request = Request::post(path.replace("TASK", &self.task.to_string()));
        if let Some(authorization) = authorization {
            request = request.header("Authorization", authorization);
        }
        let request = request.body(Body::from(body.to_string())).unwrap();
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        let body = to_bytes(answer.into_body(), 1000).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    fn signed(&self) -> String {
        enclave().sign(worker_api_message(self.task, WORKER)).to_string()
    }

    fn computed(&self, digest: B256) -> serde_json::Value {
        let signature = enclave().sign(contribution_message(WORKER, self.task, digest));
        json!({
            "task-id": self.task.to_string(), "deterministic-output-path": "/iexec_out/result.txt",
            "callback-data": null, "result-digest": digest.to_string(), "enclave-signature": signature.to_string(),
        })
    }
}

const COMPUTED: &str = "/compute/post/TASK/computed";

#[tokio::test]
async fn a_signed_result_is_kept_and_answered_with_the_id_of_its_task() {
    let scene = scene(false).await;
    let digest = B256::repeat_byte(5);
    let answer = scene.send(COMPUTED, Some(scene.signed()), scene.computed(digest)).await;
    assert_eq!(answer, (200, scene.task.to_string()));
    let kept = scene.store.task(scene.task).await.unwrap().unwrap().computed.unwrap();
    assert_eq!((kept.result_digest, kept.callback_data.as_str()), (digest, "0x"));
    let again = scene.send(COMPUTED, Some(scene.signed()), scene.computed(digest)).await;
    assert_eq!(again.0, 401, "it was delivered before");
}

#[tokio::test]
async fn a_result_that_the_hub_would_not_take_is_refused() {
    let scene = scene(false).await;
    let good = scene.computed(B256::repeat_byte(5));
    let with = |member: &str, value: serde_json::Value| {
        let mut changed = good.clone();
        changed[member] = value;
        changed
    };
    let stranger = SigningKey::from_bytes(&[8; 32]).unwrap();
    let forged = stranger.sign(contribution_message(WORKER, scene.task, B256::repeat_byte(5))).to_string();
    for (body, status) in [
        (with("task-id", json!(TaskId::from(B256::repeat_byte(1)).to_string())), 400),
        (with("task-id", json!(null)), 400),
        (with("result-digest", json!(B256::ZERO.to_string())), 401),
        (with("result-digest", json!(B256::repeat_byte(6).to_string())), 401),
        (with("result-digest", json!("0x05")), 401),
        (with("enclave-signature", json!(forged)), 401),
        (with("enclave-signature", json!("0x00")), 401),
        (json!([]), 400),
    ] {
        assert_eq!(scene.send(COMPUTED, Some(scene.signed()), body.clone()).await.0, status, "{body}");
    }
    assert_eq!(scene.store.task(scene.task).await.unwrap().unwrap().computed, None);
}

#[tokio::test]
async fn a_callback_result_must_be_the_digest_of_its_bytes() {
    let scene = scene(true).await;
    let digest = alloy_primitives::keccak256([1, 2, 3]);
    let mut body = scene.computed(digest);
    body["callback-data"] = json!("0x010204");
    assert_eq!(scene.send(COMPUTED, Some(scene.signed()), body.clone()).await.0, 401);
    body["callback-data"] = json!("0x010203");
    assert_eq!(scene.send(COMPUTED, Some(scene.signed()), body).await.0, 200);
}

#[tokio::test]
async fn only_the_enclave_of_this_task_is_heard() {
    let scene = scene(false).await;
    let body = json!([{ "cause": "PRE_COMPUTE_DATASET_DOWNLOAD_FAILED", "message": "no route" }]);
    let other = TaskId::from(B256::repeat_byte(1));
    let path = format!("/compute/pre/{other}/exit-causes");
    assert_eq!(scene.send(&path, Some(scene.signed()), body.clone()).await.0, 404);
    let stranger = SigningKey::from_bytes(&[8; 32]).unwrap();
    let forged = Some(stranger.sign(worker_api_message(scene.task, WORKER)).to_string());
    for authorization in [None, Some("0x".to_owned()), forged] {
        assert_eq!(scene.send("/compute/pre/TASK/exit-causes", authorization, body.clone()).await.0, 401);
    }
}

#[tokio::test]
async fn the_first_report_of_a_failure_is_kept() {
    let scene = scene(false).await;
    let path = "/compute/pre/TASK/exit-causes";
    for (body, status) in [
        (json!([]), 400),
        (json!([{ "cause": "PRE_COMPUTE_MADE_UP" }]), 400),
        (json!({ "cause": "PRE_COMPUTE_DATASET_KEY_MISSING" }), 400),
        (json!([{ "cause": "PRE_COMPUTE_DATASET_DOWNLOAD_FAILED", "message": "no route" }]), 200),
        (json!([{ "cause": "PRE_COMPUTE_DATASET_KEY_MISSING" }]), 208),
    ] {
        assert_eq!(scene.send(path, Some(scene.signed()), body.clone()).await.0, status, "{body}");
    }
    let reported = scene.store.task(scene.task).await.unwrap().unwrap().reported;
    assert_eq!(reported, [Failure::new(Cause::PRE_COMPUTE_DATASET_DOWNLOAD_FAILED, "no route")]);
}

#[tokio::test]
async fn stages_of_the_old_kind_report_one_cause_without_a_message() {
    let scene = scene(false).await;
    let body = json!({ "cause": "POST_COMPUTE_COMPUTED_FILE_NOT_FOUND" });
    assert_eq!(scene.send("/compute/post/TASK/exit", Some(scene.signed()), body).await.0, 200);
}
