//! The keys of the pool, from encrypted wallet files. A password comes from a file (such as a systemd credential) or the
//! environment, never from the command line, and is wiped after use.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use strongroom_keystore::{Keystore, KeystoreError};
use strongroom_protocol::{Address, SigningKey};
use zeroize::Zeroizing;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A file cannot be read.
    #[error("{} cannot be read; check its name and permissions", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The wallet file does not open.
    #[error("{} does not open", file.display())]
    Locked {
        /// The file.
        file: PathBuf,
        /// Why.
        #[source]
        source: KeystoreError,
    },
    /// No password.
    #[error("no password for {}: name a file with it in {setting}, or set the variable {variable}", file.display())]
    NoPassword {
        /// The wallet file.
        file: PathBuf,
        /// The setting.
        setting: &'static str,
        /// The variable.
        variable: &'static str,
    },
    /// The file does not say whose key it holds.
    #[error("{} does not say its address; set {setting}", file.display())]
    NoAddress {
        /// The wallet file.
        file: PathBuf,
        /// The setting to use instead.
        setting: &'static str,
    },
}

/// Where a password may come from.
pub struct PasswordSource<'a> {
    /// File with it; a line break at its end does not count.
    pub file: Option<&'a Path>,
    /// The name of that setting.
    pub setting: &'static str,
    /// Value of the variable, if it is set.
    pub value: Option<Zeroizing<String>>,
    /// The variable's name.
    pub variable: &'static str,
}

/// Opens a wallet file. Slow on purpose, and blocks.
pub fn open(keystore: &Path, password: PasswordSource<'_>) -> Result<Arc<SigningKey>, KeyError> {
    let wallet = read(keystore)?;
    let password = match (password.file, password.value) {
        (Some(file), _) => {
            let text = std::fs::read_to_string(file)
                .map_err(|source| KeyError::Unreadable { file: file.to_owned(), source })?;
            Zeroizing::new(text)
        }
        (None, Some(value)) => value,
        (None, None) => {
            let (setting, variable) = (password.setting, password.variable);
            return Err(KeyError::NoPassword { file: keystore.to_owned(), setting, variable });
        }
    };
    let key = wallet.decrypt(password.trim_end_matches(['\r', '\n']));
    key.map(Arc::new).map_err(|source| KeyError::Locked { file: keystore.to_owned(), source })
}

/// The address that a wallet file names, without opening it.
pub fn address_of(keystore: &Path, setting: &'static str) -> Result<Address, KeyError> {
    let claimed = read(keystore)?.claimed_address();
    claimed.ok_or_else(|| KeyError::NoAddress { file: keystore.to_owned(), setting })
}

fn read(keystore: &Path) -> Result<Keystore, KeyError> {
    let text = std::fs::read(keystore).map_err(|source| KeyError::Unreadable { file: keystore.to_owned(), source })?;
    Keystore::from_json(&text).map_err(|source| KeyError::Locked { file: keystore.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use strongroom_keystore::Freshness;

    use super::*;

    fn source(file: Option<&Path>, value: Option<&str>) -> PasswordSource<'static> {
        let file = file.map(|file| &*Box::leak(file.to_owned().into_boxed_path()));
        let value = value.map(|text| Zeroizing::new(text.to_owned()));
        PasswordSource { file, setting: "worker.password_file", value, variable: "STRONGROOM_POOL_WORKER_PASSWORD" }
    }

    #[test]
    fn a_wallet_opens_with_the_password_of_a_file_or_a_variable() {
        let folder = tempfile::tempdir().unwrap();
        let (wallet, password) = (folder.path().join("wallet.json"), folder.path().join("password"));
        let key = SigningKey::from_bytes(&[3; 32]).unwrap();
        let fresh = Freshness { salt: [1; 32], iv: [2; 16], id: [3; 16] };
        std::fs::write(&wallet, Keystore::encrypt(&key, "sesame", "1024".parse().unwrap(), &fresh).to_json()).unwrap();
        std::fs::write(&password, "sesame\n").unwrap();
        assert_eq!(open(&wallet, source(Some(&password), None)).unwrap().address(), key.address());
        assert_eq!(open(&wallet, source(None, Some("sesame"))).unwrap().address(), key.address());
        assert_eq!(address_of(&wallet, "scheduler.worker").unwrap(), key.address());
        assert!(matches!(open(&wallet, source(None, Some("wrong"))), Err(KeyError::Locked { .. })));
        let error = open(&wallet, source(None, None)).unwrap_err().to_string();
        assert!(error.contains("worker.password_file") && error.contains("STRONGROOM_POOL_WORKER_PASSWORD"), "{error}");
    }
}
