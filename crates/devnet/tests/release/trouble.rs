//! What could not be found out: the client is told to come back, nothing is released and nothing recorded.

use strongroom_client::{ReleaseError, ServiceError};

use crate::ground::{Bought, Ground};
use crate::node_in_between::{Fate, NodeInBetween};
use crate::scene::{Held, Scene, Setting};

/// A scene that reads the chain through these nodes, all honest at first, with a session.
async fn through(nodes: &[&NodeInBetween]) -> (Scene, Bought, Held) {
    let endpoints: Vec<_> = nodes.iter().map(|node| node.url.clone()).collect();
    let quorum = endpoints.len();
    let scene = Scene::with(Setting { endpoints, quorum, ..Setting::default() }).await;
    scene.store_secrets().await;
    let bought = scene.ground.buy(&scene.ground.wish()).await;
    let held = scene.session(&bought).await.unwrap();
    (scene, bought, held)
}

async fn assert_trouble_until_honest(scene: &Scene, bought: &Bought, held: &Held, node: &NodeInBetween, fate: Fate) {
    node.set(fate);
    let enclave = Scene::enclave(bought.image);
    match scene.release(held, &enclave).await {
        Err(ReleaseError::Service(ServiceError::Trouble { status: 503, detail, retry_after: Some(_) })) => {
            assert!(detail.contains("the chain could not be read"), "{detail}");
        }
        other => panic!("{fate:?}: {other:?}"),
    }
    assert!(scene.outcomes(bought).await.is_empty(), "{fate:?}");
    node.set(Fate::Honest);
    scene.release(held, &enclave).await.unwrap();
    assert_eq!(scene.outcomes(bought).await, ["granted"], "{fate:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_down() {
    let ground = Ground::shared().await;
    let node = NodeInBetween::start(ground.devnet.rpc_url()).await;
    let (scene, bought, held) = through(&[&node]).await;
    assert_trouble_until_honest(&scene, &bought, &held, &node, Fate::Down).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_disagree() {
    let ground = Ground::shared().await;
    let honest = NodeInBetween::start(ground.devnet.rpc_url()).await;
    let liar = NodeInBetween::start(ground.devnet.rpc_url()).await;
    let (scene, bought, held) = through(&[&honest, &liar]).await;
    assert_trouble_until_honest(&scene, &bought, &held, &liar, Fate::Lies).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_on_another_chain() {
    let ground = Ground::shared().await;
    let node = NodeInBetween::start(ground.devnet.rpc_url()).await;
    let (scene, bought, held) = through(&[&node]).await;
    assert_trouble_until_honest(&scene, &bought, &held, &node, Fate::OtherChain).await;
}
