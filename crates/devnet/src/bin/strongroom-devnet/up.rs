//! `strongroom-devnet up`: the network, up until Ctrl-C.

use std::path::{Path, PathBuf};
use std::time::Duration;

use alloy_primitives::Address;
use anyhow::{Context, bail};
use clap::{Args, ValueHint};
use serde_json::{Value, json};
use strongroom_devnet::anvil::{AnvilOptions, Mining};
use strongroom_devnet::programs::beside_this_program;
use strongroom_devnet::sms::{Sms, SmsOptions};
use strongroom_devnet::whole::{Folders, Ports, Programs, WholeNetwork};
use strongroom_devnet::{Devnet, Options};
use strongroom_protocol::UnixSeconds;

use crate::interrupt::Interrupt;

/// Between two looks at what was started.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Tasks that the pool offers in the order book.
const OFFERED_TASKS: u64 = 100_000;
/// Tells programs where everything is, in the data folder.
const DESCRIPTION: &str = "network.json";

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
    /// Any free ports for everything
    #[arg(long, conflicts_with_all = ["rpc_port", "sms_port"])]
    any_ports: bool,
    /// Use the node at this address instead of starting a chain, and start only the service beside it
    #[arg(long, value_name = "URL", requires = "hub", conflicts_with_all = ["chain_id", "block_time", "rpc_port", "anvil"])]
    rpc: Option<String>,
    /// The PoCo contracts on that node
    #[arg(long, value_name = "ADDRESS", requires = "rpc")]
    hub: Option<Address>,
    /// Folder for secrets, stored content and images, made when missing and kept afterwards; while the network is up,
    /// `network.json` in it tells where everything is [default: a temporary one]
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
    /// Start the chain and the service only: no storage, order book and pool
    #[arg(long)]
    no_pool: bool,
    /// Start the chain only
    #[arg(long, conflicts_with_all = ["sms_port", "data", "sms_program", "log"])]
    no_sms: bool,
}

/// What stands beside the chain.
enum Beside {
    Nothing,
    Service(Box<Sms>),
    Everything(Box<WholeNetwork>),
}

impl Up {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        // The provider can only be set once, and each command of this program runs alone.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // Until everything is up, Ctrl-C ends this program at once; what it started ends with it.
        let mut network = self.network().await?;
        // Unix sockets are below it, and their paths are short.
        let temporary = tempfile::Builder::new().prefix("sr").tempdir().context("no temporary folder could be made")?;
        let folder = self.data.clone().unwrap_or_else(|| temporary.path().to_owned());
        std::fs::create_dir_all(&folder).with_context(|| format!("making the folder {}", folder.display()))?;
        let folders = Folders { kept: &folder, passing: temporary.path() };
        let mut beside = self.beside(&network, folders).await?;
        if let Some(sms) = beside.sms() {
            network.set_sms_url(sms.url());
        }
        if self.data.is_some() {
            write_description(&folder.join(DESCRIPTION), &description(&network, &beside))?;
        }
        let mut interrupt = Interrupt::new()?;
        print!("{network}");
        beside.print();
        println!("\nEverything is up. Ctrl-C stops it.");
        let stopped = tokio::select! {
            () = interrupt.wait() => {
                println!("\nStopping.");
                Ok(())
            }
            stopped = first_to_stop(&mut network, &mut beside) => stopped,
        };
        if self.data.is_some() {
            let _ = std::fs::remove_file(folder.join(DESCRIPTION));
        }
        stopped
    }

    async fn network(&self) -> anyhow::Result<Devnet> {
        if let (Some(rpc), Some(hub)) = (&self.rpc, self.hub) {
            return Ok(Devnet::attach(rpc, hub).await?);
        }
        let mining = match self.block_time {
            Some(seconds) => Mining::Interval(Duration::from_secs(seconds.into())),
            None => Mining::Mixed(Duration::from_secs(1)),
        };
        let port = if self.any_ports { 0 } else { self.rpc_port };
        let chain = AnvilOptions { chain_id: self.chain_id, mining, port };
        Ok(Devnet::start(Options { chain, anvil: self.anvil.clone(), ..Options::default() }).await?)
    }

    async fn beside(&self, network: &Devnet, folders: Folders<'_>) -> anyhow::Result<Beside> {
        if self.no_sms {
            return Ok(Beside::Nothing);
        }
        let sms_program = self.sms_program.clone().map_or_else(|| beside_this_program("strongroom-sms"), Ok)?;
        let port = if self.any_ports { 0 } else { self.sms_port };
        if self.no_pool || self.rpc.is_some() {
            let options = SmsOptions {
                port,
                log_filter: self.log.clone(),
                ..SmsOptions::new(sms_program, folders.kept.to_owned())
            };
            return Ok(Beside::Service(Box::new(Sms::start(network, options)?)));
        }
        let programs = Programs { sms: sms_program, ..Programs::beside_this_program()? };
        let now = UnixSeconds(u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or_default());
        let ports = Ports { sms: port, ..self.ports() };
        let whole = WholeNetwork::start(network, &programs, folders, ports, now).await?;
        whole.open_for_business(network, OFFERED_TASKS).await?;
        Ok(Beside::Everything(Box::new(whole)))
    }

    /// Those that the services of iExec have by default.
    fn ports(&self) -> Ports {
        if self.any_ports || self.rpc_port == 0 {
            return Ports::default();
        }
        Ports { sms: self.sms_port, storage: 5001, results: 13_200, market: 3000, compass: 8069, pool: 13_000 }
    }
}

impl Beside {
    fn sms(&self) -> Option<&Sms> {
        match self {
            Self::Nothing => None,
            Self::Service(sms) => Some(sms),
            Self::Everything(whole) => Some(&whole.sms),
        }
    }

    fn print(&self) {
        let Self::Everything(whole) = self else { return };
        let rows: [(&str, &dyn std::fmt::Display); 6] = [
            ("Workerpool", &whole.workerpool),
            ("Pool API", &whole.pool.url()),
            ("Order book", &whole.market.url()),
            ("Storage", &whole.store.url()),
            ("Result proxy", &whole.proxy.url()),
            ("Compass", &whole.compass.url()),
        ];
        for (name, value) in rows {
            println!("{name:<20}  {value}");
        }
        println!("{:<20}  {}", "App images", whole.images.display());
        println!(
            "\nThe enclaves of the pool are SIMULATED: nothing in them is protected. Never use real secrets here."
        );
    }
}

fn description(network: &Devnet, beside: &Beside) -> Value {
    let deployment = network.deployment();
    let mut description = json!({
        "pid": std::process::id(),
        "chain_id": deployment.chain_id,
        "hub": deployment.hub,
        "rpc": network.rpc_url(),
        "sms": beside.sms().map(Sms::url),
    });
    if let Beside::Everything(whole) = beside {
        description["market"] = whole.market.url().into();
        description["ipfs_gateway"] = whole.store.url().into();
        description["ipfs_node"] = whole.store.url().into();
        description["result_proxy"] = whole.proxy.url().into();
        description["compass"] = whole.compass.url().into();
        description["pool_api"] = whole.pool.url().into();
        description["workerpool"] = json!(whole.workerpool);
        description["images"] = json!(whole.images);
        description["guest"] = json!(whole.programs.guest);
        description["simulator"] = json!(whole.programs.simulator);
    }
    description
}

/// Whole or not at all: somebody waits for the file.
fn write_description(path: &Path, description: &Value) -> anyhow::Result<()> {
    let partial = path.with_extension("partial");
    std::fs::write(&partial, format!("{description:#}\n"))
        .and_then(|()| std::fs::rename(&partial, path))
        .with_context(|| format!("writing {}", path.display()))
}

/// Returns, with an error, when something that was started has stopped by itself.
async fn first_to_stop(network: &mut Devnet, beside: &mut Beside) -> anyhow::Result<()> {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        if !network.is_running() {
            let output = network.anvil().map(strongroom_devnet::anvil::Anvil::output).unwrap_or_default();
            bail!("anvil has stopped; its last words:\n{output}");
        }
        let sms = match beside {
            Beside::Nothing => continue,
            Beside::Service(sms) => sms,
            Beside::Everything(whole) => {
                if !whole.pool.is_running() {
                    bail!("strongroom-pool has stopped; its last words:\n{}", whole.pool.log());
                }
                &mut whole.sms
            }
        };
        if !sms.is_running() {
            bail!("strongroom-sms has stopped; its last words:\n{}", sms.log());
        }
    }
}
