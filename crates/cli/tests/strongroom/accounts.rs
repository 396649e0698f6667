//! Money, and what is said when the chain is not there or not the right one.

use crate::home::ADDRESS;
use crate::stage::{Stage, me, nobody};

#[test]
fn an_account_is_told_in_full() {
    let stage = Stage::new();
    stage.chain.world().stakes.insert(me(), 1_500_000_000);
    stage.chain.world().rlc.insert(me(), 7);
    let answer = stage.run(&["account", "balance"]).ends_with(0).json();
    assert_eq!((&answer["account"], &answer["stake"]), (&ADDRESS.into(), &"1500000000".into()));
    let shown = stage.home.run(&["account", "balance"]).ends_with(0).stdout.clone();
    assert!(shown.contains("1.5 RLC") && shown.contains("7 nRLC"), "{shown}");
}

#[test]
fn money_that_is_not_there_cannot_be_moved() {
    let stage = Stage::new();
    stage.chain.world().rlc.insert(me(), 5);
    let error = stage.sign(&["account", "deposit", "1", "RLC"]).ends_with(3).error();
    assert!(error["message"].as_str().unwrap().contains("5 nRLC in the wallet, less than 1 RLC"), "{error}");
    let error = stage.sign(&["account", "withdraw", "1"]).ends_with(3).error();
    assert!(error["message"].as_str().unwrap().contains("0 nRLC free at the hub"), "{error}");
    for amount in ["1.5", "x", "1 ETH"] {
        stage.sign(&["account", "deposit", amount]).ends_with(2).error();
    }
}

#[test]
fn a_refusal_of_a_contract_is_told_in_its_words() {
    let stage = Stage::new();
    stage.chain.world().rlc.insert(me(), 5);
    stage.chain.world().refusal = "not today";
    let error = stage.sign(&["account", "deposit", "5"]).ends_with(3).error();
    assert!(error["causes"].to_string().contains("not today"), "{error}");
    assert!(error["remedy"].is_string(), "{error}");
}

#[test]
fn a_chain_that_is_not_there_or_another_one_is_trouble_and_no_answer() {
    let stage = Stage::new();
    stage.describe(&nobody(), &stage.market.url());
    let error = stage.run(&["account", "balance"]).ends_with(1).error();
    assert!(error["remedy"].as_str().unwrap().contains("--rpc"), "{error}");
    stage.describe(&stage.chain.url(), &stage.market.url());
    stage.chain.world().chain_id = Some(1);
    let error = stage.run(&["account", "balance"]).ends_with(1).error();
    assert!(error["causes"].to_string().contains("chain 1"), "{error}");
}
