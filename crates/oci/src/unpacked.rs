//! An image that was verified and unpacked: the root folder of a sandbox, with what the image says about running it.

use std::path::PathBuf;

use crate::{Digest, ImageConfig};

/// A verified image, unpacked into a folder that is shared by all tasks and never written to again.
#[derive(Clone, Debug)]
pub struct UnpackedImage {
    /// The root folder.
    pub root: PathBuf,
    /// Digest of the manifest; `None` when the image came from a docker-archive without one (known by its image id only).
    pub manifest_digest: Option<Digest>,
    /// Digest of the configuration: the image id of Docker.
    pub config_digest: Digest,
    /// How the image wants to be run.
    pub config: ImageConfig,
}

/// A user of an image, looked up in the image's own files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// User id inside the sandbox.
    pub uid: u32,
    /// Group id inside the sandbox.
    pub gid: u32,
}
