//! `/secrets/web3`

use strongroom_poco::AssetKind;
use strongroom_protocol::challenge;

use super::fake_chain::Fate;
use super::raw_http::Request;
use super::running::{Running, address, framework_json, signed, value, wallet};

const DATASET: &str = "0x1234567890123456789012345678901234567890";
const TARGET: &str = "/secrets/web3?secretAddress=0x1234567890123456789012345678901234567890";
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
/// Published with the protocol: that key of that dataset, signed by the wallet of byte 1.
const PUBLISHED_SIGNATURE: &str = "0x0ac3d025e9f66dd10fafb4898917e19a3516553184b351722bede920f8a68df2648f9ecb2c25d6800a7a1388f6ea25c7db68ee2a2db586d6b587acd3db24f7b81b";

async fn with_dataset() -> Running {
    let running = Running::start().await;
    running.chain.register(AssetKind::Dataset, address(DATASET), wallet(1).address());
    running
}

fn push(target: &str, text: &str, signature: &str) -> Request {
    Request::new("POST", target).header("Authorization", signature).header("Content-Type", "text/plain").body(text)
}

#[tokio::test]
async fn the_owner_stores_the_key_of_a_dataset_once() {
    let running = with_dataset().await;
    let absent = running.send(&Request::new("HEAD", TARGET)).await;
    absent.assert(404, "", "absent");
    assert_eq!(absent.header("content-type"), None);
    running.send(&push(TARGET, KEY, PUBLISHED_SIGNATURE)).await.assert(204, "", "first");
    assert_eq!(running.head(TARGET).await, 204);
    running.send(&push(TARGET, KEY, PUBLISHED_SIGNATURE)).await.assert(409, "", "second");
}

#[tokio::test]
async fn whoever_is_not_the_owner_of_a_registered_dataset_gets_401() {
    let running = with_dataset().await;
    let app = "0xabcdefabcdefabcdefabcdefabcdefabcdefabcd";
    running.chain.register(AssetKind::App, address(app), wallet(1).address());
    let of = |signer, dataset: &str, text: &str| {
        signed(&wallet(signer), challenge::push_dataset_secret(address(dataset), &value(text)))
    };
    for (what, dataset, signature) in [
        ("another wallet", DATASET, of(2, DATASET, KEY)),
        ("another value", DATASET, of(1, DATASET, "x")),
        ("an app", app, of(1, app, KEY)),
        ("malformed address", "0x12", PUBLISHED_SIGNATURE.to_owned()),
        ("nonsense", DATASET, "x".to_owned()),
    ] {
        let target = format!("/secrets/web3?secretAddress={dataset}");
        running.send(&push(&target, KEY, &signature)).await.assert(401, "", what);
        assert_eq!(running.head(&target).await, 404, "{what}");
    }
}

#[tokio::test]
async fn parameter_header_and_body_are_needed_before_anything_is_judged() {
    let running = with_dataset().await;
    let expected = framework_json(400, "Bad Request", "/secrets/web3");
    for (what, request) in [
        ("no header", Request::new("POST", TARGET).body(KEY)),
        ("no body", Request::new("POST", TARGET).header("Authorization", "x")),
        ("empty body", push(TARGET, "", PUBLISHED_SIGNATURE)),
        ("no parameter", push("/secrets/web3", KEY, PUBLISHED_SIGNATURE)),
    ] {
        running.send(&request).await.assert(400, &expected, what);
    }
    assert_eq!(running.head("/secrets/web3").await, 400);
}

#[tokio::test]
async fn trouble_with_the_chain_is_503() {
    let running = with_dataset().await;
    running.chain.set_fate(Fate::OutOfReach);
    let answer = running.send(&push(TARGET, KEY, PUBLISHED_SIGNATURE)).await;
    answer.assert(503, &framework_json(503, "Service Unavailable", "/secrets/web3"), "out of reach");
    assert_eq!(answer.header("retry-after").as_deref(), Some("1"));
}
