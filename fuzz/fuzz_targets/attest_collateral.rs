//! Intel's collateral: the JSON file, then its parts (texts, PEM, revocation lists), then their signatures.

#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_attest::TrustAnchors;
use strongroom_attest::endorsements::{IntelEndorsements, IntelParts};
use strongroom_protocol::UnixSeconds;

const REAL: &[u8] = include_bytes!("../../crates/attest/testdata/intel/tdx_quote_collateral.json");
const NOW: UnixSeconds = UnixSeconds(1_752_900_000);

fuzz_target!(|data: &[u8]| {
    if let Ok(parts) = IntelParts::from_json(data) {
        check(parts);
    }
    // One binary part replaced, the others real: reaches the decoders behind the JSON.
    if let Some((which, bytes)) = data.split_first() {
        let mut parts = IntelParts::from_json(REAL).expect("the fixture is well formed");
        match which % 4 {
            0 => parts.root_ca_crl = bytes.to_vec(),
            1 => parts.pck_crl = bytes.to_vec(),
            2 => parts.tcb_info = String::from_utf8_lossy(bytes).into_owned(),
            _ => parts.tcb_info_issuer_chain = String::from_utf8_lossy(bytes).into_owned(),
        }
        check(parts);
    }
});

fn check(parts: IntelParts) {
    if let Ok(set) = IntelEndorsements::new(parts, NOW) {
        let _ = set.check(&TrustAnchors::production(), NOW);
    }
}
