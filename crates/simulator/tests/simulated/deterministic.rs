//! The same seed and arguments give the same bytes, today as on any other day and machine.

use sha2::{Digest as _, Sha256};
use strongroom_attest::Endorsements;
use strongroom_simulator::Simulator;

use crate::corpus::{Item, NOW, corpus, simulator};

/// SHA-256 of the evidence and its log, and the digest of the endorsements.
fn fingerprint(item: &Item) -> (String, String) {
    let log = item.evidence.event_log.as_deref().unwrap_or_default();
    let evidence = Sha256::new().chain_update(&item.evidence.document).chain_update(log).finalize();
    let endorsements = match &item.endorsements {
        Endorsements::Intel(intel) => hex::encode(intel.digest()),
        Endorsements::Amd(amd) => hex::encode(amd.digest()),
        Endorsements::NotNeeded => "none".to_owned(),
    };
    (hex::encode(evidence), endorsements)
}

#[test]
fn the_bytes_of_every_kind_are_the_published_ones() {
    let found: Vec<String> = corpus(&simulator(), [0x5a; 64])
        .iter()
        .map(|item| {
            let (evidence, endorsements) = fingerprint(item);
            format!("{}: {evidence} {endorsements}", item.name)
        })
        .collect();
    let published: Vec<&str> = include_str!("fingerprints.txt").lines().collect();
    assert_eq!(
        found,
        published,
        "
{}
",
        found.join("\n")
    );
}

#[test]
fn another_seed_gives_other_keys_and_other_bytes() {
    let [one, other] = [simulator(), Simulator::from_seed([8; 32])].map(|simulator| corpus(&simulator, [0x5a; 64]));
    for (one, other) in one.iter().zip(&other) {
        assert!(one.evidence.document != other.evidence.document, "{}", one.name);
    }
}

#[test]
fn another_time_changes_endorsements_and_no_quote() {
    let simulator = simulator();
    let item = &corpus(&simulator, [0x5a; 64])[1];
    let later = strongroom_protocol::UnixSeconds(NOW.0 + 1);
    let again = simulator.endorsements(item.evidence.kind, later);
    assert!(again != item.endorsements);
    assert_eq!(corpus(&simulator, [0x5a; 64])[1].evidence, item.evidence);
}
