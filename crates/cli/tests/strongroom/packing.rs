//! Images without Docker: made of scripts and programs of this machine, and put where the local network's pool finds them.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::home::Home;

/// A network that seems to be up: this very test stands in for its process, which is looked for by its file's name.
fn network_of(home: &Home, more: &str) {
    let text = format!(
        r#"{{ "pid": {}, "chain_id": 7, "hub": "0x5fc8d32690cc91d4c39d9d3abcbd16989f875707",
        "rpc": "http://127.0.0.1:1", "sms": "http://127.0.0.1:2" {more} }}"#,
        std::process::id()
    );
    home.write("data/strongroom/devnet/network.json", &text);
}

fn manifests(layout: &Path) -> Vec<String> {
    let index: Value = serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap();
    let digest = |one: &Value| one["digest"].as_str().unwrap().replace("sha256:", "0x");
    index["manifests"].as_array().unwrap().iter().map(digest).collect()
}

#[test]
fn a_new_app_of_a_shell_is_packed_into_the_image_that_is_registered() {
    let home = Home::new();
    home.run(&["app", "init", "hello", "--template", "shell"]).ends_with(0);
    home.write("hello/words/one.txt", "one");
    let pack = ["app", "pack", "hello/app.sh", "--with", "hello/words", "--output"];
    let packed = home.run(&[&pack[..], &["hello.oci", "--json"]].concat()).ends_with(0).json();
    let layout = home.path("hello.oci");
    assert_eq!(manifests(&layout), [packed["checksum"].as_str().unwrap()]);
    let again = home.run(&[&pack[..], &["again.oci", "--json"]].concat()).ends_with(0).json();
    assert_eq!(packed["checksum"], again["checksum"], "the same files make the same image");
    home.run(&[&pack[..], &["hello.oci", "--json"]].concat()).ends_with(5).error();
    home.write("hello/words/two.txt", "two");
    let other = home.run(&[&pack[..], &["other.oci", "--json"]].concat()).ends_with(0).json();
    assert_ne!(packed["checksum"], other["checksum"]);
}

#[test]
fn what_needs_more_than_libraries_is_not_packed() {
    let home = Home::new();
    home.write("app.py", "#!/usr/bin/env python3\n");
    let error = home.run(&["app", "pack", "app.py", "--json"]).ends_with(6).error();
    assert!(error["remedy"].as_str().unwrap().contains("docker buildx build"), "{error}");
    assert!(!home.path("app.oci").exists());
    for path in ["nothing", "."] {
        home.run(&["app", "pack", path, "--output", "app.oci", "--json"]).ends_with(6).error();
    }
}

#[test]
fn images_and_money_are_for_a_network_that_is_up() {
    let home = Home::new();
    home.write("app.sh", "#!/bin/sh\n");
    home.run(&["app", "pack", "app.sh"]).ends_with(0);
    let somebody = "0x5FC8d32690cc91D4c39d9d3abcBD16989F875707";
    for command in [&["devnet", "add-image", "app.oci"][..], &["devnet", "fund", somebody][..]] {
        let error = home.run(&[command, &["--json"]].concat()).ends_with(4).error();
        assert_eq!(error["remedy"], "start it: strongroom devnet up", "{error}");
        // The process of the description is another program.
        network_of(&home, "");
        home.run(&[command, &["--json"]].concat()).ends_with(4).error();
        fs::remove_file(home.path("data/strongroom/devnet/network.json")).unwrap();
    }
}
