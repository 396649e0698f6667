//! What vendors say about platforms: certificates, revocation lists and TCB data, fetched by the verifier, never chosen by the
//! sender of evidence.
//!
//! Sizes are checked when a set is made; signatures and dates when it is used, with the anchors and time of that moment.

mod amd;
mod intel;

use alloy_primitives::B256;
use ring::digest::{Context, SHA256};

pub use self::amd::AmdEndorsements;
pub use self::intel::{CrlNumbers, IntelEndorsements, IntelParts, IntelTee};
use crate::error::EndorsementFault;

/// Most bytes in one set of endorsements.
pub const MAX_ENDORSEMENT_BYTES: usize = 512 * 1024;
/// Most bytes in one AMD certificate.
pub const MAX_CERTIFICATE_BYTES: usize = 16 * 1024;

/// Endorsements for one platform, by vendor.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "a cache holds one for each platform and shares it; nobody moves many")]
pub enum Endorsements {
    /// For SGX and TDX.
    Intel(IntelEndorsements),
    /// For SEV-SNP.
    Amd(AmdEndorsements),
    /// Nitro documents carry their certificates; nothing is needed.
    NotNeeded,
}

fn check_size(what: &'static str, size_bytes: usize, max_bytes: usize) -> Result<(), EndorsementFault> {
    if size_bytes > max_bytes {
        return Err(EndorsementFault::TooLarge { what, size_bytes, max_bytes });
    }
    Ok(())
}

/// SHA-256(be64(len p1) ‖ p1 ‖ be64(len p2) ‖ p2 …).
fn digest_of(parts: &[&[u8]]) -> B256 {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part);
    }
    B256::from_slice(context.finish().as_ref())
}
