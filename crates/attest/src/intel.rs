//! Intel SGX and TDX quotes: `dcap-qvl` checks the signatures and Intel's judgement of the platform, and we check what it
//! leaves open.
//!
//! | Left open by the library | Closed here by |
//! | --- | --- |
//! | bytes after the quote or after a part of it, outer certification type | [`quote`], before any signature |
//! | PCE id of certificate and TCB info may differ | `check_platform` |
//! | SGX attributes other than DEBUG | `check_sgx_attributes` |
//! | partitioned TDs, service TDs bound after creation | `check_td_partition` |
//! | quoting-enclave report data beyond the hash, PCK certificate's name | `check_quoting` |
//! | revocation lists from the future | [`IntelEndorsements::check_dates`](crate::endorsements::IntelEndorsements) |
//! | which root verified, and what that means | `anchor` chosen from the endorsements, compared after |
//!
//! TD attributes that are safe or not depending on the use (PERFMON, PKS, …) and every status but `Revoked` are left to the
//! policy, which sees them in the claims.

pub mod event_log;
mod quote;

use std::str::FromStr as _;

use alloy_primitives::FixedBytes;
use dcap_qvl::configs::RingConfig;
use dcap_qvl::intel::parse_pck_extension_with;
use dcap_qvl::quote::{EnclaveReport, Quote, Report, TDReport10, TDReport15Ex};
use dcap_qvl::verify::QuoteVerifier;
use dcap_qvl::{PckCertFlag, QuoteClaims, QuotePolicy, TcbStatus};
use der::{DateTime, Decode as _};
use strongroom_protocol::UnixSeconds;
use x509_cert::Certificate;

use self::event_log::replay;
use self::quote::Layout;
use crate::anchors::{Anchor, RootId, TrustAnchors, TrustDomain};
use crate::claims::{
    Claims, Code, Endorsed, IntelPlatform, IntelTcb, IntelTcbStatus, Platform, Revocation, SgxCode, SgxType, Tcb,
    TdxCode,
};
use crate::endorsements::{IntelEndorsements, IntelTee};
use crate::error::{EndorsementFault, EvidenceFault, VerifyError};
use crate::evidence::EvidenceKind;
use crate::inspect::{Stated, StatedMachine};
use crate::platform::{PckAuthority, PlatformKey};

/// Verifies an SGX quote, version 3.
pub(crate) fn verify_sgx(
    quote: &[u8],
    endorsements: &IntelEndorsements,
    anchors: &TrustAnchors,
    now: UnixSeconds,
) -> Result<Claims, VerifyError> {
    let layout = Layout::parse(quote)?;
    let (verified, anchor) = verify_signed(IntelTee::Sgx, &layout, quote, endorsements, anchors, now)?;
    let Report::SgxEnclave(report) = &verified.report else {
        return Err(EvidenceFault::WrongKind { kind: EvidenceKind::Sgx }.into());
    };
    let code = sgx_code(report);
    check_sgx_attributes(code.attributes)?;
    Ok(claims(EvidenceKind::Sgx, &verified, anchor, endorsements, now, report.report_data, Code::Sgx(code))?)
}

/// Verifies a TDX quote, version 4 or 5, and replays its event log if there is one.
pub(crate) fn verify_tdx(
    quote: &[u8],
    event_log: Option<&[u8]>,
    endorsements: &IntelEndorsements,
    anchors: &TrustAnchors,
    now: UnixSeconds,
) -> Result<Claims, VerifyError> {
    let layout = Layout::parse(quote)?;
    let (verified, anchor) = verify_signed(IntelTee::Tdx, &layout, quote, endorsements, anchors, now)?;
    let report = match &verified.report {
        Report::SgxEnclave(_) => return Err(EvidenceFault::WrongKind { kind: EvidenceKind::Tdx }.into()),
        Report::TD10(report) => report,
        Report::TD15(report) => &report.base,
        Report::TD15Ex(report) => {
            check_td_partition(report)?;
            &report.base.base
        }
    };
    let mut code = tdx_code(report);
    if let Some(json) = event_log {
        code.log = Some(replay(json, &code.rtmrs).map_err(EvidenceFault::EventLog)?);
    }
    let code = Code::Tdx(Box::new(code));
    Ok(claims(EvidenceKind::Tdx, &verified, anchor, endorsements, now, report.report_data, code)?)
}

/// Everything up to authentic claims in the library's form, with the anchor they rest on.
fn verify_signed<'a>(
    tee: IntelTee,
    layout: &Layout,
    quote: &[u8],
    endorsements: &IntelEndorsements,
    anchors: &'a TrustAnchors,
    now: UnixSeconds,
) -> Result<(QuoteClaims, &'a Anchor), VerifyError> {
    if layout.tee != tee {
        let kind = match tee {
            IntelTee::Sgx => EvidenceKind::Sgx,
            IntelTee::Tdx => EvidenceKind::Tdx,
        };
        return Err(EvidenceFault::WrongKind { kind }.into());
    }
    if endorsements.tee() != tee {
        return Err(EndorsementFault::ForAnother("kind of enclave").into());
    }
    let anchor = endorsements.anchor(anchors)?;
    endorsements.check_dates(now)?;

    let quote = quote.get(..layout.signed_and_signature_bytes).ok_or(EvidenceFault::Truncated { what: "quote" })?;
    let verifier = QuoteVerifier::<RingConfig>::new_with_config(anchor.certificate.to_vec());
    let verified = verifier
        // Accepts every status: our own policy judges, later.
        .verify_with_policy(quote, endorsements.collateral(), now.0, &QuotePolicy::claims_only(now.0))
        .map_err(|error| classify(format!("{error:#}"), quote, endorsements, anchors, now))?;
    check_platform(&verified, endorsements)?;
    check_quoting(&verified, quote)?;
    Ok((verified, anchor))
}

/// Says whether the library's refusal is the evidence's fault or the endorsements'.
///
/// The library reports text only, so unless the text is one of [`EVIDENCE_ONLY`] the question is asked anew: endorsements that
/// do not stand on their own, or are for another platform or authority than the quote's, are at fault; otherwise the evidence
/// is. Costs as much as five signatures, and only on failure.
fn classify(
    reason: String,
    quote: &[u8],
    endorsements: &IntelEndorsements,
    anchors: &TrustAnchors,
    now: UnixSeconds,
) -> VerifyError {
    if let Some((_, part)) = EVIDENCE_ONLY.iter().find(|(text, _)| reason == *text) {
        return EvidenceFault::Signature(part).into();
    }
    if let Err(fault) = endorsements.check(anchors, now) {
        return fault.into();
    }
    if let Some(Ok(leaf)) = pck_certificate(quote).as_deref().map(Certificate::from_der) {
        if endorsements.pck_authority().is_ok_and(|authority| authority != *leaf.tbs_certificate().issuer()) {
            return EndorsementFault::ForAnother("certificate authority").into();
        }
        if pck_fmspc(quote).is_some_and(|fmspc| fmspc != endorsements.fmspc()) {
            return EndorsementFault::ForAnother("platform (FMSPC)").into();
        }
    }
    if reason.contains("Debug mode is enabled") || reason.contains("TD profiling is enabled") {
        return EvidenceFault::Debug.into();
    }
    EvidenceFault::Rejected(reason).into()
}

/// What the library says of evidence that somebody tampered with, after it has found the endorsements in order.
const EVIDENCE_ONLY: [(&str, &str); 3] = [
    ("Signature is invalid for qe_report in quote", "quoting enclave's report"),
    ("QE report hash mismatch", "attestation key"),
    ("ISV enclave report signature is invalid", "quote"),
];

/// The certificate of the platform's provisioning key inside the quote, DER, not yet verified.
fn pck_certificate(quote: &[u8]) -> Option<Vec<u8>> {
    let quote = Quote::parse(quote).ok()?;
    dcap_qvl::intel::extract_cert_chain(&quote).ok()?.into_iter().next()
}

fn pck_fmspc(quote: &[u8]) -> Option<FixedBytes<6>> {
    let quote = Quote::parse(quote).ok()?;
    dcap_qvl::intel::quote_fmspc_with::<RingConfig>(&quote).ok().map(FixedBytes)
}

/// The platform that a quote names, not verified.
pub(crate) fn platform_key(quote: &[u8]) -> Result<PlatformKey, EvidenceFault> {
    const MALFORMED: EvidenceFault = EvidenceFault::Malformed("PCK certificate");
    let tee = Layout::parse(quote)?.tee;
    let fmspc = pck_fmspc(quote).ok_or(MALFORMED)?;
    let leaf = pck_certificate(quote).ok_or(MALFORMED)?;
    let leaf = Certificate::from_der(&leaf).map_err(|_| MALFORMED)?;
    let authority = PckAuthority::of_name(&leaf.tbs_certificate().issuer().to_string());
    Ok(PlatformKey::Intel { tee, fmspc, authority: authority.ok_or(MALFORMED)? })
}

/// What a quote says, not verified.
pub(crate) fn stated(kind: EvidenceKind, quote: &[u8]) -> Result<Stated, EvidenceFault> {
    let layout = Layout::parse(quote)?;
    let quote = quote.get(..layout.signed_and_signature_bytes).ok_or(EvidenceFault::Truncated { what: "quote" })?;
    let parsed = Quote::parse(quote).map_err(|_| EvidenceFault::Malformed("quote"))?;
    let (report_data, debug, code) = match (kind, &parsed.report) {
        (EvidenceKind::Sgx, Report::SgxEnclave(report)) => {
            let code = sgx_code(report);
            (report.report_data, code.attributes & SGX_DEBUG != 0, Code::Sgx(code))
        }
        (EvidenceKind::Tdx, report) => {
            let report = report.as_td10().ok_or(EvidenceFault::WrongKind { kind })?;
            let code = tdx_code(report);
            (report.report_data, code.attributes & TDX_UNTRUSTED != 0, Code::Tdx(Box::new(code)))
        }
        _ => return Err(EvidenceFault::WrongKind { kind }),
    };
    let pck = pck_certificate(quote).and_then(|der| parse_pck_extension_with::<RingConfig>(&der).ok());
    let pck = pck.ok_or(EvidenceFault::Malformed("PCK certificate"))?;
    Ok(Stated {
        kind,
        version: parsed.header.version,
        report_data: FixedBytes(report_data),
        debug,
        code,
        machine: StatedMachine::Intel { ppid: fixed("PPID", &pck.ppid)?, fmspc: FixedBytes(pck.fmspc) },
        made_at: None,
    })
}

/// DEBUG in SGX ATTRIBUTES.
const SGX_DEBUG: u64 = 1 << 1;
/// The bits of TDATTRIBUTES that make a TD untrusted: DEBUG and profiling.
const TDX_UNTRUSTED: u64 = 0xff;

/// The library compares FMSPC but not the PCE id.
fn check_platform(verified: &QuoteClaims, endorsements: &IntelEndorsements) -> Result<(), EndorsementFault> {
    if verified.platform.pck.pce_id != endorsements.pce_id().as_slice() {
        return Err(EndorsementFault::ForAnother("PCE id"));
    }
    Ok(())
}

/// Defence in depth around the quoting enclave: unused report data must be zero, and the certificate that signed its report
/// must be a PCK certificate by name.
fn check_quoting(verified: &QuoteClaims, quote: &[u8]) -> Result<(), EvidenceFault> {
    if verified.qe.report.report_data[32..] != [0; 32] {
        return Err(EvidenceFault::Malformed("quoting enclave's report data"));
    }
    let der = pck_certificate(quote).ok_or(EvidenceFault::Malformed("PCK certificate"))?;
    let certificate = Certificate::from_der(&der).map_err(|_| EvidenceFault::Malformed("PCK certificate"))?;
    let names = certificate.tbs_certificate().subject().to_string();
    let is_pck = names.split(',').any(|part| {
        let name = part.trim().strip_prefix("CN=").unwrap_or_default();
        // A simulator writes "SIMULATED SGX PCK Certificate".
        name.ends_with("SGX PCK Certificate")
    });
    if is_pck { Ok(()) } else { Err(EvidenceFault::Certificate("name")) }
}

/// INIT and MODE64BIT must be set, PROVISION_KEY and EINITTOKEN_KEY clear. DEBUG was refused before.
fn check_sgx_attributes(attributes: u64) -> Result<(), EvidenceFault> {
    let is_set = |bit: u32| attributes & (1 << bit) != 0;
    for (bit, wanted, name) in
        [(0, true, "INIT"), (2, true, "MODE64BIT"), (4, false, "PROVISION_KEY"), (5, false, "EINITTOKEN_KEY")]
    {
        if is_set(bit) != wanted {
            return Err(EvidenceFault::Attribute(name));
        }
    }
    Ok(())
}

/// A report made for a guest inside the TD, or a TD with service TDs bound later, is not one we know how to judge.
fn check_td_partition(report: &TDReport15Ex) -> Result<(), EvidenceFault> {
    if report.vmid != 0 {
        return Err(EvidenceFault::Attribute("VMID"));
    }
    if report.cur_service_td_hash != [0; 48] {
        return Err(EvidenceFault::Attribute("CUR_SERVTD_HASH"));
    }
    Ok(())
}

fn claims(
    kind: EvidenceKind,
    verified: &QuoteClaims,
    anchor: &Anchor,
    endorsements: &IntelEndorsements,
    now: UnixSeconds,
    report_data: [u8; 64],
    code: Code,
) -> Result<Claims, EvidenceFault> {
    let root_key: [u8; 48] =
        verified.platform.root_key_id.as_slice().try_into().map_err(|_| EvidenceFault::Malformed("root key id"))?;
    Ok(Claims {
        kind,
        version: verified.header.version,
        trust_domain: TrustDomain::clone(&anchor.domain),
        root: RootId::KeySha384(FixedBytes(root_key)),
        report_data: FixedBytes(report_data),
        debug: false,
        code,
        platform: Platform::Intel(platform(verified)?),
        tcb: Tcb::Intel(IntelTcb {
            status: status(verified.tcb.status)?,
            advisories: advisories(verified),
            evaluation_number: verified.tcb.eval_data_number,
            date: tcb_date(verified)?,
        }),
        endorsed: Endorsed {
            digest: endorsements.digest(),
            fetched_at: endorsements.fetched_at(),
            valid_until: UnixSeconds(verified.earliest_expiration_date),
            revocation: Revocation::Checked,
        },
        made_at: None,
        verified_at: now,
    })
}

/// The library merges those of launch and quoting enclave; a TD that was updated while it ran has a third level.
fn advisories(verified: &QuoteClaims) -> Vec<String> {
    let mut advisories = verified.tcb.advisory_ids.clone();
    for advisory in verified.platform.current_tcb_level.iter().flat_map(|level| &level.advisory_ids) {
        if !advisories.contains(advisory) {
            advisories.push(advisory.clone());
        }
    }
    advisories
}

/// Since when the platform is as it is. A quoting enclave that is out of date counts with its own, older date.
fn tcb_date(verified: &QuoteClaims) -> Result<UnixSeconds, EvidenceFault> {
    let platform = UnixSeconds(verified.platform.tcb_date_tag);
    let quoting = &verified.qe.tcb_level;
    if quoting.tcb_status == TcbStatus::UpToDate {
        return Ok(platform);
    }
    let date = DateTime::from_str(&quoting.tcb_date).map_err(|_| EvidenceFault::Malformed("QE identity's TCB date"))?;
    Ok(platform.min(UnixSeconds(date.unix_duration().as_secs())))
}

fn platform(verified: &QuoteClaims) -> Result<IntelPlatform, EvidenceFault> {
    let pck = &verified.platform.pck;
    let flag = |flag: PckCertFlag| match flag {
        PckCertFlag::False => Some(false),
        PckCertFlag::True => Some(true),
        PckCertFlag::Undefined => None,
    };
    Ok(IntelPlatform {
        ppid: fixed("PPID", &pck.ppid)?,
        instance_id: pck.platform_instance_id.map(FixedBytes),
        fmspc: FixedBytes(pck.fmspc),
        pce_id: fixed("PCE id", &pck.pce_id)?,
        pce_svn: pck.pce_svn,
        cpu_svn: FixedBytes(pck.cpu_svn),
        sgx_type: match pck.sgx_type {
            0 => SgxType::Standard,
            1 => SgxType::Scalable,
            2 => SgxType::ScalableWithIntegrity,
            other => return Err(EvidenceFault::Unsupported { field: "SGX type", found: other.into() }),
        },
        dynamic_platform: flag(pck.dynamic_platform),
        cached_keys: flag(pck.cached_keys),
        smt_enabled: flag(pck.smt_enabled),
    })
}

fn fixed<const N: usize>(what: &'static str, bytes: &[u8]) -> Result<FixedBytes<N>, EvidenceFault> {
    FixedBytes::try_from(bytes).map_err(|_| EvidenceFault::Malformed(what))
}

fn status(status: TcbStatus) -> Result<IntelTcbStatus, EvidenceFault> {
    Ok(match status {
        TcbStatus::UpToDate => IntelTcbStatus::UpToDate,
        TcbStatus::SWHardeningNeeded => IntelTcbStatus::SWHardeningNeeded,
        TcbStatus::ConfigurationNeeded => IntelTcbStatus::ConfigurationNeeded,
        TcbStatus::ConfigurationAndSWHardeningNeeded => IntelTcbStatus::ConfigurationAndSWHardeningNeeded,
        TcbStatus::OutOfDate => IntelTcbStatus::OutOfDate,
        TcbStatus::OutOfDateConfigurationNeeded => IntelTcbStatus::OutOfDateConfigurationNeeded,
        TcbStatus::TDRelaunchAdvised => IntelTcbStatus::TDRelaunchAdvised,
        TcbStatus::TDRelaunchAdvisedConfigurationNeeded => IntelTcbStatus::TDRelaunchAdvisedConfigurationNeeded,
        // The library refuses it; if that ever changes, we still do.
        TcbStatus::Revoked => return Err(EvidenceFault::Rejected("TCB status is Revoked".to_owned())),
    })
}

fn sgx_code(report: &EnclaveReport) -> SgxCode {
    // The library keeps KSS fields inside "reserved" ranges: reserved1 is body offset 20..48, reserved3 160..256,
    // reserved4 260..320.
    let (flags, xfrm) = halves(&report.attributes);
    SgxCode {
        mrenclave: report.mr_enclave.into(),
        mrsigner: report.mr_signer.into(),
        isv_prod_id: report.isv_prod_id,
        isv_svn: report.isv_svn,
        attributes: flags,
        xfrm,
        misc_select: report.misc_select,
        config_id: FixedBytes::from_slice(&report.reserved3[32..]),
        config_svn: u16::from_le_bytes([report.reserved4[0], report.reserved4[1]]),
        isv_ext_prod_id: FixedBytes::from_slice(&report.reserved1[12..]),
        isv_family_id: FixedBytes::from_slice(&report.reserved4[44..]),
    }
}

fn halves(attributes: &[u8; 16]) -> (u64, u64) {
    let both = u128::from_le_bytes(*attributes);
    #[expect(clippy::cast_possible_truncation, reason = "each half is meant to be cut out")]
    (both as u64, (both >> 64) as u64)
}

fn tdx_code(report: &TDReport10) -> TdxCode {
    TdxCode {
        mrtd: FixedBytes(report.mr_td),
        rtmrs: [report.rt_mr0, report.rt_mr1, report.rt_mr2, report.rt_mr3].map(FixedBytes),
        mr_config_id: FixedBytes(report.mr_config_id),
        mr_owner: FixedBytes(report.mr_owner),
        mr_owner_config: FixedBytes(report.mr_owner_config),
        mr_seam: FixedBytes(report.mr_seam),
        module_svn: report.tee_tcb_svn[0],
        attributes: u64::from_le_bytes(report.td_attributes),
        xfam: u64::from_le_bytes(report.xfam),
        log: None,
    }
}
