//! Nitro documents, verified whole. Nothing but the real document is accepted.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use strongroom_attest::{
    Endorsements, Evidence, EvidenceKind, ExpectedBinding, TrustAnchors, Verified, VerifyError, verify,
};
use strongroom_protocol::UnixSeconds;

const DOCUMENT: &[u8] = include_bytes!("../../crates/attest/testdata/nitro/document.cose");

static REAL: LazyLock<Verified> = LazyLock::new(|| judge(DOCUMENT).expect("the fixture verifies"));

fn judge(document: &[u8]) -> Result<Verified, VerifyError> {
    let evidence = Evidence::new(EvidenceKind::Nitro, document.to_vec())?;
    // The document states no user data.
    let binding = ExpectedBinding::new([0; 64]);
    verify(&evidence, &Endorsements::NotNeeded, &binding, &TrustAnchors::production(), UnixSeconds(1_736_179_625))
}

fuzz_target!(|document: &[u8]| {
    if let Ok(verified) = judge(document) {
        assert_eq!(verified, *REAL);
    }
});
