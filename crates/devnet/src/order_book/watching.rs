//! Keeps the book true: what matched, was revoked, changed hands or can no longer be paid, as the chain tells it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::{Address, B256, Log, U256};
use alloy_sol_types::{SolEvent, sol};
use serde_json::json;
use strongroom_poco::ChainError;
use strongroom_poco::notices::{Event, ReadRanges, Topics};
use strongroom_protocol::address::checksummed;

use super::Book;
use super::order::Kind;
use super::records::{Changes, DealRecord, Published, Standing, Status};
use crate::contracts::{Deal, Hub, Registry, Resource};
use crate::node::NodeError;

/// Between two looks at the chain.
const LOOK_EVERY: Duration = Duration::from_millis(300);

sol! {
    #![sol(abi = false)]
    event ClosedAppOrder(bytes32 hash);
    event ClosedDatasetOrder(bytes32 hash);
    event ClosedWorkerpoolOrder(bytes32 hash);
    event ClosedRequestOrder(bytes32 hash);

    /// The hub as a token of stakes.
    interface Stake {
        event Transfer(address indexed from, address indexed to, uint256 value);
    }
}

/// Why a range was not taken in. It is read again.
#[derive(Debug, thiserror::Error)]
enum Missed {
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error(transparent)]
    Node(#[from] NodeError),
    #[error(transparent)]
    Database(#[from] rusqlite::Error),
}

/// Follows the chain until aborted.
pub(super) async fn follow(book: Arc<Book>) {
    loop {
        // A range that could not be taken in moves nothing, so it comes again. The chain of a local network is down when it is being stopped.
        let is_last = take_in(&book).await.unwrap_or(true);
        if is_last {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// Takes in the next range of blocks; whether it was the last one for now.
async fn take_in(book: &Book) -> Result<bool, Missed> {
    let deployment = &book.contracts.deployment;
    let registries = [deployment.app_registry, deployment.dataset_registry, deployment.workerpool_registry];
    let emitters = [&registries[..], &[deployment.hub]].concat();
    let cursor = book.records().cursor()?;
    let batch = book.chain.events_of_after(&emitters, cursor, 0, &topics(), ReadRanges::default()).await?;
    if Some(batch.cursor) == cursor {
        return Ok(batch.is_last);
    }
    let mut changes = Changes { cursor: Some(batch.cursor), ..Changes::default() };
    let touched = Touched::by(&batch.events, deployment.hub);
    changes.deals = deals(book, &batch.events).await?;
    changes.standings = standings(book, &touched, batch.went_back).await?;
    let mut records = book.records();
    if batch.went_back {
        records.forget_deals_from(batch.cursor.block.saturating_sub(ReadRanges::default().step_back))?;
    }
    records.apply(&changes)?;
    Ok(batch.is_last)
}

fn topics() -> Topics {
    vec![vec![
        Hub::OrdersMatched::SIGNATURE_HASH,
        ClosedAppOrder::SIGNATURE_HASH,
        ClosedDatasetOrder::SIGNATURE_HASH,
        ClosedWorkerpoolOrder::SIGNATURE_HASH,
        ClosedRequestOrder::SIGNATURE_HASH,
        // Of stake when the hub tells it, of a resource when a registry does.
        Stake::Transfer::SIGNATURE_HASH,
    ]]
}

/// What a range of events touches.
#[derive(Debug, Default)]
struct Touched {
    /// Orders of which something was used.
    used: BTreeSet<B256>,
    /// Orders that were revoked.
    closed: BTreeSet<B256>,
    /// Whose free stake became less.
    poorer: BTreeSet<Address>,
    /// Resources that changed hands, with those who gave them away.
    given: BTreeSet<(Address, Address)>,
}

impl Touched {
    fn by(events: &[Event], hub: Address) -> Self {
        let mut touched = Self::default();
        for Event { log, .. } in events {
            if log.address != hub {
                let moved = Registry::Transfer::decode_log(log).ok().filter(|moved| !moved.from.is_zero());
                touched.given.extend(moved.map(|moved| (resource(moved.tokenId), moved.from)));
                continue;
            }
            if let Ok(matched) = Hub::OrdersMatched::decode_log(log) {
                touched.used.extend(hashes(&matched));
            }
            let moved = Stake::Transfer::decode_log(log).ok().filter(|moved| !moved.from.is_zero());
            touched.poorer.extend(moved.filter(|moved| !moved.value.is_zero()).map(|moved| moved.from));
            touched.closed.extend(closed_order(log));
        }
        touched
    }
}

fn closed_order(log: &Log) -> Option<B256> {
    None.or_else(|| ClosedAppOrder::decode_log(log).ok().map(|event| event.hash))
        .or_else(|| ClosedDatasetOrder::decode_log(log).ok().map(|event| event.hash))
        .or_else(|| ClosedWorkerpoolOrder::decode_log(log).ok().map(|event| event.hash))
        .or_else(|| ClosedRequestOrder::decode_log(log).ok().map(|event| event.hash))
}

fn hashes(matched: &Hub::OrdersMatched) -> [B256; 4] {
    [matched.appHash, matched.datasetHash, matched.workerpoolHash, matched.requestHash]
}

/// The resource of a token of a registry: its address is the number of the token.
fn resource(token: U256) -> Address {
    Address::from_word(token.into())
}

/// How the orders stand that were touched; after a reorganisation, all of them.
async fn standings(book: &Book, touched: &Touched, everything: bool) -> Result<Vec<Standing>, Missed> {
    let mut orders = BTreeMap::new();
    {
        let records = book.records();
        let all = if everything { records.alive()? } else { Vec::new() };
        orders.extend(all.into_iter().map(|order| (order.hash, order)));
        for hash in touched.used.iter().chain(&touched.closed) {
            orders.extend(records.by_hash(*hash)?.map(|order| (*hash, order)));
        }
    }
    let mut standings = BTreeMap::new();
    for order in orders.into_values().filter(|order| order.status != Status::Dead.word()) {
        let remaining = book.remaining(order.hash, order.volume).await?;
        let was_closed = touched.closed.contains(&order.hash) || order.status == Status::Canceled.word();
        let status = match (remaining, was_closed) {
            (0, true) => Status::Canceled,
            (0, false) => Status::Filled,
            _ => Status::Open,
        };
        standings.insert(order.hash, Standing { order: order.hash, remaining, status });
    }
    for order in lapsed(book, touched).await? {
        let left =
            standings.get(&order.hash).map_or((order.remaining, Status::Open), |now| (now.remaining, now.status));
        if left.1 == Status::Open {
            let standing = Standing { order: order.hash, remaining: left.0, status: Status::Dead };
            standings.insert(order.hash, standing);
        }
    }
    Ok(standings.into_values().collect())
}

/// Open orders whose signer cannot pay any more, or has given the resource away.
async fn lapsed(book: &Book, touched: &Touched) -> Result<Vec<Published>, Missed> {
    let mut lapsed = Vec::new();
    for account in &touched.poorer {
        let orders = book.records().open_of_signer(*account)?;
        let paid = [Kind::Workerpool.word(), Kind::Request.word()];
        let orders: Vec<_> = orders.into_iter().filter(|order| paid.contains(&order.kind.as_str())).collect();
        if !orders.is_empty() {
            let stake = book.chain.money(*account).await?.stake;
            lapsed.extend(orders.into_iter().filter(|order| !order.is_covered_by(stake)));
        }
    }
    let records = book.records();
    for (resource, giver) in &touched.given {
        for kind in [Kind::App, Kind::Dataset, Kind::Workerpool] {
            lapsed.extend(records.open_about(kind, *resource, *giver)?);
        }
    }
    Ok(lapsed)
}

/// The deals that were made, as they are told.
async fn deals(book: &Book, events: &[Event]) -> Result<Vec<DealRecord>, Missed> {
    let mut deals = Vec::new();
    for event in events {
        if let Ok(matched) = Hub::OrdersMatched::decode_log(&event.log) {
            let deal = book.contracts.deal(matched.dealid).await?;
            deals.push(record(book.contracts.deployment.chain_id, event, &matched, &deal));
        }
    }
    Ok(deals)
}

fn record(chain_id: u64, event: &Event, matched: &Hub::OrdersMatched, deal: &Deal) -> DealRecord {
    let small = |number: U256| u64::try_from(number).unwrap_or(u64::MAX);
    let resource = |resource: &Resource| {
        json!({
            "pointer": checksummed(&resource.pointer),
            "owner": checksummed(&resource.owner),
            "price": small(resource.price),
        })
    };
    let began = jiff::Timestamp::from_second(small(deal.startTime).cast_signed()).unwrap_or_default();
    let body = json!({
        "dealid": matched.dealid,
        "chainId": chain_id,
        "app": resource(&deal.app),
        "dataset": resource(&deal.dataset),
        "workerpool": resource(&deal.workerpool),
        "requester": checksummed(&deal.requester),
        "beneficiary": checksummed(&deal.beneficiary),
        "callback": checksummed(&deal.callback),
        "params": deal.params,
        "volume": small(deal.botSize),
        "category": small(deal.category),
        "tag": deal.tag,
        "trust": small(deal.trust),
        "startTime": small(deal.startTime),
        "botFirst": small(deal.botFirst),
        "botSize": small(deal.botSize),
        "workerStake": small(deal.workerStake),
        "schedulerRewardRatio": small(deal.schedulerRewardRatio),
        "appHash": matched.appHash,
        "datasetHash": matched.datasetHash,
        "workerpoolHash": matched.workerpoolHash,
        "requestHash": matched.requestHash,
        "blockNumber": event.block,
        // A deal starts with the block that it is made in.
        "blockTimestamp": began.to_string(),
        "transactionHash": event.transaction,
    });
    DealRecord {
        id: matched.dealid,
        block: event.block,
        requester: deal.requester,
        beneficiary: deal.beneficiary,
        category: small(deal.category),
        resources: [&deal.app, &deal.dataset, &deal.workerpool].map(|resource| (resource.pointer, resource.owner)),
        hashes: hashes(matched),
        body,
    }
}
