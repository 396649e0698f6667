//! What the service writes to its log: one event per request and per trouble, with ids, never a body, never a signature,
//! never what a panic has to say.

use std::panic;

use tracing::error;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::{LogConfig, LogFormat};

/// Sends the log of the whole process to `writer`. To be called once, first of all. The filter was checked with the other
/// settings; one that is not understood lets `info` through.
pub fn install<W>(config: &LogConfig, writer: W)
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(&config.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).with_ansi(false);
    match config.format {
        LogFormat::Plain => log.init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
    hide_panic_messages();
}

/// Reports where a panic happened and not its message, which may hold what a client sent.
fn hide_panic_messages() {
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        error!(%place, "panic");
    }));
}
