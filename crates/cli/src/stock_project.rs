//! A project folder of the iexec CLI: the networks of its `chain.json`, the addresses of its `deployed.json`. Only read; members
//! that mean nothing here are passed over.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::Deserialize;
use serde_json::Value;
use strongroom_protocol::Address;
use strongroom_protocol::address::parse_any_case;
use url::Url;

use crate::chains::{ChainEntry, ChainName, SmsUrlError};

const CHAINS: &str = "chain.json";
const DEPLOYED: &str = "deployed.json";
/// What the iexec CLI calls the networks that it knows without a description.
const STOCK_NAMES: [(&str, u64); 2] = [("arbitrum-mainnet", 42_161), ("arbitrum-sepolia-testnet", 421_614)];
/// Project files are small; something huge is not read.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Why a project file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProjectError {
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is not JSON of its kind.
    #[error("{} is wrong", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        #[source]
        source: serde_json::Error,
    },
    /// A network lacks something.
    #[error("network {name} in {CHAINS} has no usable `{member}`")]
    Incomplete {
        /// The network.
        name: ChainName,
        /// What is missing.
        member: &'static str,
    },
    /// The SMS of a network cannot be used.
    #[error("network {name} in {CHAINS} cannot be used")]
    UnusableSms {
        /// The network.
        name: ChainName,
        /// Why.
        #[source]
        source: SmsUrlError,
    },
}

/// The networks of a `chain.json`.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct StockChains {
    default: Option<String>,
    #[serde(default)]
    chains: BTreeMap<String, StockChain>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct StockChain {
    /// A number, or its digits.
    id: Value,
    host: Option<String>,
    hub: Option<String>,
    /// One URL, or one for each framework.
    sms: Value,
    iexec_gateway: Option<Url>,
    ipfs_gateway: Option<Url>,
    ipfs_node: Option<Url>,
    result_proxy: Option<Url>,
    compass: Option<Url>,
}

impl StockChains {
    /// Reads `chain.json` in `folder`; empty when there is none.
    pub(crate) fn in_folder(folder: &Path) -> Result<Self, ProjectError> {
        Ok(read(&folder.join(CHAINS))?.unwrap_or_default())
    }

    /// The network that is used when none is named.
    pub(crate) fn default_name(&self) -> Option<ChainName> {
        self.default.as_ref()?.parse().ok()
    }

    /// Names of the networks; those that could not be typed here are left out.
    pub(crate) fn names(&self) -> Vec<ChainName> {
        self.chains.keys().filter_map(|name| name.parse().ok()).collect()
    }

    /// One of the networks. What it leaves out is taken from the ready network of the same number.
    pub(crate) fn chain(&self, name: &ChainName) -> Option<Result<ChainEntry, ProjectError>> {
        Some(self.chains.get(name.as_str())?.entry(name))
    }
}

impl StockChain {
    fn entry(&self, name: &ChainName) -> Result<ChainEntry, ProjectError> {
        let lacks = |member| ProjectError::Incomplete { name: name.clone(), member };
        let known = STOCK_NAMES.iter().find(|(stock, _)| *stock == name.as_str()).map(|(_, id)| *id);
        let id = number(&self.id).or(known).ok_or_else(|| lacks("id"))?;
        let ready = ChainEntry::built_in().into_iter().map(|(_, entry)| entry);
        let ready = ready.into_iter().find(|entry| entry.chain_id == id && known.is_some_and(|known| known == id));
        let rpc = self.host.as_ref().and_then(|host| Url::parse(host).ok()).map(|url| vec![url]);
        let hub = self.hub.as_ref().and_then(|hub| parse_any_case(hub).ok());
        let sms = sms_url(&self.sms);
        let ready = ready.as_ref();
        let mut entry = ChainEntry::new(
            id,
            hub.or(ready.map(|entry| entry.hub)).ok_or_else(|| lacks("hub"))?,
            rpc.or(ready.map(|entry| entry.rpc.clone())).ok_or_else(|| lacks("host"))?,
            sms.or(ready.map(|entry| entry.sms.clone())).ok_or_else(|| lacks("sms"))?,
        );
        let or_ready = |given: &Option<Url>, of: fn(&ChainEntry) -> &Option<Url>| {
            given.clone().or_else(|| ready.and_then(|entry| of(entry).clone()))
        };
        entry.market = or_ready(&self.iexec_gateway, |entry| &entry.market);
        entry.ipfs_gateway = or_ready(&self.ipfs_gateway, |entry| &entry.ipfs_gateway);
        entry.ipfs_node = or_ready(&self.ipfs_node, |entry| &entry.ipfs_node);
        entry.result_proxy = or_ready(&self.result_proxy, |entry| &entry.result_proxy);
        entry.compass = or_ready(&self.compass, |entry| &entry.compass);
        entry.check().map_err(|source| ProjectError::UnusableSms { name: name.clone(), source })?;
        Ok(entry)
    }
}

fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

/// Tasks run in TDX by default, so its SMS comes first.
fn sms_url(value: &Value) -> Option<Url> {
    let text =
        value.as_str().or_else(|| ["tdx", "scone", "gramine"].iter().find_map(|key| value.get(key)?.as_str()))?;
    Url::parse(text).ok()
}

/// What was deployed from a project: the newest address of each kind.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Deployed {
    app: BTreeMap<String, String>,
    dataset: BTreeMap<String, String>,
}

impl Deployed {
    /// Reads `deployed.json` in `folder`; empty when there is none.
    pub(crate) fn in_folder(folder: &Path) -> Result<Self, ProjectError> {
        Ok(read(&folder.join(DEPLOYED))?.unwrap_or_default())
    }

    /// The app on this chain.
    pub(crate) fn app(&self, chain_id: u64) -> Option<Address> {
        parse_any_case(self.app.get(&chain_id.to_string())?).ok()
    }

    /// The dataset on this chain.
    pub(crate) fn dataset(&self, chain_id: u64) -> Option<Address> {
        parse_any_case(self.dataset.get(&chain_id.to_string())?).ok()
    }
}

/// The content of a JSON file; `None` when there is no such file.
pub(crate) fn read<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>, ProjectError> {
    let unreadable = |source| ProjectError::Unreadable { path: path.to_owned(), source };
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(error)),
        Ok(about) if !about.is_file() || about.len() > MAX_FILE_BYTES => {
            return Err(unreadable(io::ErrorKind::InvalidData.into()));
        }
        Ok(_) => {}
    }
    let text = fs::read(path).map_err(unreadable)?;
    serde_json::from_slice(&text).map(Some).map_err(|source| ProjectError::Malformed { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chains(text: &str) -> StockChains {
        serde_json::from_str(text).unwrap()
    }

    fn name(text: &str) -> ChainName {
        text.parse().unwrap()
    }

    #[test]
    fn a_known_network_needs_no_members_and_may_change_some() {
        let read =
            chains(r#"{ "default": "arbitrum-mainnet", "chains": { "arbitrum-mainnet": { "host": "http://h" } } }"#);
        let chosen = read.default_name().unwrap();
        let chain = read.chain(&chosen).unwrap().unwrap();
        assert_eq!((chain.chain_id, chain.rpc[0].as_str()), (42_161, "http://h/"));
        assert_eq!(chain.market.unwrap().as_str(), "https://api.market.arbitrum-mainnet.iex.ec/");
    }

    #[test]
    fn a_described_network_is_read_with_all_its_services() {
        let read = chains(
            r#"{ "chains": { "dev": { "id": "65535", "host": "http://localhost:8545", "sms": { "scone": "http://localhost:13300" },
            "hub": "0x5FC8d32690cc91D4c39d9d3abcBD16989F875707", "iexecGateway": "http://localhost:3000",
            "ipfsGateway": "http://localhost:8080", "ipfsNode": "http://localhost:5001", "resultProxy": "http://localhost:13200",
            "native": true } }, "providers": {} }"#,
        );
        let chain = read.chain(&name("dev")).unwrap().unwrap();
        assert_eq!((chain.chain_id, chain.sms.as_str()), (65_535, "http://localhost:13300/"));
        let urls = [chain.market, chain.ipfs_gateway, chain.ipfs_node, chain.result_proxy];
        let ports: Vec<_> = urls.map(|url| url.unwrap().port().unwrap()).into();
        assert_eq!(ports, [3000, 8080, 5001, 13_200]);
        assert!(chain.compass.is_none());
    }

    #[test]
    fn a_network_that_lacks_something_says_what() {
        for (text, member) in [
            ("{}", "id"),
            (r#"{ "id": 7 }"#, "hub"),
            (r#"{ "id": 65535 }"#, "hub"),
            (r#"{ "id": 7, "hub": "0x5FC8d32690cc91D4c39d9d3abcBD16989F875707" }"#, "host"),
        ] {
            let read = chains(&format!(r#"{{ "chains": {{ "a": {text} }} }}"#));
            let error = read.chain(&name("a")).unwrap().unwrap_err();
            assert!(matches!(error, ProjectError::Incomplete { member: found, .. } if found == member), "{error}");
        }
        assert!(chains("{}").chain(&name("a")).is_none());
    }

    #[test]
    fn a_folder_without_the_files_is_no_project() {
        let folder = tempfile::tempdir().unwrap();
        assert!(StockChains::in_folder(folder.path()).unwrap().names().is_empty());
        assert_eq!(Deployed::in_folder(folder.path()).unwrap().app(1), None);
        fs::write(folder.path().join(DEPLOYED), format!(r#"{{"app":{{"1":"0x{:040x}"}}}}"#, 5)).unwrap();
        assert!(Deployed::in_folder(folder.path()).unwrap().app(1).is_some());
        fs::write(folder.path().join(CHAINS), "{").unwrap();
        assert!(matches!(StockChains::in_folder(folder.path()), Err(ProjectError::Malformed { .. })));
    }
}
