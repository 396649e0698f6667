//! How often and how much one verification of each kind allocates, with the real fixtures. Prints a table.
//!
//! `cargo bench -p strongroom-attest --bench allocations`

#![expect(clippy::print_stdout, reason = "a table is what this program is for")]

use strongroom_attest::endorsements::{AmdEndorsements, IntelEndorsements, IntelParts};
use strongroom_attest::{Endorsements, Evidence, EvidenceKind, ExpectedBinding, TrustAnchors, verify};
use strongroom_protocol::UnixSeconds;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

fn main() {
    let _profiler = dhat::Profiler::builder().testing().build();
    println!("{:<24} {:>8} {:>12}", "evidence", "blocks", "bytes");
    intel(
        "SGX version 3",
        EvidenceKind::Sgx,
        include_bytes!("../testdata/intel/sgx_quote.bin"),
        include_bytes!("../testdata/intel/sgx_quote_collateral.json"),
        UnixSeconds(1_752_900_000),
        48 + 320,
    );
    intel(
        "TDX version 4",
        EvidenceKind::Tdx,
        include_bytes!("../testdata/intel/tdx_quote.bin"),
        include_bytes!("../testdata/intel/tdx_quote_collateral.json"),
        UnixSeconds(1_752_900_000),
        48 + 520,
    );
    intel(
        "TDX version 5",
        EvidenceKind::Tdx,
        include_bytes!("../testdata/intel/tdx_quote_td15ex.bin"),
        include_bytes!("../testdata/intel/tdx_quote_td15ex_collateral.json"),
        UnixSeconds(1_793_900_000),
        54 + 520,
    );
    let report = include_bytes!("../testdata/snp/milan_report.bin");
    let now = UnixSeconds(1_740_000_000);
    let vcek = include_bytes!("../testdata/snp/milan_vcek.der").to_vec();
    let ask = include_bytes!("../testdata/snp/milan_ask.der").to_vec();
    let amd = AmdEndorsements::new(vcek, ask, None, now).expect("the fixtures are small");
    count("SEV-SNP", EvidenceKind::Snp, report, &Endorsements::Amd(amd), &report[0x50..0x90], now);
    let document = include_bytes!("../testdata/nitro/document.cose");
    count("Nitro", EvidenceKind::Nitro, document, &Endorsements::NotNeeded, &[0; 64], UnixSeconds(1_736_179_625));
}

fn intel(name: &str, kind: EvidenceKind, quote: &[u8], collateral: &[u8], now: UnixSeconds, report_data: usize) {
    let parts = IntelParts::from_json(collateral).expect("the fixture is well formed");
    let endorsements = IntelEndorsements::new(parts, now).expect("the fixture is well formed");
    let endorsements = Endorsements::Intel(endorsements);
    count(name, kind, quote, &endorsements, &quote[report_data..][..64], now);
    count("garbage of 5 kB", kind, &[0xa5; 5_000], &endorsements, &[0; 64], now);
}

fn count(
    name: &str,
    kind: EvidenceKind,
    document: &[u8],
    endorsements: &Endorsements,
    report_data: &[u8],
    now: UnixSeconds,
) {
    let evidence = Evidence::new(kind, document.to_vec()).expect("the fixture is within the caps");
    let binding = ExpectedBinding::new(report_data.try_into().expect("report data has 64 bytes"));
    let anchors = TrustAnchors::production();
    let before = dhat::HeapStats::get();
    let verified = verify(&evidence, endorsements, &binding, &anchors, now);
    let after = dhat::HeapStats::get();
    assert!(verified.is_ok() || name.starts_with("garbage"), "{name}: {verified:?}");
    println!(
        "{name:<24} {:>8} {:>12}",
        after.total_blocks - before.total_blocks,
        after.total_bytes - before.total_bytes,
    );
}
