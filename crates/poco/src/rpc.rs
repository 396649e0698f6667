//! One question to one node: JSON-RPC over HTTP, with a time-out and a bounded answer. And the few questions we ask.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use alloy_primitives::{Address, B256, U64};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use serde::Deserialize;
use serde_json::{Value, json};
use strongroom_protocol::UnixSeconds;
use strongroom_protocol::snapshot::Block;
use url::Url;

use crate::config::{ChainConfigError, label};
use crate::error::Fault;
use crate::reader::{self, Reading, Step};

/// The largest answer we read. A deal holds a text of at most some 100 kB, doubled by hexadecimal.
const MAX_ANSWER_BYTES: usize = 4 << 20;

/// Where our reading program runs: keccak256("strongroom reader"), last 20 bytes. Nobody has a key for it.
pub(crate) const READER: Address = alloy_primitives::address!("6c564f87820bb74226b38d6c03c624446255c02d");

/// Sender of our calls; Arbitrum nodes want one. It needs no money.
const CALLER: Address = alloy_primitives::address!("0000000000000000000000000000000000057206");

/// Gas of one reading: below the limit of a transaction (EIP-7825) and of all nodes, far above the 1 to 4 million we use.
const READ_GAS: u64 = 16_000_000;

/// Something we ask nodes. `Answer`s of different nodes can be compared.
pub(crate) trait Question: Clone + Send + Sync + 'static {
    type Answer: Clone + PartialEq + Send + 'static;
    const METHOD: &'static str;
    fn params(&self) -> Value;
    /// Reads the `result` member. Whatever is not an answer to this question is a fault of the endpoint.
    fn read(&self, result: Value) -> Result<Self::Answer, Fault>;
    /// What an `error` member means as an answer, for questions to which a node may say no: a call that reverts.
    fn read_refusal(&self, _refusal: &Refusal) -> Option<Self::Answer> {
        None
    }
}

/// The id of the chain.
#[derive(Clone)]
pub(crate) struct ChainId;

impl Question for ChainId {
    type Answer = u64;
    const METHOD: &'static str = "eth_chainId";

    fn params(&self) -> Value {
        json!([])
    }

    fn read(&self, result: Value) -> Result<u64, Fault> {
        let id: U64 = serde_json::from_value(result).map_err(|_| Fault::Unreadable { expected: "a chain id" })?;
        Ok(id.to())
    }
}

/// The newest block, or the block of a height, which must not be below `at_least`.
#[derive(Clone)]
pub(crate) struct BlockAt {
    pub(crate) number: Option<u64>,
    pub(crate) at_least: u64,
}

impl Question for BlockAt {
    type Answer = Block;
    const METHOD: &'static str = "eth_getBlockByNumber";

    fn params(&self) -> Value {
        let which = self.number.map_or_else(|| "latest".to_owned(), |number| format!("{number:#x}"));
        json!([which, false])
    }

    fn read(&self, result: Value) -> Result<Block, Fault> {
        #[derive(Deserialize)]
        struct Header {
            number: U64,
            hash: B256,
            timestamp: U64,
        }
        let header: Header = serde_json::from_value(result).map_err(|_| Fault::Unreadable { expected: "a block" })?;
        let number: u64 = header.number.to();
        if number < self.at_least {
            return Err(Fault::Behind { found: number, known: self.at_least });
        }
        if self.number.is_some_and(|asked| asked != number) {
            return Err(Fault::Unreadable { expected: "the block asked for" });
        }
        Ok(Block { number, hash: header.hash, time: UnixSeconds(header.timestamp.to()) })
    }
}

/// What contracts say at one block: a program of [`reader`].
#[derive(Clone)]
pub(crate) struct ReadContracts {
    chain_id: u64,
    block: B256,
    code: String,
    steps: usize,
}

impl ReadContracts {
    pub(crate) fn new(chain_id: u64, block: B256, steps: &[Step]) -> Self {
        let code = format!("0x{}", hex::encode(reader::compile(steps)));
        Self { chain_id, block, code, steps: steps.len() }
    }
}

impl Question for ReadContracts {
    type Answer = Reading;
    const METHOD: &'static str = "eth_call";

    fn params(&self) -> Value {
        let reader = format!("{READER:#x}");
        json!([
            { "from": format!("{CALLER:#x}"), "to": reader, "gas": format!("{READ_GAS:#x}"), "input": "0x" },
            { "blockHash": self.block, "requireCanonical": true },
            { reader: { "code": self.code } },
        ])
    }

    fn read(&self, result: Value) -> Result<Reading, Fault> {
        let expected = Fault::Unreadable { expected: "bytes" };
        let Some(digits) = result.as_str().and_then(|text| text.strip_prefix("0x")) else { return Err(expected) };
        let output = hex::decode(digits).map_err(|_| expected)?;
        let reading = reader::decode(&output, self.steps)?;
        if reading.chain_id != self.chain_id {
            return Err(Fault::OtherChain { expected: self.chain_id, found: reading.chain_id });
        }
        Ok(reading)
    }
}

/// Makes the HTTP client that all endpoints share. It follows no redirects and asks no environment for a proxy; it trusts
/// the certificates that the system trusts, which are loaded only when an endpoint needs them.
pub(crate) fn client(endpoints: &[Url], connect_timeout: Duration) -> Result<reqwest::Client, ChainConfigError> {
    use rustls_platform_verifier::BuilderVerifierExt;

    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let setup = |error: rustls::Error| ChainConfigError::Client(Box::new(error));
    let tls =
        rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(setup)?;
    let tls = if endpoints.iter().any(|endpoint| endpoint.scheme() == "https") {
        tls.with_platform_verifier().map_err(setup)?.with_no_client_auth()
    } else {
        tls.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth()
    };
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(connect_timeout)
        .build()
        .map_err(|error| ChainConfigError::Client(Box::new(error)))
}

/// One node. Its `Debug` form is its label.
pub(crate) struct Node {
    client: reqwest::Client,
    url: Url,
    pub(crate) label: String,
    timeout: Duration,
    next_id: AtomicU64,
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Node({})", self.label)
    }
}

#[derive(Deserialize)]
struct Response {
    id: Value,
    #[serde(default, deserialize_with = "present")]
    result: Option<Value>,
    error: Option<Refusal>,
}

/// The `error` member of an answer.
#[derive(Debug, Deserialize)]
pub(crate) struct Refusal {
    pub(crate) code: i64,
    pub(crate) message: String,
    /// What a reverted call returned, mostly.
    #[serde(default)]
    pub(crate) data: Value,
}

/// Tells `"result": null` from no result at all.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

impl Node {
    pub(crate) fn new(client: reqwest::Client, url: Url, timeout: Duration) -> Self {
        Self { label: label(&url), client, url, timeout, next_id: AtomicU64::new(1) }
    }

    /// Asks once.
    pub(crate) async fn ask<Q: Question>(&self, question: &Q) -> Result<Q::Answer, Fault> {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let request = json!({ "jsonrpc": "2.0", "id": id, "method": Q::METHOD, "params": question.params() });
        let body = tokio::time::timeout(self.timeout, self.post(request.to_string()))
            .await
            .map_err(|_| Fault::TimedOut { limit: self.timeout })??;
        let response: Response = serde_json::from_slice(&body)
            .map_err(|error| if error.is_data() { Fault::NotRpc } else { Fault::NotJson(error) })?;
        match response {
            Response { error: Some(refusal), .. } => question.read_refusal(&refusal).ok_or_else(|| {
                let Refusal { code, message, .. } = refusal;
                Fault::Refused { code, message: message.chars().take(200).collect() }
            }),
            Response { id: answered, result: Some(result), .. } if answered == id => question.read(result),
            _ => Err(Fault::NotRpc),
        }
    }

    async fn post(&self, body: String) -> Result<Vec<u8>, Fault> {
        let broken = |error: reqwest::Error| Fault::Connection(error.without_url());
        let mut response = self
            .client
            .post(self.url.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(body)
            .send()
            .await
            .map_err(broken)?;
        if response.status() != reqwest::StatusCode::OK {
            return Err(Fault::Status(response.status().as_u16()));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(broken)? {
            if bytes.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(Fault::TooLarge { limit: MAX_ANSWER_BYTES });
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reader_runs_where_nobody_has_a_key() {
        assert_eq!(READER.as_slice(), &alloy_primitives::keccak256("strongroom reader")[12..]);
    }
}
