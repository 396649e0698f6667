//! Tasks bought with `iexec app run --watch`, their results fetched and decrypted, and what was paid for them.

use std::path::Path;

use alloy_primitives::{Address, hex};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use strongroom_devnet::sdk::{CommandLine, SdkVersion};
use strongroom_devnet::whole::{POOL_OWNER, WORKER};

use crate::callback;
use crate::scene::{DATA_OWNER, DEVELOPER, POOL_PRICE, REQUESTER, STAKE, Scene, TAG, fetched, publish};

/// Bytes of the dataset that is sold: 50 MB.
const DATASET_BYTES: u32 = 50_000_000;
const DATA_PRICE: u64 = 7;
const APP_PRICE: u64 = 3;

/// Tells the digest of its data, and its secrets.
const APP: &str = r#"
{
  sha256sum < "$IEXEC_IN/$IEXEC_DATASET_FILENAME" | cut -d' ' -f1
  echo "$IEXEC_APP_DEVELOPER_SECRET $IEXEC_REQUESTER_SECRET_1 $IEXEC_REQUESTER_SECRET_2 $1"
} > "$IEXEC_OUT/seen.txt"
printf '{"deterministic-output-path":"%s/seen.txt"}' "$IEXEC_OUT" > "$IEXEC_OUT/computed.json"
"#;

/// Tells its first secret.
const SECRET_APP: &str = r#"
echo "$IEXEC_REQUESTER_SECRET_1" > "$IEXEC_OUT/seen.txt"
printf '{"deterministic-output-path":"%s/seen.txt"}' "$IEXEC_OUT" > "$IEXEC_OUT/computed.json"
"#;

/// Has something to say to a contract.
const CALLING_APP: &str = r#"printf '{"callback-data":"0x1234"}' > "$IEXEC_OUT/computed.json""#;

fn plain_dataset() -> Vec<u8> {
    (0..DATASET_BYTES).map(|index| (index.wrapping_mul(7) + index / 251).to_le_bytes()[0]).collect()
}

/// Runs `iexec app run --watch` and gives the ids of the tasks that were completed.
fn run_and_watch(requester: &CommandLine, app: Address, options: &[&str]) -> Vec<String> {
    let app = app.to_string();
    let run = ["app", "run", &app, "--tag", "tee,tdx", "--watch", "--force"];
    let answer = requester.run_with_wallet(&[&run[..], options].concat()).unwrap();
    let tasks = answer["tasks"].as_array().unwrap_or_else(|| panic!("{answer:#}"));
    assert!(!tasks.is_empty() && answer["failedTasks"].as_array().is_none_or(Vec::is_empty), "{answer:#}");
    let id = |task: &Value| task["taskid"].as_str().unwrap_or_else(|| panic!("{answer:#}")).to_owned();
    tasks.iter().map(id).collect()
}

/// Encrypts the data with the stock command line. Gives the encrypted file and the key.
fn encrypted(owner: &CommandLine, folder: &Path, plain: &[u8]) -> (Vec<u8>, String) {
    owner.write("iexec.json", &json!({})).unwrap();
    owner.run(&["dataset", "init", "--encrypted"]).unwrap();
    std::fs::write(folder.join("datasets/original/data.bin"), plain).unwrap();
    owner.run(&["dataset", "encrypt"]).unwrap();
    let file = std::fs::read(folder.join("datasets/encrypted/data.bin.enc")).unwrap();
    let key = std::fs::read_to_string(folder.join(".secrets/datasets/data.bin.key")).unwrap();
    (file, key.trim().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_dataset_is_sold_to_one_app_and_everybody_is_paid() {
    let scene = Scene::new().await;
    scene.fund().await;
    let (app, other_app) = (scene.app("reader", APP).await, scene.app("copier", APP).await);
    let folder = |name: &str| {
        let folder = scene.folder.path().join(name);
        std::fs::create_dir(&folder).unwrap();
        folder
    };
    let (owner_folder, requester_folder) = (folder("owner"), folder("requester"));
    let plain = plain_dataset();
    let (file, key) = tokio::task::block_in_place(|| {
        encrypted(&scene.command_line(DATA_OWNER, &owner_folder), &owner_folder, &plain)
    });
    let checksum = Sha256::digest(&file).into();
    let location = scene.upload(file).await;
    let dataset = scene.dataset("table", location, checksum).await;

    tokio::task::block_in_place(|| {
        let mut developer = scene.session(SdkVersion::V9, DEVELOPER);
        developer.push_app_secret(app, "of-the-app").unwrap();
        for app in [app, other_app] {
            publish(&mut developer, "App", &json!({ "app": app, "appprice": APP_PRICE, "volume": 9, "tag": TAG }));
        }
        let mut owner = scene.session(SdkVersion::V9, DATA_OWNER);
        owner.push_dataset_secret(dataset, &key).unwrap();
        let grant = json!({
            "dataset": dataset, "datasetprice": DATA_PRICE, "volume": 9, "tag": ["tee"], "apprestrict": app,
        });
        publish(&mut owner, "Dataset", &grant);
        scene.publish_pool(9);
        let mut requester = scene.session(SdkVersion::V9, REQUESTER);
        requester.push_requester_secret("one", "first").unwrap();
        requester.push_requester_secret("two", "second").unwrap();

        let requester = scene.command_line(REQUESTER, &requester_folder);
        requester.run_with_wallet(&["result", "generate-encryption-keypair"]).unwrap();
        requester.run_with_wallet(&["result", "push-encryption-key"]).unwrap();
        let (dataset, pool) = (dataset.to_string(), scene.whole.workerpool.to_string());
        let options = [
            "--dataset",
            &dataset,
            "--workerpool",
            &pool,
            "--encrypt-result",
            "--args",
            "word",
            "--secret",
            "1=one",
            "2=two",
        ];
        let before = [REQUESTER, DEVELOPER, DATA_OWNER, POOL_OWNER, WORKER].map(|who| scene.stake(who));
        assert_eq!(before, [STAKE, 0, 0, STAKE, STAKE]);
        let tasks = run_and_watch(&requester, app, &options);
        let seen = fetched(&requester, &requester_folder, &tasks[0]);
        let expected = format!("{}\nof-the-app first second word\n", hex::encode(Sha256::digest(&plain)));
        assert_eq!(seen, expected);

        // The pool is one program of two wallets: together they earn what the pool asks for.
        let after = [REQUESTER, DEVELOPER, DATA_OWNER, POOL_OWNER, WORKER].map(|who| scene.stake(who));
        assert_eq!(after[..3], [STAKE - APP_PRICE - DATA_PRICE - POOL_PRICE, APP_PRICE, DATA_PRICE]);
        assert_eq!(after[3] + after[4], 2 * STAKE + POOL_PRICE);

        // The data are for that app alone: for another one the market has no order.
        let refused = requester.run_with_wallet(&[
            "app",
            "run",
            &other_app.to_string(),
            "--tag",
            "tee,tdx",
            "--force",
            "--dataset",
            &dataset,
            "--workerpool",
            &pool,
        ]);
        let message = refused.unwrap_err().to_string();
        assert!(message.contains("No order available for dataset"), "{message}");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn two_apps_share_a_secret_a_contract_is_called_back_and_a_bag_of_tasks_is_watched_to_its_end() {
    let scene = Scene::new().await;
    scene.fund().await;
    let apps = [scene.app("first", SECRET_APP).await, scene.app("second", SECRET_APP).await];
    let calling = scene.app("caller", CALLING_APP).await;
    let called = callback::create(&scene).await;
    let folder = scene.folder.path().join("requester");
    std::fs::create_dir(&folder).unwrap();
    tokio::task::block_in_place(|| {
        let mut developer = scene.session(SdkVersion::V9, DEVELOPER);
        for app in [apps[0], apps[1], calling] {
            publish(&mut developer, "App", &json!({ "app": app, "appprice": 0, "volume": 9, "tag": TAG }));
        }
        scene.publish_pool(9);
        scene.session(SdkVersion::V9, REQUESTER).push_requester_secret("shared", "between-apps").unwrap();
        let requester = scene.command_line(REQUESTER, &folder);
        let pool = scene.whole.workerpool.to_string();
        for app in apps {
            let tasks = run_and_watch(&requester, app, &["--workerpool", &pool, "--secret", "1=shared"]);
            assert_eq!(fetched(&requester, &folder, &tasks[0]), "between-apps\n");
            the_pool_tells_of_the_task(&scene, &tasks[0]);
        }
        let options = ["--workerpool", &pool, "--callback", &called.to_string()];
        let tasks = run_and_watch(&requester, calling, &options);
        let shown = requester.run(&["task", "show", &tasks[0]]).unwrap();
        assert_eq!(shown["task"]["resultsCallback"], "0x1234", "{shown:#}");
        tokio::runtime::Handle::current().block_on(callback::was_called(&scene, called, &tasks[0], &[0x12, 0x34]));
        bag_of_tasks(&scene, apps[0]);
    });
}

/// What stock clients ask the scheduler, found through the compass.
fn the_pool_tells_of_the_task(scene: &Scene, task: &str) {
    let mut session = scene.session(SdkVersion::V9, REQUESTER);
    let info = session.call("task.fetchOffchainInfo", &[json!(task)]).unwrap();
    assert_eq!(info["task"]["status"], "COMPLETED", "{info:#}");
    let logs = session.call("task.fetchLogs", &[json!(task)]).unwrap();
    assert!(logs[0]["stdout"].is_string() && logs[0]["stderr"].is_string(), "{logs:#}");
}

fn bag_of_tasks(scene: &Scene, app: Address) {
    let mut requester = scene.session(SdkVersion::V9, REQUESTER);
    let request = json!({
        "app": app, "appmaxprice": 0, "workerpool": scene.whole.workerpool, "workerpoolmaxprice": POOL_PRICE,
        "volume": 5, "category": 0, "tag": TAG, "params": { "iexec_secrets": { "1": "shared" } },
    });
    let tasks = scene.buy(&mut requester, &request);
    assert_eq!(tasks.len(), 5, "{tasks:?}");
    for task in tasks {
        let is_completed = |task: &Value| task["statusName"] == "COMPLETED";
        Scene::until(&mut requester, "task.show", &[task], is_completed);
    }
}

/// Tells its input file, and how large its secret is.
const INPUT_APP: &str = r#"
{
  cat "$IEXEC_IN/$IEXEC_INPUT_FILE_NAME_1"
  wc -c < "$IEXEC_REQUESTER_SECRET_1_FILE"
} > "$IEXEC_OUT/seen.txt"
printf '{"deterministic-output-path":"%s/seen.txt"}' "$IEXEC_OUT" > "$IEXEC_OUT/computed.json"
"#;
/// More than fits into a variable of the environment.
const LARGE_SECRET_BYTES: usize = 1_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn an_input_file_and_a_large_secret_reach_the_app() {
    let scene = Scene::new().await;
    scene.fund().await;
    let app = scene.app("inputs", INPUT_APP).await;
    let folder = scene.folder.path().join("requester");
    std::fs::create_dir(&folder).unwrap();
    let input = format!("{}{}", scene.whole.store.url(), scene.upload(b"an input file\n".to_vec()).await);
    tokio::task::block_in_place(|| {
        let offer = json!({ "app": app, "appprice": 0, "volume": 9, "tag": TAG });
        publish(&mut scene.session(SdkVersion::V9, DEVELOPER), "App", &offer);
        scene.publish_pool(9);
        let large = "x".repeat(LARGE_SECRET_BYTES);
        scene.session(SdkVersion::V9, REQUESTER).push_requester_secret("large", &large).unwrap();
        let requester = scene.command_line(REQUESTER, &folder);
        let pool = scene.whole.workerpool.to_string();
        let options = ["--workerpool", &pool, "--secret", "1=large", "--input-files", &input];
        let tasks = run_and_watch(&requester, app, &options);
        let seen = fetched(&requester, &folder, &tasks[0]);
        assert_eq!(
            seen.split_whitespace().collect::<Vec<_>>().join(" "),
            format!("an input file {LARGE_SECRET_BYTES}")
        );
    });
}
