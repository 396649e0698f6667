//! What is wrong with the settings, and in which line. The text of the line itself is never shown: it may hold a key.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::de::DeTable;

use super::Config;

/// Something wrong with the settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: cannot be read: {source}", file.display())]
    Unreadable {
        /// The file that was named.
        file: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Something in the file, or missing from it.
    #[error("{}{}: {message}", file.display(), line.map(|line| format!(":{line}")).unwrap_or_default())]
    File {
        /// The file that was read.
        file: PathBuf,
        /// The line, from 1; none when the key is missing.
        line: Option<usize>,
        /// What is wrong, and with which key.
        message: String,
    },
    /// Something in a variable of the environment.
    #[error("environment variable {variable}: {message}")]
    Environment {
        /// Name of the variable.
        variable: String,
        /// What is wrong.
        message: String,
    },
}

impl ConfigError {
    /// A problem with `key` (dotted), placed at the line where the file sets it or opens its table, if it does.
    pub(super) fn at_key(text: &str, file: &Path, key: &str, message: &str) -> Self {
        let line = span_of(text, key).map(|span| line_of(text, span.start));
        Self::File { file: file.to_owned(), line, message: format!("{key} {message}") }
    }

    fn from_toml(text: &str, file: &Path, error: &toml::de::Error) -> Self {
        let line = error.span().map(|span| line_of(text, span.start));
        Self::File { file: file.to_owned(), line, message: error.message().replace('\n', "; ") }
    }
}

/// Reads the file strictly, so that errors carry their line, and returns it as a table for the environment to be laid over.
pub(super) fn parse(text: &str, file: &Path) -> Result<toml::Table, ConfigError> {
    Config::deserialize(toml::Deserializer::parse(text).map_err(|error| ConfigError::from_toml(text, file, &error))?)
        .map_err(|error| ConfigError::from_toml(text, file, &error))?;
    text.parse::<toml::Table>().map_err(|error| ConfigError::from_toml(text, file, &error))
}

/// Where `key` (dotted) or, if it is not set, the innermost table around it stands in the text.
fn span_of(text: &str, key: &str) -> Option<Range<usize>> {
    let root = DeTable::parse(text).ok()?;
    let mut table = root.get_ref();
    let mut found = None;
    for part in key.split('.') {
        let Some((name, value)) = table.get_key_value(part) else { break };
        found = Some(name.span());
        match value.get_ref().as_table() {
            Some(inner) => table = inner,
            None => break,
        }
    }
    found
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}
