//! Keeps the guest's memory to itself: no dumps, no debugger, nothing swapped out.

use std::fs;

use rustix::io::Errno;
use rustix::mm::MlockAllFlags;
use rustix::process::{DumpableBehavior, Resource, Rlimit};

use crate::failure::Failure;

/// Called before anything secret exists. The order matters: once the process is not dumpable it may no longer open its own
/// files under `/proc/self`.
pub(crate) fn harden() -> Result<(), Failure> {
    let system = |errno: Errno| Failure::System(errno.into());
    // What a dump would hold if one were written all the same: nothing. Absent where `/proc` is not mounted.
    match fs::write("/proc/self/coredump_filter", "0") {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(Failure::System(error)),
    }
    rustix::process::setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }).map_err(system)?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(system)?;
    lock_memory().map_err(system)
}

/// Locks all memory where the limit allows it. Under a small limit locking the future would make the next allocation fail;
/// a confidential VM has no swap to fear, a runtime gives its guest the limit.
fn lock_memory() -> Result<(), Errno> {
    if rustix::process::getrlimit(Resource::Memlock).current.is_some() {
        return Ok(());
    }
    match rustix::mm::mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE) {
        Err(Errno::PERM | Errno::NOMEM | Errno::NOSYS) => Ok(()),
        locked => locked,
    }
}
