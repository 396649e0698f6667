//! Finds an image among blobs and checks all that can be checked before a layer is touched.

use crate::blobs::Blobs;
use crate::config::ConfigBlob;
use crate::manifest::{Compression, Index, Manifest, Named, parse, parse_named};
use crate::unpack::Layer;
use crate::{Bounds, Digest, ImageError, Refused};

/// Which image is wanted: there is no other way to ask for one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// By the digest of its manifest, as an app's checksum on chain names it. It may also be the digest of an index over several
    /// architectures.
    Manifest(Digest),
    /// By the digest of its configuration, which Docker calls image id and which survives `docker save`.
    ImageId(Digest),
}

/// A checked image whose layers are still to be read.
pub(crate) struct Image {
    pub(crate) manifest_digest: Option<Digest>,
    pub(crate) config_digest: Digest,
    pub(crate) config: ConfigBlob,
    pub(crate) layers: Vec<Layer>,
}

/// Finds the wanted image.
pub(crate) fn find(blobs: &mut Blobs, wanted: Wanted, bounds: &Bounds) -> Result<Image, ImageError> {
    match wanted {
        Wanted::Manifest(digest) => {
            let bytes = blobs.document("manifest", digest, None, bounds)?.ok_or_else(|| absent(blobs, wanted))?;
            let manifest = match parse_named(&bytes)? {
                Named::Manifest(manifest) => manifest,
                Named::Index(index) => manifest_for_this_machine(blobs, &index, bounds)?,
            };
            image_of(blobs, Some(digest), &manifest, bounds)
        }
        Wanted::ImageId(id) => match by_index(blobs, id, bounds)? {
            Some(image) => Ok(image),
            None => by_archive(blobs, id, bounds)?.ok_or_else(|| absent(blobs, wanted)),
        },
    }
}

fn manifest_for_this_machine(blobs: &Blobs, index: &Index, bounds: &Bounds) -> Result<Manifest, ImageError> {
    let chosen = index.for_platform(bounds)?;
    let bytes = blobs.document("manifest", chosen.digest, Some(chosen.size), bounds)?;
    let bytes = bytes.ok_or_else(|| missing(blobs, chosen.digest))?;
    match parse_named(&bytes)? {
        Named::Manifest(manifest) => Ok(manifest),
        Named::Index(_) => {
            Err(Refused::Malformed { what: "index", reason: "it lists an index again".to_owned() }.into())
        }
    }
}

fn image_of(
    blobs: &Blobs,
    manifest_digest: Option<Digest>,
    manifest: &Manifest,
    bounds: &Bounds,
) -> Result<Image, ImageError> {
    manifest.check(bounds)?;
    let config_digest = manifest.config.digest;
    let bytes = blobs.document("configuration", config_digest, Some(manifest.config.size), bounds)?;
    let config: ConfigBlob = parse("configuration", &bytes.ok_or_else(|| missing(blobs, config_digest))?)?;
    config.check(manifest.layers.len(), bounds)?;
    let layers = manifest.layers.iter().zip(&config.rootfs.diff_ids).map(|(layer, diff_id)| {
        Ok(Layer { digest: layer.digest, size: layer.size, compression: layer.compression()?, diff_id: *diff_id })
    });
    let layers = layers.collect::<Result<_, Refused>>()?;
    Ok(Image { manifest_digest, config_digest, config, layers })
}

/// Looks through all manifests of a layout for one with this configuration.
fn by_index(blobs: &Blobs, id: Digest, bounds: &Bounds) -> Result<Option<Image>, ImageError> {
    let Some(bytes) = blobs.top("index.json", bounds)? else { return Ok(None) };
    let index: Index = parse("index", &bytes)?;
    for descriptor in index.manifests.iter().take(bounds.layers) {
        let Some(bytes) = blobs.document("manifest", descriptor.digest, Some(descriptor.size), bounds)? else {
            continue;
        };
        let manifest = match parse_named(&bytes)? {
            Named::Manifest(manifest) => manifest,
            Named::Index(index) => match manifest_for_this_machine(blobs, &index, bounds) {
                Ok(manifest) => manifest,
                Err(ImageError::Refused(Refused::Platform { .. }) | ImageError::Absent { .. }) => continue,
                Err(error) => return Err(error),
            },
        };
        if manifest.config.digest == id {
            return image_of(blobs, Some(descriptor.digest), &manifest, bounds).map(Some);
        }
    }
    Ok(None)
}

/// Looks through the images of a docker-archive, whose layers are uncompressed and known by their diff ids only.
fn by_archive(blobs: &mut Blobs, id: Digest, bounds: &Bounds) -> Result<Option<Image>, ImageError> {
    let Blobs::Archive(archive) = blobs else { return Ok(None) };
    for image in archive.images(bounds)?.into_iter().take(bounds.layers) {
        let Some(bytes) = archive.config(&image, bounds)? else { continue };
        if Digest::of(&bytes) != id {
            continue;
        }
        let config: ConfigBlob = parse("configuration", &bytes)?;
        if image.layers.len() > bounds.layers {
            return Err(Refused::TooMuch { what: "layers", limit: bounds.layers as u64 }.into());
        }
        config.check(image.layers.len(), bounds)?;
        let mut layers = Vec::new();
        for (name, diff_id) in image.layers.iter().zip(&config.rootfs.diff_ids) {
            let Some(size) = archive.name_layer(name, *diff_id) else { return Err(missing(blobs, *diff_id)) };
            layers.push(Layer { digest: *diff_id, size, compression: Compression::None, diff_id: *diff_id });
        }
        return Ok(Some(Image { manifest_digest: None, config_digest: id, config, layers }));
    }
    Ok(None)
}

fn absent(blobs: &Blobs, wanted: Wanted) -> ImageError {
    let (wanted, hint) = match (wanted, blobs) {
        (Wanted::Manifest(digest), Blobs::Archive(archive)) if !archive.has_index() => (
            format!("with manifest digest {digest}"),
            "this docker-archive has no manifests: `docker save` of older versions drops them, so that a manifest digest cannot be \
             checked; ask by image id, or make a layout with `skopeo copy docker://NAME oci:FOLDER`",
        ),
        (Wanted::Manifest(digest), _) => (
            format!("with manifest digest {digest}"),
            "compressing the layers again or converting the image changes the digest; copy it with `skopeo copy --preserve-digests`",
        ),
        (Wanted::ImageId(id), _) => (format!("with image id {id}"), "list what is there with `skopeo inspect`"),
    };
    ImageError::Absent { wanted, place: blobs.place(), hint }
}

pub(crate) fn missing(blobs: &Blobs, digest: Digest) -> ImageError {
    ImageError::Absent {
        wanted: format!("blob {digest}"),
        place: blobs.place(),
        hint: "the image is incomplete; fetch it again",
    }
}
