//! What a hostile program can do from inside the native sandbox: nothing. Each act is an ignored test of this program, which runs
//! outside, where it must succeed, and inside, where it must fail for the right reason.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test that cannot go on stops; acts report by printing")]

#[path = "isolation/ordinary_user.rs"]
mod ordinary_user;
mod support;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::io::Errno;
use strongroom_runtime::{Exit, Launch, Reason, Runtime};
use support::{GUEST, HELPER, bind, image, launch, name, native};

/// The value after `--exact ACT` … in the environment variable `TEST_ARGUMENT`.
fn argument() -> String {
    #[expect(clippy::disallowed_methods, reason = "how a test talks to its other half")]
    std::env::var("TEST_ARGUMENT").unwrap()
}

/// Says how an act went, in one line that the test looks for.
fn report<T>(result: Result<T, impl Into<io::Error>>) {
    match result.map_err(Into::into) {
        Ok(_) => println!("DONE"),
        Err(error) => println!("REFUSED {}", error.raw_os_error().unwrap_or(0)),
    }
}

/// A launch of an act of this very program.
fn act_launch(act: &str, argument: &str) -> Launch {
    let mut launch = launch([GUEST, act, "--exact", "--ignored", "--nocapture"]);
    launch.environment.push(("TEST_ARGUMENT".to_owned(), argument.to_owned()));
    launch.binds.push(bind(std::env::current_exe().unwrap(), GUEST));
    launch
}

async fn inside(act: &str, argument: &str) -> String {
    let exit = run(&act_launch(act, argument)).await;
    assert_eq!(exit.reason, Reason::Exited(0), "{act}: {} {}", exit.stdout.escaped(), exit.stderr.escaped());
    exit.stdout.escaped()
}

async fn run(launch: &Launch) -> Exit {
    Runtime::Native(native()).run(launch).await
}

fn outside(act: &str, argument: &str) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args([act, "--exact", "--ignored", "--nocapture"])
        .env("TEST_ARGUMENT", argument)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// The act succeeds outside and fails inside with one of `errors`.
async fn only_outside(act: &str, outside_argument: &str, inside_argument: &str, errors: &[Errno]) {
    let control = outside(act, outside_argument);
    assert!(control.contains("DONE\n"), "{act} must succeed outside: {control}");
    refused_inside(act, inside_argument, errors).await;
}

async fn refused_inside(act: &str, argument: &str, errors: &[Errno]) {
    let found = inside(act, argument).await;
    let refused = errors.iter().any(|error| found.contains(&format!("REFUSED {}\n", error.raw_os_error())));
    assert!(refused, "{act} must be refused inside with one of {errors:?}: {found}");
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
#[ignore = "an act"]
fn act_read_file() {
    report(fs::read(argument()));
}

#[tokio::test]
async fn files_of_the_host_are_not_there() {
    let secret = tempfile::NamedTempFile::new().unwrap();
    let path = secret.path().to_str().unwrap();
    only_outside("act_read_file", path, path, &[Errno::NOENT]).await;
    let home = env!("CARGO_MANIFEST_DIR").to_owned() + "/Cargo.toml";
    only_outside("act_read_file", &home, &home, &[Errno::NOENT]).await;
    let through_init = format!("/proc/1/root{home}");
    refused_inside("act_read_file", &through_init, &[Errno::NOENT, Errno::ACCESS]).await;
}

#[test]
#[ignore = "an act"]
fn act_write_file() {
    report(fs::write(argument(), "was here"));
}

#[tokio::test]
async fn the_root_and_what_is_bound_into_it_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    for target in ["/written", "/etc/written", "/bin/sh", "/.strongroom/guest", "/.strongroom/new", "/dev/new"] {
        let errors = [Errno::ROFS, Errno::ACCESS, Errno::TXTBSY];
        only_outside("act_write_file", file.to_str().unwrap(), target, &errors).await;
    }
    for target in ["/proc/sys/kernel/core_pattern", "/proc/sys/vm/drop_caches"] {
        refused_inside("act_write_file", target, &[Errno::ACCESS, Errno::ROFS, Errno::PERM]).await;
    }
    for target in ["/tmp/x", "/run/x", "/iexec_out/x", "/dev/shm/x", "/dev/null", "/proc/self/coredump_filter"] {
        let text = inside("act_write_file", target).await;
        // The filter wants a number; that it complains about the content shows that it could be opened.
        assert!(text.contains("DONE\n") || text.contains("REFUSED 22\n"), "{target}: {text}");
    }
}

#[test]
#[ignore = "an act"]
fn act_list_processes() {
    let processes = fs::read_dir("/proc")
        .unwrap()
        .filter(|entry| entry.as_ref().is_ok_and(|entry| entry.file_name().to_string_lossy().parse::<u32>().is_ok()));
    println!("PROCESSES {}", processes.count());
}

#[test]
#[ignore = "an act"]
fn act_signal() {
    let pid = rustix::process::Pid::from_raw(argument().parse().unwrap()).unwrap();
    report(rustix::process::test_kill_process(pid));
}

#[tokio::test]
async fn processes_of_the_host_are_neither_seen_nor_signalled() {
    assert!(inside("act_list_processes", "").await.contains("PROCESSES 1\n"));
    assert!(!outside("act_list_processes", "").contains("PROCESSES 1\n"));
    let supervisor = std::process::id().to_string();
    only_outside("act_signal", &supervisor, &supervisor, &[Errno::SRCH]).await;
}

#[test]
#[ignore = "an act"]
fn act_connect_tcp() {
    report(TcpStream::connect(argument()));
}

#[test]
#[ignore = "an act"]
fn act_connect_unix() {
    report(UnixStream::connect(argument()));
}

#[test]
#[ignore = "an act"]
fn act_connect_abstract() {
    report(SocketAddr::from_abstract_name(argument()).and_then(|address| UnixStream::connect_addr(&address)));
}

#[tokio::test]
async fn there_is_no_network_and_no_foreign_socket() {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = tcp.local_addr().unwrap().to_string();
    only_outside("act_connect_tcp", &address, &address, &[Errno::PERM]).await;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.sock");
    let _other = UnixListener::bind(&path).unwrap();
    let path = path.to_str().unwrap();
    only_outside("act_connect_unix", path, path, &[Errno::NOENT]).await;

    let hidden = name();
    let _abstract = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&hidden).unwrap()).unwrap();
    only_outside("act_connect_abstract", &hidden, &hidden, &[Errno::CONNREFUSED, Errno::PERM]).await;
}

#[test]
#[ignore = "an act"]
fn act_talk() {
    let mut socket = UnixStream::connect(argument()).unwrap();
    socket.write_all(b"hello from inside").unwrap();
    println!("DONE");
}

#[tokio::test]
async fn a_socket_that_is_bound_into_the_sandbox_can_be_used() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("evidence.sock");
    let listener = UnixListener::bind(&path).unwrap();
    make_reachable(&path);
    let mut launch = act_launch("act_talk", "/.strongroom/relay/evidence.sock");
    launch.binds.push(bind(folder.path(), "/.strongroom/relay"));
    make_reachable(folder.path());
    let exit = run(&launch).await;
    assert_eq!(exit.reason, Reason::Exited(0), "{} {}", exit.stdout.escaped(), exit.stderr.escaped());
    let mut heard = String::new();
    listener.accept().unwrap().0.read_to_string(&mut heard).unwrap();
    assert_eq!(heard, "hello from inside");
}

/// What a supervisor does with a socket for a sandbox whose users are not its own.
fn make_reachable(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
}

#[test]
#[ignore = "an act"]
fn act_mount() {
    report(rustix::mount::mount("none", argument(), "tmpfs", rustix::mount::MountFlags::empty(), c""));
}

#[test]
#[ignore = "an act"]
fn act_unshare() {
    #[expect(deprecated, reason = "the files of the process are not unshared")]
    report(rustix::thread::unshare(rustix::thread::UnshareFlags::NEWUTS));
}

#[test]
#[ignore = "an act"]
fn act_ptrace() {
    let mut child = Command::new("/bin/sleep").arg("100").stdout(Stdio::null()).spawn().unwrap();
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    report(nix::sys::ptrace::attach(pid));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
#[ignore = "an act"]
fn act_read_memory() {
    let mut child = Command::new("/bin/sleep").arg("100").stdout(Stdio::null()).spawn().unwrap();
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let start = usize::from_str_radix(maps.split('-').next().unwrap(), 16).unwrap();
    let mut bytes = [0; 16];
    let remote = [nix::sys::uio::RemoteIoVec { base: start, len: bytes.len() }];
    report(nix::sys::uio::process_vm_readv(pid, &mut [io::IoSliceMut::new(&mut bytes)], &remote));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
#[ignore = "an act"]
fn act_keyring() {
    use linux_keyutils::{KeyError, KeyRing, KeyRingIdentifier};
    let ring = KeyRing::from_special_id(KeyRingIdentifier::Process, true);
    report(ring.map_err(|error| match error {
        KeyError::PermissionDenied => io::Error::from(Errno::PERM),
        KeyError::AccessDenied => io::Error::from(Errno::ACCESS),
        other => io::Error::other(format!("{other:?}")),
    }));
}

#[test]
#[ignore = "an act"]
fn act_make_device() {
    let null = rustix::fs::makedev(1, 3);
    let mode = rustix::fs::Mode::from_raw_mode(0o666);
    report(rustix::fs::mknodat(rustix::fs::CWD, argument(), rustix::fs::FileType::CharacterDevice, mode, null));
}

#[tokio::test]
async fn the_kernels_side_doors_are_closed() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().to_str().unwrap();
    let device = folder.path().join("device");
    if is_root() {
        only_outside("act_mount", target, "/tmp", &[Errno::PERM]).await;
        rustix::mount::unmount(target, rustix::mount::UnmountFlags::DETACH).unwrap();
        only_outside("act_unshare", "", "", &[Errno::PERM]).await;
        only_outside("act_make_device", device.to_str().unwrap(), "/tmp/null", &[Errno::PERM]).await;
    } else {
        eprintln!("not root: what only root may do is tried inside only");
        refused_inside("act_mount", "/tmp", &[Errno::PERM]).await;
        refused_inside("act_unshare", "", &[Errno::PERM]).await;
        refused_inside("act_make_device", "/tmp/null", &[Errno::PERM]).await;
    }
    only_outside("act_ptrace", "", "", &[Errno::PERM]).await;
    only_outside("act_read_memory", "", "", &[Errno::PERM]).await;
    only_outside("act_keyring", "", "", &[Errno::PERM]).await;
}

#[test]
#[ignore = "an act"]
fn act_list_descriptors() {
    let open: BTreeSet<_> = fs::read_dir("/proc/self/fd")
        .unwrap()
        .filter_map(|entry| {
            let target = fs::read_link(entry.unwrap().path()).ok()?;
            // The folder that is being read.
            (!target.ends_with("fd")).then(|| target.display().to_string())
        })
        .collect();
    println!("OPEN {open:?}");
}

#[tokio::test]
async fn no_descriptor_is_inherited_but_the_three_standard_ones() {
    let leaked = tempfile::NamedTempFile::new().unwrap();
    // A careless library would do this: a descriptor that every child inherits.
    rustix::io::fcntl_setfd(leaked.as_file(), rustix::io::FdFlags::empty()).unwrap();
    let name = leaked.path().file_name().unwrap().to_str().unwrap().to_owned();
    assert!(outside("act_list_descriptors", "").contains(&name), "the leak must work");
    let found = inside("act_list_descriptors", "").await;
    let open = found.lines().find(|line| line.starts_with("OPEN")).unwrap();
    assert!(!open.contains(&name), "{open}");
    let targets: Vec<_> = open.split('"').skip(1).step_by(2).collect();
    assert!(targets.iter().all(|target| *target == "/dev/null" || target.starts_with("pipe:")), "{open}");
    assert!(targets.len() <= 3, "{open}");
}

#[test]
#[ignore = "an act"]
fn act_show_environment() {
    println!("ENVIRONMENT {:?}", fs::read_to_string("/proc/self/environ").unwrap());
}

#[tokio::test]
async fn the_environment_is_exactly_the_wanted_one() {
    let found = inside("act_show_environment", "x").await;
    assert!(found.contains(r#"ENVIRONMENT "PATH=/bin\0TEST_ARGUMENT=x\0""#), "{found}");
    assert!(outside("act_show_environment", "x").contains("CARGO"));
}

#[test]
#[ignore = "an act"]
fn act_show_status() {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    for name in ["Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapBnd", "CapAmb", "NoNewPrivs", "Seccomp"] {
        let line = status.lines().find(|line| line.starts_with(&format!("{name}:"))).unwrap();
        println!("{}", line.split_whitespace().collect::<Vec<_>>().join(" "));
    }
    let root = rustix::fs::statvfs("/").unwrap().f_flag;
    println!("nosuid {}", root.contains(rustix::fs::StatVfsMountFlags::NOSUID));
}

#[tokio::test]
async fn the_first_process_keeps_five_capabilities_and_can_gain_none() {
    let found = inside("act_show_status", "").await;
    // CHOWN, DAC_OVERRIDE, KILL, SETGID, SETUID.
    let kept = "00000000000000e3";
    for line in [
        "Uid: 0 0 0 0",
        "Gid: 0 0 0 0",
        "CapInh: 0000000000000000",
        &format!("CapPrm: {kept}"),
        &format!("CapBnd: {kept}"),
        "CapAmb: 0000000000000000",
        "NoNewPrivs: 1",
        "Seccomp: 2",
        "nosuid true",
    ] {
        assert!(found.contains(&format!("{line}\n")), "{line}: {found}");
    }
}

#[test]
#[ignore = "an act"]
fn act_as_the_app() {
    let user = rustix::process::Uid::from_raw(1000);
    rustix::thread::set_thread_res_uid(user, user, user).unwrap();
    let first = rustix::process::Pid::INIT;
    for result in [
        rustix::process::test_kill_process(first).map_err(io::Error::from),
        fs::read("/proc/1/environ").map(drop),
        fs::read("/proc/1/mem").map(drop),
        fs::read_dir("/.strongroom").map(drop),
        fs::write("/iexec_out/x", "x"),
        rustix::thread::set_thread_res_uid(rustix::process::Uid::ROOT, None, None).map_err(io::Error::from),
    ] {
        report(result);
    }
}

#[tokio::test]
async fn an_app_under_another_user_reaches_neither_the_guest_nor_its_files() {
    if !native().has_several_users() {
        eprintln!("not root: a sandbox has one user only");
        return;
    }
    // The first process is a shell here, so that the act is not process 1 itself.
    let mut launch = act_launch("act_as_the_app", "");
    let command = format!("{GUEST} act_as_the_app --exact --ignored --nocapture; exit $?");
    launch.argv = ["/bin/sh", "-c", &command].map(str::to_owned).to_vec();
    let exit = run(&launch).await;
    let found = exit.stdout.escaped();
    assert_eq!(exit.reason, Reason::Exited(0), "{found} {}", exit.stderr.escaped());
    assert!(!found.contains("DONE"), "{found}");
    assert_eq!(found.matches("REFUSED 1\n").count() + found.matches("REFUSED 13\n").count(), 6, "{found}");
}

#[test]
#[ignore = "an act"]
fn act_hold_a_socket_for_ever() {
    let mut socket = UnixStream::connect("/.strongroom/test.sock").unwrap();
    // A child in a session of its own holds on as well.
    let holding = Stdio::from(std::os::fd::OwnedFd::from(socket.try_clone().unwrap()));
    let status = Command::new("/bin/sh").args(["-c", "sleep 1000 <&0 &"]).stdin(holding).status().unwrap();
    assert!(status.success());
    socket.write_all(b"up").unwrap();
    loop {
        std::thread::park();
    }
}

/// The end of everything inside, seen from outside: nobody holds the socket any more.
fn await_end(listener: &UnixListener) -> impl FnOnce() + use<> {
    let mut socket = listener.accept().unwrap().0;
    let mut up = [0; 2];
    socket.read_exact(&mut up).unwrap();
    move || {
        let mut rest = Vec::new();
        socket.read_to_end(&mut rest).unwrap();
        assert!(rest.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_survives_a_supervisor_that_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.sock");
    let listener = UnixListener::bind(&path).unwrap();
    make_reachable(&path);
    let run = name();
    let mut supervisor = Command::new(HELPER)
        .arg(&run)
        .arg(image().root)
        .arg(std::env::current_exe().unwrap())
        .args([path.to_str().unwrap(), "act_hold_a_socket_for_ever"])
        .spawn()
        .unwrap();
    let ended = await_end(&listener);
    supervisor.kill().unwrap();
    supervisor.wait().unwrap();
    ended();
    remove_groups(&run);
}

/// A killed supervisor cannot remove its groups.
fn remove_groups(run: &str) {
    for folder in group_folders(run) {
        // The kernel lets go of them a moment after the last process ended.
        while folder.exists() && fs::remove_dir(&folder).is_err() {
            std::thread::yield_now();
        }
    }
}

/// Where the control groups of a run may be.
fn group_folders(run: &str) -> Vec<PathBuf> {
    let own = fs::read_to_string("/proc/self/cgroup").unwrap();
    let groups = own.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
    groups
        .flat_map(|(controller, path)| {
            let top = Path::new("/sys/fs/cgroup").join(controller);
            [top.join(path.trim_start_matches('/')), top].map(|folder| folder.join(format!("strongroom-{run}")))
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_survives_a_run_that_is_given_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.sock");
    let listener = UnixListener::bind(&path).unwrap();
    make_reachable(&path);
    let mut launch = act_launch("act_hold_a_socket_for_ever", "");
    launch.binds.push(bind(&path, "/.strongroom/test.sock"));
    let name = launch.name.clone();
    let running = tokio::spawn(async move { run(&launch).await });
    let ended = tokio::task::spawn_blocking(move || await_end(&listener)).await.unwrap();
    running.abort();
    tokio::task::spawn_blocking(ended).await.unwrap();
    while group_folders(&name).iter().any(|folder| folder.exists()) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_link_in_the_image_is_not_followed_to_a_mount_point() {
    let mut launch = launch(["/bin/sh", "-c", "true"]);
    let folder = tempfile::tempdir().unwrap();
    // As in an image whose author prepared it.
    let root = folder.path().join("root");
    for name in ["dev", "proc", "run", "tmp", ".strongroom", "iexec_out"] {
        fs::create_dir_all(root.join(name)).unwrap();
    }
    std::os::unix::fs::symlink("/etc", root.join("iexec_in")).unwrap();
    File::create(root.join("plain")).unwrap();
    launch.image.root = root;
    launch.scratch[0].target = "/iexec_in".into();
    let Reason::Refused(refusal) = run(&launch).await.reason else { panic!("it must be refused") };
    assert!(refusal.cause.contains("symbolic link"), "{refusal}");
}
