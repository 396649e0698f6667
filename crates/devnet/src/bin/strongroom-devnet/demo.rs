//! `strongroom-devnet demo`: the whole story on a network of its own, with every step shown. A developer deploys an app and pushes its secret,
//! a data owner encrypts a file and pushes its key, a requester pushes two secrets and buys a task; the enclave opens exactly these, and
//! the result comes back encrypted. Then what is refused, and why. Values of secrets are random and never shown.

mod market;
mod refusals;
mod report;
mod result;
mod story;
mod thief;

use std::fmt::Display;
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::{Args, ValueHint};
use strongroom_devnet::anvil::{AnvilOptions, Mining};
use strongroom_devnet::home::Home;
use strongroom_devnet::programs::beside_this_program;
use strongroom_devnet::whole::{Folders, Ports, Programs, WholeNetwork};
use strongroom_devnet::{Devnet, Options};
use strongroom_protocol::UnixSeconds;

use crate::interrupt::Interrupt;

#[derive(Args)]
pub(crate) struct Demo {
    /// Leave the network up until Ctrl-C
    #[arg(long)]
    keep: bool,
    /// Where the report goes, an HTML page [default: a new file in the temporary folder]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    report: Option<PathBuf>,
}

/// Who does something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Network,
    Developer,
    DataOwner,
    Requester,
    Pool,
    Thief,
}

impl Who {
    pub(crate) const ALL: [Self; 6] =
        [Self::Network, Self::Developer, Self::DataOwner, Self::Requester, Self::Pool, Self::Thief];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Developer => "developer",
            Self::DataOwner => "data owner",
            Self::Requester => "requester",
            Self::Pool => "pool",
            Self::Thief => "thief",
        }
    }
}

/// One step of the story.
pub(crate) struct Step {
    pub(crate) at: Duration,
    pub(crate) who: Who,
    pub(crate) what: String,
    pub(crate) refused: bool,
}

/// Shows what happens, with the time since the beginning, and remembers it for the report.
pub(crate) struct Teller {
    begun: Instant,
    pub(crate) steps: Vec<Step>,
}

impl Teller {
    pub(crate) fn tell(&mut self, who: Who, what: impl Display) {
        self.note(who, what.to_string(), false);
    }

    pub(crate) fn refused(&mut self, who: Who, what: impl Display) {
        self.note(who, what.to_string(), true);
    }

    fn note(&mut self, who: Who, what: String, refused: bool) {
        let at = self.begun.elapsed();
        let mark = if refused { "REFUSED: " } else { "" };
        println!("{:7.2} s  {:<10}  {mark}{what}", at.as_secs_f64(), who.name());
        self.steps.push(Step { at, who, what, refused });
    }
}

impl Demo {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let (mut report_file, report) = create_report(self.report)?;
        let mut teller = Teller { begun: Instant::now(), steps: Vec::new() };
        println!("Strongroom on a local network: secrets are opened only by that enclave, for that paid task.");
        println!(
            "The enclave is SIMULATED on this machine: everything is real but the hardware that would protect it.\n"
        );
        // The provider can only be set once, and this is the only place in this program.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let strongroom = beside_this_program("strongroom")?;
        // Unix sockets are below it, and their paths are short.
        let temporary = tempfile::Builder::new().prefix("sr").tempdir().context("no temporary folder could be made")?;
        let network = start_network(&mut teller).await?;
        let programs = Programs::beside_this_program()?;
        let now = UnixSeconds(u64::try_from(jiff::Timestamp::now().as_second()).unwrap_or_default());
        let whole =
            WholeNetwork::start(&network, &programs, Folders::all_in(temporary.path()), Ports::default(), now).await?;
        teller.tell(
            Who::Network,
            format_args!("the service answers at {}, storage at {}", whole.sms.url(), whole.store.url()),
        );
        teller.tell(Who::Pool, format_args!("workerpool {} is ready at {}", whole.workerpool, whole.pool.url()));

        let home_folder = temporary.path().join("home");
        std::fs::create_dir(&home_folder).context("no temporary folder could be made")?;
        let home = Home::new(strongroom, home_folder)?;
        home.use_whole_network(&network, &whole)?;
        let stage = story::Stage { network: &network, whole: &whole, home: &home, folder: temporary.path() };
        let summary = stage.play(&mut teller).await?;

        println!("\n{summary}");
        report_file.write_all(report::page(&teller.steps, &summary).as_bytes()).context("writing the report")?;
        println!("The same as a page with a timeline: {}", report.display());
        if self.keep {
            println!("\n{network}");
            keep_up(&home).await?;
        }
        Ok(())
    }
}

/// Before the story, so that it is not told in vain.
fn create_report(place: Option<PathBuf>) -> anyhow::Result<(File, PathBuf)> {
    let Some(place) = place else {
        let report = tempfile::Builder::new().prefix("strongroom-demo-").suffix(".html").tempfile();
        return Ok(report.context("no report can be written into the temporary folder")?.keep()?);
    };
    let file = File::create(&place).with_context(|| format!("the report cannot be written to {}", place.display()))?;
    Ok((file, place))
}

async fn start_network(teller: &mut Teller) -> anyhow::Result<Devnet> {
    teller.tell(Who::Network, "starting the chain; the first time, npm fetches anvil and the PoCo contracts");
    // Stock clients wait for a next block, so some come without transactions too.
    let chain = AnvilOptions { mining: Mining::Mixed(Duration::from_secs(1)), ..AnvilOptions::default() };
    let network = Devnet::start(Options { chain, ..Options::default() }).await?;
    let (id, hub) = (network.deployment().chain_id, network.deployment().hub);
    teller.tell(
        Who::Network,
        format_args!("chain {id} runs at {}, with PoCo 6.1.0 deployed and read back", network.rpc_url()),
    );
    teller.tell(Who::Network, format_args!("its hub is {hub}"));
    Ok(network)
}

async fn keep_up(home: &Home) -> anyhow::Result<()> {
    let mut interrupt = Interrupt::new()?;
    println!("\nTo go on by hand, as one of these people, with the program strongroom:");
    for (name, value) in home.surroundings() {
        println!("  export {name}={}", value.display());
    }
    println!("\nEverything stays up. Ctrl-C stops it.");
    interrupt.wait().await;
    println!("\nStopping.");
    Ok(())
}
