//! Measurements: canonical bytes and text, each with exactly one form.

#![no_main]

use libfuzzer_sys::fuzz_target;
use strongroom_attest::Measurement;

fuzz_target!(|data: &[u8]| {
    if let Ok(measurement) = Measurement::from_canonical(data) {
        assert_eq!(measurement.to_canonical(), data);
        assert_eq!(measurement.to_string().parse(), Ok(measurement));
    }
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(measurement) = text.parse::<Measurement>()
    {
        assert!(measurement.to_string() == text || text.len() == 64);
        assert_eq!(Measurement::from_canonical(&measurement.to_canonical()), Ok(measurement));
    }
});
