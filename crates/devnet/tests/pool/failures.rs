//! Inputs that are not what the chain says: which word and sentence the requester gets, and what stays on chain.

use alloy_primitives::{Address, B256};
use serde_json::{Value, json};
use strongroom_content::dataset::DatasetKey;

use crate::datasets::{encrypted, right_key};
use crate::scene::{ACTIVE, COMPLETED, Order, Scene};

const CONTENT: &[u8] = b"what the owner sells\n";

/// Hands the dataset on as it is.
const COPIES: &str = r#"
cat "$IEXEC_IN/$IEXEC_DATASET_FILENAME" > "$IEXEC_OUT/seen.txt"
printf '{"deterministic-output-path":"%s/seen.txt"}' "$IEXEC_OUT" > "$IEXEC_OUT/computed.json"
"#;

/// Makes a small result.
const SMALL: &str = r#"
echo done > "$IEXEC_OUT/seen.txt"
printf '{"deterministic-output-path":"%s/seen.txt"}' "$IEXEC_OUT" > "$IEXEC_OUT/computed.json"
"#;

async fn bought(scene: &Scene, name: &str, dataset: Address) -> (B256, Value) {
    let app = scene.app(name, COPIES).await;
    let task = scene.buy(Order { dataset: Some(dataset), callback: false, ..Order::of(app) }).await[0];
    (task, scene.end(task).await)
}

/// The app of a task with this dataset does not run, and the message names the dataset.
async fn fails(scene: &Scene, name: &str, dataset: Address, cause: &str) -> String {
    let (task, model) = bought(scene, name, dataset).await;
    assert_eq!(model["cause"], cause, "{model:#}\n{}", scene.pool.log());
    let message = model["message"].as_str().unwrap().to_lowercase();
    assert!(message.contains(&dataset.to_string().to_lowercase()), "{message}");
    assert_eq!(scene.on_chain(task).await.0, ACTIVE, "nothing is settled");
    assert_eq!(scene.times_on_chain(task).await, [1, 0, 0, 0]);
    message
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dataset_reaches_the_app_as_its_owner_made_it() {
    let scene = Scene::shared().await;
    let dataset = scene.dataset("right", CONTENT).await;
    let (task, model) = bought(&scene, "right-dataset", dataset).await;
    assert_eq!(model["currentStatus"], "COMPLETED", "{model:#}\n{}", scene.pool.log());
    assert_eq!(scene.result_file(task, "seen.txt").await.as_bytes(), CONTENT);
    assert_eq!(scene.times_on_chain(task).await, [1, 1, 1, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_not_the_registered_dataset_fails_its_task() {
    let scene = Scene::shared().await;
    let (file, checksum) = encrypted(CONTENT);
    let registered = B256::repeat_byte(0xcc);
    let dataset = scene.register_dataset("other-file", &file, registered).await;
    scene.push_dataset_key(dataset, &right_key()).await;
    let message = fails(&scene, "checksum", dataset, "PRE_COMPUTE_INVALID_DATASET_CHECKSUM").await;
    assert!(message.contains(&checksum.to_string()) && message.contains(&registered.to_string()), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dataset_that_its_key_does_not_open_fails_its_task() {
    let scene = Scene::shared().await;
    let (file, checksum) = encrypted(CONTENT);
    let dataset = scene.register_dataset("other-key", &file, checksum).await;
    scene.push_dataset_key(dataset, &DatasetKey::from_random([0xbb; 32])).await;
    let message = fails(&scene, "key", dataset, "PRE_COMPUTE_DATASET_DECRYPTION_FAILED").await;
    assert!(message.contains("key"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deal_with_a_result_proxy_of_its_own_is_refused_and_the_results_of_others_still_arrive() {
    let scene = Scene::shared().await;
    let app = scene.app("own-proxy", SMALL).await;
    let params = r#"{"iexec_result_storage_proxy":"http://proxy.example"}"#;
    let refused = scene.buy(Order { params, callback: false, ..Order::of(app) }).await[0];
    let model = scene.end(refused).await;
    assert_eq!(model["cause"], "TASK_DESCRIPTION_INVALID", "{model:#}");
    assert!(model["message"].as_str().unwrap().contains("this pool delivers to"), "{model:#}");
    assert_eq!(scene.times_on_chain(refused).await, [0, 0, 0, 0], "no gas was spent");

    let served = scene.buy(Order { callback: false, ..Order::of(app) }).await[0];
    scene.completes_once(served).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dataset_that_nobody_has_fails_its_task() {
    let scene = Scene::shared().await;
    let (file, checksum) = encrypted(b"what was lost\n");
    let dataset = scene.register_dataset("lost", &file, checksum).await;
    scene.push_dataset_key(dataset, &right_key()).await;
    let cid = strongroom_content::cid::Cid::of(&file[..], strongroom_content::cid::AddAs::V0).unwrap();
    std::fs::remove_file(scene.folder().join("content").join(cid.to_string())).unwrap();
    let message = fails(&scene, "lost-dataset", dataset, "PRE_COMPUTE_DATASET_DOWNLOAD_FAILED").await;
    assert!(message.contains("404"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dataset_whose_key_was_never_pushed_fails_its_task_before_an_enclave_starts() {
    let scene = Scene::shared().await;
    let (file, checksum) = encrypted(CONTENT);
    let dataset = scene.register_dataset("no-key", &file, checksum).await;
    let cause = "TEE_SESSION_GENERATION_PRE_COMPUTE_GET_DATASET_SECRET_FAILED";
    fails(&scene, "no-key", dataset, cause).await;
}

/// Says how many datasets there are, and what is in each.
const COPIES_ALL: &str = r#"
{
  echo "$IEXEC_BULK_SLICE_SIZE"
  for number in 1 2 3; do
    eval "name=\$IEXEC_DATASET_${number}_FILENAME"
    cat "$IEXEC_IN/$name"
  done
} > "$IEXEC_OUT/seen.txt"
printf '{"deterministic-output-path":"%s/seen.txt"}' "$IEXEC_OUT" > "$IEXEC_OUT/computed.json"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_datasets_reaches_the_app_unless_one_of_them_does_not_serve_the_deal() {
    let scene = Scene::shared().await;
    let app = scene.app("list", COPIES_ALL).await;
    let mut datasets = Vec::new();
    for name in ["first", "second", "third"] {
        datasets.push(scene.dataset(name, format!("{name} dataset\n").as_bytes()).await);
    }
    let orders: Vec<_> = datasets.iter().map(|dataset| scene.order_for_lists(*dataset, Address::ZERO)).collect();
    let params = scene.list_of(&orders);
    let task = scene.buy(Order { params: &params, callback: false, ..Order::of(app) }).await[0];
    let model = scene.end(task).await;
    assert_eq!(model["currentStatus"], "COMPLETED", "{model:#}\n{}", scene.pool.log());
    assert_eq!(scene.on_chain(task).await.0, COMPLETED);
    assert_eq!(scene.result_file(task, "seen.txt").await, "3\nfirst dataset\nsecond dataset\nthird dataset\n");

    // The second is for another app only.
    let elsewhere = scene.order_for_lists(datasets[1], Address::repeat_byte(0xaa));
    let params = scene.list_of(&[orders[0].clone(), elsewhere, orders[2].clone()]);
    let task = scene.buy(Order { params: &params, callback: false, ..Order::of(app) }).await[0];
    let model = scene.end(task).await;
    assert_eq!(
        model["cause"],
        "TEE_SESSION_GENERATION_SECURE_SESSION_GENERATION_FAILED",
        "{model:#}\n{}",
        scene.pool.log()
    );
    let message = model["message"].as_str().unwrap().to_lowercase();
    let named = datasets.iter().map(|dataset| message.contains(&dataset.to_string().to_lowercase()));
    assert_eq!(named.collect::<Vec<_>>(), [false, true, false], "{message}");
    assert!(message.contains("app restriction"), "{message}");
    assert_eq!(model["replicates"], json!([]), "no enclave was started");
    assert_eq!(scene.times_on_chain(task).await, [1, 0, 0, 0]);
}
