//! The time, as an argument: `main` passes the system's clock, tests pass one that stands still.

use std::sync::Arc;

use jiff::Timestamp;
use strongroom_protocol::UnixSeconds;

/// Tells the time of day, for error bodies, log lines and the deadlines of releases.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// A clock that reads whatever `now` returns.
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// Unix seconds, for decisions; a time before 1970 is 0.
    pub fn seconds(&self) -> UnixSeconds {
        UnixSeconds(u64::try_from(self.now().as_second()).unwrap_or(0))
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.0)()
    }
}
