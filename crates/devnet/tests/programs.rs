//! `strongroom-devnet` as people and scripts use it.

#![allow(clippy::unwrap_used, reason = "the helpers of tests may unwrap like the tests")]

mod support;

use std::net::TcpStream;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use strongroom_devnet::process::OwnedProcess;
use support::program;

const PATIENCE: Duration = Duration::from_mins(2);

/// The program, with the others beside it.
fn strongroom_devnet() -> Command {
    program("strongroom-sms", "strongroom-sms");
    program("strongroom-cli", "strongroom");
    Command::new(env!("CARGO_BIN_EXE_strongroom-devnet"))
}

/// The program, with all that a network with a pool needs beside it.
fn strongroom_devnet_with_pool() -> Command {
    for name in ["strongroom-pool", "strongroom-simulator"] {
        program(name, name);
    }
    support::static_guest();
    strongroom_devnet()
}

#[track_caller]
fn successful(output: &Output) -> String {
    let (printed, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{printed}\n{errors}");
    printed.into_owned()
}

/// The value of a row of the table.
fn row(process: &OwnedProcess, name: &str) -> String {
    let output = process.output();
    let value = output.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name}: {output}"));
    value.trim().to_owned()
}

fn accepts_connections(url: &str) -> bool {
    TcpStream::connect(url.strip_prefix("http://").unwrap()).is_ok()
}

/// Sends the signal of Ctrl-C and waits for the end.
fn interrupt(mut process: OwnedProcess) {
    assert!(Command::new("kill").args(["-INT", &process.id().to_string()]).status().unwrap().success());
    let begun = Instant::now();
    while process.is_running() {
        assert!(begun.elapsed() < PATIENCE, "{}", process.output());
        std::thread::yield_now();
    }
    assert!(process.ended().unwrap().unwrap().success(), "{}", process.output());
}

#[test]
fn the_network_and_the_service_are_up_until_interrupted() {
    let mut up = strongroom_devnet();
    up.args(["up", "--no-pool", "--rpc-port", "0", "--sms-port", "0", "--chain-id", "1337"]);
    let up = OwnedProcess::start("strongroom-devnet up", up).unwrap();
    up.wait_for_line(PATIENCE, |line| line.starts_with("Everything is up").then_some(())).unwrap();
    let (rpc, sms, hub) = (row(&up, "RPC URL"), row(&up, "SMS URL"), row(&up, "Hub"));
    assert_eq!(row(&up, "Chain id"), "1337");
    assert!(accepts_connections(&rpc) && accepts_connections(&sms));

    let mut attached = strongroom_devnet();
    attached.args(["up", "--rpc", &rpc, "--hub", &hub, "--sms-port", "0"]);
    let attached = OwnedProcess::start("strongroom-devnet up", attached).unwrap();
    attached.wait_for_line(PATIENCE, |line| line.starts_with("Everything is up").then_some(())).unwrap();
    let other_sms = row(&attached, "SMS URL");
    assert_eq!((row(&attached, "RPC URL"), row(&attached, "Chain id")), (rpc.clone(), "1337".to_owned()));
    interrupt(attached);
    assert!(!accepts_connections(&other_sms));
    assert!(accepts_connections(&rpc), "the node of others still runs");

    interrupt(up);
    assert!(!accepts_connections(&rpc) && !accepts_connections(&sms));
}

#[test]
fn the_whole_network_is_up_and_tells_where_everything_is() {
    let data = tempfile::tempdir().unwrap();
    let mut up = strongroom_devnet_with_pool();
    up.args(["up", "--any-ports", "--data"]).arg(data.path());
    let up = OwnedProcess::start("strongroom-devnet up", up).unwrap();
    up.wait_for_line(PATIENCE, |line| line.starts_with("Everything is up").then_some(())).unwrap();
    let description = data.path().join("network.json");
    let described: serde_json::Value = serde_json::from_slice(&std::fs::read(&description).unwrap()).unwrap();
    assert_eq!(described["pid"], up.id());
    let services = [
        ("RPC URL", "rpc"),
        ("SMS URL", "sms"),
        ("Pool API", "pool_api"),
        ("Order book", "market"),
        ("Storage", "ipfs_gateway"),
        ("Result proxy", "result_proxy"),
        ("Compass", "compass"),
    ];
    for (name, member) in services {
        assert_eq!(described[member], row(&up, name));
        assert!(accepts_connections(&row(&up, name)), "{name}");
    }
    assert!(!accepts_connections("http://127.0.0.1:1"));
    interrupt(up);
    assert!(!description.exists(), "nothing is up any more");
}

#[test]
fn a_network_that_cannot_be_had_is_an_error() {
    let nobody = ["up", "--rpc", "http://127.0.0.1:1", "--hub", "0x5FC8d32690cc91D4c39d9d3abcBD16989F875707"];
    let output = strongroom_devnet().args(nobody).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).starts_with("strongroom-devnet: "), "{output:?}");
}

#[test]
fn the_demonstration_shows_every_step_and_succeeds() {
    let folder = tempfile::tempdir().unwrap();
    let report = folder.path().join("report.html");
    let printed = successful(&strongroom_devnet_with_pool().args(["demo", "--report"]).arg(&report).output().unwrap());
    for step in [
        "chain 65535 runs at http://127.0.0.1:",
        "strongroom requester push-secret one --wallet requester: stored",
        "strongroom result push-encryption-key",
        "the SMS refuses: this wallet is not the owner of app 0x",
        "task is COMPLETED",
        "the developer's secret: opened",
        "the key of the dataset: not here",
        "rows of the dataset: 100000",
        "the dataset order allows other apps only (iExecV5-matchOrders-0x16)",
        "APP_IMAGE_DOWNLOAD_FAILED",
        "asks for the secrets from an enclave that runs another app: other-app: ",
        "asks for the secrets from an enclave whose guest is not approved: image-not-approved: ",
        "strongroom task journal: 2 attempts, all refused",
        "one of the orders is used up or revoked (iExecV5-matchOrders-0x60)",
        "no value is in plain text",
    ] {
        assert!(printed.contains(step), "{step} is not in\n{printed}");
    }
    let page = std::fs::read_to_string(report).unwrap();
    assert!(page.contains("<svg") && page.contains("task is COMPLETED"), "the report has timeline and steps");
}

#[test]
fn a_demonstration_that_is_kept_leaves_a_network_on_which_people_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut demo = strongroom_devnet_with_pool();
    demo.args(["demo", "--keep", "--report"]).arg(folder.path().join("report.html"));
    let demo = OwnedProcess::start("strongroom-devnet demo", demo).unwrap();
    demo.wait_for_line(PATIENCE, |line| line.starts_with("Everything stays up").then_some(())).unwrap();
    let output = demo.output();
    let surroundings = output.lines().filter_map(|line| line.trim().strip_prefix("export ")?.split_once('='));
    let mut doctor = Command::new(program("strongroom-cli", "strongroom"));
    doctor.env_clear().envs(surroundings).args(["doctor", "--wallet", "requester"]);
    let examined = successful(&doctor.output().unwrap());
    assert!(!examined.contains("WRONG"), "{examined}");
    interrupt(demo);
}

#[test]
fn a_report_that_cannot_be_written_stops_the_demonstration_before_the_story() {
    let folder = tempfile::tempdir().unwrap();
    let output = strongroom_devnet().args(["demo", "--report"]).arg(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("the report cannot be written to"), "{said}");
    assert!(output.stdout.is_empty(), "nothing was told");
}

#[test]
fn the_load_generator_tells_figures_for_each_number_of_connections() {
    let mut push = strongroom_devnet();
    push.args(["load", "push", "--connections", "1,8", "--seconds", "1", "--prepared-per-second", "200"]);
    let printed = successful(&push.output().unwrap());
    let rows: Vec<Vec<&str>> = printed.lines().map(|line| line.split_whitespace().collect()).collect();
    assert!(["1", "8"].iter().all(|n| rows.iter().any(|row| row.first() == Some(n))), "{printed}");
}

#[test]
fn the_load_generator_pushes_keys_of_registered_datasets() {
    let mut push = strongroom_devnet();
    push.args(["load", "push", "--kind", "dataset", "--datasets", "150", "--connections", "4"]);
    let printed = successful(&push.output().unwrap());
    assert!(printed.contains("owners in the cache"), "{printed}");
}

#[test]
fn the_load_generator_fills_a_database_and_asks_for_what_is_in_it() {
    let mut fill = strongroom_devnet();
    fill.args(["load", "fill", "2000", "--seconds", "1", "--prepared-per-second", "100"]);
    let printed = successful(&fill.output().unwrap());
    assert!(printed.contains("2000 secrets were inserted"), "{printed}");
    assert!(printed.contains("HEAD of secrets that are not there"), "{printed}");
}
