//! A JSON-RPC node: calls, signed transactions, and the few methods that only development chains have.
//!
//! Receipts are asked for by transaction hash at short intervals, never awaited with the next block: on a chain that makes
//! blocks only for transactions, the next block may never come.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use alloy::consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy::eips::eip2718::Encodable2718;
use alloy::network::Ethereum;
use alloy::providers::{Provider, RootProvider};
use alloy::rpc::client::RpcClient;
use alloy::rpc::types::{TransactionInput, TransactionReceipt, TransactionRequest};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use alloy::transports::TransportError;
use alloy::transports::http::Http;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, hex};
use alloy_sol_types::{SolCall, SolEvent};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::time::{Instant, sleep};

/// How long a receipt is waited for. Blocks of a development chain come each second or faster.
const RECEIPT_PATIENCE: Duration = Duration::from_mins(2);

/// How long a transaction that is next of its account may lie idle until it is replaced by one that offers more.
///
/// anvil reads the nonce of the account, and then puts the transaction into its pool. When the transaction before is mined between the
/// two, the new one waits for it for ever: the pool does not look at the account again. A replacement is seen with fresh eyes.
const IDLE_PATIENCE: Duration = Duration::from_secs(5);
/// A replacement offers twice as much as the one before, up to two to this power of the first.
const MOST_DOUBLINGS: usize = 6;

/// Why a node did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The address is not one of plain HTTP. Local networks need no TLS.
    #[error("`{url}` is not an address of a local node; write it like http://127.0.0.1:8545")]
    Url {
        /// What was given.
        url: String,
    },
    /// No HTTP client could be made.
    #[error("the HTTP client could not be made")]
    Client(#[source] reqwest::Error),
    /// No answer, or an error as answer: the node is down, or the contract refuses.
    #[error("{what} failed: {source}")]
    Rpc {
        /// What was asked.
        what: String,
        /// What came instead of an answer. It has the reason when the contract gave one.
        #[source]
        source: TransportError,
    },
    /// The answer is not what the contract's interface promises, mostly because another contract or none is there.
    #[error("{what} gave an answer that cannot be read; is this the right contract?")]
    Answer {
        /// What was asked.
        what: String,
        /// Why it cannot be read.
        #[source]
        source: alloy_sol_types::Error,
    },
    /// A transaction is in a block and was reverted.
    #[error("{what} was reverted in transaction {transaction}")]
    Reverted {
        /// What the transaction was for.
        what: String,
        /// Its hash.
        transaction: B256,
    },
    /// A transaction was sent and is in no block.
    #[error("{what}: no receipt of transaction {transaction} after {} s", RECEIPT_PATIENCE.as_secs())]
    NoReceipt {
        /// What the transaction was for.
        what: String,
        /// Its hash.
        transaction: B256,
    },
    /// A transaction went well but its event is not there.
    #[error("{what} emitted no {event}; is this the right contract?")]
    NoEvent {
        /// What the transaction was for.
        what: String,
        /// Signature of the event.
        event: &'static str,
    },
    /// The key could not sign.
    #[error("signing failed")]
    Sign(#[source] alloy::signers::Error),
}

/// A transaction that is still to be signed.
#[derive(Clone, Debug)]
pub struct Unsent {
    /// What it is for, in words, for error messages.
    pub what: String,
    /// A contract, or a creation.
    pub to: TxKind,
    /// The call, or the code of the new contract with its arguments.
    pub input: Bytes,
    /// Most gas it may take.
    pub gas: u64,
}

/// What is needed of a block to make transactions for the next one.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LatestBlock {
    base_fee_per_gas: U256,
    gas_limit: U256,
}

/// A node. It belongs to the asynchronous runtime in which it is used first: a test makes its own.
#[derive(Clone, Debug)]
pub struct Node {
    provider: RootProvider<Ethereum>,
    url: String,
}

impl Node {
    /// A node at an address that begins with `http://`. Nothing is sent yet.
    pub fn new(url: &str) -> Result<Self, NodeError> {
        let bad = || NodeError::Url { url: url.to_owned() };
        let parsed: reqwest::Url = url.parse().map_err(|_| bad())?;
        if parsed.scheme() != "http" {
            return Err(bad());
        }
        let client = client_without_tls().map_err(NodeError::Client)?;
        let client = RpcClient::new(Http::with_client(client, parsed), true);
        Ok(Self { provider: RootProvider::new(client), url: url.to_owned() })
    }

    /// Its address.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Sends any request.
    pub async fn request<P, R>(&self, method: &'static str, params: P) -> Result<R, NodeError>
    where
        P: Serialize + Clone + fmt::Debug + Send + Sync + Unpin + 'static,
        R: DeserializeOwned + fmt::Debug + Send + Sync + Unpin + 'static,
    {
        self.provider
            .raw_request(Cow::Borrowed(method), params)
            .await
            .map_err(|source| NodeError::Rpc { what: method.to_owned(), source })
    }

    /// The chain id.
    pub async fn chain_id(&self) -> Result<u64, NodeError> {
        Ok(self.request::<_, U256>("eth_chainId", ()).await?.saturating_to())
    }

    /// The code of a contract; empty when there is none.
    pub async fn code(&self, address: Address) -> Result<Bytes, NodeError> {
        self.request("eth_getCode", (address, "latest")).await
    }

    /// Calls a function of a contract without a transaction, at the latest block.
    pub async fn call<C: SolCall>(&self, to: Address, call: &C) -> Result<C::Return, NodeError> {
        let what = || format!("{} of {to}", C::SIGNATURE);
        let request = TransactionRequest {
            to: Some(to.into()),
            input: TransactionInput::new(call.abi_encode().into()),
            ..Default::default()
        };
        let answer: Bytes = self
            .provider
            .raw_request("eth_call".into(), (request, "latest"))
            .await
            .map_err(|source| NodeError::Rpc { what: what(), source })?;
        C::abi_decode_returns(&answer).map_err(|source| NodeError::Answer { what: what(), source })
    }

    /// Sends a call as a transaction and waits for its receipt. Two at once from the same account would get the same
    /// nonce: send them one after the other.
    pub async fn send<C: SolCall>(
        &self,
        from: &PrivateKeySigner,
        to: Address,
        call: &C,
    ) -> Result<TransactionReceipt, NodeError> {
        let what = format!("{} of {to}", C::SIGNATURE);
        let input = Bytes::from(call.abi_encode());
        let request = TransactionRequest {
            from: Some(from.address()),
            to: Some(to.into()),
            input: TransactionInput::new(input.clone()),
            ..Default::default()
        };
        let gas: U256 = self
            .provider
            .raw_request("eth_estimateGas".into(), (request,))
            .await
            .map_err(|source| NodeError::Rpc { what: what.clone(), source })?;
        // Calls between contracts keep back a 64th of the gas, so the estimate can be a little short.
        let gas = gas.saturating_to::<u64>() / 4 * 5;
        let unsent = Unsent { what: what.clone(), to: to.into(), input, gas };
        let receipts = self.send_all(from, vec![unsent]).await?;
        receipts.into_iter().next().ok_or(NodeError::NoEvent { what, event: "receipt" })
    }

    /// Sends transactions in this order, as many at once as a block has room for, and waits for all the receipts.
    pub async fn send_all(
        &self,
        from: &PrivateKeySigner,
        transactions: Vec<Unsent>,
    ) -> Result<Vec<TransactionReceipt>, NodeError> {
        let chain_id = self.chain_id().await?;
        let latest: LatestBlock = self.request("eth_getBlockByNumber", ("latest", false)).await?;
        let base_fee = latest.base_fee_per_gas.saturating_to::<u128>();
        let room = latest.gas_limit.saturating_to::<u64>();
        let first_nonce = self.next_nonce(from.address()).await?;
        let account = Sender { key: from, chain_id, max_fee: base_fee.saturating_mul(4) + 1 }; // it grows by an eighth with each full block
        let mut waiting = Vec::new();
        let mut waiting_gas = 0;
        let mut receipts = Vec::with_capacity(transactions.len());
        for (nonce, unsent) in (first_nonce..).zip(transactions) {
            // anvil drops a transaction when an earlier one of the same account does not fit into the block any more.
            if waiting_gas + unsent.gas > room {
                receipts.extend(self.receipts(&account, &mut waiting).await?);
                waiting_gas = 0;
            }
            waiting_gas += unsent.gas;
            let hash = self.submit(&account, &unsent, nonce, 1).await?;
            waiting.push(Waiting { unsent, nonce, hashes: vec![hash] });
        }
        receipts.extend(self.receipts(&account, &mut waiting).await?);
        Ok(receipts)
    }

    /// Signs a transaction that offers `times` the usual, and sends it.
    async fn submit(&self, sender: &Sender<'_>, unsent: &Unsent, nonce: u64, times: u128) -> Result<B256, NodeError> {
        let raw = sender.sign(unsent, nonce, times)?;
        self.provider
            .raw_request("eth_sendRawTransaction".into(), (hex::encode_prefixed(raw),))
            .await
            .map_err(|source| NodeError::Rpc { what: unsent.what.clone(), source })
    }

    /// The nonce of the next transaction of an account.
    pub async fn next_nonce(&self, account: Address) -> Result<u64, NodeError> {
        Ok(self.request::<_, U256>("eth_getTransactionCount", (account, "pending")).await?.saturating_to())
    }

    /// Gives an account this balance of the coin of the chain, in wei. Development chains only.
    pub async fn set_balance(&self, account: Address, wei: U256) -> Result<(), NodeError> {
        self.request::<_, serde_json::Value>("anvil_setBalance", (account, wei)).await.map(drop)
    }

    /// Moves the clock of the chain forward, for good, and makes a block at the new time. Development chains only.
    pub async fn increase_time(&self, by: Duration) -> Result<(), NodeError> {
        self.request::<_, serde_json::Value>("evm_increaseTime", (U256::from(by.as_secs()),)).await?;
        self.make_block().await
    }

    /// Makes blocks of up to `gas` at each interval only, or, for `None`, a block for each transaction. Development chains
    /// only. Thousands of transactions are much faster in few blocks: anvil keeps the state after each block.
    pub async fn mine_in_bulk(&self, bulk: Option<(Duration, u64)>) -> Result<(), NodeError> {
        self.make_one_for_each_transaction(bulk.is_none()).await?;
        self.make_one_each(bulk.map(|(every, _)| every).unwrap_or_default()).await?;
        if let Some((_, gas)) = bulk {
            self.request::<_, serde_json::Value>("evm_setBlockGasLimit", (U256::from(gas),)).await?;
            // The limit is told by the latest block, and true of the next one.
            self.make_block().await?;
        }
        Ok(())
    }

    /// Makes no more blocks: transactions wait until [`Self::make_blocks`]. Development chains only.
    pub async fn hold_blocks(&self) -> Result<(), NodeError> {
        self.make_one_for_each_transaction(false).await?;
        self.make_one_each(Duration::ZERO).await
    }

    /// Makes a block now, with what waits, and others at each interval. Development chains only.
    pub async fn make_blocks(&self, every: Duration) -> Result<(), NodeError> {
        self.make_block().await?;
        self.make_one_each(every).await
    }

    async fn make_block(&self) -> Result<(), NodeError> {
        self.request::<_, serde_json::Value>("evm_mine", ()).await.map(drop)
    }

    async fn make_one_for_each_transaction(&self, whether: bool) -> Result<(), NodeError> {
        self.request::<_, serde_json::Value>("evm_setAutomine", (whether,)).await.map(drop)
    }

    /// A block at each interval; zero for none.
    async fn make_one_each(&self, interval: Duration) -> Result<(), NodeError> {
        self.request::<_, serde_json::Value>("evm_setIntervalMining", (interval.as_secs(),)).await.map(drop)
    }

    /// Whether transactions of an account wait for a block.
    pub async fn has_waiting(&self, account: Address) -> Result<bool, NodeError> {
        Ok(self.next_nonce(account).await? > self.mined_nonce(account).await?)
    }

    /// How many transactions of an account are in blocks.
    async fn mined_nonce(&self, account: Address) -> Result<u64, NodeError> {
        Ok(self.request::<_, U256>("eth_getTransactionCount", (account, "latest")).await?.saturating_to())
    }

    async fn receipts(
        &self,
        sender: &Sender<'_>,
        waiting: &mut Vec<Waiting>,
    ) -> Result<Vec<TransactionReceipt>, NodeError> {
        let mut receipts = Vec::with_capacity(waiting.len());
        for transaction in waiting.drain(..) {
            receipts.push(self.receipt(sender, transaction).await?);
        }
        Ok(receipts)
    }

    async fn receipt(&self, sender: &Sender<'_>, mut waiting: Waiting) -> Result<TransactionReceipt, NodeError> {
        let deadline = Instant::now() + RECEIPT_PATIENCE;
        let mut replace_at = Instant::now() + IDLE_PATIENCE;
        let mut pause = Duration::from_millis(1);
        loop {
            for &transaction in &waiting.hashes {
                let receipt: Option<TransactionReceipt> =
                    self.request("eth_getTransactionReceipt", (transaction,)).await?;
                match receipt {
                    Some(receipt) if receipt.status() => return Ok(receipt),
                    Some(_) => return Err(NodeError::Reverted { what: waiting.unsent.what, transaction }),
                    None => {}
                }
            }
            let now = Instant::now();
            if now > deadline {
                let transaction = waiting.hashes.last().copied().unwrap_or_default();
                return Err(NodeError::NoReceipt { what: waiting.unsent.what, transaction });
            }
            if now > replace_at && self.mined_nonce(sender.key.address()).await? == waiting.nonce {
                self.replace(sender, &mut waiting).await;
                replace_at = now + IDLE_PATIENCE;
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(100));
        }
    }

    /// Offers more for a transaction. A refusal says that it was mined a moment ago: its receipt comes next.
    async fn replace(&self, sender: &Sender<'_>, waiting: &mut Waiting) {
        let times = 1 << waiting.hashes.len().min(MOST_DOUBLINGS);
        if let Ok(hash) = self.submit(sender, &waiting.unsent, waiting.nonce, times).await {
            waiting.hashes.push(hash);
        }
    }
}

/// Who sends, and what is usual.
struct Sender<'a> {
    key: &'a PrivateKeySigner,
    chain_id: u64,
    /// Most for one unit of gas, in wei.
    max_fee: u128,
}

/// A transaction whose receipt is not there yet.
struct Waiting {
    unsent: Unsent,
    nonce: u64,
    /// Of it and its replacements. At most one of them is mined.
    hashes: Vec<B256>,
}

impl Sender<'_> {
    fn sign(&self, unsent: &Unsent, nonce: u64, times: u128) -> Result<Vec<u8>, NodeError> {
        let transaction = TxEip1559 {
            chain_id: self.chain_id,
            nonce,
            gas_limit: unsent.gas,
            max_fee_per_gas: self.max_fee.saturating_mul(times),
            max_priority_fee_per_gas: times,
            to: unsent.to,
            input: unsent.input.clone(),
            ..Default::default()
        };
        let signature = self.key.sign_hash_sync(&transaction.signature_hash()).map_err(NodeError::Sign)?;
        Ok(TxEnvelope::from(transaction.into_signed(signature)).encoded_2718())
    }
}

/// A client for plain HTTP. Without these settings it would ask for a process-wide choice of cryptography, even though it
/// never uses any.
fn client_without_tls() -> reqwest::Result<reqwest::Client> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has the suites of the default protocol versions")
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().build()
}

/// The first event of this kind that `emitter` left in a receipt.
pub fn event<E: SolEvent>(receipt: &TransactionReceipt, emitter: Address, what: &str) -> Result<E, NodeError> {
    receipt
        .inner
        .logs()
        .iter()
        .filter(|log| log.address() == emitter)
        .find_map(|log| E::decode_log(&log.inner).ok())
        .map(|log| log.data)
        .ok_or_else(|| NodeError::NoEvent { what: what.to_owned(), event: E::SIGNATURE })
}
