//! Errors of `/v1` are problems of RFC 9457, whoever made them.

use serde_json::Value;
use strongroom_attest::evidence::{MAX_EVENT_LOG_BYTES, MAX_QUOTE_BYTES};

use super::raw_http::{Answer, Request};
use super::releasing::Releasing;

#[track_caller]
fn assert_problem(answer: &Answer, status: u16, code: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.header("content-type").as_deref(), Some("application/problem+json"), "{answer:?}");
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(body["code"], code);
    assert_eq!(body["type"], format!("urn:strongroom:problem:{code}"));
    assert_eq!(body["status"], status);
    assert!(body["title"].is_string() && body["detail"].as_str().is_some_and(|detail| detail.len() > 10), "{body}");
}

#[tokio::test]
async fn what_handlers_and_what_stands_before_them_refuse_is_a_problem() {
    let releasing = Releasing::start(|_| ()).await;
    let ask = async |method: &str, target: &str, body: &str| {
        Request::new(method, target).body(body).send(releasing.address).await
    };
    assert_problem(&ask("POST", "/v1/releases", "{").await, 400, "malformed-request");
    assert_problem(&ask("POST", "/v1/releases", "{\"session\":1}").await, 400, "malformed-request");
    assert_problem(&ask("POST", "/v1/explain", "[]").await, 400, "malformed-request");
    assert_problem(&ask("GET", "/v1/journal/0x12", "").await, 400, "malformed-request");
    assert_problem(&ask("GET", &format!("/v1/journal/0x{}", "22".repeat(32)), "").await, 401, "not-signed");
    assert_problem(&ask("GET", "/v1/nothing", "").await, 404, "no-such-route");
    let wrong = ask("GET", "/v1/releases", "").await;
    assert_problem(&wrong, 405, "wrong-method");
    assert_eq!(wrong.header("allow").as_deref(), Some("POST"));
    let too_large = "x".repeat(3 * (MAX_QUOTE_BYTES + MAX_EVENT_LOG_BYTES));
    assert_problem(&ask("POST", "/v1/releases", &too_large).await, 413, "request-too-large");
}

#[tokio::test]
async fn limits_of_peers_and_of_time_are_problems_that_say_when_to_come_back() {
    let releasing = Releasing::start(|config| {
        config.server.body_timeout_ms = 50.try_into().unwrap();
    })
    .await;
    let unfinished = Request::new("POST", "/v1/releases").header("Content-Length", "10");
    assert_problem(&unfinished.send(releasing.address).await, 408, "request-too-slow");

    let releasing = Releasing::start(|config| {
        config.rate_limit.enabled = true;
        config.rate_limit.peer_burst = 20.try_into().unwrap();
        config.rate_limit.peer_per_second = 1.try_into().unwrap();
    })
    .await;
    let limited = loop {
        let answer = Request::new("POST", "/v1/challenges").body("").send(releasing.address).await;
        if answer.status != 200 {
            break answer;
        }
    };
    assert_problem(&limited, 429, "too-many-requests");
    assert!(limited.header("retry-after").is_some(), "{limited:?}");
}
