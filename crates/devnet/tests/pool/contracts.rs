//! The chain as the pool sees it, on the real contracts: what is read, what is sent, and what is sent twice.

use std::time::Duration;

use alloy_primitives::{B256, U256};
use strongroom_devnet::Devnet;
use strongroom_devnet::market::{Offered, Purchase, tag};
use strongroom_devnet::resources::App;
use strongroom_poco::notices::ReadRanges;
use strongroom_poco::{ChainConfig, SendLimits, Wallet};
use strongroom_pool::ledger::Contracts;
use strongroom_pool::outside::{Ledger as _, OutsideError, Settlement};
use strongroom_pool::task::Computed;
use strongroom_protocol::challenge::workerpool_authorization;
use strongroom_protocol::contribution::contribution_message;
use strongroom_protocol::snapshot::TaskStatus;
use strongroom_protocol::{Address, DealId, SigningKey, TaskId};

use crate::scene::{key, wallet};
use crate::support;

const OWNER: usize = 1;
const REQUESTER: usize = 2;
const SCHEDULER: usize = 3;
const WORKER: usize = 4;

struct Ground {
    network: Devnet,
    workerpool: Address,
    app: Address,
    contracts: Contracts,
}

fn enclave() -> SigningKey {
    SigningKey::from_bytes(&[0x5e; 32]).unwrap()
}

impl Ground {
    async fn new(worker: SigningKey) -> Self {
        let network = support::devnet().await;
        let chain = network.chain().unwrap();
        let workerpool = chain.create_workerpool(&wallet(SCHEDULER), "pool").await.unwrap();
        let app = chain.create_app(&wallet(OWNER), &App::named("app")).await.unwrap();
        let deployment = network.deployment();
        let config = ChainConfig::new(network.rpc_url().parse().unwrap(), deployment.chain_id, deployment.hub);
        let reader = strongroom_poco::Chain::new(config).unwrap();
        let sender = |key| Some(Wallet::new(reader.clone(), key, SendLimits::default()));
        let contracts = Contracts {
            chain: reader.clone(),
            workerpool,
            start_block: 0,
            ranges: ReadRanges { blocks: 10, ..ReadRanges::default() },
            owner: sender(key(SCHEDULER)),
            worker: sender(worker),
        };
        Self { network, workerpool, app, contracts }
    }

    async fn buy(&self, salt: u8) -> DealId {
        let (owner, scheduler, requester) = (wallet(OWNER), wallet(SCHEDULER), wallet(REQUESTER));
        let app = Offered { address: self.app, owner: &owner };
        let pool = Offered { address: self.workerpool, owner: &scheduler };
        let mut purchase = Purchase::new(app, pool, &requester, tag::TDX);
        purchase.salt = B256::with_last_byte(salt);
        self.network.chain().unwrap().buy(&purchase).await.unwrap().into()
    }

    async fn pass_final_deadline(&self, deal: DealId) {
        let seconds = self.contracts.deal(deal).await.unwrap().category_seconds;
        self.network.chain().unwrap().node.increase_time(Duration::from_secs(seconds * 10 + 1)).await.unwrap();
    }
}

fn settlement(task: TaskId, worker: Address) -> Settlement {
    let digest = B256::repeat_byte(0xd1);
    Settlement {
        task,
        computed: Computed {
            result_digest: digest,
            enclave_signature: enclave().sign(contribution_message(worker, task, digest)).to_string(),
            callback_data: "0x".to_owned(),
        },
        link: r#"{ "storage": "ipfs", "location": "/ipfs/Qm" }"#.to_owned(),
        challenge: enclave().address(),
        authorization: key(SCHEDULER).sign(workerpool_authorization(worker, task, enclave().address())).to_string(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deal_is_noticed_once_and_its_task_initialised_and_settled() {
    let ground = Ground::new(key(WORKER)).await;
    let contracts = &ground.contracts;
    let deal = ground.buy(1).await;
    let (mut cursor, mut noticed) = (None, Vec::new());
    loop {
        let notices = contracts.notices(cursor).await.unwrap();
        noticed.extend(notices.deals);
        let newest = contracts.head().await.unwrap().number;
        if notices.cursor.block >= newest {
            break;
        }
        cursor = Some(notices.cursor);
    }
    assert_eq!(noticed, [deal], "ten blocks at a time");

    let view = contracts.deal(deal).await.unwrap();
    assert_eq!((view.deal.workerpool.address, view.deal.app.address), (ground.workerpool, ground.app));
    let task = TaskId::of(deal, 0);
    assert_eq!(contracts.status(task).await.unwrap(), TaskStatus::Unset);
    contracts.initialize(deal, 0).await.unwrap();
    contracts.initialize(deal, 0).await.expect("somebody was faster: it is done all the same");
    assert_eq!(contracts.status(task).await.unwrap(), TaskStatus::Active);
    let on_chain = contracts.chain.snapshot(task, strongroom_protocol::UnixSeconds(0)).await.unwrap().unwrap();
    assert_eq!(on_chain.task.contribution_deadline, view.contribution_deadline());
    assert_eq!(on_chain.task.final_deadline, view.final_deadline());

    let mut forged = settlement(task, key(WORKER).address());
    forged.computed.result_digest = B256::repeat_byte(0xd2);
    assert!(matches!(contracts.settle(forged).await, Err(OutsideError::Refused(_))));
    contracts.settle(settlement(task, key(WORKER).address())).await.unwrap();
    contracts.settle(settlement(task, key(WORKER).address())).await.expect("it was settled before");
    assert_eq!(contracts.status(task).await.unwrap(), TaskStatus::Completed);
    let results = contracts.chain.task_results(task).await.unwrap();
    assert_eq!(String::from_utf8(results).unwrap(), r#"{ "storage": "ipfs", "location": "/ipfs/Qm" }"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_past_their_final_deadline_are_claimed_initialised_or_not() {
    let ground = Ground::new(key(WORKER)).await;
    let contracts = &ground.contracts;
    let (started, untouched) = (ground.buy(1).await, ground.buy(2).await);
    contracts.initialize(started, 0).await.unwrap();
    assert!(matches!(contracts.claim(started, 0, TaskStatus::Active).await, Err(OutsideError::Refused(_))));
    ground.pass_final_deadline(untouched).await;
    for (deal, status) in [(started, TaskStatus::Active), (untouched, TaskStatus::Unset)] {
        contracts.claim(deal, 0, status).await.unwrap();
        contracts.claim(deal, 0, status).await.expect("it was claimed before");
        assert_eq!(contracts.status(TaskId::of(deal, 0)).await.unwrap(), TaskStatus::Failed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_without_gas_is_named() {
    let poor = SigningKey::from_bytes(&[0x99; 32]).unwrap();
    let (address, ground) = (poor.address(), Ground::new(poor).await);
    let deal = ground.buy(1).await;
    ground.contracts.initialize(deal, 0).await.unwrap();
    let task = TaskId::of(deal, 0);
    match ground.contracts.settle(settlement(task, address)).await {
        Err(OutsideError::NoGas { wallet }) => assert_eq!(wallet, address),
        other => panic!("{other:?}"),
    }
    let coins = U256::from(10).pow(U256::from(18));
    ground.network.chain().unwrap().node.set_balance(address, coins).await.unwrap();
    ground.contracts.settle(settlement(task, address)).await.unwrap();
}
