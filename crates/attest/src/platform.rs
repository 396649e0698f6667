//! Which endorsements evidence needs, read from the evidence: where a cache looks and what a client fetches.
//!
//! Nothing here is authenticated. Whoever sends evidence can name any platform, so a cache must bound what it fetches and keeps
//! for platforms it was not told of. Looking under the wrong name is harmless otherwise: the verifier compares again.

use std::fmt;
use std::str::FromStr;

use alloy_primitives::FixedBytes;
use strongroom_protocol::UnixSeconds;

use crate::anchors::{AmdProduct, TrustAnchors};
use crate::claims::SnpTcb;
use crate::endorsements::{AmdEndorsements, Endorsements, IntelTee};
use crate::error::{EndorsementFault, EvidenceFault};
use crate::evidence::{Evidence, EvidenceKind};
use crate::{intel, snp};

/// Names the platforms that one set of endorsements is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PlatformKey {
    /// All Intel machines of one type and kind of registration.
    Intel {
        /// SGX or TDX; Intel judges them apart.
        tee: IntelTee,
        /// Family, model, stepping, platform.
        fmspc: FixedBytes<6>,
        /// Who certified the machine.
        authority: PckAuthority,
    },
    /// One AMD chip with one firmware.
    AmdChip {
        /// Family of processors.
        product: AmdProduct,
        /// Id of the chip.
        chip_id: FixedBytes<64>,
        /// Reported firmware, for which the signing key was derived.
        tcb: SnpTcb,
    },
    /// All AMD machines of one cloud provider with one firmware.
    AmdProvider {
        /// Family of processors.
        product: AmdProduct,
        /// Reported firmware, for which the signing key was derived.
        tcb: SnpTcb,
    },
}

/// Intel's authorities for machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PckAuthority {
    /// For machines registered as multi-package: all that have TDX.
    Platform,
    /// For single-package machines.
    Processor,
}

impl PckAuthority {
    /// The word in Intel's request for a revocation list.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Platform => "platform",
            Self::Processor => "processor",
        }
    }

    /// By the authority's name in a certificate or list.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        match (name.contains("Platform"), name.contains("Processor")) {
            (true, false) => Some(Self::Platform),
            (false, true) => Some(Self::Processor),
            _ => None,
        }
    }
}

impl PlatformKey {
    /// What `evidence` names; nothing for Nitro, which needs no endorsements.
    ///
    /// Fails if the evidence is not in its format, or does not tell: SNP reports of version 2 have no product.
    pub fn of_evidence(evidence: &Evidence) -> Result<Option<Self>, EvidenceFault> {
        match evidence.kind() {
            EvidenceKind::Sgx | EvidenceKind::Tdx => intel::platform_key(evidence.document()).map(Some),
            EvidenceKind::Snp => snp::platform_key(evidence.document()).map(Some),
            EvidenceKind::Nitro => Ok(None),
        }
    }

    /// What `endorsements` are for. Fails if a certificate or list among them is not in its format.
    pub fn of_endorsements(endorsements: &Endorsements) -> Result<Option<Self>, EndorsementFault> {
        match endorsements {
            Endorsements::Intel(intel) => {
                let name = intel.pck_authority()?.to_string();
                let authority = PckAuthority::of_name(&name).ok_or_else(|| EndorsementFault::Invalid {
                    what: "PCK revocation list",
                    detail: "its issuer is neither the platform nor the processor authority".to_owned(),
                })?;
                Ok(Some(Self::Intel { tee: intel.tee(), fmspc: intel.fmspc(), authority }))
            }
            Endorsements::Amd(amd) => snp::endorsed_platform(amd).map(Some),
            Endorsements::NotNeeded => Ok(None),
        }
    }
}

impl fmt::Display for PlatformKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tcb = |f: &mut fmt::Formatter<'_>, tcb: &SnpTcb| {
            write!(f, "-{}.{}.{}.{}.{}", tcb.fmc, tcb.bootloader, tcb.tee, tcb.snp, tcb.microcode)
        };
        match self {
            Self::Intel { tee, fmspc, authority } => {
                let tee = match tee {
                    IntelTee::Sgx => "sgx",
                    IntelTee::Tdx => "tdx",
                };
                write!(f, "{tee}-{}-{}", hex::encode(fmspc), authority.as_str())
            }
            Self::AmdChip { product, chip_id, tcb: version } => {
                write!(f, "vcek-{product}-{}", hex::encode(chip_id))?;
                tcb(f, version)
            }
            Self::AmdProvider { product, tcb: version } => {
                write!(f, "vlek-{product}")?;
                tcb(f, version)
            }
        }
    }
}

/// A text that names no platform.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write an Intel platform as sgx or tdx, FMSPC in hex, and platform or processor: tdx-b0c06f000000-platform")]
pub struct ParsePlatformKeyError;

/// Reads the form of Intel platforms that `Display` writes, for operators who know theirs in advance. AMD's are learnt from
/// reports.
impl FromStr for PlatformKey {
    type Err = ParsePlatformKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split('-');
        let (Some(tee), Some(digits), Some(authority), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(ParsePlatformKeyError);
        };
        let tee = match tee {
            "sgx" => IntelTee::Sgx,
            "tdx" => IntelTee::Tdx,
            _ => return Err(ParsePlatformKeyError),
        };
        let authorities = [PckAuthority::Platform, PckAuthority::Processor];
        let authority = authorities.into_iter().find(|known| known.as_str() == authority);
        let mut fmspc = FixedBytes::ZERO;
        hex::decode_to_slice(digits, fmspc.as_mut_slice()).map_err(|_| ParsePlatformKeyError)?;
        Ok(Self::Intel { tee, fmspc, authority: authority.ok_or(ParsePlatformKeyError)? })
    }
}

impl AmdEndorsements {
    /// Whether the set is authentic and valid at `now`, without any evidence: what a cache asks before it lets a fetched set
    /// replace the one it has. Returns the last second at which it is.
    pub fn check(&self, anchors: &TrustAnchors, now: UnixSeconds) -> Result<UnixSeconds, EndorsementFault> {
        snp::check_endorsements(self, anchors, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_intel_platform_is_read_as_it_is_written_and_nothing_else_is() {
        for text in ["tdx-b0c06f000000-platform", "sgx-00a067110000-processor"] {
            assert_eq!(text.parse::<PlatformKey>().map(|key| key.to_string()).as_deref(), Ok(text));
        }
        for text in [
            "",
            "tdx",
            "tdx-b0c06f000000",
            "snp-b0c06f000000-platform",
            "tdx-b0c06f0000-platform",
            "tdx-b0c06f000000-x",
            "tdx-b0c06f000000-platform-",
        ] {
            assert_eq!(text.parse::<PlatformKey>(), Err(ParsePlatformKeyError), "{text}");
        }
    }
}
