//! Tasks that go well, and tasks that do not.

use std::time::Duration;

use alloy_primitives::{Bytes, hex};
use serde_json::Value;
use strongroom_devnet::resources::App;

use crate::scene::{ACTIVE, COMPLETED, FAILED, Order, Scene, UNSET};

/// Ends well.
pub(crate) const GOOD: &str = r#"echo '{"callback-data":"0x0102"}' > $IEXEC_OUT/computed.json"#;
const PATIENCE: Duration = Duration::from_mins(2);

#[tokio::test(flavor = "multi_thread")]
async fn a_bought_task_runs_in_an_enclave_and_is_settled_on_chain() {
    let scene = Scene::shared().await;
    let app = scene.app("good", GOOD).await;
    let task = scene.buy_one(app).await;
    let model = scene.end(task).await;
    assert_eq!(model["currentStatus"], "COMPLETED", "{model:#}\n{}", scene.pool.log());
    assert_eq!(scene.on_chain(task).await, (COMPLETED, Bytes::from_static(&[1, 2])));
}

#[tokio::test(flavor = "multi_thread")]
async fn all_tasks_of_a_bag_are_done() {
    let scene = Scene::shared().await;
    let script = r#"printf '{"callback-data":"0x%02x"}' "$IEXEC_TASK_INDEX" > $IEXEC_OUT/computed.json"#;
    let app = scene.app("bag", script).await;
    let tasks = scene.buy(Order { tasks: 5, ..Order::of(app) }).await;
    for (index, task) in (0..).zip(tasks) {
        let model = scene.end(task).await;
        assert_eq!(model["currentStatus"], "COMPLETED", "{model:#}\n{}", scene.pool.log());
        assert_eq!(scene.on_chain(task).await, (COMPLETED, Bytes::from(vec![index])));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn arguments_reach_the_app_as_the_deal_says() {
    let scene = Scene::shared().await;
    let script = r#"printf '{"callback-data":"0x%02x%02x"}' $# ${#1} > $IEXEC_OUT/computed.json"#;
    let app = scene.app("arguments", script).await;
    let params = r#"{"iexec_args":"'one two' three"}"#;
    let task = scene.buy(Order { params, ..Order::of(app) }).await[0];
    scene.end(task).await;
    assert_eq!(scene.on_chain(task).await, (COMPLETED, Bytes::from_static(&[2, 7])), "{}", scene.pool.log());
}

async fn fails(scene: &Scene, script: &str, name: &str, cause: &str) -> Value {
    let app = scene.app(name, script).await;
    let task = scene.buy_one(app).await;
    let model = scene.end(task).await;
    assert_eq!(model["cause"], cause, "{model:#}\n{}", scene.pool.log());
    assert_eq!(scene.on_chain(task).await.0, ACTIVE, "not settled as a success");
    model
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_fails_is_not_paid_and_its_exit_code_is_told() {
    let scene = Scene::shared().await;
    let model = fails(&scene, "exit 3", "exits", "APP_COMPUTE_FAILED").await;
    assert!(model["message"].as_str().unwrap().contains('3'), "{model:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_without_a_result_is_not_paid() {
    let scene = Scene::shared().await;
    fails(&scene, "true", "forgets", "POST_COMPUTE_COMPUTED_FILE_NOT_FOUND").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn apps_that_take_all_they_can_get_are_held_and_others_go_on() {
    let scene = Scene::shared().await;
    // Each goes on to a good end, after it was refused what it wanted.
    for (name, greed) in [
        ("disk", "if dd if=/dev/zero of=/tmp/fill bs=1M count=4096 2>/dev/null; then exit 9; fi; rm -f /tmp/fill"),
        (
            "host",
            "if cat /etc/shadow 2>/dev/null; then exit 9; fi; if ls /.strongroom/relay 2>/dev/null; then exit 9; fi",
        ),
        ("root", "if echo x > /bin/new 2>/dev/null; then exit 9; fi"),
    ] {
        let app = scene.app(name, &format!("{greed}\n{GOOD}")).await;
        let task = scene.buy_one(app).await;
        let model = scene.end(task).await;
        assert_eq!(model["currentStatus"], "COMPLETED", "{name}: {model:#}\n{}", scene.pool.log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_dies_of_a_full_disk_is_not_paid() {
    let scene = Scene::shared().await;
    // Told apart from other deaths by its exit code: 28 is the number of "No space left on device".
    let fills = r#"
said=$(dd if=/dev/zero of=/tmp/fill bs=1M count=4096 2>&1) || case "$said" in
  *"No space left on device"*) exit 28 ;;
  *) exit 1 ;;
esac
"#;
    let model = fails(&scene, &format!("{fills}\n{GOOD}"), "full", "APP_COMPUTE_FAILED").await;
    assert!(model["message"].as_str().unwrap().contains("28"), "{model:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_forks_without_end_is_ended_at_its_deadline_and_holds_nobody_up() {
    let scene = Scene::shared().await;
    let category = scene.category(10).await;
    // The first process needs no other to go on, so that only the deadline ends it.
    let bomb = scene.app("bomb", "bomb() { bomb | bomb & }; bomb; while :; do :; done").await;
    let task = scene.buy(Order { category, ..Order::of(bomb) }).await[0];
    let app = scene.app("neighbour", GOOD).await;
    let neighbour = scene.buy_one(app).await;
    assert_eq!(scene.end(neighbour).await["currentStatus"], "COMPLETED", "{}", scene.pool.log());
    let model = scene.end(task).await;
    assert_eq!(model["cause"], "APP_COMPUTE_TIMEOUT", "{model:#}\n{}", scene.pool.log());
    assert!(
        [ACTIVE, FAILED].contains(&scene.on_chain(task).await.0),
        "never settled; claimed if its deadline has come"
    );
    assert_eq!(scene.times_on_chain(task).await[..3], [1, 0, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_cannot_be_had_costs_no_gas() {
    let scene = Scene::shared().await;
    let missing = scene.app_without_image("ghost").await;
    // One of the same name is there, which would run, and is not the one that is registered.
    let other = scene.app_of_another_image("changed", GOOD).await;
    for (name, app) in [("ghost", missing), ("changed", other)] {
        let task = scene.buy_one(app).await;
        let model = scene.end(task).await;
        assert_eq!(model["cause"], "APP_IMAGE_DOWNLOAD_FAILED", "{model:#}");
        let registered = hex::encode(App::named(name).checksum);
        assert!(model["message"].as_str().unwrap().contains(&registered), "{model:#}");
        assert_eq!(scene.on_chain(task).await.0, UNSET);
        assert_eq!(scene.times_on_chain(task).await, [0, 0, 0, 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_runs_for_ever_is_ended_and_its_task_claimed_for_the_requester() {
    let scene = Scene::new().await;
    let category = scene.category(10).await;
    let app = scene.app("endless", "while :; do :; done").await;
    let task = scene.buy(Order { category, ..Order::of(app) }).await[0];
    let model = scene.end(task).await;
    assert_eq!(model["cause"], "APP_COMPUTE_TIMEOUT", "{model:#}\n{}", scene.pool.log());
    scene.network.chain().unwrap().node.increase_time(Duration::from_secs(100)).await.unwrap();
    let claimed = |model: &Value| model["dateStatusList"].to_string().contains("FINAL_DEADLINE_REACHED");
    scene.until(task, claimed).await;
    scene.until(task, |model| model["currentStatus"] == "FAILED").await;
    assert_eq!(scene.on_chain(task).await.0, FAILED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_that_is_killed_while_an_enclave_runs_runs_it_again() {
    let mut scene = Scene::new().await;
    let app = scene.app("slow", &format!("sleep 4\n{GOOD}")).await;
    let task = scene.buy_one(app).await;
    scene.until(task, |model| model["replicates"][0]["currentStatus"] == "COMPUTING").await;
    tokio::task::block_in_place(|| {
        scene.pool.kill();
        scene.pool.restart().unwrap();
    });
    let model = scene.end(task).await;
    assert_eq!(model["currentStatus"], "COMPLETED", "{model:#}\n{}", scene.pool.log());
    assert_eq!(scene.on_chain(task).await.0, COMPLETED);
    let starts = model["replicates"][0]["statusUpdateList"].to_string().matches("COMPUTING").count();
    assert_eq!(starts, 2, "{model:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_down_is_waited_for() {
    let mut scene = Scene::new().await;
    let app = scene.app("good", GOOD).await;
    scene.sms.kill();
    let task = scene.buy_one(app).await;
    tokio::task::block_in_place(|| {
        let noticed = |event: &Value| event["trouble"].as_str().filter(|text| text.contains("no answer")).map(|_| ());
        scene.pool.wait_for_log(PATIENCE, noticed).unwrap();
        scene.sms.restart().unwrap();
    });
    let model = scene.end(task).await;
    assert_eq!(model["currentStatus"], "COMPLETED", "{model:#}\n{}", scene.pool.log());
}
