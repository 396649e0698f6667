//! What a greedy program gets in the native sandbox: its limits, and not more.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

mod support;

use std::time::Duration;

use strongroom_runtime::{Exit, Launch, Reason, Runtime, Scratch};
use support::{launch, native, shell};

async fn run(launch: &Launch) -> Exit {
    Runtime::Native(native()).run(launch).await
}

/// Runs a script that must end by itself with 0.
async fn output(launch: &Launch) -> String {
    let exit = run(launch).await;
    assert_eq!(exit.reason, Reason::Exited(0), "{} {}", exit.stdout.escaped(), exit.stderr.escaped());
    exit.stdout.escaped()
}

#[tokio::test]
async fn memory_is_limited_and_running_out_of_it_is_named() {
    let allocating = |amount: &str| {
        let mut launch = launch(["/bin/dd", "if=/dev/zero", "of=/dev/null", &format!("bs={amount}"), "count=1"]);
        launch.limits.memory_bytes = 64 << 20;
        launch
    };
    let exit = run(&allocating("400M")).await;
    if native().unenforced().is_empty() {
        assert_eq!(exit.reason, Reason::OutOfMemory);
        assert!(exit.peak_memory_bytes.is_some_and(|peak| peak <= 64 << 20), "{exit:?}");
        // The first process may outlive the greedy one; that is no success either unless it says so.
        let mut outlived = shell("dd if=/dev/zero of=/dev/null bs=400M count=1; exit 3");
        outlived.limits.memory_bytes = 64 << 20;
        assert_eq!(run(&outlived).await.reason, Reason::OutOfMemory);
    } else {
        eprintln!("no control groups here: each process has an address space limit instead");
        assert_ne!(exit.reason, Reason::Exited(0));
    }
    assert_eq!(run(&allocating("20M")).await.reason, Reason::Exited(0));
}

#[tokio::test]
async fn scratch_counts_as_memory() {
    let mut launch = launch(["/bin/dd", "if=/dev/zero", "of=/iexec_out/x", "bs=1M", "count=300"]);
    launch.scratch[0].size_bytes = 1 << 30;
    launch.limits.memory_bytes = 64 << 20;
    let reason = run(&launch).await.reason;
    if native().unenforced().is_empty() {
        assert_eq!(reason, Reason::OutOfMemory);
    }
}

#[tokio::test]
async fn a_memory_file_system_ends_at_its_size() {
    let launch =
        shell("head -c 3000000 /dev/zero > /iexec_out/fits && ! head -c 3000000 /dev/zero > /iexec_out/too-much");
    let exit = run(&launch).await;
    assert_eq!(exit.reason, Reason::Exited(0), "{exit:?}");
    assert!(exit.stderr.escaped().contains("No space left on device"), "{}", exit.stderr.escaped());

    let mut small = shell("i=0; while : > /tmp/$i; do i=$((i+1)); done 2>/dev/null; echo $i");
    small.scratch.push(Scratch { target: "/tmp".into(), size_bytes: 64 << 10, mode: 0o1777 });
    // A shell ends at the first redirection that fails, so the loop stands in one of its own.
    small.argv[2] = "(i=0; while : > /tmp/$i; do i=$((i+1)); done) 2>/dev/null; ls /tmp | wc -l".to_owned();
    let files: u32 = output(&small).await.trim().parse().unwrap();
    assert!((10..=200).contains(&files), "empty files take memory too: {files}");
}

#[tokio::test]
async fn files_end_at_the_file_size() {
    let mut launch = launch(["/bin/dd", "if=/dev/zero", "of=/iexec_out/x", "bs=1k", "count=2000"]);
    launch.limits.file_bytes = 1 << 20;
    let exit = run(&launch).await;
    // The first process gets no SIGXFSZ that it did not ask for; the write fails.
    assert_eq!(exit.reason, Reason::Exited(1), "{exit:?}");
    assert!(exit.stderr.escaped().contains("File too large"), "{}", exit.stderr.escaped());
}

#[tokio::test]
async fn a_program_that_forks_without_end_comes_to_one() {
    let mut launch = shell("i=0; while sleep 1000 & do i=$((i+1)); echo $i; done");
    launch.limits.processes = 20;
    let exit = run(&launch).await;
    let started = exit.stdout.escaped().lines().count();
    assert!((5..=20).contains(&started), "{started} {:?} {}", exit.reason, exit.stderr.escaped());
    assert!(exit.stderr.escaped().contains("Cannot fork"), "{}", exit.stderr.escaped());
}

#[tokio::test]
async fn open_files_are_limited() {
    let mut launch = shell("ulimit -n; ulimit -c; ulimit -Hn 100000 2>/dev/null || echo cannot be raised");
    launch.limits.open_files = 77;
    assert_eq!(output(&launch).await, "77\n0\ncannot be raised\n");
}

#[tokio::test]
async fn a_flood_of_output_is_counted_and_only_its_beginning_kept() {
    let mut launch = shell("echo begin; yes | head -c 50000000; echo problems >&2");
    launch.limits.log_bytes = 1000;
    let exit = run(&launch).await;
    assert_eq!(exit.reason, Reason::Exited(0));
    assert_eq!((exit.stdout.first.len(), exit.stdout.total_bytes), (1000, 50_000_006));
    assert!(exit.stdout.first.starts_with(b"begin\ny\n"));
    assert_eq!(exit.stderr.first, b"problems\n");
}

#[tokio::test]
async fn a_silent_spin_ends_at_the_deadline() {
    let mut launch = shell("trap '' TERM INT; while :; do :; done");
    launch.limits.deadline = Duration::from_millis(500);
    let exit = run(&launch).await;
    assert_eq!(exit.reason, Reason::Deadline);
    assert!(exit.cpu_time.is_some_and(|time| !time.is_zero()), "{exit:?}");
}

#[tokio::test]
async fn children_that_hide_in_sessions_of_their_own_end_with_the_first_process() {
    // They hold standard output: that it ends, and that the run does, shows that they are gone.
    let exit = run(&shell("(sleep 1000 &) ; (sh -c 'sleep 1000 & sleep 1000' &) ; echo done")).await;
    assert_eq!((exit.reason, exit.stdout.escaped().as_str()), (Reason::Exited(0), "done\n"));
    let mut spinning = shell("(while :; do :; done) & (sleep 1000 &) ; sleep 1000");
    spinning.limits.deadline = Duration::from_millis(500);
    assert_eq!(run(&spinning).await.reason, Reason::Deadline);
}

#[tokio::test]
async fn nothing_is_left_of_a_run() {
    let launch = shell("sleep 1000 & echo up");
    run(&launch).await;
    let mut left = Vec::new();
    search(std::path::Path::new("/sys/fs/cgroup"), &launch.name, &mut left);
    assert!(left.is_empty(), "{left:?}");
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
    assert!(!mounts.contains("iexec_out"), "{mounts}");
}

fn search(folder: &std::path::Path, name: &str, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        // Other tests make and remove groups meanwhile.
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            if entry.file_name().to_string_lossy().ends_with(name) {
                found.push(entry.path());
            }
            search(&entry.path(), name, found);
        }
    }
}

#[tokio::test]
async fn many_sandboxes_run_at_once_without_seeing_each_other() {
    let mut all = tokio::task::JoinSet::new();
    for number in 0..12 {
        let launch = shell(&format!("echo {number} > /iexec_out/mine; cat /iexec_out/*; ls /proc | grep -c '^[0-9]'"));
        all.spawn(async move { (number, output(&launch).await) });
    }
    while let Some(one) = all.join_next().await {
        let (number, text) = one.unwrap();
        let mut lines = text.lines();
        assert_eq!(lines.next(), Some(&*number.to_string()), "{text}");
        assert!(lines.next().unwrap().parse::<u32>().unwrap() < 6, "{text}");
    }
}
