//! The client of one order book.

use std::time::Duration;

use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::Eip712Domain;
use reqwest::header::AUTHORIZATION;
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use strongroom_poco::orders::{Order, Signed, domain};
use strongroom_protocol::SigningKey;
use strongroom_protocol::address::checksummed;
use url::Url;

use crate::login::LoginChallenge;

/// Largest answer that is read, in bytes: a page of the largest orders.
const MAX_ANSWER_BYTES: usize = 16 << 20;
/// Orders in one answer. More are not asked for: the best come first.
const PAGE_SIZE: usize = 100;
/// Longest message of a book that is repeated, in characters.
const MAX_MESSAGE: usize = 300;

/// Why an order book did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum MarketError {
    /// No client could be made, for want of certificates of the system.
    #[error("cannot prepare the connection to the order book")]
    Client(#[source] reqwest::Error),
    /// No connection or no answer.
    #[error("the order book at {market} does not answer")]
    Unreachable {
        /// Its root.
        market: Url,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// It says no, in its own words.
    #[error("the order book refuses: {message}")]
    Refused {
        /// What it says.
        message: String,
    },
    /// It has trouble of its own.
    #[error("the order book at {market} has trouble (status {status}): {message}")]
    Trouble {
        /// Its root.
        market: Url,
        /// The status of its answer.
        status: u16,
        /// What it says.
        message: String,
    },
    /// What answers is no order book, or one of another network.
    #[error("what answers at {market} is no order book of this network: {what}")]
    NotABook {
        /// Its root.
        market: Url,
        /// What is wrong.
        what: &'static str,
    },
}

impl MarketError {
    /// Whether asking again may help without anybody's doing.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Trouble { .. })
    }
}

/// An order as the book has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published<O> {
    /// Its hash, which was computed here.
    pub hash: B256,
    /// The order with its signature.
    pub order: Signed<O>,
    /// What is left of it, as the book believes.
    pub remaining: U256,
    /// `open`, `filled`, `canceled` or `dead`, as the book believes.
    pub status: String,
    /// When it was published, as the book says.
    pub published: String,
}

/// What orders to look for. Restrictions that are not mentioned must not be there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search(Vec<(&'static str, String)>);

impl Search {
    /// With this address at `name`: `app`, `dataset`, `workerpool`, `requester`, `appOwner`, …
    #[must_use]
    pub fn with(mut self, name: &'static str, address: Address) -> Self {
        self.0.push((name, checksummed(&address)));
        self
    }

    /// As [`Self::with`], unless the address is zero.
    #[must_use]
    pub fn with_some(self, name: &'static str, address: Address) -> Self {
        if address.is_zero() { self } else { self.with(name, address) }
    }

    /// Whatever stands at `name`.
    #[must_use]
    pub fn with_any(mut self, name: &'static str) -> Self {
        self.0.push((name, "any".to_owned()));
        self
    }

    /// With this number at `name`: `category`, `minTrust`, `minVolume`.
    #[must_use]
    pub fn with_number(mut self, name: &'static str, number: u64) -> Self {
        self.0.push((name, number.to_string()));
        self
    }

    /// With this word at `name`: `minTag`, `maxTag`, or the hash of an order.
    #[must_use]
    pub fn with_word(mut self, name: &'static str, word: B256) -> Self {
        self.0.push((name, format!("{word:#x}")));
        self
    }
}

/// One order book.
#[derive(Clone, Debug)]
pub struct Market {
    root: Url,
    chain_id: u64,
    domain: Eip712Domain,
    http: Client,
}

/// An order in an answer.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    order_hash: B256,
    order: Value,
    #[serde(default)]
    remaining: Value,
    #[serde(default)]
    status: String,
    #[serde(default)]
    publication_timestamp: String,
}

impl Market {
    /// The book at `root`, for orders of the hub on this chain. Nothing is asked yet. Redirections are not followed, no proxy is used.
    /// The process must have a default provider of cryptography for TLS.
    pub fn new(root: Url, chain_id: u64, hub: Address, timeout: Duration) -> Result<Self, MarketError> {
        let http = Client::builder().timeout(timeout).no_proxy().redirect(reqwest::redirect::Policy::none()).build();
        Ok(Self { root, chain_id, domain: domain(chain_id, hub), http: http.map_err(MarketError::Client)? })
    }

    /// Its root.
    pub fn root(&self) -> &Url {
        &self.root
    }

    /// Publishes an order; `key` is that of who signed it. Gives its hash.
    pub async fn publish<O: Order>(&self, order: &Signed<O>, key: &SigningKey) -> Result<B256, MarketError> {
        let authorization = self.log_in(key).await?;
        let request = self.request(Method::POST, &path::<O>()).header(AUTHORIZATION, authorization);
        let answer = self.ask(request.json(&json!({ "order": order }))).await?;
        let hash = answer["published"]["orderHash"].as_str().and_then(|hash| hash.parse().ok());
        match hash {
            Some(hash) if hash == order.order.hash(&self.domain) => Ok(hash),
            _ => Err(self.strange("it published another order than it was given")),
        }
    }

    /// Takes an order out; `key` is that of who signed it. The signature stays good until it is revoked on chain.
    pub async fn unpublish<O: Order>(&self, hash: B256, key: &SigningKey) -> Result<(), MarketError> {
        let authorization = self.log_in(key).await?;
        let request = self.request(Method::PUT, &path::<O>()).header(AUTHORIZATION, authorization);
        let body = json!({ "target": "unpublish_orderHash", "orderHash": hash });
        self.ask(request.json(&body)).await.map(drop)
    }

    /// The open orders that are looked for, the best first: the cheapest, of requests those that pay most. At most 100.
    pub async fn orders<O: Order>(&self, search: &Search) -> Result<Vec<Published<O>>, MarketError> {
        let size = ("pageSize", PAGE_SIZE.to_string());
        let request = self.request(Method::GET, &path::<O>()).query(&search.0).query(&[size]);
        let answer = self.ask(request).await?;
        let entries = Vec::<Entry>::deserialize(&answer["orders"]);
        let entries = entries.map_err(|_| self.strange("its list of orders cannot be read"))?;
        // One that cannot be read or has another hash is none.
        Ok(entries.into_iter().filter_map(|entry| self.published(entry)).collect())
    }

    /// One order; `None` when the book does not have it.
    pub async fn order<O: Order>(&self, hash: B256) -> Result<Option<Published<O>>, MarketError> {
        let request = self.request(Method::GET, &format!("{}/{hash:#x}", path::<O>()));
        let (status, answer) = self.exchange(request).await?;
        if status == StatusCode::NOT_FOUND && answer["ok"] == false {
            return Ok(None);
        }
        let answer = self.accepted(status, answer)?;
        let entry = Entry::deserialize(&answer).map_err(|_| self.strange("its order cannot be read"))?;
        Ok(self.published(entry).filter(|order| order.hash == hash))
    }

    /// Ids of the newest deals that are looked for, at most 100.
    pub async fn deals(&self, search: &Search) -> Result<Vec<B256>, MarketError> {
        let size = ("pageSize", PAGE_SIZE.to_string());
        let answer = self.ask(self.request(Method::GET, "deals").query(&search.0).query(&[size])).await?;
        let deals = answer["deals"].as_array().ok_or_else(|| self.strange("its list of deals cannot be read"))?;
        Ok(deals.iter().filter_map(|deal| deal["dealid"].as_str()?.parse().ok()).collect())
    }

    /// Whether an order book of this network answers.
    pub async fn check(&self) -> Result<(), MarketError> {
        let search = Search::default().with_number("minVolume", 1);
        self.orders::<strongroom_poco::orders::WorkerpoolOrder>(&search).await.map(drop)
    }

    fn published<O: Order>(&self, entry: Entry) -> Option<Published<O>> {
        let order: Signed<O> = serde_json::from_value(entry.order).ok()?;
        let hash = order.order.hash(&self.domain);
        let remaining = match &entry.remaining {
            Value::Number(number) => U256::from(number.as_u64()?),
            Value::String(digits) => digits.parse().ok()?,
            _ => order_volume(&order)?,
        };
        let (status, published) = (entry.status, entry.publication_timestamp);
        (hash == entry.order_hash).then_some(Published { hash, order, remaining, status, published })
    }

    /// Signs the text of the book. Only the text of this very kind of challenge is signed.
    async fn log_in(&self, key: &SigningKey) -> Result<String, MarketError> {
        let wallet = ("address", checksummed(&key.address()));
        let answer = self.ask(self.request(Method::GET, "challenge").query(&[wallet])).await?;
        let data = answer.get("data").unwrap_or(&answer);
        let challenge = LoginChallenge::from_typed_data(data);
        let challenge = challenge.map_err(|_| self.strange("its challenge is none of iExec Gateway"))?;
        if challenge.chain_id != self.chain_id {
            return Err(self.strange("its challenge is for another chain"));
        }
        Ok(challenge.authorization(key))
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let mut url = self.root.clone();
        // As the stock clients have it: a path of the root is dropped.
        url.set_path(path);
        self.http.request(method, url).query(&[("chainId", self.chain_id.to_string())])
    }

    async fn ask(&self, request: RequestBuilder) -> Result<Value, MarketError> {
        let (status, answer) = self.exchange(request).await?;
        self.accepted(status, answer)
    }

    async fn exchange(&self, request: RequestBuilder) -> Result<(StatusCode, Value), MarketError> {
        let unreachable = |source| MarketError::Unreachable { market: self.root.clone(), source };
        let mut response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(self.strange("its answer has no end"));
            }
            body.extend_from_slice(&chunk);
        }
        let answer = serde_json::from_slice(&body);
        if answer.is_err() && !status.is_server_error() {
            return Err(self.strange("its answer is not JSON"));
        }
        Ok((status, answer.unwrap_or_default()))
    }

    fn accepted(&self, status: StatusCode, answer: Value) -> Result<Value, MarketError> {
        if status.is_success() && answer["ok"] == true {
            return Ok(answer);
        }
        let said = answer["error"].as_str().unwrap_or("it gave no reason");
        let message: String = said.chars().filter(|c| !c.is_control()).take(MAX_MESSAGE).collect();
        if status.is_client_error() && answer["ok"] == false {
            return Err(MarketError::Refused { message });
        }
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return Err(MarketError::Trouble { market: self.root.clone(), status: status.as_u16(), message });
        }
        Err(self.strange("its answer is not one of the market API"))
    }

    fn strange(&self, what: &'static str) -> MarketError {
        MarketError::NotABook { market: self.root.clone(), what }
    }
}

fn path<O: Order>() -> String {
    format!("{}orders", O::KIND)
}

fn order_volume<O: Order>(order: &Signed<O>) -> Option<U256> {
    order.order.to_json().get("volume")?.as_str()?.parse().ok()
}

#[cfg(test)]
mod tests;
