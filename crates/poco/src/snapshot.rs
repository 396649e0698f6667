//! All the chain says about one task: the program that asks, and the typed answer. Pure: no node is talked to here.

use alloy_primitives::{Address, U256};
use alloy_sol_types::SolCall;
use strongroom_protocol::snapshot::{self as facts, Block, TaskSnapshot, TaskStatus};
use strongroom_protocol::{DealId, Tag, TaskId, UnixSeconds};

use crate::accounts::DealDetails;
use crate::contracts::{
    self, viewAppCall, viewCategoryCall, viewDatasetCall, viewDealCall, viewTaskCall, viewWorkerpoolCall,
};
use crate::error::ChainError;
use crate::reader::{Answer, Reading, Step, Word};

/// Word 0 of an answer that is a struct of varying size only says where the struct begins: right after it.
const STRUCT: u16 = 1;
/// `Task.dealid`.
const DEAL_OF_TASK: Word = Word::Answer { step: 0, word: STRUCT + 1 };
/// `Deal.app.pointer`, `Deal.dataset.pointer`, `Deal.workerpool.pointer`: three words each.
const APP_OF_DEAL: Word = Word::Answer { step: 1, word: STRUCT };
const DATASET_OF_DEAL: Word = Word::Answer { step: 1, word: STRUCT + 3 };
const WORKERPOOL_OF_DEAL: Word = Word::Answer { step: 1, word: STRUCT + 6 };
/// `Deal.category`, after the assets and the trust.
const CATEGORY_OF_DEAL: Word = Word::Answer { step: 1, word: STRUCT + 10 };

/// The program: the task names the deal, the deal names all the rest. For an unknown task every later step asks about
/// zero, and what it finds is not looked at; nor is the dataset of a deal without one.
pub(crate) fn snapshot_steps(hub: Address, task: TaskId) -> [Step; 6] {
    [
        Step::call::<viewTaskCall>(hub, vec![Word::Known(U256::from_be_bytes(*task.as_bytes()))]),
        Step::call::<viewDealCall>(hub, vec![DEAL_OF_TASK]),
        Step::call::<viewCategoryCall>(hub, vec![CATEGORY_OF_DEAL]),
        Step::call::<viewAppCall>(hub, vec![APP_OF_DEAL]),
        Step::call::<viewDatasetCall>(hub, vec![DATASET_OF_DEAL]),
        Step::call::<viewWorkerpoolCall>(hub, vec![WORKERPOOL_OF_DEAL]),
    ]
}

/// Reads what [`snapshot_steps`] found at `block`. `None`: no task of this id.
pub(crate) fn read_snapshot(block: Block, id: TaskId, reading: &Reading) -> Result<Option<TaskSnapshot>, ChainError> {
    let [task, deal, category, app, dataset, workerpool] = reading.answers.as_slice() else {
        return Err(ChainError::Impossible { what: "number of answers" });
    };
    let task = decode::<viewTaskCall>(task, "viewTask")?;
    if task.dealid.is_zero() {
        return if task.status == 0 { Ok(None) } else { Err(ChainError::Impossible { what: "task without a deal" }) };
    }
    let task = read_task(id, &task)?;
    let deal = read_deal(task.deal, decode::<viewDealCall>(deal, "viewDeal")?)?
        .ok_or(ChainError::Impossible { what: "task of a deal that does not exist" })?;
    if task.index < deal.bot_first || task.index - deal.bot_first >= deal.bot_size {
        return Err(ChainError::Impossible { what: "index of a task outside its deal" });
    }
    Ok(Some(TaskSnapshot {
        block,
        category_seconds: category_seconds(category)?,
        app: read_app(&deal, app)?,
        dataset: read_dataset(&deal, dataset)?,
        workerpool_owner: owner(decode::<viewWorkerpoolCall>(workerpool, "viewWorkerpool")?.owner)?,
        task,
        deal,
    }))
}

/// The program for a deal without a task: as [`snapshot_steps`], from the deal on. The numbers of its steps are one less.
pub(crate) fn deal_steps(hub: Address, deal: DealId) -> [Step; 4] {
    let of_deal = |word| Word::Answer { step: 0, word };
    [
        Step::call::<viewDealCall>(hub, vec![Word::Known(U256::from_be_bytes(*deal.as_bytes()))]),
        Step::call::<viewCategoryCall>(hub, vec![of_deal(STRUCT + 10)]),
        Step::call::<viewAppCall>(hub, vec![of_deal(STRUCT)]),
        Step::call::<viewDatasetCall>(hub, vec![of_deal(STRUCT + 3)]),
    ]
}

/// Reads what [`deal_steps`] found. `None`: no deal of this id.
pub(crate) fn read_deal_details(id: DealId, reading: &Reading) -> Result<Option<DealDetails>, ChainError> {
    let [deal, category, app, dataset] = reading.answers.as_slice() else {
        return Err(ChainError::Impossible { what: "number of answers" });
    };
    let Some(deal) = read_deal(id, decode::<viewDealCall>(deal, "viewDeal")?)? else { return Ok(None) };
    Ok(Some(DealDetails {
        category_seconds: category_seconds(category)?,
        app: read_app(&deal, app)?,
        dataset: read_dataset(&deal, dataset)?,
        deal,
    }))
}

fn category_seconds(category: &Answer) -> Result<u64, ChainError> {
    let category = decode::<viewCategoryCall>(category, "viewCategory")?;
    number(category.workClockTimeRef, "duration of a category")
}

fn read_app(deal: &facts::Deal, app: &Answer) -> Result<facts::App, ChainError> {
    let app = decode::<viewAppCall>(app, "viewApp")?;
    Ok(facts::App {
        address: deal.app.address,
        owner: owner(app.owner)?,
        multiaddr: app.multiaddr.into(),
        checksum: app.checksum,
        mrenclave: app.mrenclave.into(),
    })
}

fn read_dataset(deal: &facts::Deal, dataset: &Answer) -> Result<Option<facts::Dataset>, ChainError> {
    let Some(bought) = deal.dataset else { return Ok(None) };
    let dataset = decode::<viewDatasetCall>(dataset, "viewDataset")?;
    Ok(Some(facts::Dataset {
        address: bought.address,
        owner: owner(dataset.owner)?,
        multiaddr: dataset.multiaddr.into(),
        checksum: dataset.checksum,
    }))
}

fn read_task(id: TaskId, task: &contracts::Task) -> Result<facts::Task, ChainError> {
    let deal = DealId::from(task.dealid);
    let index = number(task.idx, "index of a task")?;
    if TaskId::of(deal, index) != id {
        return Err(ChainError::Impossible { what: "id of a task is not the hash of its deal and index" });
    }
    let status = TaskStatus::from_number(task.status).filter(|status| *status != TaskStatus::Unset);
    Ok(facts::Task {
        id,
        status: status.ok_or(ChainError::Impossible { what: "status of a task" })?,
        deal,
        index,
        contribution_deadline: UnixSeconds(number(task.contributionDeadline, "contribution deadline")?),
        final_deadline: UnixSeconds(number(task.finalDeadline, "final deadline")?),
    })
}

/// `None`: the contract knows no such deal, and answers zeros.
fn read_deal(id: DealId, deal: contracts::Deal) -> Result<Option<facts::Deal>, ChainError> {
    let asset = |asset: contracts::DealAsset| {
        let contracts::DealAsset { pointer: address, owner, price } = asset;
        (!address.is_zero()).then_some(facts::DealAsset { address, owner, price })
    };
    let (Some(app), Some(workerpool), false) = (asset(deal.app), asset(deal.workerpool), deal.startTime.is_zero())
    else {
        return Ok(None);
    };
    let bot_first = number(deal.botFirst, "first index of a deal")?;
    let bot_size = number(deal.botSize, "size of a deal")?;
    Ok(Some(facts::Deal {
        id,
        app,
        dataset: asset(deal.dataset),
        workerpool,
        trust: deal.trust,
        category: deal.category,
        tag: Tag(deal.tag),
        requester: deal.requester,
        beneficiary: deal.beneficiary,
        callback: (!deal.callback.is_zero()).then_some(deal.callback),
        params: String::from_utf8_lossy(&deal.params).into_owned(),
        start_time: UnixSeconds(number(deal.startTime, "start of a deal")?),
        bot_first,
        bot_size,
    }))
}

/// A step of the snapshot cannot fail at a real hub: what a deal names exists. If one does, we do not know why.
pub(crate) fn decode<C: SolCall>(answer: &Answer, what: &'static str) -> Result<C::Return, ChainError> {
    let impossible = ChainError::Impossible { what };
    let bytes = answer.as_deref().ok_or_else(|| impossible.clone())?;
    C::abi_decode_returns_validate(bytes).map_err(|_| impossible)
}

fn owner(address: Address) -> Result<Address, ChainError> {
    if address.is_zero() { Err(ChainError::Impossible { what: "resource that nobody owns" }) } else { Ok(address) }
}

fn number(value: U256, what: &'static str) -> Result<u64, ChainError> {
    u64::try_from(value).map_err(|_| ChainError::Impossible { what })
}

#[cfg(test)]
mod tests;
