//! For people who look at evidence: what a document says, and which of it is authentic, whatever it was made for.
//!
//! Nothing here opens anything. [`Stated`] is anybody's word; [`Unbound`] is authentic but may have been made for somebody
//! else's session and key. Neither becomes a [`Verified`](crate::Verified), which takes the expected binding.

use alloy_primitives::FixedBytes;
use serde::Serialize;
use strongroom_protocol::UnixSeconds;

use crate::anchors::{AmdProduct, TrustAnchors};
use crate::claims::{Claims, Code, optional_seconds};
use crate::endorsements::Endorsements;
use crate::error::{EvidenceFault, VerifyError};
use crate::evidence::{Evidence, EvidenceKind};
use crate::verify::authentic;
use crate::{event_log, intel, nitro, snp};

/// What a document says of itself. No signature was looked at: whoever sent it may have invented it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Stated {
    /// Vendor's format.
    pub kind: EvidenceKind,
    /// Version field of the format.
    pub version: u16,
    /// The 64 bytes that the enclave is said to have chosen.
    pub report_data: FixedBytes<64>,
    /// Whether the memory of the enclave can be read from outside.
    pub debug: bool,
    /// The code; a TD's event log is in it if it explains the registers.
    pub code: Code,
    /// The machine.
    pub machine: StatedMachine,
    /// When it was made (Nitro only).
    #[serde(serialize_with = "optional_seconds")]
    pub made_at: Option<UnixSeconds>,
}

/// The machine that a document names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum StatedMachine {
    /// From the PCK certificate in the quote.
    Intel {
        /// Protected platform id.
        ppid: FixedBytes<16>,
        /// Family, model, stepping, platform.
        fmspc: FixedBytes<6>,
    },
    /// From the report.
    Amd {
        /// Which family of processors; reports of version 2 do not say.
        product: Option<AmdProduct>,
        /// Id of the chip.
        chip_id: FixedBytes<64>,
    },
    /// From the document.
    Nitro {
        /// Instance and enclave id.
        module_id: String,
    },
}

impl Stated {
    /// Reads `evidence`. Fails if the document is not in the format of its kind; an event log that does not stand is left out
    /// (ask [`event_log::replay`] for the reason).
    pub fn of(evidence: &Evidence) -> Result<Self, EvidenceFault> {
        let document = evidence.document();
        let mut stated = match evidence.kind() {
            EvidenceKind::Sgx | EvidenceKind::Tdx => intel::stated(evidence.kind(), document)?,
            EvidenceKind::Snp => snp::stated(document)?,
            EvidenceKind::Nitro => nitro::stated(document)?,
        };
        if let (Code::Tdx(code), Some(json)) = (&mut stated.code, evidence.event_log()) {
            code.log = event_log::replay(json, &code.rtmrs).ok();
        }
        Ok(stated)
    }
}

/// Authentic claims of evidence that may have been made for anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unbound {
    claims: Claims,
}

impl Unbound {
    /// What was proven, except what for.
    pub fn claims(&self) -> &Claims {
        &self.claims
    }
}

/// Checks all that [`verify`](crate::verify()) checks, but not what the evidence was made for.
pub fn inspect(
    evidence: &Evidence,
    endorsements: &Endorsements,
    anchors: &TrustAnchors,
    now: UnixSeconds,
) -> Result<Unbound, VerifyError> {
    authentic(evidence, endorsements, anchors, now).map(|claims| Unbound { claims })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endorsements::{AmdEndorsements, IntelEndorsements, IntelParts};
    use crate::{EndorsementFault, ExpectedBinding, verify};

    macro_rules! testdata {
        ($file:literal) => {
            include_bytes!(concat!("../testdata/", $file))
        };
    }

    /// Every real document that verifies, with its endorsements and time.
    fn real() -> Vec<(Evidence, Endorsements, UnixSeconds)> {
        let intel = |kind, quote: &[u8], set: &[u8], now| {
            let set = IntelEndorsements::new(IntelParts::from_json(set).unwrap(), UnixSeconds(now)).unwrap();
            (Evidence::new(kind, quote.to_vec()).unwrap(), Endorsements::Intel(set), UnixSeconds(now))
        };
        let now = UnixSeconds(1_740_000_000);
        let (vcek, ask) = (testdata!("snp/milan_vcek.der").to_vec(), testdata!("snp/milan_ask.der").to_vec());
        let amd = AmdEndorsements::assemble(&[ask, vcek], now).unwrap().remove(0);
        vec![
            intel(
                EvidenceKind::Sgx,
                testdata!("intel/sgx_quote.bin"),
                testdata!("intel/sgx_quote_collateral.json"),
                1_752_900_000,
            ),
            intel(
                EvidenceKind::Tdx,
                testdata!("intel/tdx_quote.bin"),
                testdata!("intel/tdx_quote_collateral.json"),
                1_752_900_000,
            ),
            intel(
                EvidenceKind::Tdx,
                testdata!("intel/tdx_quote_td15ex.bin"),
                testdata!("intel/tdx_quote_td15ex_collateral.json"),
                1_793_900_000,
            ),
            (
                Evidence::new(EvidenceKind::Snp, testdata!("snp/milan_report.bin").to_vec()).unwrap(),
                Endorsements::Amd(amd),
                now,
            ),
            (
                Evidence::new(EvidenceKind::Nitro, testdata!("nitro/document.cose").to_vec()).unwrap(),
                Endorsements::NotNeeded,
                UnixSeconds(1_736_179_625),
            ),
        ]
    }

    #[test]
    fn what_genuine_evidence_states_is_what_verification_claims() {
        for (evidence, endorsements, now) in real() {
            let stated = Stated::of(&evidence).unwrap();
            let unbound = inspect(&evidence, &endorsements, &TrustAnchors::production(), now).unwrap();
            let claims = unbound.claims();
            assert_eq!(
                (stated.kind, stated.version, stated.report_data, stated.debug, &stated.code, stated.made_at),
                (claims.kind, claims.version, claims.report_data, claims.debug, &claims.code, claims.made_at)
            );
            let bound = ExpectedBinding::new(claims.report_data.0);
            let verified = verify(&evidence, &endorsements, &bound, &TrustAnchors::production(), now).unwrap();
            assert_eq!(verified.claims(), claims);
        }
    }

    #[test]
    fn inspection_needs_endorsements_like_verification_and_statements_need_none() {
        for (evidence, endorsements, now) in real() {
            let nothing = inspect(&evidence, &Endorsements::NotNeeded, &TrustAnchors::production(), now);
            match endorsements {
                Endorsements::NotNeeded => assert!(nothing.is_ok()),
                _ => assert!(matches!(nothing, Err(VerifyError::Endorsements(EndorsementFault::Missing(_))))),
            }
            assert!(Stated::of(&evidence).is_ok());
        }
    }

    #[test]
    fn a_document_that_is_not_of_its_kind_or_cut_short_states_nothing() {
        for (evidence, _, _) in real() {
            let document = evidence.document();
            for kind in EvidenceKind::ALL.into_iter().filter(|kind| *kind != evidence.kind()) {
                let other = Evidence::new(kind, document.to_vec());
                assert!(other.and_then(|other| Stated::of(&other)).is_err(), "{} as {kind}", evidence.kind());
            }
            for length in [1, 47, 400, 700, 1_100] {
                let cut = Evidence::new(evidence.kind(), document[..length].to_vec());
                assert!(cut.and_then(|cut| Stated::of(&cut)).is_err(), "{length} bytes of {}", evidence.kind());
            }
        }
    }
}
