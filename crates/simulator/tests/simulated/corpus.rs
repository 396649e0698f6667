//! Every kind of evidence that the simulator issues, with what is needed to judge it.

use strongroom_attest::{AmdProduct, Endorsements, EvidenceKind};
use strongroom_protocol::UnixSeconds;
use strongroom_simulator::{
    AmdMachine, AmdStatements, NitroMeasured, SgxMeasured, SimulatedEvidence, Simulator, SnpMeasured, TdxFormat,
    TdxMeasured,
};

pub(crate) const NOW: UnixSeconds = UnixSeconds(1_790_000_000);

pub(crate) fn simulator() -> Simulator {
    Simulator::from_seed([7; 32])
}

/// Evidence with what is needed to judge it and a name for messages.
pub(crate) struct Item {
    pub(crate) name: String,
    pub(crate) evidence: SimulatedEvidence,
    pub(crate) endorsements: Endorsements,
}

/// Every kind of simulated evidence.
pub(crate) fn corpus(simulator: &Simulator, report_data: [u8; 64]) -> Vec<Item> {
    let sgx = simulator.sgx(&SgxMeasured::default(), report_data);
    let mut corpus = vec![Item {
        name: "SGX".to_owned(),
        evidence: sgx,
        endorsements: simulator.endorsements(EvidenceKind::Sgx, NOW),
    }];
    corpus.extend(TdxFormat::ALL.into_iter().map(|format| Item {
        name: format!("TDX {format:?}"),
        evidence: simulator.tdx(&TdxMeasured { format, ..TdxMeasured::default() }, report_data),
        endorsements: simulator.endorsements(EvidenceKind::Tdx, NOW),
    }));
    for product in AmdProduct::ALL {
        for csp_id in [None, Some("SIMULATED cloud".to_owned())] {
            let machine = AmdMachine { csp_id, ..AmdMachine::of(product) };
            corpus.push(Item {
                name: format!("SNP {product} {}", if machine.csp_id.is_some() { "VLEK" } else { "VCEK" }),
                evidence: simulator.snp_on(&machine, &SnpMeasured::default(), report_data),
                endorsements: simulator.amd_endorsements_of(&machine, &AmdStatements::current_at(NOW), NOW).unwrap(),
            });
        }
    }
    corpus.push(Item {
        name: "Nitro".to_owned(),
        evidence: simulator.nitro(&NitroMeasured::at(NOW), &report_data),
        endorsements: Endorsements::NotNeeded,
    });
    corpus
}
