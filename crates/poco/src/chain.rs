//! The handle through which everybody reads the chain.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::SolCall;
use strongroom_protocol::signature::{Signature, eip191_digest};
use strongroom_protocol::snapshot::{Block, BulkDataset, BulkOrder, TaskSnapshot};
use strongroom_protocol::{DealId, TaskId, UnixSeconds};
use tokio::time::Instant;

use crate::bulk;
use crate::config::{ChainConfig, ChainConfigError};
use crate::contracts::{domainCall, isRegisteredCall, isValidSignatureCall};
use crate::endpoints::{EndpointHealth, Endpoints};
use crate::error::{ChainError, CheckError, EndpointError, Fault};
use crate::head::{Head, HeadTracker};
use crate::owners::{self, AssetKind, Found, Owner, OwnerCache};
use crate::reader::{Reading, Step, Word};
use crate::rpc::{ChainId, Question, ReadContracts};
use crate::snapshot;

/// What a contract that owns something may spend to judge a signature.
const SIGNATURE_GAS: u32 = 5_000_000;

/// What each question to a hub may cost that may be something else; old contracts burn all they have.
const CHECK_GAS: u32 = 500_000;

/// A cheap handle to the chain; clones share connections, newest block and cache.
///
/// Owners and tasks are read at the newest block that was known at most two refresh intervals before the question, so one
/// read costs one round trip while [`Chain::watch_head`] runs. Before anything is denied ("not registered", "not signed
/// by the owner", "no such task") the newest block is asked for again, so that a client which has just registered its resource and
/// waited for the receipt is never told that it did not.
#[derive(Clone, Debug)]
pub struct Chain {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: ChainConfig,
    endpoints: Endpoints,
    head: HeadTracker,
    owners: OwnerCache,
    checked: AtomicBool,
}

impl Chain {
    /// Builds the handle; connects to nothing.
    pub fn new(config: ChainConfig) -> Result<Self, ChainConfigError> {
        config.validate()?;
        let endpoints = Endpoints::new(&config)?;
        let (head, owners, checked) = Default::default();
        Ok(Self { shared: Arc::new(Shared { config, endpoints, head, owners, checked }) })
    }

    /// The id of the chain and the address of the hub, as configured.
    pub fn identity(&self) -> (u64, Address) {
        (self.shared.config.chain_id, self.shared.config.hub)
    }

    /// Whether [`Chain::check`] has succeeded and the last question for the newest block was answered.
    pub fn is_ready(&self) -> bool {
        self.shared.checked.load(Ordering::Acquire) && self.shared.head.is_known()
    }

    /// How each endpoint has been doing.
    pub fn endpoint_health(&self) -> Vec<EndpointHealth> {
        self.shared.endpoints.health()
    }

    /// Checks that every endpoint that answers is on the configured chain, and that the hub is a PoCo hub of it: it has
    /// code, its signing domain names this chain and this hub, and its three registries answer.
    pub async fn check(&self) -> Result<(), CheckError> {
        let config = &self.shared.config;
        let mut answered = 0;
        let mut last_error = None;
        for answer in self.shared.endpoints.ask_each(&ChainId).await {
            match answer {
                Ok(_) => answered += 1,
                Err(EndpointError { endpoint, fault: Fault::OtherChain { expected, found } }) => {
                    return Err(CheckError::WrongChain { endpoint, expected, found });
                }
                Err(error) => last_error = Some(error),
            }
        }
        if answered < self.shared.endpoints.quorum() {
            return Err(CheckError::Unreachable(match last_error {
                Some(error) => ChainError::Unanswered { last: Arc::new(error) },
                None => ChainError::Interrupted,
            }));
        }
        let head = self.head_since(Instant::now()).await?;
        let reading = self.read_at(&head.block, &hub_steps(config.hub)).await?;
        judge_hub(config, &reading)
            .map_err(|reason| CheckError::WrongHub { hub: config.hub, reason: reason.to_owned() })?;
        self.shared.checked.store(true, Ordering::Release);
        Ok(())
    }

    /// Keeps the newest block known, for ever: run it as a background task. Without it every answer is as true, but many
    /// cost one more round trip.
    pub async fn watch_head(&self) {
        let mut was_known = true;
        loop {
            match self.head_since(Instant::now()).await {
                Ok(_) if !was_known => {
                    was_known = true;
                    tracing::info!("the chain can be read again");
                }
                Err(error) if was_known => {
                    was_known = false;
                    tracing::warn!(error = &error as &dyn std::error::Error, "the chain cannot be read");
                }
                Ok(_) | Err(_) => {}
            }
            tokio::time::sleep(self.shared.config.head_refresh).await;
        }
    }

    /// The owner of `asset`; `None` if it is not registered in the registry of its kind.
    pub async fn asset_owner(&self, kind: AssetKind, asset: Address) -> Result<Option<Address>, ChainError> {
        let owner = self.look(Option::is_some, |block| self.owner_at(block, kind, asset)).await?;
        Ok(owner.map(|owner| owner.address))
    }

    /// Whether `asset` is registered and `signature` of `challenge` (an EIP-191 personal message of 32 bytes) is by its
    /// owner: of the owner's key, or accepted by the owner's contract (ERC-1271; a contract that reverts or answers
    /// anything else says no).
    pub async fn owner_signed(
        &self,
        kind: AssetKind,
        asset: Address,
        challenge: B256,
        signature: &Signature,
    ) -> Result<bool, ChainError> {
        let signer = signature.recover(challenge).ok();
        let signed_at = |block| async move {
            match self.owner_at(block, kind, asset).await? {
                Some(owner) if Some(owner.address) == signer => Ok(true),
                Some(owner) if owner.has_code => {
                    self.contract_accepts(block, owner.address, challenge, signature).await
                }
                Some(_) | None => Ok(false),
            }
        };
        self.look(|signed| *signed, signed_at).await
    }

    /// All the chain says about `task`, read at one block in one round trip; `None` if no task of this id was ever
    /// initialised. `now` is only used for the limit of block age, if one is configured.
    pub async fn snapshot(&self, task: TaskId, now: UnixSeconds) -> Result<Option<TaskSnapshot>, ChainError> {
        let read_at = |block| async move {
            self.refuse_old(&block, now)?;
            let reading = self.read_at(&block, &snapshot::snapshot_steps(self.shared.config.hub, task)).await?;
            snapshot::read_snapshot(block, task, &reading)
        };
        self.look(Option::is_some, read_at).await
    }

    /// What the chain says, at the very `block` of a snapshot, about the dataset orders of a bulk slice for `deal`, in one
    /// round trip. At most [`MAX_BULK_ORDERS`](crate::MAX_BULK_ORDERS) orders.
    pub async fn bulk(
        &self,
        block: Block,
        deal: DealId,
        orders: Vec<BulkOrder>,
    ) -> Result<Vec<BulkDataset>, ChainError> {
        let steps = bulk::bulk_steps(self.shared.config.hub, deal, &orders);
        let reading = self.read_at(&block, &steps).await?;
        bulk::read_bulk(orders, &reading)
    }

    fn refuse_old(&self, block: &Block, now: UnixSeconds) -> Result<(), ChainError> {
        let age = Duration::from_secs(now.0.saturating_sub(block.time.0));
        match self.shared.config.max_block_age {
            Some(limit) if age > limit => Err(ChainError::StaleHead { age, limit }),
            _ => Ok(()),
        }
    }

    /// Asks at a recent block. A denial is asked again at the newest block, and so is what nodes refused to answer, because
    /// the chain may have been reorganised.
    async fn look<T, F>(&self, is_granted: impl Fn(&T) -> bool, ask: impl Fn(Block) -> F) -> Result<T, ChainError>
    where
        F: Future<Output = Result<T, ChainError>>,
    {
        let started = Instant::now();
        let window = self.shared.config.head_refresh.saturating_mul(2);
        let head = self.head_since(started.checked_sub(window).unwrap_or(started)).await?;
        let answer = ask(head.block).await;
        let stands = match &answer {
            Ok(answer) => is_granted(answer),
            Err(error) => !error.may_pass_with_a_newer_block(),
        };
        if stands || head.asked >= started {
            return answer;
        }
        let newest = self.head_since(started).await?;
        if newest.block.hash == head.block.hash { answer } else { ask(newest.block).await }
    }

    /// The owner at `block`, from the cache, from somebody else's read that is under way, or read now. The read goes on
    /// when its caller goes away, for the others.
    async fn owner_at(&self, block: Block, kind: AssetKind, asset: Address) -> Result<Option<Owner>, ChainError> {
        match self.shared.owners.find(&block, (kind, asset)) {
            Found::Pending(pending) => owners::wait(pending).await,
            Found::ToRead(tell, pending) => {
                let chain = self.clone();
                tokio::spawn(async move {
                    let steps = owners::owner_steps(chain.shared.config.hub, kind, asset);
                    let outcome = chain.read_at(&block, &steps).await.and_then(|reading| owners::read_owner(&reading));
                    if outcome.is_err() {
                        chain.shared.owners.forget(&block, (kind, asset));
                    }
                    tell.send_replace(Some(outcome));
                });
                owners::wait(pending).await
            }
        }
    }

    async fn contract_accepts(
        &self,
        block: Block,
        owner: Address,
        challenge: B256,
        signature: &Signature,
    ) -> Result<bool, ChainError> {
        let steps = [signature_step(owner, eip191_digest(challenge), &signature.to_bytes())];
        let reading = self.read_at(&block, &steps).await?;
        let mut magic = [0; 32];
        magic[..4].copy_from_slice(&isValidSignatureCall::SELECTOR);
        Ok(reading.answers.first().is_some_and(|answer| answer.as_deref() == Some(&magic)))
    }

    async fn read_at(&self, block: &Block, steps: &[Step]) -> Result<Reading, ChainError> {
        let question = ReadContracts::new(self.shared.config.chain_id, block.hash, steps);
        self.shared.endpoints.ask(&question).await
    }

    /// One endpoint's answer, whatever the quorum: for what endpoints may rightly see differently, such as a queue of transactions.
    pub(crate) async fn ask_one<Q: Question>(&self, question: &Q) -> Result<Q::Answer, ChainError> {
        self.shared.endpoints.ask_any(question).await
    }

    /// The answer that the quorum gives.
    pub(crate) async fn ask<Q: Question>(&self, question: &Q) -> Result<Q::Answer, ChainError> {
        self.shared.endpoints.ask(question).await
    }

    /// What the contracts answer to `steps` at the newest block.
    pub(crate) async fn read_newest(&self, steps: &[Step]) -> Result<(Block, Reading), ChainError> {
        let block = self.newest_block().await?;
        Ok((block, self.read_at(&block, steps).await?))
    }

    /// The newest block, asked for now.
    pub async fn newest_block(&self) -> Result<Block, ChainError> {
        Ok(self.head_since(Instant::now()).await?.block)
    }

    async fn head_since(&self, oldest: Instant) -> Result<Head, ChainError> {
        self.shared.head.newest_since(oldest, &self.shared.endpoints).await
    }
}

/// The program that looks whether there is a hub: what [`judge_hub`] reads.
fn hub_steps(hub: Address) -> Vec<Step> {
    let mut steps = vec![Step::code_size(hub), Step::call::<domainCall>(hub, vec![]).with_gas(CHECK_GAS)];
    for kind in AssetKind::ALL {
        let registry = Word::Answer { step: steps.len(), word: 0 };
        steps.push(kind.registry(hub).with_gas(CHECK_GAS));
        steps.push(Step::call_for_word::<isRegisteredCall>(registry, vec![hub.into()]).with_gas(CHECK_GAS));
    }
    steps
}

fn judge_hub(config: &ChainConfig, reading: &Reading) -> Result<(), &'static str> {
    let [code_size, domain, registries @ ..] = reading.answers.as_slice() else {
        return Err("nothing was answered");
    };
    if !matches!(owners::word(code_size, ""), Ok(size) if !size.is_zero()) {
        return Err("there is no contract at this address");
    }
    let domain = domain.as_deref().and_then(|bytes| domainCall::abi_decode_returns_validate(bytes).ok());
    let domain = domain.ok_or("it has no signing domain")?;
    if domain.name != "iExecODB" || domain.chainId != U256::from(config.chain_id) {
        return Err("its signing domain is not that of PoCo on this chain");
    }
    if domain.verifyingContract != config.hub {
        return Err("its signing domain names another contract; give the address that it names");
    }
    let answers = registries.chunks_exact(2).all(|pair| {
        owners::address(&pair[0], "").is_ok()
            && matches!(owners::word(&pair[1], ""), Ok(registered) if registered.is_zero())
    });
    if answers && registries.len() == 2 * AssetKind::ALL.len() { Ok(()) } else { Err("its registries do not answer") }
}

/// The question whether contract `owner` accepts `signature` of `digest`.
fn signature_step(owner: Address, digest: B256, signature: &[u8]) -> Step {
    let call = isValidSignatureCall { hash: digest, signature: signature.to_vec().into() }.abi_encode();
    let words = call[4..].chunks_exact(32).map(|word| Word::Known(U256::from_be_slice(word))).collect();
    Step::call_for_word::<isValidSignatureCall>(owner, words).with_gas(SIGNATURE_GAS)
}

#[cfg(test)]
mod tests;
