//! One network with apps, a dataset and a workerpool for all tests of this file: starting and deploying takes longer than most
//! of the tests.

use std::sync::{Arc, Weak};

use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::{Address, B256, Bytes};
use alloy_sol_types::sol;
use strongroom_devnet::contracts::{Hub, unsigned};
use strongroom_devnet::market::{Offered, Purchase, tag};
use strongroom_devnet::node::NodeError;
use strongroom_devnet::resources::{App, Dataset};
use strongroom_devnet::{Devnet, development_accounts};
use strongroom_protocol::{DealId, Signature, SigningKey, TaskId};

use crate::support;

pub(crate) const PARAMS: &str =
    r#"{"iexec_secrets":{"1":"one","2":"two","3":"big"},"iexec_result_storage_provider":"ipfs"}"#;

/// Accounts of the network by what they do.
pub(crate) const OWNER: usize = 1;
pub(crate) const REQUESTER: usize = 2;
pub(crate) const SCHEDULER: usize = 3;
pub(crate) const WORKER: usize = 4;
pub(crate) const STRANGER: usize = 5;

sol! {
    // What an owner does to an order on chain: 1 closes it.
    struct AppOrderOperation { AppOrder order; uint8 operation; bytes sign; }
    struct AppOrder {
        address app;
        uint256 appprice;
        uint256 volume;
        bytes32 tag;
        address datasetrestrict;
        address workerpoolrestrict;
        address requesterrestrict;
        bytes32 salt;
        bytes sign;
    }
    function manageAppOrder(AppOrderOperation operation);
}

/// One bought and initialised task.
pub(crate) struct Bought {
    pub(crate) task: TaskId,
    /// Digest of the app's image.
    pub(crate) image: B256,
}

/// What is bought.
#[derive(Clone)]
pub(crate) struct Wish {
    pub(crate) app: Address,
    pub(crate) dataset: Option<Address>,
    pub(crate) tag: B256,
    pub(crate) params: String,
}

pub(crate) struct Ground {
    pub(crate) devnet: Devnet,
    pub(crate) app: Address,
    pub(crate) second_app: Address,
    /// An app of SCONE.
    pub(crate) sgx_app: Address,
    pub(crate) dataset: Address,
    pool: Address,
    /// Accounts are shared, and two transactions of one at the same time would get the same number.
    turn: tokio::sync::Mutex<()>,
}

pub(crate) fn wallet(index: usize) -> PrivateKeySigner {
    development_accounts()[index].signer()
}

/// 32 bytes that nobody else has.
pub(crate) fn chance() -> B256 {
    PrivateKeySigner::random().to_bytes()
}

pub(crate) fn key(index: usize) -> SigningKey {
    SigningKey::from_bytes(&development_accounts()[index].well_known_key().0).unwrap()
}

impl Ground {
    /// The one that other tests use at this moment, else a new one. It ends with the last test that holds it.
    pub(crate) async fn shared() -> Arc<Self> {
        static CURRENT: tokio::sync::Mutex<Weak<Ground>> = tokio::sync::Mutex::const_new(Weak::new());
        let mut current = CURRENT.lock().await;
        if let Some(ground) = current.upgrade() {
            return ground;
        }
        let ground = Arc::new(Self::new().await);
        *current = Arc::downgrade(&ground);
        ground
    }

    async fn new() -> Self {
        let devnet = support::devnet().await;
        let chain = devnet.chain().unwrap();
        let app = chain.create_app(&wallet(OWNER), &App::named("first")).await.unwrap();
        let second_app = chain.create_app(&wallet(OWNER), &App::named("second")).await.unwrap();
        let print = "77".repeat(32);
        let mrenclave = format!(
            r#"{{"framework":"SCONE","version":"v5","entrypoint":"/app","heapSize":1,"fingerprint":"{print}"}}"#
        );
        let sgx = App { mrenclave, ..App::named("sgx") };
        let sgx_app = chain.create_app(&wallet(OWNER), &sgx).await.unwrap();
        let dataset = chain.create_dataset(&wallet(OWNER), &Dataset::named("data")).await.unwrap();
        let pool = chain.create_workerpool(&wallet(SCHEDULER), "pool").await.unwrap();
        Self { devnet, app, second_app, sgx_app, dataset, pool, turn: tokio::sync::Mutex::new(()) }
    }

    /// The deal that most tests are about.
    pub(crate) fn wish(&self) -> Wish {
        Wish { app: self.app, dataset: Some(self.dataset), tag: tag::TDX, params: PARAMS.to_owned() }
    }

    /// A dataset order of the kind that lists are made of, as the market writes it.
    pub(crate) fn order_for_lists(&self, app_restrict: Address) -> serde_json::Value {
        let order = unsigned::DatasetOrder {
            dataset: self.dataset,
            volume: alloy_primitives::U256::from(9_007_199_254_740_991_u64),
            tag: tag::TDX,
            apprestrict: app_restrict,
            salt: chance(),
            ..Default::default()
        };
        let signed = self.devnet.chain().unwrap().sign_dataset_order(&wallet(OWNER), &order).unwrap();
        serde_json::json!({
            "dataset": signed.dataset.to_string(),
            "datasetprice": signed.datasetprice.to_string(),
            "volume": signed.volume.to_string(),
            "tag": signed.tag.to_string(),
            "apprestrict": signed.apprestrict.to_string(),
            "workerpoolrestrict": signed.workerpoolrestrict.to_string(),
            "requesterrestrict": signed.requesterrestrict.to_string(),
            "salt": signed.salt.to_string(),
            "sign": signed.sign.to_string(),
        })
    }

    /// Orders signed by all, matched and initialised on the real contracts.
    pub(crate) async fn buy(&self, wish: &Wish) -> Bought {
        let _turn = self.turn.lock().await;
        let deal = self.match_orders(wish, chance()).await.unwrap();
        let chain = self.devnet.chain().unwrap();
        let task = chain.initialize(&wallet(SCHEDULER), deal, 0).await.unwrap();
        let name = [(self.app, "first"), (self.second_app, "second"), (self.sgx_app, "sgx")];
        let name = name.into_iter().find(|(app, _)| *app == wish.app).unwrap().1;
        Bought { task: task.into(), image: App::named(name).checksum }
    }

    async fn match_orders(&self, wish: &Wish, salt: B256) -> Result<B256, NodeError> {
        let (owner, requester, scheduler) = (wallet(OWNER), wallet(REQUESTER), wallet(SCHEDULER));
        let offered = |address| Offered { address, owner: &owner };
        let workerpool = Offered { address: self.pool, owner: &scheduler };
        let mut purchase = Purchase::new(offered(wish.app), workerpool, &requester, wish.tag);
        purchase.dataset = wish.dataset.map(offered);
        purchase.params.clone_from(&wish.params);
        purchase.salt = salt;
        self.devnet.chain().unwrap().buy(&purchase).await
    }

    /// Tries to buy after the app's owner closed the order. Gives what the chain said, and the deal that would have been.
    pub(crate) async fn buy_with_a_revoked_order(&self, wish: &Wish) -> (NodeError, DealId) {
        let _turn = self.turn.lock().await;
        let chain = self.devnet.chain().unwrap();
        let salt = chance();
        let order = unsigned::AppOrder {
            app: wish.app,
            volume: alloy_primitives::U256::ONE,
            tag: wish.tag,
            salt,
            ..Default::default()
        };
        let signed = chain.sign_app_order(&wallet(OWNER), &order).unwrap();
        let order = AppOrder {
            app: signed.app,
            appprice: signed.appprice,
            volume: signed.volume,
            tag: signed.tag,
            datasetrestrict: signed.datasetrestrict,
            workerpoolrestrict: signed.workerpoolrestrict,
            requesterrestrict: signed.requesterrestrict,
            salt: signed.salt,
            sign: signed.sign,
        };
        let close = manageAppOrderCall { operation: AppOrderOperation { order, operation: 1, sign: Bytes::new() } };
        chain.node.send(&wallet(OWNER), self.devnet.deployment().hub, &close).await.unwrap();
        let refused = self.match_orders(wish, salt).await.unwrap_err();
        (refused, DealId::from(salt))
    }

    /// The worker contributes on chain what the enclave signed.
    pub(crate) async fn contribute(
        &self,
        bought: &Bought,
        challenge: Address,
        authorization: Signature,
        digest: B256,
        enclave_sign: Signature,
    ) {
        use strongroom_protocol::contribution::{result_hash, result_seal};
        let _turn = self.turn.lock().await;
        let chain = self.devnet.chain().unwrap();
        let call = Hub::contributeCall {
            task: bought.task.into(),
            resultHash: result_hash(bought.task, digest),
            resultSeal: result_seal(key(WORKER).address(), bought.task, digest),
            enclaveChallenge: challenge,
            enclaveSign: Bytes::from(enclave_sign.to_bytes().to_vec()),
            authorizationSign: Bytes::from(authorization.to_bytes().to_vec()),
        };
        chain.node.send(&wallet(WORKER), self.devnet.deployment().hub, &call).await.unwrap();
    }

    /// The task's status number on chain.
    pub(crate) async fn status(&self, task: TaskId) -> u8 {
        self.devnet.chain().unwrap().task(task.into()).await.unwrap().status
    }
}
