//! Layout folders as places to put images into: what a registry is elsewhere. A reader at the same time finds an image whole or not
//! at all, since each blob gets its name when it is complete, and manifests come last.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::path::Path;

use crate::blobs::{ArchiveFile, Blobs};
use crate::digest::Hashing;
use crate::image::missing;
use crate::manifest::{Descriptor, Index, NAME_ANNOTATION, Named, OCI_INDEX, OCI_MANIFEST, parse, parse_named};
use crate::{Bounds, Digest, ImageError, Refused, Source};

/// Largest list of images that is read.
const MAX_INDEX_BYTES: u64 = 4 << 20;

/// Makes the folder a layout without images, unless it is one already.
pub fn make_layout(folder: &Path) -> Result<(), ImageError> {
    let blobs = folder.join("blobs/sha256");
    fs::create_dir_all(&blobs).map_err(ImageError::io(&blobs))?;
    let empty = Index { schema_version: 2, media_type: OCI_INDEX.to_owned(), manifests: Vec::new() };
    if !folder.join("index.json").exists() {
        write_index(folder, &empty)?;
    }
    replace(folder, "oci-layout", br#"{"imageLayoutVersion":"1.0.0"}"#)
}

/// Copies the image whose manifest has this digest into a layout folder, which is made when missing, and calls it `name` there. An
/// older image of that name stays, without the name. Digests and sizes are checked on the way. `progress` is told how many bytes of how many
/// are read so far.
pub fn add_to_layout(
    folder: &Path,
    name: &str,
    source: &Source,
    digest: Digest,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), ImageError> {
    make_layout(folder)?;
    let bounds = Bounds::default();
    let blobs = match source {
        Source::Layout(from) => Blobs::Layout(from.clone()),
        Source::DockerArchive(file) => Blobs::Archive(ArchiveFile::open_archive(file)?),
    };
    let (media_type, size) = copy_named(&blobs, digest, None, folder, &bounds, progress)?;
    let mut index = read_index(folder)?;
    index.manifests.retain(|one| one.digest != digest);
    for older in &mut index.manifests {
        if let Some(annotations) = &mut older.annotations {
            annotations.retain(|key, value| key != NAME_ANNOTATION || value != name);
        }
    }
    let annotations = Some(BTreeMap::from([(NAME_ANNOTATION.to_owned(), name.to_owned())]));
    index.manifests.push(Descriptor { media_type, digest, size, urls: Vec::new(), platform: None, annotations });
    write_index(folder, &index)
}

/// Copies what a digest names with all that it needs, and gives its kind and size. Of an image for several architectures only the
/// manifests that are there are copied.
fn copy_named(
    blobs: &Blobs,
    digest: Digest,
    size: Option<u64>,
    folder: &Path,
    bounds: &Bounds,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(String, u64), ImageError> {
    let bytes = blobs.document("manifest", digest, size, bounds)?.ok_or_else(|| missing(blobs, digest))?;
    let media_type = match parse_named(&bytes)? {
        Named::Manifest(manifest) => {
            manifest.check(bounds)?;
            let needed = || manifest.layers.iter().chain([&manifest.config]);
            let total = needed().map(|blob| blob.size).fold(0, u64::saturating_add);
            let mut done = 0;
            for blob in needed() {
                copy_blob(blobs, blob, folder, &mut |bytes| {
                    done += bytes;
                    progress(done, total);
                })?;
            }
            if manifest.media_type.is_empty() { OCI_MANIFEST.to_owned() } else { manifest.media_type }
        }
        Named::Index(index) => {
            let chosen = index.for_platform(bounds)?;
            let chosen_bytes = blobs.document("manifest", chosen.digest, Some(chosen.size), bounds)?;
            let chosen_bytes = chosen_bytes.ok_or_else(|| missing(blobs, chosen.digest))?;
            if let Named::Index(_) = parse_named(&chosen_bytes)? {
                return Err(Refused::Malformed { what: "index", reason: "it lists an index again".to_owned() }.into());
            }
            copy_named(blobs, chosen.digest, Some(chosen.size), folder, bounds, progress)?;
            if index.media_type.is_empty() { OCI_INDEX.to_owned() } else { index.media_type }
        }
    };
    replace(&folder.join("blobs/sha256"), &digest.hex(), &bytes)?;
    Ok((media_type, bytes.len() as u64))
}

fn copy_blob(blobs: &Blobs, wanted: &Descriptor, folder: &Path, copied: &mut dyn FnMut(u64)) -> Result<(), ImageError> {
    let (blob, found) = blobs.open(wanted.digest)?.ok_or_else(|| missing(blobs, wanted.digest))?;
    if found != wanted.size {
        let (digest, expected) = (wanted.digest, wanted.size);
        return Err(Refused::Size { what: "blob", digest, expected, found }.into());
    }
    let target = folder.join("blobs/sha256");
    let failed = |source| ImageError::Io { path: target.clone(), source };
    let partial = target.join(format!("{}.partial", wanted.digest.hex()));
    let mut reader = Hashing::new(Counting { from: blob, read: copied });
    let result = fs::File::create(&partial).and_then(|mut file| io::copy(&mut reader, &mut file));
    result.map_err(failed)?;
    let (digest, _) = reader.finish();
    if digest != wanted.digest {
        // Of no use to anybody, also when it cannot be removed.
        let _ = fs::remove_file(&partial);
        return Err(Refused::Digest { what: "blob", expected: wanted.digest, found: digest }.into());
    }
    fs::rename(&partial, target.join(wanted.digest.hex())).map_err(failed)
}

/// Tells how much was read through it.
struct Counting<'a, R> {
    from: R,
    read: &'a mut dyn FnMut(u64),
}

impl<R: Read> Read for Counting<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buffer)?;
        (self.read)(read as u64);
        Ok(read)
    }
}

fn read_index(folder: &Path) -> Result<Index, ImageError> {
    let path = folder.join("index.json");
    let size = fs::metadata(&path).map_err(ImageError::io(&path))?.len();
    if size > MAX_INDEX_BYTES {
        return Err(Refused::TooMuch { what: "bytes in its index", limit: MAX_INDEX_BYTES }.into());
    }
    Ok(parse("index", &fs::read(&path).map_err(ImageError::io(&path))?)?)
}

fn write_index(folder: &Path, index: &Index) -> Result<(), ImageError> {
    let bytes = serde_json::to_vec(index).map_err(|error| ImageError::io(folder)(error.into()))?;
    replace(folder, "index.json", &bytes)
}

/// Writes a file whole or not at all.
fn replace(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), ImageError> {
    let (path, partial) = (folder.join(name), folder.join(format!("{name}.partial")));
    fs::write(&partial, bytes).and_then(|()| fs::rename(&partial, &path)).map_err(ImageError::io(&path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ImageBuilder, ImageStore, Wanted};

    fn image(folder: &Path, content: &str) -> (Source, Digest) {
        let mut image = ImageBuilder::default();
        image.file("/app", content, true).unwrap();
        let digest = image.write_layout(folder, "latest").unwrap();
        (Source::Layout(folder.to_owned()), digest)
    }

    #[test]
    fn a_layout_holds_every_image_that_was_put_into_it() {
        let folder = tempfile::tempdir().unwrap();
        let layout = folder.path().join("layout");
        make_layout(&layout).unwrap();
        let images: Vec<_> = ["one", "two"].map(|name| image(&folder.path().join(name), name)).into();
        for (source, digest) in &images {
            // A second time changes nothing.
            for _ in 0..2 {
                let mut told = Vec::new();
                add_to_layout(&layout, "app", source, *digest, &mut |done, total| told.push((done, total))).unwrap();
                let (done, total) = *told.last().unwrap();
                assert!(done == total && told.is_sorted() && total > 0, "{told:?}");
            }
        }
        let index = read_index(&layout).unwrap();
        let named: Vec<_> = index.manifests.iter().map(|one| one.annotations.as_ref().unwrap().len()).collect();
        assert_eq!(named, [0, 1], "the newest has the name");
        let store = ImageStore::open(folder.path().join("store"), Bounds::default()).unwrap();
        for ((_, digest), content) in images.iter().zip(["one", "two"]) {
            let unpacked = store.unpack(&Source::Layout(layout.clone()), Wanted::Manifest(*digest)).unwrap();
            assert_eq!(fs::read_to_string(unpacked.root.join("app")).unwrap(), content);
        }
        make_layout(&layout).unwrap();
        assert_eq!(read_index(&layout).unwrap().manifests.len(), 2, "what is there stays");
    }

    #[test]
    fn a_damaged_image_is_not_put_there() {
        let folder = tempfile::tempdir().unwrap();
        let (from, layout) = (folder.path().join("from"), folder.path().join("layout"));
        let (source, digest) = image(&from, "x");
        let layer = fs::read_dir(from.join("blobs/sha256")).unwrap().map(|entry| entry.unwrap().path());
        let layer = layer.max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
        let mut bytes = fs::read(&layer).unwrap();
        bytes[0] ^= 1;
        fs::write(&layer, bytes).unwrap();
        let error = add_to_layout(&layout, "app", &source, digest, &mut |_, _| ()).unwrap_err();
        assert!(matches!(error, ImageError::Refused(Refused::Digest { .. })), "{error}");
        assert!(read_index(&layout).unwrap().manifests.is_empty());
        assert!(!layout.join("blobs/sha256").join(digest.hex()).exists());
        assert!(matches!(
            add_to_layout(&layout, "app", &source, Digest::of(b""), &mut |_, _| ()),
            Err(ImageError::Absent { .. })
        ));
    }
}
