//! The networks that the command knows: three ready ones and those that the user describes in the settings file.
//! Names, checks and their TOML form; files are the business of [`crate::config`].

use std::fmt;
use std::str::FromStr;

use alloy_primitives::address;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use strongroom_protocol::Address;
use strongroom_protocol::address::{checksummed, parse_checked};
use url::{Host, Url};

/// How the network on this machine is called.
pub(crate) const DEVNET: &str = "devnet";

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
    /// Root of the order book.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) market: Option<Url>,
    /// Where files of IPFS are read: below `/ipfs/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ipfs_gateway: Option<Url>,
    /// Where files are put on IPFS: the API of a node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ipfs_node: Option<Url>,
    /// Keeps results on their way to IPFS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) result_proxy: Option<Url>,
    /// Tells where the schedulers of workerpools answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) compass: Option<Url>,
    /// The workerpool to use when none is named.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "write_some_address",
        deserialize_with = "read_some_address"
    )]
    pub(crate) workerpool: Option<Address>,
}

impl ChainEntry {
    /// A network of which only the necessary is known.
    pub(crate) fn new(chain_id: u64, hub: Address, rpc: Vec<Url>, sms: Url) -> Self {
        Self {
            chain_id,
            hub,
            rpc,
            sms,
            danger_plain_http: false,
            market: None,
            ipfs_gateway: None,
            ipfs_node: None,
            result_proxy: None,
            compass: None,
            workerpool: None,
        }
    }

    /// The networks that need no description, by name.
    pub(crate) fn built_in() -> [(ChainName, Self); 3] {
        let url = |text: &str| Url::parse(text).expect("the addresses below are well-formed");
        let name = |name: &str| name.parse().expect("the names below follow the rule");
        let iexec = |(chain_id, hub, workerpool), rpc: &str, network: &str, market: &str| {
            let service = |service: &str| Some(url(&format!("https://{service}.{network}.iex.ec")));
            Self {
                market: Some(url(market)),
                ipfs_gateway: service("ipfs-gateway"),
                ipfs_node: service("ipfs-upload"),
                compass: service("compass"),
                workerpool: Some(workerpool),
                ..Self::new(chain_id, hub, vec![url(rpc)], url(&format!("https://sms.{network}.iex.ec")))
            }
        };
        let local = Self::new(
            65_535,
            address!("5FC8d32690cc91D4c39d9d3abcBD16989F875707"),
            vec![url("http://127.0.0.1:8545")],
            url("http://127.0.0.1:13300"),
        );
        [
            (
                name("arbitrum-one"),
                iexec(
                    (
                        42_161,
                        address!("098bFCb1E50ebcA0BaA92C12eA0c3F045A1aD9f0"),
                        address!("8ef2ec3ef9535d4b4349bfec7d8b31a580e60244"),
                    ),
                    "https://arb1.arbitrum.io/rpc",
                    "arbitrum-mainnet",
                    "https://api.market.arbitrum-mainnet.iex.ec",
                ),
            ),
            (
                name("arbitrum-sepolia"),
                iexec(
                    (
                        421_614,
                        address!("B2157BF2fAb286b2A4170E3491Ac39770111Da3E"),
                        address!("2956f0cb779904795a5f30d3b3ea88b714c3123f"),
                    ),
                    "https://sepolia-rollup.arbitrum.io/rpc",
                    "arbitrum-sepolia-testnet",
                    "https://api-market.arbitrum-sepolia-testnet.iex.ec",
                ),
            ),
            (
                name(DEVNET),
                Self {
                    market: Some(url("http://127.0.0.1:3000")),
                    ipfs_gateway: Some(url("http://127.0.0.1:5001")),
                    ipfs_node: Some(url("http://127.0.0.1:5001")),
                    result_proxy: Some(url("http://127.0.0.1:13200")),
                    compass: Some(url("http://127.0.0.1:8069")),
                    ..local
                },
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

/// Whether a service answers on this machine.
pub(crate) fn is_this_machine(url: &Url) -> bool {
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

#[expect(clippy::ref_option, reason = "serde passes the member as it is")]
fn write_some_address<S: Serializer>(address: &Option<Address>, serializer: S) -> Result<S::Ok, S::Error> {
    address.as_ref().map(checksummed).serialize(serializer)
}

fn read_some_address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Address>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| parse_checked(&text)).transpose().map_err(serde::de::Error::custom)
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
