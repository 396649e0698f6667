//! What the client makes of books that behave in all kinds of ways. The book that behaves well is played in the end-to-end tests.

use strongroom_poco::orders::AppOrder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

const CHAIN_ID: u64 = 7;
const HUB: Address = Address::repeat_byte(0xb0);

/// A book that gives these answers one after the other, each to a connection of its own.
async fn book(answers: Vec<(u16, String)>) -> Market {
    // Only the first of the tests in this process can; the choice is the same.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let root = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move {
        for (status, body) in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 1 << 16];
            let _ = stream.read(&mut request).await.unwrap();
            let head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.len());
            stream.write_all((head + &body).as_bytes()).await.unwrap();
        }
    });
    Market::new(root, CHAIN_ID, HUB, Duration::from_secs(10)).unwrap()
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[1; 32]).unwrap()
}

fn order(price: u64) -> Signed<AppOrder> {
    let order = AppOrder { appprice: U256::from(price), volume: U256::from(2), ..AppOrder::default() };
    order.sign(&domain(CHAIN_ID, HUB), &key())
}

fn entry(order: &Signed<AppOrder>, named: B256) -> Value {
    json!({ "orderHash": named, "order": order, "remaining": 1, "status": "open", "publicationTimestamp": "now" })
}

fn challenge(chain_id: u64) -> (u16, String) {
    let challenge = LoginChallenge { chain_id, text: "sign".to_owned() };
    (200, json!({ "ok": true, "data": challenge.to_typed_data() }).to_string())
}

#[tokio::test]
async fn an_order_that_does_not_hash_to_its_name_is_none() {
    let (good, hash) = (order(1), order(1).order.hash(&domain(CHAIN_ID, HUB)));
    let orders = json!([entry(&good, hash), entry(&order(2), hash), entry(&good, B256::ZERO), entry(&good, hash)]);
    let market = book(vec![(200, json!({ "ok": true, "orders": orders, "count": 4 }).to_string())]).await;
    let found = market.orders::<AppOrder>(&Search::default()).await.unwrap();
    assert_eq!(found.iter().map(|order| order.hash).collect::<Vec<_>>(), [hash, hash]);
    assert_eq!((&found[0].order, found[0].remaining), (&good, U256::ONE));
}

#[tokio::test]
async fn a_refusal_is_told_in_the_words_of_the_book() {
    let refusal = (403, json!({ "ok": false, "error": "order already\u{7} published" }).to_string());
    let market = book(vec![challenge(CHAIN_ID), refusal]).await;
    let error = market.publish(&order(1), &key()).await.unwrap_err();
    assert_eq!(error.to_string(), "the order book refuses: order already published");
    assert!(!error.is_retryable());
}

#[tokio::test]
async fn an_unknown_order_is_an_answer() {
    let market = book(vec![(404, json!({ "ok": false, "error": "none" }).to_string())]).await;
    assert_eq!(market.order::<AppOrder>(B256::ZERO).await.unwrap(), None);
}

#[tokio::test]
async fn nothing_but_a_challenge_of_this_chain_is_signed() {
    let market = book(vec![challenge(8)]).await;
    let error = market.publish(&order(1), &key()).await.unwrap_err();
    assert!(error.to_string().contains("another chain"), "{error}");
    let market = book(vec![(200, json!({ "ok": true, "data": { "domain": {}, "message": {} } }).to_string())]).await;
    let error = market.publish(&order(1), &key()).await.unwrap_err();
    assert!(error.to_string().contains("none of iExec Gateway"), "{error}");
}

#[tokio::test]
async fn trouble_and_strangers_are_told_apart() {
    let market = book(vec![(502, "<html>".to_owned()), (200, "<html>".to_owned()), (302, "{}".to_owned())]).await;
    let trouble = market.check().await.unwrap_err();
    assert!(matches!(trouble, MarketError::Trouble { status: 502, .. }) && trouble.is_retryable(), "{trouble}");
    for _ in 0..2 {
        let stranger = market.check().await.unwrap_err();
        assert!(matches!(stranger, MarketError::NotABook { .. }), "{stranger}");
    }
    let nobody = Market::new("http://127.0.0.1:1/".parse().unwrap(), CHAIN_ID, HUB, Duration::from_secs(5)).unwrap();
    assert!(matches!(nobody.check().await.unwrap_err(), MarketError::Unreachable { .. }));
}
