//! Everything that CI runs, in the order in which failures are cheapest.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Context;
use clap::Args;

use crate::run::{cargo, require_npm, run, succeeds};

/// The version whose configuration `deny.toml` is written for.
const CARGO_DENY: &str = "0.20.2";

/// How long each fuzz target runs, in seconds.
const FUZZ_SECONDS: &str = "6";

/// `cargo xtask test`
#[derive(Args)]
pub(crate) struct Test {
    /// Only the tests: no format, lint and dependency checks.
    #[arg(long)]
    only_tests: bool,
}

impl Test {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        require_npm()?;
        if !self.only_tests {
            run(cargo().args(["fmt", "--all", "--check"]))?;
            run(cargo().args(["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]))?;
            dependencies()?;
            // Shared between the targets: a smoke test, not a search.
            run(Command::new("fuzz/run").arg(FUZZ_SECONDS))?;
        }
        // The end-to-end tests start these as programs of their own.
        crate::guest::build()?;
        run(cargo().args(["build", "--workspace", "--bins", "--locked"]))?;
        // To the end, so that one run tells everything that fails.
        run(cargo().args(["test", "--workspace", "--locked", "--no-fail-fast"]))
    }
}

fn dependencies() -> anyhow::Result<()> {
    let deny = cargo_deny()?;
    run(Command::new(&deny).args(["check", "bans", "licenses", "sources"]))?;
    if succeeds(Command::new(&deny).args(["fetch", "db"])) {
        run(Command::new(&deny).args(["check", "advisories"]))
    } else {
        println!("advisories: NOT CHECKED, the advisory database cannot be reached from here");
        Ok(())
    }
}

/// The `cargo-deny` of the search path, or one that is installed beside the build.
fn cargo_deny() -> anyhow::Result<PathBuf> {
    let version_of = |program: &PathBuf| Command::new(program).arg("--version").output().ok();
    let fits = |program: &PathBuf| {
        version_of(program).is_some_and(|output| String::from_utf8_lossy(&output.stdout).contains(CARGO_DENY))
    };
    let installed = std::env::current_dir().context("no current folder")?.join("target/tools");
    for candidate in [PathBuf::from("cargo-deny"), installed.join("bin/cargo-deny")] {
        if fits(&candidate) {
            return Ok(candidate);
        }
    }
    println!("cargo-deny {CARGO_DENY} is installed once into target/tools; this takes a few minutes");
    run(cargo().args(["install", "cargo-deny", "--locked", "--version", CARGO_DENY]).arg("--root").arg(&installed))?;
    Ok(installed.join("bin/cargo-deny"))
}
