//! The key for which results are encrypted.

use std::fs;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::home::{ADDRESS, Home, mode};
use crate::stand_in_sms::StandInSms;

const PUSH: [&str; 3] = ["result", "push-encryption-key", "--json"];
const PUBLIC_KEY: &str = include_str!("../../testdata/result-key.pub.pem");

fn target() -> String {
    format!("/secrets/web2?ownerAddress={ADDRESS}&secretName=iexec-result-encryption-public-key")
}

#[test]
fn a_pair_is_made_kept_and_its_public_half_pushed() {
    let sms = StandInSms::start();
    let home = Home::ready_for(&sms);
    home.run(&["result", "check-encryption-key"]).ends_with(4);
    let answer = home.sign("", &PUSH).ends_with(0).json();
    assert_eq!((&answer["pushed"], &answer["updated"]), (&true.into(), &false.into()));
    home.run(&["result", "check-encryption-key"]).ends_with(0);
    home.run(&["result", "check-encryption-key", ADDRESS]).ends_with(0);

    let private = home.path(&format!("data/strongroom/result-keys/{}.1.private.pem", ADDRESS.to_lowercase()));
    assert_eq!(answer["private_key_file"], private.to_str().unwrap());
    assert_eq!((mode(&private), mode(private.parent().unwrap())), (0o600, 0o700));
    assert!(fs::read_to_string(&private).unwrap().starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----\n"));
    let public = fs::read_to_string(answer["public_key_file"].as_str().unwrap()).unwrap();
    assert!(public.starts_with("-----BEGIN PUBLIC KEY-----\n"), "{public}");
    assert_eq!(STANDARD.decode(public.lines().filter(|l| !l.starts_with('-')).collect::<String>()).unwrap().len(), 550);
    assert_eq!(sms.stored(&target()), Some(STANDARD.encode(&public)));

    // The same pair goes to another SMS; no second one is made.
    let other = StandInSms::start();
    let answer = home.sign("", &[&PUSH[..], &["--sms", &other.url()]].concat()).ends_with(0).json();
    assert_eq!(answer["private_key_file"], private.to_str().unwrap());
    assert_eq!(other.stored(&target()), sms.stored(&target()));
}

#[test]
fn an_existing_key_is_replaced_only_on_purpose() {
    let sms = StandInSms::start();
    let home = Home::ready_for(&sms);
    let key = home.write("key.pem", PUBLIC_KEY);
    let push = [&PUSH[..], &["--public-key", &key]].concat();
    home.sign("", &push).ends_with(0);
    let error = home.sign("", &push).ends_with(5).error();
    assert!(error["remedy"].as_str().unwrap().contains("--force-update"), "{error}");
    let before = sms.requests().len();
    assert_eq!(sms.requests()[before - 1].method, "HEAD", "nothing is sent that would be refused");

    fs::write(&key, PUBLIC_KEY.trim_end()).unwrap();
    let answer = home.sign("", &[&push[..], &["--force-update"]].concat()).ends_with(0).json();
    assert_eq!((&answer["updated"], &answer["private_key_file"]), (&true.into(), &serde_json::Value::Null));
    assert_eq!(sms.requests().last().unwrap().method, "PUT");
    assert_eq!(sms.stored(&target()), Some(STANDARD.encode(PUBLIC_KEY.trim_end())));
}

#[test]
fn force_update_also_pushes_a_first_key() {
    let sms = StandInSms::start();
    let home = Home::ready_for(&sms);
    let key = home.write("key.pem", PUBLIC_KEY);
    let answer = home.sign("", &[&PUSH[..], &["--public-key", &key, "--force-update"]].concat()).ends_with(0).json();
    assert_eq!(answer["updated"], false);
    assert_eq!(sms.requests().last().unwrap().method, "POST");
}

#[test]
fn a_replacement_that_is_refused_says_why() {
    let home_and_key = |sms: &StandInSms| {
        let home = Home::ready_for(sms);
        let key = home.write("key.pem", PUBLIC_KEY);
        (home, key)
    };
    for (status, code) in [(404, 4), (409, 3), (401, 3)] {
        let sms = StandInSms::start();
        let (home, key) = home_and_key(&sms);
        sms.next_status(204);
        sms.next_status(status);
        home.sign("", &[&PUSH[..], &["--public-key", &key, "--force-update"]].concat()).ends_with(code).error();
    }
}

#[test]
fn what_is_no_rsa_public_key_is_not_pushed() {
    let sms = StandInSms::start();
    let home = Home::ready_for(&sms);
    let key = home.write("key.pem", "-----BEGIN PUBLIC KEY-----\nMFwwDQYJ\n-----END PUBLIC KEY-----");
    home.sign("", &[&PUSH[..], &["--public-key", &key]].concat()).ends_with(6).error();
    home.sign("", &[&PUSH[..], &["--public-key", "no-such-file"]].concat()).ends_with(6).error();
    assert_eq!(sms.requests().len(), 0);
}
