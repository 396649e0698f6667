//! Texts of clients: signatures, addresses, ids and names. What is read is written and read again the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_protocol::{AccountSecretName, B256, RequesterSecretName, Signature, TaskId, address};

fuzz_target!(|text: &str| {
    if let Ok(signature) = text.parse::<Signature>() {
        assert_eq!(signature.to_string().parse(), Ok(signature));
        let _ = signature.recover(B256::repeat_byte(1));
    }
    if let Ok(read) = address::parse_any_case(text) {
        assert_eq!(address::parse_checked(&address::checksummed(&read)), Ok(read));
    }
    if let Ok(task) = text.parse::<TaskId>() {
        assert_eq!(task.to_string().parse(), Ok(task));
    }
    if let Ok(name) = text.parse::<RequesterSecretName>() {
        assert_eq!(name.as_str(), text);
    }
    if let Ok(name) = text.parse::<AccountSecretName>() {
        assert!(!name.as_str().is_empty());
    }
});
