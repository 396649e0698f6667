//! Durable inserts per second: small secrets, one caller after another's answer, on as many tasks as the name says.
//! `cargo bench -p strongroom-store`. The figures include sealing, queueing, the commit and its sync to the disk.
#![allow(missing_docs, reason = "criterion makes functions without any")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use strongroom_protocol::{Address, SecretId, SecretValue, Signature};
use strongroom_store::{RootKeySource, Store, StoreConfig};

/// Next number of a secret, so that every insert is new.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Addresses in no order, as on a chain: successive numbers fall on different pages of the index.
fn scattered(number: u64) -> Address {
    let mut bytes = [0; 20];
    bytes[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    bytes[12..].copy_from_slice(&number.to_be_bytes());
    Address::from(bytes)
}

fn signature() -> Signature {
    let mut bytes = [1; 65];
    bytes[64] = 27;
    Signature::from_bytes(&bytes).expect("a valid signature")
}

async fn push(store: &Store) {
    let id = SecretId::Dataset(scattered(NEXT.fetch_add(1, Ordering::Relaxed)));
    let value = SecretValue::new(vec![0x5a; 64]).expect("a small value");
    store.insert(id, value, signature()).await.expect("stored");
}

/// Time of `pushes` inserts by `callers` tasks; also the slowest of a thousand, for the report.
async fn load(store: &Store, callers: u64, pushes: u64) -> (Duration, Vec<Duration>) {
    let begun = Instant::now();
    let tasks: Vec<_> = (0..callers)
        .map(|caller| {
            let store = store.clone();
            let share = pushes / callers + u64::from(caller < pushes % callers);
            tokio::spawn(async move {
                let mut waits = Vec::new();
                for _ in 0..share {
                    let begun = Instant::now();
                    push(&store).await;
                    waits.push(begun.elapsed());
                }
                waits
            })
        })
        .collect();
    let mut waits = Vec::new();
    for task in tasks {
        waits.extend(task.await.expect("pushed"));
    }
    (begun.elapsed(), waits)
}

#[allow(clippy::print_stderr, reason = "figures for people")]
fn inserts(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("runtime");
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder on the disk of the build");
    let config = StoreConfig { path: folder.path().join("secrets.sqlite3"), chain_id: 1 };
    let store = Store::open(&config, RootKeySource::File(folder.path().join("root.key"))).expect("opened");

    let mut group = criterion.benchmark_group("durable inserts");
    for callers in [1, 16, 64, 256] {
        group.throughput(Throughput::Elements(1));
        let mut waits = Vec::new();
        group.bench_function(BenchmarkId::from_parameter(callers), |bencher| {
            bencher.iter_custom(|pushes| {
                let (elapsed, measured) = runtime.block_on(load(&store, callers, pushes));
                waits.extend(measured);
                elapsed
            });
        });
        waits.sort_unstable();
        let at = |percent: usize| waits.get(waits.len() * percent / 100).copied().unwrap_or_default();
        eprintln!("{callers} callers: p50 {:?}, p99 {:?}, of {} inserts", at(50), at(99), waits.len());
    }
    group.finish();
    runtime.block_on(store.close());
}

criterion_group!(benches, inserts);
criterion_main!(benches);
