//! Every single bit of every fixture flipped, cut at every length, followed by anything: refused, or proof of the same.
//!
//! Quotes have parts that no signature covers (the root certificate they carry, PEM line ends): a change there may pass, but
//! never with other claims.

use strongroom_attest::{Claims, Evidence, TrustAnchors, verify};

use crate::fixtures::{Fixture, GOOD, SGX, TDX_V4, TDX_V5};
use crate::mutation::bit_flips_where;

/// How many flips were accepted with the same claims. Panics if one was accepted with others.
///
/// The count is that of the bits no signature covers: the root certificate a quote carries (ours is compiled in), the text
/// around base64, and the unused bits of its last characters. More than that would be news.
fn accepted_flips(fixture: Fixture) -> usize {
    let quote = fixture.quote();
    let expected = fixture.verify().unwrap();
    let endorsements = fixture.endorsements();
    let (binding, anchors) = (fixture.binding(), TrustAnchors::production());
    let claims_of = |quote: &[u8]| -> Option<Claims> {
        let evidence = Evidence::new(fixture.kind, quote.to_vec()).ok()?;
        verify(&evidence, &endorsements, &binding, &anchors, fixture.now).ok().map(|verified| verified.claims().clone())
    };
    bit_flips_where(&quote, |mutant| {
        let claims = claims_of(mutant);
        assert!(claims.is_none() || claims.as_ref() == Some(&expected), "{} proves something else", fixture.name);
        claims.is_some()
    })
    .len()
}

#[test]
fn no_flipped_bit_of_the_sgx_quote_is_accepted_with_other_claims() {
    assert_eq!(accepted_flips(SGX), 4954);
}

#[test]
fn no_flipped_bit_of_the_tdx_version_4_quote_is_accepted_with_other_claims() {
    assert_eq!(accepted_flips(TDX_V4), 4956);
}

#[test]
fn no_flipped_bit_of_the_tdx_version_5_quote_is_accepted_with_other_claims() {
    assert_eq!(accepted_flips(TDX_V5), 4956);
}

#[test]
fn a_quote_cut_short_anywhere_is_refused() {
    for fixture in GOOD {
        let quote = fixture.quote();
        let end = quote.iter().rposition(|&byte| byte != 0).unwrap();
        let endorsements = fixture.endorsements();
        // The PEM chain ends with a NUL that belongs to it, so cutting only zeros off leaves a shorter padding at best.
        for length in 0..=end {
            assert!(
                fixture.verify_with(&quote[..length], &endorsements, fixture.now).is_err(),
                "{} at {length}",
                fixture.name
            );
        }
    }
}

#[test]
fn a_quote_may_be_followed_by_zeros_and_nothing_else() {
    for fixture in GOOD {
        let expected = fixture.verify();
        let endorsements = fixture.endorsements();
        let with = |tail: &[u8]| fixture.verify_with(&[&fixture.quote(), tail].concat(), &endorsements, fixture.now);
        assert_eq!(with(&[0; 100]), expected);
        for tail in [&[1][..], &[0, 0, 1], b"-----BEGIN CERTIFICATE-----"] {
            assert!(with(tail).is_err(), "{} followed by {tail:?}", fixture.name);
        }
    }
}
