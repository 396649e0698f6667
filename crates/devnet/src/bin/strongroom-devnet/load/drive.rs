//! Sends prepared requests over a fixed number of connections, each waiting for its answer before it sends the next, and
//! measures every answer.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use http_body_util::BodyExt;
use hyper::client::conn::http1;
use hyper::header::HeaderValue;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::LocalSet;

use super::presigned::Presigned;
use super::usage::Usage;

/// What a run came to.
pub(crate) struct Run {
    connections: usize,
    elapsed: Duration,
    /// Sorted.
    latencies: Vec<Duration>,
    /// Answers by status.
    pub(crate) statuses: BTreeMap<u16, usize>,
    server: Option<(Usage, Usage)>,
    client: (Usage, Usage),
}

/// Whom to ask.
pub(crate) struct Server {
    /// Host and port.
    authority: String,
    /// Its process, when it runs on this machine.
    process: Option<u32>,
}

impl Server {
    /// `url` is that of a service without TLS, such as `http://127.0.0.1:13300`.
    pub(crate) fn new(url: &str, process: Option<u32>) -> anyhow::Result<Self> {
        let authority = url.strip_prefix("http://").context("the URL must begin with http://")?;
        let authority = authority.trim_end_matches('/').to_owned();
        ensure!(!authority.contains('/'), "the URL must be scheme, host and port only");
        Ok(Self { authority, process })
    }

    fn usage(&self) -> anyhow::Result<Option<Usage>> {
        self.process.map(Usage::of).transpose()
    }

    /// Sends `requests` until there are none left or `limit` is over; those left stay.
    pub(crate) async fn drive(
        &self,
        connections: usize,
        limit: Duration,
        requests: &mut Vec<Presigned>,
    ) -> anyhow::Result<Run> {
        self.drive_at(None, connections, limit, requests).await
    }

    /// The same with at most `per_second` requests begun in each second, evenly spread.
    pub(crate) async fn drive_at(
        &self,
        per_second: Option<u32>,
        connections: usize,
        limit: Duration,
        requests: &mut Vec<Presigned>,
    ) -> anyhow::Result<Run> {
        let pace = Rc::new(Pace::new(per_second));
        let left = Rc::new(RefCell::new(std::mem::take(requests)));
        let local = LocalSet::new();
        let mut open = Vec::new();
        for _ in 0..connections {
            open.push(local.run_until(Connection::open(&self.authority)).await?);
        }
        let (server_before, client_before) = (self.usage()?, Usage::own()?);
        let begun = Instant::now();
        let deadline = begun + limit;
        let busy: Vec<_> = open
            .into_iter()
            .map(|connection| local.spawn_local(connection.work(Rc::clone(&left), Rc::clone(&pace), deadline)))
            .collect();
        let measured = local.run_until(futures_util::future::try_join_all(busy)).await?;
        let elapsed = begun.elapsed();
        let (server_after, client_after) = (self.usage()?, Usage::own()?);

        let mut run = Run {
            connections,
            elapsed,
            latencies: Vec::new(),
            statuses: BTreeMap::new(),
            server: server_before.zip(server_after),
            client: (client_before, client_after),
        };
        for one in measured {
            let one = one?;
            run.latencies.extend(one.latencies);
            for (status, count) in one.statuses {
                *run.statuses.entry(status).or_default() += count;
            }
        }
        ensure!(!run.latencies.is_empty(), "nothing was answered");
        run.latencies.sort_unstable();
        *requests = left.take();
        Ok(run)
    }
}

struct Connection {
    sender: http1::SendRequest<http_body_util::Full<bytes::Bytes>>,
    host: HeaderValue,
}

/// When the next request may begin.
struct Pace {
    next: Cell<Instant>,
    between: Option<Duration>,
}

impl Pace {
    fn new(per_second: Option<u32>) -> Self {
        Self { next: Cell::new(Instant::now()), between: per_second.map(|rate| Duration::from_secs(1) / rate.max(1)) }
    }

    /// Waits for the next place in the row. Places that were missed while the machine was busy are made up for.
    async fn turn(&self) {
        if let Some(between) = self.between {
            let mine = self.next.get();
            self.next.set(mine + between);
            tokio::time::sleep_until(mine.into()).await;
        }
    }
}

#[derive(Default)]
struct Measured {
    latencies: Vec<Duration>,
    statuses: BTreeMap<u16, usize>,
}

impl Connection {
    async fn open(authority: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(authority).await.with_context(|| format!("connecting to {authority}"))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // Its failure is also that of the request, where it is reported.
        tokio::task::spawn_local(async { drop(connection.await) });
        Ok(Self { sender, host: HeaderValue::from_str(authority)? })
    }

    async fn work(
        mut self,
        left: Rc<RefCell<Vec<Presigned>>>,
        pace: Rc<Pace>,
        deadline: Instant,
    ) -> anyhow::Result<Measured> {
        let mut measured = Measured::default();
        while Instant::now() < deadline {
            pace.turn().await;
            let Some(next) = left.borrow_mut().pop() else { break };
            let request = next.into_request(&self.host);
            self.sender.ready().await?;
            let begun = Instant::now();
            let response = self.sender.send_request(request).await.context("the service hung up")?;
            let status = response.status().as_u16();
            response.into_body().collect().await.context("the service hung up")?;
            measured.latencies.push(begun.elapsed());
            *measured.statuses.entry(status).or_default() += 1;
        }
        Ok(measured)
    }
}

impl Run {
    /// Heads the columns of what [`fmt::Display`] gives.
    pub(crate) const HEADINGS: &str = "connections  requests    per s    p50 ms    p99 ms    max ms  \
                                       server µs/request  client µs/request  server MiB now, peak";

    pub(crate) fn requests(&self) -> usize {
        self.latencies.len()
    }

    fn per_second(&self) -> f64 {
        count(self.requests()) / self.elapsed.as_secs_f64()
    }

    /// Nearest rank.
    fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.latencies.len() * percent).div_ceil(100).max(1);
        self.latencies[rank - 1]
    }

    fn micros_per_request(&self, (before, after): (Usage, Usage)) -> f64 {
        after.cpu.saturating_sub(before.cpu).as_secs_f64() * 1e6 / count(self.requests())
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
        write!(
            f,
            "{:>11}  {:>8}  {:>7.0}  {:>8.2}  {:>8.2}  {:>8.2}",
            self.connections,
            self.requests(),
            self.per_second(),
            ms(self.percentile(50)),
            ms(self.percentile(99)),
            ms(self.percentile(100)),
        )?;
        match self.server {
            Some(usage) => write!(f, "  {:>17.0}", self.micros_per_request(usage))?,
            None => write!(f, "  {:>17}", "-")?,
        }
        write!(f, "  {:>17.0}", self.micros_per_request(self.client))?;
        match self.server {
            Some((_, after)) => write!(f, "  {:>11}, {:>6}", after.resident_kib / 1024, after.peak_resident_kib / 1024),
            None => write!(f, "  {:>11}, {:>6}", "-", "-"),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of requests are far below 2^52")]
fn count(number: usize) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let usage = Usage { cpu: Duration::ZERO, resident_kib: 0, peak_resident_kib: 0 };
        let run = Run {
            connections: 1,
            elapsed: Duration::from_secs(1),
            latencies: (1..=200).map(Duration::from_millis).collect(),
            statuses: BTreeMap::new(),
            server: None,
            client: (usage, usage),
        };
        let percentiles = [1, 50, 99, 100].map(|percent| run.percentile(percent).as_millis());
        assert_eq!(percentiles, [2, 100, 198, 200]);
    }
}
