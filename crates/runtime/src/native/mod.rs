//! The native sandbox: Linux namespaces, landlock, seccomp and control groups; no daemon, no external program, no network.
//!
//! Two helper processes, both this very program, make a sandbox: the outer one unshares the namespaces and waits, the inner
//! one is the first process inside, mounts and confines, and becomes the guest by `execve`. So a program that launches must
//! call [`child_main`] before anything else. Nothing survives the supervisor: the outer helper ends with the control socket,
//! and the kernel kills the inner one with the outer, and everything inside with the inner.
//!
//! Files of an image belong to nobody inside, because unpacked images are shared by sandboxes with different ids; they can be
//! read by all. The first process is uid 0 of the sandbox with just enough privilege to start the app under another user, and to look
//! into `/.strongroom`, which is closed to uid 0 itself.

mod cgroup;
mod confine;
mod ids;
mod inner;
mod mounts;
mod outer;
mod supervise;
mod wire;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub(crate) use cgroup::Hierarchy;
pub(crate) use supervise::run;

use crate::Refusal;
use ids::{Ids, Mapping};

/// First argument of the two helpers.
const OUTER: &str = "strongroom-sandbox-outer";
const INNER: &str = "strongroom-sandbox-inner";

/// Becomes a helper of the sandbox when the program was started as one. `args` are all arguments, the program's name first.
///
/// Must be called first thing in `main`, before any thread is started. When the answer is a code, exit with it.
#[must_use]
pub fn child_main(args: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    let role = args.into_iter().nth(1)?;
    if role == OsStr::new(OUTER) || role == OsStr::new(INNER) {
        // A service has a strict one; what the sandbox is made of is for its other users too.
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    }
    if role == OsStr::new(OUTER) {
        Some(outer::run())
    } else if role == OsStr::new(INNER) {
        Some(inner::run())
    } else {
        None
    }
}

/// Settings of the native sandbox.
#[derive(Clone, Debug)]
pub struct NativeSettings {
    /// The program whose `main` calls [`child_main`]; by default this one.
    pub helper: PathBuf,
    /// First of the host's user and group ids that sandboxes get, in blocks of 65536 (as root only). Nobody else may use them.
    pub first_id: u32,
    /// Where control groups are mounted.
    pub cgroups: PathBuf,
}

impl Default for NativeSettings {
    fn default() -> Self {
        Self { helper: "/proc/self/exe".into(), first_id: 0x6000_0000, cgroups: "/sys/fs/cgroup".into() }
    }
}

/// The native back end.
#[derive(Clone, Debug)]
pub struct Native {
    helper: PathBuf,
    ids: Ids,
    hierarchy: Hierarchy,
    root: bool,
}

impl Native {
    /// Looks at what this machine can limit, and says in the log what it cannot.
    #[must_use]
    pub fn new(settings: NativeSettings) -> Self {
        let hierarchy = Self::hierarchy(&settings.cgroups);
        for (controller, why) in &hierarchy.missing {
            let controller = controller.name();
            tracing::warn!(controller, why, "a control group controller cannot be used; weaker limits per process are");
        }
        Self {
            helper: settings.helper,
            ids: Ids::starting_at(settings.first_id),
            hierarchy,
            root: rustix::process::geteuid().is_root(),
        }
    }

    pub(crate) fn hierarchy(mount: &Path) -> Hierarchy {
        Hierarchy::find(mount, &std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default())
    }

    /// Whether sandboxes have several users. If not (the supervisor is an ordinary user), guest and app share one, and the app is kept
    /// from what is the guest's by its lack of privileges alone.
    #[must_use]
    pub fn has_several_users(&self) -> bool {
        self.root
    }

    /// Limits that this machine's control groups cannot enforce, each with the reason; weaker limits per process stand in for
    /// them. Empty on a machine that can do all.
    #[must_use]
    pub fn unenforced(&self) -> Vec<String> {
        self.hierarchy.missing.iter().map(|(controller, why)| format!("{}: {why}", controller.name())).collect()
    }

    /// Removes the control groups of runs whose names begin with `name`, left of a supervisor that was killed.
    pub fn remove_left(&self, name: &str) {
        self.hierarchy.remove_left(name);
    }

    fn mapping(&self) -> Option<Mapping> {
        if self.root {
            return self.ids.block();
        }
        Some(Mapping::Single { uid: rustix::process::geteuid().as_raw(), gid: rustix::process::getegid().as_raw() })
    }
}

/// Tries whether a helper can make the namespaces of a sandbox.
pub(crate) fn try_namespaces(helper: &Path) -> Result<(), Refusal> {
    supervise::try_namespaces(helper)
}

/// Names the step at which something failed.
fn step<T, E: fmt::Display>(name: &str, result: Result<T, E>) -> Result<T, Refusal> {
    result.map_err(|error| Refusal { step: name.to_owned(), cause: error.to_string() })
}
