//! OCI images as untrusted bytes: every digest is checked, every size is bounded, nothing leaves the folder it is unpacked into.

mod config;
mod digest;
mod unpacked;

pub use config::ImageConfig;
pub use digest::{Digest, ParseDigestError};
pub use unpacked::{UnpackedImage, User};
