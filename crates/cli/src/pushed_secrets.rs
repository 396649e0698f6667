//! What was pushed from here, and to which SMS: an SMS never lists what it has, so this file of the data folder is how one finds it
//! again. Ids and places only: no value, no length, no hash.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use strongroom_protocol::SecretId;
use strongroom_protocol::address::{checksummed, parse_checked};
use url::Url;

use crate::chains::ChainName;
use crate::private_file;

const FILE: &str = "pushed-secrets.json";
/// Held while the file is read and written anew, so that of two commands at once none forgets what the other remembers.
const LOCK: &str = "pushed-secrets.lock";

/// Why it is not known what was pushed, or a push was not remembered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PushedSecretsError {
    /// It cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is not as we write it.
    #[error("{} is damaged", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        #[source]
        source: serde_json::Error,
    },
    /// It cannot be written.
    #[error("cannot write {}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A secret that was pushed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Row", into = "Row")]
pub(crate) struct Pushed {
    /// Which.
    pub(crate) id: SecretId,
    /// To whom.
    pub(crate) sms: Url,
    /// The network, as it was called then.
    pub(crate) chain: ChainName,
    /// Its number.
    pub(crate) chain_id: u64,
}

/// How a [`Pushed`] is written.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    kind: String,
    address: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    sms: Url,
    chain: ChainName,
    chain_id: u64,
}

impl From<Pushed> for Row {
    fn from(Pushed { id, sms, chain, chain_id }: Pushed) -> Self {
        let name = Some(id.name()).filter(|name| !name.is_empty()).map(ToString::to_string);
        Self { kind: id.kind().to_string(), address: checksummed(&id.address()), name, sms, chain, chain_id }
    }
}

impl TryFrom<Row> for Pushed {
    type Error = String;

    fn try_from(Row { kind, address, name, sms, chain, chain_id }: Row) -> Result<Self, Self::Error> {
        let address = parse_checked(&address).map_err(|error| error.to_string())?;
        let id = match (kind.as_str(), name) {
            ("app", None) => SecretId::App(address),
            ("dataset", None) => SecretId::Dataset(address),
            ("requester", Some(name)) => {
                let name = name.parse().map_err(|_| "`name` is no name of a requester's secret".to_owned())?;
                SecretId::Requester { owner: address, name }
            }
            ("account", Some(name)) => {
                let name = name.parse().map_err(|_| "`name` is no name of an account's secret".to_owned())?;
                SecretId::Account { owner: address, name }
            }
            _ => return Err("`kind` and `name` do not belong together".to_owned()),
        };
        Ok(Self { id, sms, chain, chain_id })
    }
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    secrets: Vec<Pushed>,
}

/// The file, in its folder.
pub(crate) struct PushedSecrets {
    folder: PathBuf,
}

impl PushedSecrets {
    /// The file in `folder`.
    pub(crate) fn in_folder(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// What was pushed so far, the oldest first.
    pub(crate) fn all(&self) -> Result<Vec<Pushed>, PushedSecretsError> {
        let path = self.folder.join(FILE);
        match fs::read(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(source) => Err(PushedSecretsError::Unreadable { path, source }),
            Ok(text) => match serde_json::from_slice::<Content>(&text) {
                Ok(content) => Ok(content.secrets),
                Err(source) => Err(PushedSecretsError::Damaged { path, source }),
            },
        }
    }

    /// Remembers a push, once for each id and SMS.
    pub(crate) fn remember(&self, pushed: Pushed) -> Result<(), PushedSecretsError> {
        let unwritable = |path: &Path| {
            let path = path.to_owned();
            move |source| PushedSecretsError::Unwritable { path, source }
        };
        private_file::make_folder(&self.folder).map_err(unwritable(&self.folder))?;
        let _locked = self.locked().map_err(unwritable(&self.folder.join(LOCK)))?;
        let mut secrets = self.all()?;
        secrets.retain(|one| (&one.id, &one.sms) != (&pushed.id, &pushed.sms));
        secrets.push(pushed);
        let text = serde_json::to_vec_pretty(&Content { secrets }).expect("ids and addresses are JSON");
        let path = self.folder.join(FILE);
        private_file::replace(&path, &text).map_err(unwritable(&path))
    }

    /// Waits for its turn. The lock ends with the file, also when the process is killed.
    fn locked(&self) -> io::Result<File> {
        let lock = OpenOptions::new().create(true).truncate(true).write(true).open(self.folder.join(LOCK))?;
        lock.lock()?;
        Ok(lock)
    }
}

#[cfg(test)]
mod tests {
    use strongroom_protocol::Address;

    use super::*;

    fn pushed(id: SecretId, port: u16) -> Pushed {
        let sms = format!("http://127.0.0.1:{port}").parse().unwrap();
        Pushed { id, sms, chain: "devnet".parse().unwrap(), chain_id: 65_535 }
    }

    fn app() -> SecretId {
        SecretId::App(Address::repeat_byte(0xa1))
    }

    #[test]
    fn every_kind_comes_back_as_it_was_pushed_once_for_each_sms() {
        let root = tempfile::tempdir().unwrap();
        let file = PushedSecrets::in_folder(root.path().join("data"));
        assert_eq!(file.all().unwrap(), []);
        let owner = Address::repeat_byte(1);
        let all = [
            pushed(SecretId::Dataset(Address::repeat_byte(0xd1)), 1),
            pushed(SecretId::Requester { owner, name: "api-token".parse().unwrap() }, 1),
            pushed(SecretId::Account { owner, name: "iexec-result-encryption-public-key".parse().unwrap() }, 1),
            pushed(app(), 2),
            pushed(app(), 1),
        ];
        for one in [&all[4..], &all[..]].concat() {
            file.remember(one).unwrap();
        }
        assert_eq!(file.all().unwrap(), all);
    }

    #[test]
    fn commands_at_once_forget_nothing() {
        let root = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for port in 1..=20 {
                let file = PushedSecrets::in_folder(root.path().to_owned());
                scope.spawn(move || file.remember(pushed(app(), port)).unwrap());
            }
        });
        assert_eq!(PushedSecrets::in_folder(root.path().to_owned()).all().unwrap().len(), 20);
    }

    #[test]
    fn a_damaged_file_is_named_and_left_as_it_is() {
        let good = serde_json::to_value(pushed(app(), 1)).unwrap();
        let with = |member: &str, value: &str| {
            let mut row = good.clone();
            row[member] = value.into();
            serde_json::json!({ "secrets": [row] }).to_string()
        };
        for damaged in [
            "{".to_owned(),
            "{}".to_owned(),
            with("kind", "pet"),
            with("kind", "requester"),
            with("name", "surplus"),
            with("address", "0x12"),
            with("value", "what never stands here"),
        ] {
            let root = tempfile::tempdir().unwrap();
            let path = root.path().join(FILE);
            fs::write(&path, &damaged).unwrap();
            let error = PushedSecrets::in_folder(root.path().to_owned()).remember(pushed(app(), 1)).unwrap_err();
            assert_eq!(error.to_string(), format!("{} is damaged", path.display()), "{damaged}");
            assert_eq!(fs::read_to_string(&path).unwrap(), damaged);
        }
    }
}
