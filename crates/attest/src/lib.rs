//! Says what code, on which platform, holds which key, from evidence and endorsements at a given time.
//!
//! ```text
//! bytes ─parse→ Evidence ─verify(endorsements, binding, anchors, now)→ Verified ─policy→ Accepted
//! ```
//!
//! [`verify()`] is the one way in. It picks exactly one verifier by the evidence's tag, checks every signature up to a root in
//! [`TrustAnchors`], checks that the evidence was made for the [`ExpectedBinding`], and hands back a [`Verified`]: the proof
//! that the [`Claims`] in it are authentic. Nothing else can make one. ([`mod@inspect`] shows people what evidence says; what it
//! returns opens nothing.)
//!
//! What the crate never does: read a clock, a disk or the network, draw randomness, or let the evidence choose its roots, its
//! endorsements, the time or the policy. Whoever sends evidence controls all of its bytes, so every decoder here is total:
//! any input gives a value or an error, in time and memory bounded by the caps in [`evidence`].
//!
//! The bytes of evidence are malleable (a quote carries parts that no signature covers), so their hash is never an identity
//! and never a cache or replay key. Replay is stopped by the single-use nonce inside the binding.

pub mod anchors;
pub mod binding;
pub mod claims;
mod der_signed;
pub mod endorsements;
pub mod error;
pub mod evidence;
pub mod inspect;
mod intel;
pub mod measurement;
mod nitro;
pub mod platform;
pub mod policy;
mod snp;
mod verify;
mod x509;

pub use anchors::{AmdProduct, TrustAnchors, TrustDomain};
pub use binding::ExpectedBinding;
pub use claims::{Claims, Verified};
pub use endorsements::Endorsements;
pub use error::{EndorsementFault, EvidenceFault, VerifyError};
pub use evidence::{Evidence, EvidenceKind};
pub use intel::event_log;
pub use measurement::Measurement;
pub use platform::PlatformKey;
pub use policy::{Accepted, Policy, PolicyRefusal};
pub use verify::verify;
