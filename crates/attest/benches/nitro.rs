//! Verifications of a real Nitro document per second on one core, and the cost of refusing what is none.
//!
//! `cargo bench -p strongroom-attest --bench nitro`. Aim: 250 verifications per second, garbage refused in under 5 µs.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use strongroom_attest::{Endorsements, Evidence, EvidenceKind, ExpectedBinding, TrustAnchors, verify};
use strongroom_protocol::UnixSeconds;

const DOCUMENT: &[u8] = include_bytes!("../testdata/nitro/document.cose");
const NOW: UnixSeconds = UnixSeconds(1_736_179_625);

fn nitro(criterion: &mut Criterion) {
    let anchors = TrustAnchors::production();
    // The document states no user data.
    let binding = ExpectedBinding::new([0; 64]);
    let run = |document: &[u8]| {
        let evidence = Evidence::new(EvidenceKind::Nitro, document.to_vec())?;
        verify(&evidence, &Endorsements::NotNeeded, &binding, &anchors, NOW)
    };
    let mut group = criterion.benchmark_group("nitro");
    group.throughput(Throughput::Elements(1));
    group.bench_function("real document", |bencher| {
        assert!(run(DOCUMENT).is_ok());
        bencher.iter(|| run(black_box(DOCUMENT)));
    });
    for (name, garbage) in [
        ("garbage of 5 kB", vec![0xa5; 5_000]),
        ("document cut in half", DOCUMENT[..DOCUMENT.len() / 2].to_vec()),
        ("16 kB of nested arrays", vec![0x81; 16 * 1024]),
        ("16 kB of small items", [&[0x99, 0x3f, 0xfd][..], &[0; 16 * 1024 - 3]].concat()),
    ] {
        group.bench_function(name, |bencher| {
            assert!(run(&garbage).is_err());
            bencher.iter(|| run(black_box(&garbage)));
        });
    }
    group.finish();
}

criterion_group!(benches, nitro);
criterion_main!(benches);
