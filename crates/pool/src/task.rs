//! One task as the pool keeps it: where it stands, and what was found out or decided on the way. Nothing of it is secret.

use serde::{Deserialize, Serialize};
use strongroom_protocol::{Address, B256, DealId, TaskId, UnixSeconds};

use crate::cause::Failure;
use crate::lifecycle::State;

/// A task of this pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// The deal it belongs to.
    pub deal: DealId,
    /// Its index in the request.
    pub index: u64,
    /// Where it stands.
    pub state: State,
    /// After this second nobody can contribute any more.
    pub contribution_deadline: UnixSeconds,
    /// From this second on it can be claimed.
    pub final_deadline: UnixSeconds,
    /// What was found out on the way.
    pub facts: Facts,
    /// What the enclave delivered, once it did.
    pub computed: Option<Computed>,
    /// What the stages in the enclave reported, first one first.
    pub reported: Vec<Failure>,
}

/// What was found out or decided on the way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Facts {
    /// How often an enclave was started for it.
    pub attempts: u32,
    /// Address of the task's enclave challenge.
    pub challenge: Option<Address>,
    /// The pool owner's signature over worker, task and challenge: 65 bytes as text.
    pub authorization: Option<String>,
    /// The session of the last attempt.
    pub session: Option<String>,
    /// Why it was given up.
    pub failure: Option<Failure>,
    /// How the enclave ended, when it ended by itself.
    pub exit_code: Option<i32>,
}

/// What the enclave signed, as the hub takes it. It was verified when it came in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Computed {
    /// Digest of the result.
    pub result_digest: B256,
    /// The enclave challenge's signature over it: 65 bytes as text.
    pub enclave_signature: String,
    /// Bytes for the callback of the deal, as `0x` and hex digits; empty for a deal without one.
    pub callback_data: String,
}

/// One line of a task's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The state it came to.
    pub state: State,
    /// When.
    pub time: UnixSeconds,
}

/// What an app said, as far as it is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Logs {
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}
