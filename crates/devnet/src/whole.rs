//! The whole local network: chain and contracts, the service, storage for datasets and results, an order book, and a workerpool whose
//! enclaves are simulated. Nothing in those enclaves is protected.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use alloy_primitives::{Address, U256};
use sha2::{Digest, Sha384};
use strongroom_market::{Market, MarketError};
use strongroom_oci::{ImageError, make_layout};
use strongroom_poco::ChainConfig;
use strongroom_poco::orders::{self, Order, WorkerpoolOrder};
use strongroom_protocol::{SigningKey, UnixSeconds};
use strongroom_simulator::{BootEvent, Simulator, TdxMeasured};

use crate::compass::{Compass, Direction};
use crate::content_store::ContentStore;
use crate::node::NodeError;
use crate::order_book::{OrderBook, OrderBookError};
use crate::pool::{Pool, PoolError, PoolOptions};
use crate::programs::{self, MissingProgram};
use crate::result_proxy::ResultProxy;
use crate::sdk::Services;
use crate::simulated::SimulatedTrust;
use crate::sms::{Sms, SmsError, SmsOptions};
use crate::{Devnet, development_accounts};

/// What each account gets, in nRLC: 1,000 RLC.
pub const POCKET_MONEY: u64 = 1_000_000_000_000;
/// Longest wait for the order book, which is in this process.
const MARKET_TIMEOUT: Duration = Duration::from_secs(10);
/// Number of the account that owns the workerpool, and of its worker.
pub const POOL_OWNER: usize = 8;
/// Number of the account of the worker.
pub const WORKER: usize = 9;

/// Why the network did not start.
#[derive(Debug, thiserror::Error)]
pub enum WholeError {
    /// A program is not built.
    #[error(transparent)]
    Program(#[from] MissingProgram),
    /// Files could not be written.
    #[error("the files of the network could not be written")]
    Files(#[from] io::Error),
    /// The folder of images could not be made.
    #[error(transparent)]
    Images(#[from] ImageError),
    /// The chain failed.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The service did not start.
    #[error(transparent)]
    Sms(#[from] SmsError),
    /// The order book did not start.
    #[error(transparent)]
    Book(#[from] OrderBookError),
    /// The order book did not take the pool's offer.
    #[error(transparent)]
    Market(#[from] MarketError),
    /// The address of the node is none.
    #[error("the address of the chain's node is none")]
    Address(#[from] url::ParseError),
    /// The pool did not start.
    #[error(transparent)]
    Pool(#[from] PoolError),
    /// The program is shutting down.
    #[error("the start of the network was interrupted")]
    Interrupted(#[source] tokio::task::JoinError),
}

/// The programs that the network starts.
#[derive(Clone, Debug)]
pub struct Programs {
    /// `strongroom-sms`, built with the feature `development-anchors`.
    pub sms: PathBuf,
    /// `strongroom-pool`.
    pub pool: PathBuf,
    /// `strongroom-simulator`.
    pub simulator: PathBuf,
    /// `strongroom-guest`, linked statically.
    pub guest: PathBuf,
}

impl Programs {
    /// Those beside the running program, as a build of the workspace leaves them, and the guest of `cargo xtask guest`.
    pub fn beside_this_program() -> Result<Self, MissingProgram> {
        Ok(Self {
            sms: programs::beside_this_program("strongroom-sms")?,
            pool: programs::beside_this_program("strongroom-pool")?,
            simulator: programs::beside_this_program("strongroom-simulator")?,
            guest: programs::static_guest()?,
        })
    }
}

/// Where files go. Both must exist.
#[derive(Clone, Copy, Debug)]
pub struct Folders<'a> {
    /// Secrets, stored content and images of apps: may outlive the network.
    pub kept: &'a Path,
    /// What belongs to this very chain. Its path must be short: Unix sockets are below it.
    pub passing: &'a Path,
}

impl<'a> Folders<'a> {
    /// All in one, which passes.
    pub fn all_in(folder: &'a Path) -> Self {
        Self { kept: folder, passing: folder }
    }
}

/// TCP ports on 127.0.0.1; 0, the default, for any free one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ports {
    /// Of the service.
    pub sms: u16,
    /// Of the content store.
    pub storage: u16,
    /// Of the result proxy.
    pub results: u16,
    /// Of the order book.
    pub market: u16,
    /// Of the compass.
    pub compass: u16,
    /// Of the pool's API.
    pub pool: u16,
}

/// A running network. Dropping it stops everything.
#[derive(Debug)]
pub struct WholeNetwork {
    /// The service.
    pub sms: Sms,
    /// The workerpool's scheduler and worker.
    pub pool: Pool,
    /// Where datasets and results are.
    pub store: ContentStore,
    /// Where enclaves put results.
    pub proxy: ResultProxy,
    /// Where orders are published.
    pub market: OrderBook,
    /// Tells where the pool's API is.
    pub compass: Compass,
    /// The contract of the workerpool.
    pub workerpool: Address,
    /// Images of apps go into this OCI layout.
    pub images: PathBuf,
    /// What was started.
    pub programs: Programs,
    /// Serves storage whatever the caller's thread does.
    serving: Option<tokio::runtime::Runtime>,
}

impl Drop for WholeNetwork {
    fn drop(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.shutdown_background();
        }
    }
}

/// What a simulated enclave with this guest program measures to: the guest is the platform's image.
pub fn measured(guest: &[u8]) -> TdxMeasured {
    let digest: [u8; 48] = Sha384::digest(guest).into();
    let mut measured = TdxMeasured { mrtd: digest, ..TdxMeasured::default() };
    measured.log.boot = [(); 3].map(|()| vec![BootEvent::extended(digest)]);
    measured
}

impl WholeNetwork {
    /// Starts everything beside the chain of `network`. `now` is the time at which simulated endorsements are current. The process must have a default provider of cryptography for TLS.
    pub async fn start(
        network: &Devnet,
        programs: &Programs,
        folders: Folders<'_>,
        ports: Ports,
        now: UnixSeconds,
    ) -> Result<Self, WholeError> {
        let chain = network.chain()?;
        let owner = development_accounts()[POOL_OWNER].signer();
        let workerpool = chain.create_workerpool(&owner, "local workerpool").await?;
        let Folders { kept, passing } = folders;
        for folder in ["sms", "content"].map(|name| kept.join(name)) {
            std::fs::create_dir_all(folder)?;
        }
        for folder in ["pool", "trust", "market"].map(|name| passing.join(name)) {
            std::fs::create_dir_all(folder)?;
        }
        let platform = measured(&std::fs::read(&programs.guest)?);
        let simulator = Simulator::from_seed([0; 32]);
        let trust = SimulatedTrust::write(&passing.join("trust"), &simulator, &[("local guest", &platform)], now)?;

        let serving = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let (contracts, content, market) = (network.chain()?, kept.join("content"), passing.join("market"));
        let deployment = *network.deployment();
        let config = ChainConfig::new(network.rpc_url().parse()?, deployment.chain_id, deployment.hub);
        let read = strongroom_poco::Chain::new(config).map_err(OrderBookError::Chain)?;
        let started = serving.spawn(async move {
            let store = ContentStore::start(&content, ports.storage).await?;
            let proxy = ResultProxy::start(contracts.clone(), store.files().clone(), ports.results).await?;
            let market = OrderBook::start(contracts, read, &market, ports.market).await?;
            Ok::<_, WholeError>((store, proxy, market))
        });
        let (store, proxy, market) = started.await.map_err(WholeError::Interrupted)??;

        let simulated = Some(trust);
        let gateway = Some(store.url());
        let sms =
            SmsOptions { simulated, gateway, port: ports.sms, ..SmsOptions::new(&programs.sms, kept.join("sms")) };
        let sms = Sms::start(network, sms)?;
        let images = kept.join("images");
        make_layout(&images)?;
        let pool = Pool::start(
            network,
            &PoolOptions {
                program: programs.pool.clone(),
                guest: programs.guest.clone(),
                simulator: programs.simulator.clone(),
                folder: passing.join("pool"),
                workerpool,
                owner,
                worker: development_accounts()[WORKER].signer(),
                sms_url: sms.url().to_owned(),
                result_proxy: Some(proxy.url()),
                gateways: vec![store.url()],
                images: vec![images.clone()],
                places: 2,
                port: ports.pool,
                log_filter: "info".to_owned(),
            },
        )?;
        let direction = Direction { chain_id: deployment.chain_id, workerpool, api_url: pool.url().to_owned() };
        let started = serving.spawn(Compass::start(direction, ports.compass));
        let compass = started.await.map_err(WholeError::Interrupted)??;
        let programs = programs.clone();
        Ok(Self { sms, pool, store, proxy, market, compass, workerpool, images, programs, serving: Some(serving) })
    }

    /// Gives accounts 1 to 9 RLC, and those of the pool stake at the hub, so that there is something to pay with; then offers `tasks` tasks of
    /// the category XS for nothing in the order book.
    pub async fn open_for_business(&self, network: &Devnet, tasks: u64) -> Result<(), WholeError> {
        let chain = network.chain()?;
        let accounts = development_accounts();
        for account in &accounts[1..] {
            chain.give(account.address, U256::from(POCKET_MONEY)).await?;
        }
        for index in [POOL_OWNER, WORKER] {
            chain.deposit(&accounts[index].signer(), U256::from(POCKET_MONEY / 2)).await?;
        }
        let order = WorkerpoolOrder {
            workerpool: self.workerpool,
            volume: U256::from(tasks),
            tag: crate::market::tag::TDX,
            ..WorkerpoolOrder::default()
        };
        let key = SigningKey::from_bytes(&accounts[POOL_OWNER].well_known_key().0).expect("a published key is valid");
        let (chain_id, hub) = (chain.deployment.chain_id, chain.deployment.hub);
        let order = order.sign(&orders::domain(chain_id, hub), &key);
        let market = Market::new(self.market.url().parse()?, chain_id, hub, MARKET_TIMEOUT)?;
        market.publish(&order, &key).await?;
        Ok(())
    }

    /// Where stock clients find what stands beside chain and SMS.
    pub fn services(&self) -> Services {
        Services { market: Some(self.market.url()), storage: Some(self.store.url()), compass: Some(self.compass.url()) }
    }
}
