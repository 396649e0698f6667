//! `secret list` shows what was pushed from here, and where.

use serde_json::{Value, json};

use crate::home::{ADDRESS, ASSET, CANARY, Home, mode};
use crate::stage::nobody;
use crate::stand_in_sms::StandInSms;

const RECORD: &str = "data/strongroom/pushed-secrets.json";
const PUBLIC_KEY: &str = include_str!("../../testdata/result-key.pub.pem");

/// Kind, name and SMS of each secret of `secret list --json`, and whether it is there.
fn rows(answer: &Value) -> Vec<(String, String, String, Option<bool>)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().trim_end_matches('/').to_owned();
    let secrets = answer["secrets"].as_array().unwrap().iter();
    secrets.map(|one| (text(&one["kind"]), text(&one["name"]), text(&one["sms"]), one["exists"].as_bool())).collect()
}

fn row(kind: &str, name: &str, sms: &str, exists: Option<bool>) -> (String, String, String, Option<bool>) {
    (kind.to_owned(), name.to_owned(), sms.to_owned(), exists)
}

fn list(home: &Home, more: &[&str], code: i32) -> Value {
    home.run(&[&["secret", "list", "--json"], more].concat()).ends_with(code).json()
}

#[test]
fn every_kind_that_was_pushed_is_listed_with_its_sms() {
    let sms = StandInSms::start().owned(ASSET, ADDRESS);
    let home = Home::ready_for(&sms);
    let key = home.write("key.pem", PUBLIC_KEY);
    home.sign(CANARY, &["app", "push-secret", ASSET]).ends_with(0);
    home.sign(CANARY, &["dataset", "push-secret", ASSET]).ends_with(0);
    home.sign(CANARY, &["requester", "push-secret", "api-token"]).ends_with(0);
    home.sign("", &["result", "push-encryption-key", "--public-key", &key]).ends_with(0);
    let url = sms.url();
    let expected = [
        row("account", "iexec-result-encryption-public-key", &url, Some(true)),
        row("app", "", &url, Some(true)),
        row("dataset", "", &url, Some(true)),
        row("requester", "api-token", &url, Some(true)),
    ];
    let answer = list(&home, &[], 0);
    assert_eq!(rows(&answer), expected);
    assert_eq!(answer["secrets"][3]["address"], ADDRESS);
    let shown = home.run(&["secret", "list"]);
    let line = format!("there      the secret api-token of requester {ADDRESS} at {url}/\n");
    assert!(shown.ends_with(0).stdout.contains(&line), "{shown:?}");
    // What is kept for it is for the user alone, and says nothing about the secrets themselves.
    assert_eq!(mode(&home.path(RECORD)), 0o600);
    assert!(home.files_with(CANARY.as_bytes()).is_empty());
    let kept: Value = serde_json::from_slice(&std::fs::read(home.path(RECORD)).unwrap()).unwrap();
    let row = json!({ "kind": "requester", "address": ADDRESS, "name": "api-token", "sms": format!("{url}/"),
        "chain": "devnet", "chain_id": 65_535 });
    assert_eq!(kept["secrets"][2], row);
}

#[test]
fn what_was_pushed_to_two_services_is_asked_of_both() {
    let (sms, other) = (StandInSms::start(), StandInSms::start());
    let home = Home::ready_for(&sms);
    home.sign(CANARY, &["requester", "push-secret", "both"]).ends_with(0);
    home.sign(CANARY, &["requester", "push-secret", "both", "--sms", &other.url()]).ends_with(0);
    home.sign(CANARY, &["requester", "push-secret", "there", "--sms", &other.url()]).ends_with(0);
    let key = |sms: &str| row("account", "iexec-result-encryption-public-key", sms, Some(false));
    let (here, there) = (sms.url(), other.url());
    let all = [
        key(&here),
        row("requester", "both", &here, Some(true)),
        row("requester", "both", &there, Some(true)),
        row("requester", "there", &there, Some(true)),
    ];
    assert_eq!(rows(&list(&home, &[], 0)), all);
    // Whoever names an SMS or a network means that one.
    assert_eq!(rows(&list(&home, &["--sms", &there], 0)), [&[key(&there)], &all[2..]].concat());
    assert_eq!(rows(&list(&home, &["--chain", "devnet"], 0)), all[..2]);
}

#[test]
fn a_secret_that_is_gone_is_not_there_and_one_that_nobody_can_ask_for_is_unknown() {
    let sms = StandInSms::start();
    let home = Home::ready_for(&sms);
    home.sign(CANARY, &["requester", "push-secret", "gone"]).ends_with(0);
    let other = StandInSms::start();
    let closed = other.url();
    home.sign(CANARY, &["requester", "push-secret", "far", "--sms", &closed]).ends_with(0);
    drop(other);
    sms.forget(&format!("/requesters/{ADDRESS}/secrets/gone"));
    let answer = list(&home, &[], 1);
    let expected = [row("requester", "gone", &sms.url(), Some(false)), row("requester", "far", &closed, None)];
    assert_eq!(rows(&answer)[1..], expected);
    assert_eq!(answer["troubles"][0]["sms"], format!("{closed}/"));
    let shown = home.run(&["secret", "list"]);
    assert!(
        shown.ends_with(1).stdout.contains(&format!("unknown    the secret far of requester {ADDRESS}")),
        "{shown:?}"
    );
    assert!(shown.stdout.contains("--sms URL"), "{shown:?}");
    // The network's own is the question.
    home.run(&["secret", "list", "--sms", &nobody(), "--json"]).ends_with(1).error();
}

#[test]
fn a_push_counts_also_when_it_cannot_be_remembered() {
    let sms = StandInSms::start();
    let home = Home::ready_for(&sms);
    let record = home.write(RECORD, "{ damaged");
    let answer = home.sign(CANARY, &["requester", "push-secret", "one", "--json"]).ends_with(0).json();
    assert_eq!(answer["pushed"], true);
    let remedy = answer["not_remembered"]["remedy"].as_str().unwrap();
    assert!(remedy.contains(&format!("move {record} away")), "{answer}");
    let shown = home.sign(CANARY, &["requester", "push-secret", "two"]);
    assert!(shown.ends_with(0).stdout.contains(&record), "{shown:?}");
    assert_eq!(sms.stored(&format!("/requesters/{ADDRESS}/secrets/two")).as_deref(), Some(CANARY));
    let error = home.run(&["secret", "list", "--json"]).ends_with(6).error();
    assert!(error["remedy"].as_str().unwrap().contains(&format!("move {record} away")), "{error}");
    assert_eq!(std::fs::read_to_string(&record).unwrap(), "{ damaged", "it is the user's to look at");
    std::fs::remove_file(&record).unwrap();
    list(&home, &[], 0);
}

#[test]
fn what_was_refused_is_not_remembered() {
    let sms = StandInSms::start().owned(ASSET, ASSET);
    let home = Home::ready_for(&sms);
    home.sign(CANARY, &["app", "push-secret", ASSET]).ends_with(3);
    assert_eq!(rows(&list(&home, &[], 0)).len(), 1);
    assert!(!home.path(RECORD).exists());
}
