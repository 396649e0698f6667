//! The networks that the command knows: three ready ones and those that the user describes in the settings file.
//! Names, checks and their TOML form; files are the business of [`crate::config`].

use std::fmt;
use std::str::FromStr;

use alloy_primitives::address;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use strongroom_protocol::Address;
use strongroom_protocol::address::{checksummed, parse_checked};
use url::{Host, Url};

/// Names a network: `^[a-z0-9][a-z0-9-]{0,31}$`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct ChainName(String);

/// The text is not a name for a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("name of a network must be 1 to 32 lower-case letters, digits and hyphens, and not start with a hyphen")]
pub(crate) struct ParseChainNameError;

impl ChainName {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ChainName {
    type Err = ParseChainNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if text.is_empty() || text.len() > 32 || text.starts_with('-') || !text.bytes().all(allowed) {
            return Err(ParseChainNameError);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for ChainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ChainName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A network with PoCo contracts and an SMS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChainEntry {
    /// Number of the chain.
    pub(crate) chain_id: u64,
    /// The PoCo hub. EIP-55 in the file, checked when mixed case.
    #[serde(serialize_with = "write_address", deserialize_with = "read_address")]
    pub(crate) hub: Address,
    /// JSON-RPC endpoints.
    pub(crate) rpc: Vec<Url>,
    /// Root of the SMS.
    pub(crate) sms: Url,
    /// Secrets may go over plain HTTP to another machine. Default false.
    #[serde(default)]
    pub(crate) danger_plain_http: bool,
}

impl ChainEntry {
    /// The networks that need no description, by name.
    pub(crate) fn built_in() -> [(ChainName, Self); 3] {
        let chain = |name: &str, chain_id, hub, rpc: &str, sms: &str| {
            let url = |text: &str| Url::parse(text).expect("the addresses below are well-formed");
            let name = name.parse().expect("the names below follow the rule");
            (name, Self { chain_id, hub, rpc: vec![url(rpc)], sms: url(sms), danger_plain_http: false })
        };
        [
            chain(
                "arbitrum-one",
                42_161,
                address!("098bFCb1E50ebcA0BaA92C12eA0c3F045A1aD9f0"),
                "https://arb1.arbitrum.io/rpc",
                "https://sms.arbitrum-mainnet.iex.ec",
            ),
            chain(
                "arbitrum-sepolia",
                421_614,
                address!("B2157BF2fAb286b2A4170E3491Ac39770111Da3E"),
                "https://sepolia-rollup.arbitrum.io/rpc",
                "https://sms.arbitrum-sepolia-testnet.iex.ec",
            ),
            chain(
                "devnet",
                65_535,
                address!("5FC8d32690cc91D4c39d9d3abcBD16989F875707"),
                "http://127.0.0.1:8545",
                "http://127.0.0.1:13300",
            ),
        ]
    }

    /// Whether secrets may be sent to this network's SMS as it is described.
    pub(crate) fn check(&self) -> Result<(), SmsUrlError> {
        check_sms_url(&self.sms, self.danger_plain_http)
    }
}

/// Why no secret is sent to an SMS at this URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SmsUrlError {
    /// Neither HTTP nor HTTPS.
    #[error("the URL of the SMS must start with https:// (or http:// on this machine)")]
    WrongScheme,
    /// A path, query or fragment. Stock clients drop them silently, so such an SMS could not be shared.
    #[error("the URL of the SMS must be scheme, host and port only, without a path, query or fragment")]
    NotARoot,
    /// User name or password.
    #[error("the URL of the SMS must not contain a user name or password")]
    Credentials,
    /// HTTP to another machine.
    #[error("the SMS is on another machine and does not use TLS: everybody on the way could read the secrets")]
    PlainHttp,
}

/// The SMS must own the root of its origin, and secrets leave this machine only over TLS unless the danger was accepted.
pub(crate) fn check_sms_url(url: &Url, danger_plain_http: bool) -> Result<(), SmsUrlError> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(SmsUrlError::WrongScheme);
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Err(SmsUrlError::NotARoot);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(SmsUrlError::Credentials);
    }
    if url.scheme() == "http" && !danger_plain_http && !is_this_machine(url) {
        return Err(SmsUrlError::PlainHttp);
    }
    Ok(())
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn write_address<S: Serializer>(address: &Address, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&checksummed(address))
}

fn read_address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Address, D::Error> {
    parse_checked(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ready_networks_may_be_used_as_they_are() {
        for (name, chain) in ChainEntry::built_in() {
            assert_eq!(chain.check(), Ok(()), "{name}");
        }
    }

    #[test]
    fn secrets_leave_this_machine_only_over_tls_unless_the_danger_was_accepted() {
        for (url, expected) in [
            ("https://sms.example.org", Ok(())),
            ("http://127.0.0.1:13300", Ok(())),
            ("http://127.200.0.1", Ok(())),
            ("http://localhost:13300/", Ok(())),
            ("http://[::1]:13300", Ok(())),
            ("http://sms.example.org", Err(SmsUrlError::PlainHttp)),
            ("http://localhost.example.org", Err(SmsUrlError::PlainHttp)),
            ("http://10.0.0.1:13300", Err(SmsUrlError::PlainHttp)),
            ("ftp://sms.example.org", Err(SmsUrlError::WrongScheme)),
            ("https://sms.example.org/sms", Err(SmsUrlError::NotARoot)),
            ("https://sms.example.org/?a", Err(SmsUrlError::NotARoot)),
            ("https://sms.example.org/#a", Err(SmsUrlError::NotARoot)),
            ("https://user@sms.example.org", Err(SmsUrlError::Credentials)),
        ] {
            assert_eq!(check_sms_url(&Url::parse(url).unwrap(), false), expected, "{url}");
        }
        assert_eq!(check_sms_url(&Url::parse("http://10.0.0.1:13300").unwrap(), true), Ok(()));
    }

    #[test]
    fn names_are_short_and_plain() {
        for (text, valid) in [("a", true), ("my-net-2", true), ("", false), ("-a", false), ("A", false), ("a.b", false)]
        {
            assert_eq!(text.parse::<ChainName>().is_ok(), valid, "{text}");
        }
        assert!("a".repeat(32).parse::<ChainName>().is_ok());
        assert!("a".repeat(33).parse::<ChainName>().is_err());
    }
}
