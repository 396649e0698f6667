//! Policies as JSON: what is read is written and read again the same, and merges with itself into itself.

#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_attest::Policy;

fuzz_target!(|text: &[u8]| {
    if let Ok(policy) = serde_json::from_slice::<Policy>(text) {
        let written = serde_json::to_vec(&policy).expect("a policy always serialises");
        assert_eq!(serde_json::from_slice::<Policy>(&written).expect("what is written is read"), policy);
        assert_eq!(policy.stricter_of(&policy), policy);
        assert_eq!(policy.stricter_of(&Policy::unrestricted()), policy);
    }
});
