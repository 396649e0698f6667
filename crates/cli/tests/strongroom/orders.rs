//! Orders: signed into files, published, looked up, cancelled and matched.

use alloy_primitives::U256;
use serde_json::{Value, json};
use strongroom_poco::orders::AppOrder;

use crate::stage::{APP, POOL, Stage, me, nobody, signed, text};

fn sign_app(stage: &Stage) -> Value {
    stage.chain.world().owners.insert(APP, me());
    stage.sign(&["order", "sign", "app", "--app", &text(APP), "--tag", "tee,tdx"]).ends_with(0).json()
}

#[test]
fn a_signed_order_is_in_the_file_of_the_iexec_cli() {
    let stage = Stage::new();
    let answer = sign_app(&stage);
    let file: Value = serde_json::from_slice(&std::fs::read(stage.home.path("orders.json")).unwrap()).unwrap();
    assert_eq!(file["65535"]["apporder"], answer["order"]);
    assert_eq!(answer["order"]["sign"].as_str().unwrap().len(), 2 + 130);
    let request = ["order", "sign", "request", "--app", &text(APP), "--workerpool", &text(POOL)];
    stage.sign(&request).ends_with(0).json();
    let file: Value = serde_json::from_slice(&std::fs::read(stage.home.path("orders.json")).unwrap()).unwrap();
    assert!(file["65535"]["apporder"].is_object() && file["65535"]["requestorder"].is_object(), "{file}");
}

#[test]
fn only_owners_sign_and_every_kind_names_what_it_is_for() {
    let stage = Stage::new();
    stage.sign(&["order", "sign", "app", "--app", &text(APP)]).ends_with(3).error();
    for kind in ["app", "dataset", "workerpool", "request"] {
        let error = stage.sign(&["order", "sign", kind]).ends_with(2).error();
        assert!(error["message"].as_str().unwrap().contains("ADDRESS"), "{error}");
    }
}

#[test]
fn the_words_of_the_book_are_told_when_it_refuses() {
    let stage = Stage::new();
    sign_app(&stage);
    stage.market.next(403, json!({ "ok": false, "error": "order already published" }));
    let error = stage.sign(&["order", "publish", "app"]).ends_with(3).error();
    assert!(error["message"].as_str().unwrap().contains("order already published"), "{error}");
    assert!(error["remedy"].as_str().unwrap().contains("strongroom order book"), "{error}");
    stage.market.next(502, json!({}));
    stage.sign(&["order", "publish", "app"]).ends_with(1).error();
    let posted: Vec<_> = stage.market.requests().into_iter().filter(|request| request.method == "POST").collect();
    assert_eq!(posted.len(), 2);
    assert!(posted[0].headers["authorization"].starts_with("0x"));
}

#[test]
fn a_book_that_publishes_something_else_is_none() {
    let stage = Stage::new();
    let hash = sign_app(&stage)["order_hash"].clone();
    stage.market.next(200, json!({ "ok": true, "published": { "orderHash": hash } }));
    let published = stage.sign(&["order", "publish", "app"]).ends_with(0).json();
    assert_eq!((&published["order_hash"], &published["published"]), (&hash, &true.into()));
    stage.market.next(200, json!({ "ok": true, "published": { "orderHash": format!("0x{}", "11".repeat(32)) } }));
    stage.sign(&["order", "publish", "app"]).ends_with(1).error();
}

#[test]
fn files_without_an_order_say_so() {
    let stage = Stage::new();
    let error = stage.sign(&["order", "publish", "app"]).ends_with(4).error();
    assert!(error["remedy"].as_str().unwrap().contains("order sign"), "{error}");
    stage.home.write("orders.json", "{");
    stage.sign(&["order", "publish", "app"]).ends_with(6).error();
    stage.home.write("orders.json", r#"{"65535":{"apporder":{"sign":"0x"}}}"#);
    stage.sign(&["order", "publish", "app"]).ends_with(6).error();
    stage.home.write("orders.json", r#"{"1":{"apporder":{}}}"#);
    stage.sign(&["order", "publish", "app"]).ends_with(4).error();
}

#[test]
fn the_book_lists_the_open_orders() {
    let stage = Stage::new();
    let empty = stage.run(&["order", "book", "workerpool"]).ends_with(0).json();
    assert_eq!(empty["orders"], json!([]));
    stage.offer_all(3);
    let listed = stage.run(&["order", "book", "workerpool", "--tag", "tee"]).ends_with(0).json();
    assert_eq!(listed["orders"][0]["remaining"], "3");
    let shown = stage.home.run(&["order", "book", "app", "--app", &text(APP)]);
    assert!(shown.ends_with(0).stdout.contains("100 nRLC  3 of 3 left  tag tee,tdx"), "{shown:?}");
    stage.run(&["order", "book", "app"]).ends_with(2).error();
    stage.describe(&stage.chain.url(), &nobody());
    let error = stage.run(&["order", "book", "workerpool"]).ends_with(1).error();
    assert!(error["message"].as_str().unwrap().contains("does not answer"), "{error}");
}

#[test]
fn an_order_that_the_book_does_not_have_cannot_be_cancelled_by_its_hash() {
    let stage = Stage::new();
    let hash = format!("0x{}", "11".repeat(32));
    stage.sign(&["order", "cancel", "app", "--order", &hash]).ends_with(4).error();
    let order = signed(AppOrder { app: APP, volume: U256::from(1), ..AppOrder::default() });
    let hash = format!("{:#x}", stage.market.offer(&order, 1));
    stage.chain.world().refusal = "invalid-sender-or-signature";
    let error = stage.sign(&["order", "cancel", "app", "--order", &hash]).ends_with(3).error();
    assert!(error["causes"].to_string().contains("invalid-sender"), "{error}");
    assert!(stage.market.requests().iter().all(|request| request.method == "GET"), "it stays in the book");
}

#[test]
fn orders_that_cannot_match_are_not_sent() {
    let stage = Stage::new();
    sign_app(&stage);
    stage.chain.world().owners.insert(POOL, me());
    stage.sign(&["order", "sign", "workerpool", "--workerpool", &text(POOL), "--price", "5"]).ends_with(0);
    stage.sign(&["order", "sign", "request", "--app", &text(APP), "--category", "1"]).ends_with(0);
    let error = stage.sign(&["order", "match"]).ends_with(3).error();
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("category 1") && message.contains("5 nRLC") && message.contains("tag"), "{error}");
    let fitting = ["--workerpool-max-price", "5"];
    stage
        .sign(&["order", "sign", "workerpool", "--workerpool", &text(POOL), "--price", "5", "--tag", "tdx"])
        .ends_with(0);
    stage.sign(&[&["order", "sign", "request", "--app", &text(APP)], &fitting[..]].concat()).ends_with(0);
    stage.chain.world().refusal = "IexecEscrow: Transfer amount exceeds balance";
    let error = stage.sign(&["order", "match"]).ends_with(3).error();
    assert!(error["remedy"].as_str().unwrap().contains("too little at the hub"), "{error}");
}

#[test]
fn a_network_without_a_book_says_how_to_name_one() {
    let stage = Stage::new();
    let hub = text(crate::stage::HUB);
    let add = ["chain", "add", "bare", "--use", "--chain-id", "7", "--hub", &hub, "--rpc", "http://127.0.0.1:1"];
    stage.home.run(&[&add[..], &["--sms", "http://127.0.0.1:1"]].concat()).ends_with(0);
    let error = stage.run(&["order", "book", "workerpool"]).ends_with(6).error();
    assert!(error["remedy"].as_str().unwrap().contains("chain add bare --replace … --market URL"), "{error}");
}
