//! Encrypts and decrypts the files of datasets. Nothing that exists is overwritten.

use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};

use serde_json::json;
use strongroom_content::dataset::{self as format, DatasetKey};
use strongroom_protocol::B256;

use super::{beside, failed, must_have_checksum};
use crate::commands::{Session, random};
use crate::dataset_key;
use crate::error::CliError;
use crate::output::Answer;

pub(super) fn encrypt(
    session: &Session<'_>,
    file: &Path,
    output: Option<PathBuf>,
    key_file: Option<PathBuf>,
) -> Result<Answer, CliError> {
    let file = session.here(file);
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let project = &session.surroundings.current_folder;
    let output = session.here(output.unwrap_or_else(|| Path::new("datasets/encrypted").join(format!("{name}.enc"))));
    let key_file =
        key_file.map_or_else(|| dataset_key::folder(project).join(format!("{name}.key")), |f| session.here(f));
    let from = File::open(&file).map_err(failed("read", &file))?;
    for path in [&output, &key_file] {
        if path.symlink_metadata().is_ok() {
            return Err(CliError::FileExists { path: path.clone() });
        }
    }
    let key = DatasetKey::from_random(random()?);
    // The key first: a file without its key is lost.
    dataset_key::write(&key_file, &key)?;
    let iv = random()?;
    let to = new_file(&output)?;
    let encrypted = session.screen.while_doing("Encrypting", || {
        let checksum = format::encrypt(&key, iv, BufReader::new(from), BufWriter::new(&to))?;
        to.sync_all().map(|()| checksum)
    });
    let checksum = encrypted.map_err(failed("write", &output))?;
    let text = format!(
        "file      {}\nkey       {}\nchecksum  {checksum}\nKeep a copy of the key: without it nobody can read the file.",
        output.display(),
        key_file.display()
    );
    let json = json!({
        "file": output.display().to_string(),
        "key_file": key_file.display().to_string(),
        "checksum": checksum.to_string(),
    });
    Ok(Answer::done(text, json))
}

pub(super) fn decrypt(
    session: &Session<'_>,
    file: &Path,
    output: &Path,
    key_file: Option<PathBuf>,
    expected: Option<B256>,
) -> Result<Answer, CliError> {
    let (file, output) = (session.here(file), session.here(output));
    let project = &session.surroundings.current_folder;
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let found = key_file.map(|path| session.here(path)).or_else(|| dataset_key::of_name(project, &name));
    let key_file = found.unwrap_or_else(|| dataset_key::folder(project).join("dataset.key"));
    let key = dataset_key::read(&key_file)?;
    if output.symlink_metadata().is_ok() {
        return Err(CliError::FileExists { path: output });
    }
    if let Some(expected) = expected {
        must_have_checksum(&file, expected)?;
    }
    let from = BufReader::new(File::open(&file).map_err(failed("read", &file))?);
    // What was written when it fails is worth nothing, and never gets the name.
    let partial = beside(&output)?;
    let opened = session.screen.while_doing("Decrypting", || format::decrypt(&key, from, BufWriter::new(&partial)));
    opened.map_err(|source| CliError::Dataset { path: file.clone(), source })?;
    partial.persist_noclobber(&output).map_err(|error| failed("write", &output)(error.error))?;
    let text = format!("{} is decrypted into {}.", file.display(), output.display());
    Ok(Answer::done(text, json!({ "file": output.display().to_string() })))
}

/// A file that was not there, and its folder.
fn new_file(path: &Path) -> Result<File, CliError> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed("make the folder of", path))?;
    }
    OpenOptions::new().write(true).create_new(true).open(path).map_err(failed("write", path))
}
