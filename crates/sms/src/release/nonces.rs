//! Nonces without memory: each carries its time and an authenticator, so that nothing is kept until one is used.
//!
//! Layout, 32 bytes: Unix seconds (u64, big-endian) ‖ 8 random bytes ‖ first 16 bytes of HMAC-SHA-256 over the 16 before.

use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};
use strongroom_protocol::UnixSeconds;
use strongroom_protocol::transcript::Nonce;
use subtle::ConstantTimeEq as _;

/// How long a nonce serves, in seconds.
pub(crate) const LIFETIME_SECONDS: u64 = 120;
/// How far the clock of another replica may run ahead, in seconds.
const TOLERANCE_SECONDS: u64 = 5;

/// Why a nonce does not serve. Whether it was used is for the record to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NonceError {
    /// Nobody here made it.
    #[error("the nonce was not made by this service; ask for one and attest again")]
    Foreign,
    /// Its time is over.
    #[error("the nonce is older than {LIFETIME_SECONDS} seconds; ask for a new one and attest again")]
    Expired,
}

/// Makes and recognises nonces.
pub(crate) struct Nonces {
    key: hmac::Key,
    random: SystemRandom,
}

impl Nonces {
    pub(crate) fn new(key: &[u8; 32]) -> Self {
        Self { key: hmac::Key::new(hmac::HMAC_SHA256, key), random: SystemRandom::new() }
    }

    /// A fresh nonce and the last second in which it serves. `None` when the system gives no randomness.
    pub(crate) fn make(&self, now: UnixSeconds) -> Option<(Nonce, UnixSeconds)> {
        let mut nonce = [0; 32];
        nonce[..8].copy_from_slice(&now.0.to_be_bytes());
        self.random.fill(&mut nonce[8..16]).ok()?;
        let tag = self.tag(&nonce);
        nonce[16..].copy_from_slice(&tag);
        Some((Nonce(nonce), UnixSeconds(now.0.saturating_add(LIFETIME_SECONDS))))
    }

    /// Checks that a nonce is ours and in time. Gives the last second in which it serves.
    pub(crate) fn check(&self, nonce: &Nonce, now: UnixSeconds) -> Result<UnixSeconds, NonceError> {
        if !bool::from(self.tag(&nonce.0).ct_eq(&nonce.0[16..])) {
            return Err(NonceError::Foreign);
        }
        let made = u64::from_be_bytes(nonce.0[..8].try_into().expect("eight bytes are eight bytes"));
        let expires = made.saturating_add(LIFETIME_SECONDS);
        if now.0 > expires || now.0.saturating_add(TOLERANCE_SECONDS) < made {
            return Err(NonceError::Expired);
        }
        Ok(UnixSeconds(expires))
    }

    fn tag(&self, nonce: &[u8; 32]) -> [u8; 16] {
        let whole = hmac::sign(&self.key, &nonce[..16]);
        whole.as_ref()[..16].try_into().expect("HMAC-SHA-256 has 32 bytes")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixSeconds = UnixSeconds(1_000_000);

    #[test]
    fn a_nonce_serves_its_lifetime_and_no_second_longer() {
        let nonces = Nonces::new(&[1; 32]);
        let (nonce, expires) = nonces.make(NOW).unwrap();
        assert_eq!(expires, UnixSeconds(1_000_120));
        for (now, outcome) in [
            (999_994, Err(NonceError::Expired)),
            (999_995, Ok(expires)),
            (1_000_000, Ok(expires)),
            (1_000_120, Ok(expires)),
            (1_000_121, Err(NonceError::Expired)),
        ] {
            assert_eq!(nonces.check(&nonce, UnixSeconds(now)), outcome, "at second {now}");
        }
    }

    #[test]
    fn no_changed_bit_and_no_other_service_makes_a_nonce() {
        let nonces = Nonces::new(&[1; 32]);
        let (nonce, _) = nonces.make(NOW).unwrap();
        for bit in 0..256 {
            let mut changed = nonce;
            changed.0[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(nonces.check(&changed, NOW), Err(NonceError::Foreign), "bit {bit}");
        }
        assert_eq!(Nonces::new(&[2; 32]).check(&nonce, NOW), Err(NonceError::Foreign));
    }

    #[test]
    fn two_nonces_of_one_second_differ() {
        let nonces = Nonces::new(&[1; 32]);
        assert_ne!(nonces.make(NOW), nonces.make(NOW));
    }
}
