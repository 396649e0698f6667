//! Sends transactions of one wallet, one after another: estimates, signs, submits, replaces what is stuck, and waits until it is in a
//! block. Never sends the same call twice: a replacement keeps the nonce, so that at most one of the two can be mined. What was given up
//! while it was in no block is finished by the next that is sent, which is either the same call, or waits behind it.
//!
//! After a crash the caller looks at the state of the chain first: what it wanted may have happened.

use std::sync::Arc;
use std::time::Duration;

use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope, TxLegacy};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Log, TxKind, U256};
use strongroom_protocol::SigningKey;
use tokio::time::Instant;

use crate::calls::Call;
use crate::chain::Chain;
use crate::error::ChainError;
use crate::transaction_rpc::{Estimate, EstimateGas, MinedReceipt, Nonce, NonceAt, SendRaw, Sent};

mod offer;

use offer::Offer;

/// Between two looks for a receipt: this, doubled each time, ...
const FIRST_PAUSE: Duration = Duration::from_millis(5);
/// ... up to this.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// Calls between contracts keep back a 64th of the gas, so an estimate can be a little short.
const GAS_MARGIN_PERCENT: u64 = 125;

/// What the cheapest transaction takes, for a message when nobody can say what ours would.
const LEAST_GAS: u64 = 21_000;

/// What a wallet may spend, and how long it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendLimits {
    /// Most to pay for one unit of gas, in wei. Default 22 gwei.
    pub max_gas_price_wei: u128,
    /// How long a transaction may stay out of a block until it is replaced by one that offers more. Default 60 s.
    pub replace_after: Duration,
    /// How long is waited in all. Default 10 minutes.
    pub patience: Duration,
    /// In how many blocks a transaction must lie: 1, the default, for the one that holds it.
    pub confirmations: u64,
    /// How long a used nonce may be without a receipt of ours until another program is blamed. A node counts a transaction a moment
    /// before it shows the receipt, and behind one address there may be several nodes, some a block or two late. Default 10 s.
    pub receipt_lag: Duration,
}

impl Default for SendLimits {
    fn default() -> Self {
        Self {
            max_gas_price_wei: 22_000_000_000,
            replace_after: Duration::from_mins(1),
            patience: Duration::from_mins(10),
            confirmations: 1,
            receipt_lag: Duration::from_secs(10),
        }
    }
}

/// What is left of a transaction that is in a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// Its hash.
    pub transaction: B256,
    /// Height of its block.
    pub block: u64,
    /// Gas it took.
    pub gas_used: u64,
    /// The events it left.
    pub logs: Vec<Log>,
}

/// Why a call is not in a block.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SendError {
    /// Could not find out; worth a retry after a look at the chain.
    #[error("{what}: {source}")]
    Chain {
        /// What was sent.
        what: &'static str,
        /// How the chain failed.
        #[source]
        source: ChainError,
    },
    /// The contract refuses.
    #[error("{what} was refused by the contract: {reason}")]
    Reverted {
        /// What was sent.
        what: &'static str,
        /// In its own words, or a guess.
        reason: String,
    },
    /// Gas costs more than the settings allow. Nothing was sent, or what was sent may still be mined.
    #[error("{what}: gas costs {price} wei, more than the {cap} allowed; raise the cap or wait")]
    TooExpensive {
        /// What was to be sent.
        what: &'static str,
        /// What gas costs now.
        price: u128,
        /// The most that is allowed.
        cap: u128,
    },
    /// The wallet cannot pay. Nothing was sent.
    #[error("{what}: wallet {wallet} has {has} wei and needs {needs} for gas; pay some of the chain's coin in")]
    NoCoin {
        /// What was to be sent.
        what: &'static str,
        /// The wallet.
        wallet: Address,
        /// Its balance.
        has: U256,
        /// What the transaction may cost.
        needs: U256,
    },
    /// It is in no block yet and may still get there.
    #[error("{what}: transaction {transaction} is in no block after {} s; it may still get there", waited.as_secs())]
    Stuck {
        /// What was sent.
        what: &'static str,
        /// The last one sent.
        transaction: B256,
        /// How long it was waited for.
        waited: Duration,
    },
    /// Another program used the nonce: the wallet must be used by one program at a time.
    #[error("{what}: another program sent a transaction of {wallet} in its place; use a wallet in one program only")]
    Overtaken {
        /// What was sent.
        what: &'static str,
        /// The wallet.
        wallet: Address,
    },
}

impl SendError {
    /// Whether asking again, after a look at the chain, may help without anybody's doing.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Chain { .. } | Self::TooExpensive { .. } | Self::Stuck { .. } | Self::Overtaken { .. })
    }
}

/// A wallet that sends transactions. Clones share the turn: one transaction at a time.
#[derive(Clone, Debug)]
pub struct Wallet {
    chain: Chain,
    key: Arc<SigningKey>,
    limits: SendLimits,
    /// What is left of the last turn, if it did not come to its end.
    turn: Arc<tokio::sync::Mutex<Option<Unfinished>>>,
}

/// A nonce in use: its call, and the transactions that carry it, none of which is in a block.
#[derive(Debug)]
struct Unfinished {
    call: Call,
    nonce: u64,
    gas: u64,
    /// What the last transaction offers, or the next if there is none yet.
    offer: Offer,
    sent: Vec<B256>,
}

impl Wallet {
    /// A wallet on `chain`. Nothing is asked yet.
    pub fn new(chain: Chain, key: SigningKey, limits: SendLimits) -> Self {
        Self { chain, key: Arc::new(key), limits, turn: Arc::default() }
    }

    /// Its address.
    pub fn address(&self) -> Address {
        self.key.address()
    }

    /// Its key, for signatures that are no transactions.
    pub fn key(&self) -> &SigningKey {
        &self.key
    }

    /// The chain.
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// Sends `call` and waits until it is in a block.
    pub async fn send(&self, call: &Call) -> Result<Receipt, SendError> {
        self.send_noting(call, |_| ()).await
    }

    /// As [`Self::send`]; `note` hears the hash of each transaction before it is submitted, to keep it.
    pub async fn send_noting(&self, call: &Call, note: impl FnMut(B256)) -> Result<Receipt, SendError> {
        let mut turn = self.turn.lock().await;
        if let Some(left) = turn.as_ref() {
            if left.call == *call {
                return self.finish(&mut turn, note).await;
            }
            // A later nonce is in no block before this one is. How its call ended is for the chain to tell whoever sent it.
            if let Err(stuck @ SendError::Stuck { .. }) = self.finish(&mut turn, |_| ()).await {
                return Err(stuck);
            }
        }
        let what = call.what;
        let failed = |source| SendError::Chain { what, source };
        let gas = self.estimate(call).await?;
        let offer = self.offer().await.map_err(failed)?;
        self.must_be_affordable(call, offer, gas).await?;
        let nonce = self.nonce(NonceAt::Pending).await.map_err(failed)?;
        *turn = Some(Unfinished { call: call.clone(), nonce, gas, offer, sent: Vec::new() });
        self.finish(&mut turn, note).await
    }

    /// Submits what is unfinished, replaces what is stuck, and waits. It stays unfinished if it is still in no block in the end, and if
    /// the caller does not wait for that.
    async fn finish(&self, turn: &mut Option<Unfinished>, note: impl FnMut(B256)) -> Result<Receipt, SendError> {
        let unfinished = turn.as_mut().expect("who finishes a call has begun it");
        let outcome = self.submit(unfinished, note).await;
        if !matches!(outcome, Err(SendError::Stuck { .. })) {
            *turn = None;
        }
        outcome
    }

    async fn submit(
        &self,
        Unfinished { call, nonce, gas, offer, sent }: &mut Unfinished,
        mut note: impl FnMut(B256),
    ) -> Result<Receipt, SendError> {
        let what = call.what;
        let started = Instant::now();
        loop {
            // At first the last one again, if there was one: nodes forget what waits for long.
            let (hash, raw) = self.sign(call, *nonce, *gas, *offer);
            note(hash);
            let is_first = sent.is_empty();
            // Before it goes: it may arrive although nobody hears the answer.
            if sent.last() != Some(&hash) {
                sent.push(hash);
            }
            match self.chain.ask_one(&SendRaw { raw, hash }).await {
                Ok(Sent::Refused { reason }) if is_first => return Err(SendError::Reverted { what, reason }),
                // Taken, or one of ours was mined in the meantime, or is still in the queue: the receipts tell.
                Ok(_) | Err(_) => {}
            }
            if let Some(receipt) = self.wait(call, sent, *nonce, started).await? {
                return Ok(receipt);
            }
            let raised = offer.raised();
            if raised.most() <= self.limits.max_gas_price_wei {
                *offer = raised;
            }
        }
    }

    /// Waits for the receipt of any of `sent`; `None` when it is time to offer more.
    async fn wait(
        &self,
        call: &Call,
        sent: &[B256],
        nonce: u64,
        started: Instant,
    ) -> Result<Option<Receipt>, SendError> {
        let what = call.what;
        let replace_at = Instant::now() + self.limits.replace_after;
        let mut pause = FIRST_PAUSE;
        let mut used_since = None;
        loop {
            // If the nonce is used, one of ours must have a receipt, now or soon.
            let used = self.nonce(NonceAt::Latest).await.is_ok_and(|next| next > nonce);
            used_since = used.then(|| used_since.unwrap_or_else(Instant::now));
            let mut unanswered = false;
            for hash in sent {
                match self.chain.ask_one(&MinedReceipt { hash: *hash }).await {
                    Ok(Some(mined)) => {
                        if !mined.succeeded {
                            let reason = self.why_reverted(call).await;
                            return Err(SendError::Reverted { what, reason });
                        }
                        if self.is_confirmed(&mined.receipt).await {
                            return Ok(Some(mined.receipt));
                        }
                        unanswered = true;
                    }
                    Ok(None) => {}
                    Err(_) => unanswered = true,
                }
            }
            if !unanswered && used_since.is_some_and(|since| since.elapsed() > self.limits.receipt_lag) {
                return Err(SendError::Overtaken { what, wallet: self.address() });
            }
            if started.elapsed() > self.limits.patience {
                let transaction = sent.last().copied().unwrap_or_default();
                return Err(SendError::Stuck { what, transaction, waited: started.elapsed() });
            }
            if Instant::now() > replace_at && !unanswered && !used {
                return Ok(None);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Whether enough blocks lie on the receipt's. A reorganised receipt is asked for again by the caller.
    async fn is_confirmed(&self, receipt: &Receipt) -> bool {
        if self.limits.confirmations <= 1 {
            return true;
        }
        let needed = receipt.block.saturating_add(self.limits.confirmations - 1);
        self.chain.newest_block().await.is_ok_and(|newest| newest.number >= needed)
    }

    async fn estimate(&self, call: &Call) -> Result<u64, SendError> {
        let what = call.what;
        let question = EstimateGas { from: self.address(), to: call.to, input: call.input.clone() };
        let failed = |source| SendError::Chain { what, source };
        match self.chain.ask_one(&question).await.map_err(failed)? {
            Estimate::Gas(gas) => Ok(gas.saturating_mul(GAS_MARGIN_PERCENT) / 100 + call.extra_gas),
            Estimate::Reverted(reason) => Err(SendError::Reverted { what, reason }),
            Estimate::NoCoin => {
                let has = self.chain.coin_balance(self.address()).await.map_err(failed)?;
                let needs = U256::from(self.offer().await.map_err(failed)?.most()) * U256::from(LEAST_GAS);
                Err(SendError::NoCoin { what, wallet: self.address(), has, needs })
            }
        }
    }

    /// A transaction that was mined and failed: the same call now says why, if its reason still holds.
    async fn why_reverted(&self, call: &Call) -> String {
        match self.estimate(call).await {
            Err(SendError::Reverted { reason, .. }) => reason,
            _ => "it failed in its block and would succeed now; the state had changed under it".to_owned(),
        }
    }

    async fn offer(&self) -> Result<Offer, ChainError> {
        Offer::now(&self.chain).await
    }

    async fn must_be_affordable(&self, call: &Call, offer: Offer, gas: u64) -> Result<(), SendError> {
        let (what, cap) = (call.what, self.limits.max_gas_price_wei);
        if offer.most() > cap {
            return Err(SendError::TooExpensive { what, price: offer.most(), cap });
        }
        let needs = U256::from(offer.most()).saturating_mul(U256::from(gas));
        let has = self.chain.coin_balance(self.address()).await.map_err(|source| SendError::Chain { what, source })?;
        if has < needs {
            return Err(SendError::NoCoin { what, wallet: self.address(), has, needs });
        }
        Ok(())
    }

    /// Whether transactions of this wallet wait for a block. After a crash, wait until none does before looking at the state of the
    /// chain: then it shows all that was sent.
    pub async fn has_waiting(&self) -> Result<bool, ChainError> {
        Ok(self.nonce(NonceAt::Pending).await? > self.nonce(NonceAt::Latest).await?)
    }

    async fn nonce(&self, at: NonceAt) -> Result<u64, ChainError> {
        self.chain.ask_one(&Nonce { account: self.address(), at }).await
    }

    fn sign(&self, call: &Call, nonce: u64, gas: u64, offer: Offer) -> (B256, Vec<u8>) {
        let (chain_id, _) = self.chain.identity();
        let (to, input, value) = (TxKind::Call(call.to), call.input.clone(), U256::ZERO);
        let envelope = match offer {
            Offer::Market { most, tip } => {
                let transaction = TxEip1559 {
                    chain_id,
                    nonce,
                    gas_limit: gas,
                    max_fee_per_gas: most,
                    max_priority_fee_per_gas: tip,
                    to,
                    value,
                    input,
                    ..Default::default()
                };
                let signature = self.signature(transaction.signature_hash());
                TxEnvelope::from(transaction.into_signed(signature))
            }
            Offer::Flat { price } => {
                let transaction =
                    TxLegacy { chain_id: Some(chain_id), nonce, gas_price: price, gas_limit: gas, to, value, input };
                let signature = self.signature(transaction.signature_hash());
                TxEnvelope::from(transaction.into_signed(signature))
            }
        };
        (*envelope.tx_hash(), envelope.encoded_2718())
    }

    fn signature(&self, digest: B256) -> alloy_primitives::Signature {
        let bytes = self.key.sign_digest(digest).to_bytes();
        alloy_primitives::Signature::from_raw_array(&bytes).expect("65 bytes with v of 27 or 28 are a signature")
    }
}

#[cfg(test)]
mod tests;
