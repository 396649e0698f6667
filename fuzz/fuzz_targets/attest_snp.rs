//! SEV-SNP reports, verified whole, and VCEKs in the place of the real one.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use strongroom_attest::endorsements::AmdEndorsements;
use strongroom_attest::{
    Endorsements, Evidence, EvidenceKind, ExpectedBinding, TrustAnchors, Verified, VerifyError, verify,
};
use strongroom_protocol::UnixSeconds;

const REPORT: &[u8] = include_bytes!("../../crates/attest/testdata/snp/milan_report.bin");
const VCEK: &[u8] = include_bytes!("../../crates/attest/testdata/snp/milan_vcek.der");
const ASK: &[u8] = include_bytes!("../../crates/attest/testdata/snp/milan_ask.der");
const NOW: UnixSeconds = UnixSeconds(1_740_000_000);

static REAL: LazyLock<Verified> = LazyLock::new(|| judge(REPORT, VCEK).expect("the fixture verifies"));

fn judge(report: &[u8], vcek: &[u8]) -> Result<Verified, VerifyError> {
    let endorsements = Endorsements::Amd(AmdEndorsements::new(vcek.to_vec(), ASK.to_vec(), None, NOW)?);
    let binding = ExpectedBinding::new(REPORT[0x50..0x90].try_into().expect("64 bytes"));
    let evidence = Evidence::new(EvidenceKind::Snp, report.to_vec())?;
    verify(&evidence, &endorsements, &binding, &TrustAnchors::production(), NOW)
}

fuzz_target!(|data: &[u8]| {
    if let Ok(verified) = judge(data, VCEK) {
        assert_eq!(verified, *REAL);
    }
    if let Ok(verified) = judge(REPORT, data) {
        assert_eq!(verified.claims().code, REAL.claims().code);
    }
});
