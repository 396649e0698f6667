//! The whole way of data, with the stock SDK in everybody's hands: a dataset that it encrypted, secrets that it pushed, a result that it
//! downloads and decrypts.

use std::path::Path;

use alloy_primitives::{Address, Bytes};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use strongroom_content::cid::AddAs;
use strongroom_devnet::resources::Dataset;
use strongroom_devnet::sdk::{CommandLine, SdkContext, SdkVersion, Services};

use crate::scene::{COMPLETED, OWNER, Order, REQUESTER, Scene, wallet};
use crate::support;
use crate::support::archive::unpacked;

const APP_SECRET: &str = "the developer's";
const REQUESTER_SECRETS: [(&str, &str); 2] = [("one", "the first"), ("two", "the second")];
/// Bytes of the plain dataset: more than one buffer and one piece of IPFS anywhere.
const DATASET_BYTES: usize = 5_000_003;
const BIG_SECRET_BYTES: usize = 1_000_000;

/// What the app saw, one line each.
const APP: &str = r#"
{
  sha256sum < "$IEXEC_IN/$IEXEC_DATASET_FILENAME" | cut -d' ' -f1
  echo "$IEXEC_APP_DEVELOPER_SECRET"
  echo "$IEXEC_REQUESTER_SECRET_1"
  echo "$IEXEC_REQUESTER_SECRET_2"
  wc -c < "$IEXEC_REQUESTER_SECRET_3_FILE"
  cat "$IEXEC_IN/$IEXEC_INPUT_FILE_NAME_1"
  echo "$1"
  env | grep -c -e SIGN_ -e DATASET_KEY -e STORAGE_TOKEN -e STRONGROOM || true
} > "$IEXEC_OUT/seen.txt"
printf '{"deterministic-output-path":"%s/seen.txt"}' "$IEXEC_OUT" > "$IEXEC_OUT/computed.json"
"#;

fn context(scene: &Scene, who: usize) -> SdkContext {
    support::context(&scene.network, Some(scene.sms.url()), &wallet(who))
}

/// The stock command line of `who` in a folder of its own, with the gateway of the scene.
fn command_line(scene: &Scene, who: usize, folder: &Path) -> CommandLine {
    let services = Services { storage: Some(scene.store.url()), ..Services::default() };
    support::sdk().command_line(folder, &SdkContext { services, ..context(scene, who) }).unwrap()
}

fn plain_dataset() -> Vec<u8> {
    (0..DATASET_BYTES).map(|index| (index * 7 + index / 251).to_le_bytes()[0]).collect()
}

/// Encrypts the dataset with the stock command line: the file, and its key as text.
fn encrypted_dataset(owner: &CommandLine, folder: &Path) -> (Vec<u8>, String) {
    owner.write("iexec.json", &json!({})).unwrap();
    owner.run(&["dataset", "init", "--encrypted"]).unwrap();
    std::fs::write(folder.join("datasets/original/data.bin"), plain_dataset()).unwrap();
    let answer = owner.run(&["dataset", "encrypt"]).unwrap();
    let one = &answer["encryptedFiles"][0];
    assert!(one.is_object(), "{answer}");
    let read = |member: &str| std::fs::read(folder.join(one[member].as_str().unwrap())).unwrap();
    let file =
        std::fs::read(folder.join("datasets/encrypted/data.bin.enc")).unwrap_or_else(|_| read("encryptedFilePath"));
    let key = std::fs::read_to_string(folder.join(".secrets/datasets/data.bin.key"))
        .unwrap_or_else(|_| String::from_utf8(read("secretKeyPath")).unwrap());
    (file, key.trim().to_owned())
}

/// Registers the encrypted file, which is in the content store, as the owner's.
async fn register(scene: &Scene, file: &[u8]) -> Address {
    let cid = scene.store.files().add(file, AddAs::V0).unwrap();
    let dataset = Dataset {
        name: "journey".to_owned(),
        multiaddr: Bytes::from(format!("/ipfs/{cid}").into_bytes()),
        checksum: <[u8; 32]>::from(Sha256::digest(file)).into(),
    };
    scene.network.chain().unwrap().create_dataset(&wallet(OWNER), &dataset).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_result_over_an_encrypted_dataset_comes_back_to_the_stock_sdk() {
    let scene = Scene::new().await;
    let app = scene.app("journey", APP).await;
    let (owner_folder, requester_folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let input = scene.store.files().add(b"an input file\n", AddAs::V1).unwrap();

    let (file, key) = tokio::task::block_in_place(|| {
        encrypted_dataset(&command_line(&scene, OWNER, owner_folder.path()), owner_folder.path())
    });
    let dataset = register(&scene, &file).await;
    let requester = tokio::task::block_in_place(|| {
        let sdk = support::sdk();
        let mut session = sdk.session(SdkVersion::V9, &context(&scene, OWNER)).unwrap();
        session.push_app_secret(app, APP_SECRET).unwrap();
        session.push_dataset_secret(dataset, &key).unwrap();
        let mut session = sdk.session(SdkVersion::V9, &context(&scene, REQUESTER)).unwrap();
        for (name, value) in REQUESTER_SECRETS {
            session.push_requester_secret(name, value).unwrap();
        }
        session.push_requester_secret("big", &"x".repeat(BIG_SECRET_BYTES)).unwrap();
        let requester = command_line(&scene, REQUESTER, requester_folder.path());
        requester.run_with_wallet(&["result", "generate-encryption-keypair"]).unwrap();
        requester.run_with_wallet(&["result", "push-encryption-key"]).unwrap();
        requester
    });

    let params = json!({
        "iexec_args": "'two words'",
        "iexec_input_files": [format!("{}/ipfs/{input}", scene.store.url())],
        "iexec_secrets": { "1": "one", "2": "two", "3": "big" },
        "iexec_result_encryption": true,
        "iexec_result_storage_provider": "ipfs",
    });
    let order = Order { params: &params.to_string(), dataset: Some(dataset), callback: false, ..Order::of(app) };
    let task = scene.buy(order).await[0];
    let end: Value = scene.end(task).await;
    assert_eq!(end["currentStatus"], "COMPLETED", "{end:#}\n{}", scene.pool.log());
    assert_eq!(scene.on_chain(task).await.0, COMPLETED);

    tokio::task::block_in_place(|| {
        let task = task.to_string();
        requester.run_with_wallet(&["task", "show", &task, "--download", "result", "--decrypt"]).unwrap();
    });
    let seen = unpacked(&requester_folder.path().join("result.zip"), "seen.txt");
    let expected = [
        hex::encode(Sha256::digest(plain_dataset())),
        APP_SECRET.to_owned(),
        REQUESTER_SECRETS[0].1.to_owned(),
        REQUESTER_SECRETS[1].1.to_owned(),
        BIG_SECRET_BYTES.to_string(),
        "an input file".to_owned(),
        "two words".to_owned(),
        "0".to_owned(),
    ];
    assert_eq!(seen.lines().map(str::trim).collect::<Vec<_>>(), expected);
}
