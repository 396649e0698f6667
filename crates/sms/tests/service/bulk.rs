//! Deals that name a list of datasets: fetched by content id, verified, read strictly; trouble is trouble and never emptiness.

use std::time::Duration;

use serde_json::{Value, json};
use strongroom_content::cid::{AddAs, Cid};
use strongroom_sms::release::bulk::{FetchContent as _, FetchError, IpfsGateway};

use super::fake_keeper::{FakeKeeper, Fate};
use super::raw_http::Answer;
use super::releasing::{DATASET, Releasing};

/// Of no content that the tests have.
const NOWHERE: &str = "QmUbh7ugQ9WVprTVYjzrCS4d9cCy73zUz4MMchsrqzzu1w";

fn id_of(content: &[u8]) -> String {
    Cid::of(content, AddAs::V0).unwrap().to_string()
}

/// A dataset order as the SDK writes it.
fn order() -> Value {
    let nobody = format!("0x{}", "00".repeat(20));
    json!({
        "dataset": DATASET,
        "datasetprice": "0",
        "volume": "9007199254740991",
        "tag": format!("0x{}", "00".repeat(32)),
        "apprestrict": nobody,
        "workerpoolrestrict": nobody,
        "requesterrestrict": nobody,
        "salt": format!("0x{}", "11".repeat(32)),
        "sign": format!("0x{}", "22".repeat(65)),
    })
}

/// A service whose one deal names this list, with its slices.
async fn with_list(list: &str, slices: &[String]) -> Releasing {
    let releasing = Releasing::start(|_| ()).await;
    {
        let mut by_id = releasing.content.by_id.lock().unwrap();
        for content in slices.iter().map(String::as_str).chain([list]) {
            by_id.insert(id_of(content.as_bytes()), content.into());
        }
    }
    name_list(&releasing, &id_of(list.as_bytes()));
    releasing
}

fn name_list(releasing: &Releasing, id: &str) {
    releasing.change(|shown| {
        shown.deal.dataset = None;
        shown.dataset = None;
        shown.deal.params = format!(r#"{{"bulk_cid":"{id}"}}"#);
    });
}

async fn with_slice(slice: &Value) -> Releasing {
    let slice = slice.to_string();
    with_list(&json!([id_of(slice.as_bytes())]).to_string(), &[slice]).await
}

#[track_caller]
fn assert_trouble(answer: &Answer) {
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
}

#[tokio::test]
async fn a_list_is_fetched_once_and_every_session_reads_its_own_slice() {
    let slice = json!([order()]).to_string();
    let list = json!([NOWHERE, id_of(slice.as_bytes())]).to_string();
    let releasing = with_list(&list, std::slice::from_ref(&slice)).await;
    assert_trouble(&releasing.session().await);
    releasing.be_task(1);
    for _ in 0..2 {
        assert_eq!(releasing.session().await.status, 200);
    }
    let expected = [id_of(list.as_bytes()), NOWHERE.to_owned(), id_of(slice.as_bytes())];
    assert_eq!(*releasing.content.fetched.lock().unwrap(), expected, "what was verified is kept");
}

#[tokio::test]
async fn a_list_that_cannot_be_fetched_is_trouble_and_makes_no_session() {
    let releasing = with_list("[]", &[]).await;
    name_list(&releasing, NOWHERE);
    assert_trouble(&releasing.session().await);
    assert_eq!(*releasing.content.fetched.lock().unwrap(), [NOWHERE]);
}

#[tokio::test]
async fn other_content_than_was_asked_for_is_trouble_and_asked_for_again() {
    let releasing = with_slice(&json!([order()])).await;
    let slice = json!([order()]).to_string();
    let id = id_of(slice.as_bytes());
    let forged = slice.replace("9007199254740991", "9007199254740990");
    releasing.content.by_id.lock().unwrap().insert(id.clone(), forged.into_bytes());
    assert_trouble(&releasing.session().await);
    releasing.content.by_id.lock().unwrap().insert(id, slice.into_bytes());
    assert_eq!(releasing.session().await.status, 200);
}

#[tokio::test]
async fn more_than_a_slice_may_have_is_not_kept_in_memory() {
    let releasing = with_slice(&json!(["x".repeat(600_000)])).await;
    assert_trouble(&releasing.session().await);
}

#[tokio::test]
async fn content_that_can_never_be_read_refuses_the_session_and_says_why() {
    let with = |name: &str, value: Value| {
        let mut changed = order();
        changed[name] = value;
        json!([changed])
    };
    for (slice, reason) in [
        (json!([]), "it holds no order"),
        (json!({}), "no JSON array of dataset orders"),
        (with("unknown", json!(1)), "unknown field"),
        (with("dataset", json!("0x12")), "order 1 of its slice has a malformed dataset"),
        (with("datasetprice", json!(-1)), "malformed datasetprice"),
        (with("volume", json!("1e9")), "malformed volume"),
        (with("volume", json!(true)), "malformed volume"),
        (with("sign", json!(format!("0x{}", "22".repeat(2000)))), "malformed sign"),
        (json!(vec![order(); 101]), "101 orders, more than the 100 allowed"),
    ] {
        let releasing = with_slice(&slice).await;
        Releasing::assert_refused(&releasing.session().await, "SECURE_SESSION_GENERATION_FAILED", reason);
    }
    for (list, reason) in [
        ("{}", "no JSON array of content ids"),
        ("[]", "0 slices, none for task number 0"),
        (r#"["../../etc"]"#, "is no content id"),
    ] {
        let releasing = with_list(list, &[]).await;
        Releasing::assert_refused(&releasing.session().await, "SECURE_SESSION_GENERATION_FAILED", reason);
    }
    let releasing = with_list("[]", &[]).await;
    name_list(&releasing, "https://elsewhere.example");
    Releasing::assert_refused(&releasing.session().await, "SECURE_SESSION_GENERATION_FAILED", "is no content id");
    assert!(releasing.content.fetched.lock().unwrap().is_empty(), "nothing is asked for by a name that is no id");
}

#[tokio::test]
async fn numbers_may_be_numbers_or_texts_and_the_rules_for_orders_hold() {
    for (name, value, refused) in [
        ("volume", json!(9_007_199_254_740_991_u64), None),
        ("volume", json!(5), Some("is limited to 5 uses")),
        ("datasetprice", json!(0), None),
        ("datasetprice", json!("7"), Some("has a price of 7 nRLC")),
        ("dataset", json!("0x2222222222222222222222222222222222222222"), Some("is not stored")),
    ] {
        let mut changed = order();
        changed[name] = value;
        let releasing = with_slice(&json!([changed])).await;
        let answer = releasing.session().await;
        match refused {
            None => assert_eq!(answer.status, 200, "{answer:?}"),
            Some(reason) => {
                let told = answer.header("strongroom-reason").unwrap_or_default();
                assert!(answer.status == 500 && told.contains(reason), "{answer:?} does not say {reason:?}");
            }
        }
    }
    let releasing = with_slice(&json!([order()])).await;
    *releasing.tasks.against_orders.lock().unwrap() = Some("App restriction not satisfied".to_owned());
    let answer = releasing.session().await;
    Releasing::assert_refused(&answer, "SECURE_SESSION_GENERATION_FAILED", "App restriction not satisfied");
}

#[tokio::test]
async fn a_gateway_is_asked_for_the_id_and_read_up_to_the_limit() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let server = FakeKeeper::start(Fate::Sends("content")).await;
    let gateway = |base| IpfsGateway::new(base, Duration::from_secs(10)).unwrap();
    let sending = gateway(Some(server.url().join("/base/").unwrap()));
    assert_eq!(sending.fetch(NOWHERE, 7).await.unwrap(), b"content");
    let (head, _) = server.only_request();
    assert!(head.starts_with(&format!("GET /base/ipfs/{NOWHERE} HTTP/1.1\r\n")), "{head}");
    assert!(matches!(sending.fetch(NOWHERE, 6).await, Err(FetchError::TooLarge(6))));
    let refusing = FakeKeeper::start(Fate::Answers(504)).await;
    assert!(matches!(gateway(Some(refusing.url())).fetch(NOWHERE, 7).await, Err(FetchError::Status(504))));
    assert!(matches!(gateway(None).fetch(NOWHERE, 7).await, Err(FetchError::NoGateway)));
}
