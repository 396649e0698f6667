//! Results as people open them.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The text of the file `name` of an archive.
pub(crate) fn unpacked(archive: &Path, name: &str) -> String {
    let mut zip = zip::ZipArchive::new(File::open(archive).unwrap()).unwrap();
    let mut text = String::new();
    zip.by_name(name).unwrap().read_to_string(&mut text).unwrap();
    text
}
