//! What the wallet makes of a node that tells things one after another.

use alloy_primitives::Bytes;
use serde_json::{Value, json};

use super::*;
use crate::config::ChainConfig;
use crate::fake_node::{CHAIN_ID, FakeNode, HUB, Misbehave, World};

/// A node that takes one transaction of the wallet and counts it at once.
async fn node_that_counts_before_it_shows(receipts: &[Value], receipt_lag: Duration) -> (FakeNode, Wallet, Call) {
    let answers = [
        ("eth_estimateGas", json!("0x5208")),
        ("eth_gasPrice", json!("0x1")),
        ("eth_getBalance", json!("0xffffffffffffffff")),
        ("eth_getTransactionCount", json!("0x7")),
    ];
    let answers = answers.into_iter().chain(vec![("eth_getTransactionCount", json!("0x8")); 1_000]);
    let receipts = receipts.iter().map(|receipt| ("eth_getTransactionReceipt", receipt.clone()));
    let faults = answers.chain(receipts).map(|(method, answer)| (method, Misbehave::Result(answer))).collect();
    let node = FakeNode::start(World { height: 9, faults, ..World::default() }).await;
    let chain = Chain::new(ChainConfig::new(node.url.clone(), CHAIN_ID, HUB)).unwrap();
    let limits = SendLimits { receipt_lag, ..SendLimits::default() };
    let wallet = Wallet::new(chain, SigningKey::from_bytes(&[7; 32]).unwrap(), limits);
    let call = Call { what: "a test", to: HUB, input: Bytes::new(), extra_gas: 0 };
    let hash = wallet.sign(&call, 7, 26_250, Offer::Flat { price: 1 }).0;
    node.with(|world| world.faults.push(("eth_sendRawTransaction", Misbehave::Result(json!(hash)))));
    (node, wallet, call)
}

#[tokio::test]
async fn a_nonce_that_is_counted_before_the_receipt_is_shown_is_our_own() {
    let (node, wallet, call) =
        node_that_counts_before_it_shows(&[Value::Null, Value::Null], Duration::from_mins(1)).await;
    let hash = wallet.sign(&call, 7, 26_250, Offer::Flat { price: 1 }).0;
    let receipt =
        json!({ "transactionHash": hash, "blockNumber": "0x9", "gasUsed": "0x5208", "status": "0x1", "logs": [] });
    node.with(|world| world.faults.push(("eth_getTransactionReceipt", Misbehave::Result(receipt))));
    assert_eq!(wallet.send(&call).await.unwrap().transaction, hash);
}

#[tokio::test]
async fn a_nonce_whose_receipt_never_comes_was_used_by_another_program() {
    let (_node, wallet, call) =
        node_that_counts_before_it_shows(&vec![Value::Null; 1_000], Duration::from_millis(100)).await;
    let error = wallet.send(&call).await.unwrap_err();
    assert!(matches!(error, SendError::Overtaken { .. }), "{error}");
}

const FIRST: Call = Call { what: "the first", to: HUB, input: Bytes::from_static(&[1]), extra_gas: 0 };
const OTHER: Call = Call { what: "the other", to: HUB, input: Bytes::from_static(&[2]), extra_gas: 0 };

/// Hash of the transaction of `call` with this nonce, as [`node_that_mines_nothing`] has it signed.
fn hash_of(wallet: &Wallet, call: &Call, nonce: u64) -> B256 {
    wallet.sign(call, nonce, 26_250, Offer::Flat { price: 1 }).0
}

fn receipt_of(hash: B256) -> Value {
    json!({ "transactionHash": hash, "blockNumber": "0x9", "gasUsed": "0x5208", "status": "0x1", "logs": [] })
}

/// Adds what the node answers next, in this order for each method.
fn answers(node: &FakeNode, answers: impl IntoIterator<Item = (&'static str, Value)>) {
    node.with(|world| world.faults.extend(answers.into_iter().map(|(method, it)| (method, Misbehave::Result(it)))));
}

/// A wallet that looks once whether its transaction is in a block, and has given up [`FIRST`], of nonce 7, which is in none.
async fn wallet_that_gave_up() -> (FakeNode, Wallet) {
    let node = FakeNode::start(World { height: 9, ..World::default() }).await;
    let chain = Chain::new(ChainConfig::new(node.url.clone(), CHAIN_ID, HUB)).unwrap();
    let limits = SendLimits { patience: Duration::ZERO, ..SendLimits::default() };
    let wallet = Wallet::new(chain, SigningKey::from_bytes(&[7; 32]).unwrap(), limits);
    what_a_new_call_asks(&node, 7);
    is_submitted_in_vain(&node, &wallet);
    let error = wallet.send(&FIRST).await.unwrap_err();
    let hash = hash_of(&wallet, &FIRST, 7);
    assert!(matches!(error, SendError::Stuck { transaction, .. } if transaction == hash), "{error}");
    (node, wallet)
}

fn what_a_new_call_asks(node: &FakeNode, nonce: u64) {
    answers(
        node,
        [
            ("eth_estimateGas", json!("0x5208")),
            ("eth_gasPrice", json!("0x1")),
            ("eth_getBalance", json!("0xffffffffffffffff")),
            ("eth_getTransactionCount", json!(format!("{nonce:#x}"))),
        ],
    );
}

fn is_submitted_in_vain(node: &FakeNode, wallet: &Wallet) {
    answers(
        node,
        [
            ("eth_sendRawTransaction", json!(hash_of(wallet, &FIRST, 7))),
            ("eth_getTransactionCount", json!("0x7")),
            ("eth_getTransactionReceipt", Value::Null),
        ],
    );
}

fn is_submitted_and_mined(node: &FakeNode, hash: B256, nonce: u64) {
    answers(
        node,
        [
            ("eth_sendRawTransaction", json!(hash)),
            ("eth_getTransactionCount", json!(format!("{:#x}", nonce + 1))),
            ("eth_getTransactionReceipt", receipt_of(hash)),
        ],
    );
}

#[tokio::test]
async fn a_call_that_was_given_up_goes_on_with_its_nonce_when_it_is_sent_again() {
    let (node, wallet) = wallet_that_gave_up().await;
    is_submitted_in_vain(&node, &wallet);
    assert!(matches!(wallet.send(&FIRST).await.unwrap_err(), SendError::Stuck { .. }), "still");
    let hash = hash_of(&wallet, &FIRST, 7);
    is_submitted_and_mined(&node, hash, 7);
    let mut noted = Vec::new();
    assert_eq!(wallet.send_noting(&FIRST, |hash| noted.push(hash)).await.unwrap().transaction, hash);
    assert_eq!(noted, [hash]);
    assert_eq!(node.with(|world| world.count("eth_estimateGas")), 1, "what is under way is not judged anew");

    // What is finished is not sent again in the place of a new call.
    what_a_new_call_asks(&node, 8);
    let hash = hash_of(&wallet, &FIRST, 8);
    is_submitted_and_mined(&node, hash, 8);
    assert_eq!(wallet.send(&FIRST).await.unwrap().transaction, hash);
}

#[tokio::test]
async fn another_call_comes_after_the_one_that_was_given_up() {
    let (node, wallet) = wallet_that_gave_up().await;
    is_submitted_in_vain(&node, &wallet);
    let error = wallet.send(&OTHER).await.unwrap_err();
    assert!(matches!(error, SendError::Stuck { what: "the first", .. }), "{error}");
    assert_eq!(node.with(|world| world.count("eth_estimateGas")), 1, "no later nonce was used");

    is_submitted_and_mined(&node, hash_of(&wallet, &FIRST, 7), 7);
    what_a_new_call_asks(&node, 8);
    let hash = hash_of(&wallet, &OTHER, 8);
    is_submitted_and_mined(&node, hash, 8);
    assert_eq!(wallet.send(&OTHER).await.unwrap().transaction, hash);
    assert_eq!(node.with(|world| world.faults.len()), 0, "nothing else was asked");
}
