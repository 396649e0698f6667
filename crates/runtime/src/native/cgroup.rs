//! Control groups: limits of memory, processor and processes for everything in a sandbox together.
//!
//! Version 2 where the root is one, else one group per controller of version 1; a controller that is missing or read-only is
//! left out and named, so that the supervisor can say so and fall back to limits per process.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Limits;

/// The processor is shared out in slices of this length.
const PERIOD_MICROSECONDS: u64 = 100_000;
/// The kernel releases a group some time after its last process ended.
const REMOVAL_ATTEMPTS: u32 = 100;
const REMOVAL_PAUSE: Duration = Duration::from_millis(20);

/// Where groups can be made on this machine.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hierarchy {
    /// The version 2 group below which ours are made.
    v2: Option<PathBuf>,
    /// Version 1: folder per controller.
    v1: Vec<(Controller, PathBuf)>,
    /// What cannot be limited, and why.
    pub(crate) missing: Vec<(Controller, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Controller {
    Memory,
    Processes,
    Cpu,
    /// Measures only; version 2 has no such controller.
    CpuAccounting,
}

impl Controller {
    const LIMITING: [Self; 3] = [Self::Memory, Self::Processes, Self::Cpu];
    const ALL: [Self; 4] = [Self::Memory, Self::Processes, Self::Cpu, Self::CpuAccounting];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Processes => "pids",
            Self::Cpu => "cpu",
            Self::CpuAccounting => "cpuacct",
        }
    }
}

impl Hierarchy {
    /// Looks at what is mounted at `mount`, usually `/sys/fs/cgroup`. `own` is the text of `/proc/self/cgroup`.
    pub(crate) fn find(mount: &Path, own: &str) -> Self {
        let own_path = |controller: &str| {
            own.lines().find_map(|line| {
                let mut parts = line.splitn(3, ':').skip(1);
                let (controllers, path) = (parts.next()?, parts.next()?);
                controllers.split(',').any(|one| one == controller).then(|| path.trim_start_matches('/').to_owned())
            })
        };
        let below = |top: PathBuf, controller: &str| {
            let own = top.join(own_path(controller).unwrap_or_default());
            if own.is_dir() { own } else { top }
        };
        if mount.join("cgroup.controllers").exists() {
            return Self::version_2(below(mount.to_owned(), ""));
        }
        let mut hierarchy = Self::default();
        for controller in Controller::ALL {
            let name = controller.name();
            let parent = below(mount.join(name), name);
            match probe_writable(&parent) {
                Ok(()) => hierarchy.v1.push((controller, parent)),
                Err(error) => hierarchy.missing.push((controller, format!("{}: {error}", parent.display()))),
            }
        }
        hierarchy
    }

    fn version_2(parent: PathBuf) -> Self {
        let mut hierarchy = Self::default();
        let everything = "+memory +pids +cpu";
        let switch = parent.join("cgroup.subtree_control");
        let enabled = fs::write(&switch, everything).or_else(|_| {
            // A group with processes in it cannot have controlled sub-groups: the supervisor moves into a leaf of its own.
            let leaf = parent.join("supervisor");
            match fs::create_dir(&leaf) {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => fs::write(leaf.join("cgroup.procs"), "0")?,
            }
            fs::write(&switch, everything)
        });
        let enabled =
            enabled.and_then(|()| fs::read_to_string(&switch)).and_then(|on| probe_writable(&parent).map(|()| on));
        match enabled {
            Ok(on) => {
                for controller in Controller::LIMITING {
                    if !on.split_whitespace().any(|name| name == controller.name()) {
                        hierarchy.missing.push((controller, format!("not enabled in {}", switch.display())));
                    }
                }
                hierarchy.v2 = Some(parent);
            }
            Err(error) => {
                hierarchy.missing =
                    Controller::LIMITING.map(|one| (one, format!("{}: {error}", parent.display()))).to_vec();
            }
        }
        hierarchy
    }

    pub(crate) fn limits(&self, controller: Controller) -> bool {
        !self.missing.iter().any(|(missing, _)| *missing == controller)
    }

    /// Which flavour it is, for people.
    pub(crate) fn flavour(&self) -> &'static str {
        match (&self.v2, self.v1.is_empty()) {
            (Some(_), _) => "version 2",
            (None, false) => "version 1",
            (None, true) => "none",
        }
    }

    /// Removes the groups of runs whose names begin with `name`, left of a supervisor that was killed. A group in which something
    /// still runs stays.
    pub(crate) fn remove_left(&self, name: &str) {
        let wanted = format!("strongroom-{name}");
        for parent in self.v2.iter().chain(self.v1.iter().map(|(_, parent)| parent)) {
            for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
                if entry.file_name().to_string_lossy().starts_with(&wanted) {
                    let _ = fs::remove_dir(entry.path());
                }
            }
        }
    }

    /// Makes the groups of one run. Waits for the end of a run of the same name whose supervisor was killed.
    pub(crate) async fn group_in_turn(&self, name: &str, limits: &Limits) -> io::Result<Group> {
        let mut attempt = 1;
        loop {
            match self.group(name, limits) {
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy && attempt < REMOVAL_ATTEMPTS => {
                    attempt += 1;
                    tokio::time::sleep(REMOVAL_PAUSE).await;
                }
                other => return other,
            }
        }
    }

    fn group(&self, name: &str, limits: &Limits) -> io::Result<Group> {
        let folder = format!("strongroom-{name}");
        let mut group = Group { v2: None, v1: Vec::new() };
        let made = match &self.v2 {
            Some(parent) => group.make_version_2(&parent.join(folder), self, limits),
            None => group.make_version_1(&folder, &self.v1, limits),
        };
        match made {
            Ok(()) => Ok(group),
            Err(error) => {
                group.remove_empty();
                Err(error)
            }
        }
    }
}

/// A group of that name may be left of a supervisor that was killed. The kernel removes it only when nothing runs in it any more.
fn create_anew(folder: &Path) -> io::Result<()> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        other => return other,
    }
    fs::remove_dir(folder)?;
    fs::create_dir(folder)
}

fn probe_writable(parent: &Path) -> io::Result<()> {
    if !parent.is_dir() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "there is no such controller"));
    }
    let probe = parent.join(format!("strongroom-probe-{}", std::process::id()));
    match fs::create_dir(&probe) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    // Another thread's probe may have removed it already.
    match fs::remove_dir(&probe) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The groups of one run.
#[derive(Debug)]
pub(crate) struct Group {
    v2: Option<PathBuf>,
    v1: Vec<(Controller, PathBuf)>,
}

impl Group {
    fn make_version_2(&mut self, folder: &Path, hierarchy: &Hierarchy, limits: &Limits) -> io::Result<()> {
        create_anew(folder)?;
        self.v2 = Some(folder.to_owned());
        if hierarchy.limits(Controller::Memory) {
            fs::write(folder.join("memory.max"), limits.memory_bytes.to_string())?;
            // A kernel without swap accounting has no such file.
            let _ = fs::write(folder.join("memory.swap.max"), "0");
            fs::write(folder.join("memory.oom.group"), "1")?;
        }
        if hierarchy.limits(Controller::Processes) {
            fs::write(folder.join("pids.max"), with_helpers(limits.processes))?;
        }
        if hierarchy.limits(Controller::Cpu) {
            fs::write(folder.join("cpu.max"), format!("{} {PERIOD_MICROSECONDS}", quota(limits)))?;
        }
        Ok(())
    }

    fn make_version_1(&mut self, name: &str, parents: &[(Controller, PathBuf)], limits: &Limits) -> io::Result<()> {
        for (controller, parent) in parents {
            let folder = parent.join(name);
            create_anew(&folder)?;
            self.v1.push((*controller, folder.clone()));
            match controller {
                Controller::Memory => {
                    fs::write(folder.join("memory.limit_in_bytes"), limits.memory_bytes.to_string())?;
                    // Only with swap accounting.
                    let _ = fs::write(folder.join("memory.memsw.limit_in_bytes"), limits.memory_bytes.to_string());
                }
                Controller::Processes => fs::write(folder.join("pids.max"), with_helpers(limits.processes))?,
                Controller::Cpu => {
                    fs::write(folder.join("cpu.cfs_period_us"), PERIOD_MICROSECONDS.to_string())?;
                    fs::write(folder.join("cpu.cfs_quota_us"), quota(limits).to_string())?;
                }
                Controller::CpuAccounting => {}
            }
        }
        Ok(())
    }

    /// Moves a process into all groups. What it starts stays in them.
    pub(crate) fn enter(&self, pid: u32) -> io::Result<()> {
        self.folders().try_for_each(|folder| fs::write(folder.join("cgroup.procs"), pid.to_string()))
    }

    /// Whether the kernel killed something in here for its memory.
    pub(crate) fn ran_out_of_memory(&self) -> bool {
        let (folder, file) = match (&self.v2, self.v1_folder(Controller::Memory)) {
            (Some(folder), _) => (folder, "memory.events"),
            (None, Some(folder)) => (folder, "memory.oom_control"),
            (None, None) => return false,
        };
        field(&folder.join(file), "oom_kill").is_some_and(|kills| kills > 0)
    }

    pub(crate) fn peak_memory_bytes(&self) -> Option<u64> {
        match (&self.v2, self.v1_folder(Controller::Memory)) {
            (Some(folder), _) => number(&folder.join("memory.peak")),
            (None, Some(folder)) => number(&folder.join("memory.max_usage_in_bytes")),
            (None, None) => None,
        }
    }

    pub(crate) fn cpu_time(&self) -> Option<Duration> {
        match (&self.v2, self.v1_folder(Controller::CpuAccounting)) {
            (Some(folder), _) => field(&folder.join("cpu.stat"), "usage_usec").map(Duration::from_micros),
            (None, Some(folder)) => number(&folder.join("cpuacct.usage")).map(Duration::from_nanos),
            (None, None) => None,
        }
    }

    /// Kills everything in the groups at once where the kernel can; elsewhere the end of the first process does it.
    pub(crate) fn kill(&self) {
        if let Some(folder) = &self.v2 {
            let _ = fs::write(folder.join("cgroup.kill"), "1");
        }
    }

    /// Removes the groups once the kernel lets go of them; says so in the log when it does not.
    pub(crate) async fn remove(mut self) {
        for _ in 0..REMOVAL_ATTEMPTS {
            if self.remove_empty() {
                return;
            }
            tokio::time::sleep(REMOVAL_PAUSE).await;
        }
        for folder in self.folders() {
            tracing::warn!(folder = %folder.display(), "a control group could not be removed; remove it with rmdir");
        }
    }

    /// Whether all are gone.
    fn remove_empty(&mut self) -> bool {
        let gone = |folder: &Path| match fs::remove_dir(folder) {
            Ok(()) => true,
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        self.v1.retain(|(_, folder)| !gone(folder));
        self.v2.take_if(|folder| gone(folder));
        self.v1.is_empty() && self.v2.is_none()
    }

    fn folders(&self) -> impl Iterator<Item = &PathBuf> {
        self.v2.iter().chain(self.v1.iter().map(|(_, folder)| folder))
    }

    fn v1_folder(&self, wanted: Controller) -> Option<&PathBuf> {
        self.v1.iter().find_map(|(controller, folder)| (*controller == wanted).then_some(folder))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Only when nobody could wait for the kernel: the program ends.
        self.remove_empty();
    }
}

/// The outer helper is in the group as well.
fn with_helpers(processes: u32) -> String {
    (u64::from(processes) + 1).to_string()
}

fn quota(limits: &Limits) -> u64 {
    // The kernel's least quota is one millisecond.
    (u64::from(limits.cpu_milli) * PERIOD_MICROSECONDS / 1000).max(1000)
}

fn number(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// The value after `name` in a file of lines `name value`.
fn field(file: &Path, name: &str) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

#[cfg(test)]
mod tests;
