//! Puts the parts of the pool together from the settings, and runs them.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use axum::Router;
use rustix::fs::FlockOperation;
use strongroom_client::Service as SmsClient;
use strongroom_oci::{Bounds, ImageStore, Registry};
use strongroom_poco::notices::ReadRanges;
use strongroom_poco::{Chain, SendLimits, Wallet};
use strongroom_protocol::{Address, SigningKey, address};
use strongroom_runtime::Limits;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, OnceCell};
use tracing::{info, warn};
use zeroize::Zeroizing;

use crate::program::backend;
use strongroom_pool::api::Api;
use strongroom_pool::config::Config;
use strongroom_pool::engine::{Engine, Parts, Patience};
use strongroom_pool::judge::Offer;
use strongroom_pool::keys::{self, PasswordSource};
use strongroom_pool::ledger::Contracts;
use strongroom_pool::lifecycle::Role;
use strongroom_pool::metrics::Metrics;
use strongroom_pool::outside::{Clock, with_causes};
use strongroom_pool::room::Room;
use strongroom_pool::runner::folder::RunsFolder;
use strongroom_pool::runner::images::{Images, Turns};
use strongroom_pool::runner::{EnclaveSettings, Enclaves};
use strongroom_pool::scheduler::Scheduler;
use strongroom_pool::services::HttpServices;
use strongroom_pool::store::Store;
use strongroom_pool::watch::Watch;
use strongroom_pool::worker::Worker;

/// Pause between two tries to reach chain or SMS at the start.
const START_PAUSE: Duration = Duration::from_secs(2);
/// Longest wait for what an earlier life of the pool sent.
const WAITING_PATIENCE: Duration = Duration::from_mins(5);
/// How often old logs are looked for.
const FORGET_EVERY: Duration = Duration::from_hours(1);
/// Longest silence of a registry.
const REGISTRY_TIMEOUT: Duration = Duration::from_secs(30);
const MIB: u64 = 1 << 20;

/// Passwords of the environment.
pub(crate) struct Passwords {
    /// Of the owner's wallet file.
    pub(crate) owner: Option<Zeroizing<String>>,
    /// Of the worker's wallet file.
    pub(crate) worker: Option<Zeroizing<String>>,
}

/// A pool that is ready to run.
pub(crate) struct Service {
    engine: Engine,
    watch: Option<Watch>,
    pages: Option<(TcpListener, Router)>,
    chain: Chain,
    store: Store,
    clock: Clock,
    keep_logs_seconds: u64,
    is_simulated: bool,
    /// Held as long as the pool runs: two schedulers of one state would send everything twice.
    _locks: Vec<std::fs::File>,
}

/// Chooses the cryptography of TLS for the whole process. Fails when it was chosen before, which is as good.
pub(crate) fn install_cryptography() -> Result<(), Arc<rustls::crypto::CryptoProvider>> {
    rustls::crypto::ring::default_provider().install_default()
}

/// The keys of the halves that run here, opened.
pub(crate) struct Keys {
    pub(crate) owner: Option<Arc<SigningKey>>,
    pub(crate) worker: Option<Arc<SigningKey>>,
    /// The worker's address, also where only the scheduler runs.
    pub(crate) worker_address: Address,
}

impl Keys {
    /// Opens the wallet files that `roles` need. Slow, and blocks.
    pub(crate) fn open(config: &Config, roles: &[Role], passwords: Passwords) -> anyhow::Result<Self> {
        let (scheduler, worker) = (&config.scheduler, &config.worker);
        let owner = if roles.contains(&Role::Scheduler) {
            let source = PasswordSource {
                file: scheduler.password_file.as_deref(),
                setting: "scheduler.password_file",
                value: passwords.owner,
                variable: "STRONGROOM_POOL_SCHEDULER_PASSWORD",
            };
            Some(keys::open(&scheduler.keystore, source).context("the wallet of the pool's owner")?)
        } else {
            None
        };
        let worker_key = if roles.contains(&Role::Worker) {
            let source = PasswordSource {
                file: worker.password_file.as_deref(),
                setting: "worker.password_file",
                value: passwords.worker,
                variable: "STRONGROOM_POOL_WORKER_PASSWORD",
            };
            Some(keys::open(&worker.keystore, source).context("the worker's wallet")?)
        } else {
            None
        };
        let worker_address = match (&worker_key, scheduler.worker) {
            (Some(key), named) => {
                let address = key.address();
                ensure!(
                    named.is_none_or(|named| named == address),
                    "scheduler.worker names another worker than worker.keystore; remove one of them"
                );
                address
            }
            (None, Some(named)) => named,
            (None, None) => keys::address_of(&worker.keystore, "scheduler.worker")?,
        };
        Ok(Self { owner, worker: worker_key, worker_address })
    }
}

impl Service {
    /// Opens state, wallets and folders, and waits until chain and SMS are there and are the right ones.
    pub(crate) async fn prepare(
        config: &Config,
        roles: &[Role],
        passwords: Passwords,
        clock: Clock,
    ) -> anyhow::Result<Self> {
        let (workerpool, hub) = (config.workerpool()?, config.hub()?);
        let (chain_id, sms_url) = (config.chain.id, config.sms_url()?);
        let locks = roles.iter().map(|role| lock(&config.pool.state, *role)).collect::<Result<_, _>>()?;
        let runs = roles.contains(&Role::Worker).then(|| RunsFolder::open(&config.pool.runs)).transpose()?;
        let for_keys = (config.clone(), roles.to_vec());
        let keys = tokio::task::spawn_blocking(move || Keys::open(&for_keys.0, &for_keys.1, passwords)).await??;
        let state = config.pool.state.clone();
        let opened = tokio::task::spawn_blocking(move || Store::open(&state, chain_id, hub, workerpool)).await?;
        let store = opened.with_context(|| format!("the state {} cannot be used", config.pool.state.display()))?;

        let chain = Chain::new(config.chain()?).context("the chain settings are not usable")?;
        until_it_is_the_right_chain(&chain).await?;
        let services = Arc::new(HttpServices::new(sms_url).context("HTTP cannot be set up")?);
        let metrics = Arc::new(Metrics::new());
        let ledger = Arc::new(contracts(config, &chain, workerpool, &keys)?);
        for wallet in ledger.owner.iter().chain(&ledger.worker) {
            until_nothing_waits(wallet).await;
        }
        let room = room(config);
        let (runner, is_simulated) = runner(config, runs, store.clone(), ledger.clone(), clock.clone()).await?;

        let scheduler = scheduler(config, workerpool, &keys)?;
        let worker = keys.worker.as_ref().map(|key| Worker {
            key: Arc::clone(key),
            proxy: config.results.proxy.clone(),
            attempts: config.worker.attempts.max(1),
            token: Mutex::default(),
        });
        let watch = scheduler.is_some().then(|| Watch {
            ledger: ledger.clone(),
            store: store.clone(),
            clock: clock.clone(),
            pause: Duration::from_millis(config.chain.watch_ms),
            metrics: Arc::clone(&metrics),
        });
        let mut salt = [0; 32];
        getrandom::fill(&mut salt).context("the system gives no randomness")?;
        let api = Api {
            store: store.clone(),
            ledger: ledger.clone(),
            clock: clock.clone(),
            chain_id,
            worker: keys.worker_address,
            metrics: Arc::clone(&metrics),
            room: room.clone(),
            cors: config.scheduler.cors.clone(),
            salt,
        };
        let pages = if scheduler.is_some() {
            Some((listen(config.scheduler.listen()).await?, api.router()))
        } else if let Some(at) = config.worker.listen() {
            Some((listen(at).await?, api.router_of_worker()))
        } else {
            None
        };
        info!(
            workerpool = %workerpool, owner = keys.owner.as_ref().map(|key| address::checksummed(&key.address())),
            worker = %keys.worker_address, places = room.free(), simulated = is_simulated, "the pool is ready"
        );
        let patience = Patience::default();
        let parts = Parts {
            store: store.clone(),
            ledger,
            services,
            runner,
            clock: clock.clone(),
            scheduler,
            worker,
            room,
            patience,
            metrics,
        };
        Ok(Self {
            engine: Engine::new(parts),
            watch,
            pages,
            chain,
            store,
            clock,
            keep_logs_seconds: config.scheduler.log_days.saturating_mul(86_400),
            is_simulated,
            _locks: locks,
        })
    }

    /// Whether evidence is simulated.
    pub(crate) fn is_simulated(&self) -> bool {
        self.is_simulated
    }

    /// Runs until the API breaks down. Dropping the future stops everything; running enclaves are ended.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let Self { engine, watch, pages, chain, store, clock, keep_logs_seconds, .. } = self;
        let watching = async {
            match &watch {
                Some(watch) => watch.run(&engine).await,
                None => std::future::pending().await,
            }
        };
        let serving = async {
            match pages {
                Some((listener, pages)) => axum::serve(listener, pages).await,
                None => std::future::pending().await,
            }
        };
        let forgetting = async {
            loop {
                let before = clock.now().0.saturating_sub(keep_logs_seconds);
                if let Err(error) = store.forget_logs(strongroom_protocol::UnixSeconds(before)).await {
                    warn!(error = with_causes(&error), "old logs could not be removed");
                }
                tokio::time::sleep(FORGET_EVERY).await;
            }
        };
        tokio::select! {
            () = engine.run() => bail!("the engine ended"),
            () = watching => bail!("the watch ended"),
            () = chain.watch_head() => bail!("the watch of the chain's head ended"),
            () = forgetting => bail!("the clean-up ended"),
            served = serving => served.context("the API broke down"),
        }
    }
}

/// The chain with the wallets that are here.
fn contracts(config: &Config, chain: &Chain, workerpool: Address, keys: &Keys) -> anyhow::Result<Contracts> {
    let limits = SendLimits {
        max_gas_price_wei: match config.chain.max_fee_per_gas {
            0 => u128::MAX,
            cap => u128::from(cap),
        },
        ..SendLimits::default()
    };
    let wallet = |key: &Option<Arc<SigningKey>>| -> anyhow::Result<Option<Wallet>> {
        let Some(key) = key else { return Ok(None) };
        // A wallet wants a key of its own; keys cannot be cloned, on purpose.
        let own = SigningKey::from_bytes(&key.expose_secret()).context("a key is no key")?;
        Ok(Some(Wallet::new(chain.clone(), own, limits)))
    };
    let (owner, worker) = (wallet(&keys.owner)?, wallet(&keys.worker)?);
    Ok(Contracts {
        chain: chain.clone(),
        workerpool,
        start_block: config.chain.start_block,
        ranges: ReadRanges {
            blocks: config.chain.log_range.max(1),
            depth: config.chain.confirmations,
            ..ReadRanges::default()
        },
        // One wallet for both halves takes its turns for both.
        worker: match (&owner, worker) {
            (Some(owner), Some(worker)) if owner.address() == worker.address() => Some(owner.clone()),
            (_, worker) => worker,
        },
        owner,
    })
}

/// The scheduler's half, if its key is here.
fn scheduler(config: &Config, workerpool: Address, keys: &Keys) -> anyhow::Result<Option<Scheduler>> {
    let Some(key) = &keys.owner else { return Ok(None) };
    let offer = Offer {
        workerpool,
        owner: key.address(),
        frameworks: config.frameworks()?,
        proxy: config.results.proxy.clone(),
        margin_seconds: config.scheduler.margin_seconds,
    };
    Ok(Some(Scheduler {
        key: Arc::clone(key),
        offer,
        worker: keys.worker_address,
        claims: config.scheduler.claim,
        published: OnceCell::new(),
    }))
}

/// One process for each half of a state.
fn lock(state: &Path, role: Role) -> anyhow::Result<std::fs::File> {
    let name = match role {
        Role::Scheduler => "scheduler.lock",
        Role::Worker => "worker.lock",
    };
    let folder = state.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let path = state.with_extension(name);
    let file = std::fs::File::create(&path).with_context(|| format!("{} cannot be made", path.display()))?;
    rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).with_context(|| {
        format!("another {} runs with this state ({} is locked)", name.trim_end_matches(".lock"), path.display())
    })?;
    Ok(file)
}

async fn until_it_is_the_right_chain(chain: &Chain) -> anyhow::Result<()> {
    loop {
        match chain.check().await {
            Ok(()) => return Ok(()),
            Err(error) if error.is_retryable() => {
                warn!(error = with_causes(&error), "the chain is not there yet");
                tokio::time::sleep(START_PAUSE).await;
            }
            Err(error) => return Err(error).context("the chain is not the configured one"),
        }
    }
}

/// What an earlier life of the pool sent must be in a block before the state of the chain says what is still to be sent.
async fn until_nothing_waits(wallet: &Wallet) {
    let started = tokio::time::Instant::now();
    loop {
        match wallet.has_waiting().await {
            Ok(false) => return,
            Ok(true) if started.elapsed() > WAITING_PATIENCE => {
                warn!(wallet = %wallet.address(), "transactions of the wallet still wait; the pool goes on");
                return;
            }
            Ok(true) => {}
            Err(error) => warn!(error = with_causes(&error), "the chain cannot be read"),
        }
        tokio::time::sleep(START_PAUSE).await;
    }
}

/// The identity key of the SMS: configured, or what it says of itself. It must serve the same chain and hub.
async fn sms_key(config: &Config) -> anyhow::Result<Address> {
    let client = SmsClient::new(config.sms_url()?)?;
    loop {
        match client.identity().await {
            Ok(identity) => {
                let hub = address::parse_any_case(&identity.hub).context("the SMS names no hub")?;
                ensure!(
                    identity.chain_id == config.chain.id && hub == config.hub()?,
                    "the SMS serves hub {hub} on chain {}, not ours; check sms.url",
                    identity.chain_id
                );
                let key = address::parse_any_case(&identity.key_id).context("the SMS names no identity key")?;
                ensure!(
                    config.sms.key_id.is_none_or(|pinned| pinned == key),
                    "the SMS answers with identity {key}, not with sms.key_id; is it the right one?"
                );
                return Ok(key);
            }
            Err(error) if error.is_retryable() => {
                warn!(error = with_causes(&error), "the SMS is not there yet");
                tokio::time::sleep(START_PAUSE).await;
            }
            Err(error) => return Err(error).context("the SMS does not say who it is"),
        }
    }
}

async fn runner(
    config: &Config,
    runs: Option<RunsFolder>,
    store: Store,
    ledger: Arc<Contracts>,
    clock: Clock,
) -> anyhow::Result<(Arc<dyn strongroom_pool::outside::RunTasks>, bool)> {
    let Some(runs) = runs else { return Ok((Arc::new(NoRunner), false)) };
    let simulator = config.runtime.native.simulator.clone();
    let is_simulated = simulator.is_some();
    let settings = EnclaveSettings {
        chain_id: config.chain.id,
        hub: config.hub()?,
        sms: config.sms_url()?,
        sms_key_id: sms_key(config).await?,
        proxy: config.results.proxy.clone(),
        gateways: config.results.gateways.clone(),
        guest: config.runtime.guest.clone(),
        simulator,
        limits: Limits {
            memory_bytes: u64::from(config.worker.task_memory_mib) * MIB,
            cpu_milli: config.worker.task_cpu_milli,
            processes: config.worker.task_processes,
            log_bytes: config.worker.log_bytes,
            ..Limits::default()
        },
        input_bytes: u64::from(config.worker.task_input_mib) * MIB,
        output_bytes: u64::from(config.worker.task_output_mib) * MIB,
        danger_allow_private_destinations: config.relay.danger_allow_private_destinations,
    };
    let runtime = backend::start(config).await?;
    let cache = config.images.cache.clone();
    let opened = tokio::task::spawn_blocking(move || ImageStore::open(cache, Bounds::default())).await?;
    let images = Images {
        store: opened?,
        sources: config.images.sources.clone(),
        registry: config.images.registries.then(|| registry(config)).transpose()?,
        turns: Turns::default(),
    };
    let enclaves = Enclaves::new(settings, runs, store, ledger, images, runtime, clock);
    enclaves.tidy_up().with_context(|| format!("{} cannot be used", config.pool.runs.display()))?;
    Ok((Arc::new(enclaves), is_simulated))
}

fn registry(config: &Config) -> anyhow::Result<Registry> {
    let client = reqwest::Client::builder().connect_timeout(REGISTRY_TIMEOUT).read_timeout(REGISTRY_TIMEOUT).build();
    let registry = Registry::new(client.context("HTTP cannot be set up")?);
    let registry = registry.whole_pull(Duration::from_millis(config.images.pull_timeout_ms));
    let plain = &config.images.danger_plain_http_registries;
    Ok(plain.iter().fold(registry, |registry, host| registry.danger_plain_http(host)))
}

fn room(config: &Config) -> Room {
    let worker = &config.worker;
    let processors = std::thread::available_parallelism().map_or(1, |count| u32::try_from(count.get()).unwrap_or(1));
    let cpu_milli = match worker.cpu_milli {
        0 => processors.saturating_sub(1).max(1) * 1000,
        given => given,
    };
    let memory_mib = match worker.memory_mib {
        0 => memory_of_this_machine_mib() / 4 * 3,
        given => given,
    };
    Room::new(cpu_milli, memory_mib, worker.task_cpu_milli, worker.task_memory_mib)
}

fn memory_of_this_machine_mib() -> u32 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib =
        text.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    u32::try_from(kib.unwrap_or_default() / 1024).unwrap_or(u32::MAX)
}

async fn listen(at: SocketAddr) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(at).await.with_context(|| format!("cannot listen on {at}"))?;
    info!(address = %listener.local_addr()?, "listening");
    Ok(listener)
}

/// Where only the scheduler runs.
struct NoRunner;

impl strongroom_pool::outside::RunTasks for NoRunner {
    fn fetch<'a>(&'a self, _deal: &'a strongroom_pool::outside::DealView) -> strongroom_pool::outside::Asked<'a, ()> {
        Box::pin(async { Err(strongroom_pool::outside::OutsideError::Trouble("no worker runs here".to_owned())) })
    }

    fn run(
        &self,
        _run: strongroom_pool::outside::Run,
    ) -> strongroom_pool::outside::Asked<'_, strongroom_pool::outside::Ended> {
        Box::pin(async { Err(strongroom_pool::outside::OutsideError::Trouble("no worker runs here".to_owned())) })
    }
}
