//! Words of the command line that mean something: tags, named secrets.

use std::str::FromStr;

use strongroom_protocol::tag::Framework;
use strongroom_protocol::{B256, RequesterSecretName};

/// The tag of an order: `tee`, `scone`, `gramine`, `tdx`, `gpu`, joined by commas, or 0x and 64 hex digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TagWord(pub(crate) B256);

impl TagWord {
    /// An enclave of any kind.
    pub(crate) const TEE: u8 = 0x01;
    /// A graphics processor; in the last byte but one.
    const GPU: u8 = 0x01;

    /// The words for a tag.
    pub(crate) fn describe(tag: B256) -> String {
        let mut words = Vec::new();
        if tag[31] & Self::TEE != 0 {
            words.push("tee".to_owned());
        }
        let frameworks = Framework::ALL.into_iter().filter(|framework| tag[31] & bit_of(*framework) != 0);
        words.extend(frameworks.map(|framework| framework.name().to_lowercase()));
        if tag[30] & Self::GPU != 0 {
            words.push("gpu".to_owned());
        }
        if words.is_empty() { "none".to_owned() } else { words.join(",") }
    }
}

/// The bit of a framework in the last byte.
fn bit_of(framework: Framework) -> u8 {
    match framework {
        Framework::Scone => 0x02,
        Framework::Gramine => 0x04,
        Framework::Tdx => 0x08,
    }
}

impl FromStr for TagWord {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with("0x") {
            return text.parse().map(Self).map_err(|_| "a tag in hex is 0x and 64 digits".to_owned());
        }
        let mut tag = B256::ZERO;
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            match (word, Framework::from_name(word)) {
                ("none", _) => {}
                ("tee", _) => tag[31] |= Self::TEE,
                ("gpu", _) => tag[30] |= Self::GPU,
                // A framework without an enclave makes no sense.
                (_, Some(framework)) => tag[31] |= Self::TEE | bit_of(framework),
                (_, None) => return Err(format!("`{word}` is no tag; use tee, scone, gramine, tdx, gpu or none")),
            }
        }
        Ok(Self(tag))
    }
}

/// A requester secret for a task: `1=NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NamedSecret {
    /// The number under which the app sees it.
    pub(crate) index: u32,
    /// Its name at the SMS.
    pub(crate) name: RequesterSecretName,
}

impl FromStr for NamedSecret {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // The text is not repeated: it may be the secret itself.
        let wrong = || "write it as NUMBER=NAME, such as 1=api-key: the name, never the secret itself".to_owned();
        let (index, name) = text.split_once('=').ok_or_else(wrong)?;
        let index = index.parse().ok().filter(|index| *index > 0).ok_or_else(wrong)?;
        Ok(Self { index, name: name.parse().map_err(|_| wrong())? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_words_or_hex() {
        for (text, low, words) in [
            ("", 0, "none"),
            ("none", 0, "none"),
            ("tee", 1, "tee"),
            ("tee,tdx", 9, "tee,tdx"),
            ("TDX", 9, "tee,tdx"),
            ("tee, scone", 3, "tee,scone"),
            ("0x0000000000000000000000000000000000000000000000000000000000000005", 5, "tee,gramine"),
        ] {
            let tag: TagWord = text.parse().unwrap();
            assert_eq!((tag.0, TagWord::describe(tag.0).as_str()), (B256::with_last_byte(low), words), "{text}");
        }
        assert_eq!("gpu".parse::<TagWord>().unwrap().0[30], 1);
        for text in ["sgx", "0x09", "tee tdx"] {
            assert!(text.parse::<TagWord>().is_err(), "{text}");
        }
    }

    #[test]
    fn named_secrets_have_a_number_and_a_name() {
        let secret: NamedSecret = "2=my-key".parse().unwrap();
        assert_eq!((secret.index, secret.name.as_str()), (2, "my-key"));
        for text in ["0=a", "a", "1=", "1=a b", "-1=a", "x=a"] {
            assert!(text.parse::<NamedSecret>().is_err(), "{text}");
        }
    }
}
