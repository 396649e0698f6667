//! Dates as certificates and Intel's JSON write them.

use strongroom_protocol::UnixSeconds;
use time::OffsetDateTime;

/// 9999-12-31T23:59:59Z: certificates cannot say more.
const LAST_SECOND: u64 = 253_402_300_799;

/// First and last second during which something holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// First second.
    pub from: UnixSeconds,
    /// Last second.
    pub until: UnixSeconds,
}

impl Validity {
    /// 2020-01-01 to 2049-12-31: long enough that no simulated certificate ends by itself.
    pub const ALWAYS: Self = Self { from: UnixSeconds(1_577_836_800), until: UnixSeconds(2_524_607_999) };
}

/// As the certificate builder takes it. Later than the year 9999 becomes its last second.
pub(crate) fn date_time(at: UnixSeconds) -> OffsetDateTime {
    let seconds = i64::try_from(at.0.min(LAST_SECOND)).expect("the last second of 9999 fits");
    OffsetDateTime::from_unix_timestamp(seconds).expect("years 1970 to 9999 are representable")
}

/// As Intel's JSON writes it: `2026-01-31T09:05:00Z`.
pub(crate) fn rfc_3339(at: UnixSeconds) -> String {
    let at = date_time(at);
    let (year, month, day) = at.to_calendar_date();
    format!("{year:04}-{:02}-{day:02}T{:02}:{:02}:{:02}Z", u8::from(month), at.hour(), at.minute(), at.second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_in_utc_with_two_digits_per_part() {
        assert_eq!(rfc_3339(UnixSeconds(0)), "1970-01-01T00:00:00Z");
        assert_eq!(rfc_3339(UnixSeconds(1_752_900_000)), "2025-07-19T04:40:00Z");
        assert_eq!(rfc_3339(UnixSeconds(u64::MAX)), "9999-12-31T23:59:59Z");
        assert_eq!(rfc_3339(Validity::ALWAYS.from), "2020-01-01T00:00:00Z");
        assert_eq!(rfc_3339(Validity::ALWAYS.until), "2049-12-31T23:59:59Z");
    }
}
