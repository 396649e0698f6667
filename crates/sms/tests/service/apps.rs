//! `/apps/{appAddress}/secrets`

use strongroom_poco::AssetKind;
use strongroom_protocol::challenge;

use super::fake_chain::Fate;
use super::raw_http::Request;
use super::running::{Running, address, framework_json, signed, value, wallet};

const APP: &str = "0xabcdefabcdefabcdefabcdefabcdefabcdefabcd";
const PATH: &str = "/apps/0xabcdefabcdefabcdefabcdefabcdefabcdefabcd/secrets";
/// Published with the protocol: `app-secret` of that app, signed by the wallet of byte 1.
const PUBLISHED_SIGNATURE: &str = "0xedf0cff6431f1fd6a68143ac3b1b4b6730a2567ab0c01314e7264214c55122eb7becfffdc82d68d927920d06fac782c6c37ef0238d03e7042281cb21c6103ddf1c";
const INVALID_AUTHORIZATION: &str = r#"{"error":["Invalid authorization"]}"#;

async fn with_app() -> Running {
    let running = Running::start().await;
    running.chain.register(AssetKind::App, address(APP), wallet(1).address());
    running
}

fn push(text: &str, signature: &str) -> Request {
    Request::new("POST", PATH)
        .header("Authorization", signature)
        .header("Content-Type", "text/plain")
        .header("Accept", "*/*")
        .body(text)
}

fn signature_of(text: &str) -> String {
    signed(&wallet(1), challenge::push_app_secret(address(APP), &value(text)))
}

#[tokio::test]
async fn the_owner_stores_the_secret_of_an_app_once() {
    let running = with_app().await;
    let absent = running.send(&Request::new("HEAD", PATH)).await;
    absent.assert(404, "", "absent");
    assert_eq!(absent.header("content-type").as_deref(), Some("application/json"));

    let stored = running.send(&push("app-secret", PUBLISHED_SIGNATURE)).await;
    stored.assert(204, "", "first push");
    assert_eq!(stored.header("content-type"), None);
    assert_eq!(stored.header("content-length"), None);
    assert_eq!(running.head(PATH).await, 204);

    for text in ["app-secret", "another"] {
        let again = running.send(&push(text, &signature_of(text))).await;
        again.assert(409, r#"{"error":["Secret already exists"]}"#, "second push");
        assert_eq!(again.header("content-type").as_deref(), Some("application/json"));
    }
}

#[tokio::test]
async fn the_letter_case_of_the_address_does_not_matter() {
    let running = with_app().await;
    let upper = format!("/apps/0x{}/secrets", APP[2..].to_uppercase());
    assert_eq!(running.head(&upper).await, 404);
    running.send(&push("app-secret", PUBLISHED_SIGNATURE)).await.assert(204, "", "push");
    assert_eq!(running.head(&upper).await, 204);
    let again = Request::new("POST", &upper).header("authorization", PUBLISHED_SIGNATURE).body("app-secret");
    assert_eq!(running.send(&again).await.status, 409);
}

#[tokio::test]
async fn whoever_is_not_the_owner_gets_401() {
    let running = with_app().await;
    let of = |signer, text: &str| signed(&wallet(signer), challenge::push_app_secret(address(APP), &value(text)));
    for (what, signature) in [
        ("another wallet", of(2, "app-secret")),
        ("another value", of(1, "app-secret2")),
        ("empty", String::new()),
        ("not hexadecimal", "Bearer x".to_owned()),
        ("too short", PUBLISHED_SIGNATURE[..100].to_owned()),
        ("trailing bytes", format!("{PUBLISHED_SIGNATURE}00")),
        ("recovery value 31", format!("{}1f", &PUBLISHED_SIGNATURE[..130])),
        ("not on the curve", format!("0x{}1b", "00".repeat(64))),
    ] {
        running.send(&push("app-secret", &signature)).await.assert(401, INVALID_AUTHORIZATION, what);
    }
    let twice = push("app-secret", PUBLISHED_SIGNATURE).header("Authorization", PUBLISHED_SIGNATURE);
    running.send(&twice).await.assert(401, INVALID_AUTHORIZATION, "two headers");
    assert_eq!(running.head(PATH).await, 404);
}

#[tokio::test]
async fn addresses_that_are_no_registered_app_get_401_and_are_not_found() {
    let running = with_app().await;
    let dataset = "0x1234567890123456789012345678901234567890";
    running.chain.register(AssetKind::Dataset, address(dataset), wallet(1).address());
    let signature = signed(&wallet(1), challenge::push_app_secret(address(dataset), &value("x")));
    for app in [dataset, "0x12", "abcdefabcdefabcdefabcdefabcdefabcdefabcd", "x"] {
        let path = format!("/apps/{app}/secrets");
        let answer = running.send(&Request::new("POST", &path).header("Authorization", &signature).body("x")).await;
        answer.assert(401, INVALID_AUTHORIZATION, app);
        assert_eq!(running.head(&path).await, 404, "{app}");
    }
}

#[tokio::test]
async fn header_and_body_are_needed_before_anything_is_judged() {
    let running = with_app().await;
    let expected = framework_json(400, "Bad Request", PATH);
    for (what, request) in [
        ("no header", Request::new("POST", PATH).body("app-secret")),
        ("no body", Request::new("POST", PATH).header("Authorization", "nonsense")),
        ("empty body", push("", PUBLISHED_SIGNATURE)),
        ("empty chunked body", Request::new("POST", PATH).header("Authorization", "x").chunked("")),
    ] {
        let answer = running.send(&request).await;
        answer.assert(400, &expected, what);
        assert_eq!(answer.header("content-type").as_deref(), Some("application/json"), "{what}");
    }
}

#[tokio::test]
async fn trouble_with_the_chain_is_503_and_stores_nothing() {
    let running = with_app().await;
    running.chain.set_fate(Fate::OutOfReach);
    let answer = running.send(&push("app-secret", PUBLISHED_SIGNATURE)).await;
    answer.assert(503, &framework_json(503, "Service Unavailable", PATH), "out of reach");
    assert_eq!(answer.header("retry-after").as_deref(), Some("1"));
    running.chain.set_fate(Fate::Answered);
    assert_eq!(running.head(PATH).await, 404);
    assert_eq!(running.send(&push("app-secret", PUBLISHED_SIGNATURE)).await.status, 204);
}

#[tokio::test]
async fn a_new_owner_stores_and_the_old_one_does_not() {
    let running = with_app().await;
    running.chain.register(AssetKind::App, address(APP), wallet(2).address());
    assert_eq!(running.send(&push("app-secret", PUBLISHED_SIGNATURE)).await.status, 401);
    let signature = signed(&wallet(2), challenge::push_app_secret(address(APP), &value("mine now")));
    assert_eq!(running.send(&push("mine now", &signature)).await.status, 204);
}

#[tokio::test]
async fn a_secret_survives_a_restart() {
    let mut running = with_app().await;
    assert_eq!(running.send(&push("app-secret", PUBLISHED_SIGNATURE)).await.status, 204);
    running.restart().await;
    assert_eq!(running.head(PATH).await, 204);
    assert_eq!(running.send(&push("app-secret", PUBLISHED_SIGNATURE)).await.status, 409);
}
