//! The outer helper: a single-threaded process that makes the namespaces, starts the first process in them, and waits for it.
//!
//! It never does anything for the task itself. When the supervisor is gone, it kills the first process, and with it
//! everything inside; when it dies itself, the kernel does the same.

use std::fs;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::thread::{
    CapabilitySet, UnshareFlags, capabilities, configure_capability_in_ambient_set, set_capabilities,
};

use super::wire::{Control, ENTERED, MAPPED, Word};
use super::{INNER, step};
use crate::Refusal;

pub(super) fn run() -> ExitCode {
    let Ok(control) = Control::from_stdin() else { return ExitCode::FAILURE };
    let ended = start(&control).and_then(|child| step("wait", wait(child, &control)));
    let word = match ended {
        Ok(status) => {
            Word::Ended { code: status.code(), signal: status.signal(), cpu_milliseconds: children_cpu_milliseconds() }
        }
        Err(refusal) => Word::Failed(refusal),
    };
    match control.say(&word) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn start(control: &Control) -> Result<Child, Refusal> {
    close_fds::set_fds_cloexec(3, &[]);
    step("supervisor", control.expect(ENTERED))?;
    step("namespaces", unshare())?;
    step("supervisor", control.say(&Word::Unshared))?;
    step("supervisor", control.expect(MAPPED))?;
    step("capabilities", keep_capabilities_over_exec())?;
    let child = Command::new("/proc/self/exe").arg(INNER).env_clear().stdin(Stdio::inherit()).spawn();
    step("first process", child)
}

fn unshare() -> io::Result<()> {
    let flags = UnshareFlags::NEWUSER
        | UnshareFlags::NEWNS
        | UnshareFlags::NEWPID
        | UnshareFlags::NEWNET
        | UnshareFlags::NEWIPC
        | UnshareFlags::NEWUTS
        | UnshareFlags::NEWCGROUP;
    // Deprecated because of UnshareFlags::FILES, which is not asked for.
    #[expect(deprecated)]
    rustix::thread::unshare(flags)?;
    Ok(())
}

/// Our user is not root of the new user namespace, so that we can still reach the supervisor's files; `execve` would then drop
/// the capabilities that we have in it.
fn keep_capabilities_over_exec() -> io::Result<()> {
    let mut sets = capabilities(None)?;
    sets.inheritable = sets.permitted;
    set_capabilities(None, sets)?;
    for bit in 0..64 {
        let capability = CapabilitySet::from_bits_retain(1 << bit);
        if sets.permitted.contains(capability) {
            configure_capability_in_ambient_set(capability, true)?;
        }
    }
    Ok(())
}

/// Waits for the first process, and kills it once the supervisor is gone.
fn wait(mut child: Child, control: &Control) -> io::Result<ExitStatus> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidData)?;
    let ended = pidfd_open(pid, PidfdFlags::empty())?;
    loop {
        let mut watched = [PollFd::new(&ended, PollFlags::IN), PollFd::new(control.socket(), PollFlags::empty())];
        match poll(&mut watched, None) {
            Err(rustix::io::Errno::INTR) => continue,
            other => other?,
        };
        if watched[1].revents().intersects(PollFlags::HUP | PollFlags::ERR) {
            child.kill()?;
        } else if watched[0].revents().is_empty() {
            continue;
        }
        return child.wait();
    }
}

/// Processor time of all children that were waited for, from fields 16 and 17 of `/proc/self/stat`; 0 when unknown.
fn children_cpu_milliseconds() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The second field, the program's name in parentheses, may hold spaces.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    let ticks: u64 = fields.skip(13).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    ticks * 1000 / rustix::param::clock_ticks_per_second().max(1)
}
