//! Scheduler and worker as two programs that share the state file: a task goes through both, and each outlives the other's end.

use std::process::Command;

use strongroom_devnet::process::OwnedProcess;

use crate::journeys::GOOD;
use crate::scene::{Scene, Setting};
use crate::support;
use crate::watching::{PATIENCE, until_logged, until_said, until_state};

#[tokio::test(flavor = "multi_thread")]
async fn a_task_goes_through_both_halves_and_each_half_may_be_killed() {
    let mut scene = Scene::with(Setting { halves: true, ..Setting::default() }).await;
    let quick = scene.app("quick", GOOD).await;
    let slow = scene.app("slow", &format!("sleep 4\n{GOOD}")).await;

    let task = scene.buy_one(quick).await;
    scene.completes_once(task).await;
    let (scheduler, worker) = (&scene.pool, scene.worker.as_ref().unwrap());
    for (pool, state, is_there) in [
        (scheduler, "\"authorizing\"", true),
        (scheduler, "\"running\"", false),
        (worker, "\"authorizing\"", false),
        (worker, "\"running\"", true),
    ] {
        assert_eq!(pool.log().contains(state), is_there, "{state}: {}", pool.log());
    }

    // The worker dies with an enclave; the scheduler goes on and tells where tasks stand.
    let interrupted = scene.buy_one(slow).await;
    until_state(scene.worker.as_ref().unwrap(), interrupted, "running");
    scene.worker.as_mut().unwrap().kill();
    let waiting = scene.buy_one(quick).await;
    until_state(&scene.pool, waiting, "ready");
    scene.until(waiting, |model| model["currentStatus"] == "INITIALIZED").await;
    scene.until(interrupted, |model| model["currentStatus"] == "RUNNING").await;
    tokio::task::block_in_place(|| scene.worker.as_mut().unwrap().restart()).unwrap();
    for task in [interrupted, waiting] {
        scene.completes_once(task).await;
    }

    // The scheduler dies; the worker brings to its end what it has.
    let running = scene.buy_one(slow).await;
    until_state(scene.worker.as_ref().unwrap(), running, "running");
    scene.pool.kill();
    let unseen = scene.buy_one(quick).await;
    until_logged(scene.worker.as_ref().unwrap(), |event| {
        event["message"] == "task completed" && event["task"] == running.to_string()
    });
    assert_eq!(scene.times_on_chain(unseen).await, [0; 4], "a worker takes no deals");
    tokio::task::block_in_place(|| scene.pool.restart()).unwrap();
    until_said(&scene.pool, "new tasks");
    for task in [running, unseen] {
        scene.completes_once(task).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_that_runs_already_is_not_started_again() {
    let scene = Scene::shared().await;
    for half in ["scheduler", "worker"] {
        let mut second = Command::new(support::program("strongroom-pool", "strongroom-pool"));
        second.arg("--config").arg(scene.pool.settings()).args(["run", "--role", half]);
        let second = OwnedProcess::start("second half", second).unwrap();
        let refusal = format!("another {half} runs with this state");
        let said = |line: &str| line.contains(&refusal).then_some(());
        tokio::task::block_in_place(|| second.wait_for_line(PATIENCE, said)).unwrap();
    }
}
