//! What the first process gives up before it becomes the guest: limits, capabilities, files, system calls.

use std::collections::BTreeMap;
use std::io;

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, PathBeneath, PathFd, Ruleset,
    RulesetAttr as _, RulesetCreatedAttr as _, Scope,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set, remove_capability_from_bounding_set, set_capabilities,
    set_no_new_privs,
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch, apply_filter, sock_filter,
};

use super::mounts::scratch_of;
use super::step;
use super::wire::{ProcessLimits, Spec};
use crate::Refusal;

/// What the guest needs to start the app under another user, to stop it, and to read what it left. All of it counts inside
/// the user namespace only.
const KEPT: CapabilitySet = CapabilitySet::SETUID
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::CHOWN)
    .union(CapabilitySet::DAC_OVERRIDE);

/// Limits are only lowered: raising them needs a privilege that containers lack.
pub(super) fn limit(limits: &ProcessLimits) -> rustix::io::Result<()> {
    let wanted = [
        (Resource::Core, Some(0)),
        (Resource::Nofile, Some(limits.open_files)),
        (Resource::Fsize, Some(limits.file_bytes)),
        (Resource::Nproc, Some(limits.processes)),
        (Resource::As, limits.address_space_bytes),
        (Resource::Cpu, limits.cpu_seconds),
    ];
    for (resource, value) in wanted {
        let Some(value) = value else { continue };
        let value = Some(getrlimit(resource).maximum.map_or(value, |hard| hard.min(value)));
        setrlimit(resource, Rlimit { current: value, maximum: value })?;
    }
    Ok(())
}

/// Keeps [`KEPT`] and nothing else, for this process and all it starts, and forbids gaining anything by `execve`.
pub(super) fn drop_capabilities() -> rustix::io::Result<()> {
    clear_ambient_capability_set()?;
    for bit in 0..64 {
        let capability = CapabilitySet::from_bits_retain(1 << bit);
        if KEPT.contains(capability) {
            continue;
        }
        match remove_capability_from_bounding_set(capability) {
            Ok(()) => {}
            // The kernel knows fewer capabilities than there are bits.
            Err(rustix::io::Errno::INVAL) => break,
            Err(error) => return Err(error),
        }
    }
    set_capabilities(None, CapabilitySets { effective: KEPT, permitted: KEPT, inheritable: CapabilitySet::empty() })?;
    set_no_new_privs(true)
}

/// Landlock: read and execute everywhere, write in memory file systems only, no TCP, no signals and abstract sockets beyond.
/// Enforces as much as the kernel knows; [`crate::probe`] says how much that is.
pub(super) fn restrict_files(spec: &Spec) -> Result<(), Refusal> {
    let abi = ABI::V6;
    let all = AccessFs::from_all(abi);
    let restrict = || -> Result<(), Box<dyn std::error::Error>> {
        let mut rules = Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(all)?
            .handle_access(AccessNet::from_all(abi))?
            .scope(Scope::from_all(abi))?
            .create()?
            .add_rule(PathBeneath::new(PathFd::new("/")?, AccessFs::from_read(abi)))?;
        let mut writable: Vec<_> = scratch_of(spec).into_iter().map(|scratch| (scratch.target, all)).collect();
        writable.push(("/dev".into(), all));
        // Files about oneself, such as the core dump filter; the kernel keeps the rest from being written.
        writable.push(("/proc".into(), AccessFs::WriteFile | AccessFs::Truncate));
        for (path, access) in writable {
            rules = rules.add_rule(PathBeneath::new(PathFd::new(path)?, access))?;
        }
        rules.restrict_self()?;
        Ok(())
    };
    step("landlock", restrict().map_err(|error| io::Error::other(error.to_string())))
}

/// Two filters: one answers EPERM, the other ENOSYS for `clone3`, whose flags a filter cannot see (the C library then uses
/// `clone`), and for the x32 calls.
pub(super) fn restrict_syscalls() -> Result<(), Refusal> {
    let apply = || -> Result<(), Box<dyn std::error::Error>> {
        apply_filter(&unknown_calls()?)?;
        apply_filter(&forbidden_calls()?)?;
        Ok(())
    };
    step("seccomp", apply().map_err(|error| io::Error::other(error.to_string())))
}

type FilterResult = Result<BpfProgram, Box<dyn std::error::Error>>;

fn unknown_calls() -> FilterResult {
    let program = filter(BTreeMap::from([(libc::SYS_clone3, vec![])]), libc::ENOSYS)?;
    if !cfg!(target_arch = "x86_64") {
        return Ok(program);
    }
    // The same calls under x32 numbers would pass by every rule: load the number; from 0x4000_0000 on answer ENOSYS.
    let instruction = |code, jf, k| sock_filter { code, jt: 0, jf, k };
    let errno = 0x0005_0000 | u32::try_from(libc::ENOSYS)?;
    let mut guarded = vec![instruction(0x20, 0, 0), instruction(0x35, 1, 0x4000_0000), instruction(0x06, 0, errno)];
    guarded.extend(program);
    Ok(guarded)
}

fn forbidden_calls() -> FilterResult {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = FORBIDDEN.iter().map(|call| (*call, vec![])).collect();
    // New namespaces by `clone`.
    let namespaces = [
        libc::CLONE_NEWNS,
        libc::CLONE_NEWCGROUP,
        libc::CLONE_NEWUTS,
        libc::CLONE_NEWIPC,
        libc::CLONE_NEWUSER,
        libc::CLONE_NEWPID,
        libc::CLONE_NEWNET,
    ];
    let mut by_clone = Vec::new();
    for flag in namespaces {
        let flag = u64::from(flag.unsigned_abs());
        by_clone.push(rule(&[(0, SeccompCmpOp::MaskedEq(flag), flag)])?);
    }
    rules.insert(libc::SYS_clone, by_clone);
    // Sockets of this machine only; those reach nothing but what is bound into the sandbox.
    let local = u64::from(libc::AF_UNIX.unsigned_abs());
    rules.insert(libc::SYS_socket, vec![rule(&[(0, SeccompCmpOp::Ne, local)])?]);
    // Asking for the personality and setting the usual one is harmless.
    let asking = u64::from(u32::MAX);
    rules.insert(libc::SYS_personality, vec![rule(&[(0, SeccompCmpOp::Ne, 0), (0, SeccompCmpOp::Ne, asking)])?]);
    filter(rules, libc::EPERM)
}

fn rule(conditions: &[(u8, SeccompCmpOp, u64)]) -> Result<SeccompRule, seccompiler::BackendError> {
    let conditions = conditions
        .iter()
        .map(|(argument, operator, value)| {
            SeccompCondition::new(*argument, SeccompCmpArgLen::Dword, operator.clone(), *value)
        })
        .collect::<Result<_, _>>()?;
    SeccompRule::new(conditions)
}

/// Allows all but `rules`. A call under another architecture's numbers kills the process.
fn filter(rules: BTreeMap<i64, Vec<SeccompRule>>, errno: i32) -> FilterResult {
    let arch: TargetArch = std::env::consts::ARCH.try_into()?;
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(errno.unsigned_abs()), arch)?;
    Ok(filter.try_into()?)
}

/// Calls that no app needs: into other processes, other namespaces and mounts, the kernel's own doors.
const FORBIDDEN: &[i64] = &[
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_open_by_handle_at,
    libc::SYS_name_to_handle_at,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_reboot,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_acct,
    libc::SYS_syslog,
    libc::SYS_vhangup,
    libc::SYS_nfsservctl,
    libc::SYS_lookup_dcookie,
    libc::SYS_fanotify_init,
    libc::SYS_move_pages,
    libc::SYS_migrate_pages,
    libc::SYS_mbind,
    libc::SYS_set_mempolicy,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_uselib,
    #[cfg(target_arch = "x86_64")]
    libc::SYS__sysctl,
];

#[cfg(test)]
mod tests;
