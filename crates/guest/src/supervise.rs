//! Runs the second half to its end or to its time limit: hands over the values, forwards signals, takes over orphans as process 1
//! must. When it returns, nothing that the app started runs any more, as far as it is process 1.

use std::io::Write;
use std::process::Command;
use std::time::Duration;

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

/// How the app ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// With this code: the app's, or 128 and the number of the signal that ended it.
    Exited(u8),
    /// It ran longer than it may and was killed.
    TimedOut,
}

/// Starts `second`, gives it `values` and waits, at most for `limit`.
pub(crate) fn run(mut second: Command, values: &[u8], limit: Option<Duration>) -> Result<End, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Failure::System)?;
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
    let (ended, mut wait_ended) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        let _ = ended.send(wait_for(app));
    });
    let end = runtime.block_on(async {
        for stream in signals {
            let (mut stream, forwarded) = stream.map_err(Failure::System)?;
            tokio::spawn(async move {
                while stream.recv().await.is_some() {
                    // An app that is gone needs no signal.
                    let _ = rustix::process::kill_process(app, forwarded);
                }
            });
        }
        let over = async {
            match limit {
                Some(limit) => tokio::time::sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        let code_of = |status: Result<rustix::io::Result<u8>, _>| match status {
            Ok(Ok(code)) => Ok(code),
            Ok(Err(errno)) => Err(Failure::System(errno.into())),
            Err(_) => Err(Failure::System(std::io::ErrorKind::BrokenPipe.into())),
        };
        tokio::select! {
            status = &mut wait_ended => code_of(status).map(End::Exited),
            () = over => {
                // The others are killed below: two that reap would take the app's end from each other.
                let _ = rustix::process::kill_process(app, Signal::KILL);
                code_of(wait_ended.await).map(|_| End::TimedOut)
            }
        }
    })?;
    kill_all();
    Ok(end)
}

/// Kills and reaps whatever the app left running. Only process 1 may say "all"; elsewhere they belong to somebody else.
fn kill_all() {
    if !rustix::process::getpid().is_init() {
        return;
    }
    // The group of process 1 stands for every process but the caller: kill(-1), inside the own namespace.
    let _ = rustix::process::kill_process_group(Pid::INIT, Signal::KILL);
    // Until none is left: what they were writing is then over.
    while matches!(rustix::process::wait(WaitOptions::empty()), Ok(_) | Err(rustix::io::Errno::INTR)) {}
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
