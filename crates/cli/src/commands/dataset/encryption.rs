//! Encrypts and decrypts the files of datasets. Nothing that exists is overwritten, and only what is whole gets its name.

use std::fs::{self, File, Metadata};
use std::io::{self, BufReader, BufWriter, Read};
use std::path::{Path, PathBuf};

use serde_json::json;
use strongroom_content::dataset::{self as format, DatasetKey};
use strongroom_protocol::B256;
use tempfile::NamedTempFile;

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
    let (key, iv) = (DatasetKey::from_random(random()?), random()?);
    let to = readable_beside(&output)?;
    let total = size_of(&from);
    let mut from = Watched { from: BufReader::new(from), failed: false };
    let encrypted = session.screen.while_counting("Encrypting", total, |counter| {
        let checksum = format::encrypt(&key, iv, counter.reading(&mut from), BufWriter::new(&to))?;
        to.as_file().sync_all().map(|()| checksum)
    });
    let checksum = encrypted.map_err(|source| {
        let (doing, path) = if from.failed { ("read", &file) } else { ("write", &output) };
        failed(doing, path)(source)
    })?;
    // The key first: a file without its key is lost.
    dataset_key::write(&key_file, &key)?;
    if let Err(error) = persist(to, &output) {
        // The key of nothing. Should it stay, it is only in the way.
        let _ = fs::remove_file(&key_file);
        return Err(error);
    }
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
    let from = File::open(&file).map_err(failed("read", &file))?;
    // What was written when it fails is worth nothing, and never gets the name.
    let partial = beside(&output)?;
    let opened = session.screen.while_counting("Decrypting", size_of(&from), |counter| {
        format::decrypt(&key, counter.reading(BufReader::new(from)), BufWriter::new(&partial))
    });
    opened.map_err(|source| CliError::Dataset { path: file.clone(), source })?;
    persist(partial, &output)?;
    let text = format!("{} is decrypted into {}.", file.display(), output.display());
    Ok(Answer::done(text, json!({ "file": output.display().to_string() })))
}

/// How much there is to read. A pipe does not tell.
fn size_of(file: &File) -> Option<u64> {
    file.metadata().ok().filter(Metadata::is_file).map(|about| about.len())
}

/// Remembers whether it was reading that failed.
struct Watched<R> {
    from: R,
    failed: bool,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer);
        self.failed |= read.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::Interrupted);
        read
    }
}

/// As [`beside`], for a file that whoever hosts it may read: with the permissions of any new file.
fn readable_beside(path: &Path) -> Result<NamedTempFile, CliError> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder).map_err(failed("make the folder of", path))?;
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.prefix(".strongroom-").tempfile_in(folder).map_err(failed("write", path))
}

/// Gives a finished file its name, unless something has it.
fn persist(file: NamedTempFile, path: &Path) -> Result<(), CliError> {
    file.persist_noclobber(path).map(drop).map_err(|error| match error.error.kind() {
        io::ErrorKind::AlreadyExists => CliError::FileExists { path: path.to_owned() },
        _ => failed("write", path)(error.error),
    })
}
