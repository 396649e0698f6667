//! Where the datasets of a bulk slice are, so that the relay lets the enclave go there. What the gateway says is not believed and
//! need not be: it only opens ways to public addresses; the enclave checks what it fetches.

use std::time::Duration;

use reqwest::Client;
use serde::Deserialize;
use strongroom_protocol::Address;
use strongroom_protocol::address::parse_any_case;
use url::Url;

use crate::outside::{Ledger, OutsideError, with_causes};

/// Longest wait for one answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Largest list of slices or slice, in bytes.
const MAX_LIST_BYTES: usize = 4 << 20;
/// Most datasets of a slice, as the network's SDK has it.
const MAX_DATASETS: usize = 100;

#[derive(Deserialize)]
struct Order {
    dataset: String,
}

/// The locations of the datasets in slice `index` of the list `cid`.
pub(super) async fn locations(
    gateways: &[Url],
    cid: &str,
    index: u64,
    ledger: &dyn Ledger,
) -> Result<Vec<String>, OutsideError> {
    let slices: Vec<String> = fetch(gateways, cid).await?;
    let Some(slice) = usize::try_from(index).ok().and_then(|index| slices.get(index)) else {
        // The SMS refuses the session, and says so.
        return Ok(Vec::new());
    };
    let orders: Vec<Order> = fetch(gateways, slice).await?;
    let mut locations = Vec::new();
    for order in orders.iter().take(MAX_DATASETS) {
        let Ok(dataset) = parse_any_case(&order.dataset) else { continue };
        locations.extend(location(ledger, dataset).await?);
    }
    Ok(locations)
}

async fn location(ledger: &dyn Ledger, dataset: Address) -> Result<Option<String>, OutsideError> {
    ledger.dataset_location(dataset).await
}

/// The JSON document behind a content id, from the first gateway that has it.
async fn fetch<T: for<'de> Deserialize<'de>>(gateways: &[Url], cid: &str) -> Result<T, OutsideError> {
    let mut last = "no IPFS gateway is configured; set results.gateways".to_owned();
    if cid.is_empty() || !cid.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(OutsideError::Trouble("the list of datasets has no content id".to_owned()));
    }
    for gateway in gateways {
        match fetch_from(gateway, cid).await {
            Ok(document) => return Ok(document),
            Err(error) => last = error,
        }
    }
    Err(OutsideError::Trouble(format!("list of datasets {cid}: {last}")))
}

async fn fetch_from<T: for<'de> Deserialize<'de>>(gateway: &Url, cid: &str) -> Result<T, String> {
    let failed = |error: reqwest::Error| with_causes(&error.without_url());
    let mut url = gateway.clone();
    url.set_path(&format!("/ipfs/{cid}"));
    let http = Client::builder().timeout(TIMEOUT).no_proxy().build().map_err(failed)?;
    let mut answer = http.get(url).send().await.and_then(reqwest::Response::error_for_status).map_err(failed)?;
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(failed)? {
        if body.len() + chunk.len() > MAX_LIST_BYTES {
            return Err("it is too large".to_owned());
        }
        body.extend_from_slice(&chunk);
    }
    serde_json::from_slice(&body).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::extract::Path;
    use axum::http::StatusCode;
    use axum::routing::get;

    use super::*;
    use crate::test_support::OneDeal;

    async fn gateway() -> Url {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        let documents = |Path(cid): Path<String>| async move {
            match cid.as_str() {
                "QmList" => Ok(r#"["QmFirst","QmSecond"]"#),
                "QmSecond" => {
                    Ok(r#"[{"dataset":"0x1111111111111111111111111111111111111111","price":0},{"dataset":"nonsense"}]"#)
                }
                _ => Err(StatusCode::NOT_FOUND),
            }
        };
        let router = Router::new().route("/ipfs/{cid}", get(documents));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        url
    }

    #[tokio::test]
    async fn the_locations_of_a_slice_are_found_and_trouble_is_told() {
        let (ledger, gateways) = (OneDeal(Address::ZERO), [gateway().await]);
        let found = locations(&gateways, "QmList", 1, &ledger).await.unwrap();
        assert_eq!(found, ["https://data.example/0x1111111111111111111111111111111111111111"]);
        assert_eq!(locations(&gateways, "QmList", 2, &ledger).await.unwrap(), [""; 0]);
        for (gateways, cid) in [(&gateways[..], "QmList"), (&gateways[..], "../x"), (&[], "QmList")] {
            let index = u64::from(gateways.is_empty());
            assert!(matches!(locations(gateways, cid, index, &ledger).await, Err(OutsideError::Trouble(_))));
        }
    }
}
