//! Running other programs, with their output shown and their failure named.

use std::ffi::OsStr;
use std::process::Command;

use anyhow::{Context, bail};

/// `cargo` as it was called, so that a pinned toolchain stays the same.
pub(crate) fn cargo() -> Command {
    Command::new(env!("CARGO"))
}

/// Shows the command, runs it, and fails when it does.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let shown = shown(command);
    println!("\n$ {shown}");
    let status = command.status().with_context(|| format!("cannot start `{shown}`"))?;
    if status.success() { Ok(()) } else { bail!("`{shown}` failed ({status})") }
}

/// Whether the command runs and succeeds; its output is dropped.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

/// The contracts, the node and the stock SDK come from npm.
pub(crate) fn require_npm() -> anyhow::Result<()> {
    let found = succeeds(Command::new("npm").arg("--version"));
    anyhow::ensure!(found, "npm is needed for the contracts, the node and the stock SDK; install Node.js 20 or later");
    Ok(())
}

fn shown(command: &Command) -> String {
    let program = std::path::Path::new(command.get_program()).file_stem().unwrap_or_else(|| command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}
