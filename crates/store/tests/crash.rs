//! Kills a pushing process at odd moments, again and again, and looks whether everything it was promised is there.
//!
//! A program of its own (`harness = false`), because it starts itself as the process that is killed. `--rounds N` after
//! `cargo test --test crash --` changes the number of rounds.
#![allow(clippy::print_stdout, reason = "a test program that talks to its parent and to people")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

mod fixture;

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use fixture::{CHAIN, account, signature, value};
use strongroom_store::{RootKeySource, Store, StoreConfig};

const ROUNDS: u32 = 6;
const CALLERS: u32 = 16;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let argument = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name)?;
        arguments.get(at + 1).cloned()
    };
    if let Some(folder) = argument("--push-into") {
        let round = argument("--round").unwrap();
        push_until_killed(Path::new(&folder), &round);
        return;
    }
    // `cargo test -- --list` and filters are for the usual harness; a filter that does not name this test skips it.
    if arguments.iter().any(|argument| argument == "--list") {
        println!("every_acknowledged_write_survives_kill_9: test");
        return;
    }
    let rounds = argument("--rounds").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    every_acknowledged_write_survives_kill_9(rounds);
    println!("test every_acknowledged_write_survives_kill_9 ... ok ({rounds} rounds)");
}

fn open(folder: &Path) -> Store {
    let config = StoreConfig { path: folder.join("secrets.sqlite3"), chain_id: CHAIN };
    Store::open(&config, RootKeySource::File(folder.join("root.key"))).unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// The child: tells the name of each secret after it was acknowledged. `+` stands for a new one, `=` for a replaced one.
fn push_until_killed(folder: &Path, round: &str) {
    let store = open(folder);
    runtime().block_on(async {
        let callers = (0..CALLERS).map(|caller| {
            let (store, round) = (store.clone(), round.to_owned());
            tokio::spawn(async move {
                for number in 0.. {
                    let name = format!("{round}-{caller}-{number}");
                    store.insert(account(&name), value(name.as_bytes()), signature(1)).await.unwrap();
                    tell(&format!("+{name}"));
                    if number % 4 == 0 {
                        store.replace(account(&name), value(b"replaced"), signature(2)).await.unwrap();
                        tell(&format!("={name}"));
                    }
                    if number % 50 == 49 && caller == 0 {
                        store.rotate_epoch(|_| {}).await.unwrap();
                    }
                }
            })
        });
        for caller in callers.collect::<Vec<_>>() {
            caller.await.unwrap();
        }
    });
}

fn tell(line: &str) {
    // One write, so that a kill cuts no line in two.
    std::io::stdout().lock().write_all(format!("{line}\n").as_bytes()).unwrap();
}

fn every_acknowledged_write_survives_kill_9(rounds: u32) {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = Vec::new();
    for round in 0..rounds {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--push-into", folder.path().to_str().unwrap(), "--round", &round.to_string()])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Killed after a number of answers that differs from round to round: soon, in the middle, during a checkpoint.
        let enough = usize::try_from(1 + (round * 787) % 2_500).unwrap();
        acknowledged.extend(lines.by_ref().take(enough).map(Result::unwrap));
        child.kill().unwrap();
        // What it was told before it died counts too.
        acknowledged.extend(lines.map_while(Result::ok));
        child.wait().unwrap();
        check(folder.path(), &acknowledged);
    }
}

fn check(folder: &Path, acknowledged: &[String]) {
    runtime().block_on(async {
        let store = open(folder);
        let report = store.verify().await.unwrap();
        assert!(report.is_sound(), "{report:?}");
        assert!(report.opened >= acknowledged.len() as u64);
        let raw = rusqlite::Connection::open(folder.join("secrets.sqlite3")).unwrap();
        let query = "SELECT max(version) FROM secret_versions WHERE kind = 4 AND address = ?1 AND name = ?2";
        let mut versions = raw.prepare(query).unwrap();
        for line in acknowledged {
            let (kind, name) = line.split_at(1);
            let newest: Option<u32> =
                versions.query_row((account(name).address().as_slice(), name), |row| row.get(0)).unwrap();
            let newest = newest.unwrap_or_else(|| panic!("{name} was acknowledged and is not there"));
            assert!(kind != "=" || newest == 2, "the replacement of {name} was acknowledged and is not there");
        }
        if let Some(last) = acknowledged.last() {
            assert!(store.exists(&account(&last[1..])).await.unwrap());
        }
        drop(versions);
        drop(raw);
        store.close().await;
    });
}
