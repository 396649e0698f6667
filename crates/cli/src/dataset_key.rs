//! The keys of datasets as files, where the iexec CLI has them: `.secrets/datasets/NAME.key`, `.secrets/datasets/ADDRESS.key`,
//! `.secrets/datasets/dataset.key`.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use strongroom_content::dataset::DatasetKey;
use strongroom_protocol::Address;
use strongroom_protocol::address::{checksummed, lower_case};
use zeroize::Zeroizing;

use crate::error::CliError;
use crate::private_file;

/// A key is 44 characters and perhaps a line break.
const MAX_FILE_BYTES: usize = 64;

/// The folder of the keys in a project.
pub(crate) fn folder(project: &Path) -> PathBuf {
    project.join(".secrets").join("datasets")
}

/// The file with the key of this dataset, if there is one here.
pub(crate) fn of_address(project: &Path, dataset: Address) -> Option<PathBuf> {
    let names = [checksummed(&dataset), lower_case(&dataset)].map(|address| format!("{address}.key"));
    first_file(project, names.into_iter().chain(["dataset.key".to_owned()]))
}

/// The file with the key of an encrypted file of this name, if there is one here.
pub(crate) fn of_name(project: &Path, name: &str) -> Option<PathBuf> {
    let plain = name.strip_suffix(".enc").unwrap_or(name);
    first_file(project, [format!("{plain}.key"), "dataset.key".to_owned()])
}

fn first_file(project: &Path, names: impl IntoIterator<Item = String>) -> Option<PathBuf> {
    names.into_iter().map(|name| folder(project).join(name)).find(|path| path.is_file())
}

/// Reads a key. One line break at the end is no part of it.
pub(crate) fn read(path: &Path) -> Result<DatasetKey, CliError> {
    let unreadable = |source| CliError::File { doing: "read", path: path.to_owned(), source };
    let mut text = Zeroizing::new(Vec::with_capacity(MAX_FILE_BYTES + 1));
    let file = File::open(path).map_err(unreadable)?;
    file.take(MAX_FILE_BYTES as u64).read_to_end(&mut text).map_err(unreadable)?;
    let text = text.strip_suffix(b"\n").unwrap_or(&text);
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    DatasetKey::from_text(text).map_err(|source| CliError::DatasetKey { path: path.to_owned(), source })
}

/// Writes a new key (0600).
pub(crate) fn write(path: &Path, key: &DatasetKey) -> Result<(), CliError> {
    match private_file::write_new(path, key.expose_text().as_bytes()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(CliError::FileExists { path: path.to_owned() })
        }
        Err(source) => Err(CliError::File { doing: "write", path: path.to_owned(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_where_the_iexec_cli_has_them() {
        let project = tempfile::tempdir().unwrap();
        let address = Address::repeat_byte(0xab);
        let key = DatasetKey::from_random([1; 32]);
        assert!(of_address(project.path(), address).is_none() && of_name(project.path(), "a.csv.enc").is_none());
        let file = |name: &str| folder(project.path()).join(name);
        write(&file("dataset.key"), &key).unwrap();
        assert_eq!(of_address(project.path(), address), Some(file("dataset.key")));
        write(&file(&format!("{}.key", checksummed(&address))), &key).unwrap();
        write(&file("a.csv.key"), &key).unwrap();
        assert_ne!(of_address(project.path(), address), Some(file("dataset.key")));
        assert_eq!(of_name(project.path(), "a.csv.enc"), Some(file("a.csv.key")));
        assert!(matches!(write(&file("dataset.key"), &key), Err(CliError::FileExists { .. })));
    }

    #[test]
    fn a_key_may_end_with_a_line_break_and_with_nothing_else() {
        let project = tempfile::tempdir().unwrap();
        let path = project.path().join("key");
        let text = DatasetKey::from_random([2; 32]).expose_text().to_string();
        for (content, good) in [
            (text.clone(), true),
            (format!("{text}\n"), true),
            (format!("{text}\r\n"), true),
            (format!("{text} "), false),
            (String::new(), false),
        ] {
            std::fs::write(&path, &content).unwrap();
            assert_eq!(read(&path).is_ok(), good, "{content:?}");
        }
    }
}
