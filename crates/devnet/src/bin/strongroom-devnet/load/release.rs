//! `load release`: secrets for simulated enclaves, each with a fresh TDX quote, over several numbers of connections.

use std::time::Duration;

use anyhow::ensure;
use clap::Args;
use strongroom_protocol::release::ReleaseRequest;

use super::Ours;
use super::drive::{Run, Server};
use super::presigned::Presigned;
use super::task::Task;
use super::usage::{Usage, median_sync};

/// Before the first figure is taken.
const WARM_UP: usize = 200;
/// Until all requests of a run are answered: a nonce serves two minutes, and they are not young when the run begins.
pub(super) const PATIENCE: Duration = Duration::from_secs(100);

#[derive(Args)]
pub(crate) struct Release {
    /// Numbers of connections, one run each
    #[arg(long, value_name = "N,...", value_delimiter = ',', default_value = "1,4,16,64")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=1024))]
    connections: Vec<u16>,
    /// Releases of each run; their quotes are made before, and must be used within two minutes
    #[arg(long, value_name = "N", default_value_t = 5_000, value_parser = clap::value_parser!(u32).range(1..=50_000))]
    releases: u32,
    #[command(flatten)]
    ours: Ours,
}

impl Release {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let mut task = Task::start(&self.ours).await?;
        let folder = task.sms.options().folder.clone();
        println!("4 KiB are durable on this disk after {:.3} ms (median)", median_sync(&folder)?.as_secs_f64() * 1e3);
        let process = task.sms.process_id();
        let server = Server::new(task.sms.url(), Some(process))?;
        let mut warm_up = presigned(&task.requests(WARM_UP).await?)?;
        all_released(&server.drive(4, PATIENCE, &mut warm_up).await?)?;
        println!("{}", Run::HEADINGS);
        let mut released = WARM_UP;
        for connections in &self.connections {
            let mut requests = presigned(&task.requests(self.releases as usize).await?)?;
            let run = server.drive(usize::from(*connections), PATIENCE, &mut requests).await?;
            println!("{run}");
            all_released(&run)?;
            released += run.requests();
        }
        let usage = Usage::of(process)?;
        println!(
            "after {released} releases the service has {} MiB, at most {}",
            mib(usage.resident_kib),
            mib(usage.peak_resident_kib)
        );
        let recorded = task.recorded().await?;
        ensure!(usize::try_from(recorded)? == released, "{recorded} entries in the journal for {released} releases");
        println!("the journal has an entry for each");
        Ok(())
    }
}

pub(super) fn presigned(requests: &[ReleaseRequest]) -> anyhow::Result<Vec<Presigned>> {
    let one = |request: &ReleaseRequest| Presigned::json("/v1/releases", serde_json::to_vec(request)?.into());
    requests.iter().map(one).collect()
}

/// A run in which something was refused says nothing.
pub(super) fn all_released(run: &Run) -> anyhow::Result<()> {
    ensure!(run.statuses.keys().eq([&200]), "not everything was released; answers by status: {:?}", run.statuses);
    Ok(())
}

pub(super) fn mib(kib: u64) -> String {
    format!("{}.{}", kib / 1024, kib % 1024 * 10 / 1024)
}
