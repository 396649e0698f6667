//! The whole local network: chain and contracts, the service, storage for datasets and results, and a workerpool whose enclaves are
//! simulated. Nothing in those enclaves is protected.

use std::io;
use std::path::{Path, PathBuf};

use alloy_primitives::Address;
use sha2::{Digest, Sha384};
use strongroom_protocol::UnixSeconds;
use strongroom_simulator::{BootEvent, Simulator, TdxMeasured};

use crate::content_store::ContentStore;
use crate::node::NodeError;
use crate::pool::{Pool, PoolError, PoolOptions};
use crate::programs::{self, MissingProgram};
use crate::result_proxy::ResultProxy;
use crate::simulated::SimulatedTrust;
use crate::sms::{Sms, SmsError, SmsOptions};
use crate::{Devnet, development_accounts};

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
    /// The chain failed.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The service did not start.
    #[error(transparent)]
    Sms(#[from] SmsError),
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
    /// The contract of the workerpool.
    pub workerpool: Address,
    /// Images of apps go into this OCI layout.
    pub images: PathBuf,
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
    /// Starts everything beside the chain of `network`, with files in `folder`, which must exist and have a short path. `now` is the time at which
    /// simulated endorsements are current.
    pub async fn start(
        network: &Devnet,
        programs: &Programs,
        folder: &Path,
        now: UnixSeconds,
    ) -> Result<Self, WholeError> {
        let chain = network.chain()?;
        let owner = development_accounts()[POOL_OWNER].signer();
        let workerpool = chain.create_workerpool(&owner, "local workerpool").await?;
        for name in ["sms", "pool", "content", "trust"] {
            std::fs::create_dir_all(folder.join(name))?;
        }
        let platform = measured(&std::fs::read(&programs.guest)?);
        let simulator = Simulator::from_seed([0; 32]);
        let trust = SimulatedTrust::write(&folder.join("trust"), &simulator, &[("local guest", &platform)], now)?;

        let serving = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let (contracts, content) = (network.chain()?, folder.join("content"));
        let started = serving.spawn(async move {
            let store = ContentStore::start(&content, 0).await?;
            let proxy = ResultProxy::start(contracts, store.files().clone(), 0).await?;
            Ok::<_, io::Error>((store, proxy))
        });
        let (store, proxy) = started.await.map_err(WholeError::Interrupted)??;

        let simulated = Some(trust);
        let sms = SmsOptions { simulated, ..SmsOptions::new(&programs.sms, folder.join("sms")) };
        let sms = Sms::start(network, sms)?;
        let images = folder.join("images");
        let pool = Pool::start(
            network,
            &PoolOptions {
                program: programs.pool.clone(),
                guest: programs.guest.clone(),
                simulator: programs.simulator.clone(),
                folder: folder.join("pool"),
                workerpool,
                owner,
                worker: development_accounts()[WORKER].signer(),
                sms_url: sms.url().to_owned(),
                result_proxy: Some(proxy.url()),
                gateways: vec![store.url()],
                images: vec![images.clone()],
                places: 2,
                port: 0,
                log_filter: "info".to_owned(),
            },
        )?;
        Ok(Self { sms, pool, store, proxy, workerpool, images, serving: Some(serving) })
    }
}
