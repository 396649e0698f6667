//! The stock SDK keeps and checks secrets in our service, over the real contracts.

mod support;

use std::path::Path;

use alloy_primitives::Address;
use serde_json::{Value, json};
use strongroom_devnet::sdk::{CommandLine, SdkError, SdkVersion, Session};
use strongroom_devnet::{Devnet, development_accounts};
use support::{Sms, context, devnet, sdk, start_sms};

const VERSIONS: [SdkVersion; 2] = [SdkVersion::V9, SdkVersion::V8];

/// Two keys for results, as the SDK accepts them: it does not look inside.
const RESULT_KEY: &str = "-----BEGIN PUBLIC KEY-----\none\n-----END PUBLIC KEY-----";
const OTHER_RESULT_KEY: &str = "-----BEGIN PUBLIC KEY-----\ntwo\n-----END PUBLIC KEY-----";

/// A network, the service and the folder of its data.
struct Stage {
    devnet: Devnet,
    sms: Sms,
    folder: tempfile::TempDir,
}

impl Stage {
    async fn new() -> Self {
        let devnet = devnet().await;
        let folder = tempfile::tempdir().expect("a folder for temporary files exists");
        let sms = start_sms(&devnet, folder.path());
        Self { devnet, sms, folder }
    }

    /// A session of the library as the `index`th development account.
    fn session(&self, version: SdkVersion, index: usize) -> Session {
        sdk().session(version, &context(&self.devnet, Some(&self.sms), index)).expect("node is installed")
    }
}

fn account(index: usize) -> Address {
    development_accounts()[index].address
}

#[track_caller]
fn assert_refused<T: std::fmt::Debug>(outcome: Result<T, SdkError>, expected: &str) {
    match outcome {
        Err(SdkError::Refused(message)) => assert!(message.contains(expected), "refused otherwise: {message}"),
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn an_app_secret_is_pushed_once_by_the_owner_of_the_app_and_by_nobody_else() {
    let stage = Stage::new().await;
    for version in VERSIONS {
        let mut owner = stage.session(version, 1);
        let app = owner.deploy_app(&format!("app-{version:?}"), Value::Null).unwrap();
        assert!(!owner.has_app_secret(app).unwrap());
        assert_refused(stage.session(version, 2).push_app_secret(app, "value"), "is not allowed to set secret");
        assert!(!owner.has_app_secret(app).unwrap());
        owner.push_app_secret(app, "a value with UTF-8: é ∑").unwrap();
        assert!(owner.has_app_secret(app).unwrap());
        assert_refused(owner.push_app_secret(app, "another value"), "Secret already exists");
        assert_refused(stage.session(version, 2).push_app_secret(app, "value"), "is not allowed to set secret");
    }
}

#[tokio::test]
async fn a_dataset_secret_is_pushed_once_by_the_owner_of_the_dataset_and_by_nobody_else() {
    let stage = Stage::new().await;
    for version in VERSIONS {
        let mut owner = stage.session(version, 1);
        let dataset = owner.deploy_dataset(&format!("dataset-{version:?}")).unwrap();
        assert!(!owner.has_dataset_secret(dataset).unwrap());
        assert_refused(stage.session(version, 2).push_dataset_secret(dataset, "key"), "is not allowed to set secret");
        owner.push_dataset_secret(dataset, "key").unwrap();
        assert!(owner.has_dataset_secret(dataset).unwrap());
        assert_refused(owner.push_dataset_secret(dataset, "other key"), "Secret already exists");
    }
}

#[tokio::test]
async fn a_requester_secret_is_pushed_once_under_each_name() {
    let stage = Stage::new().await;
    for (version, index) in VERSIONS.into_iter().zip([1, 2]) {
        let mut requester = stage.session(version, index);
        assert!(!requester.has_requester_secret(account(index), "my-key").unwrap());
        requester.push_requester_secret("my-key", "value").unwrap();
        assert!(requester.has_requester_secret(account(index), "my-key").unwrap());
        assert!(!requester.has_requester_secret(account(index), "other-key").unwrap());
        assert!(!requester.has_requester_secret(account(3), "my-key").unwrap());
        assert_refused(requester.push_requester_secret("my-key", "other"), "already exists");
        requester.push_requester_secret("other-key", "value").unwrap();
    }
}

#[tokio::test]
async fn a_key_for_results_is_replaced_only_when_asked_and_never_by_an_older_one() {
    let stage = Stage::new().await;
    for (version, index) in VERSIONS.into_iter().zip([1, 2]) {
        let mut account_owner = stage.session(version, index);
        assert!(!account_owner.has_result_key(account(index)).unwrap());
        assert!(!account_owner.push_result_key(RESULT_KEY, false).unwrap());
        assert!(account_owner.has_result_key(account(index)).unwrap());
        assert_refused(account_owner.push_result_key(OTHER_RESULT_KEY, false), "already exists");
        assert!(account_owner.push_result_key(OTHER_RESULT_KEY, true).unwrap());
        // The same signature again would bring the first key back.
        assert_refused(account_owner.push_result_key(RESULT_KEY, true), "SMS answered with unexpected status");
    }
}

#[tokio::test]
async fn who_buys_an_asset_pushes_its_secret_and_who_sold_it_does_not_any_more() {
    let stage = Stage::new().await;
    for version in VERSIONS {
        let mut seller = stage.session(version, 1);
        let app = seller.deploy_app(&format!("sold-app-{version:?}"), Value::Null).unwrap();
        let dataset = seller.deploy_dataset(&format!("sold-dataset-{version:?}")).unwrap();
        seller.transfer_app(app, account(2)).unwrap();
        seller.transfer_dataset(dataset, account(2)).unwrap();
        let mut buyer = stage.session(version, 2);
        // The service looks at a new block within 50 ms; each try takes about as long.
        let accepted = (0..100).any(|_| buyer.push_dataset_secret(dataset, "key").is_ok());
        assert!(accepted, "the new owner is not recognised");
        assert_refused(seller.push_app_secret(app, "value"), "is not allowed to set secret");
        assert!(!seller.has_app_secret(app).unwrap());
        buyer.push_app_secret(app, "value").unwrap();
    }
}

#[tokio::test]
async fn what_one_version_pushes_the_other_sees_also_after_a_restart_of_the_service() {
    let mut stage = Stage::new().await;
    let mut pushing = stage.session(SdkVersion::V9, 1);
    let app = pushing.deploy_app("app", Value::Null).unwrap();
    let dataset = pushing.deploy_dataset("dataset").unwrap();
    pushing.push_app_secret(app, "value").unwrap();
    pushing.push_dataset_secret(dataset, "key").unwrap();
    pushing.push_requester_secret("name", "value").unwrap();
    pushing.push_result_key(RESULT_KEY, false).unwrap();
    stage.sms.kill();
    stage.sms = start_sms(&stage.devnet, stage.folder.path());
    let mut checking = stage.session(SdkVersion::V8, 2);
    assert!(checking.has_app_secret(app).unwrap());
    assert!(checking.has_dataset_secret(dataset).unwrap());
    assert!(checking.has_requester_secret(account(1), "name").unwrap());
    assert!(checking.has_result_key(account(1)).unwrap());
    assert_refused(stage.session(SdkVersion::V8, 1).push_app_secret(app, "other"), "Secret already exists");
}

#[tokio::test]
async fn an_asset_that_is_not_registered_has_no_owner_who_could_push() {
    let stage = Stage::new().await;
    // The diamond and the token have an owner() too: the account that deployed them.
    for contract in [stage.devnet.deployment().hub, stage.devnet.deployment().rlc] {
        let mut deployer = stage.session(SdkVersion::V9, 0);
        assert_refused(deployer.push_app_secret(contract, "value"), "is not allowed to set secret");
        assert_refused(deployer.push_dataset_secret(contract, "value"), "is not allowed to set secret");
    }
}

/// The command line in `folder`, as the `index`th development account.
fn command_line(stage: &Stage, folder: &Path, index: usize) -> CommandLine {
    sdk().command_line(folder, &context(&stage.devnet, Some(&stage.sms), index)).expect("node is installed")
}

#[tokio::test]
async fn the_command_line_deploys_pushes_and_checks_every_kind() {
    let stage = Stage::new().await;
    let folder = tempfile::tempdir().unwrap();
    let iexec = command_line(&stage, folder.path(), 3);
    let checksum = format!("0x{}", "15".repeat(32));
    let app = json!({
        "owner": account(3), "name": "cli-app", "type": "DOCKER", "multiaddr": "registry.example/app:1", "checksum": checksum,
    });
    let dataset = json!({
        "owner": account(3), "name": "cli-dataset", "multiaddr": "https://data.example/d", "checksum": checksum,
    });
    iexec.write("iexec.json", &json!({ "app": app, "dataset": dataset })).unwrap();
    let address = |deployed: Value| deployed["address"].as_str().expect("the command tells the address").to_owned();
    let app = address(iexec.run_with_wallet(&["app", "deploy"]).unwrap());
    let dataset = address(iexec.run_with_wallet(&["dataset", "deploy"]).unwrap());

    assert_eq!(iexec.run(&["app", "check-secret", &app]).unwrap()["isSecretSet"], false);
    iexec.run_with_wallet(&["app", "push-secret", &app, "--secret-value", "value"]).unwrap();
    assert_eq!(iexec.run(&["app", "check-secret", &app]).unwrap()["isSecretSet"], true);
    let again = iexec.run_with_wallet(&["app", "push-secret", &app, "--secret-value", "other"]);
    assert_refused(again, "Secret already exists");

    iexec.write("dataset.key", &json!("key")).unwrap();
    iexec.run_with_wallet(&["dataset", "push-secret", &dataset, "--secret-path", "dataset.key"]).unwrap();
    assert_eq!(iexec.run(&["dataset", "check-secret", &dataset]).unwrap()["isSecretSet"], true);

    iexec.run_with_wallet(&["requester", "push-secret", "name", "--secret-value", "value"]).unwrap();
    let checked = iexec.run_with_wallet(&["requester", "check-secret", "name"]).unwrap();
    assert_eq!(checked["isSet"], true);

    iexec.run_with_wallet(&["result", "generate-encryption-keypair", "--force"]).unwrap();
    let pushed = iexec.run_with_wallet(&["result", "push-encryption-key"]).unwrap();
    assert_eq!((&pushed["isPushed"], &pushed["isUpdated"]), (&json!(true), &json!(false)));
    assert_refused(iexec.run_with_wallet(&["result", "push-encryption-key"]), "already exists");
    iexec.run_with_wallet(&["result", "generate-encryption-keypair", "--force"]).unwrap();
    let updated = iexec.run_with_wallet(&["result", "push-encryption-key", "--force-update"]).unwrap();
    assert_eq!(updated["isUpdated"], true);
    assert_eq!(iexec.run_with_wallet(&["result", "check-encryption-key"]).unwrap()["isEncryptionKeySet"], true);

    let other_folder = tempfile::tempdir().unwrap();
    let stranger = command_line(&stage, other_folder.path(), 4);
    let refused = stranger.run_with_wallet(&["app", "push-secret", &app, "--secret-value", "value"]);
    assert_refused(refused, "is not allowed to set secret");
}
