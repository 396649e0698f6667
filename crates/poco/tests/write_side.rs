//! What owners, buyers and pools send, on a chain of our own with the published PoCo contracts.
#![allow(clippy::unwrap_used, reason = "the helpers of tests may unwrap like the tests")]

use std::time::Duration;

use alloy_primitives::{Address, B256, Bytes, U256};
use strongroom_devnet::{Devnet, Options, development_accounts};
use strongroom_poco::accounts::Registries;
use strongroom_poco::calls::{self, Contribution, Manage, NewApp, NewDataset, Operation};
use strongroom_poco::notices::{Cursor, ReadRanges, noticed_deal, scheduler_notices};
use strongroom_poco::orders::{self, AppOrder, DatasetOrder, Order, RequestOrder, Signed, WorkerpoolOrder};
use strongroom_poco::{Chain, ChainConfig, SendError, SendLimits, Wallet};
use strongroom_protocol::challenge::workerpool_authorization;
use strongroom_protocol::contribution::contribution_message;
use strongroom_protocol::snapshot::TaskStatus;
use strongroom_protocol::{DealId, SigningKey, TaskId};

const TDX: B256 = B256::with_last_byte(9);
/// Who takes part, as numbers of development accounts; the first one has all RLC.
const BANK: usize = 0;
const OWNER: usize = 1;
const POOL: usize = 2;
const REQUESTER: usize = 3;
const WORKER: usize = 4;

struct Stage {
    devnet: Devnet,
    chain: Chain,
    registries: Registries,
    app: Address,
    dataset: Address,
    pool: Address,
}

fn key(index: usize) -> SigningKey {
    SigningKey::from_bytes(&development_accounts()[index].well_known_key().0).unwrap()
}

impl Stage {
    async fn new() -> Self {
        let devnet = Devnet::start(Options::default()).await.unwrap();
        let (chain_id, hub) = (devnet.deployment().chain_id, devnet.deployment().hub);
        let chain = Chain::new(ChainConfig::new(devnet.rpc_url().parse().unwrap(), chain_id, hub)).unwrap();
        let registries = chain.registries().await.unwrap();
        let mut stage =
            Self { devnet, chain, registries, app: Address::ZERO, dataset: Address::ZERO, pool: Address::ZERO };
        let app = NewApp {
            name: "app".into(),
            kind: "DOCKER".into(),
            multiaddr: b"registry.example/app@sha256:00".to_vec().into(),
            checksum: B256::repeat_byte(1),
            mrenclave: Bytes::default(),
        };
        let dataset =
            NewDataset { name: "data".into(), multiaddr: b"/ipfs/Qm".to_vec().into(), checksum: B256::repeat_byte(2) };
        let registries = stage.registries;
        stage.app =
            stage.create(OWNER, registries.app, calls::create_app(registries.app, key(OWNER).address(), app)).await;
        stage.dataset = stage
            .create(OWNER, registries.dataset, calls::create_dataset(registries.dataset, key(OWNER).address(), dataset))
            .await;
        let call = calls::create_workerpool(registries.workerpool, key(POOL).address(), "pool".into());
        stage.pool = stage.create(POOL, registries.workerpool, call).await;
        stage
    }

    fn hub(&self) -> Address {
        self.chain.identity().1
    }

    fn wallet(&self, index: usize) -> Wallet {
        Wallet::new(self.chain.clone(), key(index), SendLimits::default())
    }

    async fn create(&self, who: usize, registry: Address, call: calls::Call) -> Address {
        let receipt = self.wallet(who).send(&call).await.unwrap();
        calls::created(&receipt, registry).unwrap()
    }

    fn orders(
        &self,
        price: u64,
        salt: u8,
    ) -> (Signed<AppOrder>, Signed<DatasetOrder>, Signed<WorkerpoolOrder>, Signed<RequestOrder>) {
        let domain = orders::domain(self.chain.identity().0, self.hub());
        let (volume, price, salt) = (U256::from(1), U256::from(price), B256::repeat_byte(salt));
        let (category, trust) = (U256::ZERO, U256::from(1));
        let app = AppOrder { app: self.app, volume, tag: TDX, salt, ..AppOrder::default() };
        let dataset = DatasetOrder {
            dataset: self.dataset,
            datasetprice: price,
            volume,
            tag: TDX,
            salt,
            ..DatasetOrder::default()
        };
        let workerpool = WorkerpoolOrder {
            workerpool: self.pool,
            workerpoolprice: price,
            volume,
            tag: TDX,
            category,
            trust,
            salt,
            ..WorkerpoolOrder::default()
        };
        let request = RequestOrder {
            app: self.app,
            dataset: self.dataset,
            datasetmaxprice: price,
            workerpool: self.pool,
            workerpoolmaxprice: price,
            requester: key(REQUESTER).address(),
            beneficiary: key(REQUESTER).address(),
            volume,
            tag: TDX,
            category,
            trust,
            params: "{}".into(),
            salt,
            ..RequestOrder::default()
        };
        (
            app.sign(&domain, &key(OWNER)),
            dataset.sign(&domain, &key(OWNER)),
            workerpool.sign(&domain, &key(POOL)),
            request.sign(&domain, &key(REQUESTER)),
        )
    }

    /// Buys one task at `price` for dataset and pool each.
    async fn buy(&self, price: u64, salt: u8) -> DealId {
        let (app, dataset, workerpool, request) = self.orders(price, salt);
        assert_eq!(orders::mismatches(&app.order, &dataset.order, &workerpool.order, &request.order), []);
        let call = calls::match_orders(self.hub(), &app, &dataset, &workerpool, &request);
        let receipt = self.wallet(REQUESTER).send(&call).await.unwrap();
        calls::matched(&receipt, self.hub()).unwrap().0
    }

    /// Pays RLC of the bank into the account of `who` at the hub.
    async fn fund(&self, who: usize, amount: u64) {
        let amount = U256::from(amount);
        let call = calls::send_rlc(self.registries.rlc, key(who).address(), amount);
        self.wallet(BANK).send(&call).await.unwrap();
        self.wallet(who).send(&calls::deposit(self.registries.rlc, self.hub(), amount)).await.unwrap();
    }

    async fn stake(&self, who: usize) -> (U256, U256) {
        let money = self.chain.money(key(who).address()).await.unwrap();
        (money.stake, money.locked)
    }

    fn contribution(task: TaskId) -> Contribution {
        let enclave = SigningKey::from_bytes(&[0x77; 32]).unwrap();
        let (worker, digest) = (key(WORKER).address(), B256::repeat_byte(0x33));
        let enclave_sign = enclave.sign(contribution_message(worker, task, digest));
        let authorization = key(POOL).sign(workerpool_authorization(worker, task, enclave.address()));
        Contribution {
            task,
            result_digest: digest,
            results: br#"{ "storage": "ipfs", "location": "/ipfs/x" }"#.to_vec().into(),
            results_callback: Bytes::default(),
            enclave_challenge: enclave.address(),
            enclave_sign: enclave_sign.to_bytes().to_vec().into(),
            authorization_sign: authorization.to_bytes().to_vec().into(),
        }
    }
}

#[tokio::test]
async fn a_task_is_bought_settled_and_paid() {
    let stage = Stage::new().await;
    stage.fund(REQUESTER, 1_000).await;
    stage.fund(POOL, 1_000).await;
    let deal = stage.buy(100, 1).await;
    assert_eq!(stage.stake(REQUESTER).await, (U256::from(800), U256::from(200)));
    assert_eq!(stage.stake(POOL).await, (U256::from(970), U256::from(30)));
    let details = stage.chain.deal(deal).await.unwrap().unwrap();
    assert_eq!((details.app.address, details.dataset.unwrap().address), (stage.app, stage.dataset));
    assert_eq!(details.category_seconds, 300);

    let task = TaskId::of(deal, 0);
    assert_eq!(stage.chain.task_status(task).await.unwrap(), TaskStatus::Unset);
    stage.wallet(POOL).send(&calls::initialize(stage.hub(), deal, 0)).await.unwrap();
    assert_eq!(stage.chain.task_status(task).await.unwrap(), TaskStatus::Active);
    let again = stage.wallet(POOL).send(&calls::initialize(stage.hub(), deal, 0)).await.unwrap_err();
    assert!(matches!(again, SendError::Reverted { .. }), "{again}");

    let settle = calls::contribute_and_finalize(stage.hub(), Stage::contribution(task));
    stage.wallet(WORKER).send(&settle).await.unwrap();
    assert_eq!(stage.chain.task_status(task).await.unwrap(), TaskStatus::Completed);
    assert!(stage.chain.task_results(task).await.unwrap().starts_with(b"{ \"storage\""));
    assert_eq!(stage.stake(REQUESTER).await, (U256::from(800), U256::ZERO));
    assert_eq!(stage.stake(OWNER).await.0, U256::from(100), "the dataset's owner is paid");
    let stake = stage.stake(POOL).await.0 + stage.stake(WORKER).await.0;
    assert_eq!(stake, U256::from(1_100), "pool and worker share the price");

    let before = stage.chain.money(key(REQUESTER).address()).await.unwrap();
    stage.wallet(REQUESTER).send(&calls::withdraw(stage.hub(), U256::from(800))).await.unwrap();
    let after = stage.chain.money(key(REQUESTER).address()).await.unwrap();
    assert_eq!((after.stake, after.rlc - before.rlc), (U256::ZERO, U256::from(800)));
}

#[tokio::test]
async fn a_refusal_of_a_contract_is_told_in_its_words_and_a_closed_order_matches_no_more() {
    let stage = Stage::new().await;
    let (app, dataset, workerpool, request) = stage.orders(0, 1);
    let domain = orders::domain(stage.chain.identity().0, stage.hub());
    let wrong = RequestOrder { category: U256::from(1), ..request.order.clone() }.sign(&domain, &key(REQUESTER));
    let call = calls::match_orders(stage.hub(), &app, &dataset, &workerpool, &wrong);
    let refused = stage.wallet(REQUESTER).send(&call).await.unwrap_err();
    assert!(refused.to_string().contains("iExecV5-matchOrders-0x00"), "{refused}");

    let hash = dataset.order.hash(&domain);
    assert_eq!(stage.chain.consumed(hash).await.unwrap(), U256::ZERO);
    stage.wallet(OWNER).send(&DatasetOrder::manage(stage.hub(), &dataset, Operation::Close)).await.unwrap();
    assert_eq!(stage.chain.consumed(hash).await.unwrap(), dataset.order.volume);
    let call = calls::match_orders(stage.hub(), &app, &dataset, &workerpool, &request);
    let refused = stage.wallet(REQUESTER).send(&call).await.unwrap_err();
    assert!(refused.to_string().contains("iExecV5-matchOrders-0x60"), "{refused}");

    stage.wallet(OWNER).send(&AppOrder::manage(stage.hub(), &app, Operation::Presign)).await.unwrap();
    assert_eq!(stage.chain.presigner(app.order.hash(&domain)).await.unwrap(), Some(key(OWNER).address()));
    let owner = stage.chain.app(stage.app).await.unwrap().unwrap().owner;
    let call = calls::transfer_resource(stage.registries.app, owner, key(WORKER).address(), stage.app);
    stage.wallet(OWNER).send(&call).await.unwrap();
    assert_eq!(stage.chain.app(stage.app).await.unwrap().unwrap().owner, key(WORKER).address());
    assert_eq!(stage.chain.app(stage.dataset).await.unwrap(), None, "a dataset is no app");
    assert_eq!(stage.chain.dataset(stage.dataset).await.unwrap().unwrap().multiaddr, b"/ipfs/Qm");
}

#[tokio::test]
async fn a_wallet_without_coin_and_a_price_above_the_cap_send_nothing() {
    let stage = Stage::new().await;
    let empty = Wallet::new(stage.chain.clone(), SigningKey::from_bytes(&[5; 32]).unwrap(), SendLimits::default());
    let call = calls::create_workerpool(stage.registries.workerpool, empty.address(), "pool".into());
    let error = empty.send(&call).await.unwrap_err();
    assert!(matches!(error, SendError::NoCoin { .. }), "{error}");
    assert!(error.to_string().contains(&empty.address().to_string()), "{error}");

    let frugal = SendLimits { max_gas_price_wei: 1, ..SendLimits::default() };
    let error = Wallet::new(stage.chain.clone(), key(POOL), frugal).send(&call).await.unwrap_err();
    assert!(matches!(error, SendError::TooExpensive { cap: 1, .. }), "{error}");
    assert!(error.is_retryable());
}

#[tokio::test]
async fn a_stuck_transaction_is_replaced_and_mined_once() {
    let stage = Stage::new().await;
    let node = stage.devnet.chain().unwrap().node;
    node.request::<_, serde_json::Value>("evm_setAutomine", (false,)).await.unwrap();
    let limits = SendLimits { replace_after: Duration::from_millis(200), ..SendLimits::default() };
    let wallet = Wallet::new(stage.chain.clone(), key(WORKER), limits);
    let call = calls::create_workerpool(stage.registries.workerpool, wallet.address(), "stuck".into());
    let (tell, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let sending = tokio::spawn(async move { wallet.send_noting(&call, |hash| tell.send(hash).unwrap()).await });
    let first = heard.recv().await.unwrap();
    let second = heard.recv().await.unwrap();
    assert_ne!(first, second, "the replacement offers more");
    // A hash is heard before its transaction goes: with the third, the node has the second.
    heard.recv().await.unwrap();
    node.request::<_, serde_json::Value>("evm_mine", ()).await.unwrap();
    let receipt = sending.await.unwrap().unwrap();
    assert!(calls::created(&receipt, stage.registries.workerpool).is_some());
    assert_ne!(receipt.transaction, first, "what was replaced is gone");
}

#[tokio::test]
async fn a_call_that_was_given_up_while_it_was_stuck_is_finished_by_its_retry() {
    let stage = Stage::new().await;
    let node = stage.devnet.chain().unwrap().node;
    node.hold_blocks().await.unwrap();
    let limits = SendLimits { patience: Duration::from_millis(100), ..SendLimits::default() };
    let wallet = Wallet::new(stage.chain.clone(), key(WORKER), limits);
    let call = calls::create_workerpool(stage.registries.workerpool, wallet.address(), "stuck".into());
    // With what waits in the queue, the contract would refuse the same call again: a pool of this name is made once.
    let mut transactions = Vec::new();
    for _ in 0..2 {
        let error = wallet.send(&call).await.unwrap_err();
        let SendError::Stuck { transaction, .. } = error else { panic!("{error}") };
        transactions.push(transaction);
    }
    assert_eq!(transactions[0], transactions[1], "it is the same transaction");
    node.make_blocks(Duration::ZERO).await.unwrap();
    let receipt = wallet.send(&call).await.unwrap();
    assert_eq!(receipt.transaction, transactions[0]);
    assert!(calls::created(&receipt, stage.registries.workerpool).is_some());
    assert!(!wallet.has_waiting().await.unwrap(), "nothing else was sent");
}

#[tokio::test]
async fn no_deal_is_lost_or_invented_over_small_ranges_and_a_reorganisation() {
    let stage = Stage::new().await;
    let topics = scheduler_notices(stage.pool);
    let ranges = ReadRanges { blocks: 2, step_back: 3, ..ReadRanges::default() };
    let read = async |mut cursor: Option<Cursor>| {
        let mut deals = Vec::new();
        loop {
            let batch = stage.chain.events_after(cursor, 0, &topics, ranges).await.unwrap();
            deals.extend(batch.events.iter().filter_map(noticed_deal));
            cursor = Some(batch.cursor);
            if batch.is_last {
                return (deals, cursor);
            }
        }
    };
    let first = stage.buy(0, 1).await;
    let (deals, cursor) = read(None).await;
    assert_eq!(deals, [first]);
    let (deals, cursor) = read(cursor).await;
    assert!(deals.is_empty(), "nothing new");
    let second = stage.buy(0, 2).await;
    let (deals, cursor) = read(cursor).await;
    assert_eq!(deals, [second]);

    // The last two blocks are replaced by empty ones: the block of the cursor is gone, and so is the second deal.
    let node = stage.devnet.chain().unwrap().node;
    node.request::<_, serde_json::Value>("anvil_reorg", (2, Vec::<()>::new())).await.unwrap();
    let third = stage.buy(0, 3).await;
    let (deals, _) = read(cursor).await;
    assert!(deals.contains(&third) && !deals.contains(&second), "{deals:?}");
}
