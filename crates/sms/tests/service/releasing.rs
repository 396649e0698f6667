//! A service that makes sessions: the task of vector A17 on a chain that is a table, and its secrets.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use alloy_primitives::U256;
use serde_json::{Value, json};
use strongroom_attest::measurement::ApprovedImages;
use strongroom_attest::{Endorsements, Evidence, Policy, TrustAnchors, TrustDomain};
use strongroom_poco::AssetKind;
use strongroom_protocol::challenge::{self, enclave_challenge_request, workerpool_authorization};
use strongroom_protocol::record::{Outcome, Record};
use strongroom_protocol::snapshot::{
    App, Block, BulkDataset, BulkOrder, Dataset, Deal, DealAsset, Task, TaskSnapshot, TaskStatus,
};
use strongroom_protocol::{Address, B256, DealId, Tag, TaskId, UnixSeconds};
use strongroom_sms::clock::Clock;
use strongroom_sms::config::Config;
use strongroom_sms::owners::{BoxFuture, ReadOwnersError};
use strongroom_sms::release::ReleaseSettings;
use strongroom_sms::release::attestation::{Attestation, FindEndorsements};
use strongroom_sms::release::bulk::{FetchContent, FetchError};
use strongroom_sms::release::provision::Provisioner;
use strongroom_sms::service::Service;
use strongroom_sms::tasks::ReadTasks;
use strongroom_sms::vault::Vault;
use strongroom_store::{RootKeySource, Store, StoreConfig};
use tempfile::TempDir;

use super::fake_chain::FakeChain;
use super::raw_http::{Answer, Request};
use super::running::{address, signed, value, wallet};

pub(crate) const APP: &str = "0xabcdefabcdefabcdefabcdefabcdefabcdefabcd";
pub(crate) const DATASET: &str = "0x1234567890123456789012345678901234567890";
/// Without the secret that vector A17 names in vain: that alone refuses a session here.
pub(crate) const PARAMS: &str = r#"{"iexec_args":"x y","iexec_input_files":["http://host/file1","http://host/file2"],"iexec_secrets":{"1":"my-secret_1"},"iexec_result_encryption":true,"iexec_result_storage_provider":"ipfs"}"#;
const RESULT_KEY: &str = "LS0tLS1CRUdJTiBQVUJMSUMgS0VZLS0tLS0KTUZ3d0RRWUoKLS0tLS1FTkQgUFVCTElDIEtFWS0tLS0t";

/// What the chain says about the one task there is, and about every order that is asked about.
#[derive(Default)]
pub(crate) struct FakeTasks {
    pub(crate) shown: Mutex<Option<TaskSnapshot>>,
    /// What the hub says against orders.
    pub(crate) against_orders: Mutex<Option<String>>,
}

impl ReadTasks for FakeTasks {
    fn snapshot(&self, task: TaskId, _: UnixSeconds) -> BoxFuture<'_, Result<Option<TaskSnapshot>, ReadOwnersError>> {
        let shown = self.shown.lock().unwrap().clone().filter(|shown| shown.task.id == task);
        Box::pin(async move { Ok(shown) })
    }

    fn bulk(
        &self,
        _: Block,
        _: DealId,
        orders: Vec<BulkOrder>,
    ) -> BoxFuture<'_, Result<Vec<BulkDataset>, ReadOwnersError>> {
        let against = self.against_orders.lock().unwrap().clone();
        let read = move |order: BulkOrder| BulkDataset {
            dataset: Some(Dataset {
                address: order.dataset,
                owner: wallet(1).address(),
                multiaddr: b"https://host/of-the-slice".to_vec(),
                checksum: B256::repeat_byte(0x66),
            }),
            name: order.name,
            address: order.dataset,
            price: order.price,
            volume: order.volume,
            compatible: against.clone().map_or(Ok(()), Err),
        };
        Box::pin(async move { Ok(orders.into_iter().map(read).collect()) })
    }
}

/// Content by its id; what is not there is out of reach.
#[derive(Default)]
pub(crate) struct FakeContent {
    pub(crate) by_id: Mutex<BTreeMap<String, Vec<u8>>>,
    pub(crate) fetched: Mutex<Vec<String>>,
}

impl FetchContent for FakeContent {
    fn fetch<'a>(&'a self, id: &'a str, limit: usize) -> BoxFuture<'a, Result<Vec<u8>, FetchError>> {
        self.fetched.lock().unwrap().push(id.to_owned());
        let content = self.by_id.lock().unwrap().get(id).cloned();
        Box::pin(async move {
            let content = content.ok_or(FetchError::Status(404))?;
            if content.len() > limit { Err(FetchError::TooLarge(limit)) } else { Ok(content) }
        })
    }
}

struct NoEndorsements;

impl FindEndorsements for NoEndorsements {
    fn find(&self, _: &Evidence, _: UnixSeconds) -> Option<Arc<Endorsements>> {
        None
    }
}

pub(crate) struct Releasing {
    pub(crate) address: SocketAddr,
    pub(crate) tasks: Arc<FakeTasks>,
    pub(crate) content: Arc<FakeContent>,
    folder: TempDir,
    _service: Service,
}

impl Releasing {
    /// With all secrets of the vector stored.
    pub(crate) async fn start(adjust: impl FnOnce(&mut Config)) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.server.address = "127.0.0.1".parse().unwrap();
        config.server.port = 0;
        config.chain.id = 1337.try_into().unwrap();
        config.rate_limit.enabled = false;
        adjust(&mut config);
        let chain = Arc::new(FakeChain::default());
        chain.register(AssetKind::App, address(APP), wallet(1).address());
        chain.register(AssetKind::Dataset, address(DATASET), wallet(1).address());
        let (store, root_key) = store_of(&folder);
        let vault = Vault::open(store, Arc::new(root_key)).unwrap();
        let (tasks, content) = (Arc::new(FakeTasks::default()), Arc::new(FakeContent::default()));
        *tasks.shown.lock().unwrap() = Some(snapshot());
        let domain = TrustDomain::Production;
        let public_url = "https://sms.test/".parse().unwrap();
        let attestation = Attestation::new(
            TrustAnchors::production(),
            Policy::production(),
            ApprovedImages::default(),
            Box::new(NoEndorsements),
            1,
        );
        let settings = ReleaseSettings {
            hub: Address::repeat_byte(0x11),
            tasks: tasks.clone(),
            attestation,
            content: content.clone(),
            provisioner: Provisioner::from_config(&config, public_url, domain.clone()).unwrap(),
            trust_domain: domain,
        };
        let noon = Clock::new(|| "2026-01-31T12:00:00Z".parse().unwrap());
        let service = Service::start_with(&config, chain, vault, noon, Some(settings)).await.unwrap();
        let releasing = Self { address: service.address(), tasks, content, folder, _service: service };
        releasing.push_all().await;
        releasing
    }

    async fn push_all(&self) {
        let (a, b, c) = (wallet(1), wallet(2), wallet(3));
        let app = challenge::push_app_secret(address(APP), &value("app-secret"));
        self.push(&format!("/apps/{APP}/secrets"), &signed(&a, app), "app-secret").await;
        let key = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
        let dataset = challenge::push_dataset_secret(address(DATASET), &value(key));
        self.push(&format!("/secrets/web3?secretAddress={DATASET}"), &signed(&a, dataset), key).await;
        self.push_requester_secret("my-secret_1", "s3cr3t é").await;
        for (who, name, text) in [
            (&a, "iexec-result-encryption-public-key", RESULT_KEY),
            (&b, "iexec-result-iexec-result-proxy-url", "https://result.example.org"),
            (&c, "iexec-result-iexec-ipfs-token", "eyJhbGciOiJIUzI1NiJ9.e30.x"),
        ] {
            let owner = who.address();
            let signature = signed(who, challenge::push_account_secret(owner, name, &value(text)));
            self.push(&format!("/secrets/web2?ownerAddress={owner}&secretName={name}"), &signature, text).await;
        }
    }

    pub(crate) async fn push_requester_secret(&self, name: &str, text: &str) {
        let owner = wallet(1).address();
        let signature = signed(&wallet(1), challenge::push_requester_secret(owner, name, &value(text)));
        self.push(&format!("/requesters/{owner}/secrets/{name}"), &signature, text).await;
    }

    async fn push(&self, target: &str, signature: &str, body: &str) {
        let request = Request::new("POST", target).header("Authorization", signature);
        let answer = request.header("Content-Type", "text/plain").body(body).send(self.address).await;
        assert_eq!(answer.status, 204, "{target}: {answer:?}");
    }

    /// Changes what the chain shows.
    pub(crate) fn change(&self, change: impl FnOnce(&mut TaskSnapshot)) {
        change(self.tasks.shown.lock().unwrap().as_mut().unwrap());
    }

    /// From now on the task is number `index` of a deal of as many.
    pub(crate) fn be_task(&self, index: u64) {
        self.change(|shown| {
            (shown.task.index, shown.deal.bot_size) = (index, index + 1);
            shown.task.id = TaskId::of(deal(), index);
        });
    }

    /// The task that the chain shows.
    fn task(&self) -> TaskId {
        self.tasks.shown.lock().unwrap().as_ref().unwrap().task.id
    }

    /// The address of the task's enclave challenge, as the scheduler asks for it.
    pub(crate) async fn challenge(&self) -> Address {
        let signature = signed(&wallet(2), enclave_challenge_request(self.task()));
        let request =
            Request::new("POST", &format!("/tee/challenges/{}", self.task())).header("Authorization", &signature);
        let answer = request.body("").send(self.address).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        address(&answer.body)
    }

    /// The body of a session request, and the worker's signature over it.
    pub(crate) async fn request(&self) -> (Value, String) {
        let (pool, worker, challenge) = (wallet(2), wallet(3), self.challenge().await);
        let authorization = workerpool_authorization(worker.address(), self.task(), challenge);
        let body = json!({
            "chainTaskId": self.task().to_string(),
            "workerWallet": worker.address().to_string(),
            "enclaveChallenge": challenge.to_string(),
            "signature": { "value": pool.sign(authorization).to_string() },
        });
        (body, signed(&worker, authorization))
    }

    /// A session as the stock worker asks for it.
    pub(crate) async fn session(&self) -> Answer {
        let (body, signature) = self.request().await;
        let request = Request::new("POST", "/tee/sessions").header("Authorization", &signature);
        request.header("Content-Type", "application/json").body(body.to_string()).send(self.address).await
    }

    /// The journal of the task, read from the files.
    pub(crate) async fn journal(&self) -> Vec<Record> {
        let (config, root_key) = store_of(&self.folder);
        Store::open(&config, root_key()).unwrap().journal(task()).await.unwrap()
    }

    #[track_caller]
    pub(crate) fn assert_refused(answer: &Answer, error: &str, reason: &str) {
        answer.assert(500, &format!(r#"{{"error":"{error}"}}"#), reason);
        let told = answer.header("strongroom-reason").unwrap_or_default();
        assert!(told.contains(reason), "{told:?} does not say {reason:?}");
    }
}

fn store_of(folder: &TempDir) -> (StoreConfig, impl Fn() -> RootKeySource + Send + Sync + use<>) {
    let key = folder.path().join("root.key");
    let config = StoreConfig { path: folder.path().join("data/strongroom.db"), chain_id: 1337 };
    (config, move || RootKeySource::File(key.clone()))
}

/// Whether the entry is of a grant, and to whom.
pub(crate) fn granted_to(record: &Record) -> Option<&str> {
    matches!(record.outcome, Outcome::Granted(_)).then_some(record.enclave.as_str())
}

pub(crate) fn task() -> TaskId {
    TaskId::of(deal(), 0)
}

fn deal() -> DealId {
    B256::repeat_byte(0x22).into()
}

fn snapshot() -> TaskSnapshot {
    let (owner, pool_owner) = (wallet(1).address(), wallet(2).address());
    let asset = |address, owner| DealAsset { address, owner, price: U256::ZERO };
    let later = UnixSeconds(4_000_000_000);
    TaskSnapshot {
        block: Block { number: 7, hash: B256::repeat_byte(7), time: UnixSeconds(1_700_000_000) },
        task: Task {
            id: task(),
            status: TaskStatus::Active,
            deal: deal(),
            index: 0,
            contribution_deadline: later,
            final_deadline: later,
        },
        deal: Deal {
            id: deal(),
            app: asset(address(APP), owner),
            dataset: Some(asset(address(DATASET), owner)),
            workerpool: asset(Address::repeat_byte(9), pool_owner),
            trust: U256::ONE,
            category: U256::ZERO,
            tag: Tag(B256::with_last_byte(0x09)),
            requester: owner,
            beneficiary: owner,
            callback: None,
            params: PARAMS.to_owned(),
            start_time: UnixSeconds(1_600_000_000),
            bot_first: 0,
            bot_size: 1,
        },
        category_seconds: 300,
        app: App {
            address: address(APP),
            owner,
            multiaddr: b"docker.io/acme/app:1.0".to_vec(),
            checksum: B256::repeat_byte(0x44),
            mrenclave: Vec::new(),
        },
        dataset: Some(Dataset {
            address: address(DATASET),
            owner,
            multiaddr: hex::decode("a5032212205d008f22f8f878fd58473a634cc73d41049fc0d19b81002eaae221ac5a446a3e")
                .unwrap(),
            checksum: B256::repeat_byte(0x55),
        }),
        workerpool_owner: pool_owner,
    }
}
