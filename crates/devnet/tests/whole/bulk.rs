//! Bulks: lists of datasets that a requester prepares with the stock library, in a deal that names no dataset itself.

use std::time::Duration;

use alloy_primitives::Address;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use strongroom_devnet::sdk::{SdkVersion, Session};

use crate::scene::{DATA_OWNER, DEVELOPER, POOL_PRICE, REQUESTER, STAKE, Scene, TAG, fetched, publish, sign, wallet};

/// Whose the datasets are, one each.
const OWNERS: [usize; 3] = [DATA_OWNER, 5, 6];
/// `DATASET_INFINITE_VOLUME` of the library.
const UNLIMITED: u64 = (1 << 53) - 1;
/// More than the final deadline of a task of the category XS is away.
const PAST_ALL_DEADLINES: Duration = Duration::from_secs(3_001);

/// Tells how many files and how many datasets there are, and the name and the content of each dataset.
const APP: &str = r#"
{
  ls "$IEXEC_IN" | wc -l | tr -d ' '
  echo "$IEXEC_BULK_SLICE_SIZE"
  number=1
  while [ "$number" -le "$IEXEC_BULK_SLICE_SIZE" ]; do
    eval "name=\$IEXEC_DATASET_${number}_FILENAME"
    echo "$name"
    cat "$IEXEC_IN/$name"
    number=$((number + 1))
  done
} > "$IEXEC_OUT/seen.txt"
printf '{"deterministic-output-path":"%s/seen.txt"}' "$IEXEC_OUT" > "$IEXEC_OUT/computed.json"
"#;

fn content(number: usize) -> String {
    format!("what owner {number} sells\n")
}

/// What the app tells of the datasets with these numbers.
fn told(datasets: &[Address], numbers: &[usize]) -> String {
    let count = numbers.len();
    let each = numbers.iter().map(|number| format!("{}\n{}", datasets[*number], content(*number)));
    format!("{count}\n{count}\n{}", each.collect::<String>())
}

/// A dataset as its owner makes it with the library: encrypted, uploaded and registered. Gives its key, too.
fn deployed(scene: &Scene, owner: &mut Session, number: usize) -> (Address, String) {
    let key = owner.call("dataset.generateEncryptionKey", &[]).unwrap();
    let plain = json!({ "base64": BASE64.encode(content(number)) });
    let encrypted = owner.call("dataset.encrypt", &[plain, key.clone()]).unwrap();
    let checksum = owner.call("dataset.computeEncryptedFileChecksum", std::slice::from_ref(&encrypted)).unwrap();
    let file = BASE64.decode(encrypted["base64"].as_str().unwrap()).unwrap();
    let location = tokio::runtime::Handle::current().block_on(scene.upload(file));
    let dataset = json!({
        "owner": wallet(OWNERS[number]).address(), "name": format!("dataset {number}"), "multiaddr": location,
        "checksum": checksum,
    });
    let deployed = owner.call("dataset.deployDataset", &[dataset]).unwrap();
    let address = serde_json::from_value(deployed["address"].clone()).unwrap();
    (address, key.as_str().unwrap().to_owned())
}

/// What an owner signs so that an app may use a dataset in bulks.
fn for_bulks(dataset: Address, app: Address) -> Value {
    json!({ "dataset": dataset, "datasetprice": 0, "volume": UNLIMITED, "tag": TAG, "apprestrict": app })
}

/// Fills the book: the app, the pool, and the datasets, whose keys the service has, for use in bulks by the app.
fn market(scene: &Scene, app: Address) -> Vec<Address> {
    let offer = json!({ "app": app, "appprice": 0, "volume": 9, "tag": TAG });
    publish(&mut scene.session(SdkVersion::V9, DEVELOPER), "App", &offer);
    scene.publish_pool(9);
    let datasets = (0..OWNERS.len()).map(|number| {
        let mut owner = scene.session(SdkVersion::V9, OWNERS[number]);
        let (dataset, key) = deployed(scene, &mut owner, number);
        owner.push_dataset_secret(dataset, &key).unwrap();
        publish(&mut owner, "Dataset", &for_bulks(dataset, app));
        // Serves the app as well, but no bulk.
        let one_use = json!({ "dataset": dataset, "datasetprice": 0, "volume": 1, "tag": TAG, "apprestrict": app });
        publish(&mut owner, "Dataset", &one_use);
        dataset
    });
    datasets.collect()
}

/// The only order in the book for use of the dataset in bulks by `app`.
fn found(requester: &mut Session, dataset: Address, app: Address) -> Value {
    let query = json!({ "dataset": dataset, "app": app, "bulkOnly": true });
    let book = requester.call("orderbook.fetchDatasetOrderbook", &[query]).unwrap();
    assert_eq!(book["count"], 1, "{book:#}");
    book["orders"][0]["order"].clone()
}

/// Prepares a bulk with at most `most` datasets for each task, and buys these tasks.
fn bought(scene: &Scene, requester: &mut Session, app: Address, orders: &[Value], most: usize) -> Vec<Value> {
    let options = json!({ "maxDatasetPerTask": most });
    let bulk = requester.call("order.prepareDatasetBulk", &[json!(orders), options]).unwrap();
    assert_eq!(bulk["volume"], orders.len().div_ceil(most), "{bulk}");
    let request = json!({
        "app": app, "appmaxprice": 0, "workerpool": scene.whole.workerpool, "workerpoolmaxprice": POOL_PRICE,
        "volume": bulk["volume"], "category": 0, "tag": TAG, "params": { "bulk_cid": bulk["cid"] },
    });
    let tasks = scene.buy(requester, &request);
    assert_eq!(bulk["volume"], tasks.len(), "{tasks:?}");
    tasks
}

fn is_completed(task: &Value) -> bool {
    task["statusName"] == "COMPLETED"
}

#[tokio::test(flavor = "multi_thread")]
async fn three_datasets_reach_one_task_or_are_divided_among_two() {
    let scene = Scene::new().await;
    scene.fund().await;
    let app = scene.app("bulk", APP).await;
    let folder = scene.folder.path().join("requester");
    std::fs::create_dir(&folder).unwrap();
    tokio::task::block_in_place(|| {
        let datasets = market(&scene, app);
        let downloads = scene.command_line(REQUESTER, &folder);
        for (version, parts) in [(SdkVersion::V9, &[&[0, 1, 2][..]][..]), (SdkVersion::V8, &[&[0, 1], &[2]])] {
            let mut requester = scene.session(version, REQUESTER);
            let orders: Vec<_> = datasets.iter().map(|dataset| found(&mut requester, *dataset, app)).collect();
            let tasks = bought(&scene, &mut requester, app, &orders, parts[0].len());
            for (task, numbers) in tasks.iter().zip(parts) {
                Scene::until(&mut requester, "task.show", std::slice::from_ref(task), is_completed);
                let seen = fetched(&downloads, &folder, task.as_str().unwrap());
                assert_eq!(seen, told(&datasets, numbers), "{version:?}");
            }
        }
        assert_eq!(scene.stake(REQUESTER), STAKE - 3 * POOL_PRICE, "datasets of bulks cost nothing");
    });
}

/// The task ends with this cause before any enclave starts, and is open on chain. The message names the second dataset alone.
fn fails(scene: &Scene, requester: &mut Session, task: &Value, datasets: &[Address], cause: &str) -> String {
    let has_failed = |info: &Value| info["task"]["status"] == "FAILED";
    let info = Scene::until(requester, "task.fetchOffchainInfo", std::slice::from_ref(task), has_failed);
    assert_eq!(info["replicates"], json!([]), "no enclave was started");
    let shown = requester.call("task.show", std::slice::from_ref(task)).unwrap();
    assert_eq!((&shown["statusName"], &shown["results"]["storage"]), (&json!("ACTIVE"), &json!("none")), "{shown:#}");

    // The library hands on states only; whoever asks the pool reads why.
    let model = scene.told_by_pool(task.as_str().unwrap()).unwrap();
    assert_eq!(model["cause"], cause, "{model:#}");
    let message = model["message"].as_str().unwrap().to_lowercase();
    let named = datasets.iter().map(|dataset| message.contains(&dataset.to_string().to_lowercase()));
    assert_eq!(named.collect::<Vec<_>>(), [false, true, false], "{message}");
    message
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dataset_that_does_not_serve_the_deal_fails_its_task_alone_and_is_named() {
    const REFUSED: &str = "TEE_SESSION_GENERATION_SECURE_SESSION_GENERATION_FAILED";
    const KEYLESS: &str = "TEE_SESSION_GENERATION_PRE_COMPUTE_GET_DATASET_SECRET_FAILED";
    let scene = Scene::new().await;
    scene.fund().await;
    let (app, other_app) = (scene.app("bulk", APP).await, scene.app("other", APP).await);
    let folder = scene.folder.path().join("requester");
    std::fs::create_dir(&folder).unwrap();
    let failed = tokio::task::block_in_place(|| {
        let datasets = market(&scene, app);
        let mut requester = scene.session(SdkVersion::V9, REQUESTER);
        let mut owner = scene.session(SdkVersion::V9, OWNERS[1]);
        let orders: Vec<_> = datasets.iter().map(|dataset| found(&mut requester, *dataset, app)).collect();
        let with_second = |second: &Value| [orders[0].clone(), second.clone(), orders[2].clone()];
        let mut failed = Vec::new();

        // For another app only: first in one task with the others, then each in a task of its own.
        let elsewhere = sign(&mut owner, "Dataset", &for_bulks(datasets[1], other_app));
        let tasks = bought(&scene, &mut requester, app, &with_second(&elsewhere), 3);
        let message = fails(&scene, &mut requester, &tasks[0], &datasets, REFUSED);
        assert!(message.contains("app restriction not satisfied"), "{message}");
        failed.push(tasks[0].clone());

        let tasks = bought(&scene, &mut requester, app, &with_second(&elsewhere), 1);
        fails(&scene, &mut requester, &tasks[1], &datasets, REFUSED);
        failed.push(tasks[1].clone());
        let downloads = scene.command_line(REQUESTER, &folder);
        for number in [0, 2] {
            Scene::until(&mut requester, "task.show", &tasks[number..=number], is_completed);
            let seen = fetched(&downloads, &folder, tasks[number].as_str().unwrap());
            assert_eq!(seen, told(&datasets, &[number]));
        }

        // The key was never pushed.
        let (keyless, _) = deployed(&scene, &mut owner, 1);
        let signed = sign(&mut owner, "Dataset", &for_bulks(keyless, app));
        let tasks = bought(&scene, &mut requester, app, &with_second(&signed), 3);
        fails(&scene, &mut requester, &tasks[0], &[datasets[0], keyless, datasets[2]], KEYLESS);
        failed.push(tasks[0].clone());

        // Revoked on chain, after the requester saw the order.
        owner.call("order.cancelDatasetorder", &orders[1..=1]).unwrap();
        let tasks = bought(&scene, &mut requester, app, &orders, 3);
        let message = fails(&scene, &mut requester, &tasks[0], &datasets, REFUSED);
        assert!(message.contains("revoked"), "{message}");
        failed.push(tasks[0].clone());
        assert_eq!(scene.stake(REQUESTER), STAKE - 6 * POOL_PRICE);
        failed
    });

    scene.chain().node.increase_time(PAST_ALL_DEADLINES).await.unwrap();
    tokio::task::block_in_place(|| {
        let mut requester = scene.session(SdkVersion::V9, REQUESTER);
        for task in failed {
            Scene::until(&mut requester, "task.show", &[task], |task| task["statusName"] == "FAILED");
        }
        assert_eq!(scene.stake(REQUESTER), STAKE - 2 * POOL_PRICE, "only what was done was paid");
    });
}
