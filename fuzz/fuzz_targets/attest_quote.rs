//! SGX and TDX quotes, verified whole. Accepted is only what proves the same as one of the real quotes.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use strongroom_attest::endorsements::{IntelEndorsements, IntelParts};
use strongroom_attest::{Claims, Endorsements, Evidence, EvidenceKind, ExpectedBinding, TrustAnchors, verify};
use strongroom_protocol::UnixSeconds;

struct Real {
    kind: EvidenceKind,
    endorsements: Endorsements,
    binding: ExpectedBinding,
    now: UnixSeconds,
    claims: Claims,
}

impl Real {
    fn new(kind: EvidenceKind, quote: &[u8], collateral: &[u8], now: u64, report_data: usize) -> Self {
        let now = UnixSeconds(now);
        let parts = IntelParts::from_json(collateral).expect("the fixture is well formed");
        let endorsements = Endorsements::Intel(IntelEndorsements::new(parts, now).expect("the fixture is well formed"));
        let binding = ExpectedBinding::new(quote[report_data..][..64].try_into().expect("64 bytes"));
        let evidence = Evidence::new(kind, quote.to_vec()).expect("the fixture is within the caps");
        let verified = verify(&evidence, &endorsements, &binding, &TrustAnchors::production(), now);
        let claims = verified.expect("the fixture verifies").claims().clone();
        Self { kind, endorsements, binding, now, claims }
    }
}

/// By version: 3, 4, 5.
static REAL: LazyLock<[Real; 3]> = LazyLock::new(|| {
    [
        Real::new(
            EvidenceKind::Sgx,
            include_bytes!("../../crates/attest/testdata/intel/sgx_quote.bin"),
            include_bytes!("../../crates/attest/testdata/intel/sgx_quote_collateral.json"),
            1_752_900_000,
            48 + 320,
        ),
        Real::new(
            EvidenceKind::Tdx,
            include_bytes!("../../crates/attest/testdata/intel/tdx_quote.bin"),
            include_bytes!("../../crates/attest/testdata/intel/tdx_quote_collateral.json"),
            1_752_900_000,
            48 + 520,
        ),
        Real::new(
            EvidenceKind::Tdx,
            include_bytes!("../../crates/attest/testdata/intel/tdx_quote_td15ex.bin"),
            include_bytes!("../../crates/attest/testdata/intel/tdx_quote_td15ex_collateral.json"),
            1_793_900_000,
            54 + 520,
        ),
    ]
});

fuzz_target!(|quote: &[u8]| {
    let real = match quote.first() {
        Some(3) => &REAL[0],
        Some(4) => &REAL[1],
        _ => &REAL[2],
    };
    let Ok(evidence) = Evidence::new(real.kind, quote.to_vec()) else { return };
    if let Ok(verified) = verify(&evidence, &real.endorsements, &real.binding, &TrustAnchors::production(), real.now) {
        assert_eq!(*verified.claims(), real.claims);
    }
});
