//! What cargo cannot do alone. `cargo xtask demo` shows the main job, `cargo xtask test` runs everything that CI runs.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for people at a terminal")]

mod demo;
mod guest;
mod run;
mod test;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Tasks of this repository")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Builds everything, starts the local network, and plays the story: secrets pushed, a task bought, run in its enclave, paid.
    Demo(demo::Demo),
    /// Builds the static guest program that enclaves start, as target/guest/strongroom-guest.
    Guest,
    /// Runs everything that CI runs: format, lints, dependencies, all tests with the end-to-end ones.
    Test(test::Test),
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().task {
        Task::Demo(demo) => demo.run(),
        Task::Guest => guest::build(),
        Task::Test(test) => test.run(),
    }
}
