//! The pool is killed in every state that a task can be in, as by a power failure: nothing is lost, and nothing happens twice on chain.
//!
//! Most states are frozen first, by something the pool waits for: the service, a block, a place. The state file tells that the kill came in the
//! state that was meant.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use alloy_primitives::{Address, B256};
use rusqlite::{Connection, OpenFlags};
use strongroom_devnet::node::Node;

use crate::door::Door;
use crate::scene::{Order, SCHEDULER, Scene, Setting, WORKER, wallet};
use crate::watching::{
    PATIENCE, is_move_to, until, until_app, until_enclave, until_logged, until_said, until_state,
    until_transaction_waits,
};

/// Pause between blocks once they are made again.
const BLOCKS: Duration = Duration::from_secs(1);
/// For deals with a callback and for those without.
const ENDS_WELL: &str = r#"
echo done > "$IEXEC_OUT/seen.txt"
printf '{"deterministic-output-path":"%s/seen.txt","callback-data":"0x01"}' "$IEXEC_OUT" > "$IEXEC_OUT/computed.json"
"#;

/// The state of a task in the file that the pool left behind.
fn kept_state(scene: &Scene, task: B256) -> String {
    let file = scene.folder().join("pool/pool.db");
    let file = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap();
    file.query_row("SELECT state FROM tasks WHERE task = ?1", [task.as_slice()], |row| row.get(0)).unwrap()
}

/// Kills the pool, sees that it was in `state`, and waits until nothing that it started is left.
fn kill_in(scene: &mut Scene, task: B256, state: &str) {
    scene.pool.kill();
    assert_eq!(kept_state(scene, task), state);
    let folder = scene.folder().join("pool");
    let begun = Instant::now();
    while let Some(left) = process_with(&folder) {
        assert!(begun.elapsed() < PATIENCE, "{left} outlives the pool that started it");
        std::thread::yield_now();
    }
}

/// The command line of a process that names this folder.
fn process_with(folder: &Path) -> Option<String> {
    let folder = folder.to_str().unwrap();
    std::fs::read_dir("/proc").unwrap().find_map(|entry| {
        let command = std::fs::read(entry.ok()?.path().join("cmdline")).ok()?;
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        command.contains(folder).then_some(command)
    })
}

fn restart(scene: &mut Scene) {
    tokio::task::block_in_place(|| scene.pool.restart()).unwrap();
}

fn restart_service(scene: &mut Scene) {
    tokio::task::block_in_place(|| scene.sms.restart()).unwrap();
}

/// Buys a task whose first transaction waits for a block: none are made from then on.
async fn buy_without_a_block_to_begin_in(scene: &mut Scene, node: &Node, app: Address) -> B256 {
    scene.sms.kill();
    let task = scene.buy_one(app).await;
    until_said(&scene.pool, "new tasks");
    node.hold_blocks().await.unwrap();
    restart_service(scene);
    until_state(&scene.pool, task, "initializing");
    until_transaction_waits(node, SCHEDULER).await;
    task
}

/// Starts the pool while transactions of its earlier life still wait; blocks are made only when it has begun to wait for them.
fn restart_before_the_next_block(scene: &mut Scene) {
    let node_url = scene.network.rpc_url().to_owned();
    let pool = &mut scene.pool;
    tokio::task::block_in_place(|| {
        std::thread::scope(|threads| {
            threads.spawn(|| {
                std::thread::sleep(Duration::from_secs(1));
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async { Node::new(&node_url).unwrap().make_blocks(BLOCKS).await.unwrap() });
            });
            pool.restart().unwrap();
        });
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_that_is_killed_in_any_state_of_a_task_goes_on_and_does_nothing_twice() {
    let mut scene = Scene::with(Setting { places: 1, ..Setting::default() }).await;
    let node = scene.network.chain().unwrap().node;
    let owner_sent = node.next_nonce(wallet(SCHEDULER).address()).await.unwrap();
    let worker_sent = node.next_nonce(wallet(WORKER).address()).await.unwrap();
    let door = Door::to(&scene.proxy.url()).await;
    scene.change_pool(|settings| settings["results"]["proxy"] = door.url().into());
    let quick = scene.app("quick", ENDS_WELL).await;
    let slow = scene.app("slow", &format!("sleep 3\n{ENDS_WELL}")).await;
    let mut tasks = Vec::new();

    // Nobody says which framework is served, so the deal cannot be judged.
    scene.sms.kill();
    let task = scene.buy_one(quick).await;
    until_said(&scene.pool, "new tasks");
    kill_in(&mut scene, task, "received");
    restart_service(&mut scene);
    restart(&mut scene);
    scene.completes_once(task).await;
    tasks.push(task);

    // No block, so the task is not active, and its transaction waits.
    let task = buy_without_a_block_to_begin_in(&mut scene, &node, quick).await;
    kill_in(&mut scene, task, "initializing");
    restart_before_the_next_block(&mut scene);
    scene.completes_once(task).await;
    tasks.push(task);

    // It becomes active while nobody gives an enclave challenge.
    let task = buy_without_a_block_to_begin_in(&mut scene, &node, quick).await;
    scene.sms.kill();
    node.make_blocks(BLOCKS).await.unwrap();
    until_state(&scene.pool, task, "authorizing");
    kill_in(&mut scene, task, "authorizing");
    restart_service(&mut scene);
    restart(&mut scene);
    scene.completes_once(task).await;
    tasks.push(task);

    // Another task has the only place.
    let first = scene.buy_one(slow).await;
    until_state(&scene.pool, first, "running");
    let task = scene.buy_one(quick).await;
    until_state(&scene.pool, task, "ready");
    kill_in(&mut scene, task, "ready");
    restart(&mut scene);
    for task in [first, task] {
        scene.completes_once(task).await;
        tasks.push(task);
    }

    // Nobody gives a token for the upload of the result.
    door.shut();
    let task = scene.buy(Order { callback: false, ..Order::of(quick) }).await[0];
    until_state(&scene.pool, task, "starting");
    door.turn_away(1).await;
    kill_in(&mut scene, task, "starting");
    door.open();
    restart(&mut scene);
    scene.completes_once(task).await;
    tasks.push(task);

    // The app takes its time.
    let task = scene.buy_one(slow).await;
    until_state(&scene.pool, task, "running");
    kill_in(&mut scene, task, "running");
    restart(&mut scene);
    scene.completes_once(task).await;
    tasks.push(task);

    // No block, so it is not paid, and its transaction waits.
    let task = scene.buy_one(slow).await;
    until_state(&scene.pool, task, "running");
    node.hold_blocks().await.unwrap();
    until_state(&scene.pool, task, "settling");
    until_transaction_waits(&node, WORKER).await;
    kill_in(&mut scene, task, "settling");
    restart_before_the_next_block(&mut scene);
    scene.completes_once(task).await;
    tasks.push(task);

    // It is over.
    let task = scene.buy_one(quick).await;
    until_logged(&scene.pool, |event| event["message"] == "task completed" && event["task"] == task.to_string());
    scene.completes_once(task).await;
    kill_in(&mut scene, task, "completed");
    restart(&mut scene);
    scene.completes_once(task).await;
    tasks.push(task);

    // Not even a transaction that failed was sent in vain.
    let sent = u64::try_from(tasks.len()).unwrap();
    assert_eq!(node.next_nonce(wallet(SCHEDULER).address()).await.unwrap(), owner_sent + sent);
    assert_eq!(node.next_nonce(wallet(WORKER).address()).await.unwrap(), worker_sent + sent);
    for task in tasks {
        scene.completes_once(task).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_that_is_killed_at_each_step_of_many_tasks_does_all_of_them_once() {
    let mut scene = Scene::new().await;
    let node = scene.network.chain().unwrap().node;
    let owner_sent = node.next_nonce(wallet(SCHEDULER).address()).await.unwrap();
    let worker_sent = node.next_nonce(wallet(WORKER).address()).await.unwrap();
    let app = scene.app("one-of-many", ENDS_WELL).await;
    let tasks = scene.buy(Order { tasks: 8, ..Order::of(app) }).await;
    for state in ["initializing", "authorizing", "ready", "starting", "running", "settling"] {
        until_logged(&scene.pool, |event| is_move_to(event, state));
        scene.pool.kill();
        restart(&mut scene);
    }
    for task in &tasks {
        scene.completes_once(*task).await;
    }
    let sent = u64::try_from(tasks.len()).unwrap();
    assert_eq!(node.next_nonce(wallet(SCHEDULER).address()).await.unwrap(), owner_sent + sent);
    assert_eq!(node.next_nonce(wallet(WORKER).address()).await.unwrap(), worker_sent + sent);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_that_is_killed_while_it_gives_a_task_up_claims_it_once() {
    let mut scene = Scene::new().await;
    let node = scene.network.chain().unwrap().node;
    let category = scene.category(30).await;
    let app = scene.app("exits", "exit 3").await;
    let task = scene.buy(Order { category, ..Order::of(app) }).await[0];
    until_said(&scene.pool, "task given up");
    kill_in(&mut scene, task, "stuck");
    restart(&mut scene);

    node.increase_time(Duration::from_mins(5)).await.unwrap();
    node.hold_blocks().await.unwrap();
    until_state(&scene.pool, task, "claiming");
    until_transaction_waits(&node, SCHEDULER).await;
    kill_in(&mut scene, task, "claiming");
    restart_before_the_next_block(&mut scene);
    scene.is_claimed_once(task).await;
    assert_eq!(scene.end(task).await["cause"], "APP_COMPUTE_FAILED");
}

/// Whether the result store has the result of a task.
async fn is_stored(scene: &Scene, task: B256) -> bool {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let place = format!("{}/v1/results/{task}/ipfshash", scene.proxy.url());
    http.get(place).send().await.unwrap().status().is_success()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_that_is_killed_between_the_upload_of_a_result_and_its_report_settles_what_was_uploaded() {
    let mut scene = Scene::new().await;
    let door = Door::to(&scene.proxy.url()).await;
    scene.change_pool(|settings| settings["results"]["proxy"] = door.url().into());
    let app = scene.app("uploads", &format!("sleep 2\n{ENDS_WELL}")).await;
    let task = scene.buy(Order { callback: false, ..Order::of(app) }).await[0];
    until_enclave(&scene.pool, task);
    // The upload arrives, and the enclave never hears of it.
    door.play_mute();
    let begun = Instant::now();
    while !is_stored(&scene, task).await {
        assert!(begun.elapsed() < PATIENCE, "{}", scene.pool.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    kill_in(&mut scene, task, "running");
    door.open();
    restart(&mut scene);
    scene.completes_once(task).await;
    assert_eq!(scene.result_file(task, "seen.txt").await, "done\n");
}

/// The control groups of a task's enclave.
fn groups_of(task: B256) -> Vec<PathBuf> {
    let wanted = format!("strongroom-sr{}", &task.to_string()[2..20]);
    let top = Path::new("/sys/fs/cgroup");
    let mut found = Vec::new();
    let mut folders = vec![top.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with(&wanted) {
                found.push(entry.path());
            } else if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(entry.path());
            }
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_pool_leaves_behind_is_removed_by_the_next_also_when_the_task_is_not_run_again() {
    let mut scene = Scene::new().await;
    let category = scene.category(30).await;
    let app = scene.app("left", "sleep 29").await;
    let marker = "left-by-a-killed-pool";
    let params = format!(r#"{{"iexec_args":"{marker}"}}"#);
    let task = scene.buy(Order { category, params: &params, ..Order::of(app) }).await[0];
    until_app(marker).await;
    let groups = groups_of(task);
    let run = scene.folder().join("pool/r").join(format!("sr{}", &task.to_string()[2..20]));
    assert!(run.is_dir());
    kill_in(&mut scene, task, "running");
    let is_empty = |group: &PathBuf| std::fs::read_to_string(group.join("cgroup.procs")).is_ok_and(|it| it.is_empty());
    until("the enclave is gone", || groups.iter().all(is_empty)).await;

    // Nobody can contribute any more.
    scene.network.chain().unwrap().node.increase_time(Duration::from_secs(7 * 30 + 1)).await.unwrap();
    restart(&mut scene);
    assert_eq!(scene.end(task).await["cause"], "CONTRIBUTION_TIMEOUT");
    assert!(!run.exists());
    assert_eq!(groups_of(task), [""; 0].map(PathBuf::from));
}
