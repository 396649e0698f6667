//! The single entry: one verifier per tag, then the binding. No verifier is tried after another one refused.

use strongroom_protocol::UnixSeconds;

use crate::anchors::TrustAnchors;
use crate::binding::ExpectedBinding;
use crate::claims::{Claims, Verified};
use crate::endorsements::Endorsements;
use crate::error::{EndorsementFault, EvidenceFault, VerifyError};
use crate::evidence::{Evidence, EvidenceKind};
use crate::{intel, nitro, snp};

/// Verifies that `evidence` is authentic at `now` under one of `anchors`, given the platform's `endorsements`, and that it was
/// made for `binding`.
///
/// Pure: everything the answer depends on is an argument. Success means that the claims are true, not that they are good
/// enough; a policy decides that. A [`VerifyError::Endorsements`] may go away with fresh endorsements, a
/// [`VerifyError::Evidence`] will not. A few hundred microseconds to a few milliseconds of work when the structure is sound,
/// microseconds when it is not: run it off the event loop and limit the rate per client.
pub fn verify(
    evidence: &Evidence,
    endorsements: &Endorsements,
    binding: &ExpectedBinding,
    anchors: &TrustAnchors,
    now: UnixSeconds,
) -> Result<Verified, VerifyError> {
    let claims = authentic(evidence, endorsements, anchors, now)?;
    if !binding.matches(&claims.report_data) {
        return Err(EvidenceFault::Binding.into());
    }
    Ok(Verified::new(claims))
}

/// Authentic claims, whatever they were made for. Only `verify` makes a proof of them; `inspect` shows them to people.
pub(crate) fn authentic(
    evidence: &Evidence,
    endorsements: &Endorsements,
    anchors: &TrustAnchors,
    now: UnixSeconds,
) -> Result<Claims, VerifyError> {
    let document = evidence.document();
    Ok(match (evidence.kind(), endorsements) {
        (EvidenceKind::Sgx, Endorsements::Intel(intel)) => intel::verify_sgx(document, intel, anchors, now)?,
        (EvidenceKind::Tdx, Endorsements::Intel(intel)) => {
            intel::verify_tdx(document, evidence.event_log(), intel, anchors, now)?
        }
        (EvidenceKind::Snp, Endorsements::Amd(amd)) => snp::verify(document, amd, anchors, now)?,
        (EvidenceKind::Nitro, Endorsements::NotNeeded) => nitro::verify(document, anchors, now)?,
        (EvidenceKind::Sgx | EvidenceKind::Tdx, _) => {
            return Err(EndorsementFault::Missing("Intel endorsements").into());
        }
        (EvidenceKind::Snp, _) => return Err(EndorsementFault::Missing("AMD endorsements").into()),
        (EvidenceKind::Nitro, _) => return Err(EndorsementFault::ForAnother("kind of evidence").into()),
    })
}
