//! Our wrapper against raw `dcap-qvl`, over mutated quotes: we never accept what it refuses, and what we refuse on top is on a
//! list, with reasons.

use dcap_qvl::configs::RingConfig;
use dcap_qvl::verify::QuoteVerifier;
use dcap_qvl::{QuoteCollateralV3, QuotePolicy};
use strongroom_attest::{EvidenceFault, VerifyError};

use crate::fixtures::{Fixture, SGX, TDX_V4, TDX_V5};
use crate::mutation::Mutator;

/// Mutants per fixture.
const MUTANTS: usize = 4000;

/// Why we refuse what the library accepts. Everything here is outside what signatures cover, or names a format that the
/// library does not look at.
fn explained(error: &VerifyError) -> bool {
    matches!(
        error,
        VerifyError::Evidence(
            // Bytes after the quote that are not padding, or inside one of its blocks: room for an attacker's notes.
            EvidenceFault::TrailingBytes(_)
            // The outer certification type is not 6, which the library ignores.
            | EvidenceFault::Unsupported { field: "certification data type", .. }
            // A block that claims to be longer than the one around it; the library reads the inner lengths only.
            | EvidenceFault::Truncated { .. }
            // Certification data that the library reads differently from us, or a first certificate it does not check by name.
            | EvidenceFault::Certificate(_)
            // Larger than any quote.
            | EvidenceFault::TooLarge { .. }
        )
    )
}

fn compare(fixture: Fixture, seed: u64) {
    let quote = fixture.quote();
    let endorsements = fixture.endorsements();
    let mut collateral: QuoteCollateralV3 = serde_json::from_slice(&fixture.collateral_json()).unwrap();
    collateral.pck_certificate_chain = None;
    let root = include_bytes!("../../roots/intel-sgx-root-ca.der").to_vec();
    let library = QuoteVerifier::<RingConfig>::new_with_config(root);
    let policy = QuotePolicy::claims_only(fixture.now.0);

    let mut mutator = Mutator::from_seed(seed);
    let (mut both_accept, mut both_refuse, mut only_library) = (0, 0, 0);
    for round in 0..MUTANTS {
        let mutant = mutator.mutate(&quote);
        let ours = fixture.verify_with(&mutant, &endorsements, fixture.now);
        let theirs = library.verify_with_policy(&mutant, collateral.clone(), fixture.now.0, &policy);
        match (ours, theirs) {
            (Ok(claims), Ok(_)) => {
                assert_eq!(claims, fixture.verify().unwrap(), "mutant {round}");
                both_accept += 1;
            }
            (Err(_), Err(_)) => both_refuse += 1,
            (Ok(_), Err(error)) => panic!("mutant {round}: we accept what the library refuses: {error:#}"),
            (Err(error), Ok(_)) => {
                assert!(explained(&error), "mutant {round}: we refuse without a listed reason: {error:?}");
                only_library += 1;
            }
        }
    }
    let counts =
        format!("both accept {both_accept}, both refuse {both_refuse}, only the library accepts {only_library}");
    assert!(both_accept > 0 && only_library > 0, "the mutants do not reach every case: {counts}");
}

#[test]
fn our_sgx_verifier_accepts_nothing_that_the_library_refuses() {
    compare(SGX, 1);
}

#[test]
fn our_tdx_version_4_verifier_accepts_nothing_that_the_library_refuses() {
    compare(TDX_V4, 2);
}

#[test]
fn our_tdx_version_5_verifier_accepts_nothing_that_the_library_refuses() {
    compare(TDX_V5, 3);
}
