//! What happened on chain since a block: events of the hub, read range by range behind a cursor, so that none is left out and each is
//! told at least once. The caller keeps the cursor, in one transaction with what it did about the events.
//!
//! A range that could not be read is an error and moves nothing. When a reorganisation removed the block of the cursor, reading goes
//! back: events may then be told a second time, and those that are gone have simply happened no more.

use alloy_primitives::{Address, B256, Log, U64};
use alloy_sol_types::{SolEvent, sol};
use serde_json::{Value, json};
use strongroom_protocol::DealId;

use crate::chain::Chain;
use crate::error::{ChainError, Fault};
use crate::rpc::{BlockAt, Question};
use crate::transaction_rpc::WireLog;

sol! {
    #![sol(abi = false)]
    event SchedulerNotice(address indexed workerpool, bytes32 dealid);
}

/// How ranges are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadRanges {
    /// Blocks in one range at most. Providers limit this; 1,000 is what the stock services use.
    pub blocks: u64,
    /// Blocks that must lie on one before its events are told: 0 tells those of the newest block.
    pub depth: u64,
    /// How far to go back when the block of the cursor is gone: more than any reorganisation that is expected.
    pub step_back: u64,
}

impl Default for ReadRanges {
    /// Ranges of 1,000 blocks, told at once, 64 blocks back.
    fn default() -> Self {
        Self { blocks: 1_000, depth: 0, step_back: 64 }
    }
}

/// Up to where was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Height of the last block that was read.
    pub block: u64,
    /// Its hash.
    pub hash: B256,
}

/// Something that a contract told, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Who told what.
    pub log: Log,
    /// Height of its block.
    pub block: u64,
    /// Hash of its transaction.
    pub transaction: B256,
}

/// The events of one range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Oldest first.
    pub events: Vec<Event>,
    /// Up to where was read; keep it with what was done about the events. The same as before when there is nothing new.
    pub cursor: Cursor,
    /// Whether this range ends at the newest block that is deep enough: there is nothing more to read now.
    pub is_last: bool,
    /// Whether reading went back because the block of the old cursor is gone: what was concluded from its events may be wrong.
    pub went_back: bool,
}

/// The topics that events must have: position by position any of these, or anything where there are none.
pub type Topics = Vec<Vec<B256>>;

/// The topics of the notices to one workerpool.
pub fn scheduler_notices(workerpool: Address) -> Topics {
    vec![vec![SchedulerNotice::SIGNATURE_HASH], vec![workerpool.into_word()]]
}

/// The deal of a notice; `None` for another event.
pub fn noticed_deal(event: &Event) -> Option<DealId> {
    SchedulerNotice::decode_log(&event.log).ok().map(|notice| notice.dealid.into())
}

impl Chain {
    /// The next range of events of the hub after `cursor`, or from block `first` on when there is no cursor yet.
    pub async fn events_after(
        &self,
        cursor: Option<Cursor>,
        first: u64,
        topics: &Topics,
        ranges: ReadRanges,
    ) -> Result<Batch, ChainError> {
        self.events_of_after(&[self.identity().1], cursor, first, topics, ranges).await
    }

    /// As [`Self::events_after`], of these contracts.
    pub async fn events_of_after(
        &self,
        emitters: &[Address],
        cursor: Option<Cursor>,
        first: u64,
        topics: &Topics,
        ranges: ReadRanges,
    ) -> Result<Batch, ChainError> {
        let newest = self.newest_block().await?.number.saturating_sub(ranges.depth);
        let from = match cursor {
            None => first,
            Some(cursor) => match self.hash_of(cursor.block).await? {
                Some(hash) if hash == cursor.hash => cursor.block + 1,
                _ => cursor.block.saturating_sub(ranges.step_back).max(first),
            },
        };
        if let Some(cursor) = cursor
            && from > newest
        {
            return Ok(Batch { events: Vec::new(), cursor, is_last: true, went_back: false });
        }
        let went_back = cursor.is_some_and(|cursor| from <= cursor.block);
        // A chain that is younger than `first` is read up to its newest block.
        let from = from.min(newest);
        let mut blocks = ranges.blocks.max(1);
        loop {
            let to = newest.min(from.saturating_add(blocks - 1));
            // The hash is asked for on both sides of the events: when it is the same, they are events of that very chain.
            let before = self.hash_of(to).await?;
            let events = self.ask(&Events { emitters: emitters.to_vec(), from, to, topics: topics.clone() }).await;
            match events {
                Ok(Found::Events(events)) => match (before, self.hash_of(to).await?) {
                    (Some(hash), Some(again)) if hash == again => {
                        let cursor = Cursor { block: to, hash };
                        return Ok(Batch { events, cursor, is_last: to == newest, went_back });
                    }
                    _ => return Err(ChainError::Interrupted),
                },
                Ok(Found::RangeTooLarge) if blocks > 1 => blocks = blocks.div_ceil(2),
                Ok(Found::RangeTooLarge) => {
                    return Err(ChainError::Impossible { what: "one block is too large a range" });
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn hash_of(&self, block: u64) -> Result<Option<B256>, ChainError> {
        match self.ask(&BlockAt { number: Some(block), at_least: 0 }).await {
            Ok(block) => Ok(Some(block.hash)),
            // A block that is not there is answered with null.
            Err(ChainError::Unanswered { last }) if matches!(last.fault, Fault::Unreadable { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Events of contracts in a range of blocks.
#[derive(Clone)]
struct Events {
    emitters: Vec<Address>,
    from: u64,
    to: u64,
    topics: Topics,
}

/// The answer to [`Events`].
#[derive(Clone, Debug, PartialEq)]
enum Found {
    Events(Vec<Event>),
    /// Nodes limit blocks or events of an answer, each with words and a code of its own.
    RangeTooLarge,
}

impl Question for Events {
    type Answer = Found;
    const METHOD: &'static str = "eth_getLogs";

    fn params(&self) -> Value {
        json!([{
            "address": self.emitters,
            "fromBlock": U64::from(self.from),
            "toBlock": U64::from(self.to),
            "topics": self.topics,
        }])
    }

    fn read(&self, result: Value) -> Result<Found, Fault> {
        let logs: Vec<WireLog> =
            serde_json::from_value(result).map_err(|_| Fault::Unreadable { expected: "a list of events" })?;
        Ok(Found::Events(logs.into_iter().filter(|log| !log.removed).map(WireLog::into_event).collect()))
    }

    fn read_refusal(&self, refusal: &crate::rpc::Refusal) -> Option<Found> {
        let message = refusal.message.to_lowercase();
        let limits = ["range", "limit", "too many", "too large", "more than", "exceed"];
        (refusal.code == -32005 || limits.iter().any(|word| message.contains(word))).then_some(Found::RangeTooLarge)
    }
}
