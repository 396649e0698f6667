//! Index, manifest and configuration: JSON documents that are believed only as bytes of a known digest.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::config::{ConfigBlob, null_is_empty};
use crate::{Bounds, Digest, Refused};

pub(crate) const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const OCI_LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
pub(crate) const OCI_LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
pub(crate) const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
pub(crate) const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// The key under which an index says what an image is called.
pub(crate) const NAME_ANNOTATION: &str = "org.opencontainers.image.ref.name";
const DOCKER_LAYER: &str = "application/vnd.docker.image.rootfs.diff.tar";
const DOCKER_LAYER_GZIP: &str = "application/vnd.docker.image.rootfs.diff.tar.gzip";

/// Names a blob with its size and kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
    pub(crate) size: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_empty")]
    pub(crate) urls: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) platform: Option<Platform>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) annotations: Option<std::collections::BTreeMap<String, String>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Platform {
    pub(crate) architecture: String,
    pub(crate) os: String,
}

/// A list of manifests: the top of a layout, or an image for several architectures.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Index {
    pub(crate) schema_version: u32,
    #[serde(default)]
    pub(crate) media_type: String,
    pub(crate) manifests: Vec<Descriptor>,
}

/// One image: its configuration and layers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest {
    pub(crate) schema_version: u32,
    #[serde(default)]
    pub(crate) media_type: String,
    pub(crate) config: Descriptor,
    pub(crate) layers: Vec<Descriptor>,
}

/// What a manifest digest may name.
pub(crate) enum Named {
    Manifest(Manifest),
    Index(Index),
}

/// Reads the document that a manifest digest names.
pub(crate) fn parse_named(bytes: &[u8]) -> Result<Named, Refused> {
    #[derive(Deserialize)]
    struct Shape {
        manifests: Option<serde::de::IgnoredAny>,
    }
    let shape: Shape = parse("manifest", bytes)?;
    if shape.manifests.is_some() {
        return Ok(Named::Index(parse("index", bytes)?));
    }
    let manifest: Manifest = parse("manifest", bytes)?;
    if manifest.schema_version != 2 {
        let reason = format!("schema version {} is not 2", manifest.schema_version);
        return Err(Refused::Malformed { what: "manifest", reason });
    }
    Ok(Named::Manifest(manifest))
}

pub(crate) fn parse<T: DeserializeOwned>(what: &'static str, bytes: &[u8]) -> Result<T, Refused> {
    serde_json::from_slice(bytes).map_err(|error| Refused::Malformed { what, reason: error.to_string() })
}

impl Index {
    /// The manifest for this machine.
    pub(crate) fn for_platform(&self, bounds: &Bounds) -> Result<&Descriptor, Refused> {
        let fits = |one: &&Descriptor| {
            one.platform.as_ref().is_some_and(|made| made.os == "linux" && made.architecture == bounds.architecture)
        };
        self.manifests.iter().find(fits).ok_or_else(|| {
            let made: Vec<_> = self
                .manifests
                .iter()
                .filter_map(|one| one.platform.as_ref().map(|made| format!("{}/{}", made.os, made.architecture)))
                .collect();
            Refused::Platform { wanted: format!("linux/{}", bounds.architecture), found: made.join(", ") }
        })
    }
}

impl Manifest {
    /// Checks numbers and sizes before a single layer is fetched.
    pub(crate) fn check(&self, bounds: &Bounds) -> Result<(), Refused> {
        if self.layers.len() > bounds.layers {
            return Err(Refused::TooMuch { what: "layers", limit: bounds.layers as u64 });
        }
        let total = self.layers.iter().try_fold(0_u64, |sum, layer| sum.checked_add(layer.size));
        if total.is_none_or(|total| total > bounds.layer_bytes) {
            return Err(Refused::TooMuch { what: "bytes in its layers", limit: bounds.layer_bytes });
        }
        if self.config.size > bounds.manifest_bytes {
            return Err(Refused::TooMuch { what: "bytes in its configuration", limit: bounds.manifest_bytes });
        }
        self.layers.iter().try_for_each(|layer| layer.compression().map(|_| ()))
    }
}

/// How a layer is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    None,
    Gzip,
}

impl Descriptor {
    pub(crate) fn compression(&self) -> Result<Compression, Refused> {
        if !self.urls.is_empty() {
            return Err(Refused::LayerKind(format!("{} (fetched from elsewhere)", self.media_type)));
        }
        match self.media_type.as_str() {
            OCI_LAYER | DOCKER_LAYER => Ok(Compression::None),
            OCI_LAYER_GZIP | DOCKER_LAYER_GZIP => Ok(Compression::Gzip),
            other => Err(Refused::LayerKind(other.escape_debug().to_string())),
        }
    }
}

impl ConfigBlob {
    /// Checks that the image runs here and names each of `layers` layers.
    pub(crate) fn check(&self, layers: usize, bounds: &Bounds) -> Result<(), Refused> {
        if self.os != "linux" || self.architecture != bounds.architecture {
            return Err(Refused::Platform {
                wanted: format!("linux/{}", bounds.architecture),
                found: format!("{}/{}", self.os, self.architecture).escape_debug().to_string(),
            });
        }
        if self.rootfs.diff_ids.len() != layers {
            let reason = format!("it names {} layers, the manifest {layers}", self.rootfs.diff_ids.len());
            return Err(Refused::Malformed { what: "configuration", reason });
        }
        Ok(())
    }
}
