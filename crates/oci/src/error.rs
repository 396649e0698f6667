//! Why an image was not accepted.

use std::io;
use std::path::PathBuf;

use crate::Digest;

/// Why an image was not accepted, or could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// The image holds something that is not allowed, or is damaged.
    #[error("the image is refused: {0}")]
    Refused(Refused),
    /// The image asked for is not there.
    #[error("no image {wanted} in {place}; {hint}")]
    Absent {
        /// What was asked for.
        wanted: String,
        /// Where it was looked for.
        place: String,
        /// What to do.
        hint: &'static str,
    },
    /// A folder or file could not be read or written; nothing is known about the image.
    #[error("`{}` cannot be read or written; check that it exists, the permissions and the space on the disk", path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The registry did not answer as it should; nothing is known about the image.
    #[error("the registry did not hand out the image: {0}")]
    Registry(String),
}

/// What is wrong with an image.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Bytes do not have the digest by which they are named.
    #[error("{what} {expected} has digest {found}; it was changed or damaged, fetch it again")]
    Digest {
        /// Manifest, configuration, layer or uncompressed layer.
        what: &'static str,
        /// The digest by which it is named.
        expected: Digest,
        /// The digest that its bytes have.
        found: Digest,
    },
    /// Bytes do not have the size that their descriptor says.
    #[error("{what} {digest} has {found} bytes, its descriptor says {expected}")]
    Size {
        /// Manifest, configuration or layer.
        what: &'static str,
        /// Which one.
        digest: Digest,
        /// The size that its descriptor says.
        expected: u64,
        /// The size that it has, or that it has at least.
        found: u64,
    },
    /// A JSON document cannot be understood.
    #[error("its {what} cannot be understood: {reason}")]
    Malformed {
        /// Which document.
        what: &'static str,
        /// Why.
        reason: String,
    },
    /// A layer of a kind that is not accepted.
    #[error("a layer has media type `{0}`; only plain and gzip tar layers that travel with the image are accepted")]
    LayerKind(String),
    /// An image for another kind of machine.
    #[error("it is made for {found}, this machine runs {wanted}")]
    Platform {
        /// What this machine runs.
        wanted: String,
        /// What the image is made for.
        found: String,
    },
    /// A bound was exceeded.
    #[error("it has more than {limit} {what}; the bound can be raised in the settings")]
    TooMuch {
        /// Of what.
        what: &'static str,
        /// The bound.
        limit: u64,
    },
    /// A layer holds an entry that is never unpacked.
    #[error("its entry `{path}` {why}")]
    Entry {
        /// The entry's path, control characters escaped.
        path: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A layer is no valid tar or gzip file.
    #[error("a layer cannot be unpacked: {0}")]
    Layer(String),
}

impl From<Refused> for ImageError {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl ImageError {
    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}
