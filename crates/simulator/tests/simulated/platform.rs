//! Evidence and the endorsements it needs name the same platform.

use strongroom_attest::endorsements::IntelTee;
use strongroom_attest::platform::PckAuthority;
use strongroom_attest::{AmdProduct, EndorsementFault, Endorsements, EvidenceKind, PlatformKey, TrustAnchors};
use strongroom_protocol::UnixSeconds;
use strongroom_simulator::amd::{ASK_SERIAL, AmdRevocations};
use strongroom_simulator::intel::PckCa;
use strongroom_simulator::{
    AmdMachine, AmdStatements, IntelMachine, IntelStatements, Simulator, SnpMeasured, TdxMeasured,
};

use crate::corpus::{Item, NOW, corpus, simulator};

#[test]
fn evidence_of_every_kind_names_the_platform_that_its_endorsements_are_for() {
    for Item { name, evidence, endorsements } in corpus(&simulator(), [0; 64]) {
        let kind = evidence.kind;
        let named = PlatformKey::of_evidence(&evidence.evidence().unwrap()).unwrap();
        assert_eq!(named, PlatformKey::of_endorsements(&endorsements).unwrap(), "{name}");
        assert_eq!(named.is_none(), kind == EvidenceKind::Nitro, "{name}");
    }
}

#[test]
fn an_intel_platform_is_kind_fmspc_and_authority() {
    let simulator = simulator();
    for (pck_ca, authority) in [(PckCa::Platform, PckAuthority::Platform), (PckCa::Processor, PckAuthority::Processor)]
    {
        let machine = IntelMachine { pck_ca, fmspc: [1, 2, 3, 4, 5, 6], ..IntelMachine::default() };
        let mut evidence = simulator.tdx_on(&machine, &TdxMeasured::default(), [0; 64]);
        let key = PlatformKey::Intel { tee: IntelTee::Tdx, fmspc: [1, 2, 3, 4, 5, 6].into(), authority };
        assert_eq!(PlatformKey::of_evidence(&evidence.evidence().unwrap()), Ok(Some(key.clone())));
        // Real quotes are padded.
        evidence.document.resize(8_000, 0);
        assert_eq!(PlatformKey::of_evidence(&evidence.evidence().unwrap()), Ok(Some(key.clone())));
        assert_eq!(key.to_string(), format!("tdx-010203040506-{}", authority.as_str()));
    }
}

#[test]
fn a_report_that_names_no_product_names_no_platform() {
    let measured = SnpMeasured { version: 2, ..SnpMeasured::default() };
    let evidence = simulator().snp(&measured, [0; 64]).evidence().unwrap();
    assert!(PlatformKey::of_evidence(&evidence).is_err());
}

fn amd(simulator: &Simulator, statements: &AmdStatements) -> strongroom_attest::endorsements::AmdEndorsements {
    match simulator.amd_endorsements_of(&AmdMachine::of(AmdProduct::Turin), statements, NOW).unwrap() {
        Endorsements::Amd(amd) => amd,
        other => panic!("{other:?}"),
    }
}

#[test]
fn amd_endorsements_are_checked_without_evidence() {
    let simulator = simulator();
    let current = AmdStatements::current_at(NOW);
    let set = amd(&simulator, &current);
    let until = current.crl.as_ref().unwrap().valid.until;
    assert_eq!(set.check(&simulator.anchors(), NOW), Ok(until));
    assert!(matches!(set.check(&TrustAnchors::production(), NOW), Err(EndorsementFault::UnknownRoot(_))));
    assert!(matches!(set.check(&simulator.anchors(), until), Err(EndorsementFault::Stale { .. })));
    let crl = AmdRevocations { revoked: vec![ASK_SERIAL], ..current.crl.clone().unwrap() };
    let revoked = amd(&simulator, &AmdStatements { crl: Some(crl), ..current });
    assert!(matches!(revoked.check(&simulator.anchors(), NOW), Err(EndorsementFault::Invalid { .. })));
}

#[test]
fn intel_endorsements_are_checked_without_evidence() {
    let simulator = simulator();
    let statements = IntelStatements::current_at(NOW);
    let Endorsements::Intel(set) = simulator.intel_endorsements_of(EvidenceKind::Tdx, &statements, NOW).unwrap() else {
        panic!("not Intel's");
    };
    assert_eq!(set.check(&simulator.anchors(), NOW), Ok(()));
    assert!(set.check(&TrustAnchors::production(), NOW).is_err());
    assert!(set.check(&simulator.anchors(), UnixSeconds(statements.tcb_info_valid.until.0 + 1)).is_err());
}
