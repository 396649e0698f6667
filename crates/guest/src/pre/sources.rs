//! Brings one file from the first of its sources that gives the right one. A gateway may answer with an error page and status 200: what
//! comes is only good when its check says so, and as long as there is another gateway it is asked anew.

use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use sha2::{Digest, Sha256};
use strongroom_content::dataset::DatasetError;
use url::Url;

use super::with_causes;
use crate::fetch::{Chunks, Sources, pipe};

/// What all of the content amounts to.
pub(super) struct Came {
    /// SHA-256 of all that came, `0x` and hex digits.
    pub(super) checksum: String,
    /// What became of it on its way to the disk, which had room for it.
    pub(super) outcome: Result<(), DatasetError>,
}

/// Why a file is not there.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotBrought {
    /// Nobody gave it, and nobody gave anything else.
    #[error("{0}")]
    NotCome(String),
    /// Somebody gave another file, and nobody the right one.
    #[error("{0}")]
    Wrong(String),
    /// It could not be written.
    #[error("it cannot be written: {0}")]
    Disk(#[source] io::Error),
    /// The thread that wrote it died.
    #[error("the thread that writes it ended: {0}")]
    Thread(#[source] tokio::task::JoinError),
}

/// Writes to `path` what `write` makes of the file at one of `urls`, best first. What came is right if `check` has nothing against it.
pub(super) async fn bring<W>(
    sources: &Sources<'_>,
    urls: &[Url],
    path: &Path,
    write: W,
    check: impl Fn(&Came) -> Result<(), String>,
) -> Result<Came, NotBrought>
where
    W: Fn(&mut Hashing, &mut BufWriter<File>) -> Result<(), DatasetError> + Clone + Send + 'static,
{
    let mut wrong = Vec::new();
    let mut left = urls;
    loop {
        let (to, chunks) = pipe();
        let (target, write) = (path.to_owned(), write.clone());
        let writing = tokio::task::spawn_blocking(move || write_hashed(chunks, &target, write));
        let fetched = sources.fetch(left, to).await;
        // A thread that could not write stops the download: its reason comes first.
        let came = match writing.await.map_err(NotBrought::Thread)? {
            Came { outcome: Err(DatasetError::Io(error)), .. } => return Err(NotBrought::Disk(error)),
            came => came,
        };
        let first = match fetched {
            Ok(first) => first,
            Err(error) if wrong.is_empty() => return Err(NotBrought::NotCome(with_causes(&error))),
            Err(error) => {
                wrong.push(with_causes(&error));
                return Err(NotBrought::Wrong(wrong.join("; ")));
            }
        };
        let Err(objection) = check(&came) else { return Ok(came) };
        // Which gateway is at fault for a file that several gave parts of cannot be told: all but the first are asked again, for all of it.
        let host = left.get(first).and_then(Url::host_str).unwrap_or_default();
        wrong.push(format!("what {host} gave is another file: {objection}"));
        left = left.get(first + 1..).unwrap_or_default();
        if left.is_empty() {
            return Err(NotBrought::Wrong(wrong.join("; ")));
        }
    }
}

/// Writes to a new file what `write` makes of the content, and hashes all of the content.
fn write_hashed(
    chunks: Chunks,
    path: &Path,
    write: impl FnOnce(&mut Hashing, &mut BufWriter<File>) -> Result<(), DatasetError>,
) -> Came {
    let mut content = Hashing { from: chunks, hash: Sha256::new() };
    let outcome = File::create(path).map_err(DatasetError::Io).and_then(|file| {
        let mut file = BufWriter::new(file);
        write(&mut content, &mut file)?;
        file.flush()?;
        Ok(())
    });
    if !matches!(outcome, Err(DatasetError::Io(_))) {
        // What was not read yet counts for the checksum too.
        let _ = io::copy(&mut content, &mut io::sink());
    }
    Came { checksum: format!("0x{}", hex::encode(content.hash.finalize())), outcome }
}

/// Content that is hashed while it is read.
pub(super) struct Hashing {
    from: Chunks,
    hash: Sha256,
}

impl Read for Hashing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.from.read(buffer)?;
        self.hash.update(&buffer[..length]);
        Ok(length)
    }
}
