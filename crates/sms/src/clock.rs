//! The time, as an argument: `main` passes the system's clock, tests pass one that stands still.

use std::sync::Arc;

use jiff::Timestamp;

/// Tells the time of day, for error bodies and log lines. Nothing is decided by it.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// A clock that reads whatever `now` returns.
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.0)()
    }
}
