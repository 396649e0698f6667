//! The contracts on a chain of our own: where they are, and that everybody can do their part.

#![allow(clippy::unwrap_used, reason = "the helpers of tests may unwrap like the tests")]

use std::time::Duration;

use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::{Address, B256, Bytes, U256, address, keccak256};
use strongroom_devnet::anvil::{AnvilOptions, Mining};
use strongroom_devnet::market::{Offered, Purchase, tag};
use strongroom_devnet::node::{Node, NodeError};
use strongroom_devnet::npm::Cache;
use strongroom_devnet::resources::{App, Dataset};
use strongroom_devnet::tasks::{Work, task_id};
use strongroom_devnet::{Chain, Deployment, Devnet, DevnetError, Options, development_accounts};

/// A signer with the `index`th development account.
fn account(index: usize) -> PrivateKeySigner {
    development_accounts()[index].signer()
}

/// A fresh key without money, the same in each run.
fn key(number: u8) -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&B256::repeat_byte(number)).unwrap()
}

#[tokio::test]
async fn a_fresh_chain_has_the_contracts_at_the_known_addresses() {
    for chain_id in [65_535, 134] {
        let chain = AnvilOptions { chain_id, ..AnvilOptions::default() };
        let devnet = Devnet::start(Options { chain, ..Options::default() }).await.unwrap();
        let expected = Deployment {
            hub: address!("5FC8d32690cc91D4c39d9d3abcBD16989F875707"),
            app_registry: address!("9E545E3C0baAB3E08CdfD552C960A1050f373042"),
            dataset_registry: address!("851356ae760d987E095750cCeb3bC6014560891C"),
            workerpool_registry: address!("998abeb3E57409262aE5b751f60747921B33613E"),
            rlc: address!("5FbDB2315678afecb367f032d93F642f64180aa3"),
            chain_id,
        };
        assert_eq!(*devnet.deployment(), expected);
        assert_eq!(devnet.chain().unwrap().node.chain_id().await.unwrap(), chain_id);
    }
}

#[tokio::test]
async fn the_deployment_also_works_with_a_block_per_interval() {
    let chain = AnvilOptions { mining: Mining::Interval(Duration::from_millis(200)), ..AnvilOptions::default() };
    let devnet = Devnet::start(Options { chain, ..Options::default() }).await.unwrap();
    assert_eq!(devnet.deployment().hub, address!("5FC8d32690cc91D4c39d9d3abcBD16989F875707"));
}

#[tokio::test]
async fn networks_started_at_once_are_separate() {
    let (one, two) = tokio::join!(Devnet::start(Options::default()), Devnet::start(Options::default()));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_ne!(one.rpc_url(), two.rpc_url());
    let app = one.chain().unwrap().create_app(&account(1), &App::named("only-here")).await.unwrap();
    assert_eq!(two.chain().unwrap().node.code(app).await.unwrap(), Bytes::new());
}

#[tokio::test]
async fn a_network_ends_with_its_owner() {
    let devnet = Devnet::start(Options::default()).await.unwrap();
    let chain = devnet.chain().unwrap();
    let id = devnet.anvil().unwrap().process_id();
    devnet.stop();
    assert!(!std::path::Path::new(&format!("/proc/{id}")).exists());
    assert!(matches!(chain.node.chain_id().await, Err(NodeError::Rpc { .. })));
}

/// The blocks up to `height`, and what the chain says of an account at each of them.
async fn past(node: &Node, account: Address, height: u64) -> Vec<(serde_json::Value, U256)> {
    let mut past = Vec::new();
    for number in 0..=height {
        let block: serde_json::Value = node.request("eth_getBlockByNumber", (U256::from(number), true)).await.unwrap();
        let nonce = node.request("eth_getTransactionCount", (account, U256::from(number))).await.unwrap();
        past.push((block, nonce));
    }
    past
}

/// The events of all blocks, and the height.
async fn events(node: &Node) -> (serde_json::Value, u64) {
    let height: U256 = node.request("eth_blockNumber", ()).await.unwrap();
    let filter = serde_json::json!({ "fromBlock": "earliest" });
    (node.request("eth_getLogs", (filter,)).await.unwrap(), height.to())
}

#[tokio::test]
async fn a_chain_that_ends_goes_on_where_it_was_and_one_that_is_killed_where_it_last_ended() {
    let mut devnet = Devnet::start(Options::default()).await.unwrap();
    let chain = devnet.chain().unwrap();
    let (node, sender) = (&chain.node, account(1).address());
    let kept = chain.create_app(&account(1), &App::named("kept")).await.unwrap();
    node.hold_blocks().await.unwrap();
    let _: B256 =
        node.request("eth_sendTransaction", (serde_json::json!({ "from": sender, "to": sender }),)).await.unwrap();
    assert!(node.has_waiting(sender).await.unwrap());
    let (told, height) = events(node).await;
    let before = past(node, sender, height).await;

    let url = devnet.rpc_url().to_owned();
    let anvil = devnet.anvil_mut().unwrap();
    anvil.end().unwrap();
    assert!(matches!(node.chain_id().await, Err(NodeError::Rpc { .. })));
    anvil.start_again().unwrap();
    assert_eq!(anvil.rpc_url(), url);
    assert_eq!(events(node).await, (told.clone(), height));
    assert_eq!(past(node, sender, height).await, before);
    assert!(!node.has_waiting(sender).await.unwrap(), "what was in no block is lost");

    let lost = chain.create_app(&account(1), &App::named("lost")).await.unwrap();
    let anvil = devnet.anvil_mut().unwrap();
    anvil.kill();
    anvil.start_again().unwrap();
    // Without the connections to the killed one.
    let chain = devnet.chain().unwrap();
    let node = &chain.node;
    assert_eq!(events(node).await, (told, height));
    assert_ne!(node.code(kept).await.unwrap(), Bytes::new());
    assert_eq!(node.code(lost).await.unwrap(), Bytes::new());
    assert_eq!(chain.create_app(&account(1), &App::named("lost")).await.unwrap(), lost);
}

#[tokio::test]
async fn a_running_network_can_be_attached_to_and_another_contract_is_refused() {
    let devnet = Devnet::start(Options::default()).await.unwrap();
    let deployment = *devnet.deployment();
    let attached = Devnet::attach(devnet.rpc_url(), deployment.hub).await.unwrap();
    assert_eq!(*attached.deployment(), deployment);
    assert!(attached.accounts().is_empty());
    for no_hub in [deployment.rlc, deployment.app_registry, Address::repeat_byte(7)] {
        let error = Devnet::attach(devnet.rpc_url(), no_hub).await.unwrap_err();
        assert!(matches!(error, DevnetError::Deploy(_)), "{error}");
    }
}

#[tokio::test]
async fn the_table_names_everything_a_client_needs() {
    let mut devnet = Devnet::start(Options::default()).await.unwrap();
    devnet.set_sms_url("http://127.0.0.1:13300");
    let table = devnet.to_string();
    let rpc_url = devnet.rpc_url().to_owned();
    for part in [
        rpc_url.as_str(),
        "65535",
        "0x5FC8d32690cc91D4c39d9d3abcBD16989F875707",
        "0x9E545E3C0baAB3E08CdfD552C960A1050f373042",
        "0x851356ae760d987E095750cCeb3bC6014560891C",
        "0x998abeb3E57409262aE5b751f60747921B33613E",
        "0x5FbDB2315678afecb367f032d93F642f64180aa3",
        "http://127.0.0.1:13300",
        "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
        "0xa0Ee7A142d267C1f36714E4a8F75612F20a79720",
    ] {
        assert!(table.contains(part), "{part} is missing in\n{table}");
    }
}

#[tokio::test]
async fn the_known_keys_belong_to_the_funded_accounts() {
    let devnet = Devnet::start(Options::default()).await.unwrap();
    let node = devnet.chain().unwrap().node;
    for account in devnet.accounts() {
        assert_eq!(account.signer().address(), account.address);
        let balance: U256 = node.request("eth_getBalance", (account.address, "latest")).await.unwrap();
        assert!(balance > U256::from(9_999_000_000_000_000_000_000_u128), "{balance}");
    }
}

#[tokio::test]
async fn a_missing_npm_stops_the_start_with_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::new(folder.path()).with_npm("/nonexistent/npm");
    let error = Devnet::start(Options { cache: Some(cache), ..Options::default() }).await.unwrap_err();
    assert!(error.to_string().contains("install Node.js"), "{error}");
}

#[tokio::test]
async fn resources_belong_to_their_creator_until_they_are_transferred() {
    let devnet = Devnet::start(Options::default()).await.unwrap();
    let chain = devnet.chain().unwrap();
    let owner = key(0x11);
    chain.node.set_balance(owner.address(), U256::from(10).pow(U256::from(18))).await.unwrap();
    let Deployment { app_registry, dataset_registry, workerpool_registry, .. } = chain.deployment;
    let created = [
        (app_registry, chain.create_app(&owner, &App::named("app")).await.unwrap()),
        (dataset_registry, chain.create_dataset(&owner, &Dataset::named("dataset")).await.unwrap()),
        (workerpool_registry, chain.create_workerpool(&owner, "workerpool").await.unwrap()),
    ];
    for (registry, resource) in created {
        assert_eq!(chain.owner_of(registry, resource).await.unwrap(), owner.address());
        chain.transfer(&owner, registry, resource, account(3).address()).await.unwrap();
        assert_eq!(chain.owner_of(registry, resource).await.unwrap(), account(3).address());
        let error = chain.transfer(&owner, registry, resource, owner.address()).await.unwrap_err();
        assert!(error.to_string().contains("ERC721: transfer caller is not owner nor approved"), "{error}");
    }
    let again = chain.create_app(&owner, &App::named("app")).await.unwrap_err();
    assert!(again.to_string().contains("Create2: Failed on deploy"), "{again}");
}

/// The people and things of a market: app of account 1, dataset of 2, workerpool of 3, requester 4.
struct Market {
    chain: Chain,
    people: [PrivateKeySigner; 4],
    app: Address,
    dataset: Address,
    workerpool: Address,
}

impl Market {
    async fn on(devnet: &Devnet) -> Self {
        let chain = devnet.chain().unwrap();
        let people = [account(1), account(2), account(3), account(4)];
        let app = chain.create_app(&people[0], &App::named("app")).await.unwrap();
        let dataset = chain.create_dataset(&people[1], &Dataset::named("dataset")).await.unwrap();
        let workerpool = chain.create_workerpool(&people[2], "workerpool").await.unwrap();
        Self { chain, people, app, dataset, workerpool }
    }

    fn purchase(&self) -> Purchase<'_> {
        let [app_owner, dataset_owner, workerpool_owner, requester] = &self.people;
        let dataset = Offered { address: self.dataset, owner: dataset_owner };
        let app = Offered { address: self.app, owner: app_owner };
        let workerpool = Offered { address: self.workerpool, owner: workerpool_owner };
        Purchase { dataset: Some(dataset), ..Purchase::new(app, workerpool, requester, tag::TDX) }
    }
}

#[tokio::test]
async fn orders_match_into_a_deal_whose_task_is_worked_on_by_an_enclave() {
    let devnet = Devnet::start(Options::default()).await.unwrap();
    let market = Market::on(&devnet).await;
    let chain = &market.chain;
    let purchase = Purchase { volume: 2, params: r#"{"iexec_args":"hello"}"#.to_owned(), ..market.purchase() };
    let deal_id = chain.buy(&purchase).await.unwrap();
    let deal = chain.deal(deal_id).await.unwrap();
    assert_eq!((deal.app.pointer, deal.app.owner), (market.app, account(1).address()));
    assert_eq!((deal.dataset.pointer, deal.dataset.owner), (market.dataset, account(2).address()));
    assert_eq!((deal.workerpool.pointer, deal.workerpool.owner), (market.workerpool, account(3).address()));
    assert_eq!((deal.requester, deal.tag, deal.botSize), (account(4).address(), tag::TDX, U256::from(2)));
    assert_eq!(deal.params, purchase.params);

    let task = task_id(deal_id, 0);
    assert_eq!(chain.task(task).await.unwrap().status, 0);
    assert_eq!(chain.initialize(&account(5), deal_id, 0).await.unwrap(), task);
    assert_eq!(chain.task(task).await.unwrap().status, 1);
    let (worker, scheduler, enclave) = (account(6), account(3), key(0x22));
    let work =
        Work { task, worker: &worker, scheduler: &scheduler, enclave: Some(&enclave), digest: keccak256("result") };
    let forged = Work { scheduler: &worker, ..work };
    assert!(chain.contribute(&forged).await.is_err(), "only the owner of the workerpool authorises");
    let outside = Work { enclave: None, ..work };
    assert!(chain.contribute(&outside).await.is_err(), "an enclave is asked for");
    chain.contribute(&work).await.unwrap();
    let contributed = chain.task(task).await.unwrap();
    assert_eq!((contributed.status, contributed.contributors), (2, vec![worker.address()]));

    let task = chain.initialize(&account(5), deal_id, 1).await.unwrap();
    let work = Work { task, ..work };
    chain.contribute_and_finalize(&work, Bytes::from_static(b"{}"), Bytes::new()).await.unwrap();
    let completed = chain.task(task).await.unwrap();
    assert_eq!((completed.status, completed.resultDigest), (3, keccak256("result")));
}

#[tokio::test]
async fn a_task_can_be_claimed_once_the_clock_of_the_chain_is_past_its_deadline() {
    let devnet = Devnet::start(Options::default()).await.unwrap();
    let market = Market::on(&devnet).await;
    let chain = &market.chain;
    let deal_id = chain.buy(&market.purchase()).await.unwrap();
    let task = chain.initialize(&account(5), deal_id, 0).await.unwrap();
    assert!(chain.claim(&account(5), task).await.is_err());
    chain.node.increase_time(Duration::from_secs(3_001)).await.unwrap();
    chain.claim(&account(5), task).await.unwrap();
    assert_eq!(chain.task(task).await.unwrap().status, 4);
}

#[tokio::test]
async fn transactions_that_the_node_lost_are_sent_again() {
    let devnet = Devnet::start(Options::default()).await.unwrap();
    let chain = devnet.chain().unwrap();
    let (sender, owner) = (account(6), account(7).address());
    chain.node.hold_blocks().await.unwrap();
    let names = ["first", "second"];
    let creations = chain.create_datasets_for(&sender, owner, names.map(Dataset::named));
    let trouble = async {
        let queued = sender_has(&chain.node, &sender, names.len()).await;
        chain.node.request::<_, serde_json::Value>("anvil_dropAllTransactions", ()).await.unwrap();
        assert!(!chain.node.has_waiting(sender.address()).await.unwrap());
        chain.node.make_blocks(Duration::from_secs(1)).await.unwrap();
        queued
    };
    let (datasets, queued) = tokio::join!(creations, trouble);
    assert_eq!(queued, names.len());
    for dataset in datasets.unwrap() {
        assert_eq!(chain.owner_of(chain.deployment.dataset_registry, dataset).await.unwrap(), owner);
    }
}

/// Waits until so many transactions of a new account wait for a block.
async fn sender_has(node: &Node, sender: &PrivateKeySigner, count: usize) -> usize {
    loop {
        let next = usize::try_from(node.next_nonce(sender.address()).await.unwrap()).unwrap();
        if next >= count {
            return next;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn an_order_without_the_signature_of_the_owner_does_not_match() {
    let devnet = Devnet::start(Options::default()).await.unwrap();
    let market = Market::on(&devnet).await;
    let thief = account(7);
    let purchase = Purchase { app: Offered { address: market.app, owner: &thief }, ..market.purchase() };
    assert!(market.chain.buy(&purchase).await.is_err());
}

#[tokio::test]
async fn a_node_that_is_not_there_is_an_error() {
    let node = Node::new("http://127.0.0.1:9").unwrap();
    assert!(matches!(node.chain_id().await, Err(NodeError::Rpc { .. })));
    assert!(matches!(Node::new("not an address"), Err(NodeError::Url { .. })));
}
