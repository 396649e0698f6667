//! Whoever holds claims has not verified them.

use strongroom_attest::{Claims, Verified};

fn forged(claims: Claims) -> Verified {
    Verified { claims }
}

fn main() {}
