//! AMD SEV-SNP reports.
//!
//! A report of 1,184 bytes is signed by the chip's key (VCEK) or by one that AMD handed to a cloud provider (VLEK). The
//! signature is checked over the bytes as received, fields that nobody reads yet included. The certificate must have been
//! issued for this very chip, product, kind of key and firmware: where report and certificate differ, the endorsements are for
//! another platform and a fresh set may serve.
//!
//! Debug mode, privilege level, migration agent, masked chip key and firmware floors are facts that the claims state; whether
//! they are good enough is for the policy.

mod chain;
mod report;

use strongroom_protocol::UnixSeconds;

use self::chain::Vek;
use self::report::{KeyKind, Report};
use crate::anchors::{RootId, TrustAnchors};
use crate::claims::{AmdPlatform, AmdTcb, Claims, Code, Endorsed, Platform, SnpCode, Tcb};
use crate::endorsements::AmdEndorsements;
use crate::error::{EndorsementFault, EvidenceFault, VerifyError};
use crate::evidence::EvidenceKind;
use crate::inspect::{Stated, StatedMachine};
use crate::platform::PlatformKey;
use crate::x509::p384_signature_is_valid;

/// Bit 19 of POLICY: the host may read the guest's memory.
const POLICY_DEBUG: u64 = 1 << 19;

/// Verifies a report of 1,184 bytes against VCEK or VLEK, intermediate and root.
pub(crate) fn verify(
    report: &[u8],
    endorsements: &AmdEndorsements,
    anchors: &TrustAnchors,
    now: UnixSeconds,
) -> Result<Claims, VerifyError> {
    let report = Report::parse(report)?;
    let vek = Vek::parse(endorsements.vek())?;
    check_same_platform(&report, &vek)?;
    let path = chain::verify_path(&vek, endorsements, anchors, now)?;
    if !p384_signature_is_valid(vek.key(), report.signed(), &report.signature) {
        return Err(EvidenceFault::Signature("SEV-SNP report").into());
    }
    let product = vek.product;
    Ok(Claims {
        kind: EvidenceKind::Snp,
        version: report.version,
        trust_domain: path.trust_domain,
        root: RootId::CertificateSha256(path.root),
        report_data: report.report_data().into(),
        debug: report.policy() & POLICY_DEBUG != 0,
        code: code(&report),
        platform: Platform::Amd(AmdPlatform {
            product,
            chip_id: report.chip_id().into(),
            signing_key: vek.signing_key,
            platform_info: report.platform_info(),
            mask_chip_key: report.mask_chip_key(),
        }),
        tcb: Tcb::Amd(AmdTcb {
            reported: report.reported_tcb(product),
            committed: report.committed_tcb(product),
            current: report.current_tcb(product),
            launch: report.launch_tcb(product),
        }),
        endorsed: Endorsed {
            digest: endorsements.digest(),
            fetched_at: endorsements.fetched_at(),
            valid_until: path.valid_until,
            revocation: path.revocation,
        },
        made_at: None,
        verified_at: now,
    })
}

fn code(report: &Report<'_>) -> Code {
    Code::Snp(Box::new(SnpCode {
        measurement: report.measurement().into(),
        host_data: report.host_data().into(),
        policy: report.policy(),
        id_key_digest: report.id_key_digest().into(),
        author_key_digest: report.author_key_digest().into(),
        vmpl: report.vmpl,
        family_id: report.family_id().into(),
        image_id: report.image_id().into(),
        guest_svn: report.guest_svn(),
    }))
}

/// What a report says, not verified.
pub(crate) fn stated(report: &[u8]) -> Result<Stated, EvidenceFault> {
    let report = Report::parse(report)?;
    Ok(Stated {
        kind: EvidenceKind::Snp,
        version: report.version,
        report_data: report.report_data().into(),
        debug: report.policy() & POLICY_DEBUG != 0,
        code: code(&report),
        machine: StatedMachine::Amd { product: report.product, chip_id: report.chip_id().into() },
        made_at: None,
    })
}

/// Compares what report and certificate both say.
fn check_same_platform(report: &Report<'_>, vek: &Vek) -> Result<(), EndorsementFault> {
    if report.key_kind != vek.kind() {
        return Err(EndorsementFault::ForAnother("kind of signing key"));
    }
    if report.product.is_some_and(|product| product != vek.product) {
        return Err(EndorsementFault::ForAnother("product"));
    }
    if vek.chip_id.is_some_and(|chip_id| chip_id != report.chip_id()) {
        return Err(EndorsementFault::ForAnother("chip"));
    }
    if report.reported_tcb(vek.product) != vek.tcb {
        return Err(EndorsementFault::ForAnother("firmware version"));
    }
    Ok(())
}

/// The platform that a report names, not verified.
pub(crate) fn platform_key(report: &[u8]) -> Result<PlatformKey, EvidenceFault> {
    let report = Report::parse(report)?;
    let product = report.product.ok_or(EvidenceFault::UnsupportedVersion {
        what: "SEV-SNP report (it names no product)",
        version: report.version.into(),
    })?;
    let tcb = report.reported_tcb(product);
    Ok(match report.key_kind {
        KeyKind::Vcek => PlatformKey::AmdChip { product, chip_id: report.chip_id().into(), tcb },
        KeyKind::Vlek => PlatformKey::AmdProvider { product, tcb },
    })
}

/// The platform that endorsements are for.
pub(crate) fn endorsed_platform(endorsements: &AmdEndorsements) -> Result<PlatformKey, EndorsementFault> {
    let vek = Vek::parse(endorsements.vek())?;
    let (product, tcb) = (vek.product, vek.tcb);
    Ok(match vek.chip_id {
        Some(chip_id) => PlatformKey::AmdChip { product, chip_id: chip_id.into(), tcb },
        None => PlatformKey::AmdProvider { product, tcb },
    })
}

/// Whether endorsements lead to a root; returns the end of their validity.
pub(crate) fn check_endorsements(
    endorsements: &AmdEndorsements,
    anchors: &TrustAnchors,
    now: UnixSeconds,
) -> Result<UnixSeconds, EndorsementFault> {
    let vek = Vek::parse(endorsements.vek())?;
    match chain::verify_path(&vek, endorsements, anchors, now) {
        Ok(path) => Ok(path.valid_until),
        Err(VerifyError::Endorsements(fault)) => Err(fault),
        Err(VerifyError::Evidence(fault)) => {
            Err(EndorsementFault::Invalid { what: "AMD certificate chain", detail: fault.to_string() })
        }
    }
}
