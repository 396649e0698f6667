//! Every decoder against mutants of its seeds, the same in every run: no panic, and what is accepted is what was meant. The
//! targets under `fuzz/` look for more of the same, with coverage.

#![allow(clippy::unwrap_used, reason = "helpers of tests; clippy knows only the test functions themselves")]

mod mutation;

use std::fs;
use std::path::{Path, PathBuf};

use mutation::Mutator;
use strongroom_attest::endorsements::{IntelEndorsements, IntelParts};
use strongroom_attest::{Evidence, Measurement, Policy, TrustAnchors, event_log};
use strongroom_protocol::UnixSeconds;

/// Mutants of each seed.
const MUTANTS: u64 = 3_000;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Hands every seed of a fuzz target, and its mutants, to `judge`.
fn for_every_mutant(target: &str, judge: impl Fn(&[u8])) {
    let mut seeds: Vec<PathBuf> =
        fs::read_dir(workspace().join("fuzz/seeds").join(target)).unwrap().map(|entry| entry.unwrap().path()).collect();
    seeds.sort();
    assert!(!seeds.is_empty(), "no seeds for {target}");
    for (number, seed) in seeds.iter().enumerate() {
        let bytes = fs::read(seed).unwrap();
        let mut mutator = Mutator::from_seed(number as u64);
        judge(&bytes);
        for _ in 0..MUTANTS {
            judge(&mutator.mutate(&bytes));
        }
    }
}

#[test]
fn a_mutated_envelope_is_refused_or_reads_as_it_writes() {
    for_every_mutant("attest_envelope", |bytes| {
        if let Ok(evidence) = Evidence::from_json(bytes) {
            assert_eq!(Evidence::from_json(&evidence.to_json()), Ok(evidence));
        }
    });
}

#[test]
fn a_mutated_measurement_is_refused_or_has_one_form() {
    for_every_mutant("attest_measurement", |bytes| {
        if let Ok(measurement) = Measurement::from_canonical(bytes) {
            assert_eq!(measurement.to_canonical(), bytes);
        }
        let text = str::from_utf8(bytes).unwrap_or_default();
        if let Ok(measurement) = text.parse::<Measurement>() {
            assert!(measurement.to_string() == text || text.len() == 64, "{text}");
            assert_eq!(Measurement::from_canonical(&measurement.to_canonical()), Ok(measurement));
        }
    });
}

#[test]
fn a_mutated_policy_is_refused_or_reads_as_it_writes() {
    for_every_mutant("attest_policy", |bytes| {
        if let Ok(policy) = serde_json::from_slice::<Policy>(bytes) {
            let written = serde_json::to_vec(&policy).unwrap();
            assert_eq!(serde_json::from_slice::<Policy>(&written).unwrap(), policy);
            assert_eq!(policy.stricter_of(&Policy::unrestricted()), policy);
        }
    });
}

#[test]
fn a_mutated_event_log_tells_the_same_or_nothing() {
    let seed = fs::read(workspace().join("fuzz/seeds/attest_event_log/guest.json")).unwrap();
    let registers = event_log::registers(&seed).unwrap();
    let told = event_log::replay(&seed, &registers).unwrap();
    assert_eq!(told.application_event("strongroom-app-image"), Some(&[0x0a; 32][..]));
    for_every_mutant("attest_event_log", |bytes| {
        if let Ok(log) = event_log::replay(bytes, &registers) {
            assert_eq!(log, told);
        }
        if let Ok(own) = event_log::registers(bytes) {
            let _ = event_log::replay(bytes, &own);
        }
    });
}

#[test]
fn mutated_collateral_is_refused_or_still_what_intel_signed() {
    let now = UnixSeconds(1_752_900_000);
    let file = fs::read(workspace().join("crates/attest/testdata/intel/tdx_quote_collateral.json")).unwrap();
    let real = IntelParts::from_json(&file).unwrap();
    let mut mutator = Mutator::from_seed(7);
    let mut refused = 0;
    for round in 0..MUTANTS {
        let mut parts = real.clone();
        let mutated_text =
            |text: &str, mutator: &mut Mutator| String::from_utf8_lossy(&mutator.mutate(text.as_bytes())).into_owned();
        match round % 8 {
            0 => parts.root_ca_crl = mutator.mutate(&parts.root_ca_crl),
            1 => parts.pck_crl = mutator.mutate(&parts.pck_crl),
            2 => parts.tcb_info_signature = mutator.mutate(&parts.tcb_info_signature),
            3 => parts.tcb_info = mutated_text(&parts.tcb_info, &mut mutator),
            4 => parts.qe_identity = mutated_text(&parts.qe_identity, &mut mutator),
            5 => parts.tcb_info_issuer_chain = mutated_text(&parts.tcb_info_issuer_chain, &mut mutator),
            6 => parts.pck_crl_issuer_chain = mutated_text(&parts.pck_crl_issuer_chain, &mut mutator),
            _ => parts.qe_identity_issuer_chain = mutated_text(&parts.qe_identity_issuer_chain, &mut mutator),
        }
        let checked =
            IntelEndorsements::new(parts.clone(), now).and_then(|set| set.check(&TrustAnchors::production(), now));
        if checked.is_err() {
            refused += 1;
        } else {
            let same = parts.tcb_info == real.tcb_info
                && parts.qe_identity == real.qe_identity
                && parts.root_ca_crl == real.root_ca_crl
                && parts.pck_crl == real.pck_crl;
            assert!(same, "round {round}: a changed part passes");
        }
        let _ = IntelParts::from_json(&mutator.mutate(&file));
    }
    assert!(refused > MUTANTS / 2, "only {refused} mutants were refused");
}

#[test]
fn the_sample_policy_in_the_guide_is_read() {
    let guide = fs::read_to_string(workspace().join("docs/guide/evidence.md")).unwrap();
    let sample = guide.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let policy: Policy = toml::from_str(sample).unwrap();
    assert_eq!(policy.max_endorsement_age_seconds, Policy::production().max_endorsement_age_seconds);
    assert_eq!(policy.platforms.map(|platforms| platforms.len()), Some(1));
    assert_eq!(policy.intel, Policy::production().intel);
    assert_eq!(policy.amd.floors.len(), 1);
}
