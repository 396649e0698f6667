//! Who is asking: a wallet signs a text that the book made up for it, once.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use alloy_primitives::Address;
use strongroom_market::login::{Authorization, LoginChallenge};

/// How long a text waits to be signed.
const LIFETIME: Duration = Duration::from_mins(5);
/// Most texts that wait; the oldest go first.
const MAX_WAITING: usize = 10_000;
/// Random characters in a text.
const CHARACTERS: usize = 32;

/// The texts that wait to be signed, one per wallet.
#[derive(Debug, Default)]
pub(super) struct Logins {
    waiting: HashMap<Address, (LoginChallenge, Instant)>,
}

impl Logins {
    /// The text for a wallet: the one that waits already, else a new one.
    pub(super) fn challenge(&mut self, chain_id: u64, wallet: Address, now: Instant) -> LoginChallenge {
        self.waiting.retain(|_, (_, made)| now.duration_since(*made) < LIFETIME);
        if let Some((challenge, _)) = self.waiting.get(&wallet) {
            return challenge.clone();
        }
        if self.waiting.len() >= MAX_WAITING
            && let Some(oldest) = self.waiting.iter().min_by_key(|(_, (_, made))| *made).map(|(wallet, _)| *wallet)
        {
            self.waiting.remove(&oldest);
        }
        let text = format!("Sign this message to log into iExec Gateway: {}", random_characters());
        let challenge = LoginChallenge { chain_id, text };
        self.waiting.insert(wallet, (challenge.clone(), now));
        challenge
    }

    /// The wallet that signed its text, which is used up by this.
    pub(super) fn take(&mut self, header: &str, now: Instant) -> Option<Address> {
        let authorization: Authorization = header.parse().ok()?;
        let wallet = authorization.address;
        let (challenge, made) = self.waiting.get(&wallet)?;
        let is_ours = challenge.digest() == authorization.digest && now.duration_since(*made) < LIFETIME;
        if !is_ours || !authorization.is_true() {
            return None;
        }
        self.waiting.remove(&wallet);
        Some(wallet)
    }
}

fn random_characters() -> String {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut bytes = [0; CHARACTERS];
    getrandom::fill(&mut bytes).expect("the system has randomness");
    bytes.iter().map(|byte| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()])).collect()
}

#[cfg(test)]
mod tests {
    use strongroom_protocol::SigningKey;

    use super::*;

    #[test]
    fn a_text_is_signed_once_by_its_wallet_in_time() {
        let (key, other) = (SigningKey::from_bytes(&[1; 32]).unwrap(), SigningKey::from_bytes(&[2; 32]).unwrap());
        let (mut logins, now) = (Logins::default(), Instant::now());
        let challenge = logins.challenge(1, key.address(), now);
        assert_eq!(logins.challenge(1, key.address(), now), challenge, "one text waits per wallet");
        assert_eq!(logins.take(&challenge.authorization(&other), now), None);
        assert_eq!(logins.take("nonsense", now), None);
        let header = challenge.authorization(&key);
        assert_eq!(logins.take(&header, now + LIFETIME), None);
        assert_eq!(logins.take(&header, now), Some(key.address()));
        assert_eq!(logins.take(&header, now), None);
        assert_ne!(logins.challenge(1, key.address(), now), challenge);
    }
}
