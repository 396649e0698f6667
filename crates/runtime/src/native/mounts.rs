//! The file system of a sandbox: the image read-only, `proc`, a few devices, memory file systems, and what is bound into it.
//!
//! Mounts are first made and then attached: sources are opened while the helper still has the supervisor's user, mount points
//! are found from the root's descriptor without following a single symbolic link, because the image is a stranger's.

use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::path::{Component, Path};

use rustix::fs::{
    CWD, Mode, OFlags, ResolveFlags, StatVfsMountFlags, fstat, fstatvfs, mkdirat, openat, openat2, symlinkat,
};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags,
    UnmountFlags, fsconfig_create, fsconfig_set_string, fsmount, fsopen, mount_change, mount_remount, move_mount,
    open_tree, unmount,
};

use super::step;
use super::wire::Spec;
use crate::{Bind, Refusal, Scratch};

/// Where the supervisor's own files are visible; only the first process may look in.
const OWN: &str = "/.strongroom";
const DEVICES: [&str; 5] = ["null", "zero", "full", "random", "urandom"];
const DEV_LINKS: [(&str, &str); 4] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
];

/// Memory file systems that every sandbox has, unless the launch asks for others at the same place.
fn default_scratch() -> [Scratch; 2] {
    [
        Scratch { target: "/tmp".into(), size_bytes: 64 << 20, mode: 0o1777 },
        Scratch { target: "/run".into(), size_bytes: 16 << 20, mode: 0o755 },
    ]
}

/// All memory file systems of a sandbox: those of the launch, and the usual ones that it does not mention.
pub(super) fn scratch_of(spec: &Spec) -> Vec<Scratch> {
    let usual = default_scratch().into_iter().filter(|usual| spec.scratch.iter().all(|own| own.target != usual.target));
    spec.scratch.iter().cloned().chain(usual).collect()
}

/// Mounts that are not attached anywhere yet, but for the root.
pub(super) struct Made {
    root: OwnedFd,
    proc: OwnedFd,
    devices: Vec<OwnedFd>,
    binds: Vec<(OwnedFd, Bind)>,
}

/// Opens everything that comes from the host. The helper still has the supervisor's user and so may reach its files.
pub(super) fn make(spec: &Spec) -> Result<Made, Refusal> {
    step("mounts", mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC))?;
    let devices =
        DEVICES.iter().map(|name| step("devices", tree(&Path::new("/dev").join(name)))).collect::<Result<_, _>>()?;
    let binds = spec
        .binds
        .iter()
        .map(|bind| Ok((about(&bind.source, tree(&bind.source))?, bind.clone())))
        .collect::<Result<_, Refusal>>()?;
    let root = about(&spec.root, root(&spec.root))?;
    let proc = step("proc", virtual_files("proc"))?;
    Ok(Made { root, proc, devices, binds })
}

fn root(path: &Path) -> rustix::io::Result<OwnedFd> {
    move_mount(tree(path)?, "", CWD, path, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)?;
    let root = openat(CWD, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    make_read_only(&root)?;
    Ok(root)
}

/// A copy of what is mounted at `path`, or of the folder or file there.
fn tree(path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_SYMLINK_NOFOLLOW;
    open_tree(CWD, path, flags)
}

fn virtual_files(kind: &str) -> rustix::io::Result<OwnedFd> {
    let context = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_create(&context)?;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, harmless() | MountAttrFlags::MOUNT_ATTR_NOEXEC)
}

fn memory(size_bytes: u64, mode: u32) -> rustix::io::Result<OwnedFd> {
    let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&context, "size", size_bytes.to_string())?;
    // A file takes memory even when it is empty.
    fsconfig_set_string(&context, "nr_inodes", (size_bytes / 1024 + 64).to_string())?;
    fsconfig_set_string(&context, "mode", format!("{mode:o}"))?;
    fsconfig_set_string(&context, "uid", "0")?;
    fsconfig_set_string(&context, "gid", "0")?;
    fsconfig_create(&context)?;
    fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, harmless())
}

fn harmless() -> MountAttrFlags {
    MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV
}

/// Attaches everything below the root. The helper is root of the sandbox by now, so that it owns what it creates.
pub(super) fn attach(made: &Made, spec: &Spec) -> Result<(), Refusal> {
    let root = &made.root;
    step("proc", attach_at(&made.proc, root, Path::new("/proc")))?;
    attach_devices(root, &made.devices)?;
    for scratch in scratch_of(spec) {
        let mount = step("scratch", memory(scratch.size_bytes, scratch.mode))?;
        about(&scratch.target, attach_at(&mount, root, &scratch.target))?;
    }
    // Closed to its owner as well: it takes the first process's privilege to look in, not just its user, which an app shares
    // where only one is mapped. Read-only below, so that an owner cannot open it.
    let own = step("own files", memory(1 << 20, 0))?;
    step("own files", attach_at(&own, root, Path::new(OWN)))?;
    for (mount, bind) in &made.binds {
        let target = match bind.target.strip_prefix(OWN) {
            Ok(below) => about(&bind.target, mount_point(&own, below, is_folder(mount)))?,
            Err(_) => about(&bind.target, inside(root, &bind.target))?,
        };
        about(&bind.target, move_onto(mount, &target))?;
        about(&bind.target, make_read_only(mount))?;
    }
    step("own files", make_read_only(&own))?;
    step("root", rustix::process::fchdir(root))
}

fn attach_devices(root: &OwnedFd, devices: &[OwnedFd]) -> Result<(), Refusal> {
    let dev = step("devices", memory(1 << 20, 0o755))?;
    step("devices", attach_at(&dev, root, Path::new("/dev")))?;
    for (mount, name) in devices.iter().zip(DEVICES) {
        let target = step("devices", mount_point(&dev, Path::new(name), false))?;
        step("devices", move_onto(mount, &target))?;
    }
    for (name, to) in DEV_LINKS {
        step("devices", symlinkat(to, &dev, name))?;
    }
    let shared = step("devices", memory(64 << 20, 0o1777))?;
    let target = step("devices", mount_point(&dev, Path::new("shm"), true))?;
    step("devices", move_onto(&shared, &target))?;
    step("devices", make_read_only(&dev))
}

/// Makes the folder that the helper stands in its root, and lets go of the host's files.
pub(super) fn enter() -> Result<(), Refusal> {
    step("root", rustix::process::pivot_root(".", "."))?;
    step("root", unmount(".", UnmountFlags::DETACH))?;
    step("root", rustix::process::chdir("/"))
}

fn attach_at(mount: &OwnedFd, root: &OwnedFd, target: &Path) -> rustix::io::Result<()> {
    move_onto(mount, &inside(root, target)?)
}

fn move_onto(mount: &OwnedFd, target: &OwnedFd) -> rustix::io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    move_mount(mount, "", target, "", flags)
}

/// What is at `target` inside the root, with no symbolic link on the way.
fn inside(root: &OwnedFd, target: &Path) -> rustix::io::Result<OwnedFd> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    openat2(root, target, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve)
}

/// Makes a folder or an empty file to mount on, with its parents.
fn mount_point(top: &OwnedFd, path: &Path, folder: bool) -> rustix::io::Result<OwnedFd> {
    let mut names = Vec::new();
    for component in path.components() {
        let Component::Normal(name) = component else { return Err(Errno::INVAL) };
        names.push(name);
    }
    let (last, parents) = names.split_last().ok_or(Errno::INVAL)?;
    let mut at =
        top.as_fd().try_clone_to_owned().map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::MFILE))?;
    for name in parents {
        at = make_folder(&at, name)?;
    }
    if folder {
        return make_folder(&at, last);
    }
    let create = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::WRONLY;
    openat(&at, *last, create, Mode::from_raw_mode(0o644))
}

fn make_folder(at: &OwnedFd, name: &OsStr) -> rustix::io::Result<OwnedFd> {
    match mkdirat(at, name, Mode::from_raw_mode(0o755)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error),
    }
    openat(at, name, OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

fn is_folder(mount: &OwnedFd) -> bool {
    fstat(mount).is_ok_and(|about| rustix::fs::FileType::from_raw_mode(about.st_mode).is_dir())
}

/// Makes an attached mount read-only. Flags that the host set must stay: they are locked in a user namespace.
fn make_read_only(mount: &OwnedFd) -> rustix::io::Result<()> {
    let kept = [
        (StatVfsMountFlags::NOEXEC, MountFlags::NOEXEC),
        (StatVfsMountFlags::NOATIME, MountFlags::NOATIME),
        (StatVfsMountFlags::NODIRATIME, MountFlags::NODIRATIME),
        (StatVfsMountFlags::RELATIME, MountFlags::RELATIME),
    ];
    let found = fstatvfs(mount)?.f_flag;
    let mut flags = MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
    for (seen, keep) in kept {
        if found.contains(seen) {
            flags |= keep;
        }
    }
    // The old call takes a path only; this one names the mount itself, whatever is on the way to it.
    mount_remount(format!("/proc/self/fd/{}", mount.as_raw_fd()), flags, c"")
}

/// Names the path in a refusal.
fn about<T>(path: &Path, result: rustix::io::Result<T>) -> Result<T, Refusal> {
    result.map_err(|error| {
        let why = match error {
            Errno::NOENT => {
                "it does not exist; unpacked images have the usual mount points, other targets must be in the image"
            }
            Errno::LOOP => "a symbolic link is on the way to it, which is never followed",
            Errno::ACCESS => "the pool's user may not reach it",
            _ => "the kernel refused it",
        };
        Refusal { step: "mounts".to_owned(), cause: format!("`{}` cannot be mounted ({error}): {why}", path.display()) }
    })
}
