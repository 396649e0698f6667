//! How a secret might be written down by accident. Used by the tests of other crates too.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Every form in which the canary could be written down by accident.
pub(crate) fn forms(canary: &str) -> Vec<String> {
    let mut forms = vec![
        canary.to_owned(),
        hex::encode(canary),
        hex::encode_upper(canary),
        format!("{:?}", canary.as_bytes()).trim_matches(['[', ']']).to_owned(),
        canary.chars().rev().collect(),
    ];
    // Base64 at each of the three alignments, without the characters that depend on the neighbours.
    for shift in 0..3 {
        let encoded = STANDARD.encode([vec![b'.'; shift].as_slice(), canary.as_bytes()].concat());
        forms.push(encoded[4..encoded.len() - 4].to_owned());
    }
    forms
}

/// Asserts that no form is anywhere in `bytes`.
#[track_caller]
pub(crate) fn assert_absent(where_: &str, bytes: &[u8], forms: &[String]) {
    for form in forms {
        let found = bytes.windows(form.len()).any(|window| window == form.as_bytes());
        assert!(!found, "{form:?} is in {where_}");
    }
}
