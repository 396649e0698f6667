//! Builds images: the same files, entry point and environment give the same bytes and so the same manifest digest, on any
//! machine and at any time.
//!
//! Layers are plain tar by default, since a compressor may change its output from one version to the next.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use flate2::GzBuilder;
use serde::Serialize;
use tar::{EntryType, Header};

use crate::manifest::{
    Descriptor, Index, Manifest, NAME_ANNOTATION, OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_LAYER_GZIP, OCI_MANIFEST,
    Platform,
};
use crate::rooted::relative;
use crate::{Bounds, Digest, ImageConfig, ImageError};

/// Folders that a sandbox or a program expects; a read-only root cannot grow them.
const USUAL_FOLDERS: [&str; 6] = ["dev", "etc", "proc", "run", "sys", "tmp"];

/// An image of one layer in the making. Paths are relative to its root, with or without a leading `/`.
#[derive(Clone, Debug)]
pub struct ImageBuilder {
    entries: BTreeMap<PathBuf, Node>,
    config: ImageConfig,
    architecture: String,
    gzip: bool,
}

#[derive(Clone, Debug)]
enum Node {
    Folder,
    File { bytes: Vec<u8>, executable: bool },
    Link(String),
}

impl Default for ImageBuilder {
    /// An image for this machine with the usual empty folders and nothing else.
    fn default() -> Self {
        let entries = USUAL_FOLDERS.iter().map(|name| (PathBuf::from(name), Node::Folder)).collect();
        Self { entries, config: ImageConfig::default(), architecture: Bounds::default().architecture, gzip: false }
    }
}

impl ImageBuilder {
    /// Adds a folder.
    pub fn folder(&mut self, path: &str) -> io::Result<&mut Self> {
        self.add(path, Node::Folder)
    }

    /// Adds a file, with the folders above it.
    pub fn file(&mut self, path: &str, bytes: impl Into<Vec<u8>>, executable: bool) -> io::Result<&mut Self> {
        self.add(path, Node::File { bytes: bytes.into(), executable })
    }

    /// Adds a symbolic link.
    pub fn link(&mut self, path: &str, to: &str) -> io::Result<&mut Self> {
        self.add(path, Node::Link(to.to_owned()))
    }

    /// Sets program and first arguments.
    pub fn entrypoint<S: Into<String>>(&mut self, words: impl IntoIterator<Item = S>) -> &mut Self {
        self.config.entrypoint = words.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the arguments for when a task gives none.
    pub fn cmd<S: Into<String>>(&mut self, words: impl IntoIterator<Item = S>) -> &mut Self {
        self.config.cmd = words.into_iter().map(Into::into).collect();
        self
    }

    /// Adds an environment variable.
    pub fn env(&mut self, name: &str, value: &str) -> &mut Self {
        self.config.env.push(format!("{name}={value}"));
        self
    }

    /// Sets the folder to start in.
    pub fn working_dir(&mut self, path: &str) -> &mut Self {
        path.clone_into(&mut self.config.working_dir);
        self
    }

    /// Sets the user to run as.
    pub fn user(&mut self, user: &str) -> &mut Self {
        user.clone_into(&mut self.config.user);
        self
    }

    /// Compresses the layer. The digest then also depends on the version of the compressor.
    pub fn gzip(&mut self) -> &mut Self {
        self.gzip = true;
        self
    }

    fn add(&mut self, path: &str, node: Node) -> io::Result<&mut Self> {
        let invalid =
            |why: &str| io::Error::new(io::ErrorKind::InvalidInput, format!("`{}` {why}", path.escape_debug()));
        let path = relative(path.as_bytes(), 4096).map_err(|bad| invalid(bad.0))?;
        if path.as_os_str().is_empty() {
            return Err(invalid("is the root itself"));
        }
        for above in path.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty()) {
            match self.entries.entry(above.to_owned()).or_insert(Node::Folder) {
                Node::Folder => {}
                Node::File { .. } | Node::Link(_) => return Err(invalid("would be below something that is no folder")),
            }
        }
        self.entries.insert(path, node);
        Ok(self)
    }

    /// Writes the image as a layout folder, in which it has the name `name`. Returns the digest of its manifest.
    pub fn write_layout(&self, folder: &Path, name: &str) -> Result<Digest, ImageError> {
        let tar = self.layer().map_err(ImageError::io(folder))?;
        let diff_id = Digest::of(&tar);
        let (layer, media_type) = if self.gzip {
            (compressed(&tar).map_err(ImageError::io(folder))?, OCI_LAYER_GZIP)
        } else {
            (tar, OCI_LAYER)
        };
        let config = json(&Config {
            created: "1970-01-01T00:00:00Z",
            architecture: &self.architecture,
            os: "linux",
            members: ConfigMembers(&self.config),
            rootfs: RootFs { r#type: "layers", diff_ids: [diff_id] },
        })?;
        let blobs = folder.join("blobs/sha256");
        fs::create_dir_all(&blobs).map_err(ImageError::io(&blobs))?;
        let blob = |media_type: &str, bytes: &[u8]| {
            let digest = Digest::of(bytes);
            let file = blobs.join(digest.hex());
            fs::write(&file, bytes).map_err(ImageError::io(file))?;
            Ok::<_, ImageError>(Descriptor {
                media_type: media_type.to_owned(),
                digest,
                size: bytes.len() as u64,
                urls: Vec::new(),
                platform: None,
                annotations: None,
            })
        };
        let layers = vec![blob(media_type, &layer)?];
        let config = blob(OCI_CONFIG, &config)?;
        let manifest = Manifest { schema_version: 2, media_type: OCI_MANIFEST.to_owned(), config, layers };
        let mut named = blob(OCI_MANIFEST, &json(&manifest)?)?;
        let digest = named.digest;
        named.platform = Some(Platform { architecture: self.architecture.clone(), os: "linux".to_owned() });
        named.annotations = Some(BTreeMap::from([(NAME_ANNOTATION.to_owned(), name.to_owned())]));
        let index = Index { schema_version: 2, media_type: OCI_INDEX.to_owned(), manifests: vec![named] };
        let top =
            |name: &str, bytes: &[u8]| fs::write(folder.join(name), bytes).map_err(ImageError::io(folder.join(name)));
        top("index.json", &json(&index)?)?;
        top("oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        Ok(digest)
    }

    /// The layer: sorted, so that folders come before what is in them; no times, no owners.
    fn layer(&self) -> io::Result<Vec<u8>> {
        let mut archive = tar::Builder::new(Vec::new());
        for (path, node) in &self.entries {
            let mut header = Header::new_ustar();
            header.set_mtime(0);
            header.set_uid(0);
            header.set_gid(0);
            let mut data: &[u8] = &[];
            match node {
                Node::Folder => {
                    header.set_entry_type(EntryType::Directory);
                    header.set_mode(if path == Path::new("tmp") { 0o1777 } else { 0o755 });
                }
                Node::File { bytes, executable } => {
                    header.set_entry_type(EntryType::Regular);
                    header.set_mode(if *executable { 0o755 } else { 0o644 });
                    data = bytes;
                }
                Node::Link(to) => {
                    header.set_entry_type(EntryType::Symlink);
                    header.set_mode(0o777);
                    header.set_link_name(to)?;
                }
            }
            header.set_size(data.len() as u64);
            header.set_path(path)?;
            header.set_cksum();
            archive.append(&header, data)?;
        }
        archive.into_inner()
    }
}

fn compressed(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzBuilder::new().mtime(0).write(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes)?;
    encoder.finish()
}

fn json(value: &impl Serialize) -> Result<Vec<u8>, ImageError> {
    serde_json::to_vec(value).map_err(|error| ImageError::io("the image's JSON")(error.into()))
}

#[derive(Serialize)]
struct Config<'a> {
    created: &'a str,
    architecture: &'a str,
    os: &'a str,
    #[serde(rename = "config")]
    members: ConfigMembers<'a>,
    rootfs: RootFs<'a>,
}

#[derive(Serialize)]
struct RootFs<'a> {
    r#type: &'a str,
    diff_ids: [Digest; 1],
}

/// Members that are set; tools take an empty one for a wish.
struct ConfigMembers<'a>(&'a ImageConfig);

impl Serialize for ConfigMembers<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let ImageConfig { entrypoint, cmd, env, working_dir, user } = self.0;
        let lists =
            [("Entrypoint", entrypoint), ("Cmd", cmd), ("Env", env)].into_iter().filter(|(_, list)| !list.is_empty());
        let texts = [("WorkingDir", working_dir), ("User", user)].into_iter().filter(|(_, text)| !text.is_empty());
        let members: BTreeMap<&str, serde_json::Value> = lists
            .map(|(name, list)| (name, serde_json::Value::from(list.clone())))
            .chain(texts.map(|(name, text)| (name, serde_json::Value::from(text.clone()))))
            .collect();
        members.serialize(serializer)
    }
}
