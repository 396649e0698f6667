//! What we read, compared with the published PoCo contracts on a chain of our own.

#![allow(clippy::unwrap_used, reason = "the helpers of tests may unwrap like the tests")]

use std::time::Duration;

use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::{Address, B256, Bytes, U256};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use strongroom_devnet::market::{Offered, Purchase, tag};
use strongroom_devnet::resources::{App, Dataset};
use strongroom_devnet::tasks::Work;
use strongroom_devnet::{Devnet, Options, development_accounts};
use strongroom_poco::{AssetKind, Chain, ChainConfig, ChainError, CheckError};
use strongroom_protocol::signature::eip191_digest;
use strongroom_protocol::snapshot::{DealAsset, TaskSnapshot, TaskStatus};
use strongroom_protocol::{SigningKey, Tag, TaskId, UnixSeconds};

const CHALLENGE: B256 = B256::repeat_byte(0x5a);

/// A network, and our reader on it. The reader asks for the newest block once an hour, so that what it knows about newer
/// blocks it has found out when it mattered.
struct Network {
    devnet: Devnet,
    market: strongroom_devnet::Chain,
    chain: Chain,
}

async fn network() -> Network {
    let devnet = Devnet::start(Options::default()).await.unwrap();
    let market = devnet.chain().unwrap();
    let chain = Chain::new(config(&devnet)).unwrap();
    Network { devnet, market, chain }
}

fn config(devnet: &Devnet) -> ChainConfig {
    let deployment = devnet.deployment();
    ChainConfig {
        head_refresh: Duration::from_hours(1),
        ..ChainConfig::new(devnet.rpc_url().parse().unwrap(), deployment.chain_id, deployment.hub)
    }
}

fn account(index: usize) -> PrivateKeySigner {
    development_accounts()[index].signer()
}

/// The same account as [`account`], as the key that signs for the SMS.
fn key(index: usize) -> SigningKey {
    SigningKey::from_bytes(&development_accounts()[index].well_known_key()).unwrap()
}

impl Network {
    async fn owner(&self, kind: AssetKind, asset: Address) -> Option<Address> {
        self.chain.asset_owner(kind, asset).await.unwrap()
    }

    async fn signed(&self, app: Address, by: &SigningKey) -> bool {
        self.chain.owner_signed(AssetKind::App, app, CHALLENGE, &by.sign(CHALLENGE)).await.unwrap()
    }

    async fn snapshot(&self, task: B256) -> Option<TaskSnapshot> {
        self.chain.snapshot(TaskId::from(task), UnixSeconds(0)).await.unwrap()
    }

    /// An app of account 1 in a workerpool of account 2, bought by account 3; gives both addresses and the deal.
    async fn deal(&self, name: &str, tag: B256) -> (Address, Address, B256) {
        let (developer, pool_owner, requester) = (account(1), account(2), account(3));
        let app = self.market.create_app(&developer, &App::named(name)).await.unwrap();
        let workerpool = self.market.create_workerpool(&pool_owner, name).await.unwrap();
        let app_order = Offered { address: app, owner: &developer };
        let workerpool_order = Offered { address: workerpool, owner: &pool_owner };
        let deal = self.market.buy(&Purchase::new(app_order, workerpool_order, &requester, tag)).await.unwrap();
        (app, workerpool, deal)
    }
}

#[tokio::test]
async fn the_hub_is_recognised_and_nothing_else_is() {
    let Network { devnet, market, chain } = network().await;
    assert!(!chain.is_ready());
    chain.check().await.unwrap();
    assert!(chain.is_ready());

    let deployment = *devnet.deployment();
    let app = market.create_app(&account(1), &App::named("not-a-hub")).await.unwrap();
    for (wrong, reason) in [
        (Address::repeat_byte(0x11), "no contract"),
        (account(1).address(), "no contract"),
        (deployment.rlc, "no signing domain"),
        (deployment.app_registry, "no signing domain"),
        (app, "no signing domain"),
    ] {
        let chain = Chain::new(ChainConfig { hub: wrong, ..config(&devnet) }).unwrap();
        let error = chain.check().await.unwrap_err();
        assert!(matches!(error, CheckError::WrongHub { hub, .. } if hub == wrong), "{error:?}");
        assert!(error.to_string().contains(reason), "{error}");
        assert!(!chain.is_ready());
        assert!(chain.asset_owner(AssetKind::App, app).await.is_err(), "a wrong hub knows nobody");
    }

    let chain = Chain::new(ChainConfig { chain_id: 134, ..config(&devnet) }).unwrap();
    let error = chain.check().await.unwrap_err();
    assert!(matches!(error, CheckError::WrongChain { expected: 134, found: 65_535, .. }), "{error:?}");
}

#[tokio::test]
async fn resources_are_known_in_the_registry_of_their_kind_only() {
    let network = network().await;
    let market = &network.market;
    let app = market.create_app(&account(1), &App::named("one")).await.unwrap();
    let dataset = market.create_dataset(&account(2), &Dataset::named("one")).await.unwrap();
    let workerpool = market.create_workerpool(&account(3), "one").await.unwrap();
    for (kind, asset, owner) in [
        (AssetKind::App, app, account(1)),
        (AssetKind::Dataset, dataset, account(2)),
        (AssetKind::Workerpool, workerpool, account(3)),
    ] {
        for asked in AssetKind::ALL {
            let expected = (asked == kind).then(|| owner.address());
            assert_eq!(network.owner(asked, asset).await, expected, "{asset} of {kind:?} as {asked:?}");
        }
    }
    let deployment = network.devnet.deployment();
    // These have an `owner()` of their own, which is what the old service asked for.
    for stranger in [deployment.hub, deployment.rlc, account(1).address(), Address::ZERO, Address::repeat_byte(0xff)] {
        for kind in AssetKind::ALL {
            assert_eq!(network.owner(kind, stranger).await, None, "{stranger}");
        }
    }
}

#[tokio::test]
async fn ownership_moves_with_the_token_and_a_resource_is_known_at_once() {
    let network = network().await;
    let (market, registry) = (&network.market, network.devnet.deployment().app_registry);
    let first = market.create_app(&account(1), &App::named("first")).await.unwrap();
    assert!(network.signed(first, &key(1)).await);
    assert!(!network.signed(first, &key(2)).await);

    let second = market.create_app(&account(2), &App::named("second")).await.unwrap();
    assert_eq!(network.owner(AssetKind::App, second).await, Some(account(2).address()));

    market.transfer(&account(1), registry, first, account(3).address()).await.unwrap();
    assert!(network.signed(first, &key(3)).await, "the new owner need not wait");
    assert!(!network.signed(first, &key(1)).await);
    assert_eq!(network.owner(AssetKind::App, first).await, Some(market.owner_of(registry, first).await.unwrap()));
}

/// Runtime code that answers `isValidSignature` with the magic value if the first argument is `digest`, and else with zero.
fn accepts(digest: B256) -> String {
    // calldataload(4) == digest, times the magic value, returned
    format!("600435{}{digest:x}14631626ba7e60e01b0260005260206000f3", "7f")
}

#[tokio::test]
async fn an_owner_that_is_a_contract_signs_as_the_contract_says() {
    let network = network().await;
    let market = &network.market;
    let registry = network.devnet.deployment().app_registry;
    let wallet = Address::repeat_byte(0x77);
    let app = market.create_app(&account(1), &App::named("of-a-contract")).await.unwrap();
    market.transfer(&account(1), registry, app, wallet).await.unwrap();
    for (what, code, accepted) in [
        ("no code", String::new(), false),
        ("accepts this digest", accepts(eip191_digest(CHALLENGE)), true),
        ("accepts the bare challenge", accepts(CHALLENGE), false),
        ("reverts", "60006000fd".to_owned(), false),
        ("reverts with the magic value", "631626ba7e60e01b60005260206000fd".to_owned(), false),
        ("invalid opcode", "fe".to_owned(), false),
        ("burns all gas", "5b600056".to_owned(), false),
        ("answers nothing", "00".to_owned(), false),
        ("answers one", "600160005260206000f3".to_owned(), false),
        ("answers four bytes", "631626ba7e60e01b60005260046000f3".to_owned(), false),
        ("answers a megabyte that begins well", "631626ba7e60e01b600052621000006000f3".to_owned(), true),
        ("tries to change state", "600160005500".to_owned(), false),
    ] {
        let set: serde_json::Value = market.node.request("anvil_setCode", (wallet, format!("0x{code}"))).await.unwrap();
        assert!(set.is_null());
        let _: serde_json::Value = market.node.request("evm_mine", ()).await.unwrap();
        network.chain.check().await.unwrap(); // asks for the newest block
        assert_eq!(network.signed(app, &key(4)).await, accepted, "{what}");
    }
    // The registry says that the app belongs to the wallet, so a plain signature by the last key owner is worth nothing.
    assert!(!network.signed(app, &key(1)).await);
}

#[tokio::test]
async fn a_snapshot_follows_the_task_through_its_life() {
    let network = network().await;
    let market = &network.market;
    let (app, workerpool, deal) = network.deal("life", tag::TDX).await;
    let task = strongroom_devnet::tasks::task_id(deal, 0);
    assert_eq!(network.snapshot(task).await, None, "not initialised");
    assert_eq!(network.snapshot(B256::repeat_byte(0x99)).await, None, "never heard of");

    market.initialize(&account(4), deal, 0).await.unwrap();
    let snapshot = network.snapshot(task).await.expect("known as soon as it is initialised");
    let (raw_task, raw_deal) = (market.task(task).await.unwrap(), market.deal(deal).await.unwrap());
    assert_eq!(snapshot.task.status, TaskStatus::Active);
    assert_eq!(snapshot.task.id.to_string(), task.to_string());
    assert_eq!(snapshot.task.deal.to_string(), deal.to_string());
    assert_eq!(U256::from(snapshot.task.contribution_deadline.0), raw_task.contributionDeadline);
    assert_eq!(U256::from(snapshot.task.final_deadline.0), raw_task.finalDeadline);
    assert_eq!(U256::from(snapshot.deal.start_time.0), raw_deal.startTime);
    assert_eq!(snapshot.deal.tag, Tag(tag::TDX));
    assert_eq!(snapshot.deal.app, DealAsset { address: app, owner: account(1).address(), price: U256::ZERO });
    assert_eq!(snapshot.deal.workerpool.address, workerpool);
    assert_eq!(snapshot.deal.requester, account(3).address());
    assert_eq!((snapshot.deal.dataset, snapshot.dataset), (None, None));
    assert_eq!(snapshot.category_seconds, 300);
    assert_eq!(snapshot.app.multiaddr, b"registry.example/life:1");
    assert_eq!(snapshot.app.checksum, alloy_primitives::keccak256("life"));
    assert!(snapshot.app.mrenclave.is_empty());

    let registry = network.devnet.deployment().app_registry;
    market.transfer(&account(1), registry, app, account(5).address()).await.unwrap();
    network.chain.check().await.unwrap(); // asks for the newest block
    let snapshot = network.snapshot(task).await.unwrap();
    assert_eq!(snapshot.app.owner, account(5).address(), "who owns it now");
    assert_eq!(snapshot.deal.app.owner, account(1).address(), "who sold it");

    let enclave = PrivateKeySigner::from_bytes(&B256::repeat_byte(4)).unwrap();
    let work = Work {
        task,
        worker: &account(4),
        scheduler: &account(2),
        enclave: Some(&enclave),
        digest: B256::repeat_byte(0x33),
    };
    market.contribute_and_finalize(&work, Bytes::from_static(b"{}"), Bytes::new()).await.unwrap();
    network.chain.check().await.unwrap();
    assert_eq!(network.snapshot(task).await.unwrap().task.status, TaskStatus::Completed);
}

#[tokio::test]
async fn a_snapshot_is_refused_when_the_newest_block_is_too_old() {
    let network = network().await;
    let (_, _, deal) = network.deal("age", tag::NONE).await;
    let task = TaskId::from(network.market.initialize(&account(4), deal, 0).await.unwrap());
    let limited = ChainConfig { max_block_age: Some(Duration::from_mins(1)), ..config(&network.devnet) };
    let chain = Chain::new(limited).unwrap();
    let at = network.chain.snapshot(task, UnixSeconds(0)).await.unwrap().unwrap().block.time;
    assert!(chain.snapshot(task, UnixSeconds(at.0 + 60)).await.unwrap().is_some());
    let error = chain.snapshot(task, UnixSeconds(at.0 + 61)).await.unwrap_err();
    assert!(matches!(error, ChainError::StaleHead { .. }), "{error:?}");
    // With a new block it passes, without waiting for the next refresh.
    network.market.node.increase_time(Duration::from_secs(61)).await.unwrap();
    assert!(chain.snapshot(task, UnixSeconds(at.0 + 61)).await.unwrap().is_some());
}

/// Everything about a purchase that its parties choose freely.
#[derive(Clone, Debug)]
struct Terms {
    app_multiaddr: Vec<u8>,
    app_checksum: [u8; 32],
    mrenclave: String,
    dataset: Option<(Vec<u8>, [u8; 32])>,
    params: String,
    category: u64,
    volume: u64,
    tag_low: u8,
    callback: Option<[u8; 20]>,
    index_modulo_volume: u64,
}

fn terms() -> impl Strategy<Value = Terms> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..100);
    let text = || "\\PC{0,100}";
    (
        (bytes(), any::<[u8; 32]>(), text(), proptest::option::of((bytes(), any::<[u8; 32]>()))),
        (text(), 0..5_u64, 1..1_000_u64, any::<u8>(), proptest::option::of(any::<[u8; 20]>()), any::<u64>()),
    )
        .prop_map(|((app_multiaddr, app_checksum, mrenclave, dataset), rest)| {
            let (params, category, volume, tag_low, callback, index_modulo_volume) = rest;
            Terms {
                app_multiaddr,
                app_checksum,
                mrenclave,
                dataset,
                params,
                category,
                volume,
                tag_low,
                callback,
                index_modulo_volume,
            }
        })
}

impl Network {
    /// Brings `terms` on the chain with resources called `name`, and compares what we read with them.
    async fn snapshot_equals(&self, name: &str, terms: &Terms) {
        let (developer, pool_owner, requester) = (account(1), account(2), account(3));
        let app = App {
            name: name.to_owned(),
            multiaddr: terms.app_multiaddr.clone().into(),
            checksum: terms.app_checksum.into(),
            mrenclave: terms.mrenclave.clone(),
        };
        let app_address = self.market.create_app(&developer, &app).await.unwrap();
        let workerpool = self.market.create_workerpool(&pool_owner, name).await.unwrap();
        let mut dataset_address = None;
        if let Some((multiaddr, checksum)) = &terms.dataset {
            let checksum = (*checksum).into();
            let dataset = Dataset { name: name.to_owned(), multiaddr: multiaddr.clone().into(), checksum };
            dataset_address = Some(self.market.create_dataset(&developer, &dataset).await.unwrap());
        }
        let offered = |address, owner| Offered { address, owner };
        let purchase = Purchase {
            dataset: dataset_address.map(|address| offered(address, &developer)),
            category: terms.category,
            volume: terms.volume,
            params: terms.params.clone(),
            callback: terms.callback.map_or(Address::ZERO, Address::from),
            ..Purchase::new(
                offered(app_address, &developer),
                offered(workerpool, &pool_owner),
                &requester,
                B256::with_last_byte(terms.tag_low),
            )
        };
        let deal = self.market.buy(&purchase).await.unwrap();
        let index = terms.index_modulo_volume % terms.volume;
        let task = self.market.initialize(&requester, deal, index).await.unwrap();

        let found = self.snapshot(task).await.unwrap();
        assert_eq!(found.task.index, index);
        assert_eq!((found.deal.bot_first, found.deal.bot_size), (0, terms.volume));
        assert_eq!(found.deal.params, terms.params);
        assert_eq!(found.deal.category, U256::from(terms.category));
        assert_eq!(
            found.category_seconds,
            [300, 1_200, 3_600, 10_800, 36_000][usize::try_from(terms.category).unwrap()]
        );
        let callback = terms.callback.map(Address::from).filter(|callback| !callback.is_zero());
        assert_eq!(found.deal.callback, callback);
        assert_eq!(found.deal.beneficiary, requester.address());
        assert_eq!(found.app.multiaddr, terms.app_multiaddr);
        assert_eq!(found.app.checksum, B256::from(terms.app_checksum));
        assert_eq!(found.app.mrenclave, terms.mrenclave.as_bytes());
        assert_eq!(found.app.owner, developer.address());
        assert_eq!(found.workerpool_owner, pool_owner.address());
        assert_eq!(found.deal.dataset.map(|dataset| dataset.address), dataset_address);
        let dataset = found.dataset.map(|dataset| (dataset.multiaddr, dataset.checksum.0));
        assert_eq!(dataset, terms.dataset);
        // What an independent decoder makes of the same contracts.
        let raw = self.market.deal(deal).await.unwrap();
        assert_eq!((found.deal.tag.0, found.deal.trust), (raw.tag, raw.trust));
        assert_eq!(U256::from(found.deal.start_time.0), raw.startTime);
    }
}

#[test]
fn whatever_is_on_chain_is_read_as_it_is() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let network = runtime.block_on(network());
    let mut runner =
        TestRunner::new(Config { cases: 24, max_shrink_iters: 20, failure_persistence: None, ..Config::default() });
    let number = std::cell::Cell::new(0);
    runner
        .run(&terms(), |terms| {
            number.set(number.get() + 1);
            runtime.block_on(network.snapshot_equals(&format!("case-{}", number.get()), &terms));
            Ok(())
        })
        .unwrap();
}

#[tokio::test]
async fn long_texts_on_chain_are_read_whole() {
    // Together more than a contract creation may return, 24,576 bytes.
    let terms = Terms {
        app_multiaddr: vec![0xef; 14_000],
        app_checksum: [1; 32],
        mrenclave: String::new(),
        dataset: Some((vec![b'd'; 14_000], [2; 32])),
        params: "é".repeat(7_000),
        category: 4,
        volume: 1,
        tag_low: 0,
        callback: None,
        index_modulo_volume: 0,
    };
    network().await.snapshot_equals("long", &terms).await;
}

#[tokio::test]
async fn the_orders_of_a_slice_are_judged_by_the_hub_at_the_block_of_the_snapshot() {
    use strongroom_devnet::contracts::unsigned;
    use strongroom_protocol::snapshot::BulkOrder;

    let network = network().await;
    let market = &network.market;
    let (app, _, deal) = network.deal("bulk", tag::TDX).await;
    let task = market.initialize(&account(2), deal, 0).await.unwrap();
    let block = network.snapshot(task).await.unwrap().block;
    let owner = account(1);
    let dataset = market.create_dataset(&owner, &Dataset::named("of-the-slice")).await.unwrap();
    let order = |dataset: Address, app_restrict: Address, signer: &PrivateKeySigner| {
        let order = unsigned::DatasetOrder {
            dataset,
            tag: tag::TDX,
            apprestrict: app_restrict,
            volume: U256::MAX,
            ..Default::default()
        };
        let signed = market.sign_dataset_order(signer, &order).unwrap();
        BulkOrder {
            name: dataset.to_string(),
            dataset,
            price: signed.datasetprice,
            volume: signed.volume,
            tag: signed.tag,
            app_restrict,
            workerpool_restrict: signed.workerpoolrestrict,
            requester_restrict: signed.requesterrestrict,
            salt: signed.salt,
            signature: signed.sign.to_vec(),
        }
    };
    let orders = vec![
        order(dataset, Address::ZERO, &owner),
        order(dataset, app, &owner),
        order(dataset, dataset, &owner),
        order(dataset, Address::ZERO, &account(5)),
        order(account(5).address(), Address::ZERO, &owner),
    ];
    // The dataset is younger than the block of the snapshot, so at that block nothing of it is there.
    let then = network.chain.bulk(block, deal.into(), orders.clone()).await.unwrap();
    assert!(then.iter().all(|order| order.dataset.is_none() && order.compatible.is_err()), "{then:?}");

    let other_task = market.initialize(&account(2), network.deal("later", tag::TDX).await.2, 0).await.unwrap();
    let block = network.snapshot(other_task).await.unwrap().block;
    let now = network.chain.bulk(block, deal.into(), orders).await.unwrap();
    let shown = now[0].dataset.as_ref().unwrap();
    assert_eq!((shown.address, shown.owner), (dataset, owner.address()));
    assert_eq!(shown.checksum, Dataset::named("of-the-slice").checksum);
    let outcomes: Vec<_> = now.iter().map(|order| order.compatible.clone()).collect();
    let no = |reason: &str| Err(reason.to_owned());
    assert_eq!(
        outcomes[..4],
        [Ok(()), Ok(()), no("App restriction not satisfied"), no("Invalid dataset order signature")]
    );
    assert!(now[4].dataset.is_none());
}
