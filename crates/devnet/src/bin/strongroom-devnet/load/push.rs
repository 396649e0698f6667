//! `load push`: new secrets, over several numbers of connections.

use std::time::Duration;

use alloy_primitives::{Address, hex};
use anyhow::{Context, ensure};
use clap::{Args, ValueEnum};
use strongroom_devnet::resources::Dataset;
use strongroom_devnet::sms::Sms;
use strongroom_devnet::{Devnet, development_accounts};

use super::drive::{Run, Server};
use super::presigned::{Named, Presigned, Pusher};
use super::usage::median_sync;
use super::{Ours, quiet_network};

/// Before the first figure is taken: caches, allocators and the first pages of the database.
const WARM_UP: Duration = Duration::from_millis(500);
/// Connections of the warm-up, and of the questions that bring owners into the cache.
const WARM_UP_CONNECTIONS: usize = 16;
/// Until all those questions are answered.
const PATIENCE: Duration = Duration::from_mins(10);
/// Gas of each block while datasets are registered: room for about a thousand.
const REGISTRATION_GAS: u64 = 1_000_000_000;

#[derive(Args)]
pub(crate) struct Push {
    /// Numbers of connections, one run each
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_value = "1,16,64,256")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=4096))]
    connections: Vec<u16>,
    /// Length of each run, at most
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,
    /// What is pushed
    #[arg(long, value_enum, default_value_t = Kind::Requester)]
    kind: Kind,
    /// Length of each value, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 64)]
    value_bytes: usize,
    /// Requests prepared for each second of a run; a run ends early when they are used up
    #[arg(long, value_name = "N", default_value_t = 15_000)]
    prepared_per_second: u32,
    /// Datasets registered for each run of that kind
    #[arg(long, value_name = "N", default_value_t = 4_000, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    datasets: u32,
    /// Load this running service, whose limits are off, instead of one of our own
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    #[command(flatten)]
    ours: Ours,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Secrets of one requester; the chain is not asked
    Requester,
    /// Secrets of one account; the chain is not asked
    Account,
    /// Keys of datasets, each registered on chain; once with owners to be read, once with owners in the cache
    Dataset,
}

impl Push {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let mut run_id = [0; 4];
        getrandom::fill(&mut run_id).context("the system gave no random bytes")?;
        let pusher = Pusher::new("strongroom load", self.value_bytes)?;
        let prefix = format!("load-{}", hex::encode(run_id));
        if let Some(url) = &self.url {
            ensure!(self.kind != Kind::Dataset, "datasets are registered on a chain of our own only");
            return self.named(&Server::new(url, None)?, &pusher, &prefix).await;
        }
        let network = quiet_network().await?;
        let folder = self.ours.folder()?;
        println!(
            "4 KiB are durable on this disk after {:.3} ms (median)",
            median_sync(folder.path())?.as_secs_f64() * 1e3
        );
        let sms = Sms::start(&network, self.ours.options(folder.path())?)?;
        println!("the service listened {} ms after its start", sms.start_up().as_millis());
        let server = Server::new(sms.url(), Some(sms.process_id()))?;
        match self.kind {
            Kind::Requester | Kind::Account => self.named(&server, &pusher, &prefix).await,
            Kind::Dataset => self.datasets(&server, &network, &prefix).await,
        }
    }

    async fn named(&self, server: &Server, pusher: &Pusher, prefix: &str) -> anyhow::Result<()> {
        let kind = if self.kind == Kind::Account { Named::Account } else { Named::Requester };
        let mut warm_up = pusher.named(kind, &format!("{prefix}-w"), 8_000)?;
        all_stored(&server.drive(WARM_UP_CONNECTIONS, WARM_UP, &mut warm_up).await?)?;
        println!("{}", Run::HEADINGS);
        let mut requests = Vec::new();
        let wanted = self.seconds as usize * self.prepared_per_second as usize;
        for connections in &self.connections {
            let missing = wanted.saturating_sub(requests.len());
            requests.extend(pusher.named(kind, &format!("{prefix}-{connections}"), missing)?);
            let limit = Duration::from_secs(self.seconds.into());
            let run = server.drive(usize::from(*connections), limit, &mut requests).await?;
            println!("{run}");
            all_stored(&run)?;
        }
        Ok(())
    }

    /// Two runs for each number of connections, each with its own datasets: in the first the service reads each owner from
    /// the chain; before the second it was asked about each dataset, by a stranger, and so knows the owner at this block.
    async fn datasets(&self, server: &Server, network: &Devnet, prefix: &str) -> anyhow::Result<()> {
        let pusher = Pusher::new(prefix, self.value_bytes)?;
        let stranger = Pusher::new("a stranger", self.value_bytes)?;
        let limit = Duration::from_secs(self.seconds.into());
        for connections in &self.connections {
            println!("owners to be read from the chain\n{}", Run::HEADINGS);
            let datasets = register(network, &pusher, &format!("{prefix}-{connections}-a"), self.datasets).await?;
            let run = server.drive(usize::from(*connections), limit, &mut pushes(&pusher, &datasets)?).await?;
            println!("{run}");
            all_stored(&run)?;

            let datasets = register(network, &pusher, &format!("{prefix}-{connections}-b"), self.datasets).await?;
            let mut refused = pushes(&stranger, &datasets)?;
            let run = server.drive(WARM_UP_CONNECTIONS, PATIENCE, &mut refused).await;
            ensure!(run?.statuses.keys().eq([&401]), "a stranger was not refused");
            println!("owners in the cache\n{}", Run::HEADINGS);
            let run = server.drive(usize::from(*connections), limit, &mut pushes(&pusher, &datasets)?).await?;
            println!("{run}");
            all_stored(&run)?;
        }
        Ok(())
    }
}

fn pushes(pusher: &Pusher, datasets: &[Address]) -> anyhow::Result<Vec<Presigned>> {
    datasets.iter().map(|dataset| pusher.dataset(*dataset)).collect()
}

/// Registers datasets that belong to the pusher, as many in a block as fit.
async fn register(network: &Devnet, pusher: &Pusher, prefix: &str, count: u32) -> anyhow::Result<Vec<Address>> {
    let chain = network.chain()?;
    let payer = development_accounts()[1].signer();
    let names = (0..count).map(|number| Dataset::named(&format!("{prefix}-{number}")));
    chain.node.mine_in_bulk(Some((Duration::from_secs(1), REGISTRATION_GAS))).await?;
    let datasets = chain.create_datasets_for(&payer, pusher.address(), names).await?;
    chain.node.mine_in_bulk(None).await?;
    Ok(datasets)
}

/// A run whose secrets were not all stored says nothing.
fn all_stored(run: &Run) -> anyhow::Result<()> {
    let stored = run.statuses.get(&204).copied().unwrap_or_default();
    ensure!(stored == run.requests(), "not everything was stored; answers by status: {:?}", run.statuses);
    Ok(())
}
