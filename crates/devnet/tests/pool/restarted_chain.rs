//! The node ends and is started again, with all its blocks or without the last ones, while the pool and the service go on.

use std::time::Duration;

use alloy_primitives::B256;

use crate::door::Door;
use crate::scene::{ACTIVE, Order, SCHEDULER, Scene, UNSET, WORKER, wallet};
use crate::watching::{until_app, until_state, until_transaction_waits, until_trouble};

/// Ends well; long enough for something to happen to the node meanwhile.
const SLOW: &str = r#"
sleep 2
echo done > "$IEXEC_OUT/seen.txt"
printf '{"deterministic-output-path":"%s/seen.txt","callback-data":"0x01"}' "$IEXEC_OUT" > "$IEXEC_OUT/computed.json"
"#;

/// The node writes its chain down and ends.
fn end_node(scene: &mut Scene) {
    tokio::task::block_in_place(|| scene.network.anvil_mut().unwrap().end().unwrap());
}

/// The node is there again, with the chain that it wrote down last.
fn start_node_again(scene: &mut Scene) {
    tokio::task::block_in_place(|| scene.network.anvil_mut().unwrap().start_again().unwrap());
}

/// Buys a task of `app`, and waits until its script runs: then the enclave has its release.
async fn buy_and_wait_for_the_app(scene: &Scene, app: alloy_primitives::Address, marker: &str) -> B256 {
    let params = format!(r#"{{"iexec_args":"{marker}"}}"#);
    let task = scene.buy(Order { params: &params, ..Order::of(app) }).await[0];
    until_app(marker).await;
    task
}

/// How many transactions of the pool's two wallets the chain has.
async fn sent(scene: &Scene) -> [u64; 2] {
    let node = scene.network.chain().unwrap().node;
    let of = async |account| node.next_nonce(wallet(account).address()).await.unwrap();
    [of(SCHEDULER).await, of(WORKER).await]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_started_again_finds_pool_and_service_at_work_and_no_task_is_lost_or_done_twice() {
    let mut scene = Scene::new().await;
    let door = Door::to(scene.network.rpc_url()).await;
    scene.change_pool(|settings| settings["chain"]["endpoints"] = vec![door.url()].into());
    let app = scene.app("slow", SLOW).await;
    let [by_scheduler, by_worker] = sent(&scene).await;
    let running = buy_and_wait_for_the_app(&scene, app, "while-the-node-is-away").await;
    // The pool learns of this deal from the node's later life only.
    door.shut();
    let unseen = scene.buy_one(app).await;
    end_node(&mut scene);
    door.open();
    until_state(&scene.pool, running, "settling");
    until_trouble(&scene.pool, running, "");
    start_node_again(&mut scene);
    let later = scene.buy_one(app).await;
    for task in [running, unseen, later] {
        scene.completes_once(task).await;
    }
    assert_eq!(sent(&scene).await, [by_scheduler + 3, by_worker + 3]);
    assert!(scene.pool.is_running() && scene.sms.is_running(), "neither was started again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_that_the_node_forgot_is_offered_again_and_mined_once() {
    let mut scene = Scene::new().await;
    let app = scene.app("slow", SLOW).await;
    let [by_scheduler, by_worker] = sent(&scene).await;
    let task = scene.buy_one(app).await;
    until_state(&scene.pool, task, "running");
    let node = scene.network.chain().unwrap().node;
    node.hold_blocks().await.unwrap();
    until_transaction_waits(&node, WORKER).await;
    end_node(&mut scene);
    start_node_again(&mut scene);
    assert_eq!(sent(&scene).await, [by_scheduler + 1, by_worker], "it is forgotten");
    assert_eq!(scene.on_chain(task).await.0, ACTIVE);
    scene.completes_once(task).await;
    assert_eq!(sent(&scene).await, [by_scheduler + 1, by_worker + 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deal_that_a_restored_chain_has_no_more_is_waited_for_in_vain_and_the_next_one_is_served() {
    let mut scene = Scene::new().await;
    let app = scene.app("slow", SLOW).await;
    end_node(&mut scene);
    start_node_again(&mut scene);
    let [by_scheduler, by_worker] = sent(&scene).await;
    let gone = buy_and_wait_for_the_app(&scene, app, "while-the-deal-disappears").await;
    scene.network.anvil_mut().unwrap().kill();
    start_node_again(&mut scene);
    assert_eq!(scene.on_chain(gone).await.0, UNSET);
    until_trouble(&scene.pool, gone, "is not on chain any more");
    let next = scene.buy_one(app).await;
    scene.completes_once(next).await;

    let node = scene.network.chain().unwrap().node;
    node.increase_time(Duration::from_mins(7 * 5 + 1)).await.unwrap();
    let model = scene.end(gone).await;
    assert_eq!(model["cause"], "CONTRIBUTION_TIMEOUT", "{model:#}\n{}", scene.pool.log());
    assert!(model["message"].as_str().unwrap().contains("is not on chain any more"), "{model:#}");
    node.increase_time(Duration::from_mins(3 * 5)).await.unwrap();
    let is_over = |model: &serde_json::Value| {
        model["dateStatusList"].to_string().contains("FINAL_DEADLINE_REACHED") && model["currentStatus"] == "FAILED"
    };
    scene.until(gone, is_over).await;
    assert_eq!(scene.times_on_chain(gone).await, [0; 4]);
    assert_eq!(sent(&scene).await, [by_scheduler + 1, by_worker + 1], "nothing was sent for what is gone");
}
