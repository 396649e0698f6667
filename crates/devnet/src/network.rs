//! The whole local network as one value.

use std::fmt;
use std::path::PathBuf;

use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::{Address, B256, address, b256};

use crate::anvil::{Anvil, AnvilOptions};
use crate::artifacts::{ArtifactError, Artifacts};
use crate::deploy::{Chain, DeployError, Deployment};
use crate::node::{Node, NodeError};
use crate::npm::{Cache, FetchError};
use crate::process::ProcessError;

/// Why the network did not start.
#[derive(Debug, thiserror::Error)]
pub enum DevnetError {
    /// A package is missing.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// The contracts are unusable.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// anvil did not start.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// The contracts could not be deployed, or are not what they must be.
    #[error(transparent)]
    Deploy(#[from] DeployError),
    /// The node failed.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The program is shutting down.
    #[error("the start of the network was interrupted")]
    Interrupted(#[source] tokio::task::JoinError),
}

/// An account with money. Its key is known to everybody who has ever used a development chain: never use it elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Account {
    /// The address.
    pub address: Address,
    well_known_key: B256,
}

impl Account {
    /// The private key, published with the tools of development chains.
    pub fn well_known_key(&self) -> B256 {
        self.well_known_key
    }

    /// Signs as this account.
    #[expect(clippy::missing_panics_doc, reason = "only the ten published keys are ever here")]
    pub fn signer(&self) -> PrivateKeySigner {
        PrivateKeySigner::from_bytes(&self.well_known_key).expect("the published keys are valid")
    }
}

/// The ten accounts that each fresh development chain funds with 10,000 coins, from the mnemonic
/// `test test test test test test test test test test test junk`. The first one deploys the contracts and has all RLC.
pub fn development_accounts() -> [Account; 10] {
    [
        (
            address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266"),
            b256!("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"),
        ),
        (
            address!("70997970C51812dc3A010C7d01b50e0d17dc79C8"),
            b256!("59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"),
        ),
        (
            address!("3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"),
            b256!("5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a"),
        ),
        (
            address!("90F79bf6EB2c4f870365E785982E1f101E93b906"),
            b256!("7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6"),
        ),
        (
            address!("15d34AAf54267DB7D7c367839AAf71A00a2C6A65"),
            b256!("47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a"),
        ),
        (
            address!("9965507D1a55bcC2695C58ba16FB37d819B0A4dc"),
            b256!("8b3a350cf5c34c9194ca85829a2df0ec3153be0318b5e2d3348e872092edffba"),
        ),
        (
            address!("976EA74026E726554dB657fA54763abd0C3a0aa9"),
            b256!("92db14e403b83dfe3df233f83dfa3a0d7096f21ca9b0d6d6b8d88b2b4ec1564e"),
        ),
        (
            address!("14dC79964da2C08b23698B3D3cc7Ca32193d9955"),
            b256!("4bbbf85ce3377467afe5d46f804f221813b2bb87f24d81f60f1fcdbf7cbf4356"),
        ),
        (
            address!("23618e81E3f5cdF7f54C3d65f7FBc0aBf5B21E8f"),
            b256!("dbda1821b80551c9d65939329250298aa3472ba22feea921c0cf5d620ea67b97"),
        ),
        (
            address!("a0Ee7A142d267C1f36714E4a8F75612F20a79720"),
            b256!("2a871d0798f97d79848a013d4936a73bf4cc922c825d33c1cf7073dff6d409c6"),
        ),
    ]
    .map(|(address, well_known_key)| Account { address, well_known_key })
}

/// What network to start.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The chain to start.
    pub chain: AnvilOptions,
    /// Where packages are kept. `None` for the cache folder of this user.
    pub cache: Option<Cache>,
    /// An `anvil` program that is installed already. `None` to take the one of the npm package.
    pub anvil: Option<PathBuf>,
}

/// A running network. Dropping it stops everything it started.
#[derive(Debug)]
pub struct Devnet {
    anvil: Option<Anvil>,
    rpc_url: String,
    deployment: Deployment,
    sms_url: Option<String>,
}

impl Devnet {
    /// Starts a fresh chain with the contracts on it.
    pub async fn start(options: Options) -> Result<Self, DevnetError> {
        let preparation = tokio::task::spawn_blocking(move || prepare(options));
        let (anvil, artifacts) = preparation.await.map_err(DevnetError::Interrupted)??;
        let [deployer, ..] = development_accounts();
        let node = Node::new(anvil.rpc_url())?;
        let deployment = Deployment::create(&node, &deployer.signer(), &artifacts).await?;
        Ok(Self { rpc_url: anvil.rpc_url().to_owned(), anvil: Some(anvil), deployment, sms_url: None })
    }

    /// Uses a running node and the contracts whose diamond is `hub`; starts and deploys nothing.
    pub async fn attach(rpc_url: &str, hub: Address) -> Result<Self, DevnetError> {
        let deployment = Deployment::at(&Node::new(rpc_url)?, hub).await?;
        Ok(Self { anvil: None, rpc_url: rpc_url.to_owned(), deployment, sms_url: None })
    }

    /// Address of the node.
    pub fn rpc_url(&self) -> &str {
        &self.rpc_url
    }

    /// Where the contracts are.
    pub fn deployment(&self) -> &Deployment {
        &self.deployment
    }

    /// The accounts that have money on a chain of ours; nothing is known about those of an attached one.
    pub fn accounts(&self) -> Vec<Account> {
        if self.anvil.is_some() { development_accounts().to_vec() } else { Vec::new() }
    }

    /// The contracts, for use in the present asynchronous runtime.
    pub fn chain(&self) -> Result<Chain, NodeError> {
        Ok(Chain { node: Node::new(&self.rpc_url)?, deployment: self.deployment })
    }

    /// The chain process, unless the network is attached to a chain of others.
    pub fn anvil(&self) -> Option<&Anvil> {
        self.anvil.as_ref()
    }

    /// The same, to freeze and thaw, to end and start again.
    pub fn anvil_mut(&mut self) -> Option<&mut Anvil> {
        self.anvil.as_mut()
    }

    /// Whether everything that was started still runs.
    pub fn is_running(&mut self) -> bool {
        self.anvil.as_mut().is_none_or(Anvil::is_running)
    }

    /// Remembers the address of the SMS that serves this network, for the table.
    pub fn set_sms_url(&mut self, url: impl Into<String>) {
        self.sms_url = Some(url.into());
    }

    /// Stops everything that was started. The same as dropping it, said aloud.
    pub fn stop(self) {
        drop(self);
    }
}

/// Everything that blocks: packages, the chain process, the contracts from the tarball.
fn prepare(options: Options) -> Result<(Anvil, Artifacts), DevnetError> {
    let cache = options.cache.map_or_else(Cache::of_user, Ok)?;
    let artifacts = Artifacts::of_poco(&cache)?;
    let program = options.anvil.map_or_else(|| cache.anvil(), Ok)?;
    Ok((Anvil::start(&program, &options.chain)?, artifacts))
}

impl fmt::Display for Devnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let deployment = &self.deployment;
        let mut row = |name: &str, value: &dyn fmt::Display| writeln!(f, "{name:<20}  {value}");
        row("RPC URL", &self.rpc_url)?;
        row("Chain id", &deployment.chain_id)?;
        row("Hub", &deployment.hub)?;
        row("App registry", &deployment.app_registry)?;
        row("Dataset registry", &deployment.dataset_registry)?;
        row("Workerpool registry", &deployment.workerpool_registry)?;
        row("RLC", &deployment.rlc)?;
        if let Some(url) = &self.sms_url {
            row("SMS URL", url)?;
        }
        for (index, account) in self.accounts().iter().enumerate() {
            row(&format!("Account {index}"), &account.address)?;
            row("  well-known key", &account.well_known_key)?;
        }
        Ok(())
    }
}
