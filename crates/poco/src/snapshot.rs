//! All the chain says about one task: the program that asks, and the typed answer. Pure: no node is talked to here.

use alloy_primitives::{Address, U256};
use alloy_sol_types::SolCall;
use strongroom_protocol::snapshot::{self as facts, Block, TaskSnapshot, TaskStatus};
use strongroom_protocol::{DealId, Tag, TaskId, UnixSeconds};

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
    let deal = read_deal(&task, decode::<viewDealCall>(deal, "viewDeal")?)?;
    let category = decode::<viewCategoryCall>(category, "viewCategory")?;
    let app = decode::<viewAppCall>(app, "viewApp")?;
    let dataset = match deal.dataset {
        None => None,
        Some(bought) => {
            let dataset = decode::<viewDatasetCall>(dataset, "viewDataset")?;
            Some(facts::Dataset {
                address: bought.address,
                owner: owner(dataset.owner)?,
                multiaddr: dataset.multiaddr.into(),
                checksum: dataset.checksum,
            })
        }
    };
    Ok(Some(TaskSnapshot {
        block,
        category_seconds: number(category.workClockTimeRef, "duration of a category")?,
        app: facts::App {
            address: deal.app.address,
            owner: owner(app.owner)?,
            multiaddr: app.multiaddr.into(),
            checksum: app.checksum,
            mrenclave: app.mrenclave.into(),
        },
        dataset,
        workerpool_owner: owner(decode::<viewWorkerpoolCall>(workerpool, "viewWorkerpool")?.owner)?,
        task,
        deal,
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

fn read_deal(task: &facts::Task, deal: contracts::Deal) -> Result<facts::Deal, ChainError> {
    let asset = |asset: contracts::DealAsset| {
        let contracts::DealAsset { pointer: address, owner, price } = asset;
        (!address.is_zero()).then_some(facts::DealAsset { address, owner, price })
    };
    let (Some(app), Some(workerpool), false) = (asset(deal.app), asset(deal.workerpool), deal.startTime.is_zero())
    else {
        return Err(ChainError::Impossible { what: "task of a deal that does not exist" });
    };
    let bot_first = number(deal.botFirst, "first index of a deal")?;
    let bot_size = number(deal.botSize, "size of a deal")?;
    if task.index < bot_first || task.index - bot_first >= bot_size {
        return Err(ChainError::Impossible { what: "index of a task outside its deal" });
    }
    Ok(facts::Deal {
        id: task.deal,
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
    })
}

/// A step of the snapshot cannot fail at a real hub: what a deal names exists. If one does, we do not know why.
fn decode<C: SolCall>(answer: &Answer, what: &'static str) -> Result<C::Return, ChainError> {
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
