//! Tasks that go well, and tasks that do not.

use alloy_primitives::Bytes;

use crate::scene::{ACTIVE, COMPLETED, Scene};

const CALLBACK_APP: &str = r#"echo "hello from the app"
echo '{"callback-data":"0x0102"}' > $IEXEC_OUT/computed.json"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_bought_task_runs_in_an_enclave_and_is_settled_on_chain() {
    let scene = Scene::new().await;
    let app = scene.app("good", CALLBACK_APP).await;
    let [task] = scene.buy(app, 1, "{}").await[..] else { unreachable!("one task was bought") };
    let model = scene.until(task, &["COMPLETED", "FAILED"]).await;
    assert_eq!(model["currentStatus"], "COMPLETED", "{model:#}\n{}", scene.pool.log());
    assert_eq!(scene.on_chain(task).await, (COMPLETED, Bytes::from_static(&[1, 2])));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_fails_is_not_paid() {
    let scene = Scene::new().await;
    let app = scene.app("bad", "exit 3").await;
    let [task] = scene.buy(app, 1, "{}").await[..] else { unreachable!("one task was bought") };
    let model = scene.until(task, &["COMPLETED", "FAILED"]).await;
    assert_eq!(model["cause"], "APP_COMPUTE_FAILED", "{model:#}");
    assert_eq!(scene.on_chain(task).await.0, ACTIVE);
}
