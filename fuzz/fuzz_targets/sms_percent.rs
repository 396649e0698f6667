//! Paths and queries of the service. The module is included as a file: the whole service would take minutes to build.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../crates/sms/src/http/percent.rs"]
mod percent;

fuzz_target!(|texts: (&str, &str)| {
    let (text, name) = texts;
    if percent::is_acceptable_path(text) {
        let lower = text.to_ascii_lowercase();
        assert!(!lower.contains("%2f") && !lower.contains("%5c") && !lower.contains("%00"));
        assert!(percent_encoding::percent_decode_str(text).decode_utf8().is_ok());
    }
    let _ = percent::query_parameter(Some(text), name);
    let query = url::form_urlencoded::Serializer::new(String::new()).append_pair(name, text).finish();
    assert_eq!(percent::query_parameter(Some(&query), name).as_deref(), Some(text));
});
