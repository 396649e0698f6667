//! A database of a million secrets: how long opening takes, and asking whether a secret exists.
//! `cargo bench -p strongroom-store --bench million`. Filling takes about a minute and 700 MB of disk.
#![allow(missing_docs, reason = "criterion makes functions without any")]

use std::sync::atomic::{AtomicU64, Ordering};

use criterion::{Criterion, criterion_group, criterion_main};
use strongroom_protocol::{Address, SecretId, SecretValue, Signature};
use strongroom_store::{RootKeySource, Store, StoreConfig};

const SECRETS: u64 = 1_000_000;
const CALLERS: u64 = 256;

/// Addresses in no order, as on a chain.
fn scattered(number: u64) -> SecretId {
    let mut bytes = [0; 20];
    bytes[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    bytes[12..].copy_from_slice(&number.to_be_bytes());
    SecretId::Dataset(Address::from(bytes))
}

async fn fill(store: &Store) {
    let mut signature = [1; 65];
    signature[64] = 27;
    let signature = Signature::from_bytes(&signature).expect("a valid signature");
    let tasks: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let store = store.clone();
            tokio::spawn(async move {
                for number in (caller..SECRETS).step_by(usize::try_from(CALLERS).expect("small")) {
                    let value = SecretValue::new(vec![0x5a; 64]).expect("a small value");
                    store.insert(scattered(number), value, signature).await.expect("stored");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("filled");
    }
}

#[allow(clippy::print_stderr, reason = "figures for people")]
fn a_million(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("runtime");
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder on the disk of the build");
    let config = StoreConfig { path: folder.path().join("secrets.sqlite3"), chain_id: 1 };
    let open = || Store::open(&config, RootKeySource::File(folder.path().join("root.key"))).expect("opened");
    let begun = std::time::Instant::now();
    let store = open();
    runtime.block_on(fill(&store));
    let size = |name: &str| std::fs::metadata(folder.path().join(name)).map_or(0, |file| file.len()) / 1_000_000;
    eprintln!(
        "{SECRETS} inserts by {CALLERS} callers in {:?}; database {} MB, log {} MB",
        begun.elapsed(),
        size("secrets.sqlite3"),
        size("secrets.sqlite3-wal")
    );

    let next = AtomicU64::new(0);
    let mut ask = |name: &str, offset: u64| {
        criterion.bench_function(name, |bencher| {
            bencher.iter(|| {
                let number = next.fetch_add(0x9_e377, Ordering::Relaxed) % SECRETS + offset;
                runtime.block_on(store.exists(&scattered(number))).expect("answered")
            });
        });
    };
    ask("a secret that exists", 0);
    ask("a secret that does not exist", SECRETS);
    runtime.block_on(store.close());
    criterion.bench_function("open and close", |bencher| {
        bencher.iter(|| {
            let store = open();
            assert_eq!(runtime.block_on(store.counts()).expect("counted").dataset, SECRETS);
            runtime.block_on(store.close());
        });
    });
}

criterion_group!(benches, a_million);
criterion_main!(benches);
