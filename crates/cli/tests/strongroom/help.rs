//! Help and completion: part of the interface, so any change shows in a diff.

use expect_test::expect_file;

use crate::home::Home;

const COMMANDS: [&str; 75] = [
    "",
    "wallet",
    "wallet create",
    "wallet import",
    "wallet show",
    "wallet list",
    "wallet use",
    "chain",
    "chain add",
    "chain use",
    "chain list",
    "chain show",
    "account",
    "account balance",
    "account deposit",
    "account withdraw",
    "app",
    "app init",
    "app pack",
    "app deploy",
    "app show",
    "app publish",
    "app transfer",
    "app push-secret",
    "app check-secret",
    "requester",
    "requester push-secret",
    "requester check-secret",
    "dataset",
    "dataset encrypt",
    "dataset decrypt",
    "dataset deploy",
    "dataset show",
    "dataset grant",
    "dataset revoke",
    "dataset grants",
    "dataset push-secret",
    "dataset check-secret",
    "pool",
    "pool deploy",
    "pool show",
    "pool settings",
    "pool publish",
    "order",
    "order sign",
    "order publish",
    "order cancel",
    "order book",
    "order match",
    "task",
    "task buy",
    "task list",
    "task watch",
    "task result",
    "task logs",
    "task journal",
    "task explain",
    "task claim",
    "result",
    "result push-encryption-key",
    "result check-encryption-key",
    "secret",
    "secret list",
    "evidence",
    "evidence inspect",
    "devnet",
    "devnet up",
    "devnet down",
    "devnet status",
    "devnet fund",
    "devnet add-image",
    "devnet logs",
    "doctor",
    "man",
    "completion",
];

// A development build has one option more.
#[cfg(not(feature = "development-anchors"))]
#[test]
fn the_help_of_every_command_is_as_written_down() {
    let home = Home::new();
    let mut actual = String::new();
    for command in COMMANDS {
        let ran = home.run(&command.split_whitespace().chain(["--help"]).collect::<Vec<_>>());
        actual +=
            &format!("$ strongroom {command} --help\n{}\n", ran.ends_with(0).stdout).replace("  --help\n", " --help\n");
    }
    expect_file!["golden/help.txt"].assert_eq(&actual);
}

#[test]
fn without_a_command_the_help_is_shown_as_an_error() {
    let home = Home::new();
    for arguments in [&[][..], &["wallet"], &["app"]] {
        let ran = home.run(arguments);
        assert!(ran.ends_with(2).stderr.contains("Usage:"), "{ran:?}");
    }
}

#[test]
fn every_shell_gets_its_completion() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = home.run(&["completion", shell]);
        assert!(ran.ends_with(0).stdout.contains("push-encryption-key"), "{shell}");
        let answer = home.run(&["completion", shell, "--json"]).ends_with(0).json();
        assert_eq!(answer["script"].as_str().unwrap(), ran.stdout.trim_end());
    }
}

#[test]
fn the_version_is_told() {
    assert_eq!(
        Home::new().run(&["--version"]).ends_with(0).stdout,
        concat!("strongroom ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn who_mistypes_a_command_is_shown_the_help_of_what_was_right() {
    let home = Home::new();
    assert_eq!(home.run(&["--json", "task", "run"]).ends_with(2).error()["remedy"], "strongroom task --help");
    assert_eq!(home.run(&["--json", "task", "buy"]).ends_with(2).error()["remedy"], "strongroom task buy --help");
    let similar = home.run(&["task", "wach"]);
    assert!(similar.ends_with(2).stderr.contains("'watch'") && !similar.stderr.contains("lists the"), "{similar:?}");
}
