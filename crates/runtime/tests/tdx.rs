//! Confidential machines, against launchers that are scripts: they replay what a real one says.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

mod support;

use std::fs;
use std::path::Path;
use std::time::Duration;

use strongroom_runtime::{Exit, Launch, Reason, Runtime, Tdx, TdxSettings};
use support::{bind, launch};

/// What a launcher of a cloud machine said during a run that went well.
const RECORDED: &str = include_str!("../testdata/launcher.jsonl");

fn runtime(folder: &Path, script: &str) -> Runtime {
    let command = ["/bin/sh", "-c", script, "launcher", "{launch}", "{name}"].map(str::to_owned).to_vec();
    Runtime::Tdx(Tdx::new(TdxSettings { command, folder: folder.to_owned(), grace: Duration::from_mins(1) }))
}

async fn run(script: &str) -> Exit {
    let folder = tempfile::tempdir().unwrap();
    let exit = runtime(folder.path(), script).run(&task(folder.path())).await;
    assert!(
        !fs::read_dir(folder.path())
            .unwrap()
            .any(|file| { file.unwrap().file_name().to_string_lossy().ends_with(".launch.json") })
    );
    exit
}

fn task(folder: &Path) -> Launch {
    let guest = folder.join("guest");
    fs::write(&guest, "the guest").unwrap();
    let mut launch = launch(["/.strongroom/guest", "task", "--", "/app"]);
    launch.binds.push(bind(guest, "/.strongroom/guest"));
    launch
}

#[tokio::test]
async fn a_recorded_run_is_understood() {
    let recording = tempfile::NamedTempFile::new().unwrap();
    fs::write(recording.path(), RECORDED).unwrap();
    let exit = run(&format!("cat {}", recording.path().display())).await;
    assert_eq!(exit.reason, Reason::Exited(3), "{exit:?}");
    assert_eq!((exit.stdout.escaped().as_str(), exit.stderr.escaped().as_str()), ("computing\ndone\n", "app failed\n"));
}

#[tokio::test]
async fn the_launcher_is_told_what_to_run() {
    let folder = tempfile::tempdir().unwrap();
    let task = task(folder.path());
    let copy = folder.path().join("copy.json");
    let script = format!("cp \"$1\" {}; echo '{{\"exited\":0}}'; test \"$2\" = {}", copy.display(), task.name);
    assert_eq!(runtime(folder.path(), &script).run(&task).await.reason, Reason::Exited(0));
    let told: serde_json::Value = serde_json::from_slice(&fs::read(copy).unwrap()).unwrap();
    assert_eq!(told["version"], 1);
    assert_eq!(told["name"], *task.name);
    assert_eq!(told["image_digest"], task.image.manifest_digest.unwrap().to_string());
    // SHA-384 of "the guest".
    let digest = "4cda8106c2d2fab9c93a8fa6978191320374f72804b50a73836b7b4aa50a1c3851584e87fc07c09ea81b4322d4f0c80b";
    assert_eq!(told["guest_digest"], digest);
    assert_eq!(told["argv"], serde_json::json!(task.argv));
    assert_eq!(told["environment"], serde_json::json!([["PATH", "/bin"]]));
    assert_eq!(told["memory_bytes"], task.limits.memory_bytes);
    assert_eq!(told["deadline_seconds"], 300);
}

#[tokio::test]
async fn every_end_has_its_reason() {
    for (line, reason) in [
        (r#""deadline""#, Reason::Deadline),
        (r#""out_of_memory""#, Reason::OutOfMemory),
        (r#"{"exited":7}"#, Reason::Exited(7)),
        ("no json\n{\"progress\":\"x\"}\n{\"exited\":1}\n{\"exited\":0}", Reason::Exited(1)),
    ] {
        assert_eq!(run(&format!("echo '{line}'")).await.reason, reason, "{line}");
    }
    let Reason::Refused(refusal) = run(r#"echo '{"refused":"no quota; ask for more"}'"#).await.reason else { panic!() };
    assert_eq!(refusal.cause, "no quota; ask for more");
}

#[tokio::test]
async fn a_launcher_that_dies_without_a_word_is_no_success() {
    let Reason::Refused(refusal) = run("echo 'cannot reach the cloud' >&2; exit 0").await.reason else { panic!() };
    assert!(refusal.cause.contains("cannot reach the cloud"), "{refusal}");
    let folder = tempfile::tempdir().unwrap();
    let settings =
        TdxSettings { command: vec!["/not/there".to_owned()], folder: folder.path().to_owned(), grace: Duration::ZERO };
    let exit = Runtime::Tdx(Tdx::new(settings)).run(&task(folder.path())).await;
    let Reason::Refused(refusal) = exit.reason else { panic!() };
    assert!(refusal.cause.contains("`/not/there` cannot be started"), "{refusal}");
}

#[tokio::test]
async fn a_launcher_that_hangs_is_ended_after_the_deadline() {
    let folder = tempfile::tempdir().unwrap();
    let command = ["/bin/sh", "-c", "trap '' TERM; exec sleep 1000"].map(str::to_owned).to_vec();
    let settings = TdxSettings { command, folder: folder.path().to_owned(), grace: Duration::from_millis(100) };
    let mut task = task(folder.path());
    task.limits.deadline = Duration::from_millis(100);
    assert_eq!(Runtime::Tdx(Tdx::new(settings)).run(&task).await.reason, Reason::Deadline);
}

#[tokio::test]
async fn a_launcher_whose_run_is_given_up_gets_time_to_stop_its_machine() {
    let folder = tempfile::tempdir().unwrap();
    let stopped = folder.path().join("stopped");
    rustix::fs::mknodat(rustix::fs::CWD, &stopped, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let started = folder.path().join("up");
    rustix::fs::mknodat(rustix::fs::CWD, &started, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let script = format!("echo up > {}; cat; echo machine stopped > {}", started.display(), stopped.display());
    let (runtime, task) = (runtime(folder.path(), &script), task(folder.path()));
    let running = tokio::spawn(async move { runtime.run(&task).await });
    // Both reads wait for the script to write.
    assert_eq!(tokio::fs::read_to_string(started).await.unwrap(), "up\n");
    running.abort();
    assert_eq!(tokio::fs::read_to_string(stopped).await.unwrap(), "machine stopped\n");
}
