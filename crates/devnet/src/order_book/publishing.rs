//! Taking orders in and out: the rules of the market, with its words.

use alloy_primitives::{Address, B256, U256};
use strongroom_poco::{AssetKind, ChainError};

use super::Book;
use super::listing::{ListError, Parameters, orders};
use super::order::{AnyOrder, BadOrder, Kind};
use super::records::{Published, Status};
use crate::contracts::Hub;
use crate::node::NodeError;

/// Most open orders of one kind and signer.
const MAX_OPEN: usize = 50;

/// Why the book does not do it.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// The request is not understood.
    #[error(transparent)]
    Order(#[from] BadOrder),
    /// A rule of the market.
    #[error("{0}")]
    Rule(&'static str),
    /// As before, with what is at stake.
    #[error(
        "{whose} stake is {has} nRLC at the hub and {needs} are needed for what is left of the order; deposit the rest"
    )]
    Stake { whose: &'static str, has: U256, needs: U256 },
    /// Too many orders.
    #[error("{MAX_OPEN} open orders of this kind and signer are enough; unpublish some")]
    TooMany,
    /// No order with this hash is published.
    #[error("no {kind}order with hash {hash} is published")]
    Unknown { kind: &'static str, hash: B256 },
    /// Somebody else's order.
    #[error("{0} did not sign this order")]
    NotTheSigner(Address),
    /// The chain could not be asked.
    #[error("the chain could not be asked")]
    Chain(#[from] ChainError),
    /// As before, through the network's own handle.
    #[error("the chain could not be asked")]
    Node(#[from] NodeError),
    /// The file failed.
    #[error("the order book's file failed")]
    Database(#[from] rusqlite::Error),
}

impl Book {
    /// Publishes an order for the wallet that logged in.
    pub(super) async fn publish(&self, order: &AnyOrder, by: Address, now_ms: i64) -> Result<Published, Refusal> {
        let already = self.records().order(order.kind, order.hash)?;
        if already.is_some_and(|order| order.status != Status::Dead.word()) {
            return Err(Refusal::Rule("order already published"));
        }
        let signer = self.signer_of(order).await?;
        if by != signer {
            return Err(Refusal::NotTheSigner(by));
        }
        let question = Hub::verifySignatureCall { identity: signer, hash: order.hash, signature: order.sign.clone() };
        if !self.contracts.node.call(self.contracts.deployment.hub, &question).await? {
            return Err(Refusal::Rule("invalid sign"));
        }
        let open = self.records().open_of_signer(signer)?;
        if open.iter().filter(|order_of| order_of.kind == order.kind.word()).count() >= MAX_OPEN {
            return Err(Refusal::TooMany);
        }
        let remaining = self.remaining(order.hash, order.volume).await?;
        if remaining == 0 {
            return Err(Refusal::Rule("order already consumed"));
        }
        self.must_be_covered(order, signer, remaining).await?;
        if order.kind == Kind::Request {
            self.must_be_answerable(order)?;
        }
        self.records().publish(order, signer, remaining, now_ms)?;
        let published = self.records().order(order.kind, order.hash)?;
        published.ok_or(Refusal::Unknown { kind: order.kind.word(), hash: order.hash })
    }

    /// Takes orders out, for the wallet that logged in. Their signatures stay good.
    pub(super) fn unpublish(&self, kind: Kind, target: &Target, by: Address) -> Result<Vec<B256>, Refusal> {
        let records = self.records();
        let orders = match target {
            Target::Order(hash) => {
                let unknown = Refusal::Unknown { kind: kind.word(), hash: *hash };
                vec![records.order(kind, *hash)?.ok_or(unknown)?]
            }
            Target::Last(subject) => {
                records.open_about(kind, *subject, by)?.into_iter().next_back().into_iter().collect()
            }
            Target::All(subject) => records.open_about(kind, *subject, by)?,
        };
        if orders.is_empty() {
            return Err(Refusal::Rule("no open order published by this wallet to unpublish"));
        }
        if orders.iter().any(|order| order.signer != by) {
            return Err(Refusal::NotTheSigner(by));
        }
        for order in &orders {
            records.unpublish(order.hash)?;
        }
        Ok(orders.into_iter().map(|order| order.hash).collect())
    }

    /// What the chain says is left of an order.
    pub(super) async fn remaining(&self, hash: B256, volume: u64) -> Result<u64, ChainError> {
        let consumed = u64::try_from(self.chain.consumed(hash).await?).unwrap_or(u64::MAX);
        Ok(volume.saturating_sub(consumed))
    }

    /// Who must have signed: the owner of the resource, or the requester.
    async fn signer_of(&self, order: &AnyOrder) -> Result<Address, Refusal> {
        let kind = match order.kind {
            Kind::App => AssetKind::App,
            Kind::Dataset => AssetKind::Dataset,
            Kind::Workerpool => AssetKind::Workerpool,
            Kind::Request => return Ok(order.requester),
        };
        let owner = self.chain.asset_owner(kind, order.subject()).await?;
        owner.ok_or(Refusal::Rule("Resource not deployed"))
    }

    async fn must_be_covered(&self, order: &AnyOrder, signer: Address, remaining: u64) -> Result<(), Refusal> {
        let needs = order.stake_per_task.saturating_mul(U256::from(remaining));
        if needs.is_zero() {
            return Ok(());
        }
        let has = self.chain.money(signer).await?.stake;
        let whose = if order.kind == Kind::Request { "requester's" } else { "workerpool owner's" };
        if has < needs { Err(Refusal::Stake { whose, has, needs }) } else { Ok(()) }
    }

    /// A request is only published when orders that answer it are: of its app, and of its dataset.
    fn must_be_answerable(&self, request: &AnyOrder) -> Result<(), Refusal> {
        let text = |member: &str| request.body[member].as_u64();
        let exists = |kind: Kind, subject: Address, most: Option<u64>| -> Result<bool, Refusal> {
            let mut search = [(kind.subject(), subject), ("requester", request.requester)]
                .map(|(name, address)| (name.to_owned(), address.to_string()))
                .to_vec();
            for (name, address) in
                [("app", request.app), ("dataset", request.dataset), ("workerpool", request.workerpool)]
            {
                if name != kind.subject() && !address.is_zero() {
                    search.push((name.to_owned(), address.to_string()));
                }
            }
            let found = orders(&self.records(), kind, &Parameters(search.into_iter().collect()), 0);
            let found = found.map_err(|error| match error {
                ListError::Database(error) => Refusal::Database(error),
                ListError::Search(_) => Refusal::Rule("the request order's addresses cannot be searched for"),
            })?;
            let price = &found["orders"][0]["order"][format!("{}price", kind.word())];
            Ok(price.as_u64().is_some_and(|price| most.is_some_and(|most| price <= most)))
        };
        if !exists(Kind::App, request.app, text("appmaxprice"))? {
            return Err(Refusal::Rule("no apporder published for the requested app at or below appmaxprice"));
        }
        let wants_data = !request.dataset.is_zero();
        if wants_data && !exists(Kind::Dataset, request.dataset, text("datasetmaxprice"))? {
            return Err(Refusal::Rule(
                "no datasetorder published for the requested dataset at or below datasetmaxprice",
            ));
        }
        Ok(())
    }
}

/// Which orders to take out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Order(B256),
    /// The last one about this resource or requester.
    Last(Address),
    /// All of them.
    All(Address),
}
