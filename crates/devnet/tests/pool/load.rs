//! Figures, not judgements: how many small tasks a pool does in a minute. `cargo test --release -p strongroom-devnet --test pool -- --ignored
//! --nocapture load` prints them.

use std::time::Instant;

use crate::scene::{Order, Scene};

const TASKS: u16 = 200;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "prints figures and asserts none; for people"]
async fn load_of_two_hundred_small_tasks_in_one_deal() {
    let scene = Scene::new().await;
    let app = scene.app("small", r#"echo '{"callback-data":"0x01"}' > $IEXEC_OUT/computed.json"#).await;
    let begun = Instant::now();
    let tasks = scene.buy(Order { tasks: u64::from(TASKS), ..Order::of(app) }).await;
    for task in tasks {
        let model = scene.end(task).await;
        assert_eq!(model["currentStatus"], "COMPLETED", "{model:#}");
    }
    let seconds = begun.elapsed().as_secs_f64();
    let status = std::fs::read_to_string(format!("/proc/{}/status", scene.pool.process_id())).unwrap();
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    let tasks = f64::from(TASKS);
    println!(
        "{TASKS} tasks in {seconds:.1} s: {:.0} per minute, {:.3} s each; pool {peak}",
        tasks / seconds * 60.0,
        seconds / tasks
    );
}
