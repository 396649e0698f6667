//! A world that can stop at any moment: before or after each thing that is asked of it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use alloy_primitives::B256;
use strongroom_protocol::snapshot::{Block, TaskStatus};
use strongroom_protocol::{Address, Framework, SecretValue, SigningKey, UnixSeconds};
use url::Url;

use super::super::*;
use super::owner;
use crate::cause::Failure;
use crate::outside::{Asked, Authorization, Ended, HowEnded, Notices, Objection, Run, Settlement};
use crate::store::Cursor;
use crate::task::{Computed, Logs};
use crate::test_support::deal_view;

/// Where a world stops, for the crash tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// Never.
    Never,
    /// Before the effect of the question of this number.
    Before(usize),
    /// After its effect, before its answer.
    After(usize),
}

/// What the outside remembers, whatever happens to the pool.
pub(super) struct World {
    pub(super) now: Mutex<UnixSeconds>,
    pub(super) statuses: Mutex<HashMap<TaskId, TaskStatus>>,
    /// Transactions by name, as the chain took them.
    pub(super) sent: Mutex<Vec<&'static str>>,
    pub(super) asked: AtomicUsize,
    pub(super) stop: Mutex<Stop>,
    pub(super) stopped: Notify,
    /// What enclaves do.
    pub(super) enclave: Mutex<Enclave>,
    pub(super) runs: AtomicUsize,
    pub(super) view: DealView,
    /// Whether a reorganisation took the deal back.
    pub(super) is_deal_gone: AtomicBool,
    pub(super) objections: Mutex<Vec<Objection>>,
    pub(super) troubles: Mutex<HashMap<&'static str, usize>>,
    /// The task for which no storage token is to be had.
    pub(super) tokenless: Mutex<Option<TaskId>>,
    /// How often it was asked for.
    pub(super) refused_tokens: AtomicUsize,
    pub(super) empty_wallet: AtomicUsize,
    pub(super) store: Mutex<Option<Store>>,
}

#[derive(Clone)]
pub(super) enum Enclave {
    Delivers,
    Reports(Failure),
    Ends(HowEnded),
    /// Ends so the first time, then delivers.
    First(HowEnded),
}

impl World {
    pub(super) fn new() -> Arc<Self> {
        let mut view = deal_view(r#"{"iexec_result_storage_provider":"ipfs"}"#);
        view.deal.workerpool.address = Address::repeat_byte(0x33);
        view.deal.workerpool.owner = owner().address();
        Arc::new(Self {
            now: Mutex::new(view.deal.start_time),
            statuses: Mutex::default(),
            sent: Mutex::default(),
            asked: AtomicUsize::new(0),
            stop: Mutex::new(Stop::Never),
            stopped: Notify::new(),
            enclave: Mutex::new(Enclave::Delivers),
            runs: AtomicUsize::new(0),
            view,
            is_deal_gone: AtomicBool::new(false),
            objections: Mutex::default(),
            troubles: Mutex::default(),
            tokenless: Mutex::default(),
            refused_tokens: AtomicUsize::new(0),
            empty_wallet: AtomicUsize::new(0),
            store: Mutex::default(),
        })
    }

    /// One question: stops here if it is its turn, else has the effect.
    async fn question<T>(&self, name: &'static str, effect: impl AsyncFnOnce() -> T) -> Result<T, OutsideError> {
        if let Some(left) = self.troubles.lock().unwrap().get_mut(name).filter(|left| **left > 0) {
            *left -= 1;
            return Err(OutsideError::Trouble(format!("{name} is down")));
        }
        let number = self.asked.fetch_add(1, Ordering::SeqCst);
        let stop = *self.stop.lock().unwrap();
        if stop == Stop::Before(number) {
            self.halt().await;
        }
        let answer = effect().await;
        if stop == Stop::After(number) {
            self.halt().await;
        }
        Ok(answer)
    }

    async fn halt(&self) {
        self.stopped.notify_one();
        std::future::pending::<()>().await;
    }

    pub(super) fn status_of(&self, task: TaskId) -> TaskStatus {
        self.statuses.lock().unwrap().get(&task).copied().unwrap_or(TaskStatus::Unset)
    }

    /// A transaction: the chain takes it in the right state only.
    fn send(&self, name: &'static str, task: TaskId, from: &[TaskStatus], to: TaskStatus) -> Result<(), OutsideError> {
        if self.is_deal_gone.load(Ordering::SeqCst) {
            // Its estimate fails, so that it is not even sent.
            return Err(OutsideError::refused(Cause::CHAIN_RECEIPT_NOT_VALID, format!("{name} would be reverted")));
        }
        self.sent.lock().unwrap().push(name);
        if !from.contains(&self.status_of(task)) {
            return Err(OutsideError::refused(Cause::CHAIN_RECEIPT_NOT_VALID, format!("{name} was reverted")));
        }
        self.statuses.lock().unwrap().insert(task, to);
        Ok(())
    }

    pub(super) fn sent(&self) -> Vec<&'static str> {
        self.sent.lock().unwrap().clone()
    }

    pub(super) fn pass_final_deadline(&self) {
        *self.now.lock().unwrap() = self.view.final_deadline();
    }
}

impl Ledger for World {
    fn head(&self) -> Asked<'_, Block> {
        let time = *self.now.lock().unwrap();
        Box::pin(async move { Ok(Block { number: 1, hash: B256::ZERO, time }) })
    }

    fn notices(&self, _after: Option<Cursor>) -> Asked<'_, Notices> {
        let cursor = Cursor { block: 1, hash: B256::ZERO };
        Box::pin(async move { Ok(Notices { deals: vec![self.view.deal.id], cursor }) })
    }

    fn deal(&self, _id: DealId) -> Asked<'_, DealView> {
        Box::pin(self.question("deal", async || self.view.clone()))
    }

    fn has_deal(&self, _id: DealId) -> Asked<'_, bool> {
        Box::pin(self.question("deal", async || !self.is_deal_gone.load(Ordering::SeqCst)))
    }

    fn dataset_location(&self, _dataset: Address) -> Asked<'_, Option<String>> {
        Box::pin(async { Ok(None) })
    }

    fn status(&self, id: TaskId) -> Asked<'_, TaskStatus> {
        Box::pin(self.question("status", async move || self.status_of(id)))
    }

    fn initialize(&self, deal: DealId, index: u64) -> Asked<'_, ()> {
        Box::pin(async move {
            if self.empty_wallet.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
                return Err(OutsideError::NoGas { wallet: owner().address() });
            }
            let task = TaskId::of(deal, index);
            let send = async || self.send("initialize", task, &[TaskStatus::Unset], TaskStatus::Active);
            self.question("initialize", send).await?
        })
    }

    fn settle(&self, settlement: Settlement) -> Asked<'_, ()> {
        Box::pin(async move {
            let send = async || self.send("settle", settlement.task, &[TaskStatus::Active], TaskStatus::Completed);
            self.question("settle", send).await?
        })
    }

    fn claim(&self, deal: DealId, index: u64, _status: TaskStatus) -> Asked<'_, ()> {
        Box::pin(async move {
            let task = TaskId::of(deal, index);
            let from = [TaskStatus::Unset, TaskStatus::Active];
            self.question("claim", async || self.send("claim", task, &from, TaskStatus::Failed)).await?
        })
    }
}

impl Services for World {
    fn framework(&self) -> Asked<'_, Framework> {
        Box::pin(self.question("framework", async || Framework::Tdx))
    }

    fn challenge(&self, _task: TaskId, _signature: String) -> Asked<'_, Address> {
        Box::pin(self.question("challenge", async || Address::repeat_byte(0xec)))
    }

    fn publish<'a>(&'a self, _key: &'a SigningKey, _name: &'a str, _value: &'a SecretValue) -> Asked<'a, ()> {
        Box::pin(self.question("publish", async || ()))
    }

    fn objections<'a>(&'a self, _authorization: &'a Authorization) -> Asked<'a, Vec<Objection>> {
        Box::pin(self.question("objections", async || self.objections.lock().unwrap().clone()))
    }

    fn session<'a>(&'a self, _authorization: &'a Authorization, _signature: String) -> Asked<'a, String> {
        Box::pin(self.question("session", async || "a session".to_owned()))
    }

    fn storage_token<'a>(
        &'a self,
        _proxy: &'a Url,
        authorization: &'a Authorization,
        _signature: String,
    ) -> Asked<'a, SecretValue> {
        if *self.tokenless.lock().unwrap() == Some(authorization.task) {
            self.refused_tokens.fetch_add(1, Ordering::SeqCst);
            return Box::pin(async { Err(OutsideError::Trouble("the proxy is down".to_owned())) });
        }
        Box::pin(self.question("token", async || SecretValue::new(b"a token".to_vec()).unwrap()))
    }

    fn result_location<'a>(&'a self, _proxy: &'a Url, _task: TaskId) -> Asked<'a, Option<String>> {
        Box::pin(self.question("location", async || Some("/ipfs/Qm".to_owned())))
    }
}

impl RunTasks for World {
    fn fetch<'a>(&'a self, _deal: &'a DealView) -> Asked<'a, ()> {
        Box::pin(self.question("fetch", async || ()))
    }

    fn run(&self, run: Run) -> Asked<'_, Ended> {
        let enclave = self.enclave.lock().unwrap().clone();
        let first = self.runs.fetch_add(1, Ordering::SeqCst) == 0;
        let store = self.store.lock().unwrap().clone().unwrap();
        let deliver = async move || {
            let computed = Computed {
                result_digest: B256::repeat_byte(1),
                enclave_signature: "signed".to_owned(),
                callback_data: "0x".to_owned(),
            };
            store.deliver(run.task, computed).await.unwrap();
            HowEnded::Exited(0)
        };
        let store = self.store.lock().unwrap().clone().unwrap();
        let how = async move || match enclave {
            Enclave::First(how) if first => how,
            Enclave::Delivers | Enclave::First(_) => deliver().await,
            Enclave::Reports(failure) => {
                store.report(run.task, vec![failure]).await.unwrap();
                HowEnded::Exited(1)
            }
            Enclave::Ends(how) => how,
        };
        let logs = Logs { stdout: "hello".to_owned(), stderr: "last\n".to_owned() };
        Box::pin(self.question("run", async move || Ended { how: how().await, logs }))
    }
}
