//! `load fill`: a large database, and how the service does on it.

use std::time::{Duration, Instant};

use alloy_primitives::{Address, keccak256};
use anyhow::{Context, ensure};
use clap::Args;
use futures_util::{StreamExt, TryStreamExt, stream};
use strongroom_devnet::sms::{Sms, SmsOptions};
use strongroom_protocol::{SecretId, SecretValue, SigningKey};
use strongroom_store::{RootKeySource, Store, StoreConfig};

use super::drive::{Run, Server};
use super::presigned::{Presigned, dataset_path};
use super::{Ours, quiet_network};

/// Inserts under way at once: more than fit into one commit, so that the next one is ready when it ends.
const AT_ONCE: usize = 1_024;
/// How often the service is started; the median is told.
const STARTS: usize = 5;
/// Numbers of connections that ask.
const CONNECTIONS: [usize; 3] = [1, 16, 64];

#[derive(Args)]
pub(crate) struct Fill {
    /// How many secrets to put into the database, directly and not over HTTP
    #[arg(default_value_t = 1_000_000)]
    secrets: u64,
    /// Length of each value, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 64)]
    value_bytes: usize,
    /// Length of each run of questions, at most
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,
    /// Questions prepared for each second of a run; a run ends early when they are used up
    #[arg(long, value_name = "N", default_value_t = 30_000)]
    prepared_per_second: u32,
    #[command(flatten)]
    ours: Ours,
}

impl Fill {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        ensure!(self.secrets > 0, "nothing to fill in");
        let network = quiet_network().await?;
        let folder = self.ours.folder()?;
        let options = self.ours.options(folder.path())?;
        self.fill(&options, network.deployment().chain_id).await?;

        let mut sms = Sms::start(&network, options)?;
        let mut starts = vec![sms.start_up()];
        while starts.len() < STARTS {
            sms.restart()?;
            starts.push(sms.start_up());
        }
        starts.sort_unstable();
        println!("the service listened {} ms after its start (median of {STARTS})", starts[STARTS / 2].as_millis());

        let server = Server::new(sms.url(), Some(sms.process_id()))?;
        for (what, status, offset) in [("there", 204, 0), ("not there", 404, self.secrets)] {
            println!("HEAD of secrets that are {what}\n{}", Run::HEADINGS);
            for connections in CONNECTIONS {
                let mut questions = self.questions(offset)?;
                let limit = Duration::from_secs(self.seconds.into());
                let run = server.drive(connections, limit, &mut questions).await?;
                println!("{run}");
                ensure!(run.statuses.keys().eq([&status]), "answers by status: {:?}", run.statuses);
            }
        }
        Ok(())
    }

    /// Through the store itself: the same rows as pushed ones, without HTTP and signatures.
    async fn fill(&self, options: &SmsOptions, chain_id: u64) -> anyhow::Result<()> {
        let config = StoreConfig { path: options.database(), chain_id };
        let store = Store::open(&config, RootKeySource::File(options.root_key_file()))?;
        // Only secrets that can be replaced remember who signed.
        let signature = SigningKey::from_bytes(&[1; 32]).context("1 is a key")?.sign(keccak256("fill"));
        let begun = Instant::now();
        let inserts = stream::iter(0..self.secrets).map(|number| {
            let store = &store;
            async move {
                let value = SecretValue::new(vec![b'v'; self.value_bytes]).context("the value is too long")?;
                store.insert(SecretId::Dataset(scattered(number)), value, signature).await.context("inserting")
            }
        });
        inserts.buffer_unordered(AT_ONCE).try_collect::<()>().await?;
        let took = begun.elapsed();
        store.close().await;
        let bytes = std::fs::metadata(&config.path).context("looking at the database")?.len();
        println!(
            "{} secrets were inserted in {:.1} s; the database has {} MiB",
            self.secrets,
            took.as_secs_f64(),
            bytes >> 20
        );
        Ok(())
    }

    /// Questions about secrets all over the database, beginning with number `offset`.
    fn questions(&self, offset: u64) -> anyhow::Result<Vec<Presigned>> {
        // An odd step that is far from every power of two: it comes back only after all have been asked.
        let step = (0x9e37_79b9 % self.secrets) | 1;
        let numbers =
            (0..u64::from(self.seconds) * u64::from(self.prepared_per_second)).map(|n| n * step % self.secrets);
        numbers.map(|number| Presigned::head(&dataset_path(scattered(offset + number)))).collect()
    }
}

/// Addresses in no order, as on a chain: successive numbers fall on different pages of the index.
fn scattered(number: u64) -> Address {
    Address::from_word(keccak256(number.to_be_bytes()))
}
