//! The `strongroom` command keeps and checks secrets over the real contracts, side by side with the stock SDK.

#![allow(clippy::unwrap_used, reason = "the helpers of tests may unwrap like the tests")]

mod support;

use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::Address;
use serde_json::Value;
use strongroom_devnet::home::{ALREADY_EXISTS, Answer, DONE, Home, NOT_FOUND, REFUSED};
use strongroom_devnet::resources::{App, Dataset};
use strongroom_devnet::sdk::SdkVersion;
use support::stage::{Stage, assert_refused};

const VERSIONS: [SdkVersion; 2] = [SdkVersion::V9, SdkVersion::V8];

/// Runs `strongroom` with the wallet of `person`, and `input` as its standard input.
fn strongroom(home: &Home, person: &PrivateKeySigner, command: &[&str], input: &str) -> Answer {
    let wallet = person.address().to_string();
    home.run(&[command, &["--wallet", &wallet]].concat(), input.as_bytes()).unwrap()
}

/// The exit code of a check command.
fn check(home: &Home, command: &[&str]) -> i32 {
    let answer = home.run(command, b"").unwrap();
    assert_eq!(answer.json["exists"], answer.code == DONE, "{answer:?}");
    answer.code
}

fn new_app(stage: &Stage, owner: &PrivateKeySigner, name: &str) -> Address {
    stage.on_chain(async |chain| chain.create_app(owner, &App::named(name)).await).unwrap()
}

fn new_dataset(stage: &Stage, owner: &PrivateKeySigner, name: &str) -> Address {
    stage.on_chain(async |chain| chain.create_dataset(owner, &Dataset::named(name)).await).unwrap()
}

#[test]
fn the_secret_of_an_asset_is_pushed_once_by_its_owner_and_by_nobody_else() {
    let stage = Stage::shared();
    let (owner, stranger) = (stage.person(), stage.person());
    let (home, _folder) = stage.home([&owner, &stranger]);
    let (app, dataset) = (new_app(&stage, &owner, "app"), new_dataset(&stage, &owner, "dataset"));
    for (kind, address) in [("app", app.to_string()), ("dataset", dataset.to_string())] {
        let (push, look) = ([kind, "push-secret", &address], [kind, "check-secret", &address]);
        assert_eq!(check(&home, &look), NOT_FOUND);
        let refused = strongroom(&home, &stranger, &push, "value");
        assert_eq!(refused.code, REFUSED, "{refused:?}");
        assert_eq!(refused.message(), format!("the SMS refuses: this wallet is not the owner of {kind} {address}"));
        assert_eq!(check(&home, &look), NOT_FOUND);
        let pushed = strongroom(&home, &owner, &push, "a value with UTF-8: é ∑");
        assert_eq!((pushed.code, &pushed.json["pushed"]), (DONE, &true.into()), "{pushed:?}");
        assert_eq!(check(&home, &look), DONE);
        assert_eq!(strongroom(&home, &owner, &push, "another value").code, ALREADY_EXISTS);
        assert_eq!(strongroom(&home, &stranger, &push, "value").code, REFUSED);
    }
}

#[test]
fn an_asset_that_is_not_registered_has_no_owner_who_could_push() {
    let stage = Stage::shared();
    let deployer = stage.network.accounts()[0].signer();
    let (home, _folder) = stage.home([&deployer]);
    // It has an owner() too: the account that deployed it.
    let hub = stage.network.deployment().hub.to_string();
    for kind in ["app", "dataset"] {
        assert_eq!(strongroom(&home, &deployer, &[kind, "push-secret", &hub], "value").code, REFUSED);
    }
    // A dataset is no app.
    let dataset = new_dataset(&stage, &stage.person(), "no-app").to_string();
    assert_eq!(strongroom(&home, &deployer, &["app", "push-secret", &dataset], "value").code, REFUSED);
}

#[test]
fn a_requester_secret_is_pushed_once_under_each_name() {
    let stage = Stage::shared();
    let (requester, other) = (stage.person(), stage.person());
    let (home, _folder) = stage.home([&requester, &other]);
    let push = |person: &PrivateKeySigner, name: &str| {
        strongroom(&home, person, &["requester", "push-secret", name], "value").code
    };
    let look = |person: &PrivateKeySigner, name: &str| {
        check(&home, &["requester", "check-secret", name, &person.address().to_string()])
    };
    assert_eq!(look(&requester, "my-key"), NOT_FOUND);
    assert_eq!(push(&requester, "my-key"), DONE);
    assert_eq!(look(&requester, "my-key"), DONE);
    assert_eq!(look(&requester, "my-Key"), NOT_FOUND, "names are case-sensitive");
    assert_eq!(look(&other, "my-key"), NOT_FOUND);
    assert_eq!(push(&requester, "my-key"), ALREADY_EXISTS);
    assert_eq!(push(&requester, "my-Key"), DONE);
    assert_eq!(push(&other, "my-key"), DONE);
}

#[test]
fn a_key_for_results_is_replaced_only_when_asked_and_never_by_an_older_one() {
    let stage = Stage::shared();
    let account = stage.person();
    let (home, _folder) = stage.home([&account]);
    let look = ["result", "check-encryption-key", &account.address().to_string()];
    let push =
        |options: &[&str]| strongroom(&home, &account, &[&["result", "push-encryption-key"], options].concat(), "");
    assert_eq!(check(&home, &look), NOT_FOUND);
    let first = push(&[]);
    assert_eq!((first.code, &first.json["updated"]), (DONE, &Value::Bool(false)), "{first:?}");
    assert_eq!(check(&home, &look), DONE);
    assert_eq!(push(&["--new-pair"]).code, ALREADY_EXISTS);
    let second = push(&["--new-pair", "--force-update"]);
    assert_eq!((second.code, &second.json["updated"]), (DONE, &Value::Bool(true)), "{second:?}");
    // The same signature again would bring the first key back.
    let replayed = push(&["--public-key", first.json["public_key_file"].as_str().unwrap(), "--force-update"]);
    assert_eq!(replayed.code, REFUSED, "{replayed:?}");
    // The present key again changes nothing and is no error.
    let present = second.json["public_key_file"].as_str().unwrap();
    assert_eq!(push(&["--public-key", present, "--force-update"]).code, DONE);
}

#[test]
fn who_buys_an_asset_pushes_its_secret_and_who_sold_it_does_not_any_more() {
    let stage = Stage::shared();
    let (seller, buyer) = (stage.person(), stage.person());
    let (home, _folder) = stage.home([&seller, &buyer]);
    let (app, dataset) = (new_app(&stage, &seller, "sold-app"), new_dataset(&stage, &seller, "sold-dataset"));
    let registries = stage.network.deployment();
    for (kind, registry, asset) in
        [("app", registries.app_registry, app), ("dataset", registries.dataset_registry, dataset)]
    {
        let push = |person: &PrivateKeySigner| {
            strongroom(&home, person, &[kind, "push-secret", &asset.to_string()], "value").code
        };
        assert_eq!(push(&buyer), REFUSED, "not bought yet");
        stage.on_chain(async |chain| chain.transfer(&seller, registry, asset, buyer.address()).await).unwrap();
        // Before it denies anything, the service looks at the newest block.
        assert_eq!(push(&buyer), DONE);
        assert_eq!(push(&seller), REFUSED);
        assert_eq!(push(&buyer), ALREADY_EXISTS);
    }
}

#[test]
fn what_strongroom_pushes_every_stock_version_sees() {
    let stage = Stage::shared();
    let owner = stage.person();
    let (home, _folder) = stage.home([&owner]);
    let (app, dataset) = (new_app(&stage, &owner, "app"), new_dataset(&stage, &owner, "dataset"));
    for command in [
        ["app", "push-secret", &app.to_string()].as_slice(),
        &["dataset", "push-secret", &dataset.to_string()],
        &["requester", "push-secret", "name"],
        &["result", "push-encryption-key"],
    ] {
        assert_eq!(strongroom(&home, &owner, command, "value").code, DONE);
    }
    for version in VERSIONS {
        let mut session = stage.session(version, &owner);
        assert!(session.has_app_secret(app).unwrap());
        assert!(session.has_dataset_secret(dataset).unwrap());
        assert!(session.has_requester_secret(owner.address(), "name").unwrap());
        assert!(session.has_result_key(owner.address()).unwrap());
        assert_refused(session.push_app_secret(app, "other"), "Secret already exists");
        assert_refused(session.push_dataset_secret(dataset, "other"), "Secret already exists");
        assert_refused(session.push_requester_secret("name", "other"), "already exists");
        assert_refused(session.push_result_key("other", false), "already exists");
    }
}

#[test]
fn what_each_stock_version_pushes_strongroom_sees() {
    let stage = Stage::shared();
    for version in VERSIONS {
        let owner = stage.person();
        let (home, _folder) = stage.home([&owner]);
        let mut session = stage.session(version, &owner);
        let app = session.deploy_app("app", Value::Null).unwrap();
        let dataset = session.deploy_dataset("dataset").unwrap();
        session.push_app_secret(app, "value").unwrap();
        session.push_dataset_secret(dataset, "value").unwrap();
        session.push_requester_secret("name", "value").unwrap();
        session.push_result_key("-----BEGIN PUBLIC KEY-----\none\n-----END PUBLIC KEY-----", false).unwrap();

        let (app, dataset) = (app.to_string(), dataset.to_string());
        let account = owner.address().to_string();
        assert_eq!(check(&home, &["app", "check-secret", &app]), DONE);
        assert_eq!(check(&home, &["dataset", "check-secret", &dataset]), DONE);
        assert_eq!(check(&home, &["requester", "check-secret", "name", &account]), DONE);
        assert_eq!(check(&home, &["result", "check-encryption-key", &account]), DONE);
        for command in [
            ["app", "push-secret", &app].as_slice(),
            &["dataset", "push-secret", &dataset],
            &["requester", "push-secret", "name"],
            &["result", "push-encryption-key"],
        ] {
            assert_eq!(strongroom(&home, &owner, command, "other").code, ALREADY_EXISTS);
        }
    }
}

#[test]
fn strongroom_signs_with_a_wallet_of_the_stock_command_line() {
    let stage = Stage::shared();
    let owner = stage.person();
    let app = new_app(&stage, &owner, "app").to_string();
    let (iexec, _stock_folder) = stage.iexec(&owner);
    let (home, _folder) = stage.home([]);
    let password = home.folder().join("stock-password");
    std::fs::write(&password, strongroom_devnet::sdk::KEYSTORE_PASSWORD).unwrap();
    let (keystore, account) = (iexec.keystore(), owner.address().to_string());
    let pushed = home.run(
        &[
            "app",
            "push-secret",
            &app,
            "--keystore",
            keystore.to_str().unwrap(),
            "--wallet",
            &account,
            "--password-file",
            password.to_str().unwrap(),
        ],
        b"value",
    );
    assert_eq!(pushed.unwrap().code, DONE);
    assert_eq!(iexec.run(&["app", "check-secret", &app]).unwrap()["isSecretSet"], true);
}
