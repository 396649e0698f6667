//! Whatever bytes a layer has: it is unpacked or refused, and nothing outside of its folder changes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

mod support;

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use strongroom_oci::{Bounds, ImageError};
use support::{Place, Tar};
use tar::EntryType;

/// One entry of any kind, with names that like to lead out.
fn entry() -> impl Strategy<Value = (u8, String, String, Vec<u8>)> {
    let part = prop_oneof![
        Just("..".to_owned()),
        Just(".".to_owned()),
        Just(String::new()),
        Just(".wh.a".to_owned()),
        Just(".wh..wh..opq".to_owned()),
        "[abc]",
    ];
    let path = prop::collection::vec(part, 1..4).prop_map(|parts| parts.join("/"));
    let kind = prop::sample::select(b"0012255346LKxgS".to_vec());
    (
        kind,
        path.clone(),
        prop_oneof![path, Just("/tmp".to_owned()), Just("../../victim".to_owned())],
        prop::collection::vec(any::<u8>(), 0..40),
    )
}

fn try_layers(layers: &[Vec<u8>]) {
    let place = Place::bounded(Bounds { unpacked_bytes: 1 << 20, entries: 1000, ..Bounds::default() });
    let victim = place.folder.path().join("victim");
    fs::write(&victim, "safe").unwrap();
    match place.unpack_layers(layers) {
        Ok(image) => assert!(fs::symlink_metadata(image.root.join("proc")).unwrap().is_dir()),
        Err(ImageError::Refused(_)) => {
            assert_eq!(fs::read_dir(place.folder.path().join("store/roots")).unwrap().count(), 0);
        }
        Err(other) => panic!("neither unpacked nor refused: {other:?}"),
    }
    assert_eq!(fs::read_to_string(&victim).unwrap(), "safe");
    assert_eq!(names(place.folder.path()), ["layout", "store", "victim"]);
    assert_eq!(names(&place.folder.path().join("store")), ["manifests", "roots", "staging"]);
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|one| one.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn layers_of_any_entries_stay_inside(layers in prop::collection::vec(prop::collection::vec(entry(), 0..8), 1..3)) {
        let layers: Vec<_> = layers
            .into_iter()
            .map(|entries| {
                let add = |tar: Tar, (kind, name, link, data): (u8, String, String, Vec<u8>)| {
                    tar.entry(EntryType::new(kind), &name, &link, 0o4777, &data)
                };
                entries.into_iter().fold(Tar::new(), add).bytes()
            })
            .collect();
        try_layers(&layers);
    }

    #[test]
    fn damaged_layers_stay_inside(at in 0_usize..4096, value: u8, cut in 0_usize..4096) {
        let tar = Tar::new().folder("a").file("a/b", b"content").link("c", "a").file("c/d", b"more").hard_link("e", "a/b");
        let mut bytes = tar.bytes();
        let length = bytes.len();
        bytes[at % length] = value;
        bytes.truncate(length - cut % length);
        try_layers(&[bytes]);
    }
}
