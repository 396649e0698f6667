//! TDX event logs against the registers of one guest. Accepted is only what tells the same.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use strongroom_attest::claims::MeasuredLog;
use strongroom_attest::event_log::{registers, replay};

const SEED: &[u8] = include_bytes!("../seeds/attest_event_log/guest.json");

static REAL: LazyLock<MeasuredLog> = LazyLock::new(|| {
    replay(SEED, &registers(SEED).expect("the seed is well formed")).expect("the seed explains its own registers")
});

fuzz_target!(|log: &[u8]| {
    let seed = registers(SEED).expect("the seed is well formed");
    if let Ok(told) = replay(log, &seed) {
        assert_eq!(told, *REAL);
    }
    // Past the replay too: a log against the registers it leads to itself.
    if let Ok(own) = registers(log) {
        let _ = replay(log, &own);
    }
});
