//! The constructor belongs to the verifier.

use strongroom_attest::{Claims, Verified};

fn forged(claims: Claims) -> Verified {
    Verified::new(claims)
}

fn main() {}
