//! The stock SDK keeps and checks secrets in our service, over the real contracts.

mod support;

use serde_json::{Value, json};
use strongroom_devnet::sdk::SdkVersion;
use support::stage::{Stage, assert_refused};

const VERSIONS: [SdkVersion; 2] = [SdkVersion::V9, SdkVersion::V8];

/// Two keys for results, as the SDK accepts them: it does not look inside.
const RESULT_KEY: &str = "-----BEGIN PUBLIC KEY-----\none\n-----END PUBLIC KEY-----";
const OTHER_RESULT_KEY: &str = "-----BEGIN PUBLIC KEY-----\ntwo\n-----END PUBLIC KEY-----";

#[test]
fn an_app_secret_is_pushed_once_by_the_owner_of_the_app_and_by_nobody_else() {
    let stage = Stage::shared();
    for version in VERSIONS {
        let (owner, stranger) = (stage.person(), stage.person());
        let mut session = stage.session(version, &owner);
        let app = session.deploy_app("app", Value::Null).unwrap();
        assert!(!session.has_app_secret(app).unwrap());
        session.use_wallet(stranger.clone());
        assert_refused(session.push_app_secret(app, "value"), "is not allowed to set secret");
        session.use_wallet(owner);
        assert!(!session.has_app_secret(app).unwrap());
        session.push_app_secret(app, "a value with UTF-8: é ∑").unwrap();
        assert!(session.has_app_secret(app).unwrap());
        assert_refused(session.push_app_secret(app, "another value"), "Secret already exists");
        session.use_wallet(stranger);
        assert_refused(session.push_app_secret(app, "value"), "is not allowed to set secret");
    }
}

#[test]
fn a_dataset_secret_is_pushed_once_by_the_owner_of_the_dataset_and_by_nobody_else() {
    let stage = Stage::shared();
    for version in VERSIONS {
        let (owner, stranger) = (stage.person(), stage.person());
        let mut session = stage.session(version, &owner);
        let dataset = session.deploy_dataset("dataset").unwrap();
        assert!(!session.has_dataset_secret(dataset).unwrap());
        session.use_wallet(stranger);
        assert_refused(session.push_dataset_secret(dataset, "key"), "is not allowed to set secret");
        session.use_wallet(owner);
        session.push_dataset_secret(dataset, "key").unwrap();
        assert!(session.has_dataset_secret(dataset).unwrap());
        assert_refused(session.push_dataset_secret(dataset, "other key"), "Secret already exists");
    }
}

#[test]
fn a_requester_secret_is_pushed_once_under_each_name() {
    let stage = Stage::shared();
    for version in VERSIONS {
        let (requester, other) = (stage.person(), stage.person());
        let mut session = stage.session(version, &requester);
        assert!(!session.has_requester_secret(requester.address(), "my-key").unwrap());
        session.push_requester_secret("my-key", "value").unwrap();
        assert!(session.has_requester_secret(requester.address(), "my-key").unwrap());
        assert!(!session.has_requester_secret(requester.address(), "other-key").unwrap());
        assert!(!session.has_requester_secret(other.address(), "my-key").unwrap());
        assert_refused(session.push_requester_secret("my-key", "other"), "already exists");
        session.push_requester_secret("other-key", "value").unwrap();
    }
}

#[test]
fn a_key_for_results_is_replaced_only_when_asked_and_never_by_an_older_one() {
    let stage = Stage::shared();
    for version in VERSIONS {
        let account = stage.person();
        let mut session = stage.session(version, &account);
        assert!(!session.has_result_key(account.address()).unwrap());
        assert!(!session.push_result_key(RESULT_KEY, false).unwrap());
        assert!(session.has_result_key(account.address()).unwrap());
        assert_refused(session.push_result_key(OTHER_RESULT_KEY, false), "already exists");
        assert!(session.push_result_key(OTHER_RESULT_KEY, true).unwrap());
        // The same signature again would bring the first key back.
        assert_refused(session.push_result_key(RESULT_KEY, true), "SMS answered with unexpected status");
    }
}

#[test]
fn who_buys_an_asset_pushes_its_secret_and_who_sold_it_does_not_any_more() {
    let stage = Stage::shared();
    for version in VERSIONS {
        let (seller, buyer) = (stage.person(), stage.person());
        let mut session = stage.session(version, &seller);
        let app = session.deploy_app("sold-app", Value::Null).unwrap();
        let dataset = session.deploy_dataset("sold-dataset").unwrap();
        session.transfer_app(app, buyer.address()).unwrap();
        session.transfer_dataset(dataset, buyer.address()).unwrap();
        session.use_wallet(buyer.clone());
        // The service looks at a new block within 50 ms; each try takes about as long.
        let accepted = (0..100).any(|_| session.push_dataset_secret(dataset, "key").is_ok());
        assert!(accepted, "the new owner is not recognised");
        session.use_wallet(seller);
        assert_refused(session.push_app_secret(app, "value"), "is not allowed to set secret");
        assert!(!session.has_app_secret(app).unwrap());
        session.use_wallet(buyer);
        session.push_app_secret(app, "value").unwrap();
    }
}

#[test]
fn what_one_version_pushes_the_other_sees_also_after_a_restart_of_the_service() {
    let mut stage = Stage::new();
    let owner = stage.person();
    let mut pushing = stage.session(SdkVersion::V9, &owner);
    let app = pushing.deploy_app("app", Value::Null).unwrap();
    let dataset = pushing.deploy_dataset("dataset").unwrap();
    pushing.push_app_secret(app, "value").unwrap();
    pushing.push_dataset_secret(dataset, "key").unwrap();
    pushing.push_requester_secret("name", "value").unwrap();
    pushing.push_result_key(RESULT_KEY, false).unwrap();
    stage.sms.restart().unwrap();
    let mut checking = stage.session(SdkVersion::V8, &owner);
    assert!(checking.has_app_secret(app).unwrap());
    assert!(checking.has_dataset_secret(dataset).unwrap());
    assert!(checking.has_requester_secret(owner.address(), "name").unwrap());
    assert!(checking.has_result_key(owner.address()).unwrap());
    assert_refused(checking.push_app_secret(app, "other"), "Secret already exists");
}

#[test]
fn an_asset_that_is_not_registered_has_no_owner_who_could_push() {
    let stage = Stage::shared();
    // The diamond and the token have an owner() too: the account that deployed them.
    let mut deployer = stage.session(SdkVersion::V9, &stage.network.accounts()[0].signer());
    for contract in [stage.network.deployment().hub, stage.network.deployment().rlc] {
        assert_refused(deployer.push_app_secret(contract, "value"), "is not allowed to set secret");
        assert_refused(deployer.push_dataset_secret(contract, "value"), "is not allowed to set secret");
    }
}

#[test]
fn the_command_line_deploys_pushes_and_checks_every_kind() {
    let stage = Stage::shared();
    let owner = stage.person();
    let (iexec, _folder) = stage.iexec(&owner);
    let checksum = format!("0x{}", "15".repeat(32));
    let app = json!({
        "owner": owner.address(), "name": "cli-app", "type": "DOCKER", "multiaddr": "registry.example/app:1",
        "checksum": checksum,
    });
    let dataset = json!({
        "owner": owner.address(), "name": "cli-dataset", "multiaddr": "https://data.example/d", "checksum": checksum,
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

    let (stranger, _folder) = stage.iexec(&stage.person());
    let refused = stranger.run_with_wallet(&["app", "push-secret", &app, "--secret-value", "value"]);
    assert_refused(refused, "is not allowed to set secret");
}
