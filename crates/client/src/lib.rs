//! Talks to an SMS and believes only what it has verified.
//!
//! - [`service`]: the service's `/v1` calls, bounded in time and size; refusals and trouble told apart.
//! - [`evidence`]: where an enclave gets its evidence from.
//! - [`Service::journal`]: what was decided about a task, each entry checked against its own bytes.
//! - [`release()`]: one release from key pair to opened bundle. Nothing in an answer is used before the pinned service's
//!   signature over this very request was checked.

pub mod evidence;
mod journal;
mod release;
pub mod service;
mod way;

pub use evidence::{EvidenceError, EvidenceSource, GuestEvidence, SourcePaths};
pub use release::{Patience, Pinned, ReleaseError, Released, release};
pub use service::{Service, ServiceError};
pub use way::{Way, WayError, origin};
