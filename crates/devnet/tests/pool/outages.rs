//! Services that are down, for a while or for good, and wallets that are empty: tasks wait as long as it makes sense, and then say why not.

use std::time::Duration;

use alloy_primitives::U256;

use crate::door::Door;
use crate::scene::{ACTIVE, Order, SCHEDULER, Scene, WORKER, wallet};
use crate::watching::{until_app, until_enclave, until_logged, until_state, until_trouble};

/// Ends well; long enough for the test to shut a door before the result goes through it.
const SLOW: &str = r#"
sleep 2
echo done > "$IEXEC_OUT/seen.txt"
printf '{"deterministic-output-path":"%s/seen.txt","callback-data":"0x01"}' "$IEXEC_OUT" > "$IEXEC_OUT/computed.json"
"#;

/// A scene whose result store is behind a door.
async fn with_door_to_results() -> (Scene, Door) {
    let mut scene = Scene::new().await;
    let door = Door::to(&scene.proxy.url()).await;
    scene.change_pool(|settings| settings["results"]["proxy"] = door.url().into());
    (scene, door)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_store_that_is_down_when_a_result_is_there_is_waited_for() {
    let (scene, door) = with_door_to_results().await;
    let app = scene.app("slow", SLOW).await;
    let task = scene.buy(Order { callback: false, ..Order::of(app) }).await[0];
    until_enclave(&scene.pool, task);
    door.shut();
    door.turn_away(2).await;
    assert_eq!(scene.on_chain(task).await.0, ACTIVE, "nothing is settled without a result that can be had");
    door.open();
    scene.completes_once(task).await;
    assert_eq!(scene.result_file(task, "seen.txt").await, "done\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_store_that_stays_down_fails_its_tasks_and_is_named() {
    let (scene, door) = with_door_to_results().await;
    let app = scene.app("slow", SLOW).await;
    let computed = scene.buy(Order { callback: false, ..Order::of(app) }).await[0];
    until_enclave(&scene.pool, computed);
    door.shut();
    let unstarted = scene.buy(Order { callback: false, ..Order::of(app) }).await[0];
    until_trouble(&scene.pool, unstarted, "token of the result proxy: no answer");

    let model = scene.end(computed).await;
    assert_eq!(model["cause"], "POST_COMPUTE_IPFS_UPLOAD_FAILED", "{model:#}\n{}", scene.pool.log());
    let node = scene.network.chain().unwrap().node;
    node.increase_time(Duration::from_mins(7 * 5 + 1)).await.unwrap();
    let model = scene.end(unstarted).await;
    assert_eq!(model["cause"], "CONTRIBUTION_TIMEOUT", "{model:#}\n{}", scene.pool.log());
    assert!(model["message"].as_str().unwrap().contains("token of the result proxy"), "{model:#}");

    // Who bought them is paid back.
    node.increase_time(Duration::from_mins(3 * 5)).await.unwrap();
    for task in [computed, unstarted] {
        scene.is_claimed_once(task).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_result_store_that_takes_for_ever_costs_its_task_and_the_app_is_not_accused() {
    let (scene, door) = with_door_to_results().await;
    let category = scene.category(8).await;
    let app = scene.app("slow", SLOW).await;
    let task = scene.buy(Order { category, callback: false, ..Order::of(app) }).await[0];
    until_enclave(&scene.pool, task);
    door.play_deaf();
    let model = scene.end(task).await;
    assert_eq!(model["cause"], "APP_COMPUTE_TIMEOUT", "{model:#}\n{}", scene.pool.log());
    let message = model["message"].as_str().unwrap();
    assert!(message.contains("the enclave took longer") && message.contains("result"), "{message}");
    assert_eq!(scene.times_on_chain(task).await, [1, 0, 0, 0]);
}

async fn metrics(scene: &Scene) -> String {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    http.get(format!("{}/metrics", scene.pool.url())).send().await.unwrap().text().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_wait_for_an_empty_wallet_to_be_filled_and_an_alarm_tells_which() {
    let scene = Scene::new().await;
    let node = scene.network.chain().unwrap().node;
    let app = scene.app("paid", SLOW).await;
    let coins = U256::from(10).pow(U256::from(18));
    for (index, state) in [(SCHEDULER, "initializing"), (WORKER, "settling")] {
        let address = wallet(index).address();
        node.set_balance(address, U256::ZERO).await.unwrap();
        let task = scene.buy_one(app).await;
        until_logged(&scene.pool, |event| {
            let is_alarm =
                event["level"] == "ERROR" && event["message"].as_str().unwrap_or_default().contains("no gas");
            let is_ours = event["task"] == task.to_string() && event["state"] == state;
            is_alarm && is_ours && event["wallet"] == address.to_string()
        });
        let gauge = format!("strongroom_pool_wallet_empty{{wallet=\"{address}\"}} 1");
        let text = metrics(&scene).await;
        assert!(text.contains(&gauge), "{gauge}\n{text}");
        node.set_balance(address, coins).await.unwrap();
        scene.completes_once(task).await;
        let text = metrics(&scene).await;
        assert!(!text.contains(&gauge), "the alarm is over: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_cannot_be_reached_is_waited_for_by_tasks_and_by_a_pool_that_starts() {
    let mut scene = Scene::new().await;
    let door = Door::to(scene.network.rpc_url()).await;
    scene.change_pool(|settings| settings["chain"]["endpoints"] = vec![door.url()].into());
    let app = scene.app("slow", SLOW).await;
    let running = scene.buy_one(app).await;
    until_enclave(&scene.pool, running);
    door.shut();
    until_state(&scene.pool, running, "settling");
    until_trouble(&scene.pool, running, "");
    let unseen = scene.buy_one(app).await;
    assert_eq!(scene.times_on_chain(running).await, [1, 0, 0, 0]);

    scene.pool.kill();
    let pool = &mut scene.pool;
    tokio::task::block_in_place(|| {
        let here = tokio::runtime::Handle::current();
        std::thread::scope(|threads| {
            threads.spawn(|| {
                here.block_on(door.turn_away(1));
                door.open();
            });
            pool.restart().unwrap();
        });
    });
    for task in [running, unseen] {
        scene.completes_once(task).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chain_that_hangs_is_waited_for_by_everybody() {
    let mut scene = Scene::new().await;
    let app = scene.app("slow", SLOW).await;
    let marker = "while-the-chain-hangs";
    let params = format!(r#"{{"iexec_args":"{marker}"}}"#);
    let task = scene.buy(Order { params: &params, ..Order::of(app) }).await[0];
    // The service reads the chain too, so the enclave must have its release.
    until_app(marker).await;
    scene.network.anvil_mut().unwrap().freeze().unwrap();
    until_state(&scene.pool, task, "settling");
    until_trouble(&scene.pool, task, "");
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let health = http.get(format!("{}/actuator/health", scene.pool.url())).send().await.unwrap();
    assert_eq!(health.status(), 503, "a pool without a chain is not healthy");
    scene.network.anvil_mut().unwrap().thaw().unwrap();
    scene.completes_once(task).await;
}
