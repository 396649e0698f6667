//! Decides from facts alone which secrets a task's enclave may receive, and why not.
//! Pure: no clock, network, storage or randomness. All it needs is in [`Facts`], so any decision can be replayed.
//!
//! - [`facts`]: what is known when a request is judged.
//! - [`checks`]: the ordered list of small named checks.
//! - [`decide()`]: the first failing check or a [`Grant`]; [`explain()`]: all checks with what they compared.
//! - [`entrust()`]: the same without evidence, for provisioners that attest by themselves.
//! - [`needs()`]: which stored secrets a deal involves, to be looked up before judging.
//! - [`plan`]: which stage gets which variable.

pub mod checks;
mod decide;
pub mod enclave;
pub mod facts;
mod needs;
pub mod plan;
pub mod refusal;

pub use checks::Audience;
pub use decide::{Finding, Grant, Keeper, admit, decide, entrust, explain, explain_session};
pub use enclave::Enclave;
pub use facts::{Facts, SecretVersion, StoredSecrets, TaskFacts};
pub use needs::{Need, needs};
pub use plan::{Plan, PlannedItem, Source};
pub use refusal::Refusal;
pub use strongroom_attest::TrustDomain;
