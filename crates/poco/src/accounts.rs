//! What owners, buyers and pools look up beside a task: money, registries, descriptors, how much of an order is used up.

use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::{SolCall, sol};
use strongroom_protocol::snapshot::{App, Dataset, Deal, TaskStatus};
use strongroom_protocol::{DealId, TaskId};

use crate::chain::Chain;
use crate::contracts::{
    appregistryCall, datasetregistryCall, isRegisteredCall, viewAppCall, viewCategoryCall, viewDatasetCall,
    viewTaskCall, workerpoolregistryCall,
};
use crate::error::ChainError;
use crate::owners::{self, AssetKind};
use crate::reader::{Answer, Step, Word};
use crate::snapshot;
use crate::transaction_rpc::Balance;

sol! {
    #![sol(abi = false)]
    struct Account { uint256 stake; uint256 locked; }
    function viewAccount(address owner) external view returns (Account account);
    function balanceOf(address owner) external view returns (uint256 balance);
    function token() external view returns (address token);
    function viewConsumed(bytes32 orderHash) external view returns (uint256 consumed);
    function viewPresigned(bytes32 orderHash) external view returns (address signer);
    function countCategory() external view returns (uint256 count);
}

/// Addresses that a hub names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registries {
    /// Of apps.
    pub app: Address,
    /// Of datasets.
    pub dataset: Address,
    /// Of workerpools.
    pub workerpool: Address,
    /// The RLC token.
    pub rlc: Address,
}

/// The money of somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Money {
    /// At the hub and free, in nRLC.
    pub stake: U256,
    /// At the hub and held for tasks that are not over, in nRLC.
    pub locked: U256,
    /// In the wallet, in nRLC.
    pub rlc: U256,
    /// Coin of the chain in the wallet, in wei.
    pub coin: U256,
}

/// A deal with what it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DealDetails {
    /// The deal.
    pub deal: Deal,
    /// Longest run of its category, in seconds; 0 for a category that does not exist.
    pub category_seconds: u64,
    /// Its app.
    pub app: App,
    /// Its dataset, if it has one.
    pub dataset: Option<Dataset>,
}

impl Chain {
    /// The registries and the token of the hub.
    pub async fn registries(&self) -> Result<Registries, ChainError> {
        let hub = self.identity().1;
        let (_, reading) = self
            .read_newest(&[
                Step::call::<appregistryCall>(hub, vec![]),
                Step::call::<datasetregistryCall>(hub, vec![]),
                Step::call::<workerpoolregistryCall>(hub, vec![]),
                Step::call::<tokenCall>(hub, vec![]),
            ])
            .await?;
        let at = |index: usize, what| owners::address(answer(&reading.answers, index)?, what);
        Ok(Registries {
            app: at(0, "app registry")?,
            dataset: at(1, "dataset registry")?,
            workerpool: at(2, "workerpool registry")?,
            rlc: at(3, "token")?,
        })
    }

    /// Coin of the chain that an account has, in wei.
    pub async fn coin_balance(&self, account: Address) -> Result<U256, ChainError> {
        self.ask_one(&Balance(account)).await
    }

    /// The money of an account.
    pub async fn money(&self, account: Address) -> Result<Money, ChainError> {
        let hub = self.identity().1;
        let token = Word::Answer { step: 0, word: 0 };
        let (_, reading) = self
            .read_newest(&[
                Step::call::<tokenCall>(hub, vec![]),
                Step::call::<balanceOfCall>(token, vec![account.into()]),
                Step::call::<viewAccountCall>(hub, vec![account.into()]),
            ])
            .await?;
        let rlc = owners::word(answer(&reading.answers, 1)?, "balance")?.into();
        let at_hub = decode::<viewAccountCall>(answer(&reading.answers, 2)?, "account")?;
        Ok(Money { stake: at_hub.stake, locked: at_hub.locked, rlc, coin: self.coin_balance(account).await? })
    }

    /// How much of an order is used up. A revoked one is used up whole.
    pub async fn consumed(&self, order: B256) -> Result<U256, ChainError> {
        let hub = self.identity().1;
        let (_, reading) = self.read_newest(&[Step::call::<viewConsumedCall>(hub, vec![order.into()])]).await?;
        Ok(owners::word(answer(&reading.answers, 0)?, "consumed volume")?.into())
    }

    /// Who signed an order by a transaction, if anybody did.
    pub async fn presigner(&self, order: B256) -> Result<Option<Address>, ChainError> {
        let hub = self.identity().1;
        let (_, reading) = self.read_newest(&[Step::call::<viewPresignedCall>(hub, vec![order.into()])]).await?;
        let signer = owners::word(answer(&reading.answers, 0)?, "presigner")?;
        Ok((!signer.is_zero()).then(|| Address::from_word(signer)))
    }

    /// A deal with what it names; `None` if there is no deal of this id.
    pub async fn deal(&self, id: DealId) -> Result<Option<DealDetails>, ChainError> {
        let hub = self.identity().1;
        let (_, reading) = self.read_newest(&snapshot::deal_steps(hub, id)).await?;
        snapshot::read_deal_details(id, &reading)
    }

    /// Where a task stands; [`TaskStatus::Unset`] when it was not initialised.
    pub async fn task_status(&self, task: TaskId) -> Result<TaskStatus, ChainError> {
        let view = self.view_task(task).await?;
        TaskStatus::from_number(view.status).ok_or(ChainError::Impossible { what: "status of a task" })
    }

    /// The text that says where the result of a completed task is, as bytes; empty before.
    pub async fn task_results(&self, task: TaskId) -> Result<Vec<u8>, ChainError> {
        Ok(self.view_task(task).await?.results.into())
    }

    async fn view_task(&self, task: TaskId) -> Result<crate::contracts::Task, ChainError> {
        let hub = self.identity().1;
        let word = Word::from(B256::from(*task.as_bytes()));
        let (_, reading) = self.read_newest(&[Step::call::<viewTaskCall>(hub, vec![word])]).await?;
        decode::<viewTaskCall>(answer(&reading.answers, 0)?, "viewTask")
    }

    /// An app, if it is registered.
    pub async fn app(&self, address: Address) -> Result<Option<App>, ChainError> {
        let Some(bytes) = self.descriptor::<viewAppCall>(AssetKind::App, address).await? else { return Ok(None) };
        let app = decode::<viewAppCall>(&Some(bytes), "viewApp")?;
        let (owner, checksum) = (app.owner, app.checksum);
        Ok(Some(App { address, owner, multiaddr: app.multiaddr.into(), checksum, mrenclave: app.mrenclave.into() }))
    }

    /// A dataset, if it is registered.
    pub async fn dataset(&self, address: Address) -> Result<Option<Dataset>, ChainError> {
        let found = self.descriptor::<viewDatasetCall>(AssetKind::Dataset, address).await?;
        let Some(bytes) = found else { return Ok(None) };
        let dataset = decode::<viewDatasetCall>(&Some(bytes), "viewDataset")?;
        let (owner, checksum) = (dataset.owner, dataset.checksum);
        Ok(Some(Dataset { address, owner, multiaddr: dataset.multiaddr.into(), checksum }))
    }

    /// What `C` of the hub says about a resource that is registered.
    async fn descriptor<C: SolCall>(&self, kind: AssetKind, address: Address) -> Result<Option<Vec<u8>>, ChainError> {
        let hub = self.identity().1;
        let registry = Word::Answer { step: 0, word: 0 };
        let (_, reading) = self
            .read_newest(&[
                kind.registry(hub),
                Step::call_for_word::<isRegisteredCall>(registry, vec![address.into()]),
                Step::call::<C>(hub, vec![address.into()]),
            ])
            .await?;
        let registered = owners::word(answer(&reading.answers, 1)?, "isRegistered")?;
        if registered.is_zero() {
            return Ok(None);
        }
        let what = ChainError::Impossible { what: "descriptor of a resource" };
        answer(&reading.answers, 2)?.clone().ok_or(what).map(Some)
    }

    /// Longest run of each category, in seconds, by its number.
    pub async fn category_seconds(&self, number: U256) -> Result<Option<u64>, ChainError> {
        let hub = self.identity().1;
        let (_, reading) = self
            .read_newest(&[
                Step::call::<countCategoryCall>(hub, vec![]),
                Step::call::<viewCategoryCall>(hub, vec![Word::Known(number)]),
            ])
            .await?;
        let count: U256 = owners::word(answer(&reading.answers, 0)?, "number of categories")?.into();
        if number >= count {
            return Ok(None);
        }
        let category = decode::<viewCategoryCall>(answer(&reading.answers, 1)?, "viewCategory")?;
        let seconds = u64::try_from(category.workClockTimeRef);
        seconds.map(Some).map_err(|_| ChainError::Impossible { what: "duration of a category" })
    }
}

fn answer(answers: &[Answer], index: usize) -> Result<&Answer, ChainError> {
    answers.get(index).ok_or(ChainError::Impossible { what: "number of answers" })
}

fn decode<C: SolCall>(answer: &Answer, what: &'static str) -> Result<C::Return, ChainError> {
    snapshot::decode::<C>(answer, what)
}
