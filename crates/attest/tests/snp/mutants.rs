//! Small changes of a real report and of its certificates: none is accepted. Larger, deterministic ones: none makes the decoders
//! panic.

use strongroom_attest::{EvidenceFault, VerifyError};

use super::mutation::{Mutator, assert_every_bit_flip_is_refused};
use super::real::{MILAN_ASK, MILAN_REPORT, MILAN_VCEK, NOW, verify_report};

#[test]
fn every_single_bit_flip_of_a_real_report_is_refused() {
    assert_every_bit_flip_is_refused(MILAN_REPORT, |report| verify_report(report, MILAN_VCEK, MILAN_ASK, NOW).is_ok());
}

#[test]
fn every_single_bit_flip_of_the_certificates_is_refused() {
    assert_every_bit_flip_is_refused(MILAN_VCEK, |vek| verify_report(MILAN_REPORT, vek, MILAN_ASK, NOW).is_ok());
    assert_every_bit_flip_is_refused(MILAN_ASK, |ask| verify_report(MILAN_REPORT, MILAN_VCEK, ask, NOW).is_ok());
}

#[test]
fn a_report_of_any_other_length_is_refused() {
    let longer = [MILAN_REPORT, &[0; 64]].concat();
    for length in (1..MILAN_REPORT.len()).chain(MILAN_REPORT.len() + 1..longer.len()) {
        let refusal = verify_report(&longer[..length], MILAN_VCEK, MILAN_ASK, NOW).unwrap_err();
        assert!(
            matches!(refusal, VerifyError::Evidence(EvidenceFault::Truncated { .. } | EvidenceFault::TooLarge { .. })),
            "{length} bytes: {refusal}"
        );
    }
}

#[test]
fn truncated_certificates_are_refused_at_every_length() {
    for length in 0..MILAN_VCEK.len() {
        assert!(verify_report(MILAN_REPORT, &MILAN_VCEK[..length], MILAN_ASK, NOW).is_err(), "{length} bytes of VCEK");
    }
    for length in 0..MILAN_ASK.len() {
        assert!(verify_report(MILAN_REPORT, MILAN_VCEK, &MILAN_ASK[..length], NOW).is_err(), "{length} bytes of ASK");
    }
    for file in [MILAN_VCEK, MILAN_ASK] {
        let longer = [file, &[0]].concat();
        assert!(verify_report(MILAN_REPORT, &longer, MILAN_ASK, NOW).is_err());
        assert!(verify_report(MILAN_REPORT, MILAN_VCEK, &longer, NOW).is_err());
    }
}

#[test]
fn heavily_changed_reports_and_certificates_are_refused_without_a_panic() {
    let mut mutator = Mutator::from_seed(7);
    for _ in 0..4_000 {
        assert!(verify_report(&mutator.mutate(MILAN_REPORT), MILAN_VCEK, MILAN_ASK, NOW).is_err());
        assert!(verify_report(MILAN_REPORT, &mutator.mutate(MILAN_VCEK), MILAN_ASK, NOW).is_err());
        assert!(verify_report(MILAN_REPORT, MILAN_VCEK, &mutator.mutate(MILAN_ASK), NOW).is_err());
    }
}
