//! Simulated evidence is accepted by the verifiers that accept real evidence, under the simulator's root only.

use dcap_qvl::configs::RingConfig;
use dcap_qvl::verify::QuoteVerifier;
use strongroom_attest::EvidenceKind;
use strongroom_attest::endorsements::IntelParts;
use strongroom_protocol::UnixSeconds;
use strongroom_simulator::{IntelMachine, IntelStatements, SgxMeasured, Simulator, TdxFormat, TdxMeasured};

const NOW: UnixSeconds = UnixSeconds(1_790_000_000);

fn simulator() -> Simulator {
    Simulator::from_seed([7; 32])
}

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
fn the_quote_library_accepts_every_simulated_intel_quote_under_the_simulated_root_and_not_under_intels() {
    let simulator = simulator();
    let report_data = [0x5a; 64];
    let mut quotes = vec![(EvidenceKind::Sgx, simulator.sgx(&SgxMeasured::default(), report_data).document)];
    for format in TdxFormat::ALL {
        let measured = TdxMeasured { format, ..TdxMeasured::default() };
        quotes.push((EvidenceKind::Tdx, simulator.tdx(&measured, report_data).document));
    }
    let root = simulator.development_anchors().intel_root.unwrap();
    let statements = IntelStatements::current_at(NOW);
    for (kind, quote) in quotes {
        let collateral = collateral(simulator.intel_parts(kind, &statements));
        let verifier = QuoteVerifier::new(root.clone()).with_config::<RingConfig>();
        let report = verifier.verify(&quote, &collateral, NOW.0).unwrap();
        assert_eq!(report.status.to_string(), "UpToDate");
        assert_eq!(report.ppid, IntelMachine::default().ppid);
        let intel = QuoteVerifier::new_prod().with_config::<RingConfig>();
        assert!(intel.verify(&quote, &collateral, NOW.0).is_err());
    }
}
