//! The main job, shown: builds the programs and hands over to the local network's own demonstration.

use std::process::Command;

use clap::Args;

use crate::run::{cargo, run};

/// `cargo xtask demo`
#[derive(Args)]
pub(crate) struct Demo {
    /// Leave the network and the service up until Ctrl-C.
    #[arg(long)]
    keep: bool,
}

impl Demo {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        let packages = ["strongroom-sms", "strongroom-cli", "strongroom-devnet"];
        run(cargo().args(["build", "--locked"]).args(packages.iter().flat_map(|package| ["--package", package])))?;
        let target = std::env::current_exe()?;
        let programs = target.parent().ok_or_else(|| anyhow::anyhow!("this program has no folder"))?;
        let mut demo = Command::new(programs.join("strongroom-devnet"));
        demo.arg("demo");
        if self.keep {
            demo.arg("--keep");
        }
        run(&mut demo)
    }
}
