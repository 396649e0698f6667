//! Version, counters, health.

use strongroom_poco::AssetKind;
use strongroom_protocol::challenge;

use super::fake_chain::Fate;
use super::raw_http::Request;
use super::running::{Running, address, signed, value, wallet};

const ACTUATOR_JSON: &str = "application/vnd.spring-boot.actuator.v3+json";

#[tokio::test]
async fn the_version_is_told_as_text() {
    let running = Running::start().await;
    let answer = running.get("/version").await;
    answer.assert(200, env!("CARGO_PKG_VERSION"), "version");
    assert_eq!(answer.header("content-type").as_deref(), Some("text/plain;charset=UTF-8"));
}

#[tokio::test]
async fn health_is_down_while_the_chain_is_out_of_reach() {
    let running = Running::start().await;
    for (fate, status, body) in [
        (Fate::Answered, 200, r#"{"status":"UP"}"#),
        (Fate::OutOfReach, 503, r#"{"status":"DOWN"}"#),
        (Fate::Answered, 200, r#"{"status":"UP"}"#),
    ] {
        running.chain.set_fate(fate);
        let answer = running.get("/actuator/health").await;
        answer.assert(status, body, "health");
        assert_eq!(answer.header("content-type").as_deref(), Some(ACTUATOR_JSON));
        assert_eq!(running.head("/actuator/health").await, status);
    }
}

#[tokio::test]
async fn the_actuator_lists_its_links() {
    let running = Running::start().await;
    let answer = running.get("/actuator").await;
    assert_eq!((answer.status, answer.header("content-type").as_deref()), (200, Some(ACTUATOR_JSON)));
    let links: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(links["_links"]["health"]["href"], "http://sms.test/actuator/health");
    assert_eq!(links["_links"]["self"]["templated"], false);
}

#[tokio::test]
async fn the_counters_are_those_of_the_old_service() {
    let mut running = Running::start().await;
    let asset = address("0xabcdefabcdefabcdefabcdefabcdefabcdefabcd");
    running.chain.register(AssetKind::App, asset, wallet(1).address());
    let app = Request::new("POST", "/apps/0xabcdefabcdefabcdefabcdefabcdefabcdefabcd/secrets")
        .header("Authorization", &signed(&wallet(1), challenge::push_app_secret(asset, &value("x"))))
        .body("x");
    assert_eq!(running.send(&app).await.status, 204);
    let owner = wallet(1).address();
    let account = Request::new("POST", &format!("/secrets/web2?ownerAddress={owner}&secretName=n"))
        .header("Authorization", &signed(&wallet(1), challenge::push_account_secret(owner, "n", &value("x"))))
        .body("x");
    assert_eq!(running.send(&account).await.status, 204);

    assert_eq!(counters(&running).await, expected([(0, 0, 1), (0, 0, 0), (0, 0, 1)]), "not counted again yet");
    let prometheus = running.get("/actuator/prometheus").await;
    assert_eq!(prometheus.header("content-type").as_deref(), Some("text/plain;version=0.0.4;charset=utf-8"));
    for line in [
        r#"strongroom_secrets_added_total{kind="app"} 1"#,
        r#"strongroom_secrets_added_total{kind="dataset"} 0"#,
        r#"strongroom_secrets_stored{kind="account"} 0"#,
        r#"strongroom_http_request_seconds_count{method="POST",route="/secrets/web2",status="204"} 1"#,
    ] {
        assert!(prometheus.body.lines().any(|found| found == line), "{line} is not in {}", prometheus.body);
    }

    running.restart().await;
    assert_eq!(counters(&running).await, expected([(1, 1, 0), (0, 0, 0), (1, 1, 0)]), "counted at the start");
}

async fn counters(running: &Running) -> serde_json::Value {
    let answer = running.get("/metrics").await;
    assert_eq!((answer.status, answer.header("content-type").as_deref()), (200, Some("application/json")));
    serde_json::from_str(&answer.body).unwrap()
}

/// Initial, stored, added of web2, web3 and compute.
fn expected([web2, web3, compute]: [(i64, i64, u64); 3]) -> serde_json::Value {
    let one = |name: &str, (initial, stored, added): (i64, i64, u64)| {
        serde_json::json!({
            "secretsType": name, "initialCount": initial, "storedCount": stored, "addedSinceStartCount": added,
            "cachedSecretsCount": 0,
        })
    };
    serde_json::json!({ "secretsMetrics": {
        "web2": one("web2", web2),
        "web3": one("web3", web3),
        "compute": one("compute", compute),
        "TEE challenges": one("TEE challenges", (0, 0, 0)),
        "Ethereum Credentials": one("Ethereum Credentials", (0, 0, 0)),
    }})
}

#[tokio::test]
async fn paths_and_methods_that_clients_make_up_do_not_fill_the_counters() {
    let running = Running::start().await;
    for name in ["a", "b", "c"] {
        running.get(&format!("/nowhere/{name}")).await;
        running.send(&Request::new(&format!("MADEUP{}", name.to_uppercase()), "/version")).await;
    }
    let text = running.get("/actuator/prometheus").await.body;
    assert!(!text.contains("nowhere") && !text.contains("MADEUP"), "{text}");
    assert!(text.contains(r#"strongroom_http_request_seconds_count{method="GET",route="(none)",status="404"} 3"#));
    assert!(text.contains(r#"strongroom_http_request_seconds_count{method="other",route="/version",status="405"} 3"#));
}
