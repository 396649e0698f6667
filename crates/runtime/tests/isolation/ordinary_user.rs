//! Sandboxes of a supervisor that is an ordinary user: they have one user only, which guest and app share.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use rustix::io::Errno;
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};
use strongroom_runtime::Reason;

use crate::support::{HELPER, bind, image, name};
use crate::{act_launch, is_root, make_reachable, run};

const SOCKET: &str = "/.strongroom/test.sock";

#[test]
#[ignore = "an act"]
fn act_tell_who_runs_it() {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap();
    let mut socket = UnixStream::connect(SOCKET).unwrap();
    write!(socket, "{} {}", rustix::process::getuid().as_raw(), map.split_whitespace().collect::<Vec<_>>().join(" "))
        .unwrap();
}

#[test]
fn an_ordinary_user_can_run_sandboxes() {
    let Some(told) = told_to_an_ordinary_user("act_tell_who_runs_it") else { return };
    assert_eq!(told, "0 0 65533 1");
}

/// First as the guest, then as an app under the same user: as powerless as the guest makes it.
#[test]
#[ignore = "an act"]
fn act_look_where_the_guest_may() {
    let mut told = UnixStream::connect(SOCKET).unwrap();
    writeln!(told, "guest {:?}", attempts().map(Result::err)).unwrap();
    let none = CapabilitySet::empty();
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none }).unwrap();
    assert!(rustix::process::geteuid().is_root());
    writeln!(told, "app {:?}", attempts().map(Result::err)).unwrap();
    let opened = [0o700, 0o777].map(|mode| rustix::fs::chmod("/.strongroom", mode.into()).err());
    writeln!(told, "opened {opened:?}").unwrap();
    writeln!(told, "app {:?}", attempts().map(Result::err)).unwrap();
}

/// Listing, connecting, reading.
fn attempts() -> [Result<(), Errno>; 3] {
    let errno = |error: io::Error| Errno::from_io_error(&error).unwrap();
    [
        fs::read_dir("/.strongroom").map(drop).map_err(errno),
        UnixStream::connect(SOCKET).map(drop).map_err(errno),
        fs::read("/.strongroom/guest").map(drop).map_err(errno),
    ]
}

fn assert_only_the_guest_may(told: &str) {
    let app = format!("app {:?}", [Some(Errno::ACCESS); 3]);
    let opened = format!("opened {:?}", [Some(Errno::ROFS); 2]);
    let wanted = ["guest [None, None, None]", &app, &opened, &app];
    assert_eq!(told.lines().collect::<Vec<_>>(), wanted);
}

#[test]
fn an_app_under_the_guests_own_user_does_not_reach_what_is_the_guests() {
    let Some(told) = told_to_an_ordinary_user("act_look_where_the_guest_may") else { return };
    assert_only_the_guest_may(&told);
}

/// Where there are several users, an app that is uid 0 all the same gets no further.
#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_is_root_of_its_sandbox_does_not_reach_what_is_the_guests() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("test.sock");
    let listener = UnixListener::bind(&path).unwrap();
    make_reachable(&path);
    let mut launch = act_launch("ordinary_user::act_look_where_the_guest_may", "");
    launch.binds.push(bind(&path, SOCKET));
    let exit = run(&launch).await;
    assert_eq!(exit.reason, Reason::Exited(0), "{} {}", exit.stdout.escaped(), exit.stderr.escaped());
    assert_only_the_guest_may(&heard(&listener));
}

/// What the act says through its socket, run in a sandbox of another user; `None` where we are an ordinary user ourselves.
fn told_to_an_ordinary_user(act: &str) -> Option<String> {
    if !is_root() {
        println!("not root: all other tests show it");
        return None;
    }
    // Everything at a place that anybody can reach.
    let folder = tempfile::tempdir().unwrap();
    make_reachable(folder.path());
    let (helper, guest, path) =
        (folder.path().join("helper"), folder.path().join("guest"), folder.path().join("test.sock"));
    fs::copy(HELPER, &helper).unwrap();
    fs::copy(std::env::current_exe().unwrap(), &guest).unwrap();
    let listener = UnixListener::bind(&path).unwrap();
    make_reachable(&path);
    let root = folder.path().join("root");
    copy(&image().root, &root);
    let status = Command::new(&helper)
        .arg(name())
        .arg(root)
        .arg(guest)
        .args([path.to_str().unwrap(), &format!("ordinary_user::{act}")])
        .uid(65533)
        .gid(65533)
        .status()
        .unwrap();
    assert!(status.success(), "{status}");
    Some(heard(&listener))
}

/// What the first visitor said. It has ended.
fn heard(listener: &UnixListener) -> String {
    let mut told = String::new();
    listener.accept().unwrap().0.read_to_string(&mut told).unwrap();
    told
}

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp").arg("-r").arg(from).arg(to).status().unwrap();
    assert!(status.success());
}
