//! `strongroom-devnet load`: how much load the service bears. It prints figures; what they mean stands in
//! `docs/benchmarks.md`.

mod drive;
mod fill;
mod flood;
mod presigned;
mod push;
mod release;
mod task;
mod usage;

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Subcommand, ValueHint};
use strongroom_devnet::anvil::{AnvilOptions, Mining};
use strongroom_devnet::programs::beside_this_program;
use strongroom_devnet::sms::{QUIET_LOG, SmsOptions};
use strongroom_devnet::{Devnet, Options};
use tempfile::TempDir;

#[derive(Subcommand)]
pub(crate) enum Load {
    /// Push secrets over several numbers of connections
    Push(push::Push),
    /// Fill a database, then measure how fast the service starts and answers on it
    Fill(fill::Fill),
    /// Release secrets to simulated enclaves, each with a quote of its own
    Release(release::Release),
    /// Ask for nonces, and look at the memory of the service
    Challenges(flood::Challenges),
    /// Release secrets while others send garbage
    Garbage(flood::Garbage),
}

impl Load {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Push(push) => push.run().await,
            Self::Fill(fill) => fill.run().await,
            Self::Release(release) => release.run().await,
            Self::Challenges(challenges) => challenges.run().await,
            Self::Garbage(garbage) => garbage.run().await,
        }
    }
}

/// The service under load, when it is ours.
#[derive(Args)]
struct Ours {
    /// Folder below which a temporary one for the data of the service is made; it decides on which disk the data is
    /// [default: the system's folder for temporary files]
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    data: Option<PathBuf>,
    /// What the service logs, as directives of tracing-subscriber [default: its start, and trouble]
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
    /// The program strongroom-sms [default: the one beside this program]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    sms_program: Option<PathBuf>,
}

impl Ours {
    fn folder(&self) -> anyhow::Result<TempDir> {
        let folder = self.data.as_deref().map_or_else(tempfile::tempdir, tempfile::tempdir_in);
        folder.context("no folder could be made for the data of the service")
    }

    /// A service without limits: there is one client only, and it is to do as much as it can.
    fn options(&self, folder: &Path) -> anyhow::Result<SmsOptions> {
        let program = self.sms_program.clone().map_or_else(|| beside_this_program("strongroom-sms"), Ok)?;
        let log_filter = self.log.clone().unwrap_or_else(|| QUIET_LOG.to_owned());
        Ok(SmsOptions { rate_limits: false, log_filter, ..SmsOptions::new(program, folder) })
    }
}

/// A chain that makes blocks for transactions only, so that it takes no time while the service is measured.
async fn quiet_network() -> anyhow::Result<Devnet> {
    let chain = AnvilOptions { mining: Mining::Instant, ..AnvilOptions::default() };
    Ok(Devnet::start(Options { chain, ..Options::default() }).await?)
}
