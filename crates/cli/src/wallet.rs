//! A folder of wallet files: listing, finding one by name or address, adding one. What is inside a file is the business
//! of [`crate::keystore`].

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::{fs, io};

use strongroom_protocol::address::{checksummed, parse_any_case};
use strongroom_protocol::{Address, UnixSeconds};

use crate::keystore::{Keystore, KeystoreError};
use crate::private_file;

/// Names a wallet that we make: `^[0-9A-Za-z_-]{1,64}$`, so that it is a file name everywhere and never a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WalletName(String);

/// The text is not a name for a wallet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "name of a wallet must be 1 to 64 characters from 0-9, A-Z, a-z, - and _, and not look like an address or a key"
)]
pub(crate) struct ParseWalletNameError;

impl WalletName {
    /// The name that geth and iexec give: `UTC--2026-01-31T12-00-00.000000000Z--` and the address without `0x`.
    pub(crate) fn of_time_and_address(now: UnixSeconds, address: Address) -> Self {
        let seconds = i64::try_from(now.0).unwrap_or(i64::MAX);
        let time = jiff::Timestamp::from_second(seconds).unwrap_or(jiff::Timestamp::MAX);
        Self(format!("UTC--{}.000000000Z--{}", time.strftime("%Y-%m-%dT%H-%M-%S"), hex::encode(address)))
    }

    /// geth's names have no ending; ours end in `.json`.
    fn file_name(&self) -> String {
        if self.0.starts_with("UTC--") { self.0.clone() } else { format!("{}.json", self.0) }
    }
}

impl FromStr for WalletName {
    type Err = ParseWalletNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        let all_hex = text.len() >= 40 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let confusing = text.starts_with('-') || text.starts_with("UTC--") || text.starts_with("0x") || all_hex;
        if text.is_empty() || text.len() > 64 || confusing || !text.bytes().all(allowed) {
            return Err(ParseWalletNameError);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for WalletName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why there is no wallet to use.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WalletError {
    /// The folder or a file in it cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The folder or file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file that was asked for is no wallet we understand.
    #[error("cannot use {}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: KeystoreError,
    },
    /// The wallet file cannot be written.
    #[error("cannot write {}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A wallet of that name is there.
    #[error("there is already a wallet called {name}")]
    Exists {
        /// The name.
        name: WalletName,
    },
    /// No wallet has that name or address.
    #[error("there is no wallet {choice} in {}", folder.display())]
    Unknown {
        /// What was asked for.
        choice: String,
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// Several files have that address, perhaps under different passwords.
    #[error("several wallets have the address {address}")]
    Ambiguous {
        /// The address.
        address: String,
        /// Their names.
        names: Vec<String>,
    },
    /// The folder has no wallet at all.
    #[error("there is no wallet in {}", folder.display())]
    None {
        /// The folder.
        folder: PathBuf,
    },
    /// None was named, and there is more than one.
    #[error("there are several wallets, and none was chosen")]
    NoneChosen {
        /// Their names.
        names: Vec<String>,
    },
    /// The file names no address, and only opening it would tell.
    #[error("the wallet {name} does not name its address")]
    AddressUnknown {
        /// The wallet.
        name: String,
    },
}

/// One wallet file.
#[derive(Debug)]
pub(crate) struct Wallet {
    /// The file's name, without the ending `.json`.
    pub(crate) name: String,
    /// The file.
    pub(crate) file: PathBuf,
    /// Its content.
    pub(crate) keystore: Keystore,
}

impl Wallet {
    /// The address that the file names. Not proven until the wallet is opened.
    pub(crate) fn address(&self) -> Result<Address, WalletError> {
        self.keystore.claimed_address().ok_or_else(|| WalletError::AddressUnknown { name: self.name.clone() })
    }
}

/// A folder of wallet files.
pub(crate) struct Wallets {
    folder: PathBuf,
}

impl Wallets {
    /// The folder need not exist yet.
    pub(crate) fn in_folder(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// The wallets by name. Files that are no wallets are passed over: such folders hold other things too.
    pub(crate) fn list(&self) -> Result<Vec<Wallet>, WalletError> {
        let unreadable = |source| WalletError::Unreadable { path: self.folder.clone(), source };
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(unreadable(error)),
        };
        let mut wallets = Vec::new();
        for entry in entries {
            match read(&entry.map_err(unreadable)?.path()) {
                Ok(wallet) => wallets.push(wallet),
                Err(WalletError::Unusable { .. }) => {}
                Err(WalletError::Unreadable { source, .. }) if !is_about_this_machine(&source) => {}
                Err(error) => return Err(error),
            }
        }
        wallets.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(wallets)
    }

    /// The wallet with this name or address.
    pub(crate) fn find(&self, choice: &str) -> Result<Wallet, WalletError> {
        let unknown = || WalletError::Unknown { choice: choice.to_owned(), folder: self.folder.clone() };
        let Ok(address) = parse_any_case(choice) else {
            return self.find_by_name(choice)?.ok_or_else(unknown);
        };
        let mut found = self.list()?;
        found.retain(|wallet| wallet.keystore.claimed_address() == Some(address));
        if found.len() > 1 {
            let names = found.into_iter().map(|wallet| wallet.name).collect();
            return Err(WalletError::Ambiguous { address: checksummed(&address), names });
        }
        found.pop().ok_or_else(unknown)
    }

    /// Reads the file itself, so that a file of this name that is no wallet says why. The name must be one in the folder's
    /// listing: it is never taken as a path.
    fn find_by_name(&self, name: &str) -> Result<Option<Wallet>, WalletError> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(WalletError::Unreadable { path: self.folder.clone(), source }),
        };
        let with_ending = format!("{name}.json");
        let path = entries.flatten().find(|entry| {
            let file_name = entry.file_name();
            file_name == *with_ending || file_name == *name
        });
        path.map(|entry| read(&entry.path())).transpose()
    }

    /// The wallet that was asked for, else the one in use, else the only one.
    pub(crate) fn choose(&self, asked: Option<&str>, in_use: Option<&str>) -> Result<Wallet, WalletError> {
        if let Some(choice) = asked.or(in_use) {
            return self.find(choice);
        }
        let mut wallets = self.list()?;
        if wallets.len() > 1 {
            return Err(WalletError::NoneChosen { names: wallets.into_iter().map(|wallet| wallet.name).collect() });
        }
        wallets.pop().ok_or_else(|| WalletError::None { folder: self.folder.clone() })
    }

    /// Fails as [`Self::add`] would if the name is taken. Asked before a person chooses a password for nothing.
    pub(crate) fn check_free(&self, name: &WalletName) -> Result<(), WalletError> {
        if self.folder.join(name.file_name()).symlink_metadata().is_ok() {
            return Err(WalletError::Exists { name: name.clone() });
        }
        Ok(())
    }

    /// Writes a new wallet file (0600). An existing one is never overwritten.
    pub(crate) fn add(&self, name: &WalletName, keystore: Keystore) -> Result<Wallet, WalletError> {
        let file = self.folder.join(name.file_name());
        match private_file::write_new(&file, keystore.to_json().as_bytes()) {
            Ok(()) => Ok(Wallet { name: name.to_string(), file, keystore }),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(WalletError::Exists { name: name.clone() })
            }
            Err(source) => Err(WalletError::Unwritable { path: file, source }),
        }
    }
}

/// Wallet files are below a kilobyte; something huge in the folder is not read.
const MAX_FILE_BYTES: u64 = 64 * 1024;

fn read(path: &Path) -> Result<Wallet, WalletError> {
    let unreadable = |source| WalletError::Unreadable { path: path.to_owned(), source };
    let about = fs::metadata(path).map_err(unreadable)?;
    if !about.is_file() || about.len() > MAX_FILE_BYTES {
        return Err(unreadable(io::ErrorKind::InvalidData.into()));
    }
    let text = fs::read(path).map_err(unreadable)?;
    let keystore =
        Keystore::from_json(&text).map_err(|source| WalletError::Unusable { path: path.to_owned(), source })?;
    let file_name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let name = file_name.strip_suffix(".json").unwrap_or(&file_name).to_owned();
    Ok(Wallet { name, file: path.to_owned(), keystore })
}

/// A folder, a dangling link or a huge file among the wallets is none of our business; a failing disk is.
fn is_about_this_machine(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, NotFound, PermissionDenied};
    !matches!(error.kind(), InvalidData | NotFound | PermissionDenied)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keystore::Freshness;
    use strongroom_protocol::SigningKey;

    fn keystore(byte: u8) -> Keystore {
        let fresh = Freshness { salt: [1; 32], iv: [2; 16], id: [3; 16] };
        Keystore::encrypt(&SigningKey::from_bytes(&[byte; 32]).unwrap(), "p", "1024".parse().unwrap(), &fresh)
    }

    fn name(text: &str) -> WalletName {
        text.parse().unwrap()
    }

    #[test]
    fn a_wallet_is_found_by_name_and_by_address_in_any_letter_case() {
        let folder = tempfile::tempdir().unwrap();
        let wallets = Wallets::in_folder(folder.path().join("wallets"));
        assert!(matches!(wallets.choose(None, None), Err(WalletError::None { .. })));
        let added = wallets.add(&name("alice"), keystore(1)).unwrap();
        wallets.add(&name("bob"), keystore(2)).unwrap();
        let address = checksummed(&added.address().unwrap());
        for choice in ["alice", "alice.json", &address, &address.to_lowercase()] {
            assert_eq!(wallets.find(choice).unwrap().file, added.file, "{choice}");
        }
        assert!(matches!(wallets.find("carol"), Err(WalletError::Unknown { .. })));
        assert!(matches!(wallets.find("../wallets/alice"), Err(WalletError::Unknown { .. })));
        assert_eq!(wallets.choose(Some("alice"), Some("bob")).unwrap().name, "alice");
        assert_eq!(wallets.choose(None, Some("bob")).unwrap().name, "bob");
        assert!(
            matches!(wallets.choose(None, None), Err(WalletError::NoneChosen { names }) if names == ["alice", "bob"])
        );
    }

    #[test]
    fn the_only_wallet_needs_no_name() {
        let folder = tempfile::tempdir().unwrap();
        let wallets = Wallets::in_folder(folder.path().to_owned());
        wallets.add(&name("alice"), keystore(1)).unwrap();
        assert_eq!(wallets.choose(None, None).unwrap().name, "alice");
    }

    #[test]
    fn two_files_of_one_address_are_told_apart_by_name_only() {
        let folder = tempfile::tempdir().unwrap();
        let wallets = Wallets::in_folder(folder.path().to_owned());
        let address = wallets.add(&name("a"), keystore(1)).unwrap().address().unwrap();
        wallets.add(&name("b"), keystore(1)).unwrap();
        let found = wallets.find(&checksummed(&address));
        assert!(matches!(found, Err(WalletError::Ambiguous { names, .. }) if names == ["a", "b"]));
    }

    #[test]
    fn an_existing_wallet_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let wallets = Wallets::in_folder(folder.path().to_owned());
        wallets.check_free(&name("a")).unwrap();
        let first = wallets.add(&name("a"), keystore(1)).unwrap();
        assert!(matches!(wallets.check_free(&name("a")), Err(WalletError::Exists { .. })));
        assert!(matches!(wallets.add(&name("a"), keystore(2)), Err(WalletError::Exists { .. })));
        assert_eq!(wallets.find("a").unwrap().address().unwrap(), first.address().unwrap());
    }

    #[test]
    fn other_things_in_the_folder_are_passed_over_but_say_what_they_are_when_asked_for() {
        let folder = tempfile::tempdir().unwrap();
        let wallets = Wallets::in_folder(folder.path().to_owned());
        wallets.add(&name("a"), keystore(1)).unwrap();
        fs::write(folder.path().join("notes.txt"), "x").unwrap();
        fs::write(folder.path().join("old.json"), r#"{"version":1}"#).unwrap();
        fs::create_dir(folder.path().join("more")).unwrap();
        assert_eq!(wallets.list().unwrap().len(), 1);
        let old = wallets.find("old");
        let expected = KeystoreError::WrongVersion { found: 1 }.to_string();
        assert!(matches!(old, Err(WalletError::Unusable { source, .. }) if source.to_string() == expected));
        assert!(matches!(wallets.find("more"), Err(WalletError::Unreadable { .. })));
    }

    #[test]
    fn files_without_a_name_are_called_as_geth_does() {
        let address = SigningKey::from_bytes(&[1; 32]).unwrap().address();
        let name = WalletName::of_time_and_address(UnixSeconds(1_769_860_800), address);
        let expected = "UTC--2026-01-31T12-00-00.000000000Z--1a642f0e3c3af545e7acbd38b07251b3990914f1";
        assert_eq!((name.to_string().as_str(), name.file_name().as_str()), (expected, expected));
    }

    #[test]
    fn names_are_file_names_and_never_paths_or_addresses() {
        for (text, valid) in [
            ("a", true),
            ("my-wallet_2", true),
            ("", false),
            ("a/b", false),
            ("..", false),
            ("0xab", false),
            ("-a", false),
        ] {
            assert_eq!(text.parse::<WalletName>().is_ok(), valid, "{text}");
        }
        for (text, times, valid) in
            [("z", 64, true), ("z", 65, false), ("0a", 32, false), ("0a", 20, false), ("0a", 19, true)]
        {
            assert_eq!(text.repeat(times).parse::<WalletName>().is_ok(), valid, "{text} × {times}");
        }
    }
}
