//! Unpacks one layer on top of those below it.
//!
//! What an image could use against the machine is refused or dropped: paths that lead out, devices, sockets and pipes, setuid
//! bits, owners, extended attributes. All files can be read by all users, and executed by all when by any: unpacked images are
//! public and shared between sandboxes whose users have different ids.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use flate2::read::MultiGzDecoder;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Timespec, Timestamps, fchmod, futimens, linkat, openat, symlinkat};
use tar::{Archive, EntryType};

use crate::digest::Hashing;
use crate::manifest::Compression;
use crate::rooted::{Place, Rooted, below, relative};
use crate::{Bounds, Digest, ImageError, Refused};

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
/// Extended headers are read into memory.
const EXTENDED_HEADER_BYTES: u64 = 1 << 20;

/// One layer as manifest and configuration describe it.
#[derive(Clone, Debug)]
pub(crate) struct Layer {
    pub(crate) digest: Digest,
    /// Known when a manifest says so; a docker-archive does not.
    pub(crate) size: u64,
    pub(crate) compression: Compression,
    /// Digest of the uncompressed tar.
    pub(crate) diff_id: Digest,
}

/// What is left of the bounds of one image.
#[derive(Debug)]
pub(crate) struct Remaining {
    unpacked_bytes: u64,
    entries: u64,
}

impl Remaining {
    pub(crate) fn of(bounds: &Bounds) -> Self {
        Self { unpacked_bytes: bounds.unpacked_bytes, entries: bounds.entries }
    }
}

/// Unpacks `blob` into `root`, and checks both of its digests over the very bytes that were unpacked. After an error the folder
/// holds something nobody vouches for: remove it.
pub(crate) fn unpack(
    root: &Rooted,
    blob: impl Read,
    layer: &Layer,
    remaining: &mut Remaining,
    bounds: &Bounds,
) -> Result<(), ImageError> {
    let mut stored = Hashing::new(blob.take(layer.size.saturating_add(1)));
    let unpacked = unpack_decompressed(root, &mut stored, layer, remaining, bounds);
    // What the decompressor left; when the stored bytes are wrong, that is the thing to say.
    io::copy(&mut stored, &mut io::sink()).map_err(ImageError::io(layer.digest.hex()))?;
    let (digest, size) = stored.finish();
    if size != layer.size {
        return Err(Refused::Size { what: "layer", digest: layer.digest, expected: layer.size, found: size }.into());
    }
    if digest != layer.digest {
        return Err(Refused::Digest { what: "layer", expected: layer.digest, found: digest }.into());
    }
    let diff_id = unpacked?;
    if diff_id != layer.diff_id {
        return Err(Refused::Digest { what: "uncompressed layer", expected: layer.diff_id, found: diff_id }.into());
    }
    Ok(())
}

fn unpack_decompressed(
    root: &Rooted,
    stored: &mut impl Read,
    layer: &Layer,
    remaining: &mut Remaining,
    bounds: &Bounds,
) -> Result<Digest, ImageError> {
    let plain: Box<dyn Read + '_> = match layer.compression {
        Compression::None => Box::new(stored),
        Compression::Gzip => Box::new(MultiGzDecoder::new(stored)),
    };
    let exceeded = Rc::new(Cell::new(false));
    let limited = Limited { inner: plain, left: remaining.unpacked_bytes, exceeded: Rc::clone(&exceeded) };
    let mut tar = Hashing::new(limited);
    let outcome = Unpacker { root, bounds, entries: &mut remaining.entries, made: HashSet::new(), made_bytes: 0 }
        .entries(&mut tar)
        .and_then(|()| io::copy(&mut tar, &mut io::sink()).map_err(|error| broken(&error)));
    if exceeded.get() {
        return Err(Refused::TooMuch { what: "unpacked bytes", limit: bounds.unpacked_bytes }.into());
    }
    outcome?;
    let (diff_id, count) = tar.finish();
    remaining.unpacked_bytes -= count.min(remaining.unpacked_bytes);
    Ok(diff_id)
}

fn broken(error: &io::Error) -> ImageError {
    Refused::Layer(error.to_string()).into()
}

/// Ends with an error after a number of bytes.
struct Limited<R> {
    inner: R,
    left: u64,
    exceeded: Rc<Cell<bool>>,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        let Some(left) = self.left.checked_sub(read as u64) else {
            self.exceeded.set(true);
            return Err(io::ErrorKind::FileTooLarge.into());
        };
        self.left = left;
        Ok(read)
    }
}

struct Unpacker<'a> {
    root: &'a Rooted,
    bounds: &'a Bounds,
    entries: &'a mut u64,
    /// What this layer made so far: whiteouts only delete what lower layers made.
    made: HashSet<PathBuf>,
    made_bytes: usize,
}

/// An entry whose long names have been put together.
struct Entry<'a, R: Read> {
    data: &'a mut R,
    kind: EntryType,
    name: Vec<u8>,
    link: Vec<u8>,
    executable: bool,
    modified: u64,
}

impl Unpacker<'_> {
    fn entries(&mut self, tar: &mut impl Read) -> Result<(), ImageError> {
        let mut archive = Archive::new(tar);
        let mut long = Long::default();
        // Raw, because the library would read long names of any length into memory.
        for entry in archive.entries().map_err(|error| broken(&error))?.raw(true) {
            let mut entry = entry.map_err(|error| broken(&error))?;
            *self.entries = self
                .entries
                .checked_sub(1)
                .ok_or(Refused::TooMuch { what: "entries in its layers", limit: self.bounds.entries })?;
            if long.takes(&mut entry)? {
                continue;
            }
            let header = entry.header().clone();
            let names = std::mem::take(&mut long);
            if names.size.is_some_and(|size| header.entry_size().ok() != Some(size)) {
                return Err(refused(&names.name.unwrap_or_default(), "has two different sizes"));
            }
            let link = match names.link {
                Some(link) => link,
                None => header.link_name_bytes().map(Cow::into_owned).unwrap_or_default(),
            };
            self.entry(Entry {
                kind: header.entry_type(),
                name: names.name.unwrap_or_else(|| header.path_bytes().into_owned()),
                link,
                executable: header.mode().map_err(|error| broken(&error))? & 0o111 != 0,
                modified: header.mtime().unwrap_or(0),
                data: &mut entry,
            })?;
        }
        Ok(())
    }

    fn entry<R: Read>(&mut self, mut entry: Entry<'_, R>) -> Result<(), ImageError> {
        let refuse = |why| refused(&entry.name, why);
        let path = relative(&entry.name, self.bounds.path_bytes).map_err(|bad| refuse(bad.0))?;
        let Some(name) = path.file_name() else { return Ok(()) };
        if let Some(hidden) = name.as_bytes().strip_prefix(WHITEOUT) {
            let above = path.parent().unwrap_or(Path::new("")).to_owned();
            return match hidden {
                _ if name.as_bytes() == OPAQUE => self.empty(&above),
                b"" | b"." | b".." => Err(refuse("deletes nothing that has a name")),
                // Notes that an old file system of Docker left for itself.
                _ if hidden.starts_with(WHITEOUT) => Ok(()),
                _ => self.delete(&above.join(std::ffi::OsStr::from_bytes(hidden))),
            };
        }
        let place = self.root.place(&path).map_err(|error| unplaceable(&entry.name, error))?;
        self.remember(&path)?;
        let failed = |source: io::Error| ImageError::Io { path: path.clone(), source };
        match entry.kind {
            EntryType::Regular | EntryType::Continuous if entry.name.ends_with(b"/") => {
                place.make_folder().map_err(failed)
            }
            EntryType::Directory => place.make_folder().map_err(failed),
            EntryType::Regular | EntryType::Continuous => {
                place.clear().map_err(failed)?;
                write_file(&place, &mut entry, failed)
            }
            EntryType::Symlink => {
                if entry.link.is_empty() || entry.link.len() > self.bounds.path_bytes || entry.link.contains(&0) {
                    return Err(refuse("is a symbolic link to no possible path"));
                }
                place.clear().map_err(failed)?;
                symlinkat(&*entry.link, &place.folder, &place.name).map_err(|error| failed(error.into()))
            }
            EntryType::Link => self.hard_link(&entry.name, &entry.link, &place),
            EntryType::Char | EntryType::Block => Err(refuse("is a device")),
            EntryType::Fifo => Err(refuse("is a pipe")),
            _ => Err(refuse("is of a kind that is never unpacked")),
        }
    }

    fn hard_link(&self, name: &[u8], link: &[u8], place: &Place) -> Result<(), ImageError> {
        let target =
            relative(link, self.bounds.path_bytes).map_err(|_| refused(name, "is a hard link that leads out"))?;
        let outside = |_| refused(name, "is a hard link to nothing in the image");
        let target = self.root.existing(&target).map_err(outside)?;
        match target.kind().map_err(outside)? {
            Some(FileType::RegularFile | FileType::Symlink) => {}
            _ => return Err(refused(name, "is a hard link to nothing in the image")),
        }
        place.clear().map_err(ImageError::io(&place.name))?;
        linkat(&target.folder, &target.name, &place.folder, &place.name, AtFlags::empty()).map_err(outside)
    }

    /// Deletes what lower layers put at `path`.
    fn delete(&self, path: &Path) -> Result<(), ImageError> {
        if self.made.contains(path) {
            return self.empty(path);
        }
        match self.root.existing(path) {
            Ok(place) => place.clear().map_err(ImageError::io(path)),
            // Nothing there to delete.
            Err(_) => Ok(()),
        }
    }

    /// Deletes what lower layers put into the folder at `path`.
    fn empty(&self, path: &Path) -> Result<(), ImageError> {
        let Ok(folder) = self.root.folder(path) else { return Ok(()) };
        for entry in fs::read_dir(below(&folder)).map_err(ImageError::io(path))? {
            let entry = entry.map_err(ImageError::io(path))?;
            let inside = path.join(entry.file_name());
            if !self.made.contains(&inside) {
                let place = self.root.existing(&inside).map_err(|error| ImageError::io(&inside)(error.into()))?;
                place.clear().map_err(ImageError::io(&inside))?;
            } else if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                self.empty(&inside)?;
            }
        }
        Ok(())
    }

    fn remember(&mut self, path: &Path) -> Result<(), ImageError> {
        for one in path.ancestors().filter(|one| !one.as_os_str().is_empty()) {
            if self.made.contains(one) {
                break;
            }
            self.made_bytes += one.as_os_str().len();
            self.made.insert(one.to_owned());
        }
        if self.made_bytes > self.bounds.all_paths_bytes {
            let limit = self.bounds.all_paths_bytes as u64;
            return Err(Refused::TooMuch { what: "bytes in all its paths", limit }.into());
        }
        Ok(())
    }
}

fn write_file<R: Read>(
    place: &Place,
    entry: &mut Entry<'_, R>,
    failed: impl Fn(io::Error) -> ImageError,
) -> Result<(), ImageError> {
    let create = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file =
        openat(&place.folder, &place.name, create, Mode::from_raw_mode(0o600)).map_err(|error| failed(error.into()))?;
    let mut file = File::from(file);
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = entry.data.read(&mut buffer).map_err(|error| broken(&error))?;
        if read == 0 {
            break;
        }
        file.write_all(&buffer[..read]).map_err(&failed)?;
    }
    let mode = if entry.executable { 0o555 } else { 0o444 };
    fchmod(&file, Mode::from_raw_mode(mode)).map_err(|error| failed(error.into()))?;
    // Interpreters compare it with what they compiled before.
    let time = Timespec { tv_sec: i64::try_from(entry.modified).unwrap_or(0), tv_nsec: 0 };
    futimens(&file, &Timestamps { last_access: time, last_modification: time }).map_err(|error| failed(error.into()))
}

fn unplaceable(name: &[u8], error: rustix::io::Errno) -> ImageError {
    use rustix::io::Errno;
    match error {
        Errno::NOTDIR | Errno::EXIST | Errno::LOOP | Errno::NAMETOOLONG => refused(name, "is in a folder that is none"),
        other => ImageError::Io { path: String::from_utf8_lossy(name).into_owned().into(), source: other.into() },
    }
}

fn refused(name: &[u8], why: &'static str) -> ImageError {
    let path: String = String::from_utf8_lossy(name).chars().take(256).flat_map(char::escape_debug).collect();
    Refused::Entry { path, why }.into()
}

/// Names and sizes that did not fit into a header and came before it.
#[derive(Default)]
struct Long {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
}

impl Long {
    /// Whether `entry` only says something about the next one.
    fn takes<R: Read>(&mut self, entry: &mut tar::Entry<'_, R>) -> Result<bool, ImageError> {
        match entry.header().entry_type() {
            EntryType::GNULongName => self.name = Some(without_end(text(entry)?)),
            EntryType::GNULongLink => self.link = Some(without_end(text(entry)?)),
            EntryType::XGlobalHeader => {}
            EntryType::XHeader => {
                let text = text(entry)?;
                for extension in tar::PaxExtensions::new(&text) {
                    let extension = extension.map_err(|error| broken(&error))?;
                    let value = extension.value_bytes().to_vec();
                    match extension.key_bytes() {
                        b"path" => self.name = Some(value),
                        b"linkpath" => self.link = Some(value),
                        b"size" => self.size = String::from_utf8(value).ok().and_then(|size| size.parse().ok()),
                        key if key.starts_with(b"GNU.sparse") => {
                            return Err(refused(b"", "is a sparse file"));
                        }
                        // Owners and extended attributes are dropped.
                        _ => {}
                    }
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn text<R: Read>(entry: &mut tar::Entry<'_, R>) -> Result<Vec<u8>, ImageError> {
    let mut text = Vec::new();
    entry.take(EXTENDED_HEADER_BYTES + 1).read_to_end(&mut text).map_err(|error| broken(&error))?;
    if text.len() as u64 > EXTENDED_HEADER_BYTES {
        return Err(Refused::TooMuch { what: "bytes in an extended header", limit: EXTENDED_HEADER_BYTES }.into());
    }
    Ok(text)
}

fn without_end(mut text: Vec<u8>) -> Vec<u8> {
    while text.last() == Some(&0) {
        text.pop();
    }
    text
}
