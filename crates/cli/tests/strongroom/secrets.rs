//! Pushing and checking the secrets of apps, requesters and datasets.

use serde_json::json;

use crate::home::{ADDRESS, ASSET, CANARY, Home, run_in};
use crate::stand_in_sms::StandInSms;

const DATASET: &str = "0x1234567890123456789012345678901234567890";
const SOMEBODY_ELSE: &str = "0x5050A4F4b3f9338C3472dcC01A87C76A144b3c9c";

/// The vectors were computed with ethers and are what the stock SDK puts on the wire.
#[test]
fn each_kind_is_sent_byte_for_byte_as_stock_clients_send_it() {
    for (arguments, value, target, signature) in [
        (
            ["app", "push-secret", ASSET],
            "app-secret",
            format!("/apps/{ASSET}/secrets"),
            "0xedf0cff6431f1fd6a68143ac3b1b4b6730a2567ab0c01314e7264214c55122eb7becfffdc82d68d927920d06fac782c6c37ef0238d03e7042281cb21c6103ddf1c",
        ),
        (
            ["requester", "push-secret", "my-secret_1"],
            "s3cr3t é",
            format!("/requesters/{ADDRESS}/secrets/my-secret_1"),
            "0x0f04bb3ee51182f0dc5a11d68787bf17927542853f1cbd36f7186ba882751ad4375096b13d2dcb133a721357f97fea9ef8a122e887b33d59f49e5f33b73db6d11b",
        ),
        (
            ["dataset", "push-secret", DATASET],
            "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
            format!("/secrets/web3?secretAddress={DATASET}"),
            "0x0ac3d025e9f66dd10fafb4898917e19a3516553184b351722bede920f8a68df2648f9ecb2c25d6800a7a1388f6ea25c7db68ee2a2db586d6b587acd3db24f7b81b",
        ),
    ] {
        let sms = StandInSms::start().owned(ASSET, ADDRESS).owned(DATASET, ADDRESS);
        let home = Home::ready_for(&sms);
        home.sign(value, &arguments).ends_with(0);
        let requests = sms.requests();
        assert_eq!(requests.len(), 1, "{arguments:?}");
        assert_eq!((requests[0].method.as_str(), &requests[0].target), ("POST", &target));
        assert_eq!(requests[0].body, value.as_bytes());
        assert_eq!(requests[0].headers["authorization"], signature);
        assert_eq!(requests[0].headers["content-type"], "text/plain");
        assert_eq!(sms.stored(&target).as_deref(), Some(value));
    }
}

#[test]
fn a_check_says_by_its_exit_code_whether_the_secret_is_there() {
    let sms = StandInSms::start().owned(ASSET, ADDRESS).owned(DATASET, ADDRESS);
    let home = Home::ready_for(&sms);
    for (kind, what) in [("app", ASSET), ("requester", "name"), ("dataset", DATASET)] {
        assert_eq!(home.run(&[kind, "check-secret", what, "--json"]).ends_with(4).json()["exists"], false);
        home.sign(CANARY, &[kind, "push-secret", what]).ends_with(0);
        assert_eq!(home.run(&[kind, "check-secret", what, "--json"]).ends_with(0).json()["exists"], true);
        assert!(home.run(&[kind, "check-secret", what]).stdout.ends_with("is there.\n"));
    }
}

#[test]
fn another_requesters_secret_can_be_asked_for_without_a_wallet() {
    let sms = StandInSms::start();
    let home = Home::ready_for(&sms);
    std::fs::remove_dir_all(home.wallets()).unwrap();
    home.run(&["requester", "check-secret", "name", SOMEBODY_ELSE]).ends_with(4);
    assert_eq!(sms.requests()[0].target, format!("/requesters/{SOMEBODY_ELSE}/secrets/name"));
}

#[test]
fn the_json_answers_are_stable() {
    let sms = StandInSms::start().owned(ASSET, ADDRESS);
    let home = Home::ready_for(&sms);
    let about = |name| json!({ "chain": "devnet", "chain_id": 65_535, "sms": format!("{}/", sms.url()), "name": name });
    let with = |mut object: serde_json::Value, more: serde_json::Value| {
        object.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        object
    };
    let pushed = json!({ "pushed": true, "updated": false, "wallet": ADDRESS });
    let app = with(about(None::<&str>), json!({ "kind": "app", "address": ASSET }));
    let requester = with(about(Some("n")), json!({ "kind": "requester", "address": ADDRESS }));
    let answer = home.sign(CANARY, &["app", "push-secret", ASSET, "--json"]).ends_with(0).json();
    assert_eq!(answer, with(app.clone(), pushed.clone()));
    let answer = home.sign(CANARY, &["requester", "push-secret", "n", "--json"]).ends_with(0).json();
    assert_eq!(answer, with(requester, pushed));
    let answer = home.run(&["app", "check-secret", ASSET, "--json"]).ends_with(0).json();
    assert_eq!(answer, with(app, json!({ "exists": true })));
}

#[test]
fn a_secret_that_is_there_is_not_replaced() {
    let sms = StandInSms::start().owned(ASSET, ADDRESS);
    let home = Home::ready_for(&sms);
    home.sign("first", &["app", "push-secret", ASSET]).ends_with(0);
    let error = home.sign(CANARY, &["app", "push-secret", ASSET, "--json"]).ends_with(5).error();
    assert_eq!(error["code"], "already_exists");
    assert_eq!(error["exit"], 5);
    assert_eq!(sms.stored(&format!("/apps/{ASSET}/secrets")).as_deref(), Some("first"));
}

#[test]
fn who_is_not_the_owner_is_refused_and_told_who_may() {
    let sms = StandInSms::start().owned(ASSET, SOMEBODY_ELSE);
    let home = Home::ready_for(&sms);
    for kind in ["app", "dataset"] {
        let error = home.sign(CANARY, &[kind, "push-secret", ASSET, "--json"]).ends_with(3).error();
        assert_eq!(error["code"], "refused");
        assert!(error["message"].as_str().unwrap().contains(&format!("the owner of {kind} {ASSET}")), "{error}");
    }
}

#[test]
fn a_file_is_taken_byte_for_byte_and_a_final_line_break_is_pointed_out() {
    let sms = StandInSms::start();
    let home = Home::ready_for(&sms);
    let file = home.write("value", &format!("{CANARY}\n"));
    let kept = home.sign("", &["requester", "push-secret", "kept", "--from-file", &file]);
    assert!(kept.ends_with(0).stderr.contains("ends with a line break"), "{kept:?}");
    let trimmed = home.sign("", &["requester", "push-secret", "trimmed", "--from-file", &file, "--trim"]);
    assert_eq!(trimmed.ends_with(0).stderr, "");
    let quiet = home.sign("", &["requester", "push-secret", "quiet", "--from-file", &file, "-q"]);
    assert_eq!(quiet.ends_with(0).stderr, "");
    let piped =
        home.sign(&format!("{CANARY}\r\n"), &["requester", "push-secret", "piped", "--from-file", "-", "--trim"]);
    piped.ends_with(0);
    for (name, value) in [
        ("kept", format!("{CANARY}\n")),
        ("trimmed", CANARY.to_owned()),
        ("quiet", format!("{CANARY}\n")),
        ("piped", CANARY.to_owned()),
    ] {
        assert_eq!(sms.stored(&format!("/requesters/{ADDRESS}/secrets/{name}")), Some(value), "{name}");
    }
}

#[test]
fn the_largest_secret_passes_and_a_larger_one_is_never_sent() {
    let sms = StandInSms::start();
    let home = Home::ready_for(&sms);
    let largest = "x".repeat(4096 * 1024);
    home.sign(&largest, &["requester", "push-secret", "largest"]).ends_with(0);
    assert_eq!(sms.requests()[0].body.len(), largest.len());
    let error =
        home.sign(&format!("{largest}x"), &["requester", "push-secret", "larger", "--json"]).ends_with(6).error();
    assert!(error["message"].as_str().unwrap().contains("4194304 bytes"), "{error}");
    assert_eq!(sms.requests().len(), 1);
}

#[test]
fn what_is_no_usable_text_is_never_sent() {
    let sms = StandInSms::start();
    let home = Home::ready_for(&sms);
    let password = home.path("password");
    let push = ["requester", "push-secret", "n", "--json", "--password-file", password.to_str().unwrap()];
    for (value, part) in [(&b""[..], "empty"), (b" \n", "empty"), (b"\xff\xfe", "not UTF-8")] {
        let ran = run_in(home.command(env!("CARGO_BIN_EXE_strongroom")).args(push), value);
        let error = ran.ends_with(6).error();
        assert!(error["message"].as_str().unwrap().contains(part), "{error}");
    }
    let missing = home.run(&[&push[..], &["--from-file", "no-such-file"]].concat());
    assert!(missing.ends_with(6).error()["message"].as_str().unwrap().contains("no-such-file"));
    assert_eq!(sms.requests().len(), 0);
}

#[test]
fn a_secret_typed_as_an_argument_is_refused_and_not_repeated() {
    let sms = StandInSms::start();
    let home = Home::ready_for(&sms);
    for arguments in [
        &["app", "push-secret", ASSET, CANARY][..],
        &["app", "push-secret", CANARY, ASSET],
        &["app", "push-secret", ASSET, "--", CANARY],
        &["dataset", "push-secret", ASSET, "--trim", CANARY],
        &["requester", "push-secret", "name", CANARY],
        &["app", "push-secret", ASSET, &format!("--value={CANARY}")],
        &["app", "push-secret", ASSET, &format!("--trim={CANARY}")],
        &["app", "push-secret", ASSET, &format!("-p{CANARY}")],
        &["requester", CANARY, "push-secret"],
    ] {
        home.sign("something else", arguments).ends_with(2);
        home.sign("something else", &[&["--json"], arguments].concat()).ends_with(2).error();
    }
    assert_eq!(sms.requests().len(), 0);
}

#[test]
fn nothing_that_is_pushed_stays_on_disk() {
    let sms = StandInSms::start().owned(ASSET, ADDRESS);
    let home = Home::ready_for(&sms);
    home.sign(CANARY, &["app", "push-secret", ASSET]).ends_with(0);
    home.sign(CANARY, &["app", "push-secret", ASSET]).ends_with(5);
    assert_eq!(home.files_with(CANARY.as_bytes()), Vec::<std::path::PathBuf>::new());
}
