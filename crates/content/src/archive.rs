//! The archive of a result: a ZIP with what the app left in its output folder, the same bytes for the same files.

use std::io::{self, Read, Seek, Write};
use std::path::Path;

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

/// Why an archive was not taken apart.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// It is no ZIP archive, or a damaged one.
    #[error("it is no archive, or it is damaged")]
    Malformed(#[source] zip::result::ZipError),
    /// A name leads out of the folder, or is no file.
    #[error("{name:?} in it is neither a file nor a folder below the one where it is unpacked")]
    NotBelow {
        /// The name.
        name: String,
    },
    /// Its files are too large.
    #[error("its files have more than {limit} bytes")]
    TooLarge {
        /// Most that was allowed, in bytes.
        limit: u64,
    },
    /// A file could not be read or written.
    #[error("a file of the archive could not be read or written")]
    Io(#[from] io::Error),
}

/// Takes an archive apart that somebody else made: hands every file to `each`, with a relative path that leads nowhere but down. All
/// files together may have `limit` bytes, whatever the archive says about their sizes.
pub fn each_file(
    from: impl Read + Seek,
    limit: u64,
    mut each: impl FnMut(&Path, &mut dyn Read) -> io::Result<()>,
) -> Result<(), UnpackError> {
    let mut zip = zip::ZipArchive::new(from).map_err(UnpackError::Malformed)?;
    let mut left = limit;
    for index in 0..zip.len() {
        let file = zip.by_index(index).map_err(UnpackError::Malformed)?;
        let below = file.enclosed_name().filter(|path| !file.is_symlink() && path.file_name().is_some());
        let path = below
            .ok_or_else(|| UnpackError::NotBelow { name: String::from_utf8_lossy(file.name_raw()).into_owned() })?;
        if file.is_dir() {
            continue;
        }
        let mut content = file.take(left.saturating_add(1));
        each(&path, &mut content)?;
        // What was not read counts too.
        io::copy(&mut content, &mut io::sink())?;
        let unread = content.limit();
        if unread == 0 {
            return Err(UnpackError::TooLarge { limit });
        }
        left = unread - 1;
    }
    Ok(())
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

    fn files(archive: &[u8], limit: u64) -> Result<Vec<(String, String)>, UnpackError> {
        let mut files = Vec::new();
        each_file(Cursor::new(archive), limit, |path, content| {
            let mut text = String::new();
            content.read_to_string(&mut text)?;
            files.push((path.to_str().unwrap().to_owned(), text));
            Ok(())
        })?;
        Ok(files)
    }

    #[test]
    fn an_archive_is_taken_apart_up_to_a_limit() {
        let expected = [("computed.json", "{}"), ("folder/result.txt", "Hello, world!")];
        let expected = expected.map(|(name, text)| (name.to_owned(), text.to_owned()));
        assert_eq!(files(&archive(), 15).unwrap(), expected);
        assert!(matches!(files(&archive(), 14), Err(UnpackError::TooLarge { limit: 14 })));
        assert!(matches!(files(b"no archive", 15), Err(UnpackError::Malformed(_))));
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for name in ["../x", "/../x", "a/../../x"] {
            let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
            zip.start_file(name, SimpleFileOptions::default()).unwrap();
            let bytes = zip.finish().unwrap().into_inner();
            assert!(matches!(files(&bytes, 100), Err(UnpackError::NotBelow { .. })), "{name}");
        }
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        zip.add_symlink("link", "/etc/passwd", SimpleFileOptions::default()).unwrap();
        let bytes = zip.finish().unwrap().into_inner();
        assert!(matches!(files(&bytes, 100), Err(UnpackError::NotBelow { .. })));
    }
}
