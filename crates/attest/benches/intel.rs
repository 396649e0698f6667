//! Verifications of real SGX and TDX quotes per second on one core, and the cost of refusing what is none.
//!
//! `cargo bench -p strongroom-attest --bench intel`. Aims: 1,400 SGX and 1,300 TDX version 4 verifications per second, garbage
//! refused in under 5 µs.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use strongroom_attest::endorsements::{IntelEndorsements, IntelParts};
use strongroom_attest::{Endorsements, Evidence, EvidenceKind, ExpectedBinding, TrustAnchors, verify};
use strongroom_protocol::UnixSeconds;

struct Real {
    name: &'static str,
    kind: EvidenceKind,
    quote: &'static [u8],
    collateral: &'static [u8],
    now: UnixSeconds,
    report_data: usize,
}

const REAL: [Real; 3] = [
    Real {
        name: "SGX version 3",
        kind: EvidenceKind::Sgx,
        quote: include_bytes!("../testdata/intel/sgx_quote.bin"),
        collateral: include_bytes!("../testdata/intel/sgx_quote_collateral.json"),
        now: UnixSeconds(1_752_900_000),
        report_data: 48 + 320,
    },
    Real {
        name: "TDX version 4",
        kind: EvidenceKind::Tdx,
        quote: include_bytes!("../testdata/intel/tdx_quote.bin"),
        collateral: include_bytes!("../testdata/intel/tdx_quote_collateral.json"),
        now: UnixSeconds(1_752_900_000),
        report_data: 48 + 520,
    },
    Real {
        name: "TDX version 5",
        kind: EvidenceKind::Tdx,
        quote: include_bytes!("../testdata/intel/tdx_quote_td15ex.bin"),
        collateral: include_bytes!("../testdata/intel/tdx_quote_td15ex_collateral.json"),
        now: UnixSeconds(1_793_900_000),
        report_data: 54 + 520,
    },
];

fn intel(criterion: &mut Criterion) {
    let anchors = TrustAnchors::production();
    let mut group = criterion.benchmark_group("intel");
    group.throughput(Throughput::Elements(1));
    for real in &REAL {
        let parts = IntelParts::from_json(real.collateral).expect("the fixture is well formed");
        let endorsements = IntelEndorsements::new(parts.clone(), real.now).expect("the fixture is well formed");
        group.bench_function(format!("{}: endorsements parsed", real.name), |bencher| {
            bencher.iter(|| IntelEndorsements::new(black_box(parts.clone()), real.now));
        });
        let endorsements = Endorsements::Intel(endorsements);
        let report_data = real.quote[real.report_data..][..64].try_into().expect("report data has 64 bytes");
        let binding = ExpectedBinding::new(report_data);
        let run = |quote: &[u8]| {
            let evidence = Evidence::new(real.kind, quote.to_vec())?;
            verify(&evidence, &endorsements, &binding, &anchors, real.now)
        };
        assert!(run(real.quote).is_ok());
        group.bench_function(real.name, |bencher| bencher.iter(|| run(black_box(real.quote))));

        let mut another_body = real.quote.to_vec();
        another_body[real.report_data] ^= 1;
        let mut longer = real.quote.to_vec();
        longer.push(1);
        for (what, garbage) in [
            ("garbage of 5 kB", vec![0xa5; 5_000]),
            ("cut in half", real.quote[..real.quote.len() / 2].to_vec()),
            ("followed by a byte", longer),
            ("changed body", another_body),
        ] {
            assert!(run(&garbage).is_err());
            group.bench_function(format!("{}: {what}", real.name), |bencher| bencher.iter(|| run(black_box(&garbage))));
        }
    }
    group.finish();
}

criterion_group!(benches, intel);
criterion_main!(benches);
