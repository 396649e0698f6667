//! When a set is fetched next. Pure, so that years pass in a test.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use strongroom_attest::PlatformKey;
use strongroom_protocol::UnixSeconds;

/// After the first failure; doubles with every further one.
const FIRST_RETRY_SECONDS: u64 = 30;
const LONGEST_RETRY_SECONDS: u64 = 3600;

/// Never by itself.
pub(crate) const NEVER: UnixSeconds = UnixSeconds(u64::MAX);

/// At half of what is left of the validity, at the latest after `every`, and up to a tenth earlier, different for each platform
/// so that not all are fetched at once.
pub(crate) fn next_refresh(
    key: &PlatformKey,
    now: UnixSeconds,
    valid_until: UnixSeconds,
    every: Duration,
) -> UnixSeconds {
    let half = (valid_until.0.saturating_sub(now.0) / 2).min(every.as_secs());
    UnixSeconds(now.0.saturating_add(half - half / 10 * spread(key) / 256))
}

/// After the given number of failures in a row, at least one.
pub(crate) fn next_retry(key: &PlatformKey, now: UnixSeconds, failures: u32) -> UnixSeconds {
    let doubled = FIRST_RETRY_SECONDS.saturating_mul(1 << failures.saturating_sub(1).min(16));
    let wait = doubled.min(LONGEST_RETRY_SECONDS);
    UnixSeconds(now.0.saturating_add(wait + wait / 4 * spread(key) / 256))
}

/// 0 to 255.
fn spread(key: &PlatformKey) -> u64 {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    hasher.finish() & 0xff
}

#[cfg(test)]
mod tests {
    use strongroom_attest::endorsements::IntelTee;
    use strongroom_attest::platform::PckAuthority;

    use super::*;

    const NOW: UnixSeconds = UnixSeconds(1_000_000);

    fn key(number: u8) -> PlatformKey {
        PlatformKey::Intel { tee: IntelTee::Tdx, fmspc: [number; 6].into(), authority: PckAuthority::Platform }
    }

    #[test]
    fn a_set_is_fetched_anew_at_half_its_life_and_no_later_than_told() {
        let day = Duration::from_hours(24);
        for number in 0..=255 {
            let soon = next_refresh(&key(number), NOW, UnixSeconds(NOW.0 + 1000), day).0 - NOW.0;
            assert!((450..=500).contains(&soon), "{soon}");
            let late = next_refresh(&key(number), NOW, UnixSeconds(NOW.0 + 30 * 86_400), day).0 - NOW.0;
            assert!((77_760..=86_400).contains(&late), "{late}");
        }
        assert_eq!(next_refresh(&key(1), NOW, NOW, day), NOW);
        assert_eq!(next_refresh(&key(1), NOW, UnixSeconds(0), day), NOW);
    }

    #[test]
    fn platforms_do_not_all_come_due_in_the_same_second() {
        let at = |number| next_refresh(&key(number), NOW, UnixSeconds(NOW.0 + 200_000), Duration::from_hours(24));
        let seconds: std::collections::BTreeSet<UnixSeconds> = (0..=255).map(at).collect();
        assert!(seconds.len() > 50, "{}", seconds.len());
    }

    #[test]
    fn retries_slow_down_to_one_an_hour() {
        let waits: Vec<u64> = (1..40).map(|failures| next_retry(&key(1), NOW, failures).0 - NOW.0).collect();
        assert!((30..38).contains(&waits[0]), "{waits:?}");
        assert!(waits.windows(2).all(|pair| pair[0] <= pair[1]), "{waits:?}");
        assert!(waits.iter().all(|wait| *wait < 4500), "{waits:?}");
        assert!(waits[38] >= 3600, "{waits:?}");
    }
}
