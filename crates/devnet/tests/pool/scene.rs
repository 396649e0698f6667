//! A network with everybody who takes part in it: the service, the pool, an app, its owner, a buyer.

use std::io::{self, Cursor, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::SolEvent as _;
use serde_json::Value;
use strongroom_devnet::content_store::ContentStore;
use strongroom_devnet::contracts::Hub;
use strongroom_devnet::market::{Offered, Purchase, tag};
use strongroom_devnet::pool::{Pool, PoolOptions};
use strongroom_devnet::resources::App;
use strongroom_devnet::result_proxy::ResultProxy;
use strongroom_devnet::simulated::SimulatedTrust;
use strongroom_devnet::sms::{Sms, SmsOptions};
use strongroom_devnet::tasks::task_id;
use strongroom_devnet::whole::measured;
use strongroom_devnet::{Devnet, development_accounts};
use strongroom_oci::ImageBuilder;
use strongroom_pool::lifecycle::Role;
use strongroom_protocol::{SigningKey, UnixSeconds};
use strongroom_simulator::Simulator;
use tempfile::TempDir;

use crate::support;

/// Accounts of the network by what they do.
pub(crate) const OWNER: usize = 1;
pub(crate) const REQUESTER: usize = 2;
pub(crate) const SCHEDULER: usize = 3;
pub(crate) const WORKER: usize = 4;
/// Called with results; nobody is there, which the hub does not mind.
const CALLBACK: Address = Address::repeat_byte(0xca);
/// How long a task may take to come to its end. It needs about a second; a loaded machine needs more.
const PATIENCE: Duration = Duration::from_mins(3);

/// Status numbers of tasks on chain.
pub(crate) const UNSET: u8 = 0;
pub(crate) const ACTIVE: u8 = 1;
pub(crate) const COMPLETED: u8 = 3;
pub(crate) const FAILED: u8 = 4;
/// The category of ordinary tasks, of 300 s.
pub(crate) const XS: u64 = 0;

pub(crate) struct Scene {
    pub(crate) network: Devnet,
    pub(crate) sms: Sms,
    /// The pool, or its scheduler where the halves are two programs.
    pub(crate) pool: Pool,
    /// The worker, where it is a program of its own.
    pub(crate) worker: Option<Pool>,
    /// Where datasets and results are.
    pub(crate) store: ContentStore,
    pub(crate) proxy: ResultProxy,
    workerpool: Address,
    images: PathBuf,
    /// Taken by whoever sends as an account that others send as too.
    pub(crate) buying: tokio::sync::Mutex<()>,
    /// Serves store and proxy for all tests that share the scene; each has a runtime of its own.
    serving: Option<tokio::runtime::Runtime>,
    folder: TempDir,
}

/// What a scene is like.
#[derive(Clone, Copy)]
pub(crate) struct Setting {
    /// Enclaves at once.
    pub(crate) places: u32,
    /// Whether scheduler and worker are two programs.
    pub(crate) halves: bool,
    /// Whether the pool runs as an ordinary user, where we are root.
    pub(crate) ordinary_user: bool,
}

impl Default for Setting {
    fn default() -> Self {
        Self { places: 4, halves: false, ordinary_user: false }
    }
}

/// What is bought.
pub(crate) struct Order<'a> {
    pub(crate) app: Address,
    pub(crate) tasks: u64,
    pub(crate) category: u64,
    pub(crate) params: &'a str,
    /// A dataset of the owner's.
    pub(crate) dataset: Option<Address>,
    /// Whether the result goes to a contract instead of the result proxy.
    pub(crate) callback: bool,
}

impl Order<'_> {
    /// One ordinary task whose result goes to a callback.
    pub(crate) fn of(app: Address) -> Self {
        Self { app, tasks: 1, category: XS, params: "{}", dataset: None, callback: true }
    }
}

pub(crate) fn wallet(index: usize) -> PrivateKeySigner {
    development_accounts()[index].signer()
}

pub(crate) fn key(index: usize) -> SigningKey {
    SigningKey::from_bytes(&wallet(index).to_bytes().0).unwrap()
}

/// A port that is free now: a service that is started again keeps its address.
fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A program that becomes the pool as user 65533, after it gave the pool's files to that user.
fn without_root(pool: &Path, folder: &Path) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let (program, pool, folder) = (folder.join("as-ordinary-user"), pool.display(), folder.display());
    let user = "--reuid 65533 --regid 65533 --clear-groups";
    let script = format!(
        "#!/bin/sh\nset -e\nchmod 711 '{folder}'\nchown -R 65533:65533 '{folder}/pool'\nexec setpriv {user} '{pool}' \"$@\"\n"
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    program
}

impl Drop for Scene {
    fn drop(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.shutdown_background();
        }
    }
}

impl Scene {
    /// The one that other tests use at this moment, else a new one. It ends with the last test that holds it.
    pub(crate) async fn shared() -> Arc<Self> {
        static CURRENT: tokio::sync::Mutex<Weak<Scene>> = tokio::sync::Mutex::const_new(Weak::new());
        let mut current = CURRENT.lock().await;
        if let Some(scene) = current.upgrade() {
            return scene;
        }
        let scene = Arc::new(Self::new().await);
        *current = Arc::downgrade(&scene);
        scene
    }

    pub(crate) async fn new() -> Self {
        Self::with(Setting::default()).await
    }

    pub(crate) async fn with(setting: Setting) -> Self {
        // Only the first of the tests in this process can; the choice is the same.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let network = support::devnet().await;
        let chain = network.chain().unwrap();
        let workerpool = chain.create_workerpool(&wallet(SCHEDULER), "pool").await.unwrap();
        // Unix sockets of runs are below it.
        let folder = tempfile::Builder::new().prefix("sr").tempdir_in("/tmp").unwrap();
        let images = folder.path().join("layout");
        let simulator = support::program("strongroom-simulator", "strongroom-simulator");
        let guest = tokio::task::spawn_blocking(support::static_guest).await.unwrap();
        let trusted = folder.path().join("trust");
        std::fs::create_dir(&trusted).unwrap();
        let measured = measured(&std::fs::read(&guest).unwrap());
        let now = UnixSeconds(u64::try_from(jiff::Timestamp::now().as_second()).unwrap());
        let trust = SimulatedTrust::write(&trusted, &Simulator::from_seed([0; 32]), &[("guest", &measured)], now);
        for name in ["pool", "content"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        let serving = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (chain, content) = (network.chain().unwrap(), folder.path().join("content"));
        let started = serving.spawn(async move {
            let store = ContentStore::start(&content, 0).await.unwrap();
            let proxy = ResultProxy::start(chain, store.files().clone(), 0).await.unwrap();
            (store, proxy)
        });
        let (store, proxy) = started.await.unwrap();
        let sms_folder = folder.path().join("sms");
        std::fs::create_dir(&sms_folder).unwrap();
        let mut sms_options = SmsOptions::new(support::program("strongroom-sms", "strongroom-sms"), sms_folder);
        sms_options.port = free_port();
        sms_options.simulated = Some(trust.unwrap());
        sms_options.gateway = Some(store.url());
        let (network, sms) = tokio::task::spawn_blocking(move || {
            let sms = Sms::start(&network, sms_options).unwrap();
            (network, sms)
        })
        .await
        .unwrap();
        let mut program = support::program("strongroom-pool", "strongroom-pool");
        if setting.ordinary_user {
            program = without_root(&program, folder.path());
        }
        let options = PoolOptions {
            program,
            guest,
            simulator,
            folder: folder.path().join("pool"),
            workerpool,
            owner: wallet(SCHEDULER),
            worker: wallet(WORKER),
            sms_url: sms.url().to_owned(),
            result_proxy: Some(proxy.url()),
            gateways: vec![store.url()],
            images: vec![images.clone()],
            places: setting.places,
            port: 0,
            log_filter: "info,strongroom_pool=debug".to_owned(),
        };
        let (network, pool, worker) = tokio::task::spawn_blocking(move || {
            let half = |half| Pool::start_half(&network, &options, half).unwrap();
            let (pool, worker) = if setting.halves {
                (half(Role::Scheduler), Some(half(Role::Worker)))
            } else {
                (Pool::start(&network, &options).unwrap(), None)
            };
            (network, pool, worker)
        })
        .await
        .unwrap();
        Self {
            network,
            sms,
            pool,
            worker,
            store,
            proxy,
            workerpool,
            images,
            buying: tokio::sync::Mutex::default(),
            serving: Some(serving),
            folder,
        }
    }

    /// An app that runs this shell script, registered on chain with the digest of its image.
    pub(crate) async fn app(&self, name: &str, script: &str) -> Address {
        self.app_with(name, script, |_| Ok(())).await
    }

    /// As [`Self::app`], with what `add` puts into its image besides.
    pub(crate) async fn app_with(
        &self,
        name: &str,
        script: &str,
        add: impl FnOnce(&mut ImageBuilder) -> io::Result<()>,
    ) -> Address {
        let mut image = support::shell_image(script);
        add(&mut image).unwrap();
        let digest = image.write_layout(&self.images, name).unwrap();
        let app = App { checksum: B256::from(*digest.as_bytes()), ..App::named(name) };
        let _turn = self.buying.lock().await;
        self.network.chain().unwrap().create_app(&wallet(OWNER), &app).await.unwrap()
    }

    /// An app whose checksum is that of no image.
    pub(crate) async fn app_without_image(&self, name: &str) -> Address {
        let _turn = self.buying.lock().await;
        self.network.chain().unwrap().create_app(&wallet(OWNER), &App::named(name)).await.unwrap()
    }

    /// An app whose checksum is not that of the image that the pool has under the name on chain.
    pub(crate) async fn app_of_another_image(&self, name: &str, script: &str) -> Address {
        let registered = App::named(name);
        let place = std::str::from_utf8(&registered.multiaddr).unwrap();
        let digest = support::shell_image(script).write_layout(&self.images, place).unwrap();
        assert_ne!(registered.checksum, B256::from(*digest.as_bytes()));
        self.app_without_image(name).await
    }

    /// A category of tasks that may take so long. Gives its number.
    pub(crate) async fn category(&self, seconds: u64) -> u64 {
        let chain = self.network.chain().unwrap();
        let hub = self.network.deployment().hub;
        let next = chain.node.call(hub, &Hub::countCategoryCall {}).await.unwrap();
        let (name, description) = ("short".to_owned(), String::new());
        let call = Hub::createCategoryCall { name, description, workClockTimeRef: U256::from(seconds) };
        chain.node.send(&wallet(0), hub, &call).await.unwrap();
        next.to()
    }

    /// Buys tasks. Gives their ids.
    pub(crate) async fn buy(&self, order: Order<'_>) -> Vec<B256> {
        let (owner, scheduler, requester) = (wallet(OWNER), wallet(SCHEDULER), wallet(REQUESTER));
        let app = Offered { address: order.app, owner: &owner };
        let pool = Offered { address: self.workerpool, owner: &scheduler };
        let mut purchase = Purchase::new(app, pool, &requester, tag::TDX);
        (purchase.volume, purchase.category) = (order.tasks, order.category);
        order.params.clone_into(&mut purchase.params);
        purchase.dataset = order.dataset.map(|address| Offered { address, owner: &owner });
        if order.callback {
            purchase.callback = CALLBACK;
        }
        // Random, because sandboxes are named after tasks: those of two networks on one machine must not have the same ids.
        getrandom::fill(&mut purchase.salt.0).unwrap();
        let chain = self.network.chain().unwrap();
        // Transactions of one account, one after the other.
        let _turn = self.buying.lock().await;
        let deal = chain.buy(&purchase).await.unwrap();
        (0..order.tasks).map(|index| task_id(deal, index)).collect()
    }

    /// Buys one ordinary task.
    pub(crate) async fn buy_one(&self, app: Address) -> B256 {
        self.buy(Order::of(app)).await[0]
    }

    /// The end of a task: what the pool's API says about it.
    pub(crate) async fn end(&self, task: B256) -> Value {
        self.until(task, |model| matches!(model["currentStatus"].as_str(), Some("COMPLETED" | "FAILED"))).await
    }

    /// What the pool's API says about a task, once `is_enough`.
    pub(crate) async fn until(&self, task: B256, is_enough: impl Fn(&Value) -> bool) -> Value {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let begun = Instant::now();
        loop {
            let answer = http.get(format!("{}/tasks/{task}", self.pool.url())).send().await;
            let model: Value = match answer {
                Ok(answer) => answer.json().await.unwrap_or_default(),
                Err(_) => Value::Null,
            };
            if is_enough(&model) {
                return model;
            }
            assert!(begun.elapsed() < PATIENCE, "{model:#}\n{}", self.pool.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// The file `name` of the result that the chain says a completed task has.
    pub(crate) async fn result_file(&self, task: B256, name: &str) -> String {
        let on_chain = self.network.chain().unwrap().task(task).await.unwrap();
        let link: Value = serde_json::from_slice(&on_chain.results).unwrap();
        let cid = link["location"].as_str().unwrap().strip_prefix("/ipfs/").unwrap().parse().unwrap();
        let archive = self.store.files().get(cid).unwrap().unwrap();
        let mut zip = zip::ZipArchive::new(Cursor::new(archive)).unwrap();
        let mut text = String::new();
        zip.by_name(name).unwrap().read_to_string(&mut text).unwrap();
        text
    }

    /// Starts the pool again with other settings: `change` gets all of them.
    pub(crate) fn change_pool(&mut self, change: impl FnOnce(&mut toml::Table)) {
        let text = std::fs::read_to_string(self.pool.settings()).unwrap();
        let mut settings = text.parse().unwrap();
        change(&mut settings);
        std::fs::write(self.pool.settings(), toml::to_string(&settings).unwrap()).unwrap();
        tokio::task::block_in_place(|| self.pool.restart().unwrap());
    }

    /// Folder of everything that the services and the pool keep.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// How often a task was initialised, contributed to, finalised and claimed on chain.
    pub(crate) async fn times_on_chain(&self, task: B256) -> [usize; 4] {
        let events = self.network.chain().unwrap().task_events(task).await.unwrap();
        [
            Hub::TaskInitialize::SIGNATURE_HASH,
            Hub::TaskContribute::SIGNATURE_HASH,
            Hub::TaskFinalize::SIGNATURE_HASH,
            Hub::TaskClaimed::SIGNATURE_HASH,
        ]
        .map(|wanted| events.iter().filter(|event| **event == wanted).count())
    }

    /// Status number and callback bytes of a task on chain.
    pub(crate) async fn on_chain(&self, task: B256) -> (u8, Bytes) {
        let task = self.network.chain().unwrap().task(task).await.unwrap();
        (task.status, task.resultsCallback)
    }
}
