//! Real reports at their pinned time, value for value, and just outside their dates.

use alloy_primitives::hex;
use strongroom_attest::claims::{
    AmdPlatform, AmdSigningKey, AmdTcb, Code, Endorsed, Platform, Revocation, SnpCode, SnpTcb, Tcb,
};
use strongroom_attest::endorsements::AmdEndorsements;
use strongroom_attest::{
    AmdProduct, Claims, EndorsementFault, Endorsements, Evidence, EvidenceFault, EvidenceKind, ExpectedBinding,
    TrustAnchors, TrustDomain, VerifyError, verify,
};
use strongroom_protocol::UnixSeconds;

pub(crate) const MILAN_REPORT: &[u8] = include_bytes!("../../testdata/snp/milan_report.bin");
pub(crate) const MILAN_VCEK: &[u8] = include_bytes!("../../testdata/snp/milan_vcek.der");
pub(crate) const MILAN_ASK: &[u8] = include_bytes!("../../testdata/snp/milan_ask.der");
const GENOA_ASK: &[u8] = include_bytes!("../../testdata/snp/genoa_ask.der");
const TURIN_ASK: &[u8] = include_bytes!("../../testdata/snp/turin_ask.der");
const TURIN_VCEK: &[u8] = include_bytes!("../../testdata/snp/turin_vcek.der");
const AZURE_REPORT: &[u8] = include_bytes!("../../testdata/snp/azure_report.bin");
const OTHER_VCEK: &[u8] = include_bytes!("../../testdata/snp/azure_other_vcek.der");

pub(crate) const NOW: UnixSeconds = UnixSeconds(1_740_000_000);

/// Dates of the Milan VCEK, the shortest on its path.
const VALID_FROM: UnixSeconds = UnixSeconds(1_680_549_823);
const VALID_UNTIL: UnixSeconds = UnixSeconds(1_901_474_623);

const REPORT_DATA: [u8; 64] = hex!(
    "d447b55d197491bfe15cf298f9de9986b7a7c4be2468b4f6e2d53b71d7c645810b0f2cdfca0040433be063fc1a8293f0f3f8dae7b79fecb3"
    "d1cd82bd6a93ebfd"
);

/// Verifies `report`, with `REPORT_DATA` expected in it.
pub(crate) fn verify_report(report: &[u8], vek: &[u8], ask: &[u8], now: UnixSeconds) -> Result<Claims, VerifyError> {
    let evidence = Evidence::new(EvidenceKind::Snp, report.to_vec()).map_err(VerifyError::Evidence)?;
    let endorsements = Endorsements::Amd(
        AmdEndorsements::new(vek.to_vec(), ask.to_vec(), None, NOW).map_err(VerifyError::Endorsements)?,
    );
    let binding = ExpectedBinding::new(REPORT_DATA);
    verify(&evidence, &endorsements, &binding, &TrustAnchors::production(), now)
        .map(|verified| verified.claims().clone())
}

#[test]
fn the_fixtures_are_the_ones_whose_origin_is_noted() {
    for (file, digest) in [
        (MILAN_REPORT, hex!("120d77b213c8868dd42f160ccb0114f05336ec715f6d51070f534b33c7e03f3b")),
        (MILAN_VCEK, hex!("3bbfb6ee259f75a95d13168cfdf2e034181bb93c7c016825731cbe8ea16c95e1")),
        (TURIN_VCEK, hex!("a4a6abff1c435f214cfbc35e4dadae55e467454d53dc417251b3ff1a169fd7fb")),
        (MILAN_ASK, hex!("67d303bd3905fd38db8b20e0793699870e7fa612eaad5dec358293fd8c0bac1b")),
        (GENOA_ASK, hex!("5464738c1546aed5f2cecf1dc98c5c960a92e8913238a61711bc90ec6e828521")),
        (TURIN_ASK, hex!("5b77ef5fe7a7a004fd9032668fba9d0fda22f88c4442069a479636a6ae3b3185")),
        (AZURE_REPORT, hex!("fc4e6560765c6cde459ef6ae436b25f6bbe5cfc1809175784dad8fa049679926")),
        (OTHER_VCEK, hex!("210f4180d04517460efd3a7d674fcdff872b50eaa635ab4f3f3b50d400d95f5e")),
    ] {
        assert_eq!(ring::digest::digest(&ring::digest::SHA256, file).as_ref(), digest);
    }
}

#[test]
fn a_real_milan_report_verifies_with_exactly_its_values() {
    let claims = verify_report(MILAN_REPORT, MILAN_VCEK, MILAN_ASK, NOW).unwrap();
    assert_eq!(claims.kind, EvidenceKind::Snp);
    assert_eq!(claims.version, 2);
    assert_eq!(claims.trust_domain, TrustDomain::Production);
    assert_eq!(
        claims.root.to_string(),
        "certificate-sha256:69d063b45344d26a2e94e1f4210de49ef555308287d4c174445c95639a540bcd"
    );
    assert_eq!(claims.report_data, REPORT_DATA);
    assert!(!claims.debug);
    let measurement =
        hex!("7a1e5c266c0108dbc9bb94fa926951320940915d0aafb42464bd88b579ea158d3e1a0dc39b2c60bd95b9c480cd81841f");
    let expected = SnpCode {
        measurement: measurement.into(),
        host_data: [0; 32].into(),
        policy: 0x30000,
        id_key_digest: [0; 48].into(),
        author_key_digest: [0; 48].into(),
        vmpl: 0,
        family_id: [0; 16].into(),
        image_id: [0; 16].into(),
        guest_svn: 0,
    };
    assert_eq!(claims.code, Code::Snp(Box::new(expected)));
    let chip_id = hex!(
        "d49554ec717f4e5b0fe6b143bcf0405bd7ae304727edf46603f2a76aef6a3abc15d7af38db757039029f0efacfd08e244324884738c72b08"
        "2e2f87a44d541eb6"
    );
    let platform = AmdPlatform {
        product: AmdProduct::Milan,
        chip_id: chip_id.into(),
        signing_key: AmdSigningKey::Vcek,
        platform_info: 1,
        mask_chip_key: false,
    };
    assert_eq!(claims.platform, Platform::Amd(platform));
    let version = SnpTcb { fmc: 0, bootloader: 3, tee: 0, snp: 8, microcode: 0x73 };
    let tcb = AmdTcb { reported: version, committed: version, current: version, launch: version };
    assert_eq!(claims.tcb, Tcb::Amd(tcb));
    let Endorsed { fetched_at, valid_until, revocation, .. } = claims.endorsed;
    assert_eq!((fetched_at, valid_until, revocation), (NOW, VALID_UNTIL, Revocation::NotChecked));
    assert_eq!((claims.made_at, claims.verified_at), (None, NOW));
}

#[test]
fn a_real_report_verifies_in_the_first_and_last_second_of_its_certificate_and_not_one_beyond() {
    let at = |now| verify_report(MILAN_REPORT, MILAN_VCEK, MILAN_ASK, now);
    assert!(at(VALID_FROM).is_ok());
    assert!(at(VALID_UNTIL).is_ok());
    let what = "VCEK or VLEK certificate";
    let before = UnixSeconds(VALID_FROM.0 - 1);
    assert_eq!(at(before), Err(EndorsementFault::NotYetValid { what, valid_from: VALID_FROM, now: before }.into()));
    let after = UnixSeconds(VALID_UNTIL.0 + 1);
    assert_eq!(at(after), Err(EndorsementFault::Stale { what, valid_until: VALID_UNTIL, now: after }.into()));
}

#[test]
fn a_real_report_made_for_other_report_data_is_refused() {
    let evidence = Evidence::new(EvidenceKind::Snp, MILAN_REPORT.to_vec()).unwrap();
    let endorsements =
        Endorsements::Amd(AmdEndorsements::new(MILAN_VCEK.to_vec(), MILAN_ASK.to_vec(), None, NOW).unwrap());
    let mut other = REPORT_DATA;
    other[63] ^= 1;
    for expected in [[0; 64], other] {
        let binding = ExpectedBinding::new(expected);
        let result = verify(&evidence, &endorsements, &binding, &TrustAnchors::production(), NOW);
        assert_eq!(result, Err(EvidenceFault::Binding.into()));
    }
}

#[test]
fn a_certificate_of_another_chip_does_not_serve() {
    let of_another = Err(EndorsementFault::ForAnother("chip").into());
    assert_eq!(verify_report(MILAN_REPORT, OTHER_VCEK, MILAN_ASK, NOW), of_another);
    assert_eq!(verify_report(AZURE_REPORT, MILAN_VCEK, MILAN_ASK, NOW), of_another);
    assert_eq!(verify_report(AZURE_REPORT, OTHER_VCEK, MILAN_ASK, NOW), of_another);
}

#[test]
fn intermediates_of_other_products_and_certificates_of_other_kinds_do_not_serve() {
    let of_another = Err(EndorsementFault::ForAnother("product or kind of signing key").into());
    for ask in [GENOA_ASK, TURIN_ASK, MILAN_VCEK] {
        assert_eq!(verify_report(MILAN_REPORT, MILAN_VCEK, ask, NOW), of_another);
    }
    assert!(matches!(
        verify_report(MILAN_REPORT, MILAN_ASK, MILAN_ASK, NOW),
        Err(VerifyError::Endorsements(EndorsementFault::Invalid { what: "VCEK or VLEK certificate", .. }))
    ));
}

#[test]
fn without_amd_endorsements_the_refusal_is_retryable() {
    let evidence = Evidence::new(EvidenceKind::Snp, MILAN_REPORT.to_vec()).unwrap();
    let binding = ExpectedBinding::new(REPORT_DATA);
    let refusal = verify(&evidence, &Endorsements::NotNeeded, &binding, &TrustAnchors::production(), NOW).unwrap_err();
    assert_eq!(refusal, EndorsementFault::Missing("AMD endorsements").into());
    assert!(refusal.is_retryable());
}
