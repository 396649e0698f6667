//! Images that lie, lead out, or want too much.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

mod support;

use std::fs;

use serde_json::json;
use strongroom_oci::{Bounds, Digest, Refused};
use support::{LAYER, LAYER_GZIP, Place, Tar, blob, config, gzip, layout, layout_of, manifest_of};
use tar::EntryType;

fn blob_file(place: &Place, digest: Digest) -> std::path::PathBuf {
    place.layout().join("blobs/sha256").join(digest.hex())
}

fn why(refused: Refused) -> &'static str {
    match refused {
        Refused::Entry { why, .. } => why,
        other => panic!("not about an entry: {other}"),
    }
}

#[test]
fn a_changed_byte_in_manifest_configuration_or_layer_is_noticed() {
    let layer = Tar::new().file("app", b"one").bytes();
    let config_digest = Digest::of(&serde_json::to_vec(&config(std::slice::from_ref(&layer))).unwrap());
    for which in ["manifest", "configuration", "layer"] {
        let place = Place::new();
        let manifest = layout(&place.layout(), std::slice::from_ref(&layer));
        let digest = match which {
            "manifest" => manifest,
            "configuration" => config_digest,
            _ => Digest::of(&layer),
        };
        let file = blob_file(&place, digest);
        let mut bytes = fs::read(&file).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        fs::write(&file, &bytes).unwrap();
        let found = Digest::of(&bytes);
        assert_eq!(place.refusal(manifest), Refused::Digest { what: which, expected: digest, found });
    }
}

#[test]
fn a_blob_that_is_longer_or_shorter_than_described_is_noticed() {
    let layer = Tar::new().file("app", b"one").bytes();
    for size in [-1, 1].map(|change| layer.len().wrapping_add_signed(change)) {
        let place = Place::new();
        let mut described = blob(&place.layout(), LAYER, &layer);
        described["size"] = json!(size);
        let digest = layout_of(&place.layout(), vec![described], &config(std::slice::from_ref(&layer)));
        assert!(matches!(place.refusal(digest), Refused::Size { what: "layer", .. }), "{size}");
    }
}

#[test]
fn a_layer_whose_uncompressed_bytes_are_not_those_of_the_configuration_is_refused() {
    let (promised, delivered) = (Tar::new().file("app", b"good").bytes(), Tar::new().file("app", b"evil").bytes());
    let place = Place::new();
    let described = blob(&place.layout(), LAYER_GZIP, &gzip(&delivered));
    let digest = layout_of(&place.layout(), vec![described], &config(std::slice::from_ref(&promised)));
    let (expected, found) = (Digest::of(&promised), Digest::of(&delivered));
    assert_eq!(place.refusal(digest), Refused::Digest { what: "uncompressed layer", expected, found });
}

#[test]
fn entries_that_lead_out_are_refused() {
    for name in ["../evil", "a/../../evil", "a/..", ".."] {
        let place = Place::new();
        assert_eq!(
            why(place.refusal_of_layers(&[Tar::new().file(name, b"x").bytes()])),
            "has `..` in its path",
            "{name}"
        );
    }
}

#[test]
fn absolute_paths_and_links_stay_inside() {
    let place = Place::new();
    let outside = place.folder.path().join("outside");
    fs::create_dir(&outside).unwrap();
    let outside = outside.to_str().unwrap();
    let image = place
        .unpack_layers(&[Tar::new()
            .file("/from/top", b"x")
            .link("absolute", outside)
            .link("climbing", "../../../../../../../../../../../../tmp")
            .file("absolute/a", b"x")
            .file("climbing/b", b"x")
            .bytes()])
        .unwrap_err();
    // A link to a folder that the image does not have leads nowhere.
    assert!(image.to_string().contains("is in a folder that is none"), "{image}");
    assert_eq!(fs::read_dir(outside).unwrap().count(), 0);

    let place = Place::new();
    let image = place
        .unpack_layers(&[Tar::new()
            .folder("tmp/")
            .link("climbing", "../../../../tmp")
            .link("absolute", "/tmp")
            .file("climbing/a", b"x")
            .file("absolute/b", b"x")
            .file("/from/top", b"x")
            .bytes()])
        .unwrap();
    for inside in ["tmp/a", "tmp/b", "from/top"] {
        assert_eq!(fs::read(image.root.join(inside)).unwrap(), b"x", "{inside}");
    }
}

#[test]
fn a_file_over_a_link_replaces_the_link_and_not_its_target() {
    let place = Place::new();
    let victim = place.folder.path().join("victim");
    fs::write(&victim, "safe").unwrap();
    let image =
        place.unpack_layers(&[Tar::new().link("app", victim.to_str().unwrap()).file("app", b"image").bytes()]).unwrap();
    assert_eq!(fs::read_to_string(&victim).unwrap(), "safe");
    assert_eq!(fs::read(image.root.join("app")).unwrap(), b"image");
}

#[test]
fn hard_links_reach_files_of_the_image_only() {
    let place = Place::new();
    let victim = place.folder.path().join("victim");
    fs::write(&victim, "safe").unwrap();
    let outside = victim.to_str().unwrap();
    for (to, reason) in [
        (outside, "is a hard link to nothing in the image"),
        ("../../../victim", "is a hard link that leads out"),
        ("folder", "is a hard link to nothing in the image"),
        ("absent", "is a hard link to nothing in the image"),
    ] {
        let place = Place::new();
        let layer = Tar::new().folder("folder").hard_link("evil", to).bytes();
        assert_eq!(why(place.refusal_of_layers(&[layer])), reason, "{to}");
    }
    let layers = [Tar::new().file("a", b"x").bytes(), Tar::new().hard_link("b", "/a").bytes()];
    let image = place.unpack_layers(&layers).unwrap();
    assert_eq!(fs::read(image.root.join("b")).unwrap(), b"x");
    assert_eq!(fs::read_to_string(&victim).unwrap(), "safe");
}

#[test]
fn devices_and_pipes_are_refused() {
    for (kind, reason) in
        [(EntryType::Char, "is a device"), (EntryType::Block, "is a device"), (EntryType::Fifo, "is a pipe")]
    {
        let layer = Tar::new().entry(kind, "dev/evil", "", 0o666, b"").bytes();
        assert_eq!(why(Place::new().refusal_of_layers(&[layer])), reason);
    }
    let layer = Tar::new().entry(EntryType::new(b'?'), "evil", "", 0o644, b"").bytes();
    assert_eq!(why(Place::new().refusal_of_layers(&[layer])), "is of a kind that is never unpacked");
}

#[test]
fn a_small_file_that_grows_without_end_is_stopped() {
    let place = Place::bounded(Bounds { unpacked_bytes: 1 << 20, ..Bounds::default() });
    let layer = Tar::new().file("zeros", &vec![0; 8 << 20]).bytes();
    let packed = gzip(&layer);
    assert!(packed.len() < 100_000);
    let described = blob(&place.layout(), LAYER_GZIP, &packed);
    let digest = layout_of(&place.layout(), vec![described], &config(std::slice::from_ref(&layer)));
    assert_eq!(place.refusal(digest), Refused::TooMuch { what: "unpacked bytes", limit: 1 << 20 });
}

#[test]
fn unpacked_bytes_are_counted_over_all_layers() {
    let layers: Vec<_> = (0..3).map(|n| Tar::new().file(&format!("f{n}"), &vec![n; 400_000]).bytes()).collect();
    let place = Place::bounded(Bounds { unpacked_bytes: 1_000_000, ..Bounds::default() });
    assert_eq!(place.refusal_of_layers(&layers), Refused::TooMuch { what: "unpacked bytes", limit: 1_000_000 });
    assert!(place.unpack_layers(&layers[..2]).is_ok());
}

#[test]
fn entries_paths_and_layers_are_counted() {
    let many = |count: u32| (0..count).fold(Tar::new(), |tar, n| tar.file(&format!("f{n}"), b"")).bytes();
    let place = Place::bounded(Bounds { entries: 100, ..Bounds::default() });
    assert_eq!(
        place.refusal_of_layers(&[many(60), many(41)]),
        Refused::TooMuch { what: "entries in its layers", limit: 100 }
    );
    assert!(place.unpack_layers(&[many(60), many(40)]).is_ok());

    let place = Place::bounded(Bounds { all_paths_bytes: 200, ..Bounds::default() });
    assert_eq!(place.refusal_of_layers(&[many(100)]), Refused::TooMuch { what: "bytes in all its paths", limit: 200 });

    let place = Place::bounded(Bounds { layers: 2, ..Bounds::default() });
    let layers = [many(1), many(2), many(3)];
    assert_eq!(place.refusal_of_layers(&layers), Refused::TooMuch { what: "layers", limit: 2 });

    let place = Place::bounded(Bounds { layer_bytes: 1000, ..Bounds::default() });
    assert_eq!(place.refusal_of_layers(&[many(1)]), Refused::TooMuch { what: "bytes in its layers", limit: 1000 });
}

#[test]
fn long_names_are_read_only_as_far_as_they_may_go() {
    let long = "a/".repeat(3000);
    let layer =
        Tar::new().entry(EntryType::GNULongName, "././@LongLink", "", 0o644, long.as_bytes()).file("short", b"");
    assert_eq!(why(Place::new().refusal_of_layers(&[layer.bytes()])), "has too long a path");
    let layer =
        Tar::new().entry(EntryType::GNULongName, "././@LongLink", "", 0o644, &vec![b'a'; 2 << 20]).file("s", b"");
    let refused = Place::new().refusal_of_layers(&[layer.bytes()]);
    assert_eq!(refused, Refused::TooMuch { what: "bytes in an extended header", limit: 1 << 20 });
}

#[test]
fn an_extended_size_cannot_hide_entries() {
    let record = "19 size=0000000512\n";
    let layer = Tar::new().entry(EntryType::XHeader, "x", "", 0o644, record.as_bytes()).file("app", b"short").bytes();
    assert_eq!(why(Place::new().refusal_of_layers(&[layer])), "has two different sizes");
}

#[test]
fn manifests_are_read_only_as_far_as_they_may_go() {
    let place = Place::bounded(Bounds { manifest_bytes: 1000, ..Bounds::default() });
    let digest = manifest_of(&place.layout(), &json!({"schemaVersion": 2, "padding": "x".repeat(1000)}));
    let expected = Refused::TooMuch { what: "bytes in a manifest or configuration", limit: 1000 };
    assert_eq!(place.refusal(digest), expected);
}

#[test]
fn layers_from_elsewhere_and_of_unknown_kinds_are_refused() {
    let layer = Tar::new().file("app", b"x").bytes();
    for (member, value) in [
        ("mediaType", json!("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip")),
        ("mediaType", json!("application/vnd.oci.image.layer.nondistributable.v1.tar")),
        ("mediaType", json!("application/vnd.oci.image.layer.v1.tar+zstd")),
        ("mediaType", json!("text/plain")),
        ("urls", json!(["https://elsewhere.example/layer"])),
    ] {
        let place = Place::new();
        let mut described = blob(&place.layout(), LAYER, &layer);
        described[member] = value.clone();
        let digest = layout_of(&place.layout(), vec![described], &config(std::slice::from_ref(&layer)));
        assert!(matches!(place.refusal(digest), Refused::LayerKind(_)), "{value}");
    }
}

#[test]
fn images_for_other_machines_are_refused() {
    for (member, value) in [("architecture", "s390x"), ("os", "windows")] {
        let place = Place::new();
        let layer = Tar::new().file("app", b"x").bytes();
        let described = blob(&place.layout(), LAYER, &layer);
        let mut config = config(std::slice::from_ref(&layer));
        config[member] = json!(value);
        let digest = layout_of(&place.layout(), vec![described], &config);
        assert!(matches!(place.refusal(digest), Refused::Platform { .. }), "{value}");
    }
}

#[test]
fn a_configuration_that_names_other_layers_is_refused() {
    let place = Place::new();
    let layer = Tar::new().file("app", b"x").bytes();
    let described = blob(&place.layout(), LAYER, &layer);
    let digest = layout_of(&place.layout(), vec![described], &config(&[layer.clone(), layer]));
    assert!(matches!(place.refusal(digest), Refused::Malformed { what: "configuration", .. }));
}

#[test]
fn a_damaged_gzip_file_is_refused() {
    let place = Place::new();
    let layer = Tar::new().file("app", b"x").bytes();
    let packed = gzip(&layer);
    let described = blob(&place.layout(), LAYER_GZIP, &packed[..packed.len() - 10]);
    let digest = layout_of(&place.layout(), vec![described], &config(std::slice::from_ref(&layer)));
    assert!(matches!(place.refusal(digest), Refused::Layer(_)));
}

#[test]
fn a_pipe_in_place_of_a_blob_does_not_hang_the_reader() {
    let place = Place::new();
    let digest = layout(&place.layout(), &[Tar::new().file("app", b"x").bytes()]);
    let file = blob_file(&place, digest);
    fs::remove_file(&file).unwrap();
    let made = rustix::fs::mknodat(rustix::fs::CWD, &file, rustix::fs::FileType::Fifo, 0o600.into(), 0);
    made.unwrap();
    let error = place.unpack(digest).unwrap_err();
    assert!(matches!(error, strongroom_oci::ImageError::Io { .. }), "{error}");
}
