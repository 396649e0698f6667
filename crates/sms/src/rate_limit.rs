//! Limits how often one peer or one wallet is served. Pure: the time is an argument. Memory is bounded: when more keys
//! are remembered than allowed, the ones that have recovered their whole burst are forgotten, which changes nothing; if
//! all are busy, newcomers share one allowance, so that a flood of made-up addresses limits itself.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Independent parts, so that threads seldom wait for each other.
const SHARDS: usize = 16;

/// Refused; the next request may come after this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RetryAfter(pub(crate) Duration);

/// Limits keys of one sort: each may come `burst` times at once and then at a steady rate (GCRA).
pub(crate) struct RateLimiter<K> {
    /// Time that one request takes from the allowance.
    interval: Duration,
    /// How far the allowance may be used up in advance.
    tolerance: Duration,
    keys_per_shard: usize,
    hasher: RandomState,
    shards: Vec<Mutex<Shard<K>>>,
}

struct Shard<K> {
    /// When the whole burst of a key is available again. A key that is not here has its whole burst.
    full_at: HashMap<K, Instant>,
    /// The allowance shared by newcomers that cannot be remembered.
    overflow_full_at: Option<Instant>,
    /// No sweep before this instant: sweeping a full shard again at once would find the same.
    next_sweep: Option<Instant>,
}

impl<K: Hash + Eq> RateLimiter<K> {
    pub(crate) fn new(per_second: NonZeroU32, burst: NonZeroU32, remembered: NonZeroUsize) -> Self {
        let interval = Duration::from_secs(1) / per_second.get();
        let shard = || Mutex::new(Shard { full_at: HashMap::new(), overflow_full_at: None, next_sweep: None });
        Self {
            interval,
            tolerance: interval * (burst.get() - 1),
            keys_per_shard: remembered.get().div_ceil(SHARDS),
            hasher: RandomState::new(),
            shards: (0..SHARDS).map(|_| shard()).collect(),
        }
    }

    /// Counts one request of `key` at `now`, or says when to come back. A refused request is not counted.
    pub(crate) fn admit(&self, key: K, now: Instant) -> Result<(), RetryAfter> {
        let index = usize::try_from(self.hasher.hash_one(&key) % SHARDS as u64).expect("SHARDS fits");
        // A panic while the lock is held leaves at worst one count missing.
        let mut shard = self.shards[index].lock().unwrap_or_else(PoisonError::into_inner);
        let known = shard.full_at.get(&key).copied();
        let full_at = if known.is_some() {
            known
        } else if shard.has_room(self.keys_per_shard, self.interval, now) {
            None
        } else {
            let advanced = self.advance(shard.overflow_full_at, now)?;
            shard.overflow_full_at = Some(advanced);
            return Ok(());
        };
        let advanced = self.advance(full_at, now)?;
        shard.full_at.insert(key, advanced);
        Ok(())
    }

    fn advance(&self, full_at: Option<Instant>, now: Instant) -> Result<Instant, RetryAfter> {
        let start = full_at.map_or(now, |instant| instant.max(now));
        let used = start.duration_since(now);
        match used.checked_sub(self.tolerance) {
            None | Some(Duration::ZERO) => Ok(start + self.interval),
            Some(too_early) => Err(RetryAfter(too_early)),
        }
    }
}

impl<K: Hash + Eq> Shard<K> {
    fn has_room(&mut self, keys_per_shard: usize, interval: Duration, now: Instant) -> bool {
        if self.full_at.len() >= keys_per_shard && self.next_sweep.is_none_or(|instant| instant <= now) {
            self.full_at.retain(|_, full_at| *full_at > now);
            self.next_sweep = Some(now + interval.max(Duration::from_millis(100)));
        }
        self.full_at.len() < keys_per_shard
    }
}

/// What stands for a peer: an IPv4 address, or the /64 that one IPv6 subscriber has.
pub(crate) fn peer_key(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(per_second: u32, burst: u32, remembered: usize) -> RateLimiter<u64> {
        RateLimiter::new(
            NonZeroU32::new(per_second).unwrap(),
            NonZeroU32::new(burst).unwrap(),
            NonZeroUsize::new(remembered).unwrap(),
        )
    }

    #[test]
    fn a_burst_is_served_at_once_and_then_the_rate() {
        let limiter = limiter(10, 3, 100);
        let start = Instant::now();
        for _ in 0..3 {
            assert_eq!(limiter.admit(1, start), Ok(()));
        }
        assert_eq!(limiter.admit(1, start), Err(RetryAfter(Duration::from_millis(100))));
        assert_eq!(limiter.admit(1, start + Duration::from_millis(100)), Ok(()));
        assert!(limiter.admit(1, start + Duration::from_millis(100)).is_err());
        assert_eq!(limiter.admit(1, start + Duration::from_secs(10)), Ok(()));
    }

    #[test]
    fn keys_do_not_use_up_each_others_allowance() {
        let limiter = limiter(1, 1, 100);
        let now = Instant::now();
        assert_eq!(limiter.admit(1, now), Ok(()));
        assert_eq!(limiter.admit(2, now), Ok(()));
        assert!(limiter.admit(1, now).is_err());
    }

    #[test]
    fn memory_is_bounded_and_a_flood_of_new_keys_limits_itself() {
        let limiter = limiter(1, 2, 160);
        let start = Instant::now();
        let served = (0..100_000).filter(|key| limiter.admit(*key, start).is_ok()).count();
        assert!(served <= 160 + 2 * SHARDS, "{served} served");
        assert!(remembered(&limiter) <= 160);
        // Later, the forgotten make room and everybody is served again.
        let later = start + Duration::from_mins(1);
        assert_eq!(limiter.admit(100_001, later), Ok(()));
        assert!(remembered(&limiter) <= 160);
    }

    fn remembered(limiter: &RateLimiter<u64>) -> usize {
        limiter.shards.iter().map(|shard| shard.lock().unwrap().full_at.len()).sum()
    }

    #[test]
    fn one_subscriber_of_ipv6_is_one_peer() {
        assert_eq!(peer_key("2001:db8:1:2:3:4:5:6".parse().unwrap()), peer_key("2001:db8:1:2::9".parse().unwrap()));
        assert_ne!(peer_key("2001:db8:1:2::1".parse().unwrap()), peer_key("2001:db8:1:3::1".parse().unwrap()));
        assert_eq!(peer_key("::ffff:192.0.2.1".parse().unwrap()), "192.0.2.1".parse::<IpAddr>().unwrap());
    }
}
