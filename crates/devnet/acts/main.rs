//! A hostile app for the tests: does what its arguments say, one act after the other, and writes down how each went. An act is a verb, `=`
//! and what it is about. The same program runs outside of enclaves to show that the acts work there.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::net::{TcpStream, UdpSocket};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use rustix::mount::MountFlags;
use rustix::process::{Pid, Uid};
use rustix::thread::UnshareFlags;

/// Folders above one another that are searched.
const DEPTH: usize = 24;

fn main() -> ExitCode {
    #[expect(clippy::disallowed_methods, reason = "how apps are told where their results go")]
    let Some(out) = std::env::var_os("IEXEC_OUT").map(PathBuf::from) else { return ExitCode::FAILURE };
    let mut report = String::new();
    for act in std::env::args().skip(1) {
        let (verb, about) = act.split_once('=').unwrap_or((&act, ""));
        let line = match tell(verb, about) {
            Some(told) => told,
            None => match attempt(verb, about) {
                Ok(()) => format!("{act} DONE\n"),
                Err(error) => format!("{act} REFUSED {}\n", error.raw_os_error().unwrap_or(0)),
            },
        };
        report.push_str(&line);
    }
    match write_results(&out, &report) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// The report, and a computed file that claims another task, another digest, and a signature.
fn write_results(out: &Path, report: &str) -> io::Result<()> {
    let path = out.join("report.txt");
    fs::write(&path, report)?;
    let (task, digest, signature) = ("ee".repeat(32), "ff".repeat(32), "1b".repeat(65));
    let computed = format!(
        r#"{{"deterministic-output-path":"{}","task-id":"0x{task}","result-digest":"0x{digest}","enclave-signature":"0x{signature}"}}"#,
        path.display()
    );
    fs::write(out.join("computed.json"), computed)
}

/// What can be seen from here, line by line.
fn tell(verb: &str, about: &str) -> Option<String> {
    let mut told = String::new();
    match verb {
        "environment" => {
            for (name, _) in std::env::vars_os() {
                let _ = writeln!(told, "environment {}", name.display());
            }
        }
        "descriptors" => {
            for entry in fs::read_dir("/proc/self/fd").ok()?.flatten() {
                let target = fs::read_link(entry.path()).unwrap_or_default();
                // The folder that is being read has no target any more.
                if !target.ends_with("fd") {
                    let _ = writeln!(told, "descriptor {}", target.display());
                }
            }
        }
        "processes" => {
            for process in processes() {
                let command = fs::read(process.join("cmdline")).unwrap_or_default();
                let command = String::from_utf8_lossy(&command).replace('\0', " ");
                let _ = writeln!(told, "process {command}");
            }
        }
        "user" => {
            let (user, group) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
            let _ = writeln!(told, "user {user}:{group}");
        }
        "wait" => std::thread::sleep(Duration::from_secs(about.parse().ok()?)),
        _ => return None,
    }
    Some(told)
}

fn attempt(verb: &str, about: &str) -> io::Result<()> {
    match verb {
        "open" => File::open(about).map(drop),
        "list" => fs::read_dir(about).map(drop),
        "write" => fs::write(about, "was here"),
        "plant" => {
            ["/iexec_out", "/tmp"].iter().try_for_each(|folder| fs::write(Path::new(folder).join(about), "secret"))
        }
        "find" => find(about),
        "connect-tcp" => TcpStream::connect(about).map(drop),
        "send-udp" => UdpSocket::bind("127.0.0.1:0")?.send_to(b"hello", about).map(drop),
        "connect-unix" => UnixStream::connect(about).map(drop),
        "connect-abstract" => UnixStream::connect_addr(&SocketAddr::from_abstract_name(about)?).map(drop),
        "signal" => Ok(rustix::process::test_kill_process(pid(about)?)?),
        "trace" => Ok(nix::sys::ptrace::seize(nix_pid(about)?, nix::sys::ptrace::Options::empty())?),
        "read-memory" => read_memory(about),
        "mount" => Ok(rustix::mount::mount("none", about, "tmpfs", MountFlags::empty(), c"")?),
        #[expect(deprecated, reason = "the files of the process are not unshared")]
        "unshare" => Ok(rustix::thread::unshare(UnshareFlags::NEWUSER)?),
        "open-up" => fs::set_permissions(about, fs::Permissions::from_mode(0o777)),
        "become-root" => Ok(rustix::thread::set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT)?),
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

fn pid(text: &str) -> io::Result<Pid> {
    text.parse().ok().and_then(Pid::from_raw).ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

fn nix_pid(text: &str) -> io::Result<nix::unistd::Pid> {
    Ok(nix::unistd::Pid::from_raw(pid(text)?.as_raw_nonzero().get()))
}

/// Any 16 bytes of the process that it may read itself. Its map is forbidden to strangers too; then those at a place where there may be some.
fn read_memory(process: &str) -> io::Result<()> {
    let maps = fs::read_to_string(format!("/proc/{process}/maps")).unwrap_or_default();
    let start = maps.split('-').next().and_then(|start| usize::from_str_radix(start, 16).ok()).unwrap_or(0x40_0000);
    let mut bytes = [0; 16];
    let remote = [RemoteIoVec { base: start, len: bytes.len() }];
    process_vm_readv(nix_pid(process)?, &mut [io::IoSliceMut::new(&mut bytes)], &remote)?;
    Ok(())
}

/// Folders of the processes that are seen from here.
fn processes() -> Vec<PathBuf> {
    let is_process =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().parse::<u32>().is_ok());
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(is_process).collect()
}

/// Looks for a file of this name everywhere, also where other processes are.
fn find(name: &str) -> io::Result<()> {
    let mut folders: Vec<(PathBuf, usize)> = vec![("/".into(), 0)];
    for process in processes() {
        folders.extend([(process.join("root"), 0), (process.join("cwd"), 0)]);
    }
    while let Some((folder, depth)) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            if entry.file_name() == name {
                return Ok(());
            }
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_folder && depth < DEPTH && !["/proc", "/sys"].iter().any(|skipped| entry.path() == Path::new(skipped))
            {
                folders.push((entry.path(), depth + 1));
            }
        }
    }
    Err(io::Error::from_raw_os_error(rustix::io::Errno::NOENT.raw_os_error()))
}
