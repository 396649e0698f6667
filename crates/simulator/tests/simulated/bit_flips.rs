//! Every single bit of simulated evidence (of logs, every fifth) flipped: refused, or proof of the same.
//!
//! Reports and documents are covered by signatures from end to end. Quotes carry parts that no signature covers (the root
//! certificate, PEM line ends) and logs too (payloads of boot events): a change there may pass, but never with other claims.

use std::ops::Range;

use strongroom_attest::{Claims, EvidenceKind, ExpectedBinding, verify};
use strongroom_simulator::{NitroMeasured, SgxMeasured, SimulatedEvidence, SnpMeasured, TdxFormat, TdxMeasured};

use crate::corpus::{NOW, simulator};

const REPORT_DATA: [u8; 64] = [0x5a; 64];

/// Bytes of a version 5 quote with a report of 584 bytes before its certificate chain, which is the same as in version 4.
const V5_BYTES_BEFORE_CHAIN: usize = 1264;

/// Every fifth bit of a log, which meets every bit of a byte and costs a fifth of the minute.
const LOG_STEP: usize = 5;

/// Which bytes of which part are changed.
struct Flips {
    evidence: SimulatedEvidence,
    /// Of the log instead of the document.
    in_log: bool,
    bytes: Range<usize>,
}

impl Flips {
    fn in_document(evidence: SimulatedEvidence) -> Self {
        let bytes = 0..evidence.document.len();
        Self { evidence, in_log: false, bytes }
    }

    /// How many flips were accepted with the same claims. Panics if one was accepted with others.
    fn accepted(&self) -> usize {
        let simulator = simulator();
        let endorsements = simulator.endorsements(self.evidence.kind, NOW);
        let (anchors, binding) = (simulator.anchors(), ExpectedBinding::new(REPORT_DATA));
        let claims_of = |evidence: &SimulatedEvidence| -> Option<Claims> {
            let evidence = evidence.evidence().ok()?;
            verify(&evidence, &endorsements, &binding, &anchors, NOW).ok().map(|verified| verified.claims().clone())
        };
        let expected = claims_of(&self.evidence).expect("the original is accepted");
        let count_in = |bytes: Range<usize>| {
            let mut accepted = 0;
            for bit in (bytes.start * 8..bytes.end * 8).step_by(if self.in_log { LOG_STEP } else { 1 }) {
                let mut mutant = self.evidence.clone();
                if self.in_log {
                    let mut log = mutant.event_log.take().unwrap_or_default().into_bytes();
                    log[bit / 8] ^= 1 << (bit % 8);
                    // What is not UTF-8 is not JSON either.
                    let Ok(log) = String::from_utf8(log) else { continue };
                    mutant.event_log = Some(log);
                } else {
                    mutant.document[bit / 8] ^= 1 << (bit % 8);
                }
                if let Some(claims) = claims_of(&mutant) {
                    assert!(claims == expected, "bit {bit} flipped proves something else");
                    accepted += 1;
                }
            }
            accepted
        };
        let share = self.bytes.len().div_ceil(std::thread::available_parallelism().map_or(1, usize::from));
        std::thread::scope(|scope| {
            let workers: Vec<_> = self
                .bytes
                .clone()
                .step_by(share)
                .map(|from| {
                    let (count_in, until) = (&count_in, self.bytes.end.min(from + share));
                    scope.spawn(move || count_in(from..until))
                })
                .collect();
            workers.into_iter().map(|worker| worker.join().expect("no flip proves something else")).sum()
        })
    }
}

fn tdx(format: TdxFormat) -> SimulatedEvidence {
    simulator().tdx(&TdxMeasured { format, ..TdxMeasured::default() }, REPORT_DATA)
}

#[test]
fn no_flipped_bit_of_an_sgx_quote_is_accepted_with_other_claims() {
    let accepted = Flips::in_document(simulator().sgx(&SgxMeasured::default(), REPORT_DATA)).accepted();
    assert!(accepted < 6_000, "{accepted}: more than the root certificate and line ends");
}

#[test]
fn no_flipped_bit_of_a_tdx_version_4_quote_is_accepted_with_other_claims() {
    let evidence = SimulatedEvidence { event_log: None, ..tdx(TdxFormat::V4) };
    let accepted = Flips::in_document(evidence).accepted();
    assert!(accepted < 6_000, "{accepted}: more than the root certificate and line ends");
}

#[test]
fn no_flipped_bit_before_the_certificates_of_a_tdx_version_5_quote_is_accepted() {
    for format in [TdxFormat::V5Td10, TdxFormat::V5Td15] {
        let evidence = SimulatedEvidence { event_log: None, ..tdx(format) };
        let flips = Flips { bytes: 0..V5_BYTES_BEFORE_CHAIN, ..Flips::in_document(evidence) };
        assert_eq!(flips.accepted(), 0, "{format:?}");
    }
}

#[test]
fn no_flipped_bit_of_an_event_log_is_accepted_with_other_claims() {
    let evidence = tdx(TdxFormat::V4);
    let bytes = 0..evidence.event_log.as_ref().map_or(0, String::len);
    // Upper and lower case of hex digits, and names, types and payloads of boot events.
    let accepted = Flips { evidence, in_log: true, bytes }.accepted();
    assert!(accepted < 600, "{accepted}");
}

#[test]
fn every_flipped_bit_of_an_snp_report_is_refused() {
    assert_eq!(Flips::in_document(simulator().snp(&SnpMeasured::default(), REPORT_DATA)).accepted(), 0);
}

#[test]
fn every_flipped_bit_of_a_nitro_document_is_refused() {
    let evidence = simulator().nitro(&NitroMeasured::at(NOW), &REPORT_DATA);
    assert_eq!(evidence.kind, EvidenceKind::Nitro);
    assert_eq!(Flips::in_document(evidence).accepted(), 0);
}
