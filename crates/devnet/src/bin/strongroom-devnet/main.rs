//! `strongroom-devnet`: the local network as a program, the demonstration, and the load generator.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for people at a terminal")]

mod demo;
mod fund;
mod interrupt;
mod load;
mod up;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A local iExec network with the published PoCo contracts and a Strongroom service, for development and tests.
#[derive(Parser)]
#[command(name = "strongroom-devnet", version, max_term_width = 120)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start the network and the service, and keep them up until Ctrl-C
    Up(up::Up),
    /// Give an account of a network that is up RLC and coins
    Fund(fund::Fund),
    /// Show the main job: owners keep secrets, on a network of its own
    Demo(demo::Demo),
    /// Measure how much load the service bears
    #[command(subcommand)]
    Load(load::Load),
}

// One thread: the load generator shares the machine with the service that it measures.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Up(up) => up.run().await,
        Command::Fund(fund) => fund.run().await,
        Command::Demo(demo) => demo.run().await,
        Command::Load(load) => load.run().await,
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("strongroom-devnet: {error:#}");
            ExitCode::FAILURE
        }
    }
}
