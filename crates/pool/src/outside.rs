//! The world outside as the engine needs it: the chain, the services (SMS and result proxy), enclaves, the time. Each is a
//! trait with one real implementation and one that tests can stop at any moment.
//!
//! "It did not work" has three meanings here, which never mix: [`OutsideError::Trouble`] (asking again may help),
//! [`OutsideError::NoGas`] (a person must pay something in) and [`OutsideError::Refused`] (the answer is no and stays no).

use std::sync::Arc;

use futures_util::future::BoxFuture;
use strongroom_protocol::snapshot::{App, Block, Dataset, Deal, TaskStatus};
use strongroom_protocol::{Address, B256, DealId, Framework, SecretValue, SigningKey, TaskId, UnixSeconds};
use url::Url;

use crate::cause::{Cause, Failure};
use crate::store::Cursor;
use crate::task::{Computed, Logs};

/// Why something outside did not happen.
#[derive(Clone, Debug, thiserror::Error)]
pub enum OutsideError {
    /// Asking again may help.
    #[error("{0}")]
    Trouble(String),
    /// The wallet cannot pay for the transaction.
    #[error("wallet {wallet} has not enough of the chain's coin to pay for gas; pay some in")]
    NoGas {
        /// The wallet.
        wallet: Address,
    },
    /// It will not happen.
    #[error("{0}")]
    Refused(Failure),
}

impl OutsideError {
    /// A final no.
    pub fn refused(cause: Cause, message: impl AsRef<str>) -> Self {
        Self::Refused(Failure::new(cause, message))
    }

    /// Trouble, told by an error with all its causes.
    pub fn trouble(error: &(dyn std::error::Error + 'static)) -> Self {
        Self::Trouble(with_causes(error))
    }
}

/// An error and what lies behind it, in one line.
pub fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

/// An answer that is under way.
pub type Asked<'a, T> = BoxFuture<'a, Result<T, OutsideError>>;

/// A deal with what it names, as the chain has them.
#[derive(Clone, Debug)]
pub struct DealView {
    /// The deal.
    pub deal: Deal,
    /// Longest run of its category, in seconds; 0 for a category that does not exist.
    pub category_seconds: u64,
    /// Its app.
    pub app: App,
    /// Its dataset, if it has one.
    pub dataset: Option<Dataset>,
}

impl DealView {
    /// After this second nobody can contribute (PoCo: seven times the category's time after the match).
    pub fn contribution_deadline(&self) -> UnixSeconds {
        UnixSeconds(self.deal.start_time.0.saturating_add(self.category_seconds.saturating_mul(7)))
    }

    /// From this second on tasks can be claimed (PoCo: ten times).
    pub fn final_deadline(&self) -> UnixSeconds {
        UnixSeconds(self.deal.start_time.0.saturating_add(self.category_seconds.saturating_mul(10)))
    }
}

/// The notices up to a block.
#[derive(Clone, Debug)]
pub struct Notices {
    /// Deals that named our pool, oldest first; perhaps some that were told before.
    pub deals: Vec<DealId>,
    /// Up to where was read.
    pub cursor: Cursor,
}

/// What the hub is told about a result.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// The task.
    pub task: TaskId,
    /// What the enclave delivered.
    pub computed: Computed,
    /// Text that says where the result is.
    pub link: String,
    /// The enclave challenge.
    pub challenge: Address,
    /// The pool owner's signature, as text.
    pub authorization: String,
}

/// The chain.
pub trait Ledger: Send + Sync {
    /// The newest block.
    fn head(&self) -> Asked<'_, Block>;
    /// The next stretch of notices after `cursor`; an empty one when there is nothing new that is deep enough.
    fn notices(&self, after: Option<Cursor>) -> Asked<'_, Notices>;
    /// A deal that was announced. Never changes while it is on chain.
    fn deal(&self, id: DealId) -> Asked<'_, DealView>;
    /// Whether a deal is on chain: a reorganisation may take back what was announced, and bring it again.
    fn has_deal(&self, id: DealId) -> Asked<'_, bool>;
    /// Where a dataset is, as text; `None` if it is not registered.
    fn dataset_location(&self, dataset: Address) -> Asked<'_, Option<String>>;
    /// Where a task stands; [`TaskStatus::Unset`] before it was initialised.
    fn status(&self, id: TaskId) -> Asked<'_, TaskStatus>;
    /// Makes a task active, and returns when that is in a block.
    fn initialize(&self, deal: DealId, index: u64) -> Asked<'_, ()>;
    /// Contributes and finalises, and returns when that is in a block.
    fn settle(&self, settlement: Settlement) -> Asked<'_, ()>;
    /// Fails a task that is past its final deadline, whether it was initialised or not.
    fn claim(&self, deal: DealId, index: u64, status: TaskStatus) -> Asked<'_, ()>;
}

/// The permission of the pool's owner for one worker to run one task (6.6 of the network's documents: WorkerpoolAuthorization).
#[derive(Clone, Debug)]
pub struct Authorization {
    /// The task.
    pub task: TaskId,
    /// Its deal.
    pub deal: DealId,
    /// Its index.
    pub index: u64,
    /// The worker.
    pub worker: Address,
    /// The enclave challenge.
    pub challenge: Address,
    /// The pool owner's signature, as text.
    pub signature: String,
}

/// A reason why a session would be refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Objection {
    /// Its word.
    pub code: String,
    /// Its sentence.
    pub reason: String,
}

/// The SMS and the result proxy.
pub trait Services: Send + Sync {
    /// Which framework the SMS serves.
    fn framework(&self) -> Asked<'_, Framework>;
    /// The enclave challenge of a task; `signature` is the pool owner's.
    fn challenge(&self, task: TaskId, signature: String) -> Asked<'_, Address>;
    /// Stores `value` as the account secret `name` of the owner of `key`, in place of what may be there.
    fn publish<'a>(&'a self, key: &'a SigningKey, name: &'a str, value: &'a SecretValue) -> Asked<'a, ()>;
    /// Why the SMS would refuse a session; empty if it would not.
    fn objections<'a>(&'a self, authorization: &'a Authorization) -> Asked<'a, Vec<Objection>>;
    /// Opens a session; `signature` is the worker's. Gives its id.
    fn session<'a>(&'a self, authorization: &'a Authorization, signature: String) -> Asked<'a, String>;
    /// A token for the upload of a result; `signature` is the worker's.
    fn storage_token<'a>(
        &'a self,
        proxy: &'a Url,
        authorization: &'a Authorization,
        signature: String,
    ) -> Asked<'a, SecretValue>;
    /// Where the result of a task is, such as `/ipfs/…`; `None` if it is nowhere.
    fn result_location<'a>(&'a self, proxy: &'a Url, task: TaskId) -> Asked<'a, Option<String>>;
}

/// One run of an enclave.
#[derive(Clone, Debug)]
pub struct Run {
    /// The task.
    pub task: TaskId,
    /// Its deal.
    pub deal: Arc<DealView>,
    /// Its index in the request.
    pub index: u64,
    /// The session that the guest opens.
    pub session: String,
    /// The worker for whom the enclave signs.
    pub worker: Address,
    /// The address of the key with which it signs.
    pub challenge: Address,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// How.
    pub how: HowEnded,
    /// What was printed, capped.
    pub logs: Logs,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HowEnded {
    /// The guest ended with this code.
    Exited(i32),
    /// A signal ended it.
    Signalled(i32),
    /// It used more memory than it may.
    OutOfMemory,
    /// It ran longer than it may.
    Deadline,
    /// It was not started.
    NotStarted(String),
}

/// Runs enclaves.
pub trait RunTasks: Send + Sync {
    /// Has the image of an app at hand, verified. Fails with a refusal if there is no image with the app's checksum.
    fn fetch<'a>(&'a self, deal: &'a DealView) -> Asked<'a, ()>;
    /// Runs one enclave to its end. What it delivers and reports goes to the store on the way. When the answer is dropped, the
    /// enclave is killed.
    fn run(&self, run: Run) -> Asked<'_, Ended>;
}

/// Tells the time; `main` passes the system's clock.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> UnixSeconds + Send + Sync>);

impl Clock {
    /// A clock that shows what `now` returns.
    pub fn new(now: impl Fn() -> UnixSeconds + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// Unix seconds.
    pub fn now(&self) -> UnixSeconds {
        (self.0)()
    }
}

impl Authorization {
    /// What owner and worker sign.
    pub fn message(&self) -> B256 {
        strongroom_protocol::challenge::workerpool_authorization(self.worker, self.task, self.challenge)
    }
}
