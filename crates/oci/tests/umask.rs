//! Alone in its process: the umask belongs to all of it.
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::os::unix::fs::PermissionsExt as _;

use strongroom_oci::{Bounds, ImageBuilder, ImageStore, Source, Wanted};

#[test]
fn users_of_the_sandbox_reach_an_image_that_a_service_with_a_strict_umask_unpacked() {
    let folder = tempfile::tempdir().unwrap();
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let layout = folder.path().join("layout");
    let mut image = ImageBuilder::default();
    image.file("/app/bin/app", "x", true).unwrap().file("/app/data", "y", false).unwrap();
    let digest = image.write_layout(&layout, "app").unwrap();
    let store = ImageStore::open(folder.path().join("store"), Bounds::default()).unwrap();
    let root = store.unpack(&Source::Layout(layout), Wanted::Manifest(digest)).unwrap().root;
    for (path, mode) in [("", 0o755), ("app", 0o755), ("app/bin", 0o755), ("proc", 0o755), ("app/bin/app", 0o555)] {
        let found = std::fs::metadata(root.join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!(found, mode, "/{path}");
    }
    let data = std::fs::metadata(root.join("app/data")).unwrap().permissions().mode() & 0o777;
    assert_eq!(data, 0o444);
}
