//! Unpacked images on this machine: each is verified and unpacked once, then shared by all tasks and never written to again.
//!
//! The folder belongs to one program. `roots/HEX` is an image by the digest of its configuration, complete from the moment it has
//! that name; `manifests/HEX` says which configuration a manifest has; `staging` holds what is not finished, and is emptied at start.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::fs::{CWD, Mode, OFlags, openat};

use crate::blobs::{ArchiveFile, Blobs};
use crate::config::ConfigBlob;
use crate::image::{Image, find, missing};
use crate::manifest::parse;
use crate::rooted::Rooted;
use crate::unpack::{Remaining, unpack};
use crate::{Bounds, Digest, ImageError, UnpackedImage, Wanted};

/// Folders that every unpacked image has: a sandbox mounts there, and a read-only root cannot grow them.
const MOUNT_POINTS: [&str; 9] = [".strongroom", "dev", "etc", "iexec_in", "iexec_out", "proc", "run", "sys", "tmp"];

/// An image on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// An OCI layout folder.
    Layout(PathBuf),
    /// What `docker save` or `skopeo copy … docker-archive:` writes; not compressed.
    DockerArchive(PathBuf),
}

/// Verified and unpacked images.
#[derive(Clone, Debug)]
pub struct ImageStore {
    folder: PathBuf,
    bounds: Bounds,
    /// One image at a time: a second task with the same image then finds it unpacked.
    unpacking: Arc<Mutex<()>>,
}

impl ImageStore {
    /// Opens the store in `folder`, which is made where missing.
    pub fn open(folder: impl Into<PathBuf>, bounds: Bounds) -> Result<Self, ImageError> {
        let folder = folder.into();
        let staging = folder.join("staging");
        match fs::remove_dir_all(&staging) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(ImageError::io(&staging)(error)),
            _ => {}
        }
        for name in ["staging", "roots", "manifests"] {
            fs::create_dir_all(folder.join(name)).map_err(ImageError::io(folder.join(name)))?;
        }
        Ok(Self { folder, bounds, unpacking: Arc::default() })
    }

    /// The bounds that images must keep.
    pub fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// An image that was unpacked before.
    pub fn cached(&self, wanted: Wanted) -> Result<Option<UnpackedImage>, ImageError> {
        let (manifest_digest, config_digest) = match wanted {
            Wanted::Manifest(digest) => {
                let file = self.folder.join("manifests").join(digest.hex());
                match fs::read_to_string(&file) {
                    Ok(text) => match text.trim().parse() {
                        Ok(config) => (Some(digest), config),
                        // Cut off by a crash: as if it were not there.
                        Err(_) => return Ok(None),
                    },
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                    Err(error) => return Err(ImageError::io(file)(error)),
                }
            }
            Wanted::ImageId(id) => (None, id),
        };
        let folder = self.image_folder(config_digest);
        let file = folder.join("config.json");
        let bytes = match fs::read(&file) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(ImageError::io(file)(error)),
        };
        let config = parse("configuration", &bytes)?;
        Ok(Some(UnpackedImage { root: folder.join("root"), manifest_digest, config_digest, config }))
    }

    /// Finds the wanted image in `source`, verifies and unpacks it, unless that was done before. Blocks: reads and writes a lot.
    pub fn unpack(&self, source: &Source, wanted: Wanted) -> Result<UnpackedImage, ImageError> {
        let _alone = self.unpacking.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(image) = self.cached(wanted)? {
            return Ok(image);
        }
        let mut blobs = match source {
            Source::Layout(folder) => Blobs::Layout(folder.clone()),
            Source::DockerArchive(file) => Blobs::Archive(ArchiveFile::open_archive(file)?),
        };
        let image = find(&mut blobs, wanted, &self.bounds)?;
        if !self.image_folder(image.config_digest).exists() {
            let staging = self.staging(image.config_digest)?;
            self.unpack_into(staging.path(), &blobs, &image)?;
            staging.finish(&self.image_folder(image.config_digest))?;
        }
        self.remember(&image)
    }

    fn unpack_into(&self, staging: &Path, blobs: &Blobs, image: &Image) -> Result<(), ImageError> {
        let folder = staging.join("root");
        // Whatever the process' umask says: the sandbox's users are others.
        let everybody = fs::Permissions::from_mode(0o755);
        fs::create_dir(&folder)
            .and_then(|()| fs::set_permissions(&folder, everybody))
            .map_err(ImageError::io(&folder))?;
        let root = Rooted::open(&folder).map_err(ImageError::io(&folder))?;
        let mut remaining = Remaining::of(&self.bounds);
        for layer in &image.layers {
            let (blob, _) = blobs.open(layer.digest)?.ok_or_else(|| missing(blobs, layer.digest))?;
            unpack(&root, blob, layer, &mut remaining, &self.bounds)?;
        }
        for name in MOUNT_POINTS {
            let made = root.place(Path::new(name)).map_err(io::Error::from).and_then(|place| place.make_folder());
            made.map_err(ImageError::io(folder.join(name)))?;
        }
        let config = serde_json::to_vec(&image.config.config).map_err(|error| ImageError::io(&folder)(error.into()))?;
        fs::write(staging.join("config.json"), config).map_err(ImageError::io(staging))
    }

    fn remember(&self, image: &Image) -> Result<UnpackedImage, ImageError> {
        let root = self.image_folder(image.config_digest).join("root");
        if let Some(digest) = image.manifest_digest {
            let file = self.folder.join("manifests").join(digest.hex());
            fs::write(&file, image.config_digest.to_string()).map_err(ImageError::io(file))?;
        }
        let ConfigBlob { config, .. } = image.config.clone();
        Ok(UnpackedImage { root, manifest_digest: image.manifest_digest, config_digest: image.config_digest, config })
    }

    fn image_folder(&self, config: Digest) -> PathBuf {
        self.folder.join("roots").join(config.hex())
    }

    /// A new empty folder, gone again unless it is finished.
    pub(crate) fn staging(&self, digest: Digest) -> Result<Staging, ImageError> {
        let staging = self.folder.join("staging");
        let mut attempt = 0_u32;
        loop {
            let folder = staging.join(format!("{}-{attempt}", digest.hex()));
            match fs::create_dir(&folder) {
                Ok(()) => return Ok(Staging(folder)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => attempt += 1,
                Err(error) => return Err(ImageError::io(folder)(error)),
            }
        }
    }
}

/// A folder for something unfinished.
pub(crate) struct Staging(PathBuf);

impl Staging {
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Gives it its final name once everything in it is on the disk.
    fn finish(self, name: &Path) -> Result<(), ImageError> {
        let folder = openat(CWD, &self.0, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        folder.and_then(rustix::fs::syncfs).map_err(|error| ImageError::io(&self.0)(error.into()))?;
        fs::rename(&self.0, name).map_err(ImageError::io(name))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // Emptied at the next start at the latest.
        let _ = fs::remove_dir_all(&self.0);
    }
}
