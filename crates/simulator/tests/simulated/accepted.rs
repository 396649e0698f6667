//! Simulated evidence is accepted by the verifiers that accept real evidence, under the simulator's root only.

use dcap_qvl::configs::RingConfig;
use dcap_qvl::verify::QuoteVerifier;
use strongroom_attest::claims::{Code, IntelTcbStatus, Platform, Tcb};
use strongroom_attest::endorsements::IntelParts;
use strongroom_attest::{EvidenceKind, ExpectedBinding, TrustAnchors, TrustDomain, verify};
use strongroom_simulator::{
    AppIdentity, IntelMachine, IntelStatements, RuntimeEvent, SimulatedEvidence, Simulator, TdxMeasured,
};

use crate::corpus::{Item, NOW, corpus, simulator};

fn collateral(parts: IntelParts) -> dcap_qvl::QuoteCollateralV3 {
    dcap_qvl::QuoteCollateralV3 {
        pck_crl_issuer_chain: parts.pck_crl_issuer_chain,
        root_ca_crl: parts.root_ca_crl,
        pck_crl: parts.pck_crl,
        tcb_info_issuer_chain: parts.tcb_info_issuer_chain,
        tcb_info: parts.tcb_info,
        tcb_info_signature: parts.tcb_info_signature,
        qe_identity_issuer_chain: parts.qe_identity_issuer_chain,
        qe_identity: parts.qe_identity,
        qe_identity_signature: parts.qe_identity_signature,
        pck_certificate_chain: None,
    }
}

#[test]
fn every_kind_is_accepted_under_the_development_root_and_marked_as_such() {
    let simulator = simulator();
    let report_data = [0x5a; 64];
    for Item { name, evidence, endorsements } in corpus(&simulator, report_data) {
        let kind = evidence.kind;
        let evidence = evidence.evidence().unwrap();
        let verified = verify(&evidence, &endorsements, &ExpectedBinding::new(report_data), &simulator.anchors(), NOW);
        let claims = verified.unwrap_or_else(|error| panic!("{name}: {error}")).claims().clone();
        assert_eq!(claims.trust_domain, TrustDomain::Development("simulator".to_owned()), "{name}");
        assert_eq!(claims.kind, kind, "{name}");
        assert_eq!(claims.report_data.0, report_data, "{name}");
        assert!(!claims.debug, "{name}");
    }
}

#[test]
fn every_kind_is_refused_under_the_vendors_roots() {
    let simulator = simulator();
    let report_data = [0x5a; 64];
    for Item { name, evidence, endorsements } in corpus(&simulator, report_data) {
        let evidence = evidence.evidence().unwrap();
        let binding = ExpectedBinding::new(report_data);
        let verified = verify(&evidence, &endorsements, &binding, &TrustAnchors::production(), NOW);
        assert!(verified.is_err(), "{name}");
    }
}

#[test]
fn every_kind_is_refused_under_the_roots_of_another_seed() {
    let simulator = simulator();
    let others = Simulator::from_seed([8; 32]);
    let report_data = [0x5a; 64];
    for Item { name, evidence, endorsements } in corpus(&simulator, report_data) {
        // The roots of the simulated AMD are the same in every simulator; its chips are not.
        let endorsements = match evidence.kind {
            EvidenceKind::Snp => others.endorsements(EvidenceKind::Snp, NOW),
            _ => endorsements,
        };
        let evidence = evidence.evidence().unwrap();
        let binding = ExpectedBinding::new(report_data);
        assert!(verify(&evidence, &endorsements, &binding, &others.anchors(), NOW).is_err(), "{name}");
    }
}

#[test]
fn what_the_caller_chose_is_what_the_claims_say() {
    let simulator = simulator();
    let app = AppIdentity { compose_hash: [3; 32], os_image_hash: Some([4; 32]), ..AppIdentity::default() };
    let mut measured = TdxMeasured { mrtd: [1; 48], attributes: 1 << 28 | 1 << 30, ..TdxMeasured::of_app(&app) };
    measured.log.extend(RuntimeEvent::new("app.image", [5; 32]));
    let simulated = simulator.tdx(&measured, [0; 64]);
    let statements = IntelStatements::current_at(NOW).with_status("SWHardeningNeeded", &["INTEL-SA-00615"]);
    let endorsements = simulator.intel_endorsements_of(EvidenceKind::Tdx, &statements, NOW).unwrap();
    let binding = ExpectedBinding::new([0; 64]);
    let verified = verify(&simulated.evidence().unwrap(), &endorsements, &binding, &simulator.anchors(), NOW).unwrap();
    let claims = verified.claims();
    let Code::Tdx(code) = &claims.code else { panic!("{:?}", claims.code) };
    assert_eq!(code.mrtd.0, [1; 48]);
    assert_eq!(code.attributes, measured.attributes);
    assert_eq!(code.rtmrs.map(|register| register.0), measured.log.registers());
    let log = code.log.as_ref().unwrap();
    assert_eq!(log.compose_hash.0, [3; 32]);
    assert_eq!(log.app_id.0, [3; 20]);
    assert_eq!(log.application_event("app.image"), Some(&[5; 32][..]));
    let Tcb::Intel(tcb) = &claims.tcb else { panic!("{:?}", claims.tcb) };
    assert_eq!(tcb.status, IntelTcbStatus::SWHardeningNeeded);
    assert_eq!(tcb.advisories, ["INTEL-SA-00615"]);
    let Platform::Intel(platform) = &claims.platform else { panic!("{:?}", claims.platform) };
    assert_eq!(platform.fmspc.0, IntelMachine::default().fmspc);
}

#[test]
fn the_quote_library_accepts_every_simulated_intel_quote_under_the_simulated_root_and_not_under_intels() {
    let simulator = simulator();
    let report_data = [0x5a; 64];
    let root = simulator.development_anchors().intel_root.unwrap();
    let statements = IntelStatements::current_at(NOW);
    for Item { name, evidence: SimulatedEvidence { kind, document: quote, .. }, .. } in corpus(&simulator, report_data)
    {
        if !matches!(kind, EvidenceKind::Sgx | EvidenceKind::Tdx) {
            continue;
        }
        let collateral = collateral(simulator.intel_parts(kind, &statements));
        let verifier = QuoteVerifier::new(root.clone()).with_config::<RingConfig>();
        let report = verifier.verify(&quote, &collateral, NOW.0).unwrap();
        assert_eq!(report.status, "UpToDate", "{name}");
        assert_eq!(report.ppid, IntelMachine::default().ppid, "{name}");
        let intel = QuoteVerifier::new_prod().with_config::<RingConfig>();
        assert!(intel.verify(&quote, &collateral, NOW.0).is_err(), "{name}");
    }
}
