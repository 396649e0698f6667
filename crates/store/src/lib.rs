//! Keeps secrets, policies, counters and the journal: encrypted, versioned, in one transaction.
//!
//! [`Store`] is the whole interface. Values are sealed by the caller's task before they reach the database
//! ([`envelope`]), one thread owns the writing connection and commits many callers at once ([`writer`]), a few
//! connections read ([`readers`]), and another thread moves the write-ahead log into the database file
//! ([`checkpoint`]).
//!
//! What whoever controls the files can do: learn which ids have secrets, how many versions and about how long they are,
//! delete or roll back rows, and make the service answer "trouble". Not: read a value, change one, or make the value
//! of one id, version or chain pass for another (`docs/decisions/0002-envelope-encryption.md`).
//!
//! A plain value leaves in one way only: a [`Grant`](strongroom_grant::Grant) is made durable in the journal
//! ([`Store::record`]), and the [`Recorded`] that comes of it opens exactly the secrets it names ([`Store::open_recorded`]).

mod backup;
mod checkpoint;
mod connection;
mod envelope;
mod error;
mod files;
mod journal;
mod keys;
mod readers;
mod release;
mod root_key;
mod rotation;
mod schema;
mod secrets;
mod sessions;
mod store;
mod trust_domain;
mod verify;
mod writer;

pub use backup::{BackupError, RestoreError, Restored};
pub use error::{InsertError, OpenError, ReplaceError, StoreError};
pub use release::{Opened, RecordError, Recorded, Refused};
pub use root_key::{RootKeyError, RootKeySource};
pub use rotation::{RotationProgress, RotationReport};
pub use secrets::{Replaced, SecretCounts};
pub use store::{Store, StoreConfig};
pub use trust_domain::TrustDomainError;
pub use verify::{ClaimedIdentity, UnreadableVersion, VerifyReport};
