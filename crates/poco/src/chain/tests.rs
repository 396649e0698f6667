use std::num::NonZeroUsize;
use std::time::Duration;

use serde_json::json;
use strongroom_protocol::SigningKey;

use super::*;
use crate::error::Fault;
use crate::fake_node::{CHAIN_ID, FakeNode, HUB, Misbehave, World};

const APP: Address = Address::repeat_byte(0xa1);
const OTHER_APP: Address = Address::repeat_byte(0xa2);
const CHALLENGE: B256 = B256::repeat_byte(0x5a);

fn key(byte: u8) -> SigningKey {
    SigningKey::from_bytes(&[byte; 32]).unwrap()
}

fn world() -> World {
    World { height: 10, owners: [(APP, key(1).address())].into(), ..World::default() }
}

fn config(nodes: &[&FakeNode]) -> ChainConfig {
    ChainConfig {
        endpoints: nodes.iter().map(|node| node.url.clone()).collect(),
        retries: 0,
        head_refresh: Duration::from_hours(1),
        ..ChainConfig::new(nodes[0].url.clone(), CHAIN_ID, HUB)
    }
}

fn chain(nodes: &[&FakeNode]) -> Chain {
    Chain::new(config(nodes)).unwrap()
}

async fn owner(chain: &Chain) -> Result<Option<Address>, ChainError> {
    chain.asset_owner(AssetKind::App, APP).await
}

fn fault(error: &ChainError) -> &Fault {
    match error {
        ChainError::Unanswered { last } => &last.fault,
        other => panic!("not a fault of an endpoint: {other:?}"),
    }
}

#[tokio::test]
async fn one_read_finds_the_owner_and_a_second_comes_from_the_cache() {
    let node = FakeNode::start(world()).await;
    let chain = chain(&[&node]);
    for _ in 0..2 {
        assert_eq!(owner(&chain).await.unwrap(), Some(key(1).address()));
    }
    assert_eq!(node.with(|world| world.asked.clone()), ["eth_chainId", "eth_getBlockByNumber", "eth_call"]);
}

#[tokio::test]
async fn a_burst_for_one_asset_costs_one_read() {
    let node = FakeNode::start(world()).await;
    let chain = chain(&[&node]);
    let burst: Vec<_> = (0..200)
        .map(|_| {
            let chain = chain.clone();
            tokio::spawn(async move { owner(&chain).await.unwrap() })
        })
        .collect();
    for one in burst {
        assert_eq!(one.await.unwrap(), Some(key(1).address()));
    }
    assert_eq!(node.with(|world| (world.count("eth_getBlockByNumber"), world.count("eth_call"))), (1, 1));
}

#[tokio::test]
async fn an_owner_is_read_again_when_there_is_a_new_block() {
    let node = FakeNode::start(world()).await;
    let chain = chain(&[&node]);
    assert_eq!(owner(&chain).await.unwrap(), Some(key(1).address()));
    node.with(|world| {
        world.height += 1;
        world.owners.insert(APP, key(2).address());
    });
    chain.head_since(Instant::now()).await.unwrap();
    assert_eq!(owner(&chain).await.unwrap(), Some(key(2).address()));
}

#[tokio::test]
async fn absence_is_only_reported_at_the_newest_block() {
    let node = FakeNode::start(world()).await;
    let chain = chain(&[&node]);
    assert_eq!(owner(&chain).await.unwrap(), Some(key(1).address()));
    node.with(|world| {
        world.height += 1;
        world.owners.insert(OTHER_APP, key(2).address());
    });
    assert_eq!(chain.asset_owner(AssetKind::App, OTHER_APP).await.unwrap(), Some(key(2).address()));
    let unknown = Address::repeat_byte(0xa3);
    assert_eq!(chain.asset_owner(AssetKind::App, unknown).await.unwrap(), None);
}

#[tokio::test]
async fn a_new_owner_is_believed_at_once_and_the_old_one_only_until_the_head_is_refreshed() {
    let node = FakeNode::start(world()).await;
    let chain = chain(&[&node]);
    let signed =
        async |by: u8| chain.owner_signed(AssetKind::App, APP, CHALLENGE, &key(by).sign(CHALLENGE)).await.unwrap();
    assert!(signed(1).await);
    assert!(!signed(2).await);
    node.with(|world| {
        world.height += 1;
        world.owners.insert(APP, key(2).address());
    });
    assert!(signed(2).await);
    assert!(!signed(1).await);
}

#[tokio::test]
async fn a_denial_at_an_unchanged_block_costs_no_second_read() {
    let node = FakeNode::start(world()).await;
    let chain = chain(&[&node]);
    assert_eq!(owner(&chain).await.unwrap(), Some(key(1).address()));
    for _ in 0..3 {
        let signature = key(9).sign(CHALLENGE);
        assert!(!chain.owner_signed(AssetKind::App, APP, CHALLENGE, &signature).await.unwrap());
    }
    assert_eq!(node.with(|world| world.count("eth_call")), 1);
}

#[tokio::test]
async fn every_misbehaviour_of_a_node_is_trouble_and_never_absence() {
    type IsExpected = fn(&Fault) -> bool;
    let cases: Vec<(Misbehave, IsExpected)> = vec![
        (Misbehave::Hang, |fault| matches!(fault, Fault::TimedOut { .. })),
        (Misbehave::Disconnect, |fault| matches!(fault, Fault::Connection(_))),
        (Misbehave::CutBody, |fault| matches!(fault, Fault::Connection(_))),
        (Misbehave::Http(500, "oops".into()), |fault| matches!(fault, Fault::Status(500))),
        (Misbehave::Http(429, "{}".into()), |fault| matches!(fault, Fault::Status(429))),
        (Misbehave::Http(302, String::new()), |fault| matches!(fault, Fault::Status(302))),
        (Misbehave::Http(200, "<html>".into()), |fault| matches!(fault, Fault::NotJson(_))),
        (Misbehave::Http(200, String::new()), |fault| matches!(fault, Fault::NotJson(_))),
        (Misbehave::Http(200, "{}".into()), |fault| matches!(fault, Fault::NotRpc)),
        (Misbehave::Http(200, "[]".into()), |fault| matches!(fault, Fault::NotRpc)),
        (Misbehave::Http(200, r#"{"jsonrpc":"2.0","id":1}"#.into()), |fault| matches!(fault, Fault::NotRpc)),
        (Misbehave::Http(200, " ".repeat(5 << 20)), |fault| matches!(fault, Fault::TooLarge { .. })),
        (Misbehave::OtherId, |fault| matches!(fault, Fault::NotRpc)),
        (Misbehave::Refuse(-32000, "header not found"), |fault| matches!(fault, Fault::Refused { code: -32000, .. })),
        (Misbehave::Refuse(3, "execution reverted"), |fault| matches!(fault, Fault::Refused { code: 3, .. })),
        (Misbehave::Result(json!(null)), |fault| matches!(fault, Fault::Unreadable { .. })),
        (Misbehave::Result(json!("0xzz")), |fault| matches!(fault, Fault::Unreadable { .. })),
        (Misbehave::Result(json!("0x")), |fault| matches!(fault, Fault::NotAReading(_))),
    ];
    for (misbehave, expected) in cases {
        let node = FakeNode::start(world()).await;
        let chain = Chain::new(ChainConfig { timeout: Duration::from_secs(2), ..config(&[&node]) }).unwrap();
        node.with(|world| world.faults = vec![("eth_call", misbehave.clone())]);
        let error = owner(&chain).await.unwrap_err();
        assert!(expected(fault(&error)), "{misbehave:?}: {error:?}");
        // The node is well again: what failed was not remembered.
        assert_eq!(owner(&chain).await.unwrap(), Some(key(1).address()), "{misbehave:?}");
    }
}

#[tokio::test]
async fn a_question_is_asked_again_as_often_as_configured() {
    let node = FakeNode::start(World { always: Some(Misbehave::Disconnect), ..world() }).await;
    let chain = Chain::new(ChainConfig { retries: 2, ..config(&[&node]) }).unwrap();
    owner(&chain).await.unwrap_err();
    assert_eq!(node.with(|world| world.asked.len()), 3);
    assert_eq!(chain.endpoint_health()[0].failures_in_a_row, 3);
    node.with(|world| {
        world.always = None;
        world.faults = vec![("", Misbehave::Disconnect), ("", Misbehave::Http(503, String::new()))];
    });
    assert_eq!(owner(&chain).await.unwrap(), Some(key(1).address()));
    assert_eq!(chain.endpoint_health()[0].failures_in_a_row, 0);
}

#[tokio::test]
async fn another_endpoint_takes_over_and_the_failed_one_comes_last() {
    let down = FakeNode::start(World { always: Some(Misbehave::Disconnect), ..world() }).await;
    let up = FakeNode::start(world()).await;
    let chain = Chain::new(ChainConfig { retries: 1, ..config(&[&down, &up]) }).unwrap();
    assert_eq!(owner(&chain).await.unwrap(), Some(key(1).address()));
    assert_eq!(chain.asset_owner(AssetKind::App, OTHER_APP).await.unwrap(), None);
    assert_eq!(down.with(|world| world.asked.len()), 1, "asked once, then passed over");
    let health: Vec<_> = chain.endpoint_health().into_iter().map(|health| health.failures_in_a_row).collect();
    assert_eq!(health, [1, 0]);
}

#[tokio::test]
async fn a_block_that_a_reorganisation_removed_is_replaced_by_the_newest() {
    let node = FakeNode::start(world()).await;
    let chain = chain(&[&node]);
    assert_eq!(owner(&chain).await.unwrap(), Some(key(1).address()));
    node.with(|world| {
        world.unknown_blocks.push(world.block_hash(world.height));
        world.fork = 1;
        world.owners.insert(OTHER_APP, key(2).address());
    });
    assert_eq!(chain.asset_owner(AssetKind::App, OTHER_APP).await.unwrap(), Some(key(2).address()));
}

#[tokio::test]
async fn heights_never_go_back() {
    let node = FakeNode::start(world()).await;
    let chain = chain(&[&node]);
    owner(&chain).await.unwrap();
    node.with(|world| world.height = 9);
    let error = chain.head_since(Instant::now()).await.unwrap_err();
    assert!(matches!(fault(&error), Fault::Behind { found: 9, known: 10 }), "{error:?}");
    node.with(|world| world.height = 10);
    assert_eq!(chain.head_since(Instant::now()).await.unwrap().block.number, 10);
}

#[tokio::test]
async fn an_endpoint_that_lags_is_replaced_by_one_that_does_not() {
    let lagging = FakeNode::start(world()).await;
    let good = FakeNode::start(world()).await;
    let chain = Chain::new(ChainConfig { retries: 1, ..config(&[&lagging, &good]) }).unwrap();
    owner(&chain).await.unwrap();
    lagging.with(|world| world.height = 3);
    good.with(|world| world.height = 12);
    assert_eq!(chain.head_since(Instant::now()).await.unwrap().block.number, 12);
}

#[tokio::test]
async fn an_endpoint_that_moves_to_another_chain_is_noticed_in_every_read() {
    let node = FakeNode::start(world()).await;
    let chain = chain(&[&node]);
    assert_eq!(owner(&chain).await.unwrap(), Some(key(1).address()));
    node.with(|world| world.chain_id = Some(1));
    let error = chain.asset_owner(AssetKind::App, OTHER_APP).await.unwrap_err();
    assert!(matches!(fault(&error), Fault::OtherChain { expected: CHAIN_ID, found: 1 }), "{error:?}");
}

#[tokio::test]
async fn an_endpoint_of_another_chain_cannot_set_the_height() {
    let other = FakeNode::start(World { chain_id: Some(1), height: 1_000_000, ..world() }).await;
    let good = FakeNode::start(world()).await;
    let chain = Chain::new(ChainConfig { retries: 1, ..config(&[&other, &good]) }).unwrap();
    assert_eq!(owner(&chain).await.unwrap(), Some(key(1).address()));
    assert_eq!(other.with(|world| world.asked.clone()), ["eth_chainId"]);
}

#[tokio::test]
async fn the_check_names_the_endpoint_that_is_on_another_chain() {
    let good = FakeNode::start(world()).await;
    let wrong = FakeNode::start(World { chain_id: Some(1), ..world() }).await;
    let chain = chain(&[&good, &wrong]);
    match chain.check().await.unwrap_err() {
        error @ CheckError::WrongChain { expected: CHAIN_ID, found: 1, .. } => {
            assert!(!error.is_retryable());
            assert!(error.to_string().contains(&wrong.url.port().unwrap().to_string()), "{error}");
            assert!(!error.to_string().contains("key-of-provider"), "{error}");
        }
        other => panic!("{other:?}"),
    }
    assert!(!chain.is_ready());
}

#[tokio::test]
async fn a_check_while_the_node_is_down_can_be_tried_again() {
    let node = FakeNode::start(World { always: Some(Misbehave::Disconnect), ..world() }).await;
    let error = chain(&[&node]).check().await.unwrap_err();
    assert!(error.is_retryable(), "{error:?}");
}

#[tokio::test]
async fn a_node_without_state_overrides_is_recognised() {
    let node = FakeNode::start(World { no_state_override: true, ..world() }).await;
    let error = chain(&[&node]).check().await.unwrap_err();
    let CheckError::Unreachable(error) = &error else { panic!("{error:?}") };
    assert!(matches!(fault(error), Fault::NotAReading(_)), "{error:?}");
}

#[tokio::test]
async fn errors_show_no_key_of_a_provider() {
    let node = FakeNode::start(World { always: Some(Misbehave::Disconnect), ..world() }).await;
    let chain = chain(&[&node]);
    let error = owner(&chain).await.unwrap_err();
    let shown = format!("{error} {error:?} {chain:?} {:?}", chain.endpoint_health());
    assert!(!shown.contains("key-of-provider"), "{shown}");
}

#[tokio::test]
async fn the_watcher_finds_new_blocks_by_itself() {
    let node = FakeNode::start(world()).await;
    let chain = Chain::new(ChainConfig { head_refresh: Duration::from_millis(5), ..config(&[&node]) }).unwrap();
    let watcher = tokio::spawn({
        let chain = chain.clone();
        async move { chain.watch_head().await }
    });
    for height in [11, 12] {
        node.with(|world| world.height = height);
        while chain.head_since(Instant::now().checked_sub(Duration::from_secs(1)).unwrap()).await.unwrap().block.number
            < height
        {
            tokio::task::yield_now().await;
        }
    }
    watcher.abort();
}

async fn quorum_of_two(nodes: &[&FakeNode]) -> Result<Option<Address>, ChainError> {
    let quorum = NonZeroUsize::new(2).unwrap();
    owner(&Chain::new(ChainConfig { quorum, ..config(nodes) }).unwrap()).await
}

#[tokio::test]
async fn a_quorum_outvotes_one_endpoint_that_lies() {
    let (a, b) = (FakeNode::start(world()).await, FakeNode::start(world()).await);
    let liar = FakeNode::start(World { owners: [(APP, key(9).address())].into(), ..world() }).await;
    assert_eq!(quorum_of_two(&[&liar, &a, &b]).await.unwrap(), Some(key(1).address()));
    let error = quorum_of_two(&[&liar, &a]).await.unwrap_err();
    assert!(matches!(error, ChainError::Disagreement), "{error:?}");
}

#[tokio::test]
async fn a_quorum_uses_the_newest_block_that_enough_endpoints_have() {
    let ahead = FakeNode::start(World { height: 11, ..world() }).await;
    let behind = FakeNode::start(world()).await;
    assert_eq!(quorum_of_two(&[&ahead, &behind]).await.unwrap(), Some(key(1).address()));
}

#[tokio::test]
async fn endpoints_on_different_forks_are_no_quorum() {
    let a = FakeNode::start(world()).await;
    let b = FakeNode::start(World { fork: 1, ..world() }).await;
    let error = quorum_of_two(&[&a, &b]).await.unwrap_err();
    assert!(matches!(error, ChainError::Disagreement), "{error:?}");
}

#[tokio::test]
async fn a_quorum_needs_enough_endpoints_that_answer() {
    let a = FakeNode::start(world()).await;
    let down = FakeNode::start(World { always: Some(Misbehave::Http(500, String::new())), ..world() }).await;
    let error = quorum_of_two(&[&a, &down]).await.unwrap_err();
    assert!(matches!(fault(&error), Fault::Status(500)), "{error:?}");
    let b = FakeNode::start(world()).await;
    assert_eq!(quorum_of_two(&[&a, &down, &b]).await.unwrap(), Some(key(1).address()));
}

#[tokio::test]
async fn endpoints_at_different_heights_are_no_disagreement_while_one_is_down() {
    let (a, b) = (FakeNode::start(world()).await, FakeNode::start(World { height: 11, ..world() }).await);
    let down = FakeNode::start(World { always: Some(Misbehave::Disconnect), ..world() }).await;
    let quorum = NonZeroUsize::new(3).unwrap();
    let chain = Chain::new(ChainConfig { quorum, ..config(&[&a, &b, &down]) }).unwrap();
    let error = owner(&chain).await.unwrap_err();
    assert!(matches!(fault(&error), Fault::Connection(_)), "{error:?}");
}
