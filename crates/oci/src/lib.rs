//! OCI images as untrusted bytes: every digest is checked, every size is bounded, nothing leaves the folder it is unpacked into.
//!
//! An [`ImageStore`] finds a [`Wanted`] image in a [`Source`] or pulls it from a [`Registry`], and unpacks it once for all tasks. An
//! [`ImageBuilder`] makes images whose digest depends on nothing but what is in them, and [`add_to_layout`] collects them.

mod blobs;
mod bounds;
mod build;
mod config;
mod digest;
mod error;
mod host;
mod image;
mod layout;
mod manifest;
mod reference;
mod registry;
mod rooted;
mod store;
mod unpack;
mod unpacked;

pub use bounds::Bounds;
pub use build::ImageBuilder;
pub use config::ImageConfig;
pub use digest::{Digest, ParseDigestError};
pub use error::{ImageError, Refused};
pub use image::Wanted;
pub use layout::{add_to_layout, make_layout};
pub use reference::{ParseReferenceError, Reference};
pub use registry::Registry;
pub use store::{ImageStore, Source};
pub use unpacked::{UnpackedImage, User, UserError};
