//! Images that are fine: read, unpacked, shared, built.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::json;
use strongroom_oci::{Bounds, Digest, ImageBuilder, ImageError, ImageStore, Source, User, Wanted};
use support::{LAYER_GZIP, MANIFEST, Place, Tar, blob, config, gzip, layout, layout_of, manifest_of, tree};
use tar::EntryType;

#[test]
fn gzip_layers_are_unpacked_on_top_of_each_other() {
    let place = Place::new();
    let layers = [Tar::new().file("app", b"old").file("kept", b"k").bytes(), Tar::new().file("app", b"new").bytes()];
    let described = layers.iter().map(|layer| blob(&place.layout(), LAYER_GZIP, &gzip(layer))).collect();
    let digest = layout_of(&place.layout(), described, &config(&layers));
    let image = place.unpack(digest).unwrap();
    assert_eq!(fs::read(image.root.join("app")).unwrap(), b"new");
    assert_eq!(tree(&image.root), ["app", "kept"]);
    assert_eq!(image.manifest_digest, Some(digest));
    assert_eq!(image.config.command(&["x".to_owned()]), ["/app", "x"]);
}

#[test]
fn whiteouts_delete_what_lower_layers_made_and_nothing_else() {
    let place = Place::new();
    let lower =
        Tar::new().file("a/old", b"").file("a/deep/old", b"").file("b/gone", b"").file("b/kept", b"").link("c", "b");
    let upper = Tar::new()
        .file("a/new", b"")
        .file("a/deep/new", b"")
        .file("a/.wh..wh..opq", b"")
        .file("b/.wh.gone", b"")
        .file("b/.wh.never-there", b"")
        .file("c/.wh.also-not-there", b"")
        .file("b/again", b"")
        .file("b/.wh.again", b"");
    let image = place.unpack_layers(&[lower.bytes(), upper.bytes()]).unwrap();
    let expected = ["a/", "a/deep/", "a/deep/new", "a/new", "b/", "b/again", "b/kept", "c -> b"];
    assert_eq!(tree(&image.root), expected);
}

#[test]
fn a_whiteout_that_names_no_file_is_refused() {
    for name in [".wh.", ".wh...", ".wh.."] {
        let refused = Place::new().refusal_of_layers(&[Tar::new().file(name, b"").bytes()]);
        assert!(refused.to_string().contains("deletes nothing"), "{name}: {refused}");
    }
}

#[test]
fn folders_files_and_links_replace_each_other() {
    let place = Place::new();
    let lower = Tar::new().file("a/x", b"").file("b", b"").link("c", "b");
    let upper = Tar::new().file("a", b"now a file").folder("b").folder("c").file("c/y", b"");
    let image = place.unpack_layers(&[lower.bytes(), upper.bytes()]).unwrap();
    assert_eq!(tree(&image.root), ["a", "b/", "c/", "c/y"]);
}

#[test]
fn setuid_bits_and_owners_are_dropped_and_everybody_may_read() {
    let place = Place::new();
    let layer = Tar::new()
        .entry(EntryType::Regular, "su", "", 0o6711, b"")
        .entry(EntryType::Regular, "shadow", "", 0o000, b"")
        .entry(EntryType::Directory, "closed", "", 0o1700, b"")
        .file("closed/x", b"")
        .bytes();
    let image = place.unpack_layers(&[layer]).unwrap();
    let mode = |name: &str| fs::metadata(image.root.join(name)).unwrap().permissions().mode() & 0o7777;
    assert_eq!([mode("su"), mode("shadow"), mode("closed")], [0o555, 0o444, 0o755]);
    let modified = fs::metadata(image.root.join("su")).unwrap().modified().unwrap();
    assert_eq!(modified.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs(), 1_000_000_000);
}

#[test]
fn long_names_of_both_kinds_are_put_together() {
    let (gnu, pax) = (format!("{}/g", "d".repeat(150)), format!("{}/p", "e".repeat(150)));
    let record = format!(" path={pax}\n");
    let record = format!("{}{record}", record.len() + 3);
    let layer = Tar::new()
        .entry(EntryType::GNULongName, "././@LongLink", "", 0o644, format!("{gnu}\0").as_bytes())
        .file("cut", b"1")
        .entry(EntryType::XHeader, "x", "", 0o644, record.as_bytes())
        .file("cut", b"2")
        .file("plain", b"3")
        .bytes();
    let image = Place::new();
    let root = image.unpack_layers(&[layer]).unwrap().root;
    for (path, content) in [(&*gnu, b"1"), (&*pax, b"2"), ("plain", b"3")] {
        assert_eq!(fs::read(root.join(path)).unwrap(), content, "{path}");
    }
}

#[test]
fn every_unpacked_image_has_the_mount_points_of_a_sandbox_as_real_folders() {
    let place = Place::new();
    let image = place.unpack_layers(&[Tar::new().link("tmp", "/etc").file("proc", b"").bytes()]).unwrap();
    for name in [".strongroom", "dev", "etc", "iexec_in", "iexec_out", "proc", "run", "sys", "tmp"] {
        assert!(fs::symlink_metadata(image.root.join(name)).unwrap().is_dir(), "{name}");
    }
}

#[test]
fn an_image_is_unpacked_once_and_then_needs_no_source() {
    let place = Place::new();
    let digest = layout(&place.layout(), &[Tar::new().file("app", b"x").bytes()]);
    let first = place.unpack(digest).unwrap();
    fs::remove_dir_all(place.layout()).unwrap();
    assert_eq!(place.unpack(digest).unwrap().root, first.root);
    let again = ImageStore::open(place.folder.path().join("store"), Bounds::default()).unwrap();
    let cached = again.cached(Wanted::Manifest(digest)).unwrap().unwrap();
    assert_eq!((cached.root, cached.config), (first.root, first.config));
}

#[test]
fn many_tasks_share_one_unpacked_root() {
    let place = Place::new();
    let digest = layout(&place.layout(), &[Tar::new().file("app", b"x").bytes()]);
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..8).map(|_| scope.spawn(|| place.unpack(digest).unwrap().root)).collect();
        let roots: std::collections::BTreeSet<_> = all.into_iter().map(|one| one.join().unwrap()).collect();
        assert_eq!(roots.len(), 1);
    });
}

#[test]
fn what_a_crash_left_unfinished_is_gone_after_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let half = folder.path().join("staging/half/root");
    fs::create_dir_all(&half).unwrap();
    ImageStore::open(folder.path(), Bounds::default()).unwrap();
    assert!(!half.exists());
}

#[test]
fn an_absent_image_is_not_a_refused_one() {
    let place = Place::new();
    layout(&place.layout(), &[]);
    let error = place.unpack(Digest::of(b"another")).unwrap_err();
    assert!(matches!(error, ImageError::Absent { .. }), "{error}");
}

#[test]
fn an_index_leads_to_the_manifest_for_this_machine() {
    let place = Place::new();
    let layer = Tar::new().file("app", b"x").bytes();
    let mine = layout(&place.layout(), std::slice::from_ref(&layer));
    let size = fs::metadata(place.layout().join("blobs/sha256").join(mine.hex())).unwrap().len();
    let entry = |digest: Digest, architecture: &str| json!({"mediaType": MANIFEST, "digest": digest, "size": size, "platform": {"os": "linux", "architecture": architecture}});
    let other = Digest::of(b"for another machine, not even here");
    let manifests = [entry(other, "s390x"), entry(mine, &Bounds::default().architecture)];
    let index = manifest_of(&place.layout(), &json!({"schemaVersion": 2, "manifests": manifests}));
    let image = place.unpack(index).unwrap();
    assert_eq!(image.manifest_digest, Some(index), "the digest that was asked for");
    assert_eq!(fs::read(image.root.join("app")).unwrap(), b"x");
}

#[test]
fn the_user_is_looked_up_in_the_image() {
    let passwd = b"root:x:0:0::/:/bin/sh\napp:x:1000:1001::/:/bin/sh\n";
    let layer = Tar::new().file("etc/passwd", passwd).file("etc/group", b"root:x:0:\nstaff:x:50:\n").bytes();
    let place = Place::new();
    let mut image = place.unpack_layers(&[layer]).unwrap();
    for (user, expected) in [
        ("", Some((0, 0))),
        ("0", Some((0, 0))),
        ("app", Some((1000, 1001))),
        ("1000", Some((1000, 1001))),
        ("1234", Some((1234, 0))),
        ("app:staff", Some((1000, 50))),
        ("1234:7", Some((1234, 7))),
        ("nobody-here", None),
        ("app:nobody-here", None),
        ("-1", None),
    ] {
        user.clone_into(&mut image.config.user);
        assert_eq!(image.user().ok(), expected.map(|(uid, gid)| User { uid, gid }), "{user}");
    }
    // A link in the image does not lead to the machine's own file.
    let layer = Tar::new().link("etc/passwd", "/../../../../../../../../etc/passwd").bytes();
    let mut image = place.unpack_layers(&[layer]).unwrap();
    "root".clone_into(&mut image.config.user);
    assert!(image.user().is_err());
}

fn sample() -> ImageBuilder {
    let mut builder = ImageBuilder::default();
    builder.file("/app", "#!/bin/sh\n", true).unwrap().file("etc/conf/x", "1", false).unwrap();
    builder.link("/bin/app", "../app").unwrap();
    builder.entrypoint(["/app", "-v"]).cmd(["run"]).env("A", "b").working_dir("/tmp").user("1000:1000");
    builder
}

#[test]
fn the_same_content_has_the_same_digest_everywhere() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (folder.path().join("one"), folder.path().join("two"));
    let digest = sample().write_layout(&one, "app:1").unwrap();
    assert_eq!(sample().write_layout(&two, "other:2").unwrap(), digest);
    let other = sample().env("C", "d").write_layout(&two, "app:1").unwrap();
    assert_ne!(other, digest);
    if Bounds::default().architecture == "amd64" {
        // Golden: a change of this value changes what every app's owner has put on chain.
        assert_eq!(digest.to_string(), "sha256:d14d1f012b7b0af6fbd46730ba582759871cf9f44e21207de45628fe7e216f41");
    }
}

#[test]
fn a_built_image_is_unpacked_as_it_was_described() {
    for gzip in [false, true] {
        let place = Place::new();
        let mut builder = sample();
        if gzip {
            builder.gzip();
        }
        let digest = builder.write_layout(&place.layout(), "app:1").unwrap();
        let image = place.unpack(digest).unwrap();
        assert_eq!(tree(&image.root), ["app", "bin/", "bin/app -> ../app", "etc/conf/", "etc/conf/x"]);
        let mode = fs::metadata(image.root.join("app")).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o555);
        assert_eq!(image.config.entrypoint, ["/app", "-v"]);
        assert_eq!(image.config.env, ["A=b"]);
        assert_eq!((&*image.config.user, &*image.config.working_dir), ("1000:1000", "/tmp"));
        let by_id = place.store.unpack(&Source::Layout(place.layout()), Wanted::ImageId(image.config_digest));
        assert_eq!(by_id.unwrap().root, image.root);
    }
}

#[test]
fn a_builder_refuses_paths_that_lead_out_or_through_files() {
    let mut builder = ImageBuilder::default();
    builder.file("a", "", false).unwrap();
    for path in ["../x", "/", "", "a/b"] {
        assert!(builder.file(path, "", false).is_err(), "{path}");
    }
}

#[test]
fn a_shell_of_this_machine_runs_inside_the_image_it_was_put_into() {
    let place = Place::new();
    let mut builder = ImageBuilder::default();
    builder.host_shell().unwrap();
    let digest = builder.write_layout(&place.layout(), "shell:1").unwrap();
    let root = place.unpack(digest).unwrap().root;
    for tool in ["bin/sh", "bin/cat", "bin/sha256sum", "usr/bin/env"] {
        assert!(root.join(tool).is_file(), "{tool}");
    }
}

/// A docker-archive as older versions of `docker save` write it.
fn archive(folder: &Path, layer: &[u8], with_layout: bool) -> (std::path::PathBuf, Digest) {
    let config = serde_json::to_vec(&config(&[layer.to_vec()])).unwrap();
    let id = Digest::of(&config);
    let manifest =
        json!([{"Config": format!("{}.json", id.hex()), "RepoTags": ["app:1"], "Layers": ["one/layer.tar"]}]);
    let mut tar = Tar::new()
        .file(&format!("{}.json", id.hex()), &config)
        .file("one/layer.tar", layer)
        .file("manifest.json", &serde_json::to_vec(&manifest).unwrap());
    if with_layout {
        let layout_folder = folder.join("layout");
        let digest = layout(&layout_folder, &[layer.to_vec()]);
        for blob in fs::read_dir(layout_folder.join("blobs/sha256")).unwrap() {
            let blob = blob.unwrap();
            let name = format!("blobs/sha256/{}", blob.file_name().to_str().unwrap());
            tar = tar.file(&name, &fs::read(blob.path()).unwrap());
        }
        let size = fs::metadata(layout_folder.join("blobs/sha256").join(digest.hex())).unwrap().len();
        let index = json!({"schemaVersion": 2, "manifests": [{"mediaType": MANIFEST, "digest": digest, "size": size}]});
        tar = tar.file("index.json", &serde_json::to_vec(&index).unwrap());
    }
    let file = folder.join("image.tar");
    fs::write(&file, tar.bytes()).unwrap();
    (file, id)
}

#[test]
fn a_docker_archive_is_found_by_image_id() {
    let place = Place::new();
    let (file, id) = archive(place.folder.path(), &Tar::new().file("app", b"x").bytes(), false);
    let image = place.store.unpack(&Source::DockerArchive(file), Wanted::ImageId(id)).unwrap();
    assert_eq!(fs::read(image.root.join("app")).unwrap(), b"x");
    assert_eq!((image.manifest_digest, image.config_digest), (None, id));
}

#[test]
fn a_layer_that_an_old_docker_archive_holds_once_is_found_twice() {
    let place = Place::new();
    let layer = Tar::new().file("app", b"x").bytes();
    let config = serde_json::to_vec(&config(&[layer.clone(), layer.clone()])).unwrap();
    let manifest = json!([{"Config": "config.json", "Layers": ["one/layer.tar", "two/layer.tar"]}]);
    let tar = Tar::new()
        .file("config.json", &config)
        .file("one/layer.tar", &layer)
        .link("two/layer.tar", "../one/layer.tar")
        .file("manifest.json", &serde_json::to_vec(&manifest).unwrap());
    let file = place.folder.path().join("image.tar");
    fs::write(&file, tar.bytes()).unwrap();
    let image = place.store.unpack(&Source::DockerArchive(file), Wanted::ImageId(Digest::of(&config))).unwrap();
    assert_eq!(tree(&image.root), ["app"]);
}

#[test]
fn a_docker_archive_without_manifests_says_that_it_cannot_prove_a_manifest_digest() {
    let place = Place::new();
    let (file, _) = archive(place.folder.path(), &Tar::new().file("app", b"x").bytes(), false);
    let wanted = Wanted::Manifest(Digest::of(b"on chain"));
    let error = place.store.unpack(&Source::DockerArchive(file), wanted).unwrap_err();
    assert!(error.to_string().contains("cannot be checked; ask by image id"), "{error}");
}

#[test]
fn a_docker_archive_with_a_layout_inside_is_found_by_manifest_digest() {
    let place = Place::new();
    let layer = Tar::new().file("app", b"x").bytes();
    let (file, _) = archive(place.folder.path(), &layer, true);
    let digest = layout(&place.layout(), std::slice::from_ref(&layer));
    let image = place.store.unpack(&Source::DockerArchive(file), Wanted::Manifest(digest)).unwrap();
    assert_eq!(fs::read(image.root.join("app")).unwrap(), b"x");
}

#[test]
fn a_changed_layer_in_a_docker_archive_is_noticed() {
    let place = Place::new();
    let (file, id) = archive(place.folder.path(), &Tar::new().file("app", b"good").bytes(), false);
    let mut bytes = fs::read(&file).unwrap();
    let at = bytes.windows(4).position(|four| four == b"good").unwrap();
    bytes[at..at + 4].copy_from_slice(b"evil");
    fs::write(&file, bytes).unwrap();
    let error = place.store.unpack(&Source::DockerArchive(file), Wanted::ImageId(id)).unwrap_err();
    assert!(matches!(error, ImageError::Refused(_)), "{error}");
}
