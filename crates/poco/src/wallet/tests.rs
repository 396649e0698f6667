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
