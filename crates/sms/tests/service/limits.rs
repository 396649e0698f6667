//! Nobody gets more than a share: requests per peer and per wallet, connections, time.

use std::net::SocketAddr;

use futures_util::FutureExt as _;
use strongroom_protocol::challenge;
use strongroom_sms::config::Config;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::fake_chain::Fate;
use super::raw_http::{Answer, Request};
use super::running::{Running, framework_json, signed, value, wallet};

/// More than any allowance of these tests, even if a test takes many seconds.
const MANY: usize = 100;

fn few_requests(config: &mut Config) {
    config.rate_limit.peer_per_second = 1.try_into().unwrap();
    config.rate_limit.peer_burst = 3.try_into().unwrap();
}

#[tokio::test]
async fn a_peer_that_asks_too_often_is_told_when_to_come_back() {
    let running = Running::start_with(few_requests).await;
    for _ in 0..3 {
        assert_eq!(running.get("/version").await.status, 200);
    }
    let refused =
        refused_one(&running, &Request::new("HEAD", "/secrets/web3?secretAddress=x").header("Origin", "x")).await;
    assert_eq!(refused.header("access-control-allow-origin").as_deref(), Some("*"), "pages may see why");
    let refused = refused_one(&running, &Request::new("GET", "/version")).await;
    refused.assert(429, &framework_json(429, "Too Many Requests", "/version"), "too often");
    assert_eq!(refused.header("retry-after").as_deref(), Some("1"));
    assert_eq!(running.get("/actuator/health").await.status, 200, "health is always told");
}

async fn refused_one(running: &Running, request: &Request) -> Answer {
    for _ in 0..MANY {
        let answer = running.send(request).await;
        if answer.status == 429 {
            return answer;
        }
    }
    panic!("nothing was refused");
}

#[tokio::test]
async fn peers_behind_a_trusted_proxy_are_told_apart_and_nobody_else_can_pretend() {
    let from = |peer: &str| Request::new("GET", "/version").header("X-Forwarded-For", &format!("203.0.113.9, {peer}"));
    let trusting = Running::start_with(|config| {
        few_requests(config);
        config.server.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    })
    .await;
    refused_one(&trusting, &from("192.0.2.1")).await;
    assert_eq!(trusting.send(&from("192.0.2.2")).await.status, 200);

    let wary = Running::start_with(few_requests).await;
    for peer in 0..MANY {
        if wary.send(&from(&format!("192.0.2.{peer}"))).await.status == 429 {
            return;
        }
    }
    panic!("a header of an untrusted peer was believed");
}

#[tokio::test]
async fn a_wallet_that_writes_too_often_is_refused_and_others_are_not() {
    let running = Running::start_with(|config| {
        config.rate_limit.client_per_second = 1.try_into().unwrap();
        config.rate_limit.client_burst = 2.try_into().unwrap();
    })
    .await;
    let mut statuses = Vec::new();
    for number in 0..MANY {
        let answer = running.send(&push(1, &format!("n{number}"))).await;
        statuses.push(answer.status);
        if answer.status == 429 {
            assert_eq!(answer.header("retry-after").as_deref(), Some("1"));
            break;
        }
    }
    assert_eq!(statuses[..2], [204, 204]);
    assert_eq!(statuses.last(), Some(&429));
    assert_eq!(running.send(&push(2, "n")).await.status, 204);
}

#[tokio::test]
async fn nobody_can_use_up_the_allowance_of_another_wallet() {
    let running = Running::start_with(|config| {
        config.rate_limit.client_per_second = 1.try_into().unwrap();
        config.rate_limit.client_burst = 1.try_into().unwrap();
    })
    .await;
    let owner = wallet(1).address();
    let forged = signed(&wallet(2), challenge::push_account_secret(owner, "n", &value("x")));
    let target = format!("/secrets/web2?ownerAddress={owner}&secretName=n");
    for _ in 0..10 {
        let forged = Request::new("POST", &target).header("Authorization", &forged).body("x");
        assert_eq!(running.send(&forged).await.status, 401);
    }
    assert_eq!(running.send(&push(1, "n")).await.status, 204);
}

/// The account secret `name` of a wallet.
fn push(byte: u8, name: &str) -> Request {
    let owner = wallet(byte).address();
    let signature = signed(&wallet(byte), challenge::push_account_secret(owner, name, &value("x")));
    let target = format!("/secrets/web2?ownerAddress={owner}&secretName={name}");
    Request::new("POST", &target).header("Authorization", &signature).body("x")
}

async fn connected(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.unwrap()
}

async fn rest(mut stream: TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    bytes
}

/// Asks on a connection that stays open, and reads the answer.
async fn ask_and_stay(stream: &mut TcpStream) {
    stream.write_all(b"GET /version HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(env!("CARGO_PKG_VERSION").as_bytes()) {
        assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_until_one_ends() {
    let running = Running::start_with(|config| config.server.max_connections = 1.try_into().unwrap()).await;
    let mut first = connected(running.address).await;
    ask_and_stay(&mut first).await;
    let second = running.get("/version");
    tokio::pin!(second);
    assert_eq!(second.as_mut().now_or_never(), None);
    ask_and_stay(&mut first).await;
    assert_eq!(second.as_mut().now_or_never(), None);
    drop(first);
    assert_eq!(second.await.status, 200);
}

#[tokio::test]
async fn a_peer_cannot_take_all_connections() {
    let running = Running::start_with(|config| config.server.max_connections_per_peer = 1.try_into().unwrap()).await;
    let mut first = connected(running.address).await;
    ask_and_stay(&mut first).await;
    assert_eq!(rest(connected(running.address).await).await, b"", "closed without a word");
    ask_and_stay(&mut first).await;
}

#[tokio::test]
async fn whoever_does_not_finish_a_head_is_disconnected() {
    let running = Running::start_with(|config| config.server.header_timeout_ms = 50.try_into().unwrap()).await;
    let mut stream = connected(running.address).await;
    stream.write_all(b"GET /version HTTP/1.1\r\n").await.unwrap();
    assert_eq!(rest(stream).await, b"");
}

#[tokio::test]
async fn whoever_does_not_finish_a_body_is_told_so() {
    let running = Running::start_with(|config| config.server.body_timeout_ms = 50.try_into().unwrap()).await;
    let mut stream = connected(running.address).await;
    let head = "POST /secrets/web3?secretAddress=x HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: x\r\n";
    stream.write_all(format!("{head}Content-Length: 10\r\n\r\nhalf").as_bytes()).await.unwrap();
    let answer = Answer::parse(&rest(stream).await);
    answer.assert(408, &framework_json(408, "Request Timeout", "/secrets/web3"), "half a body");
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_to_be_repeated() {
    let running = Running::start_with(|config| config.server.request_timeout_ms = 50.try_into().unwrap()).await;
    running.chain.set_fate(Fate::Waits);
    let path = "/apps/0xabcdefabcdefabcdefabcdefabcdefabcdefabcd/secrets";
    let signature = format!("0x{}1b", "11".repeat(64));
    let answer = running.send(&Request::new("POST", path).header("Authorization", &signature).body("x")).await;
    answer.assert(503, &framework_json(503, "Service Unavailable", path), "too long");
    assert_eq!(answer.header("retry-after").as_deref(), Some("1"));
}

#[tokio::test]
async fn a_head_beyond_any_measure_is_refused() {
    let running = Running::start().await;
    let answer = running.send(&Request::new("GET", "/version").header("X", &"x".repeat(200_000))).await;
    assert_eq!(answer.status, 431);
}
