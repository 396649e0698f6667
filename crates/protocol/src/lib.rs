//! The words Strongroom shares with the world: identifiers, secrets, what is signed and how signatures are read.
//! Pure: no clock, disk, network, randomness or async. Everything here can be reproduced from its arguments alone.
//!
//! - [`address`]: chain addresses in and out of text, with and without the EIP-55 checksum.
//! - [`ids`]: tasks and deals.
//! - [`names`]: what requesters and account owners call their secrets.
//! - [`secret`]: the value that wipes itself, and the identity of a stored secret.
//! - [`challenge`]: the hashes that owners, workers and pools sign.
//! - [`signature`]: EIP-191 signatures: strict parsing, recovery, signing.
//! - [`contribution`]: what an enclave signs for its result.
//! - [`tag`]: the kind of enclave a deal asks for.
//! - [`snapshot`]: what the chain says about one task at one block.
//! - [`deal_params`], [`multiaddr`], [`enclave_config`]: what deals and apps say in free text and bytes.
//! - [`session`]: the permission for one worker to start one task.
//! - [`transcript`]: what a release is about, as one hash.
//! - [`sealing`]: HPKE to an enclave's one-use key.
//! - [`bundle`]: what a release delivers, as bytes.
//! - [`release`]: the messages of a release. [`record`]: the journal entry behind it.
//! - [`time`]: seconds as a type.

pub mod address;
pub mod bundle;
pub mod challenge;
pub mod contribution;
pub mod deal_params;
pub mod enclave_config;
pub mod ids;
pub mod multiaddr;
pub mod names;
pub mod record;
pub mod release;
pub mod sealing;
pub mod secret;
pub mod session;
pub mod signature;
pub mod snapshot;
pub mod tag;
pub mod time;
pub mod transcript;

pub use alloy_primitives::{Address, B256};
pub use ids::{DealId, TaskId};
pub use names::{AccountSecretName, RequesterSecretName};
pub use secret::{SecretId, SecretKind, SecretValue};
pub use session::{Session, SessionId};
pub use signature::{Signature, SigningKey};
pub use tag::{Framework, Tag};
pub use time::UnixSeconds;
