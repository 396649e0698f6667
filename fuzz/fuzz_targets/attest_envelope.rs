//! The JSON envelope of evidence: what is read is written and read again the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_attest::Evidence;

fuzz_target!(|envelope: &[u8]| {
    if let Ok(evidence) = Evidence::from_json(envelope) {
        assert_eq!(Evidence::from_json(&evidence.to_json()), Ok(evidence));
    }
});
