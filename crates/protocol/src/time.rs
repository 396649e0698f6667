//! Time as an argument: the core never asks a clock, it is told.

use std::fmt;

/// Seconds since 1970-01-01T00:00:00Z, as block time stamps and certificate dates count them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnixSeconds(pub u64);

impl fmt::Display for UnixSeconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
