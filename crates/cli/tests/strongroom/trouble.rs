//! When the SMS is busy, broken, absent or not an SMS, and when the command line or the settings are wrong.

use std::net::TcpListener;

use crate::home::{ADDRESS, ASSET, CANARY, Home};
use crate::stand_in_sms::{Scripted, StandInSms};

const PUSH: [&str; 4] = ["app", "push-secret", ASSET, "--json"];

fn busy(status: u16, retry_after: &'static str) -> Scripted {
    Scripted::Status(status, retry_after, String::new())
}

#[test]
fn every_answer_of_an_sms_has_its_exit_code() {
    for (status, code, word) in [
        (200, 1, "trouble"),
        (301, 1, "trouble"),
        (307, 1, "trouble"),
        (400, 6, "invalid"),
        (401, 3, "refused"),
        (403, 3, "refused"),
        (404, 1, "trouble"),
        (405, 1, "trouble"),
        (409, 5, "already_exists"),
        (413, 6, "invalid"),
        (418, 1, "trouble"),
        (500, 1, "trouble"),
        (502, 1, "trouble"),
    ] {
        let sms = StandInSms::start();
        let home = Home::ready_for(&sms);
        sms.next(Scripted::Status(status, "location: /elsewhere\r\n", String::new()));
        let error = home.sign(CANARY, &PUSH).ends_with(code).error();
        assert_eq!((error["code"].as_str().unwrap(), error["exit"].as_i64()), (word, Some(code.into())), "{status}");
        assert!(error["remedy"].is_string(), "{error}");
        assert_eq!(sms.requests().len(), 1, "{status}: asked once, and nowhere else");
    }
}

#[test]
fn a_check_says_yes_and_no_only_when_it_was_told_so() {
    for (status, code) in [(200, 1), (302, 1), (400, 6), (401, 3), (405, 1), (500, 1)] {
        let sms = StandInSms::start();
        let home = Home::ready_for(&sms);
        sms.next_status(status);
        home.run(&["app", "check-secret", ASSET, "--json"]).ends_with(code).error();
    }
}

#[test]
fn what_an_sms_writes_is_never_shown() {
    for status in [400, 401, 409, 413, 500] {
        let sms = StandInSms::start();
        let home = Home::ready_for(&sms);
        sms.next(Scripted::Status(status, "", format!("{{\"error\":[\"you sent {CANARY}\"]}}")));
        let ran = home.sign(CANARY, &["app", "push-secret", ASSET]);
        assert!(!ran.stderr.contains("you sent"), "{ran:?}");
    }
}

#[test]
fn a_busy_sms_is_asked_again_until_it_answers() {
    let sms = StandInSms::start().owned(ASSET, ADDRESS);
    let home = Home::ready_for(&sms);
    sms.next(busy(503, "retry-after: 0\r\n"));
    sms.next(busy(429, "retry-after: 0\r\n"));
    home.sign(CANARY, &PUSH).ends_with(0);
    let bodies: Vec<_> = sms.requests().into_iter().map(|request| request.body).collect();
    assert_eq!(bodies, [CANARY.as_bytes(); 3], "the same secret each time");
}

#[test]
fn patience_with_a_busy_sms_ends() {
    let sms = StandInSms::start();
    let home = Home::ready_for(&sms);
    for _ in 0..3 {
        sms.next(busy(503, "retry-after: 0\r\n"));
    }
    let error = home.sign(CANARY, &[&PUSH[..], &["--retries", "2"]].concat()).ends_with(1).error();
    assert!(error["message"].as_str().unwrap().contains("(status 503)"), "{error}");
    assert_eq!(sms.requests().len(), 3);
}

#[test]
fn an_sms_that_wants_to_be_left_alone_for_long_is_not_asked_again() {
    let sms = StandInSms::start();
    let home = Home::ready_for(&sms);
    sms.next(busy(429, "retry-after: 3600\r\n"));
    home.sign(CANARY, &PUSH).ends_with(1);
    assert_eq!(sms.requests().len(), 1);
}

#[test]
fn a_conflict_after_a_retry_admits_that_the_secret_may_be_ours() {
    let sms = StandInSms::start();
    let home = Home::ready_for(&sms);
    sms.next(busy(503, "retry-after: 0\r\n"));
    sms.next_status(409);
    let error = home.sign(CANARY, &PUSH).ends_with(5).error();
    assert!(error["remedy"].as_str().unwrap().contains("earlier try"), "{error}");
}

#[test]
fn a_broken_connection_leaves_the_question_open_and_says_so() {
    let sms = StandInSms::start();
    let home = Home::ready_for(&sms);
    sms.next(Scripted::HangUp);
    let error = home.sign(CANARY, &PUSH).ends_with(1).error();
    assert!(error["remedy"].as_str().unwrap().contains("may or may not"), "{error}");
    assert_eq!(sms.requests().len(), 1, "a push is not repeated blindly");
}

#[test]
fn an_sms_that_is_not_there_is_trouble_and_not_an_absent_secret() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port(); // free again at once
    let home = Home::ready_for(&StandInSms::start());
    let sms = format!("http://127.0.0.1:{port}");
    let ran = home.run(&["app", "check-secret", ASSET, "--json", "--sms", &sms]);
    let error = ran.ends_with(1).error();
    assert!(error["message"].as_str().unwrap().contains("cannot reach"), "{error}");
    assert!(error["causes"].to_string().contains("refused"), "{error}");
    let ran = home.run(&["app", "check-secret", ASSET, "--sms", &sms]);
    assert!(ran.stderr.starts_with("error: ") && ran.stderr.contains("\n  remedy: "), "{ran:?}");
}

#[test]
fn a_secret_does_not_leave_the_machine_in_the_clear() {
    let home = Home::ready_for(&StandInSms::start());
    for (sms, part) in [
        ("http://sms.example.org", "does not use TLS"),
        ("http://10.0.0.1:13300", "does not use TLS"),
        ("https://sms.example.org/prefix", "without a path"),
        ("ftp://127.0.0.1", "https://"),
    ] {
        let error = home.sign(CANARY, &[&PUSH[..], &["--sms", sms]].concat()).ends_with(6).error();
        assert!(error["message"].as_str().unwrap().contains(part), "{error}");
    }
}

#[test]
fn a_locked_wallet_sends_nothing() {
    let sms = StandInSms::start();
    let home = Home::ready_for(&sms);
    let wrong = home.write("wrong", "wrong");
    let ran = home.run_with(CANARY, &[&PUSH[..], &["--password-file", &wrong]].concat());
    let error = ran.ends_with(7).error();
    assert_eq!(error["code"], "locked");
    assert_eq!(error["causes"][0], "the password does not open this wallet");
    let none = home.run_with(CANARY, &PUSH).ends_with(7).error();
    assert!(none["remedy"].as_str().unwrap().contains("--password-file"), "{none}");
    assert_eq!(sms.requests().len(), 0);
}

#[test]
fn standard_input_cannot_hold_both_the_secret_and_the_password() {
    let sms = StandInSms::start();
    let home = Home::ready_for(&sms);
    let error = home.run_with(CANARY, &[&PUSH[..], &["--password-stdin"]].concat()).ends_with(2).error();
    assert!(error["remedy"].as_str().unwrap().contains("--from-file"), "{error}");
    let file = home.write("value", CANARY);
    let ran = home.run_with(
        &format!("{}\n", crate::home::PASSWORD),
        &["requester", "push-secret", "n", "--password-stdin", "--from-file", &file],
    );
    ran.ends_with(0);
}

#[test]
fn without_a_network_or_a_wallet_nothing_is_guessed() {
    let home = Home::new();
    let error = home.sign(CANARY, &PUSH).ends_with(2).error();
    assert!(error["remedy"].as_str().unwrap().contains("chain use"), "{error}");
    let error = home.sign(CANARY, &[&PUSH[..], &["--chain", "devnet"]].concat()).ends_with(4).error();
    assert!(error["remedy"].as_str().unwrap().contains("wallet create"), "{error}");
    let error = home.sign(CANARY, &[&PUSH[..], &["--chain", "elsewhere"]].concat()).ends_with(4).error();
    assert!(error["remedy"].as_str().unwrap().contains("arbitrum-one, arbitrum-sepolia, devnet"), "{error}");
}

#[test]
fn a_wrong_command_line_is_told_in_json_too() {
    let home = Home::new();
    for arguments in [
        &["--json"][..],
        &["app", "--json"],
        &["no-such-command", "--json"],
        &["app", "check-secret", "0x12", "--json"],
    ] {
        let error = home.run(arguments).ends_with(2).error();
        assert_eq!(error["code"], "usage", "{arguments:?}");
    }
    assert!(home.run(&["app", "check-secret", "0x12"]).ends_with(2).stderr.contains("40 hex digits"));
}

#[test]
fn a_wrong_settings_file_is_told_with_its_line() {
    let home = Home::new();
    home.write("config/strongroom/config.toml", "chain = 'devnet'\nwalet = 'me'\n");
    let error = home.run(&["chain", "list", "--json"]).ends_with(6).error();
    let cause = error["causes"][0].as_str().unwrap();
    assert!(cause.contains("line 2") && cause.contains("walet"), "{error}");
}

#[test]
fn an_answer_that_nobody_can_read_is_not_a_success() {
    let home = Home::new();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let status = home.command(env!("CARGO_BIN_EXE_strongroom")).args(["chain", "list"]).stdout(full).status().unwrap();
    assert_eq!(status.code(), Some(1));
}
