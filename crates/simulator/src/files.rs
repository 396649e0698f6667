//! The files that a development deployment needs to accept evidence of this simulator: roots, and endorsements.

use std::path::Path;
use std::{fs, io};

use serde_json::{Value, json};
use strongroom_attest::EvidenceKind;
use strongroom_protocol::UnixSeconds;

use crate::{IntelStatements, Simulator};

/// Writes the root certificates as DER files into a folder, which is made if it is absent: `intel.der`, `amd-<product>.der`,
/// `aws.der`.
pub fn write_roots(simulator: &Simulator, folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let anchors = simulator.development_anchors();
    let amd = anchors.amd_roots.into_iter().map(|(product, root)| (format!("amd-{product}.der").to_lowercase(), root));
    let intel = anchors.intel_root.map(|root| ("intel.der".to_owned(), root));
    let aws = anchors.aws_root.map(|root| ("aws.der".to_owned(), root));
    for (name, root) in intel.into_iter().chain(amd).chain(aws) {
        fs::write(folder.join(name), root)?;
    }
    Ok(())
}

/// What the simulated Intel says about the default machine, current at `at`: the JSON set that verifiers import.
pub fn intel_set(simulator: &Simulator, kind: EvidenceKind, at: UnixSeconds) -> Value {
    let set = simulator.intel_parts(kind, &IntelStatements::current_at(at));
    json!({
        "pck_crl_issuer_chain": set.pck_crl_issuer_chain,
        "root_ca_crl": hex::encode(set.root_ca_crl),
        "pck_crl": hex::encode(set.pck_crl),
        "tcb_info_issuer_chain": set.tcb_info_issuer_chain,
        "tcb_info": set.tcb_info,
        "tcb_info_signature": hex::encode(set.tcb_info_signature),
        "qe_identity_issuer_chain": set.qe_identity_issuer_chain,
        "qe_identity": set.qe_identity,
        "qe_identity_signature": hex::encode(set.qe_identity_signature),
    })
}
