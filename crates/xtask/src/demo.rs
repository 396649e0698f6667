//! The main job, shown: builds the programs and hands over to the local network's own demonstration.

use std::process::Command;

use clap::Args;

use crate::run::{cargo, require_npm, run};

/// `cargo xtask demo`
#[derive(Args)]
pub(crate) struct Demo {
    /// Leave the network and the service up until Ctrl-C.
    #[arg(long)]
    keep: bool,
}

impl Demo {
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        require_npm()?;
        crate::guest::build()?;
        // With the features of the whole workspace, as the tests have them: nothing is built twice.
        run(cargo().args(["build", "--workspace", "--bins", "--locked"]))?;
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
