//! Starts a stage with its own values and no others.
//!
//! The values go as a bundle through standard input to a second `strongroom-guest`, which becomes the app by `exec`. So no
//! copy of the app's environment stays behind: the first process wiped its bundle, the second one's memory is replaced.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use rustix::fs::{MemfdFlags, Mode, SealFlags};
use strongroom_protocol::bundle::{self, Form, Item, Stage, fits_environment};
use zeroize::Zeroizing;

use crate::failure::Failure;

/// The verb of the second half.
pub(crate) const EXEC: &str = "exec";

/// The bundle of `stage` alone; the values of the other stages are dropped, and wiped.
pub(crate) fn values_of(stage: Stage, mut items: Vec<Item>) -> Zeroizing<Vec<u8>> {
    items.retain(|item| item.stage == stage);
    bundle::encode(&items)
}

/// The second half, with `command` to become. Its environment starts empty.
pub(crate) fn command(command: &[OsString]) -> Result<Command, Failure> {
    let own = std::env::current_exe().map_err(Failure::System)?;
    let mut second = Command::new(own);
    second.arg(EXEC).arg("--").args(command).env_clear().stdin(Stdio::piped());
    Ok(second)
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
    app.args(&command[1..]).env_clear().stdin(Stdio::null());
    // What a program needs to find others; the image's own environment comes with the pool's runtimes.
    app.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
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
