//! The whole path from "owner pushes" to "enclave holds": secrets pushed by the stock SDK, orders matched on the real
//! contracts, challenge and session as the stock scheduler and worker ask them, evidence of a simulated TDX guest, and the
//! app that sees exactly its own values.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

#[path = "../../../sms/tests/service/canary_forms.rs"]
mod canary_forms;
mod ground;
mod node_in_between;
mod program;
mod refusals;
mod scene;
#[path = "../support/mod.rs"]
mod support;
mod trouble;

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256};
use ground::{Ground, REQUESTER, STRANGER, WORKER, Wish};
use scene::{Scene, Setting};
use strongroom_client::EvidenceSource;
use strongroom_protocol::SigningKey;
use strongroom_protocol::bundle::Stage;
use strongroom_protocol::contribution::contribution_message;

/// Tells everything it was given, and how large the big secret is.
const TELL: &str =
    r#"env | grep -v -e ^PWD= -e ^SHLVL= -e ^_= -e ^PATH= | sort; wc -c < "$IEXEC_REQUESTER_SECRET_3_FILE""#;

/// Multi-threaded, because the SDK's helper blocks while the service must answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_enclave_of_a_bought_task_receives_what_chain_and_owners_allow() {
    let scene = Scene::new().await;
    scene.push_secrets_with_the_sdk();
    for (app, contract) in [("first", scene.ground.app), ("second", scene.ground.second_app)] {
        let bought = scene.ground.buy(&Wish { app: contract, ..scene.ground.wish() }).await;
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
    scene.store_secrets().await;
    let bought = scene.ground.buy(&scene.ground.wish()).await;
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
    let signed = key.sign(contribution_message(ground::key(WORKER).address(), bought.task, digest));
    scene.ground.contribute(&bought, session.challenge, session.authorization, digest, signed).await;
    assert_eq!(scene.ground.status(bought.task).await, 2, "the task is revealing");

    let records = scene.store().journal(bought.task).await.unwrap();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].hash(), released.receipt.record);
    assert_eq!(scene.store().verify_journal().await.unwrap(), (1, released.receipt.record));
}

/// A scene with the list of one slice of these orders, and a deal that names it.
async fn bought_with_list(orders: &[serde_json::Value]) -> (Scene, ground::Bought) {
    use strongroom_content::cid::{AddAs, Cid};
    let id_of = |content: &[u8]| Cid::of(content, AddAs::V0).unwrap().to_string();
    let slice = serde_json::to_vec(orders).unwrap();
    let list = serde_json::to_vec(&[id_of(&slice)]).unwrap();
    let params = format!(r#"{{"bulk_cid":"{}"}}"#, id_of(&list));
    let content = [slice, list].into_iter().map(|content| (id_of(&content), content)).collect();
    let scene = Scene::with(Setting { content, ..Setting::default() }).await;
    scene.store_secrets().await;
    let wish = Wish { dataset: None, params, ..scene.ground.wish() };
    let bought = scene.ground.buy(&wish).await;
    (scene, bought)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_deal_with_a_list_of_datasets_gets_the_key_of_each_order_that_the_hub_accepts() {
    let ground = Ground::shared().await;
    let orders = [ground.order_for_lists(Address::ZERO), ground.order_for_lists(ground.app)];
    let (scene, bought) = bought_with_list(&orders).await;
    let held = scene.session(&bought).await.unwrap();
    let released = scene.release(&held, &Scene::enclave(bought.image)).await.unwrap();
    let text = |stage: Stage, name: &str| {
        let item = released.items.iter().find(|item| item.stage == stage && item.name == name);
        item.map(|item| String::from_utf8(item.value.expose_secret().to_vec()).unwrap())
    };
    assert_eq!(text(Stage::App, "IEXEC_BULK_SLICE_SIZE").as_deref(), Some("2"));
    for number in [1, 2] {
        let name = |what: &str| format!("IEXEC_DATASET_{number}_{what}");
        assert_eq!(text(Stage::PreCompute, &name("KEY")).as_deref(), Some(scene::DATASET_KEY));
        assert_eq!(text(Stage::PreCompute, &name("URL")).as_deref(), Some("https://data.example/data"));
        assert_eq!(text(Stage::App, &name("FILENAME")), Some(ground.dataset.to_string()));
        assert_eq!(text(Stage::App, &name("KEY")), None);
    }

    let (scene, bought) = bought_with_list(&[ground.order_for_lists(ground.second_app)]).await;
    let refused = scene.session(&bought).await.unwrap_err();
    assert!(refused.reason.contains("App restriction not satisfied"), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn parties_read_the_journal_of_their_task_and_nobody_else() {
    let scene = Scene::new().await;
    scene.store_secrets().await;
    let bought = scene.ground.buy(&scene.ground.wish()).await;
    let session = scene.session(&bought).await.unwrap();
    let released = scene.release(&session, &Scene::enclave(bought.image)).await.unwrap();
    let seen = scene.journal(&bought, REQUESTER).await;
    assert_eq!(seen.0, 200, "{}", seen.1);
    assert_eq!(seen.1[0]["hash"], released.receipt.record.to_string());
    assert_eq!(seen.1[0]["outcome"], "granted");
    assert!(!seen.1.to_string().contains(scene::DATASET_KEY));
    let stranger = scene.journal(&bought, STRANGER).await;
    assert_eq!((stranger.0, stranger.1["code"].as_str()), (403, Some("not-a-party")));
}

fn failed(explained: &serde_json::Value) -> Vec<&serde_json::Value> {
    explained["checks"].as_array().unwrap().iter().filter(|check| check["passes"] == false).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn anybody_is_told_what_is_public_and_parties_everything() {
    let scene = Scene::new().await;
    let bought = scene.ground.buy(&scene.ground.wish()).await;
    let (status, public) = scene.explain(&bought, None).await;
    assert_eq!((status, &public["passes"], &public["complete"]), (200, &false.into(), &false.into()));
    assert_eq!(failed(&public).len(), 1, "{public}");
    assert_eq!(failed(&public)[0]["code"], "dataset-key-missing");
    let compared = failed(&public)[0]["compared"].as_str().unwrap();
    assert!(compared.contains("requester secret \"one\""), "all that is missing is named: {compared}");
    assert!(!public.to_string().contains("derived here"), "the challenge is for the pool until it is used");

    let (status, refused) = scene.explain(&bought, Some(STRANGER)).await;
    assert_eq!((status, refused["code"].as_str()), (403, Some("not-a-party")));

    scene.store_secrets().await;
    for party in [ground::OWNER, REQUESTER, ground::SCHEDULER] {
        let (status, whole) = scene.explain(&bought, Some(party)).await;
        assert_eq!((status, &whole["passes"], &whole["complete"]), (200, &true.into(), &true.into()), "{whole}");
        assert!(whole.to_string().contains("derived here"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn parties_are_told_every_check_of_a_release_and_nothing_is_spent_by_asking() {
    let scene = Scene::new().await;
    scene.store_secrets().await;
    let bought = scene.ground.buy(&scene.ground.wish()).await;
    let session = scene.session(&bought).await.unwrap();
    let transcript = scene.transcript(session.id).await;
    let wrong = scene.request(session.id, &transcript, &Scene::unapproved_enclave(bought.image)).await;
    let (status, explained) = scene.explain_release(&bought, Some(REQUESTER), &wrong).await;
    assert_eq!(status, 200, "{explained}");
    assert_eq!(failed(&explained).len(), 1, "{explained}");
    assert_eq!(failed(&explained)[0]["code"], "image-not-approved");
    assert!(failed(&explained)[0]["remedy"].as_str().unwrap().contains("approved list"));
    for stranger in [None, Some(STRANGER)] {
        let (status, refused) = scene.explain_release(&bought, stranger, &wrong).await;
        assert_eq!((status, refused["code"].as_str()), (403, Some("not-a-party")));
    }
    assert!(scene.outcomes(&bought).await.is_empty());

    let right = scene.request(session.id, &transcript, &Scene::enclave(bought.image)).await;
    let (_, explained) = scene.explain_release(&bought, Some(REQUESTER), &right).await;
    assert_eq!(explained["passes"], true, "{explained}");
    scene.client().release(&right).await.unwrap();
    assert_eq!(scene.outcomes(&bought).await, ["granted"], "the nonce was not spent by asking");
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
