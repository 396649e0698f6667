//! Datasets: encrypted and decrypted here, granted and revoked through the order book.

use std::fs;

use alloy_primitives::U256;
use strongroom_content::cid::{AddAs, Cid};
use strongroom_poco::orders::DatasetOrder;

use crate::home::{CANARY, Home, mode};
use crate::stage::{APP, DATASET, Stage, me, nobody, signed, text};
use crate::stand_in_sms::{Scripted, StandInSms};

#[test]
fn a_file_is_encrypted_where_the_iexec_cli_has_it_and_comes_back() {
    let home = Home::new();
    home.write("data.csv", CANARY);
    let answer = home.run(&["dataset", "encrypt", "data.csv", "--json"]).ends_with(0).json();
    let (file, key) = (home.path("datasets/encrypted/data.csv.enc"), home.path(".secrets/datasets/data.csv.key"));
    assert_eq!((answer["file"].as_str(), answer["key_file"].as_str()), (file.to_str(), key.to_str()));
    assert_eq!((mode(&key), fs::read(&key).unwrap().len()), (0o600, 44));
    let length = fs::metadata(&file).unwrap().len();
    assert_eq!(length, 16 + 32, "an IV and whole blocks");
    assert_eq!(home.files_with(CANARY.as_bytes()), [home.path("data.csv")]);
    home.run(&["dataset", "encrypt", "data.csv"]).ends_with(5);

    let checksum = answer["checksum"].as_str().unwrap();
    let decrypt = ["dataset", "decrypt", "datasets/encrypted/data.csv.enc", "--output", "back", "--checksum", checksum];
    home.run(&decrypt).ends_with(0);
    assert_eq!(fs::read_to_string(home.path("back")).unwrap(), CANARY);
    home.run(&decrypt).ends_with(5);
}

#[test]
fn what_does_not_open_leaves_nothing_behind() {
    let home = Home::new();
    home.write("data.csv", CANARY);
    home.run(&["dataset", "encrypt", "data.csv"]).ends_with(0);
    home.write("other", "another");
    home.run(&["dataset", "encrypt", "other"]).ends_with(0);
    let decrypt = |more: &[&str]| {
        let command = ["dataset", "decrypt", "datasets/encrypted/data.csv.enc", "--output", "back", "--json"];
        home.run(&[&command[..], more].concat())
    };
    decrypt(&["--key-file", ".secrets/datasets/other.key"]).ends_with(3).error();
    decrypt(&["--key-file", "data.csv"]).ends_with(6).error();
    decrypt(&["--key-file", "nothing"]).ends_with(6).error();
    decrypt(&["--checksum", &"00".repeat(32)]).ends_with(3).error();
    assert!(!home.path("back").exists());
}

#[test]
fn what_cannot_be_encrypted_leaves_neither_a_file_nor_a_key() {
    let home = Home::new();
    home.write("folder/data.csv", CANARY);
    let before = home.files().len();
    let encrypt = |more: &[&str]| home.run(&[&["dataset", "encrypt"], more, &["--json"]].concat());
    let error = encrypt(&["folder"]).ends_with(6).error();
    assert!(error["message"].as_str().unwrap().starts_with(&format!("cannot read {}", home.path("folder").display())));
    // No room for the file; none for the key; one name for both.
    encrypt(&["folder/data.csv", "--output", "password/data.enc"]).ends_with(6).error();
    encrypt(&["folder/data.csv", "--key-file", "password/data.key"]).ends_with(6).error();
    encrypt(&["folder/data.csv", "--output", "both", "--key-file", "both"]).ends_with(5).error();
    assert_eq!(home.files().len(), before);
    encrypt(&["folder/data.csv"]).ends_with(0);
    assert_eq!(home.files().len(), before + 2);
}

#[cfg(unix)]
#[test]
fn an_encrypted_file_is_as_readable_as_any_other_and_its_key_is_not() {
    let home = Home::new();
    let plain = home.write("data.csv", CANARY);
    home.run(&["dataset", "encrypt", "data.csv"]).ends_with(0);
    assert_eq!(mode(&home.path("datasets/encrypted/data.csv.enc")), mode(plain.as_ref()));
    assert_eq!(mode(&home.path(".secrets/datasets/data.csv.key")), 0o600);
}

#[test]
fn grants_are_what_the_chain_leaves_of_the_books_orders() {
    let stage = Stage::new();
    let order =
        |volume: u64| signed(DatasetOrder { dataset: DATASET, volume: U256::from(volume), ..DatasetOrder::default() });
    let hash = stage.market.offer(&order(5), 5);
    // By the book it is open; it was signed by an owner of before.
    let stranger = strongroom_protocol::SigningKey::from_bytes(&[9; 32]).unwrap();
    let domain = strongroom_poco::orders::domain(crate::stand_in_chain::CHAIN_ID, crate::stage::HUB);
    stage.market.offer(&strongroom_poco::orders::Order::sign(order(7).order, &domain, &stranger), 7);
    stage.chain.world().consumed.insert(hash, 2);
    let answer = stage.run(&["dataset", "grants", &text(DATASET)]).ends_with(0).json();
    let grants = answer["grants"].as_array().unwrap();
    assert_eq!((grants.len(), &grants[0]["remaining"]), (1, &"3".into()));
}

#[test]
fn only_the_owner_grants_and_revokes() {
    let stage = Stage::new();
    let error = stage.sign(&["dataset", "grant", &text(DATASET), "--app", &text(APP)]).ends_with(3).error();
    assert!(error["remedy"].as_str().unwrap().contains("--wallet"), "{error}");
    let hash = stage.market.offer(&signed(DatasetOrder { dataset: DATASET, ..DatasetOrder::default() }), 1).to_string();
    for order in [&[][..], &["--order", &hash]] {
        let error = stage.sign(&[&["dataset", "revoke", &text(DATASET)], order].concat()).ends_with(3).error();
        assert!(error["message"].as_str().unwrap().contains("belongs to"), "{error}");
    }
    stage.market.withdraw::<DatasetOrder>();
    stage.sign(&["dataset", "revoke", &text(DATASET)]).ends_with(3).error();
    let unknown = text(strongroom_protocol::Address::repeat_byte(0x77));
    stage.sign(&["dataset", "grant", &unknown]).ends_with(4).error();
    stage.sign(&["dataset", "revoke", &unknown]).ends_with(4).error();
}

#[test]
fn grants_that_the_book_does_not_have_are_not_forgotten() {
    let stage = Stage::new();
    stage.chain.world().owners.insert(DATASET, me());
    let revoke = ["dataset", "revoke", &text(DATASET)];
    assert_eq!(stage.sign(&revoke).ends_with(0).json()["revoked"], serde_json::json!([]));
    let told = stage.home.sign("", &revoke);
    assert!(told.ends_with(0).stdout.ends_with("\nstrongroom order cancel dataset --file FILE\n"), "{told:?}");
    let hash = "00".repeat(32);
    let error = stage.sign(&[&revoke[..], &["--order", &hash]].concat()).ends_with(4).error();
    assert!(error["remedy"].as_str().unwrap().contains("strongroom order cancel dataset --file"), "{error}");

    // What is told to be done can be done: it comes as far as to the hub.
    let grant = stage.home.sign("", &["dataset", "grant", &text(DATASET), "--app", &text(APP), "--no-publish"]);
    stage.home.write("grant.json", &grant.ends_with(0).stdout);
    stage.chain.world().refusal = "not now";
    let error = stage.sign(&["order", "cancel", "dataset", "--file", "grant.json"]).ends_with(3).error();
    assert!(error["causes"].to_string().contains("not now"), "{error}");
}

#[test]
fn a_grant_can_be_signed_without_publishing_it() {
    let stage = Stage::new();
    stage.chain.world().owners.insert(DATASET, me());
    let grant = ["dataset", "grant", &text(DATASET), "--app", &text(APP), "--price", "1.5 RLC", "--no-publish"];
    let answer = stage.sign(&grant).ends_with(0).json();
    assert_eq!((&answer["order"]["datasetprice"], &answer["published"]), (&"1500000000".into(), &false.into()));
    assert_eq!(answer["order"]["apprestrict"], text(APP));
    assert!(answer["order"]["tag"].as_str().unwrap().ends_with("01"), "an enclave, unless somebody says otherwise");
}

/// Encrypts the file into `NAME.enc`, its key into `NAME.key`.
fn encrypt(home: &Home, name: &str) {
    let (file, key) = (format!("{name}.enc"), format!("{name}.key"));
    home.run(&["dataset", "encrypt", name, "--output", &file, "--key-file", &key]).ends_with(0);
}

#[test]
fn an_upload_needs_a_node_and_a_location_must_be_one() {
    let stage = Stage::new();
    stage.home.write("file", CANARY);
    encrypt(&stage.home, "file");
    let deploy = ["dataset", "deploy", "--name", "d", "--file", "file.enc"];
    let error = stage.sign(&[&deploy[..], &["--upload"]].concat()).ends_with(6).error();
    assert!(error["remedy"].as_str().unwrap().contains("--ipfs-node"), "{error}");
    for location in ["file", "/ipfs/x", "ftp://example.org/a"] {
        stage.sign(&[&deploy[..], &["--multiaddr", location]].concat()).ends_with(2).error();
    }
    stage.describe(&nobody(), &stage.market.url());
    stage.sign(&[&deploy[..], &["--multiaddr", "https://example.org/a"]].concat()).ends_with(1).error();
}

#[test]
fn what_is_not_encrypted_or_has_another_key_is_neither_uploaded_nor_registered() {
    let (stage, storage) = (Stage::new(), StandInSms::start());
    let services = ["--ipfs-gateway", &storage.url(), "--ipfs-node", &storage.url()];
    stage.describe_with(&stage.chain.url(), &stage.market.url(), &services);
    let home = &stage.home;
    home.write("table", &format!("name,value\n{CANARY},1\n").repeat(16));
    home.write("other", "another");
    encrypt(home, "table");
    encrypt(home, "other");
    assert_eq!(fs::metadata(home.path("table")).unwrap().len() % 16, 0, "the length says nothing");
    let deploy = |words: &[&str]| stage.sign(&[&["dataset", "deploy", "--name", "d"], words].concat());

    for place in [&["--upload"][..], &["--multiaddr", "https://example.org/a"]] {
        for key in [&[][..], &["--push-key", "table.key"]] {
            let error = deploy(&[&["--file", "table"], place, key].concat()).ends_with(6).error();
            assert!(error["remedy"].as_str().unwrap().contains("strongroom dataset encrypt"), "{error}");
        }
        let other = deploy(&[&["--file", "table.enc", "--push-key", "other.key"], place].concat());
        assert!(other.ends_with(3).error()["remedy"].as_str().unwrap().contains("--push-key"), "{other:?}");
    }
    assert!(storage.requests().is_empty());

    // Each of these comes as far as to the node, which has nothing like an upload.
    for good in [&["table", "--unencrypted"][..], &["table.enc"], &["table.enc", "--push-key", "table.key"]] {
        deploy(&[&["--upload", "--file"], good].concat()).ends_with(4).error();
    }
    assert_eq!(storage.requests().len(), 3);
    let both = ["--file", "table.enc", "--upload", "--push-key", "table.key", "--unencrypted"];
    deploy(&both).ends_with(2).error();
}

#[test]
fn an_upload_is_believed_only_when_node_and_gateway_have_the_very_file() {
    let content = "for everybody";
    let cid = Cid::of(content.as_bytes(), AddAs::V0).unwrap().to_string();
    let other = Cid::of(&b"other"[..], AddAs::V0).unwrap().to_string();
    // The node's word, what the gateway has, and how it ends: refused by the contract when all went well before.
    for (named, gateway, code) in [(&cid, 200, 3), (&cid, 404, 4), (&cid, 500, 1), (&other, 200, 1)] {
        let (stage, storage) = (Stage::new(), StandInSms::start());
        let services = ["--ipfs-gateway", &storage.url(), "--ipfs-node", &storage.url()];
        stage.describe_with(&stage.chain.url(), &stage.market.url(), &services);
        stage.home.write("file", content);
        stage.chain.world().refusal = "not now";
        storage.next(Scripted::Status(200, "", serde_json::json!({ "Name": "file", "Hash": named }).to_string()));
        storage.next_status(gateway);
        let deploy = ["dataset", "deploy", "--name", "d", "--file", "file", "--unencrypted", "--upload"];
        let error = stage.sign(&deploy).ends_with(code).error();
        assert!(error["remedy"].is_string(), "{error}");
        let uploaded = &storage.requests()[0];
        assert_eq!((uploaded.method.as_str(), uploaded.target.as_str()), ("POST", "/api/v0/add"));
        assert!(uploaded.body.windows(content.len()).any(|part| part == content.as_bytes()));
    }
}
