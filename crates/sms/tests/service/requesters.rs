//! `/requesters/{requesterAddress}/secrets/{secretKey}`

use strongroom_protocol::challenge;

use super::fake_chain::Fate;
use super::raw_http::Request;
use super::running::{Running, address, framework_json, signed, value, wallet};

const REQUESTER: &str = "0x1a642f0E3c3aF545E7AcBD38b07251B3990914F1";
/// Published with the protocol: `s3cr3t é` under `my-secret_1`, signed by the wallet of byte 1.
const PUBLISHED_SIGNATURE: &str = "0x0f04bb3ee51182f0dc5a11d68787bf17927542853f1cbd36f7186ba882751ad4375096b13d2dcb133a721357f97fea9ef8a122e887b33d59f49e5f33b73db6d11b";
const INVALID_AUTHORIZATION: &str = r#"{"error":["Invalid authorization"]}"#;
const BAD_NAME: &str = r#"{"error":["Secret key should contain at most 64 characters from [0-9A-Za-z-_]"]}"#;

fn path(name: &str) -> String {
    format!("/requesters/{REQUESTER}/secrets/{name}")
}

fn push(name_in_path: &str, text: &str, signature: &str) -> Request {
    Request::new("POST", &path(name_in_path))
        .header("Authorization", signature)
        .header("Content-Type", "text/plain")
        .body(text)
}

fn signature_of(name: &str, text: &str) -> String {
    signed(&wallet(1), challenge::push_requester_secret(address(REQUESTER), name, &value(text)))
}

#[tokio::test]
async fn a_requester_stores_named_secrets_once_each() {
    let running = Running::start().await;
    assert_eq!(running.head(&path("my-secret_1")).await, 404);
    running.send(&push("my-secret_1", "s3cr3t é", PUBLISHED_SIGNATURE)).await.assert(204, "", "first");
    assert_eq!(running.head(&path("my-secret_1")).await, 204);
    running.send(&push("my-secret_1", "s3cr3t é", PUBLISHED_SIGNATURE)).await.assert(
        409,
        r#"{"error":["Secret already exists"]}"#,
        "second",
    );
    let longest = "A".repeat(64);
    running.send(&push(&longest, "x", &signature_of(&longest, "x"))).await.assert(204, "", "64 characters");
}

#[tokio::test]
async fn names_keep_their_case_and_addresses_do_not() {
    let running = Running::start().await;
    assert_eq!(running.send(&push("Name", "x", &signature_of("Name", "x"))).await.status, 204);
    assert_eq!(running.head(&path("Name")).await, 204);
    assert_eq!(running.head(&path("name")).await, 404);
    assert_eq!(running.head(&path("Name").replace(REQUESTER, &REQUESTER.to_lowercase())).await, 204);
    assert_eq!(running.send(&push("name", "x", &signature_of("name", "x"))).await.status, 204);
}

#[tokio::test]
async fn only_the_requester_itself_is_believed() {
    let running = Running::start().await;
    let by_another = signed(&wallet(2), challenge::push_requester_secret(address(REQUESTER), "n", &value("x")));
    for (what, signature) in
        [("another wallet", by_another), ("another name", signature_of("m", "x")), ("nonsense", "0xzz".to_owned())]
    {
        running.send(&push("n", "x", &signature)).await.assert(401, INVALID_AUTHORIZATION, what);
    }
    for requester in ["0x12", "me"] {
        let path = format!("/requesters/{requester}/secrets/n");
        let request = Request::new("POST", &path).header("Authorization", &signature_of("n", "x")).body("x");
        running.send(&request).await.assert(401, INVALID_AUTHORIZATION, requester);
        assert_eq!(running.head(&path).await, 404, "{requester}");
    }
}

#[tokio::test]
async fn a_bad_name_is_told_only_to_who_signed_it() {
    let running = Running::start().await;
    let too_long = "A".repeat(65);
    for (in_path, name) in [("a%20b", "a b"), (too_long.as_str(), too_long.as_str()), ("a.b", "a.b"), ("%C3%A9", "é")]
    {
        let signed = running.send(&push(in_path, "x", &signature_of(name, "x"))).await;
        signed.assert(400, BAD_NAME, in_path);
        assert_eq!(signed.header("content-type").as_deref(), Some("application/json"));
        running.send(&push(in_path, "x", PUBLISHED_SIGNATURE)).await.assert(401, INVALID_AUTHORIZATION, in_path);
        assert_eq!(running.head(&path(in_path)).await, 400, "{in_path}");
    }
}

#[tokio::test]
async fn header_and_body_are_needed_before_anything_is_judged() {
    let running = Running::start().await;
    let expected = framework_json(400, "Bad Request", &path("a.b"));
    for (what, request) in [
        ("no header", Request::new("POST", &path("a.b")).body("x")),
        ("no body", Request::new("POST", &path("a.b")).header("Authorization", "x")),
        ("empty body", push("a.b", "", "x")),
    ] {
        running.send(&request).await.assert(400, &expected, what);
    }
}

#[tokio::test]
async fn requester_secrets_need_no_chain() {
    let running = Running::start().await;
    running.chain.set_fate(Fate::OutOfReach);
    assert_eq!(running.send(&push("n", "x", &signature_of("n", "x"))).await.status, 204);
    assert_eq!(running.head(&path("n")).await, 204);
}
