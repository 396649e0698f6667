//! The settings file: which network and wallet are in use, and networks that the user described. TOML; unknown keys are
//! refused; what the user wrote by hand (comments, order) survives our changes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::Deserialize;
use toml_edit::{DocumentMut, Item, Table, value};

use crate::chains::{ChainEntry, ChainName, SmsUrlError};
use crate::private_file;
use crate::stock_project::{ProjectError, StockChains};

/// The settings as the file has them. Everything is optional.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    /// Network to use when none is named.
    chain: Option<ChainName>,
    /// Wallet to use when none is named: its name or address.
    wallet: Option<String>,
    /// Described networks.
    chains: BTreeMap<ChainName, ChainEntry>,
}

/// Why the settings cannot be read, used or changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the settings file {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is not TOML, or has a key or value that means nothing. The cause names the line.
    #[error("the settings file {} is wrong", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, and in which line.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// The SMS of a described network cannot be used.
    #[error("network {name} in the settings file {} cannot be used", path.display())]
    UnusableChain {
        /// The file.
        path: PathBuf,
        /// The network.
        name: ChainName,
        /// Why.
        #[source]
        source: SmsUrlError,
    },
    /// The `chain.json` of the current folder, or the network in it.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// The file cannot be written.
    #[error("cannot write the settings file {}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No network was named, and none is in use.
    #[error("no network was chosen")]
    NoChain,
    /// The name belongs to no network.
    #[error("there is no network called {name}")]
    UnknownChain {
        /// The name.
        name: ChainName,
        /// Names that would have worked.
        known: Vec<ChainName>,
    },
    /// The name is taken.
    #[error("there is already a network called {name}")]
    ChainExists {
        /// The name.
        name: ChainName,
    },
}

/// Where a network's description comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// It is one of the ready ones.
    BuiltIn,
    /// The settings file has it, perhaps in place of a ready one.
    SettingsFile,
    /// `chain.json` of the iexec CLI in the current folder.
    Project,
}

impl Origin {
    /// The word for it in answers.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::BuiltIn => "built-in",
            Self::SettingsFile => "settings",
            Self::Project => "chain.json",
        }
    }
}

/// The settings file, read once.
pub(crate) struct Config {
    path: PathBuf,
    text: String,
    settings: Settings,
    /// Where `chain.json` of a project may be.
    project: PathBuf,
}

impl Config {
    /// Reads the file. One that does not exist is as good as an empty one. `project` is the current folder.
    pub(crate) fn load(path: &Path, project: &Path) -> Result<Self, ConfigError> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(source) => return Err(ConfigError::Unreadable { path: path.to_owned(), source }),
        };
        let settings: Settings = toml::from_str(&text)
            .map_err(|source| ConfigError::Malformed { path: path.to_owned(), source: Box::new(source) })?;
        for (name, chain) in &settings.chains {
            chain.check().map_err(|source| ConfigError::UnusableChain {
                path: path.to_owned(),
                name: name.clone(),
                source,
            })?;
        }
        Ok(Self { path: path.to_owned(), text, settings, project: project.to_owned() })
    }

    /// The wallet to use when none is named.
    pub(crate) fn wallet(&self) -> Option<&str> {
        self.settings.wallet.as_deref()
    }

    /// The name of the network to use when none is named.
    pub(crate) fn chain_in_use(&self) -> Option<&ChainName> {
        self.settings.chain.as_ref()
    }

    /// Every network by name, described ones in place of ready ones.
    pub(crate) fn chains(&self) -> BTreeMap<ChainName, (ChainEntry, Origin)> {
        let ready = ChainEntry::built_in().into_iter().map(|(name, chain)| (name, (chain, Origin::BuiltIn)));
        let described = self.settings.chains.clone().into_iter();
        ready.chain(described.map(|(name, chain)| (name, (chain, Origin::SettingsFile)))).collect()
    }

    /// The network called `name`, or the one in use, or the default of the project. The settings and the ready networks come before
    /// those of a project: a folder cannot change what a name of ours means.
    pub(crate) fn chain(&self, name: Option<&ChainName>) -> Result<(ChainName, ChainEntry, Origin), ConfigError> {
        let of_project = || StockChains::in_folder(&self.project).map(|project| project.default_name());
        let name = name.or(self.chain_in_use()).cloned().map_or_else(of_project, |name| Ok(Some(name)))?;
        let name = name.ok_or(ConfigError::NoChain)?;
        let mut chains = self.chains();
        if let Some((chain, origin)) = chains.remove(&name) {
            return Ok((name, chain, origin));
        }
        let project = StockChains::in_folder(&self.project)?;
        if let Some(chain) = project.chain(&name) {
            return Ok((name, chain?, Origin::Project));
        }
        let known = chains.into_keys().chain(project.names()).collect();
        Err(ConfigError::UnknownChain { name, known })
    }

    /// Describes a network. One of the same name is only replaced when `replace` says so.
    pub(crate) fn add_chain(&self, name: &ChainName, chain: &ChainEntry, add: AddChain) -> Result<(), ConfigError> {
        if self.chains().contains_key(name) && !add.replace {
            return Err(ConfigError::ChainExists { name: name.clone() });
        }
        self.change(|document| {
            let text = toml::to_string(chain).expect("numbers, texts and a list of texts always serialise");
            let mut entry = text.parse::<DocumentMut>().expect("what was just serialised parses").into_table();
            entry.set_position(None);
            let chains = document.entry("chains").or_insert_with(|| {
                let mut chains = Table::new();
                chains.set_implicit(true);
                Item::Table(chains)
            });
            chains[name.as_str()] = Item::Table(entry);
            if add.use_it {
                document["chain"] = value(name.as_str());
            }
        })
    }

    /// Makes an existing network the one in use.
    pub(crate) fn use_chain(&self, name: &ChainName) -> Result<(), ConfigError> {
        self.chain(Some(name))?;
        self.change(|document| document["chain"] = value(name.as_str()))
    }

    /// Makes a wallet, by name or address, the one in use.
    pub(crate) fn use_wallet(&self, wallet: &str) -> Result<(), ConfigError> {
        self.change(|document| document["wallet"] = value(wallet))
    }

    fn change(&self, edit: impl FnOnce(&mut DocumentMut)) -> Result<(), ConfigError> {
        let mut document: DocumentMut = self.text.parse().expect("it was parsed as TOML when it was loaded");
        edit(&mut document);
        private_file::replace(&self.path, document.to_string().as_bytes())
            .map_err(|source| ConfigError::Unwritable { path: self.path.clone(), source })
    }
}

/// How to add a network.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AddChain {
    /// Replace one of the same name.
    pub(crate) replace: bool,
    /// Use it from now on.
    pub(crate) use_it: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error;

    const NAME: &str = "my-net";

    fn chain() -> ChainEntry {
        ChainEntry { chain_id: 7, ..ChainEntry::built_in()[2].1.clone() }
    }

    fn load(text: &str) -> (tempfile::TempDir, Result<Config, ConfigError>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        fs::write(&path, text).unwrap();
        let config = Config::load(&path, folder.path());
        (folder, config)
    }

    fn malformed(text: &str) -> String {
        match load(text).1 {
            Err(error @ ConfigError::Malformed { .. }) => error.source().unwrap().to_string(),
            Err(error) => panic!("{text}: {error:?}"),
            Ok(_) => panic!("{text}: accepted"),
        }
    }

    #[test]
    fn a_missing_file_is_an_empty_one() {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::load(&folder.path().join("config.toml"), folder.path()).unwrap();
        assert_eq!(config.chains().len(), 3);
        assert!(matches!(config.chain(None), Err(ConfigError::NoChain)));
    }

    #[test]
    fn the_documented_sample_is_accepted_and_shows_every_setting() {
        let (_folder, config) = load(include_str!("../../../docs/strongroom.toml"));
        let config = config.unwrap();
        assert_eq!((config.chain_in_use().unwrap().as_str(), config.wallet()), ("devnet", Some("alice")));
        let name = "test-network".parse().unwrap();
        let entry = config.chain(Some(&name)).unwrap().1;
        assert!(entry.danger_plain_http && entry.workerpool.is_some());
        let urls = [&entry.market, &entry.ipfs_gateway, &entry.ipfs_node, &entry.result_proxy, &entry.compass];
        assert!(urls.iter().all(|url| url.is_some()));
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        let entry = "\n[chains.a]\nchain_id = 7\nrpc = []\nsms = 'http://[::1]:1'\nhub = ";
        for (text, part) in [
            ("\nwalet = 'a'".to_owned(), "walet"),
            ("\nchain = 'A'".to_owned(), "lower-case"),
            ("\nchain = ".to_owned(), "line 2"),
            (format!("{entry}'0x00'"), "40 hex digits"),
            (format!("{entry}'0x5fC8d32690cc91D4c39d9d3abcBD16989F875707'"), "checksum"),
            (format!("{entry}'0x5FC8d32690cc91D4c39d9d3abcBD16989F875707'\nmore = 1"), "more"),
        ] {
            let message = malformed(&text);
            assert!(message.contains(part) && message.contains("line"), "{text}: {message}");
        }
    }

    #[test]
    fn a_network_whose_sms_cannot_be_used_is_refused() {
        let text = "[chains.a]\nchain_id = 7\nrpc = []\nsms = 'http://10.0.0.1'\n\
                    hub = '0x5FC8d32690cc91D4c39d9d3abcBD16989F875707'\n";
        assert!(matches!(load(text).1, Err(ConfigError::UnusableChain { source: SmsUrlError::PlainHttp, .. })));
        assert!(load(&format!("{text}danger_plain_http = true")).1.is_ok());
    }

    #[test]
    fn changes_keep_what_the_user_wrote() {
        let (folder, config) = load("# mine\nwallet = 'me' # and mine\n");
        let name: ChainName = NAME.parse().unwrap();
        config.unwrap().add_chain(&name, &chain(), AddChain { replace: false, use_it: true }).unwrap();
        let path = folder.path().join("config.toml");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("# mine\nwallet = 'me' # and mine\n"), "{text}");
        let config = Config::load(&path, folder.path()).unwrap();
        assert_eq!(config.chain(None).unwrap(), (name.clone(), chain(), Origin::SettingsFile));
        assert!(matches!(
            config.add_chain(&name, &chain(), AddChain { replace: false, use_it: false }),
            Err(ConfigError::ChainExists { .. })
        ));
        config.use_chain(&"devnet".parse().unwrap()).unwrap();
        config.use_wallet("you").unwrap();
        assert!(fs::read_to_string(&path).unwrap().contains("# mine"));
    }

    #[test]
    fn a_ready_network_can_be_replaced_on_purpose() {
        let (folder, config) = load("");
        let name: ChainName = "devnet".parse().unwrap();
        let config = config.unwrap();
        assert!(config.add_chain(&name, &chain(), AddChain { replace: false, use_it: false }).is_err());
        config.add_chain(&name, &chain(), AddChain { replace: true, use_it: false }).unwrap();
        let config = Config::load(&folder.path().join("config.toml"), folder.path()).unwrap();
        assert_eq!(config.chain(Some(&name)).unwrap().2, Origin::SettingsFile);
        assert_eq!(config.chains().len(), 3);
    }

    #[test]
    fn a_project_gives_further_networks_and_a_default_and_never_changes_ours() {
        let (folder, config) = load("");
        let config = config.unwrap();
        let described = r#"{ "id": 7, "host": "http://h", "hub": "0x5FC8d32690cc91D4c39d9d3abcBD16989F875707", "sms": "https://s" }"#;
        let text = format!(r#"{{ "default": "other", "chains": {{ "other": {described}, "devnet": {described} }} }}"#);
        fs::write(folder.path().join("chain.json"), text).unwrap();
        let (name, chain, origin) = config.chain(None).unwrap();
        assert_eq!((name.as_str(), chain.chain_id, origin), ("other", 7, Origin::Project));
        assert_eq!(config.chain(Some(&"devnet".parse().unwrap())).unwrap().2, Origin::BuiltIn);
    }
}
