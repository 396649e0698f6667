//! `doctor`, `secret list`, `man`, and projects of the iexec CLI.

use serde_json::json;

use crate::home::{ADDRESS, ASSET, CANARY, Home, PASSWORD, PRIVATE_KEY};
use crate::stage::{APP, HUB, Stage, nobody, text};

#[test]
fn the_doctor_names_a_remedy_for_everything_that_is_wrong() {
    let stage = Stage::new();
    stage.describe(&nobody(), &nobody());
    std::fs::remove_file(stage.home.wallets().join("me.json")).unwrap();
    let answer = stage.run(&["doctor"]).ends_with(1).json();
    let findings = answer["findings"].as_array().unwrap();
    let wrong: Vec<&str> =
        findings.iter().filter(|one| one["ok"] == false).map(|one| one["what"].as_str().unwrap()).collect();
    assert_eq!(wrong, ["wallet", "chain", "market", "gateway"]);
    assert!(findings.iter().filter(|one| one["ok"] == false).all(|one| one["remedy"].is_string()), "{answer}");
    let without = Home::new().run(&["doctor", "--json"]).ends_with(1).json();
    assert_eq!(without["healthy"], false);
}

#[test]
fn the_doctor_finds_a_chain_that_is_another_one() {
    let stage = Stage::new();
    stage.chain.world().chain_id = Some(1);
    let ran = stage.home.run(&["doctor"]);
    assert!(ran.ends_with(1).stdout.contains("WRONG   chain") && ran.stdout.contains("ok      sms"), "{ran:?}");
}

#[test]
fn secrets_are_listed_by_asking_for_each() {
    let stage = Stage::new();
    stage.home.write("deployed.json", &json!({ "app": { "65535": text(APP) } }).to_string());
    stage.home.sign(CANARY, &["requester", "push-secret", "one"]).ends_with(0);
    let answer =
        stage.run(&["secret", "list", "--name", "one", "--name", "two", "--dataset", ASSET]).ends_with(0).json();
    let found: Vec<(String, bool)> = answer["secrets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["kind"].as_str().unwrap().to_owned(), one["exists"].as_bool().unwrap()))
        .collect();
    let kinds: Vec<&str> = found.iter().map(|(kind, _)| kind.as_str()).collect();
    assert_eq!(kinds, ["app", "dataset", "requester", "requester", "account"]);
    assert_eq!(found.iter().map(|(_, exists)| *exists).collect::<Vec<_>>(), [false, false, true, false, false]);
}

#[test]
fn manual_pages_are_there_for_every_command() {
    let home = Home::new();
    assert!(home.run(&["man"]).ends_with(0).stdout.contains(".TH strongroom 1"));
    home.run(&["man", "--folder", "pages"]).ends_with(0);
    for page in ["strongroom.1", "strongroom-task-buy.1", "strongroom-dataset-grant.1"] {
        assert!(home.path("pages").join(page).is_file(), "{page}");
    }
}

#[test]
fn a_project_of_the_iexec_cli_is_understood() {
    let stage = Stage::new();
    let project = Home::new();
    let chain = json!({ "id": "65535", "host": stage.chain.url(), "hub": text(HUB), "sms": stage.sms.url(),
        "iexecGateway": stage.market.url() });
    project.write("chain.json", &json!({ "default": "mine", "chains": { "mine": chain } }).to_string());
    let keystore = include_str!("../../../keystore/testdata/keystores/ethers-small.json");
    project.write("UTC--2026-01-31T12-00-00.000000000Z--1a642f0e3c3af545e7acbd38b07251b3990914f1", keystore);
    let answer = project.run(&["account", "balance", "--json"]).ends_with(0).json();
    assert_eq!((&answer["account"], &answer["chain"]), (&ADDRESS.into(), &"mine".into()));
    project.run(&["order", "book", "workerpool", "--chain", "mine"]).ends_with(0);
    project.run(&["account", "balance", "--keystore", "local"]).ends_with(0);
    project.write("chain.json", "{");
    project.run(&["account", "balance", "--json"]).ends_with(6).error();
}

#[test]
fn an_unencrypted_wallet_of_the_iexec_cli_is_imported_and_not_used_as_it_is() {
    let home = Home::new();
    home.write("wallet.json", &json!({ "privateKey": format!("0x{PRIVATE_KEY}"), "address": ADDRESS }).to_string());
    let error = home.run(&["wallet", "show", "--json"]).ends_with(4).error();
    assert!(error["remedy"].as_str().unwrap().contains("--from-file wallet.json"), "{error}");
    home.sign("", &["wallet", "import", "mine", "--from-file", "wallet.json", "--scrypt-n", "1024"]).ends_with(0);
    assert_eq!(home.run(&["wallet", "show", "--json"]).ends_with(0).json()["wallet"]["address"], ADDRESS);
    std::fs::remove_file(home.path("wallet.json")).unwrap();
    assert!(home.files_with(PRIVATE_KEY.as_bytes()).is_empty());
    assert_eq!(home.files_with(PASSWORD.as_bytes()), [home.path("password")]);
}

#[test]
fn new_apps_are_written_and_never_over_others() {
    let home = Home::new();
    for template in ["python", "node", "rust"] {
        let answer = home.run(&["app", "init", template, "--template", template, "--json"]).ends_with(0).json();
        assert!(answer["files"].to_string().contains("Dockerfile"));
        assert!(home.path(template).join("Dockerfile").is_file());
        home.run(&["app", "init", template]).ends_with(5);
    }
}
