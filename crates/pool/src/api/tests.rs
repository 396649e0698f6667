use axum::body::{Body, to_bytes};
use strongroom_protocol::{SigningKey, UnixSeconds};
use tower::ServiceExt as _;

use super::*;
use crate::cause::{Cause, Failure};
use crate::lifecycle::{Event, State as TaskState};
use crate::store::{FactsLearned, Note};
use crate::task::Logs;
use crate::test_support::{OneDeal, running_task};

struct Scene {
    router: Router,
    store: Store,
    task: TaskId,
    _folder: tempfile::TempDir,
}

fn requester() -> SigningKey {
    SigningKey::from_bytes(&[5; 32]).unwrap()
}

async fn scene() -> Scene {
    scene_with(Api::router).await
}

async fn scene_with(route: fn(Api) -> Router) -> Scene {
    let (store, task, folder) = running_task().await;
    let api = Api {
        store: store.clone(),
        ledger: Arc::new(OneDeal(requester().address())),
        clock: Clock::new(|| UnixSeconds(1_000_000)),
        chain_id: 31337,
        worker: Address::repeat_byte(0x77),
        metrics: Arc::default(),
        room: Room::new(1000, 1000, 1000, 1000),
        cors: vec!["https://page.example".to_owned()],
        salt: [7; 32],
    };
    Scene { router: route(api), store, task, _folder: folder }
}

impl Scene {
    async fn get(&self, path: &str, authorization: Option<&str>) -> (u16, Value) {
        let mut request = Request::get(path.replace("TASK", &self.task.to_string()));
        if let Some(authorization) = authorization {
            request = request.header("Authorization", authorization);
        }
        let answer = self.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let status = answer.status().as_u16();
        let body = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap_or(Value::String(String::from_utf8_lossy(&body).into_owned())))
    }

    async fn answer_to_challenge(&self, signer: &SigningKey) -> String {
        let path = format!("/tasks/logs/challenge?address={}", signer.address());
        let (status, typed) = self.get(&path, None).await;
        assert_eq!((status, &typed["domain"]["name"]), (200, &json!("iExec Core")));
        let domain = Eip712Domain {
            name: Some("iExec Core".into()),
            version: Some("1".into()),
            chain_id: Some(alloy_primitives::U256::from(31337)),
            ..Eip712Domain::default()
        };
        let challenge = typed["message"]["challenge"].as_str().unwrap().to_owned();
        let hash = Challenge { challenge }.eip712_signing_hash(&domain);
        format!("{hash}_{}_{}", signer.sign_digest(hash), signer.address())
    }
}

#[tokio::test]
async fn everybody_sees_the_course_of_a_task_in_the_words_of_the_network() {
    let scene = scene().await;
    let (status, model) = scene.get("/tasks/TASK", None).await;
    assert_eq!((status, &model["currentStatus"]), (200, &json!("RUNNING")));
    let dates: Vec<_> = model["dateStatusList"].as_array().unwrap().iter().map(|one| one["status"].clone()).collect();
    assert_eq!(dates, ["RECEIVED", "INITIALIZING", "INITIALIZED", "RUNNING"]);
    assert_eq!(model["dateStatusList"][0]["date"], "1970-01-01T00:00:01.000Z");
    assert_eq!(model["replicates"][0]["currentStatus"], "COMPUTING");

    let failure = Failure::new(Cause::APP_COMPUTE_FAILED, "exit code 3");
    let facts = FactsLearned { failure: Some(failure), exit_code: Some(3), ..FactsLearned::default() };
    let note = Note { facts, link: None };
    scene.store.advance(scene.task, TaskState::Running, Event::GivenUp, note, UnixSeconds(3)).await.unwrap();
    let (_, model) = scene.get("/tasks/TASK", None).await;
    assert_eq!((&model["currentStatus"], &model["cause"]), (&json!("FAILED"), &json!("APP_COMPUTE_FAILED")));
    let wallet = Address::repeat_byte(0x77);
    let (status, replicate) = scene.get(&format!("/tasks/TASK/replicates/{wallet}"), None).await;
    assert_eq!((status, &replicate["appExitCode"]), (200, &json!(3)));
    let last = replicate["statusUpdateList"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["status"], &last["details"]["cause"]), (&json!("FAILED"), &json!("APP_COMPUTE_FAILED")));
}

#[tokio::test]
async fn unknown_tasks_and_workers_are_not_found() {
    let scene = scene().await;
    assert_eq!(scene.get(&format!("/tasks/{}", B256::repeat_byte(1)), None).await.0, 404);
    assert_eq!(scene.get("/tasks/nonsense", None).await.0, 400);
    assert_eq!(scene.get(&format!("/tasks/TASK/replicates/{}", Address::ZERO), None).await.0, 404);
}

#[tokio::test]
async fn only_the_requester_reads_what_the_app_printed() {
    let scene = scene().await;
    let path = "/tasks/TASK/logs";
    let signed = scene.answer_to_challenge(&requester()).await;
    assert_eq!(scene.get(path, Some(&signed)).await.0, 404, "nothing was printed yet");
    let logs = Logs { stdout: "out".to_owned(), stderr: "err".to_owned() };
    scene.store.keep_logs(scene.task, logs).await.unwrap();
    let (status, body) = scene.get(path, Some(&signed)).await;
    assert_eq!((status, &body["computeLogsList"][0]["stdout"]), (200, &json!("out")));
    assert_eq!(body["chainTaskId"], scene.task.to_string());

    let stranger = SigningKey::from_bytes(&[6; 32]).unwrap();
    assert_eq!(scene.get(path, Some(&scene.answer_to_challenge(&stranger).await)).await.0, 403);
    let mut forged = signed.clone();
    forged.truncate(forged.len() - 40);
    forged.push_str(&stranger.address().to_string()[2..]);
    let wrong_hash = format!("{}{}", B256::ZERO, &signed[66..]);
    for header in [None, Some(forged.as_str()), Some(&wrong_hash), Some("_"), Some("")] {
        assert_eq!(scene.get(path, header).await.0, 401, "{header:?}");
    }
}

#[tokio::test]
async fn operators_see_version_counters_and_health() {
    let scene = scene().await;
    assert_eq!(scene.get("/version", None).await, (200, json!(env!("CARGO_PKG_VERSION"))));
    assert_eq!(scene.get("/actuator/health", None).await, (200, json!({ "status": "UP" })));
    let (status, text) = scene.get("/metrics", None).await;
    assert_eq!(status, 200);
    assert!(text.as_str().unwrap().contains("strongroom_pool_tasks{state=\"running\"} 1"), "{text}");
}

#[tokio::test]
async fn a_worker_without_scheduler_tells_operators_how_it_is_and_nothing_about_tasks() {
    let scene = scene_with(Api::router_of_worker).await;
    assert_eq!(scene.get("/actuator/health", None).await.0, 200);
    assert_eq!(scene.get("/metrics", None).await.0, 200);
    assert_eq!(scene.get(&format!("/tasks/{}", scene.task), None).await.0, 404);
}

#[tokio::test]
async fn only_pages_of_configured_origins_may_read() {
    let scene = scene().await;
    for (origin, allowed) in [("https://page.example", true), ("https://other.example", false)] {
        let request = Request::builder()
            .method("OPTIONS")
            .uri("/tasks/x")
            .header("Origin", origin)
            .header("Access-Control-Request-Method", "GET")
            .header("Access-Control-Request-Headers", "authorization");
        let answer = scene.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(answer.status() == 200, allowed, "{origin}");
        let named = answer.headers().get("access-control-allow-origin").map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(named, allowed.then(|| origin.to_owned()));
    }
}
