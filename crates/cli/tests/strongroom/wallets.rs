//! Making, importing and choosing wallets.

use std::fs;

use serde_json::Value;

use crate::home::{ADDRESS, ASSET, CANARY, Home, PASSWORD, PRIVATE_KEY, mode, run_in};
use crate::stand_in_sms::StandInSms;

const CHEAP: [&str; 2] = ["--scrypt-n", "1024"];

#[test]
fn a_new_wallet_is_a_version_3_file_for_its_owner_alone() {
    let home = Home::new();
    let answer = home.sign("", &["wallet", "create", "alice", "--json"]).ends_with(0).json();
    let file = home.wallets().join("alice.json");
    assert_eq!(answer["wallet"]["file"], file.to_str().unwrap());
    assert_eq!((mode(&file), mode(&home.wallets())), (0o600, 0o700));

    let written: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    let hex_of = |value: &Value, digits| {
        let text = value.as_str().unwrap();
        assert!(text.len() == digits && text.bytes().all(|b| b.is_ascii_hexdigit()), "{text}");
    };
    assert_eq!(written["version"], 3);
    hex_of(&written["address"], 40);
    assert_eq!(answer["wallet"]["address"].as_str().unwrap()[2..].to_lowercase(), written["address"].as_str().unwrap());
    let crypto = &written["crypto"];
    assert_eq!((crypto["cipher"].as_str(), crypto["kdf"].as_str()), (Some("aes-128-ctr"), Some("scrypt")));
    hex_of(&crypto["cipherparams"]["iv"], 32);
    hex_of(&crypto["ciphertext"], 64);
    hex_of(&crypto["mac"], 64);
    let kdf = &crypto["kdfparams"];
    hex_of(&kdf["salt"], 64);
    assert_eq!([&kdf["n"], &kdf["r"], &kdf["p"], &kdf["dklen"]], [131_072, 8, 1, 32]);
}

#[test]
fn two_wallets_share_nothing() {
    let home = Home::new();
    for name in ["a", "b"] {
        home.sign("", &[&["wallet", "create", name][..], &CHEAP].concat()).ends_with(0);
    }
    let read = |name: &str| -> Value {
        serde_json::from_slice(&fs::read(home.wallets().join(format!("{name}.json"))).unwrap()).unwrap()
    };
    let (a, b) = (read("a"), read("b"));
    for pointer in ["/address", "/id", "/crypto/cipherparams/iv", "/crypto/kdfparams/salt"] {
        assert_ne!(a.pointer(pointer).unwrap(), b.pointer(pointer).unwrap(), "{pointer}");
    }
}

#[test]
fn an_existing_wallet_is_never_overwritten() {
    let home = Home::new();
    home.sign("", &[&["wallet", "create", "a"][..], &CHEAP].concat()).ends_with(0);
    let before = fs::read(home.wallets().join("a.json")).unwrap();
    for command in ["create", "import"] {
        let ran = home.sign(PRIVATE_KEY, &[&["wallet", command, "a", "--json"][..], &CHEAP].concat());
        assert_eq!(ran.ends_with(5).error()["code"], "already_exists");
    }
    assert_eq!(fs::read(home.wallets().join("a.json")).unwrap(), before);
}

#[test]
fn a_private_key_is_imported_from_a_pipe_or_a_file() {
    let home = Home::new();
    let file = home.write("key", &format!("0x{PRIVATE_KEY}\n"));
    for (name, input, from) in [("a", PRIVATE_KEY, "-"), ("b", "", file.as_str())] {
        let import = ["wallet", "import", name, "--from-file", from, "--json"];
        let answer = home.sign(input, &[&import[..], &CHEAP].concat()).ends_with(0).json();
        assert_eq!(answer["wallet"]["address"], ADDRESS);
    }
    fs::remove_file(file).unwrap();
    assert_eq!(home.files_with(PRIVATE_KEY.as_bytes()), Vec::<std::path::PathBuf>::new());
}

#[test]
fn a_wallet_file_of_ethers_is_imported_under_its_password() {
    let sms = StandInSms::start().owned(ASSET, ADDRESS);
    let home = Home::ready_for(&sms);
    let theirs = home.write("theirs", include_str!("../../../keystore/testdata/keystores/ethers-standard.json"));
    home.sign("", &[&["wallet", "import", "mine", "--from-file", &theirs][..], &CHEAP].concat()).ends_with(0);
    home.sign(CANARY, &["app", "push-secret", ASSET, "--wallet", "mine"]).ends_with(0);
    let wrong = home.write("wrong", "wrong");
    let ran = home.run(&["wallet", "import", "again", "--from-file", &theirs, "--password-file", &wrong, "--json"]);
    assert_eq!(ran.ends_with(7).error()["code"], "locked");
}

#[test]
fn the_wallets_of_geth_and_iexec_are_used_where_they_are() {
    let sms = StandInSms::start().owned(ASSET, ADDRESS);
    let home = Home::ready_for(&sms);
    fs::remove_dir_all(home.wallets()).unwrap();
    let name = "UTC--2026-01-31T12-00-00.000000000Z--1a642f0E3c3aF545E7AcBD38b07251B3990914F1";
    home.write(
        &format!(".ethereum/keystore/{name}"),
        include_str!("../../../keystore/testdata/keystores/ethers-standard.json"),
    );
    let shown = home.run(&["wallet", "show", "--keystore", "ethereum", "--json"]).ends_with(0).json();
    assert_eq!((&shown["wallet"]["name"], &shown["wallet"]["address"]), (&name.into(), &ADDRESS.into()));
    for choice in [name, ADDRESS, &ADDRESS.to_lowercase()] {
        home.sign(CANARY, &["requester", "push-secret", "n", "--keystore", "ethereum", "--wallet", choice, "--json"]);
        assert!(sms.stored(&format!("/requesters/{ADDRESS}/secrets/n")).is_some(), "{choice}");
    }
    // And ours are named so that they find them.
    let created = home.sign("", &[&["wallet", "create", "--keystore", "ethereum", "--json"][..], &CHEAP].concat());
    let created = created.ends_with(0).json();
    let file_name = created["wallet"]["name"].as_str().unwrap();
    let address = created["wallet"]["address"].as_str().unwrap();
    assert!(file_name.starts_with("UTC--20"), "{file_name}");
    assert!(file_name.ends_with(&format!("Z--{}", address[2..].to_lowercase())), "{file_name}");
    assert!(home.path(&format!(".ethereum/keystore/{file_name}")).is_file());
}

#[test]
fn the_wallet_in_use_is_chosen_for_good_or_for_once() {
    let home = Home::new();
    for name in ["a", "b"] {
        home.sign("", &[&["wallet", "create", name][..], &CHEAP].concat()).ends_with(0);
    }
    let unclear = home.run(&["wallet", "show", "--json"]).ends_with(2).error();
    assert!(unclear["remedy"].as_str().unwrap().contains("a, b"), "{unclear}");
    home.run(&["wallet", "use", "c"]).ends_with(4);
    home.run(&["wallet", "use", "b"]).ends_with(0);
    let name = |ran: &crate::home::Ran| ran.ends_with(0).json()["wallet"]["name"].clone();
    assert_eq!(name(&home.run(&["wallet", "show", "--json"])), "b");
    assert_eq!(name(&home.run(&["wallet", "show", "--json", "--wallet", "a"])), "a");
    let mut command = home.command(env!("CARGO_BIN_EXE_strongroom"));
    assert_eq!(name(&run_in(command.args(["wallet", "show", "--json"]).env("STRONGROOM_WALLET", "a"), b"")), "a");
    let listed = home.run(&["wallet", "list", "--json"]).ends_with(0).json();
    let listed: Vec<_> = listed["wallets"].as_array().unwrap().iter().map(|w| (&w["name"], &w["in_use"])).collect();
    assert_eq!(listed, [(&"a".into(), &false.into()), (&"b".into(), &true.into())]);
}

#[test]
fn what_is_no_key_is_not_imported_and_a_key_is_no_argument() {
    let home = Home::new();
    for (text, code) in [("", 6), ("0x1234", 6), ("{}", 6), ("{\"version\":1}", 6), (&"00".repeat(32), 6)] {
        home.sign(text, &["wallet", "import", "a", "--json"]).ends_with(code).error();
    }
    let prefixed = format!("0x{PRIVATE_KEY}");
    for misplaced in [PRIVATE_KEY, &prefixed] {
        home.sign("", &["wallet", "import", misplaced, "--json"]).ends_with(2).error();
        home.sign("", &["wallet", "import", "a", misplaced]).ends_with(2);
        home.sign("", &["wallet", "import", "a", &format!("--key={misplaced}")]).ends_with(2);
    }
    assert!(!home.wallets().exists());
}

#[test]
fn a_password_comes_from_a_file_or_a_pipe_and_is_not_empty() {
    let home = Home::new();
    let create = [&["wallet", "create", "a", "--json"][..], &CHEAP].concat();
    assert_eq!(home.run(&create).ends_with(7).error()["code"], "locked");
    home.run_with("\n", &[&create[..], &["--password-stdin"]].concat()).ends_with(7);
    home.run_with(PASSWORD, &[&create[..], &["--password", PASSWORD]].concat()).ends_with(2);
    home.run_with(&format!("{PASSWORD}\n"), &[&create[..], &["--password-stdin"]].concat()).ends_with(0);
    let file = home.wallets().join("a.json").to_str().unwrap().to_owned();
    home.sign("", &[&["wallet", "import", "b", "--from-file", &file][..], &CHEAP].concat()).ends_with(0);
}

#[test]
fn a_damaged_wallet_says_what_it_is() {
    let home = Home::new();
    home.write("data/strongroom/wallets/old.json", r#"{"version":1}"#);
    let error = home.run(&["wallet", "show", "--wallet", "old", "--json"]).ends_with(6).error();
    assert!(error["causes"][0].as_str().unwrap().contains("version 1"), "{error}");
}
