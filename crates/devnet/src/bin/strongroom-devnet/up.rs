//! `strongroom-devnet up`: the network and the service, up until Ctrl-C.

use std::path::PathBuf;
use std::time::Duration;

use alloy_primitives::Address;
use anyhow::{Context, bail};
use clap::{Args, ValueHint};
use strongroom_devnet::anvil::{AnvilOptions, Mining};
use strongroom_devnet::programs::beside_this_program;
use strongroom_devnet::sms::{Sms, SmsOptions};
use strongroom_devnet::{Devnet, Options};

use crate::interrupt::Interrupt;

/// Between two looks at what was started.
const LOOK_EVERY: Duration = Duration::from_millis(500);

#[derive(Args)]
pub(crate) struct Up {
    /// Number of the chain
    #[arg(long, value_name = "NUMBER", default_value_t = 65_535)]
    chain_id: u64,
    /// Make a block at each interval only [default: one for each transaction, nearly at once, and one each second besides,
    /// for which stock clients wait]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=3600))]
    block_time: Option<u32>,
    /// Port of the chain on 127.0.0.1; 0 for any free one
    #[arg(long, value_name = "PORT", default_value_t = 8545)]
    rpc_port: u16,
    /// Port of the service on 127.0.0.1; 0 for any free one
    #[arg(long, value_name = "PORT", default_value_t = 13_300)]
    sms_port: u16,
    /// Use the node at this address instead of starting a chain
    #[arg(long, value_name = "URL", requires = "hub", conflicts_with_all = ["chain_id", "block_time", "rpc_port", "anvil"])]
    rpc: Option<String>,
    /// The PoCo contracts on that node
    #[arg(long, value_name = "ADDRESS", requires = "rpc")]
    hub: Option<Address>,
    /// Folder for the data of the service, made when missing and kept afterwards [default: a temporary one]
    #[arg(long, value_name = "FOLDER", value_hint = ValueHint::DirPath)]
    data: Option<PathBuf>,
    /// What the service logs, as directives of tracing-subscriber; at least info about itself
    #[arg(long, value_name = "FILTER", default_value = "info")]
    log: String,
    /// The program strongroom-sms [default: the one beside this program]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    sms_program: Option<PathBuf>,
    /// The program anvil, 1.7 [default: the one of the npm package, fetched once]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    anvil: Option<PathBuf>,
    /// Start no service
    #[arg(long, conflicts_with_all = ["sms_port", "data", "sms_program", "log"])]
    no_sms: bool,
}

impl Up {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        // Until everything is up, Ctrl-C ends this program at once; what it started ends with it.
        let mut network = self.network().await?;
        let temporary = tempfile::tempdir().context("no temporary folder could be made")?;
        let mut sms = None;
        if !self.no_sms {
            let program = self.sms_program.map_or_else(|| beside_this_program("strongroom-sms"), Ok)?;
            let folder = self.data.unwrap_or_else(|| temporary.path().to_owned());
            std::fs::create_dir_all(&folder).with_context(|| format!("making the folder {}", folder.display()))?;
            let options = SmsOptions { port: self.sms_port, log_filter: self.log, ..SmsOptions::new(program, folder) };
            let started = sms.insert(Sms::start(&network, options)?);
            network.set_sms_url(started.url());
        }
        let mut interrupt = Interrupt::new()?;
        print!("{network}");
        println!("\nEverything is up. Ctrl-C stops it.");
        tokio::select! {
            () = interrupt.wait() => {
                println!("\nStopping.");
                Ok(())
            }
            stopped = first_to_stop(&mut network, sms.as_mut()) => stopped,
        }
    }

    async fn network(&self) -> anyhow::Result<Devnet> {
        if let (Some(rpc), Some(hub)) = (&self.rpc, self.hub) {
            return Ok(Devnet::attach(rpc, hub).await?);
        }
        let mining = match self.block_time {
            Some(seconds) => Mining::Interval(Duration::from_secs(seconds.into())),
            None => Mining::Mixed(Duration::from_secs(1)),
        };
        let chain = AnvilOptions { chain_id: self.chain_id, mining, port: self.rpc_port };
        Ok(Devnet::start(Options { chain, anvil: self.anvil.clone(), ..Options::default() }).await?)
    }
}

/// Returns, with an error, when something that was started has stopped by itself.
async fn first_to_stop(network: &mut Devnet, mut sms: Option<&mut Sms>) -> anyhow::Result<()> {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        if !network.is_running() {
            let output = network.anvil().map(strongroom_devnet::anvil::Anvil::output).unwrap_or_default();
            bail!("anvil has stopped; its last words:\n{output}");
        }
        if let Some(sms) = &mut sms
            && !sms.is_running()
        {
            bail!("strongroom-sms has stopped; its last words:\n{}", sms.log());
        }
    }
}
