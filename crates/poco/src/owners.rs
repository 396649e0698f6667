//! Owners of resources as they are at the newest block: read once for all who ask at the same time, forgotten with the
//! next block, bounded in number.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use alloy_primitives::{Address, B256};
use strongroom_protocol::snapshot::Block;
use tokio::sync::watch;

use crate::contracts::{appregistryCall, datasetregistryCall, isRegisteredCall, ownerOfCall, workerpoolregistryCall};
use crate::error::ChainError;
use crate::reader::{Answer, Reading, Step, Word};

/// At most so many owners are remembered; one entry takes some 200 bytes. When full, all are forgotten.
const CAPACITY: usize = 20_000;

/// The kinds of resource that PoCo has a registry for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AssetKind {
    /// Programs.
    App,
    /// Encrypted files.
    Dataset,
    /// Groups of workers.
    Workerpool,
}

impl AssetKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::App, Self::Dataset, Self::Workerpool];

    /// Asks the hub for the registry of this kind.
    pub(crate) fn registry(self, hub: Address) -> Step {
        match self {
            Self::App => Step::call_for_word::<appregistryCall>(hub, vec![]),
            Self::Dataset => Step::call_for_word::<datasetregistryCall>(hub, vec![]),
            Self::Workerpool => Step::call_for_word::<workerpoolregistryCall>(hub, vec![]),
        }
    }
}

/// Who owns a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) address: Address,
    /// The owner is a contract, or a wallet that delegates to one (EIP-7702): it may sign by ERC-1271.
    pub(crate) has_code: bool,
}

/// The program that finds the owner of `asset`: registry, registered?, owner, its code.
pub(crate) fn owner_steps(hub: Address, kind: AssetKind, asset: Address) -> Vec<Step> {
    let registry = Word::Answer { step: 0, word: 0 };
    vec![
        kind.registry(hub),
        Step::call_for_word::<isRegisteredCall>(registry, vec![asset.into()]),
        Step::call_for_word::<ownerOfCall>(registry, vec![asset.into()]),
        Step::code_size(Word::Answer { step: 2, word: 0 }),
    ]
}

/// Reads what [`owner_steps`] found. `None`: the registry does not know the asset. `ownerOf` of an unknown token reverts, so
/// its failure means "unknown" only together with a registry that says so.
pub(crate) fn read_owner(reading: &Reading) -> Result<Option<Owner>, ChainError> {
    let [registry, registered, owner, code_size] = reading.answers.as_slice() else {
        return Err(ChainError::Impossible { what: "number of answers" });
    };
    word(registry, "registry of the hub")?;
    match word(registered, "isRegistered")? {
        B256::ZERO => return Ok(None),
        one if one == B256::with_last_byte(1) => {}
        _ => return Err(ChainError::Impossible { what: "isRegistered" }),
    }
    let address = address(owner, "owner of a registered resource")?;
    let has_code = word(code_size, "size of code")? != B256::ZERO;
    Ok(Some(Owner { address, has_code }))
}

/// The one word that a step answered.
pub(crate) fn word(answer: &Answer, what: &'static str) -> Result<B256, ChainError> {
    let bytes = answer.as_deref().ok_or(ChainError::Impossible { what })?;
    B256::try_from(bytes).map_err(|_| ChainError::Impossible { what })
}

/// The address, not zero, that a step answered.
pub(crate) fn address(answer: &Answer, what: &'static str) -> Result<Address, ChainError> {
    let word = word(answer, what)?;
    if word[..12] != [0; 12] || word.is_zero() {
        return Err(ChainError::Impossible { what });
    }
    Ok(Address::from_word(word))
}

type Key = (AssetKind, Address);
type Outcome = Result<Option<Owner>, ChainError>;
type Pending = watch::Receiver<Option<Outcome>>;

/// The owners read at one block.
#[derive(Debug, Default)]
pub(crate) struct OwnerCache {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    block: Option<Block>,
    owners: HashMap<Key, Pending>,
}

/// What the cache has for a question.
pub(crate) enum Found {
    /// An answer, known or on its way.
    Pending(Pending),
    /// Nothing: the caller reads and tells all others through this.
    ToRead(watch::Sender<Option<Outcome>>, Pending),
}

impl OwnerCache {
    /// The entry of `key` at `block`. A newer block than before empties the cache; for an older one nothing is remembered.
    pub(crate) fn find(&self, block: &Block, key: Key) -> Found {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.block.is_none_or(|known| known.hash != block.hash) {
            if state.block.is_some_and(|known| known.number > block.number) {
                let (tell, pending) = watch::channel(None);
                return Found::ToRead(tell, pending);
            }
            *state = State { block: Some(*block), owners: HashMap::new() };
        }
        if let Some(pending) = state.owners.get(&key) {
            return Found::Pending(pending.clone());
        }
        if state.owners.len() >= CAPACITY {
            state.owners.clear();
        }
        let (tell, pending) = watch::channel(None);
        state.owners.insert(key, pending.clone());
        Found::ToRead(tell, pending)
    }

    /// Forgets what could not be read, so that the next question reads again.
    pub(crate) fn forget(&self, block: &Block, key: Key) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.block.is_some_and(|known| known.hash == block.hash) {
            state.owners.remove(&key);
        }
    }
}

/// Waits until the answer is there.
pub(crate) async fn wait(mut pending: Pending) -> Outcome {
    let outcome = pending.wait_for(Option::is_some).await.map_err(|_| ChainError::Interrupted)?;
    outcome.clone().unwrap_or(Err(ChainError::Interrupted))
}

#[cfg(test)]
mod tests;
