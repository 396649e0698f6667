//! The archive of a result: a ZIP with what the app left in its output folder, the same bytes for the same files.

use std::io::{self, Read, Seek, Write};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// Longest name of a file or folder in a result, in bytes; existing programs refuse longer ones.
pub const MAX_NAME_BYTES: usize = 31;

/// Why an archive was not made.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// A name is too long.
    #[error("{name:?} has more than {MAX_NAME_BYTES} bytes; the app must give its results shorter names")]
    NameTooLong {
        /// The name.
        name: String,
    },
    /// Reading or writing failed.
    #[error("the archive could not be written")]
    Io(#[from] io::Error),
}

impl From<zip::result::ZipError> for ArchiveError {
    fn from(error: zip::result::ZipError) -> Self {
        Self::Io(io::Error::other(error))
    }
}

/// Writes an archive entry by entry.
pub struct Archive<W: Write + Seek> {
    zip: ZipWriter<W>,
}

impl<W: Write + Seek> Archive<W> {
    /// An empty archive in `to`.
    pub fn new(to: W) -> Self {
        Self { zip: ZipWriter::new(to) }
    }

    /// Adds a file. `path` is relative, with `/` between its names. The caller keeps to one order of files.
    pub fn add(&mut self, path: &str, mut content: impl Read) -> Result<(), ArchiveError> {
        self.start(path)?;
        io::copy(&mut content, &mut self.zip)?;
        Ok(())
    }

    /// Begins a file; what is then written to [`Self::writer`] is its content.
    pub(crate) fn start(&mut self, path: &str) -> Result<(), ArchiveError> {
        if let Some(name) = path.split('/').find(|name| name.len() > MAX_NAME_BYTES) {
            return Err(ArchiveError::NameTooLong { name: name.to_owned() });
        }
        // Time and rights are the same for all: they would make two archives of the same result differ.
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(DateTime::default())
            .unix_permissions(0o644)
            .large_file(true);
        Ok(self.zip.start_file(path, options)?)
    }

    pub(crate) fn writer(&mut self) -> &mut impl Write {
        &mut self.zip
    }

    /// Ends the archive.
    pub fn finish(self) -> Result<W, ArchiveError> {
        Ok(self.zip.finish()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn archive() -> Vec<u8> {
        let mut archive = Archive::new(Cursor::new(Vec::new()));
        archive.add("computed.json", &b"{}"[..]).unwrap();
        archive.add("folder/result.txt", &b"Hello, world!"[..]).unwrap();
        archive.finish().unwrap().into_inner()
    }

    #[test]
    fn the_same_files_make_the_same_archive_and_come_out_again() {
        assert_eq!(archive(), archive());
        let mut read = zip::ZipArchive::new(Cursor::new(archive())).unwrap();
        let mut text = String::new();
        read.by_name("folder/result.txt").unwrap().read_to_string(&mut text).unwrap();
        assert_eq!((read.len(), text.as_str()), (2, "Hello, world!"));
    }

    #[test]
    fn a_name_of_more_than_31_bytes_is_refused() {
        let mut archive = Archive::new(Cursor::new(Vec::new()));
        archive.add(&"x".repeat(31), &b""[..]).unwrap();
        let long = format!("folder/{}", "é".repeat(16));
        assert!(matches!(archive.add(&long, &b""[..]), Err(ArchiveError::NameTooLong { .. })));
    }
}
