//! Tasks whose enclaves are containers, where Podman is installed.

use toml::{Table, Value};

use crate::podman::Podman;
use crate::scene::{Order, Scene};
use crate::watching::until_state;

const ENDS_WELL: &str = r#"printf '{"callback-data":"0x01"}' > "$IEXEC_OUT/computed.json""#;

#[tokio::test(flavor = "multi_thread")]
async fn a_task_runs_in_a_container_and_one_that_a_killed_pool_left_is_replaced() {
    let Some(podman) = Podman::start() else { return };
    let mut scene = Scene::new().await;
    let socket = podman.socket().display().to_string();
    scene.change_pool(|settings| {
        let runtime = settings["runtime"].as_table_mut().unwrap();
        runtime.insert("kind".to_owned(), "container".into());
        let container = Table::from_iter([("socket".to_owned(), Value::from(socket))]);
        runtime.insert("container".to_owned(), container.into());
    });
    let quick = scene.app("quick", ENDS_WELL).await;
    let slow = scene.app("slow", &format!("sleep 3\n{ENDS_WELL}")).await;
    let task = scene.buy_one(quick).await;
    scene.completes_once(task).await;

    let task = scene.buy(Order::of(slow)).await[0];
    until_state(&scene.pool, task, "running");
    scene.pool.kill();
    tokio::task::block_in_place(|| scene.pool.restart()).unwrap();
    scene.completes_once(task).await;
    assert_eq!(podman.containers(), 0);
}
