//! Starts a stage with its own values and no others.
//!
//! The values go as a bundle through standard input to a second `strongroom-guest`, which becomes the app by `exec`. So no
//! copy of the app's environment stays behind: the first process wiped its bundle, the second one's memory is replaced. The second half
//! runs as the app's user already, and gives up every privilege before it becomes the app. It does not become an app that could reach
//! what is the guest's alone, whatever the sandbox around it is like.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use rustix::fs::{Access, MemfdFlags, Mode, SealFlags};
use rustix::thread::{CapabilitySet, CapabilitySets};
use strongroom_protocol::bundle::{self, Form, Item, Stage, fits_environment};
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::settings::Settings;

/// Public settings of the app, on their way to the second half.
const APP_ENV: &str = "STRONGROOM_APP_ENV";
const APP_WORKDIR: &str = "STRONGROOM_APP_WORKDIR";
/// Files that the second half must not reach once it is as powerless as the app, a JSON list.
const FOR_THE_GUEST: &str = "STRONGROOM_FOR_THE_GUEST";
/// Where programs are looked for when the image does not say.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The verb of the second half.
pub(crate) const EXEC: &str = "exec";

/// The bundle of `stage` alone; the values of the other stages are dropped, and wiped.
pub(crate) fn values_of(stage: Stage, mut items: Vec<Item>) -> Zeroizing<Vec<u8>> {
    items.retain(|item| item.stage == stage);
    bundle::encode(&items)
}

/// The second half as the app's user, with what the image says about its surroundings.
pub(crate) fn command_as(command: &[OsString], settings: &Settings) -> Command {
    let app = &settings.app;
    let mut second = self::command(command);
    let env = serde_json::to_string(&app.env).expect("a list of texts is JSON");
    let hidden: Vec<_> = settings.for_the_guest_alone().collect();
    let hidden = serde_json::to_string(&hidden).expect("settings are texts, and so JSON");
    second.env(APP_ENV, env).env(APP_WORKDIR, &app.working_folder).env(FOR_THE_GUEST, hidden);
    if rustix::process::geteuid().is_root() && !is_alone() {
        // As root this also drops the other groups.
        second.uid(app.user.0).gid(app.user.1);
    }
    second
}

/// Whether there is only one user in this user namespace, as an ordinary user's sandbox has it.
pub(crate) fn is_alone() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let count: u64 = map.lines().filter_map(|line| line.split_whitespace().nth(2)?.parse::<u64>().ok()).sum();
    count == 1
}

/// The second half, with `command` to become. Its environment starts empty.
pub(crate) fn command(command: &[OsString]) -> Command {
    // Not by its path: the folder of the guest is closed to the app's user, and this leads to the very file that runs.
    let mut second = Command::new("/proc/self/exe");
    second.arg(EXEC).arg("--").args(command).env_clear().stdin(Stdio::piped());
    second
}

/// Becomes `command` with the values of standard input. Returns only when that fails.
pub(crate) fn exec(command: &[OsString]) -> Failure {
    match prepare(command) {
        Ok(mut app) => Failure::Start { program: command[0].to_string_lossy().into_owned(), source: app.exec() },
        Err(failure) => failure,
    }
}

fn prepare(command: &[OsString]) -> Result<Command, Failure> {
    crate::hardening::harden()?;
    let mut bytes = Zeroizing::new(Vec::new());
    std::io::stdin().lock().read_to_end(&mut bytes).map_err(Failure::System)?;
    let items = bundle::decode(&bytes).map_err(|error| Failure::Release(error.into()))?;
    let mut app = Command::new(&command[0]);
    app.args(&command[1..]).env_clear().stdin(Stdio::null()).env("PATH", PATH);
    surroundings(&mut app)?;
    let hidden = for_the_guest()?;
    confine().map_err(|errno| Failure::System(errno.into()))?;
    if let Some(path) = hidden.into_iter().find(is_reachable) {
        return Err(Failure::Exposed { path });
    }
    for item in &items {
        let value = item.value.expose_secret();
        if item.form == Form::Secret {
            app.env(format!("{}_FILE", item.name), file_in_memory(&item.name, value).map_err(Failure::System)?);
        }
        if fits_environment(&item.name, value) {
            app.env(&item.name, OsStr::from_bytes(value));
        }
    }
    Ok(app)
}

/// The image's variables, which its values may replace, and its working folder.
#[expect(clippy::disallowed_methods, reason = "what the first half set for the second")]
fn surroundings(app: &mut Command) -> Result<(), Failure> {
    let Ok(env) = std::env::var(APP_ENV) else { return Ok(()) };
    let malformed = |error: serde_json::Error| Failure::Setting { name: APP_ENV, reason: error.to_string() };
    let env: Vec<String> = serde_json::from_str(&env).map_err(malformed)?;
    app.envs(env.iter().filter_map(|variable| variable.split_once('=')));
    let folder = std::env::var(APP_WORKDIR).unwrap_or_default();
    app.current_dir(if folder.is_empty() { "/" } else { &folder });
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "what the first half set for the second")]
fn for_the_guest() -> Result<Vec<PathBuf>, Failure> {
    let Ok(paths) = std::env::var(FOR_THE_GUEST) else { return Ok(Vec::new()) };
    serde_json::from_str(&paths).map_err(|error| Failure::Setting { name: FOR_THE_GUEST, reason: error.to_string() })
}

/// Whether this process could connect to the socket, or to those in the folder.
fn is_reachable(path: &PathBuf) -> bool {
    let needed = if path.is_dir() { Access::EXEC_OK } else { Access::WRITE_OK };
    rustix::fs::access(path, needed).is_ok()
}

/// Gives up every capability, and the way to get any by starting another program.
fn confine() -> rustix::io::Result<()> {
    let none = CapabilitySet::empty();
    rustix::thread::set_no_new_privs(true)?;
    rustix::thread::set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })
}

/// A read-only file that exists in memory alone; its path is good for the app and the processes it starts.
fn file_in_memory(name: &str, value: &[u8]) -> std::io::Result<String> {
    // Not closed on exec: the app inherits it.
    let descriptor: OwnedFd = rustix::fs::memfd_create(name, MemfdFlags::ALLOW_SEALING)?;
    let mut file = File::from(descriptor);
    file.write_all(value)?;
    rustix::fs::fchmod(&file, Mode::RUSR)?;
    rustix::fs::fcntl_add_seals(&file, SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    // Given away on purpose: it must be open when this process becomes the app.
    let _ = file.into_raw_fd();
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_and_folders_that_can_be_reached_are_told_from_those_that_cannot() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("evidence.sock");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        assert!(is_reachable(&folder.path().to_owned()));
        assert!(is_reachable(&socket));
        assert!(!is_reachable(&folder.path().join("other.sock")));
    }
}
