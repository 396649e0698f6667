//! What this machine can run, why not, and the command that mends it: the facts behind `strongroom-pool doctor`.
//!
//! Probing changes nothing on the machine, but for a control group that is made and removed, and one process that unshares.

use std::fs;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

use crate::native::{Native, NativeSettings};
use crate::{Tdx, native};

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at, in a few words.
    pub what: &'static str,
    /// Whether it can be used.
    pub ok: bool,
    /// Whether the chosen back end cannot run without it.
    pub needed: bool,
    /// What was found.
    pub why: String,
    /// What mends it, where a command can.
    pub remedy: Option<String>,
}

/// What is to run enclaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// The sandbox of our own.
    #[default]
    Native,
    /// Docker or Podman.
    Container,
    /// Confidential machines.
    Tdx,
}

/// Where things are on this machine. The default names the usual places.
#[derive(Clone, Debug)]
pub struct Places {
    /// What is needed is what this one needs.
    pub backend: Backend,
    /// Settings of the native sandbox.
    pub native: NativeSettings,
    /// Sockets on which Docker or Podman may answer.
    pub container_sockets: Vec<std::path::PathBuf>,
    /// The launcher of confidential machines, if one is configured.
    pub tdx: Option<Tdx>,
}

impl Default for Places {
    fn default() -> Self {
        Self {
            backend: Backend::default(),
            native: NativeSettings::default(),
            container_sockets: ["/var/run/docker.sock", "/run/podman/podman.sock"].map(Into::into).to_vec(),
            tdx: None,
        }
    }
}

/// Looks at everything. Blocks for some milliseconds.
#[must_use]
pub fn probe(places: &Places) -> Vec<Finding> {
    let of = |backend, mut finding: Finding| {
        finding.needed &= backend == places.backend;
        finding
    };
    vec![
        of(Backend::Native, namespaces(&places.native)),
        of(Backend::Native, seccomp()),
        of(Backend::Native, landlock()),
        of(Backend::Native, cgroups(&places.native)),
        device(
            "SGX enclave device",
            &["/dev/sgx_enclave", "/dev/sgx/enclave"],
            "enable SGX in the firmware; Linux 5.11 or newer has the driver",
        ),
        device(
            "SGX provisioning device",
            &["/dev/sgx_provision", "/dev/sgx/provision"],
            "add the pool's user to the group: `usermod -aG sgx_prv USER`",
        ),
        tee_device(),
        of(Backend::Container, container(&places.container_sockets)),
        of(Backend::Tdx, tdx(places.tdx.as_ref())),
    ]
}

/// A device of a real trusted platform on this machine, if there is one. The simulator must then not take its place.
#[must_use]
pub fn real_tee_device() -> Option<&'static Path> {
    ["/dev/sgx_enclave", "/dev/sgx/enclave", "/dev/tdx_guest", "/dev/tdx-guest", "/dev/sev-guest", "/dev/nsm"]
        .into_iter()
        .map(Path::new)
        .find(|path| path.exists())
}

fn namespaces(settings: &NativeSettings) -> Finding {
    let what = "user namespaces";
    match native::try_namespaces(&settings.helper) {
        Ok(()) => Finding {
            what,
            ok: true,
            needed: true,
            why: "a process could unshare all of them".to_owned(),
            remedy: None,
        },
        Err(error) => {
            let number = |path: &str| fs::read_to_string(path).ok().and_then(|text| text.trim().parse::<u64>().ok());
            let remedy = if number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == Some(1) {
                "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
            } else if number("/proc/sys/kernel/unprivileged_userns_clone") == Some(0) {
                "sysctl -w kernel.unprivileged_userns_clone=1"
            } else {
                "sysctl -w user.max_user_namespaces=16384"
            };
            let why = format!(
                "a process could not unshare them: {error}; inside a container they may be forbidden altogether"
            );
            Finding { what, ok: false, needed: true, why, remedy: Some(remedy.to_owned()) }
        }
    }
}

fn seccomp() -> Finding {
    let known = fs::read_to_string("/proc/sys/kernel/seccomp/actions_avail").unwrap_or_default();
    let ok = known.split_whitespace().any(|action| action == "errno");
    let why = if ok {
        "the kernel filters system calls"
    } else {
        "the kernel has no filters of system calls (CONFIG_SECCOMP_FILTER)"
    };
    Finding { what: "seccomp", ok, needed: true, why: why.to_owned(), remedy: None }
}

fn landlock() -> Finding {
    let what = "landlock";
    let abi = landlock_abi();
    let (ok, why) = match abi {
        0 => (false, "the kernel has none, or it is not switched on; file rules then rest on mounts alone".to_owned()),
        1..6 => {
            (true, format!("ABI {abi}; signals and abstract sockets are limited from 6 on, namespaces do it as well"))
        }
        _ => (true, format!("ABI {abi}, all rules are enforced")),
    };
    let remedy = (!ok).then(|| "boot with lsm=landlock,… in the kernel's command line; Linux 5.13 or newer".to_owned());
    Finding { what, ok, needed: false, why, remedy }
}

/// The newest ABI that the kernel knows, 0 for none.
fn landlock_abi() -> i32 {
    use landlock::{
        ABI, Access as _, AccessFs, AccessNet, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _, Scope,
    };
    let knows = |abi: ABI| {
        let rules =
            Ruleset::default().set_compatibility(CompatLevel::HardRequirement).handle_access(AccessFs::from_all(abi));
        let rules = match AccessNet::from_all(abi) {
            none if none.is_empty() => rules,
            some => rules.and_then(|rules| rules.handle_access(some)),
        };
        let rules = match Scope::from_all(abi) {
            none if none.is_empty() => rules,
            some => rules.and_then(|rules| rules.scope(some)),
        };
        rules.and_then(Ruleset::create).is_ok()
    };
    [(6, ABI::V6), (5, ABI::V5), (4, ABI::V4), (3, ABI::V3), (2, ABI::V2), (1, ABI::V1)]
        .into_iter()
        .find_map(|(number, abi)| knows(abi).then_some(number))
        .unwrap_or(0)
}

fn cgroups(settings: &NativeSettings) -> Finding {
    let hierarchy = Native::hierarchy(&settings.cgroups);
    let missing: Vec<_> =
        hierarchy.missing.iter().map(|(controller, why)| format!("{} ({why})", controller.name())).collect();
    let ok = missing.is_empty();
    let why = if ok {
        format!("{}, all limits are enforced", hierarchy.flavour())
    } else {
        format!("{}; not enforced for a whole task: {}", hierarchy.flavour(), missing.join(", "))
    };
    let remedy = (!ok).then(|| "run the pool as a systemd service with Delegate=yes, or as root".to_owned());
    Finding { what: "control groups", ok, needed: false, why, remedy }
}

fn device(what: &'static str, paths: &[&str], remedy: &str) -> Finding {
    let found = paths.iter().find(|path| Path::new(path).exists());
    let (ok, why) = match found {
        None => (false, format!("there is no {}", paths[0])),
        Some(path) => match rustix::fs::access(*path, rustix::fs::Access::READ_OK | rustix::fs::Access::WRITE_OK) {
            Ok(()) => (true, format!("{path} can be opened")),
            Err(error) => (false, format!("{path} cannot be opened: {error}")),
        },
    };
    Finding { what, ok, needed: false, why, remedy: (!ok).then(|| remedy.to_owned()) }
}

fn tee_device() -> Finding {
    let (why, remedy) = match real_tee_device() {
        Some(path) => (
            format!("{} is a real one: the simulator refuses to take its place", path.display()),
            Some("configure this pool for the platform it has".to_owned()),
        ),
        None => ("none: tasks run simulated, for development only".to_owned(), None),
    };
    Finding { what: "trusted platform", ok: real_tee_device().is_some(), needed: false, why, remedy }
}

fn container(sockets: &[std::path::PathBuf]) -> Finding {
    let what = "containers";
    let socket = sockets.iter().find(|path| fs::metadata(path).is_ok_and(|about| about.file_type().is_socket()));
    let (ok, why) = match socket {
        None => (false, "neither Docker nor Podman has a socket here".to_owned()),
        Some(path) => match std::os::unix::net::UnixStream::connect(path) {
            Ok(_) => (true, format!("{} answers", path.display())),
            Err(error) => (false, format!("{} does not answer: {error}", path.display())),
        },
    };
    let remedy = (!ok).then(|| "systemctl enable --now podman.socket".to_owned());
    Finding { what, ok, needed: true, why, remedy }
}

fn tdx(tdx: Option<&Tdx>) -> Finding {
    let what = "launcher of confidential machines";
    let (ok, why) = match tdx.and_then(Tdx::program) {
        None => (false, "none is configured".to_owned()),
        Some(program) => match rustix::fs::access(program, rustix::fs::Access::EXEC_OK) {
            Ok(()) => (true, format!("`{program}` can be started")),
            Err(error) => (false, format!("`{program}` cannot be started: {error}")),
        },
    };
    let remedy = (!ok).then(|| "name the launcher's program in runtime.tdx.launcher".to_owned());
    Finding { what, ok, needed: true, why, remedy }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_without_anything_says_what_is_missing_and_how_to_mend_it() {
        let folder = tempfile::tempdir().unwrap();
        let places = Places {
            backend: Backend::Native,
            native: NativeSettings {
                cgroups: folder.path().to_owned(),
                helper: "/not/there".into(),
                ..NativeSettings::default()
            },
            container_sockets: vec![folder.path().join("docker.sock")],
            tdx: Some(Tdx::new(crate::TdxSettings {
                command: vec!["/not/there".to_owned()],
                folder: folder.path().to_owned(),
                grace: std::time::Duration::ZERO,
            })),
        };
        let findings = probe(&places);
        for what in ["user namespaces", "control groups", "containers", "launcher of confidential machines"] {
            let finding = findings.iter().find(|finding| finding.what == what).unwrap();
            assert!(!finding.ok, "{finding:?}");
            assert!(!finding.why.is_empty());
        }
        let groups = findings.iter().find(|finding| finding.what == "control groups").unwrap();
        assert!(groups.remedy.as_ref().unwrap().contains("Delegate"), "{groups:?}");
        assert!(groups.why.starts_with("none"), "{groups:?}");
    }
}
