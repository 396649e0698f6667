//! Where the blobs of an image come from on this machine: a layout folder, or the inside of a tar archive. Nothing is believed:
//! documents are checked here, layers while they are unpacked.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use serde::Deserialize;

use crate::manifest::parse;
use crate::{Bounds, Digest, ImageError, Refused};

/// An archive with more members is none that Docker wrote.
const ARCHIVE_MEMBERS: usize = 10_000;

/// Bytes to read and how many they are.
type SizedBytes = (Box<dyn Read>, u64);

pub(crate) enum Blobs {
    /// A layout folder: `blobs/sha256/HEX`.
    Layout(PathBuf),
    Archive(ArchiveFile),
}

/// A tar file whose members are known.
pub(crate) struct ArchiveFile {
    path: PathBuf,
    members: BTreeMap<String, Member>,
    /// Older versions of Docker write a layer that occurs twice as a link to the first: `ID/layer.tar` to `../ID/layer.tar`.
    links: BTreeMap<String, String>,
    /// Blobs that are not found by the name of a layout.
    named: BTreeMap<Digest, Member>,
}

#[derive(Clone, Copy)]
struct Member {
    offset: u64,
    size: u64,
}

/// One image in `manifest.json` of a docker-archive.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ArchivedImage {
    pub(crate) config: String,
    pub(crate) layers: Vec<String>,
}

impl Blobs {
    /// Where it is, for messages.
    pub(crate) fn place(&self) -> String {
        match self {
            Self::Layout(folder) => folder.display().to_string(),
            Self::Archive(archive) => archive.path.display().to_string(),
        }
    }

    /// A blob with its size, unchecked; `None` if there is no such blob.
    pub(crate) fn open(&self, digest: Digest) -> Result<Option<SizedBytes>, ImageError> {
        match self {
            Self::Layout(folder) => open_file(&folder.join("blobs/sha256").join(digest.hex())),
            Self::Archive(archive) => {
                let member = archive.members.get(&format!("blobs/sha256/{}", digest.hex()));
                match member.or_else(|| archive.named.get(&digest)) {
                    Some(member) => archive.open(*member).map(Some),
                    None => Ok(None),
                }
            }
        }
    }

    /// A JSON document of known digest, and size when a descriptor says it.
    pub(crate) fn document(
        &self,
        what: &'static str,
        digest: Digest,
        expected: Option<u64>,
        bounds: &Bounds,
    ) -> Result<Option<Vec<u8>>, ImageError> {
        let Some((blob, size)) = self.open(digest)? else { return Ok(None) };
        if let Some(expected) = expected.filter(|expected| *expected != size) {
            return Err(Refused::Size { what, digest, expected, found: size }.into());
        }
        let bytes = bounded(blob, bounds.manifest_bytes).map_err(ImageError::io(self.place()))?;
        let bytes = bytes
            .ok_or(Refused::TooMuch { what: "bytes in a manifest or configuration", limit: bounds.manifest_bytes })?;
        let found = Digest::of(&bytes);
        if found != digest {
            return Err(Refused::Digest { what, expected: digest, found }.into());
        }
        Ok(Some(bytes))
    }

    /// A file by its name at the top: `index.json`, `manifest.json`. Unchecked: it only says where to look.
    pub(crate) fn top(&self, name: &'static str, bounds: &Bounds) -> Result<Option<Vec<u8>>, ImageError> {
        let opened = match self {
            Self::Layout(folder) => open_file(&folder.join(name))?,
            Self::Archive(archive) => archive.members.get(name).map(|member| archive.open(*member)).transpose()?,
        };
        let Some((file, _)) = opened else { return Ok(None) };
        let bytes = bounded(file, bounds.manifest_bytes).map_err(ImageError::io(self.place()))?;
        Ok(Some(bytes.ok_or(Refused::TooMuch { what: "bytes in its index", limit: bounds.manifest_bytes })?))
    }
}

impl ArchiveFile {
    /// Reads where the members are; their contents stay unread.
    pub(crate) fn open_archive(path: &Path) -> Result<Self, ImageError> {
        let file = File::open(path).map_err(ImageError::io(path))?;
        let mut archive = tar::Archive::new(file);
        let broken =
            |error: io::Error| ImageError::from(Refused::Malformed { what: "archive", reason: error.to_string() });
        let (mut members, mut links) = (BTreeMap::new(), BTreeMap::new());
        for entry in archive.entries_with_seek().map_err(broken)?.raw(true) {
            let entry = entry.map_err(|error| match error.kind() {
                io::ErrorKind::Other | io::ErrorKind::InvalidData => broken(error),
                _ => ImageError::Io { path: path.to_owned(), source: error },
            })?;
            if members.len() + links.len() == ARCHIVE_MEMBERS {
                return Err(Refused::TooMuch { what: "members in its archive", limit: ARCHIVE_MEMBERS as u64 }.into());
            }
            let name = String::from_utf8_lossy(&entry.header().path_bytes()).trim_start_matches("./").to_owned();
            match entry.header().entry_type() {
                tar::EntryType::Regular => {
                    let size = entry.header().entry_size().map_err(broken)?;
                    members.insert(name, Member { offset: entry.raw_file_position(), size });
                }
                tar::EntryType::Symlink => {
                    let to = entry.header().link_name_bytes().unwrap_or_default();
                    links.insert(name, String::from_utf8_lossy(&to).trim_start_matches("../").to_owned());
                }
                _ => {}
            }
        }
        Ok(Self { path: path.to_owned(), members, links, named: BTreeMap::new() })
    }

    /// The images that a docker-archive names in `manifest.json`.
    pub(crate) fn images(&self, bounds: &Bounds) -> Result<Vec<ArchivedImage>, ImageError> {
        let Some(member) = self.members.get("manifest.json") else { return Ok(Vec::new()) };
        Ok(parse("manifest.json", &self.bytes(*member, bounds)?)?)
    }

    /// The bytes of a configuration that `manifest.json` names.
    pub(crate) fn config(&self, image: &ArchivedImage, bounds: &Bounds) -> Result<Option<Vec<u8>>, ImageError> {
        self.members.get(&image.config).map(|member| self.bytes(*member, bounds)).transpose()
    }

    /// Makes a layer that `manifest.json` names known by its digest. Returns its size.
    pub(crate) fn name_layer(&mut self, name: &str, digest: Digest) -> Option<u64> {
        let name = self.links.get(name).map_or(name, String::as_str);
        let member = *self.members.get(name)?;
        self.named.insert(digest, member);
        Some(member.size)
    }

    pub(crate) fn has_index(&self) -> bool {
        self.members.contains_key("index.json")
    }

    fn bytes(&self, member: Member, bounds: &Bounds) -> Result<Vec<u8>, ImageError> {
        let bytes = bounded(self.open(member)?.0, bounds.manifest_bytes).map_err(ImageError::io(&self.path))?;
        Ok(bytes
            .ok_or(Refused::TooMuch { what: "bytes in a manifest or configuration", limit: bounds.manifest_bytes })?)
    }

    fn open(&self, member: Member) -> Result<SizedBytes, ImageError> {
        let mut file = File::open(&self.path).map_err(ImageError::io(&self.path))?;
        file.seek(SeekFrom::Start(member.offset)).map_err(ImageError::io(&self.path))?;
        Ok((Box::new(file.take(member.size)), member.size))
    }
}

/// A regular file. A pipe or device in its place must not block or be read, so it is opened without waiting and looked at.
fn open_file(path: &Path) -> Result<Option<SizedBytes>, ImageError> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(rustix::io::Errno::NOENT) => return Ok(None),
        Err(error) => return Err(ImageError::io(path)(error.into())),
    };
    let about = file.metadata().map_err(ImageError::io(path))?;
    if !about.is_file() {
        return Err(ImageError::io(path)(io::Error::other("it is no regular file")));
    }
    Ok(Some((Box::new(file), about.len())))
}

/// All bytes, or `None` when there are more than `limit`.
fn bounded(file: impl Read, limit: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= limit).then_some(bytes))
}
