//! `load challenges`: many nonces, and the memory of the service. `load garbage`: releases while others send garbage.

use std::time::Duration;

use anyhow::{Context, ensure};
use bytes::Bytes;
use clap::Args;
use strongroom_devnet::sms::Sms;

use super::drive::{Run, Server};
use super::presigned::Presigned;
use super::release::{PATIENCE, all_released, mib, presigned};
use super::task::Task;
use super::usage::Usage;
use super::{Ours, quiet_network};

/// How often the memory is told.
const STEPS: u32 = 10;
/// The garbage begins so much before the honest, and ends so much after them.
const HEAD_START: Duration = Duration::from_secs(1);

#[derive(Args)]
pub(crate) struct Challenges {
    /// How many nonces
    #[arg(value_name = "CHALLENGES", default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(10..))]
    count: u32,
    /// Over how many connections
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1024))]
    connections: u16,
    #[command(flatten)]
    ours: Ours,
}

impl Challenges {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let network = quiet_network().await?;
        let folder = self.ours.folder()?;
        let sms = Sms::start(&network, self.ours.options(folder.path())?)?;
        let server = Server::new(sms.url(), Some(sms.process_id()))?;
        println!("{}", Run::HEADINGS);
        let mut first = None;
        for _ in 0..STEPS {
            let ask = || Presigned::json("/v1/challenges", Bytes::new());
            let mut requests: Vec<_> = (0..self.count / STEPS).map(|_| ask()).collect::<Result<_, _>>()?;
            let run = server.drive(usize::from(self.connections), Duration::from_mins(10), &mut requests).await?;
            println!("{run}");
            ensure!(run.statuses.keys().eq([&200]), "answers by status: {:?}", run.statuses);
            let resident = Usage::of(sms.process_id())?.resident_kib;
            first.get_or_insert(resident);
        }
        let (first, last) = (first.context("there was a first step")?, Usage::of(sms.process_id())?.resident_kib);
        println!("resident memory: {} MiB after the first tenth, {} MiB at the end", mib(first), mib(last));
        Ok(())
    }
}

#[derive(Args)]
pub(crate) struct Garbage {
    /// Garbage of each second
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    per_second: u32,
    /// Connections of those who send garbage
    #[arg(long = "garbage-connections", value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..=1024))]
    flooding: u16,
    /// Connections of the honest
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1024))]
    connections: u16,
    /// Length of the run with garbage, at most
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=60))]
    seconds: u32,
    /// Releases of the honest in each of the two runs, at most
    #[arg(long, value_name = "N", default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..=50_000))]
    releases: u32,
    #[command(flatten)]
    ours: Ours,
}

impl Garbage {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let mut task = Task::start(&self.ours).await?;
        let server = Server::new(task.sms.url(), Some(task.sms.process_id()))?;
        let connections = usize::from(self.connections);
        let mut requests = presigned(&task.requests(self.releases as usize).await?)?;
        println!("the honest alone\n{}", Run::HEADINGS);
        let alone = server.drive(connections, PATIENCE, &mut requests).await?;
        println!("{alone}");
        all_released(&alone)?;

        let garbage = garbage(&mut task).await?;
        let mut requests = presigned(&task.requests(self.releases as usize).await?)?;
        let length = Duration::from_secs(self.seconds.into());
        let wanted = self.per_second as usize * (self.seconds as usize + 2);
        let mut flood: Vec<_> = garbage.iter().cycle().take(wanted).cloned().collect();
        let flooding =
            server.drive_at(Some(self.per_second), usize::from(self.flooding), length + 2 * HEAD_START, &mut flood);
        let honest = async {
            tokio::time::sleep(HEAD_START).await;
            server.drive(connections, length, &mut requests).await
        };
        let (flooded, honest) = tokio::join!(flooding, honest);
        let (flooded, honest) = (flooded?, honest?);
        println!("the honest beside garbage\n{honest}\nthe garbage (what the service used is that of both)\n{flooded}");
        println!("answers to the honest by status: {:?}, to the garbage: {:?}", honest.statuses, flooded.statuses);
        let of = |status| honest.statuses.get(&status).copied().unwrap_or_default();
        ensure!(of(200) + of(503) == honest.requests(), "an honest release was refused");
        ensure!(of(200) > 0, "no honest release was served");
        ensure!(!flooded.statuses.contains_key(&200), "garbage was served");
        Ok(())
    }
}

/// What is refused at each step of a release: no JSON, a nonce of nobody, a session of nobody, a quote with a wrong bit.
async fn garbage(task: &mut Task) -> anyhow::Result<Vec<Presigned>> {
    let mut kinds = vec![Presigned::json("/v1/releases", Bytes::from_static(b"{\"session\":"))?];
    let honest = task.requests(64).await?;
    for request in &honest {
        let mut of_nobody = request.clone();
        of_nobody.nonce = format!("0x{}", "5a".repeat(32));
        let mut elsewhere = request.clone();
        elsewhere.session.replace_range(..10, "zzzzzzzzzz");
        let mut tampered = request.clone();
        // In the body of the quote, so that its form stays right and a signature is wrong.
        let changed = if &tampered.evidence[400..401] == "A" { "B" } else { "A" };
        tampered.evidence.replace_range(400..401, changed);
        kinds.extend(presigned(&[of_nobody, elsewhere, tampered])?);
    }
    Ok(kinds)
}
