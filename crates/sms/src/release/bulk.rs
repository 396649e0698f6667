//! The dataset orders of a task whose deal names a list of datasets: fetched by content id, verified, bounded, read strictly.
//!
//! The list is a JSON array of content ids, one for each task of the deal; behind each is a slice, a JSON array of signed
//! dataset orders. What cannot be fetched is trouble, to be asked again; what is authentic and cannot be read never will be,
//! and refuses the session. Nothing here judges orders: the hub and the decision do.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use strongroom_content::cid::Cid;
use strongroom_poco::{MAX_BULK_ORDERS, MAX_ORDER_SIGNATURE_BYTES};
use strongroom_protocol::snapshot::BulkOrder;
use strongroom_protocol::{Address, B256, address};
use url::Url;

use crate::owners::BoxFuture;

/// Largest list: room for the ids of some 65,000 tasks.
const MAX_LIST_BYTES: usize = 4 << 20;
/// Largest slice: room for [`MAX_BULK_ORDERS`] orders with the longest signatures.
const MAX_SLICE_BYTES: usize = 512 << 10;
/// How much verified content is kept at hand.
const MAX_KEPT_BYTES: usize = 16 << 20;

/// Content could not be fetched; asking again may help.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// No gateway is configured.
    #[error("this service has no IPFS gateway, so the list of datasets cannot be fetched; ask its operator")]
    NoGateway,
    /// The gateway did not answer, or not with the content.
    #[error("the list of datasets could not be fetched; try again later")]
    Unreachable(#[source] reqwest::Error),
    /// The gateway has no such content, or says so.
    #[error("the IPFS gateway answers with status {0} for the list of datasets; try again later")]
    Status(u16),
    /// More bytes than such content may have.
    #[error("the IPFS gateway sends more than the {0} bytes that a list of datasets may have")]
    TooLarge(usize),
    /// The bytes are not those of the content id.
    #[error("the IPFS gateway sent other content than was asked for; try again later")]
    OtherContent,
}

/// Fetches content by its id. Implemented by [`IpfsGateway`] and by the fakes of the tests.
pub trait FetchContent: Send + Sync {
    /// The bytes behind `id`, at most `limit` of them, verified against the id by the caller.
    fn fetch<'a>(&'a self, id: &'a str, limit: usize) -> BoxFuture<'a, Result<Vec<u8>, FetchError>>;
}

/// A gateway of IPFS, which is not believed: whatever it sends is verified.
pub struct IpfsGateway {
    http: reqwest::Client,
    base: Option<Url>,
}

impl IpfsGateway {
    /// The gateway at `base`; without one every fetch fails.
    pub fn new(base: Option<Url>, timeout: Duration) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder().no_proxy().timeout(timeout);
        Ok(Self { http: http.redirect(reqwest::redirect::Policy::limited(3)).build()?, base })
    }
}

impl FetchContent for IpfsGateway {
    fn fetch<'a>(&'a self, id: &'a str, limit: usize) -> BoxFuture<'a, Result<Vec<u8>, FetchError>> {
        Box::pin(async move {
            let mut url = self.base.clone().ok_or(FetchError::NoGateway)?;
            url.set_path(&format!("{}/ipfs/{id}", url.path().trim_end_matches('/')));
            let mut answer = self.http.get(url).send().await.map_err(FetchError::Unreachable)?;
            if !answer.status().is_success() {
                return Err(FetchError::Status(answer.status().as_u16()));
            }
            let mut content = Vec::new();
            while let Some(chunk) = answer.chunk().await.map_err(FetchError::Unreachable)? {
                if content.len() + chunk.len() > limit {
                    return Err(FetchError::TooLarge(limit));
                }
                content.extend_from_slice(&chunk);
            }
            Ok(content)
        })
    }
}

/// Reads the lists of deals, and keeps what was verified: the content of an id never changes.
pub(crate) struct BulkLists {
    content: Arc<dyn FetchContent>,
    kept: Mutex<HashMap<String, Arc<[u8]>>>,
}

impl BulkLists {
    pub(crate) fn new(content: Arc<dyn FetchContent>) -> Self {
        Self { content, kept: Mutex::default() }
    }

    /// The orders of the slice for the task `index` in the list `id`, or why they can never be read.
    pub(crate) async fn orders(&self, id: &str, index: u64) -> Result<Result<Vec<BulkOrder>, String>, FetchError> {
        let list = match self.content(id, MAX_LIST_BYTES).await? {
            Err(reason) => return Ok(Err(reason)),
            Ok(list) => list,
        };
        let slice = match read_list(&list, index) {
            Err(reason) => return Ok(Err(reason)),
            Ok(slice) => slice,
        };
        Ok(match self.content(&slice, MAX_SLICE_BYTES).await? {
            Err(reason) => Err(reason),
            Ok(slice) => read_slice(&slice),
        })
    }

    /// The verified content of `id`, or why there can never be any.
    async fn content(&self, id: &str, limit: usize) -> Result<Result<Arc<[u8]>, String>, FetchError> {
        let cid: Cid = match id.parse() {
            Ok(cid) => cid,
            Err(error) => return Ok(Err(format!("{id:?} is no content id: {error}"))),
        };
        if let Some(kept) = self.kept().get(id) {
            return Ok(Ok(Arc::clone(kept)));
        }
        let fetched = self.content.fetch(id, limit).await?;
        // Up to a few megabytes are hashed.
        let judged = tokio::task::spawn_blocking(move || cid.matches(&fetched).then_some(fetched));
        let Ok(Some(fetched)) = judged.await else { return Err(FetchError::OtherContent) };
        let fetched: Arc<[u8]> = fetched.into();
        let mut kept = self.kept();
        if kept.values().map(|content| content.len()).sum::<usize>() + fetched.len() > MAX_KEPT_BYTES {
            kept.clear();
        }
        kept.insert(id.to_owned(), Arc::clone(&fetched));
        Ok(Ok(fetched))
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<[u8]>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The content id of the slice of task `index`.
fn read_list(list: &[u8], index: u64) -> Result<String, String> {
    let ids: Vec<String> =
        serde_json::from_slice(list).map_err(|error| format!("it is no JSON array of content ids: {error}"))?;
    let slices = ids.len();
    let place = usize::try_from(index).unwrap_or(usize::MAX);
    ids.into_iter().nth(place).ok_or_else(|| format!("it has {slices} slices, none for task number {index}"))
}

/// A dataset order as the market writes it. An unknown member may be a restriction that we do not know, so it is refused.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OrderText {
    dataset: String,
    datasetprice: Value,
    volume: Value,
    tag: String,
    apprestrict: String,
    workerpoolrestrict: String,
    requesterrestrict: String,
    salt: String,
    sign: String,
}

fn read_slice(slice: &[u8]) -> Result<Vec<BulkOrder>, String> {
    let orders: Vec<OrderText> = serde_json::from_slice(slice)
        .map_err(|error| format!("its slice is no JSON array of dataset orders: {error}"))?;
    if orders.len() > MAX_BULK_ORDERS {
        return Err(format!("its slice has {} orders, more than the {MAX_BULK_ORDERS} allowed", orders.len()));
    }
    let read = |(number, order): (usize, OrderText)| {
        read_order(order).map_err(|what| format!("order {number} of its slice has a malformed {what}"))
    };
    (1..).zip(orders).map(read).collect()
}

/// An order, or the name of the member that cannot be read.
fn read_order(order: OrderText) -> Result<BulkOrder, &'static str> {
    let wallet =
        |what, text: &str| -> Result<Address, &'static str> { address::parse_any_case(text).map_err(|_| what) };
    let word = |what, text: &str| -> Result<B256, &'static str> {
        let mut word = [0; 32];
        hex::decode_to_slice(text.strip_prefix("0x").ok_or(what)?, &mut word).map_err(|_| what)?;
        Ok(word.into())
    };
    let number = |what, value: &Value| match value {
        Value::String(text) => text.parse().map_err(|_| what),
        Value::Number(number) => number.to_string().parse().map_err(|_| what),
        _ => Err(what),
    };
    let signature = hex::decode(order.sign.strip_prefix("0x").ok_or("sign")?).map_err(|_| "sign")?;
    if signature.len() > MAX_ORDER_SIGNATURE_BYTES {
        return Err("sign");
    }
    Ok(BulkOrder {
        dataset: wallet("dataset", &order.dataset)?,
        price: number("datasetprice", &order.datasetprice)?,
        volume: number("volume", &order.volume)?,
        tag: word("tag", &order.tag)?,
        app_restrict: wallet("apprestrict", &order.apprestrict)?,
        workerpool_restrict: wallet("workerpoolrestrict", &order.workerpoolrestrict)?,
        requester_restrict: wallet("requesterrestrict", &order.requesterrestrict)?,
        salt: word("salt", &order.salt)?,
        signature,
        name: order.dataset,
    })
}
