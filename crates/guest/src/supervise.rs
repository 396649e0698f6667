//! Runs the second half to its end: hands over the values, forwards signals, takes over orphans as process 1 must.

use std::io::Write;
use std::process::Command;

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};
use tokio::signal::unix::{SignalKind, signal};

use crate::failure::Failure;

/// Signals that a runtime sends to the guest and means for the app.
const FORWARDED: [(SignalKind, Signal); 6] = [
    (SignalKind::terminate(), Signal::TERM),
    (SignalKind::interrupt(), Signal::INT),
    (SignalKind::hangup(), Signal::HUP),
    (SignalKind::quit(), Signal::QUIT),
    (SignalKind::user_defined1(), Signal::USR1),
    (SignalKind::user_defined2(), Signal::USR2),
];

/// Starts `second`, gives it `values` and waits. The exit code is the app's, or 128 and the number of the signal that ended it.
pub(crate) fn run(mut second: Command, values: &[u8]) -> Result<u8, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().map_err(Failure::System)?;
    // Before the app starts: a signal that comes early must not end the guest alone.
    let signals = {
        let _inside = runtime.enter();
        FORWARDED.map(|(kind, forwarded)| signal(kind).map(|stream| (stream, forwarded)))
    };
    let start_failed = |source| Failure::Start { program: "the second half of the guest".to_owned(), source };
    let mut child = second.spawn().map_err(start_failed)?;
    let app = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("the kernel gives positive process ids");
    if let Some(mut input) = child.stdin.take() {
        // A child that ended before it read says why itself.
        let _ = input.write_all(values);
    }
    let (ended, wait_ended) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let _ = ended.send(wait_for(app));
    });
    runtime.block_on(async {
        for stream in signals {
            let (mut stream, forwarded) = stream.map_err(Failure::System)?;
            tokio::spawn(async move {
                while stream.recv().await.is_some() {
                    // An app that is gone needs no signal.
                    let _ = rustix::process::kill_process(app, forwarded);
                }
            });
        }
        let status = wait_ended.await.map_err(|_| Failure::System(std::io::ErrorKind::BrokenPipe.into()))?;
        status.map_err(|errno| Failure::System(errno.into()))
    })
}

/// Reaps every child until the app ended; orphans become children of process 1.
fn wait_for(app: Pid) -> rustix::io::Result<u8> {
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == app => {
                if let Some(code) = exit_code(status) {
                    return Ok(code);
                }
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}

fn exit_code(status: WaitStatus) -> Option<u8> {
    let number = status.exit_status().or_else(|| status.terminating_signal().map(|signal| 128 + signal))?;
    u8::try_from(number).ok()
}
