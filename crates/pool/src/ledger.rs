//! The chain as the engine sees it, over the PoCo contracts: reads at one block, transactions of the owner's and the worker's
//! wallets.

use alloy_primitives::Bytes;
use strongroom_poco::calls::{self, Call, Contribution};
use strongroom_poco::notices::{self, ReadRanges};
use strongroom_poco::{Chain, SendError, Wallet};
use strongroom_protocol::multiaddr::location_text;
use strongroom_protocol::snapshot::{Block, TaskStatus};
use strongroom_protocol::{Address, DealId, Signature, TaskId};

use crate::cause::Cause;
use crate::outside::{Asked, DealView, Ledger, Notices, OutsideError, Settlement, with_causes};
use crate::store::Cursor;

/// The contracts.
pub struct Contracts {
    /// The chain.
    pub chain: Chain,
    /// Whose notices are read.
    pub workerpool: Address,
    /// First block of all.
    pub start_block: u64,
    /// How they are read.
    pub ranges: ReadRanges,
    /// The owner's wallet, where the scheduler runs.
    pub owner: Option<Wallet>,
    /// The worker's wallet, where the worker runs.
    pub worker: Option<Wallet>,
}

impl Contracts {
    fn hub(&self) -> Address {
        self.chain.identity().1
    }

    async fn read_notices(&self, after: Option<Cursor>) -> Result<Notices, OutsideError> {
        let after = after.map(|Cursor { block, hash }| notices::Cursor { block, hash });
        let topics = notices::scheduler_notices(self.workerpool);
        let read = self.chain.events_after(after, self.start_block, &topics, self.ranges).await;
        let batch = read.map_err(|error| OutsideError::trouble(&error))?;
        let notices::Cursor { block, hash } = batch.cursor;
        let deals = batch.events.iter().filter_map(notices::noticed_deal).collect();
        Ok(Notices { deals, cursor: Cursor { block, hash } })
    }

    async fn read_deal(&self, id: DealId) -> Result<DealView, OutsideError> {
        let read = self.chain.deal(id).await.map_err(|error| OutsideError::trouble(&error))?;
        // It was announced, so it is there as soon as the node has caught up.
        let details = read.ok_or_else(|| OutsideError::Trouble(format!("deal {id} is not on chain")))?;
        Ok(DealView {
            deal: details.deal,
            category_seconds: details.category_seconds,
            app: details.app,
            dataset: details.dataset,
        })
    }

    /// A transaction of the half that runs here, the scheduler's first.
    async fn send(&self, by: Option<&Wallet>, call: Call) -> Result<(), OutsideError> {
        let wallet = by.ok_or_else(|| OutsideError::Trouble(format!("{}: its wallet is not here", call.what)))?;
        match wallet.send(&call).await {
            Ok(receipt) => {
                tracing::info!(
                    transaction = %receipt.transaction, block = receipt.block, gas = receipt.gas_used, what = call.what,
                    "transaction is in a block"
                );
                Ok(())
            }
            Err(SendError::NoCoin { wallet, .. }) => Err(OutsideError::NoGas { wallet }),
            Err(error @ SendError::Reverted { .. }) => {
                Err(OutsideError::refused(Cause::CHAIN_RECEIPT_NOT_VALID, with_causes(&error)))
            }
            Err(
                error @ (SendError::Chain { .. }
                | SendError::TooExpensive { .. }
                | SendError::Stuck { .. }
                | SendError::Overtaken { .. }),
            ) => Err(OutsideError::trouble(&error)),
        }
    }

    /// As [`Self::send`], for what anybody may do: when it was refused because somebody else did it, it is done.
    async fn send_unless_done(
        &self,
        call: Call,
        task: TaskId,
        done: impl Fn(TaskStatus) -> bool,
    ) -> Result<(), OutsideError> {
        match self.send(self.owner.as_ref().or(self.worker.as_ref()), call).await {
            Err(OutsideError::Refused(failure)) => {
                let status = self.chain.task_status(task).await.map_err(|error| OutsideError::trouble(&error))?;
                if done(status) { Ok(()) } else { Err(OutsideError::Refused(failure)) }
            }
            sent => sent,
        }
    }

    async fn send_settlement(&self, settlement: Settlement) -> Result<(), OutsideError> {
        let damaged =
            |what: &str| OutsideError::refused(Cause::ENCLAVE_SIGNATURE_NOT_FOUND, format!("{what} is damaged"));
        let signature = |text: &str, what| {
            let read: Signature = text.parse().map_err(|_| damaged(what))?;
            Ok::<_, OutsideError>(Bytes::from(read.to_bytes().to_vec()))
        };
        let callback = settlement.computed.callback_data.trim_start_matches("0x");
        let contribution = Contribution {
            task: settlement.task,
            result_digest: settlement.computed.result_digest,
            results: settlement.link.into_bytes().into(),
            results_callback: hex::decode(callback).map_err(|_| damaged("the callback data"))?.into(),
            enclave_challenge: settlement.challenge,
            enclave_sign: signature(&settlement.computed.enclave_signature, "the enclave's signature")?,
            authorization_sign: signature(&settlement.authorization, "the authorization")?,
        };
        let task = settlement.task;
        match self.send(self.worker.as_ref(), calls::contribute_and_finalize(self.hub(), contribution)).await {
            Err(OutsideError::Refused(failure)) => {
                // What was sent before a crash may have been mined in the meantime.
                let status = self.chain.task_status(task).await.map_err(|error| OutsideError::trouble(&error))?;
                if status == TaskStatus::Completed { Ok(()) } else { Err(OutsideError::Refused(failure)) }
            }
            sent => sent,
        }
    }
}

impl Ledger for Contracts {
    fn head(&self) -> Asked<'_, Block> {
        Box::pin(async { self.chain.newest_block().await.map_err(|error| OutsideError::trouble(&error)) })
    }

    fn notices(&self, after: Option<Cursor>) -> Asked<'_, Notices> {
        Box::pin(self.read_notices(after))
    }

    fn deal(&self, id: DealId) -> Asked<'_, DealView> {
        Box::pin(self.read_deal(id))
    }

    fn has_deal(&self, id: DealId) -> Asked<'_, bool> {
        Box::pin(async move {
            let found = self.chain.deal(id).await.map_err(|error| OutsideError::trouble(&error))?;
            Ok(found.is_some())
        })
    }

    fn dataset_location(&self, dataset: Address) -> Asked<'_, Option<String>> {
        Box::pin(async move {
            let found = self.chain.dataset(dataset).await.map_err(|error| OutsideError::trouble(&error))?;
            Ok(found.map(|dataset| location_text(&dataset.multiaddr)))
        })
    }

    fn status(&self, id: TaskId) -> Asked<'_, TaskStatus> {
        Box::pin(async move { self.chain.task_status(id).await.map_err(|error| OutsideError::trouble(&error)) })
    }

    fn initialize(&self, deal: DealId, index: u64) -> Asked<'_, ()> {
        Box::pin(async move {
            let call = calls::initialize(self.hub(), deal, index);
            self.send_unless_done(call, TaskId::of(deal, index), |status| status != TaskStatus::Unset).await
        })
    }

    fn settle(&self, settlement: Settlement) -> Asked<'_, ()> {
        Box::pin(self.send_settlement(settlement))
    }

    fn claim(&self, deal: DealId, index: u64, status: TaskStatus) -> Asked<'_, ()> {
        Box::pin(async move {
            let task = TaskId::of(deal, index);
            let call = match status {
                TaskStatus::Unset => calls::initialize_and_claim(self.hub(), deal, index),
                _ => calls::claim(self.hub(), task),
            };
            self.send_unless_done(call, task, |status| status == TaskStatus::Failed).await
        })
    }
}
