//! Intel SGX and TDX quotes.

use strongroom_protocol::UnixSeconds;

use crate::anchors::TrustAnchors;
use crate::claims::Claims;
use crate::endorsements::IntelEndorsements;
use crate::error::{EvidenceFault, VerifyError};

/// Verifies an SGX quote.
pub(crate) fn verify_sgx(
    quote: &[u8],
    _endorsements: &IntelEndorsements,
    anchors: &TrustAnchors,
    _now: UnixSeconds,
) -> Result<Claims, VerifyError> {
    let _ = (quote, anchors.intel().first());
    Err(EvidenceFault::UnknownKind.into())
}

/// Verifies a TDX quote and its event log.
pub(crate) fn verify_tdx(
    quote: &[u8],
    _log: Option<&[u8]>,
    _endorsements: &IntelEndorsements,
    anchors: &TrustAnchors,
    _now: UnixSeconds,
) -> Result<Claims, VerifyError> {
    let _ = (quote, anchors.intel().first());
    Err(EvidenceFault::UnknownKind.into())
}
