//! Images made by hand, byte by byte, so that they can be wrong.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::needless_pass_by_value,
    reason = "test support; each test file uses its part"
)]

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use strongroom_oci::{Bounds, Digest, ImageError, ImageStore, Refused, Source, UnpackedImage, Wanted};
use tar::{Builder, EntryType, Header};

pub(crate) const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
pub(crate) const LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A tar file in the making. Names are written as they are.
pub(crate) struct Tar(Builder<Vec<u8>>);

impl Tar {
    pub(crate) fn new() -> Self {
        Self(Builder::new(Vec::new()))
    }

    pub(crate) fn entry(mut self, kind: EntryType, name: &str, link: &str, mode: u32, data: &[u8]) -> Self {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_mtime(1_000_000_000);
        header.set_size(data.len() as u64);
        {
            let raw = header.as_gnu_mut().unwrap();
            raw.name[..name.len()].copy_from_slice(name.as_bytes());
            raw.linkname[..link.len()].copy_from_slice(link.as_bytes());
        }
        header.set_cksum();
        self.0.append(&header, data).unwrap();
        self
    }

    pub(crate) fn file(self, name: &str, data: &[u8]) -> Self {
        self.entry(EntryType::Regular, name, "", 0o644, data)
    }

    pub(crate) fn folder(self, name: &str) -> Self {
        self.entry(EntryType::Directory, name, "", 0o755, b"")
    }

    pub(crate) fn link(self, name: &str, to: &str) -> Self {
        self.entry(EntryType::Symlink, name, to, 0o777, b"")
    }

    pub(crate) fn hard_link(self, name: &str, to: &str) -> Self {
        self.entry(EntryType::Link, name, to, 0o644, b"")
    }

    pub(crate) fn bytes(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, bytes).unwrap();
    encoder.finish().unwrap()
}

/// Writes a blob and describes it.
pub(crate) fn blob(folder: &Path, kind: &str, bytes: &[u8]) -> Value {
    let digest = Digest::of(bytes);
    fs::create_dir_all(folder.join("blobs/sha256")).unwrap();
    fs::write(folder.join("blobs/sha256").join(digest.hex()), bytes).unwrap();
    json!({"mediaType": kind, "digest": digest, "size": bytes.len()})
}

/// A configuration for layers with these uncompressed bytes.
pub(crate) fn config(layers: &[Vec<u8>]) -> Value {
    let diff_ids: Vec<_> = layers.iter().map(|layer| Digest::of(layer)).collect();
    json!({"os": "linux", "architecture": Bounds::default().architecture, "config": {"Entrypoint": ["/app"]},
           "rootfs": {"type": "layers", "diff_ids": diff_ids}})
}

/// Writes an image of these plain layers as a layout without an index.
pub(crate) fn layout(folder: &Path, layers: &[Vec<u8>]) -> Digest {
    let described = layers.iter().map(|layer| blob(folder, LAYER, layer)).collect();
    layout_of(folder, described, &config(layers))
}

pub(crate) fn layout_of(folder: &Path, layers: Vec<Value>, config: &Value) -> Digest {
    let config = blob(folder, "application/vnd.oci.image.config.v1+json", &serde_json::to_vec(config).unwrap());
    manifest_of(folder, &json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}))
}

pub(crate) fn manifest_of(folder: &Path, manifest: &Value) -> Digest {
    let described = blob(folder, MANIFEST, &serde_json::to_vec(manifest).unwrap());
    described["digest"].as_str().unwrap().parse().unwrap()
}

/// A folder with an image and a store.
pub(crate) struct Place {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) store: ImageStore,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self::bounded(Bounds::default())
    }

    pub(crate) fn bounded(bounds: Bounds) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = ImageStore::open(folder.path().join("store"), bounds).unwrap();
        Self { folder, store }
    }

    pub(crate) fn layout(&self) -> std::path::PathBuf {
        self.folder.path().join("layout")
    }

    pub(crate) fn unpack(&self, digest: Digest) -> Result<UnpackedImage, ImageError> {
        self.store.unpack(&Source::Layout(self.layout()), Wanted::Manifest(digest))
    }

    pub(crate) fn unpack_layers(&self, layers: &[Vec<u8>]) -> Result<UnpackedImage, ImageError> {
        self.unpack(layout(&self.layout(), layers))
    }

    /// Unpacks what must be refused, and checks that nothing of it stays.
    pub(crate) fn refusal(&self, digest: Digest) -> Refused {
        let refused = match self.unpack(digest) {
            Err(ImageError::Refused(refused)) => refused,
            other => panic!("it should be refused: {other:?}"),
        };
        for name in ["staging", "roots", "manifests"] {
            let left = fs::read_dir(self.folder.path().join("store").join(name)).unwrap().count();
            assert_eq!(left, 0, "{name} after {refused}");
        }
        assert!(matches!(self.store.cached(Wanted::Manifest(digest)), Ok(None)));
        refused
    }

    pub(crate) fn refusal_of_layers(&self, layers: &[Vec<u8>]) -> Refused {
        self.refusal(layout(&self.layout(), layers))
    }
}

/// What is in a folder: paths with `/` behind folders and `-> TARGET` behind links, sorted. Mount points are left out.
pub(crate) fn tree(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    collect(root, "", &mut found);
    let mount_points = [".strongroom/", "dev/", "etc/", "iexec_in/", "iexec_out/", "proc/", "run/", "sys/", "tmp/"];
    found.retain(|path| !mount_points.contains(&&**path));
    found.sort();
    found
}

fn collect(root: &Path, below: &str, found: &mut Vec<String>) {
    for entry in fs::read_dir(root.join(below)).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{below}{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type().unwrap();
        if kind.is_symlink() {
            found.push(format!("{path} -> {}", fs::read_link(entry.path()).unwrap().display()));
        } else if kind.is_dir() {
            found.push(format!("{path}/"));
            collect(root, &format!("{path}/"), found);
        } else {
            found.push(path);
        }
    }
}
