//! From verified evidence to what a decision sees: nothing is lost, nothing is assumed.

use std::collections::BTreeSet;

use strongroom_attest::measurement::ApprovedImage;
use strongroom_attest::policy::Rule;
use strongroom_attest::{ExpectedBinding, verify};
use strongroom_protocol::UnixSeconds;
use strongroom_simulator::{
    NitroMeasured, RuntimeEvent, SgxMeasured, SimulatedEvidence, Simulator, SnpMeasured, TdxMeasured,
};

use super::*;

const NOW: UnixSeconds = UnixSeconds(1_790_000_000);
const REPORT_DATA: [u8; 64] = [0x5a; 64];
const APP: [u8; 32] = [0x44; 32];

fn simulator() -> Simulator {
    Simulator::from_seed([7; 32])
}

fn verified(simulator: &Simulator, evidence: &SimulatedEvidence) -> Verified {
    let endorsements = simulator.endorsements(evidence.kind, NOW);
    let evidence = evidence.evidence().unwrap();
    verify(&evidence, &endorsements, &ExpectedBinding::new(REPORT_DATA), &simulator.anchors(), NOW).unwrap()
}

fn enclave(simulator: &Simulator, evidence: &SimulatedEvidence, approved: &ApprovedImages) -> Enclave {
    Enclave::of(&verified(simulator, evidence), &Policy::development("simulator"), approved)
}

/// A guest that measured these app images, each as an event of this name.
fn guest(events: &[(&str, &[u8])]) -> TdxMeasured {
    let mut measured = TdxMeasured::default();
    for (name, payload) in events {
        measured.log.extend(RuntimeEvent::new(*name, *payload));
    }
    measured
}

fn approving(measured: &TdxMeasured) -> ApprovedImage {
    let [rtmr0, rtmr1, rtmr2, _] = measured.log.registers();
    ApprovedImage {
        name: "simulated".to_owned(),
        mrtd: measured.mrtd.into(),
        rtmr0: BTreeSet::from([rtmr0.into()]),
        rtmr1: rtmr1.into(),
        rtmr2: rtmr2.into(),
    }
}

#[test]
fn an_sgx_enclave_is_its_mrenclave() {
    let simulator = simulator();
    let sgx = simulator.sgx(&SgxMeasured { mrenclave: [0x77; 32], ..SgxMeasured::default() }, REPORT_DATA);
    let enclave = enclave(&simulator, &sgx, &ApprovedImages::default());
    assert_eq!(enclave.identity(), &Identity::Sgx { mrenclave: B256::repeat_byte(0x77) });
    assert_eq!(enclave.report_data, REPORT_DATA);
    assert!(!enclave.debug);
    assert_eq!(enclave.trust_domain, TrustDomain::Development("simulator".to_owned()));
    assert_eq!(enclave.policy, Ok(Policy::development("simulator").hash()));
}

#[test]
fn debug_mode_is_seen_beside_the_policys_judgement() {
    // Of Intel, debug evidence does not even verify.
    let simulator = simulator();
    let nitro = simulator.nitro(&NitroMeasured::at(NOW).debug(), &REPORT_DATA);
    let enclave = enclave(&simulator, &nitro, &ApprovedImages::default());
    assert!(enclave.debug);
    assert_eq!(enclave.policy.unwrap_err().rule, Rule::Debug);
}

#[test]
fn a_policy_without_the_development_root_refuses_the_simulator() {
    let simulator = simulator();
    let sgx = verified(&simulator, &simulator.sgx(&SgxMeasured::default(), REPORT_DATA));
    let enclave = Enclave::of(&sgx, &Policy::production(), &ApprovedImages::default());
    assert_eq!(enclave.policy.unwrap_err().rule, Rule::TrustDomain);
}

#[test]
fn a_tdx_guest_is_its_image_and_the_one_app_image_it_measured() {
    let simulator = simulator();
    for (events, app_image) in [
        (&[(APP_IMAGE_EVENT, &APP[..])][..], Some(B256::from(APP))),
        (&[("else", &[1]), (APP_IMAGE_EVENT, &APP), ("later", &APP)], Some(B256::from(APP))),
        (&[], None),
        (&[("else", &APP)], None),
        (&[(APP_IMAGE_EVENT, &APP), (APP_IMAGE_EVENT, &APP)], None),
        (&[(APP_IMAGE_EVENT, &APP[1..])], None),
    ] {
        let measured = guest(events);
        let image = approving(&measured);
        let id = OsImageId::from_registers(&image.mrtd, &image.rtmr1, &image.rtmr2);
        let enclave = enclave(&simulator, &simulator.tdx(&measured, REPORT_DATA), &[image].into_iter().collect());
        assert_eq!(enclave.identity(), &Identity::Tdx { image: id, approved: true, app_image }, "{events:?}");
        assert_eq!(enclave.report_data, REPORT_DATA);
    }
}

#[test]
fn an_image_is_approved_with_this_shape_of_machine_or_not_at_all() {
    let simulator = simulator();
    let measured = guest(&[(APP_IMAGE_EVENT, &APP)]);
    let tdx = simulator.tdx(&measured, REPORT_DATA);
    let image = approving(&measured);
    let other_shape = ApprovedImage { rtmr0: BTreeSet::from([[9; 48].into()]), ..image.clone() };
    let other_kernel = ApprovedImage { rtmr1: [9; 48].into(), ..image.clone() };
    for (images, expected) in [
        (vec![], false),
        (vec![other_shape], false),
        (vec![other_kernel.clone()], false),
        (vec![other_kernel, image], true),
    ] {
        let enclave = enclave(&simulator, &tdx, &images.into_iter().collect());
        let Identity::Tdx { approved, .. } = enclave.identity() else { panic!("{enclave:?}") };
        assert_eq!(*approved, expected);
    }
}

#[test]
fn kinds_that_no_deal_can_ask_for_are_named() {
    let simulator = simulator();
    for (evidence, kind) in [
        (simulator.snp(&SnpMeasured::default(), REPORT_DATA), EvidenceKind::Snp),
        (simulator.nitro(&NitroMeasured::at(NOW), &REPORT_DATA), EvidenceKind::Nitro),
    ] {
        let enclave = enclave(&simulator, &evidence, &ApprovedImages::default());
        assert_eq!(enclave.identity(), &Identity::Other(kind));
    }
}

#[test]
fn identities_read_well_in_the_journal() {
    let word = |byte: u8| format!("0x{}", format!("{byte:02x}").repeat(32));
    let (image, mrenclave) = (B256::repeat_byte(0x66).into(), B256::repeat_byte(0x77));
    for (identity, text) in [
        (Identity::Sgx { mrenclave }, format!("sgx mrenclave {}", word(0x77))),
        (
            Identity::Tdx { image, approved: true, app_image: Some(APP.into()) },
            format!("tdx image {} app {}", word(0x66), word(0x44)),
        ),
        (
            Identity::Tdx { image, approved: false, app_image: None },
            format!("tdx image {} without a measured app", word(0x66)),
        ),
        (Identity::Other(EvidenceKind::Snp), EvidenceKind::Snp.as_str().to_owned()),
    ] {
        assert_eq!(identity.to_string(), text);
    }
}
