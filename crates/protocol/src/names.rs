//! What requesters and account owners call their secrets.

use std::fmt;
use std::str::FromStr;

/// The text is not the name of a requester secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("name of a requester secret must be 1 to 64 characters from 0-9, A-Z, a-z, - and _")]
pub struct ParseRequesterSecretNameError;

/// Names a secret of a requester: `^[0-9A-Za-z_-]{1,64}$`, case-sensitive.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequesterSecretName(String);

impl RequesterSecretName {
    /// The name as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RequesterSecretName {
    type Err = ParseRequesterSecretNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if text.is_empty() || text.len() > 64 || !text.bytes().all(allowed) {
            return Err(ParseRequesterSecretNameError);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for RequesterSecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The text is not the name of an account secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("name of an account secret must be 1 to {} characters", AccountSecretName::MAX_CHARS)]
pub struct ParseAccountSecretNameError;

/// Names a secret of an account (iExec calls these "web2"): any text of 1 to 255 characters, folded to lower case for
/// storage. The signed challenge uses the name exactly as it was sent, so keep the text for [`crate::challenge`].
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountSecretName(String);

impl AccountSecretName {
    /// Longest name, in Unicode scalar values.
    pub const MAX_CHARS: usize = 255;
    /// The RSA key for which results are encrypted.
    pub const RESULT_ENCRYPTION_KEY: &'static str = "iexec-result-encryption-public-key";
    /// A requester's Dropbox token.
    pub const DROPBOX_TOKEN: &'static str = "iexec-result-dropbox-token";
    /// The result-proxy token of a worker or a requester.
    pub const RESULT_PROXY_TOKEN: &'static str = "iexec-result-iexec-ipfs-token";
    /// Where a workerpool owner wants results uploaded.
    pub const RESULT_PROXY_URL: &'static str = "iexec-result-iexec-result-proxy-url";

    /// The folded name, as storage knows it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AccountSecretName {
    type Err = ParseAccountSecretNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() || text.chars().count() > Self::MAX_CHARS {
            return Err(ParseAccountSecretNameError);
        }
        Ok(Self(text.to_lowercase()))
    }
}

impl fmt::Display for AccountSecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requester_names_are_exactly_the_documented_alphabet() {
        for code in 0..=0x2ff {
            let text = char::from_u32(code).unwrap().to_string();
            let expected = code < 128 && (text.as_bytes()[0].is_ascii_alphanumeric() || "-_".contains(&text));
            assert_eq!(text.parse::<RequesterSecretName>().is_ok(), expected, "U+{code:04X}");
        }
    }

    #[test]
    fn requester_names_are_one_to_sixty_four_characters_and_keep_their_case() {
        for (length, valid) in [(0, false), (1, true), (64, true), (65, false)] {
            assert_eq!("A".repeat(length).parse::<RequesterSecretName>().is_ok(), valid, "{length} characters");
        }
        assert_ne!("Name".parse::<RequesterSecretName>(), "name".parse());
    }

    #[test]
    fn account_names_are_folded_and_bounded() {
        let name: AccountSecretName = "IEXEC-Result-Dropbox-Token".parse().unwrap();
        assert_eq!(name.as_str(), AccountSecretName::DROPBOX_TOKEN);
        for (length, valid) in [(0, false), (1, true), (255, true), (256, false)] {
            assert_eq!("é".repeat(length).parse::<AccountSecretName>().is_ok(), valid, "{length} characters");
        }
    }
}
