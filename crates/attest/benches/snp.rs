//! Verifications of a real SEV-SNP report per second on one core, and the cost of refusing what is none.
//!
//! `cargo bench -p strongroom-attest --bench snp`. Aim: 1,000 verifications per second, garbage refused in under 5 µs.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use strongroom_attest::endorsements::AmdEndorsements;
use strongroom_attest::{Endorsements, Evidence, EvidenceKind, ExpectedBinding, TrustAnchors, verify};
use strongroom_protocol::UnixSeconds;

const REPORT: &[u8] = include_bytes!("../testdata/snp/milan_report.bin");
const VCEK: &[u8] = include_bytes!("../testdata/snp/milan_vcek.der");
const ASK: &[u8] = include_bytes!("../testdata/snp/milan_ask.der");
const NOW: UnixSeconds = UnixSeconds(1_740_000_000);

fn snp(criterion: &mut Criterion) {
    let anchors = TrustAnchors::production();
    let endorsements = AmdEndorsements::new(VCEK.to_vec(), ASK.to_vec(), None, NOW).expect("the fixtures are small");
    let endorsements = Endorsements::Amd(endorsements);
    let report_data = REPORT[0x50..0x90].try_into().expect("report data has 64 bytes");
    let binding = ExpectedBinding::new(report_data);
    let run = |document: &[u8]| {
        let evidence = Evidence::new(EvidenceKind::Snp, document.to_vec())?;
        verify(&evidence, &endorsements, &binding, &anchors, NOW)
    };
    let mut group = criterion.benchmark_group("snp");
    group.throughput(Throughput::Elements(1));
    group.bench_function("real report", |bencher| {
        assert!(run(REPORT).is_ok());
        bencher.iter(|| run(black_box(REPORT)));
    });
    let garbage = [0xa5; 1184];
    group.bench_function("garbage", |bencher| bencher.iter(|| run(black_box(&garbage))));
    let mut of_another_version = REPORT.to_vec();
    of_another_version[0] = 4;
    group.bench_function("report of unknown version", |bencher| bencher.iter(|| run(black_box(&of_another_version))));
    group.finish();
}

criterion_group!(benches, snp);
criterion_main!(benches);
