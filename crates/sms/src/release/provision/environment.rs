//! The variables of each stage as text, for keepers that know nothing but environments.

use std::collections::BTreeMap;

use strongroom_protocol::SigningKey;
use strongroom_protocol::bundle::{Stage, decode, fits_environment};
use strongroom_store::Opened;
use zeroize::Zeroizing;

use super::KeeperError;
use crate::release::deliver;

/// Variables by name, wiped when dropped.
pub(super) type Environment = BTreeMap<String, Zeroizing<String>>;

/// What was opened, by stage. Refuses values that are no environment strings: there are no files to put them into.
pub(super) fn environment_of(
    opened: &Opened,
    challenge_key: &SigningKey,
) -> Result<BTreeMap<Stage, Environment>, KeeperError> {
    let items = decode(&deliver::bundle(opened, challenge_key)).expect("what was encoded here is read here");
    let mut stages = BTreeMap::<Stage, Environment>::new();
    for item in items {
        let value = item.value.expose_secret();
        let text = std::str::from_utf8(value).ok().filter(|_| fits_environment(&item.name, value));
        let Some(text) = text else { return Err(KeeperError::NotEnvironment { name: item.name }) };
        stages.entry(item.stage).or_default().insert(item.name, Zeroizing::new(text.to_owned()));
    }
    Ok(stages)
}

/// Appends `text` as a JSON string, which is a double-quoted scalar of YAML too. Room must be there: a vector that grows
/// leaves a copy behind.
pub(super) fn push_quoted(out: &mut Zeroizing<Vec<u8>>, text: &str) {
    out.push(b'"');
    for character in text.chars() {
        match character {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            // YAML takes none of these unescaped, and JSON not the first.
            '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' => {
                out.extend_from_slice(format!("\\u{:04x}", u32::from(character)).as_bytes());
            }
            _ => out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

/// An empty buffer with room for a session of these stages: each character takes at most six bytes, and names, indentation
/// and the fixed parts their share.
pub(super) fn buffer_for(stages: &BTreeMap<Stage, Environment>, fixed: usize) -> Zeroizing<Vec<u8>> {
    let variables = stages.values().flatten();
    let room: usize = variables.map(|(name, value)| 6 * (name.len() + value.len()) + 32).sum();
    Zeroizing::new(Vec::with_capacity(6 * fixed + room + 8192))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_text_is_json_whatever_it_holds() {
        let all: String = (0..0x3000).filter_map(char::from_u32).chain(['\u{feff}', '😀', '\u{10ffff}']).collect();
        for text in ["", "plain", "a\"b\\c", "\n\t\0", &all] {
            let mut out = Zeroizing::new(Vec::new());
            push_quoted(&mut out, text);
            assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
            assert!(!out.iter().any(|byte| *byte < b' ' || *byte == 0x7f));
        }
    }
}
