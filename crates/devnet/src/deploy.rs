//! Deploys the PoCo contracts in token mode on a fresh chain, or finds those of a running one; either way, nothing is
//! believed that was not read back.

use std::fmt;

use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use alloy_sol_types::{Eip712Domain, SolCall, eip712_domain};

use crate::artifacts::{Artifact, ArtifactError, Artifacts};
use crate::contracts::{Diamond, DiamondArgs, Domain, FacetCut, Hub, Registry, constructDiamondCall, initCall};
use crate::node::{Node, NodeError, Unsent};

/// In the order of deployment. `IexecConfigurationFacet` must be there before `configure`, `IexecCategoryManagerFacet`
/// before `createCategory`.
const FACETS: [&str; 13] = [
    "IexecAccessorsABILegacyFacet",
    "IexecCategoryManagerFacet",
    "IexecConfigurationExtraFacet",
    "IexecConfigurationFacet",
    "IexecERC20Facet",
    "IexecEscrowTokenFacet",
    "IexecOrderManagementFacet",
    "IexecPoco1Facet",
    "IexecPoco2Facet",
    "IexecPocoAccessorsFacet",
    "IexecPocoBoostFacet",
    "IexecPocoBoostAccessorsFacet",
    "IexecRelayFacet",
];

/// The facets with which a diamond starts.
const FIRST_FACETS: [&str; 3] = ["DiamondCutFacet", "DiamondLoupeFacet", "OwnershipFacet"];

/// The library that five facets are linked with.
const LIBRARY: &str = "IexecLibOrders_v5";

/// Name and duration in seconds: a task may run for ten times its duration.
const CATEGORIES: [(&str, u64); 5] = [("XS", 300), ("S", 1200), ("M", 3600), ("L", 10_800), ("XL", 36_000)];

/// Gas of a contract creation, per byte: 200 to keep it, up to 40 to send it, and some to run it.
const CREATION_GAS_PER_BYTE: u64 = 250;
/// Gas of a contract creation besides. The largest, the app registry, takes 4.0 million for 16 kB, with another contract that it creates.
const CREATION_GAS: u64 = 800_000;
/// Gas of a call during deployment: a `diamondCut` with thirty selectors takes 0.9 million.
const CALL_GAS: u64 = 1_500_000;

/// What the contracts say about the gas of a callback, in version 6.1.
const CALLBACK_GAS: u64 = 100_000;

/// Why there is no deployment.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// A contract could not be made ready.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// The node failed or refused.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// What was read back is not what it must be.
    #[error(
        "{what} of the contracts at {hub} is {found}, not {expected}; these are not PoCo 6.1 contracts in token mode"
    )]
    Mismatch {
        /// The diamond that was asked.
        hub: Address,
        /// What was read.
        what: &'static str,
        /// What it must be.
        expected: String,
        /// What it is.
        found: String,
    },
}

/// Where the contracts are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deployment {
    /// The diamond, also called IexecHub or PoCo proxy.
    pub hub: Address,
    /// ERC-721 registry of apps.
    pub app_registry: Address,
    /// ERC-721 registry of datasets.
    pub dataset_registry: Address,
    /// ERC-721 registry of workerpools.
    pub workerpool_registry: Address,
    /// The token that is staked; 9 decimals.
    pub rlc: Address,
    /// The chain.
    pub chain_id: u64,
}

/// The contracts on a node: what owners, buyers, schedulers and workers do goes through this.
#[derive(Clone, Debug)]
pub struct Chain {
    /// The node.
    pub node: Node,
    /// Where the contracts are.
    pub deployment: Deployment,
}

impl Deployment {
    /// Deploys everything from `deployer`, which stays the owner, and reads it back. 48 transactions, 38.7 million gas.
    pub async fn create(node: &Node, deployer: &PrivateKeySigner, artifacts: &Artifacts) -> Result<Self, DeployError> {
        let chain_id = node.chain_id().await?;
        let first_nonce = node.next_nonce(deployer.address()).await?;
        let mut plan = Plan { deployer: deployer.address(), first_nonce, transactions: Vec::new() };
        let deployment = plan.everything(artifacts, chain_id)?;
        node.send_all(deployer, plan.transactions).await?;
        deployment.verify(node).await?;
        let owner = node.call(deployment.hub, &Hub::ownerCall {}).await?;
        deployment.must_be("owner()", &deployer.address(), &owner)?;
        let categories = node.call(deployment.hub, &Hub::countCategoryCall {}).await?;
        deployment.must_be("countCategory()", &U256::from(CATEGORIES.len()), &categories)?;
        let facets = node.call(deployment.hub, &Diamond::facetsCall {}).await?;
        deployment.must_be("the number of facets", &(FACETS.len() + FIRST_FACETS.len()), &facets.len())?;
        Ok(deployment)
    }

    /// Finds the deployment whose diamond is `hub` and verifies it; sends no transaction.
    pub async fn at(node: &Node, hub: Address) -> Result<Self, DeployError> {
        let deployment = Self {
            hub,
            app_registry: node.call(hub, &Hub::appregistryCall {}).await?,
            dataset_registry: node.call(hub, &Hub::datasetregistryCall {}).await?,
            workerpool_registry: node.call(hub, &Hub::workerpoolregistryCall {}).await?,
            rlc: node.call(hub, &Hub::tokenCall {}).await?,
            chain_id: node.chain_id().await?,
        };
        deployment.verify(node).await?;
        Ok(deployment)
    }

    /// The EIP-712 domain in which orders are signed.
    pub fn domain(&self) -> Eip712Domain {
        eip712_domain! {
            name: "iExecODB",
            version: "5.0.0",
            chain_id: self.chain_id,
            verifying_contract: self.hub,
        }
    }

    /// Reads what is true of each deployment in token mode, whoever made it.
    async fn verify(&self, node: &Node) -> Result<(), DeployError> {
        let hub = self.hub;
        let contracts = [
            ("token()", self.rlc, node.call(hub, &Hub::tokenCall {}).await?),
            ("appregistry()", self.app_registry, node.call(hub, &Hub::appregistryCall {}).await?),
            ("datasetregistry()", self.dataset_registry, node.call(hub, &Hub::datasetregistryCall {}).await?),
            ("workerpoolregistry()", self.workerpool_registry, node.call(hub, &Hub::workerpoolregistryCall {}).await?),
        ];
        for (what, expected, found) in contracts {
            self.must_be(what, &expected, &found)?;
            if node.code(found).await?.is_empty() {
                self.must_be(what, &"the address of a contract", &"an address without code")?;
            }
        }
        let expected = Domain {
            name: "iExecODB".to_owned(),
            version: "5.0.0".to_owned(),
            chainId: U256::from(self.chain_id),
            verifyingContract: hub,
        };
        let found = node.call(hub, &Hub::domainCall {}).await?;
        self.must_be("domain()", &Debugged(expected), &Debugged(found))?;
        // This read goes through the linked library.
        let found = node.call(hub, &Hub::eip712domain_separatorCall {}).await?;
        self.must_be("eip712domain_separator()", &self.domain().hash_struct(), &found)?;
        let found = node.call(hub, &Hub::callbackgasCall {}).await?;
        self.must_be("callbackgas()", &U256::from(CALLBACK_GAS), &found)
    }

    fn must_be<T>(&self, what: &'static str, expected: &T, found: &T) -> Result<(), DeployError>
    where
        T: PartialEq + fmt::Display,
    {
        if expected == found {
            return Ok(());
        }
        Err(DeployError::Mismatch { hub: self.hub, what, expected: expected.to_string(), found: found.to_string() })
    }
}

/// Shows a generated type in an error message.
#[derive(PartialEq)]
struct Debugged<T>(T);

impl<T: fmt::Debug> fmt::Display for Debugged<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The transactions of a deployment, made before any is sent: addresses follow from nonces.
struct Plan {
    deployer: Address,
    first_nonce: u64,
    transactions: Vec<Unsent>,
}

impl Plan {
    fn everything(&mut self, artifacts: &Artifacts, chain_id: u64) -> Result<Deployment, ArtifactError> {
        let rlc = self.create("RLC", artifacts, &[], &[])?;
        let init = self.create("DiamondInit", artifacts, &[], &[])?;
        let hub = self.diamond(artifacts, init)?;
        let library = self.create(LIBRARY, artifacts, &[], &[])?;
        for name in FACETS {
            let facet = self.create(name, artifacts, &[(LIBRARY, library)], &[])?;
            let cuts = vec![addition(facet, artifacts.contract(name)?)];
            self.call(hub, &Diamond::diamondCutCall { cuts, init: Address::ZERO, data: Bytes::new() });
        }
        let app_registry = self.registry("AppRegistry", artifacts)?;
        let dataset_registry = self.registry("DatasetRegistry", artifacts)?;
        let workerpool_registry = self.registry("WorkerpoolRegistry", artifacts)?;
        self.call(
            hub,
            &Hub::configureCall {
                token: rlc,
                name: "Staked RLC".to_owned(),
                symbol: "SRLC".to_owned(),
                decimals: 9,
                appRegistry: app_registry,
                datasetRegistry: dataset_registry,
                workerpoolRegistry: workerpool_registry,
                previous: Address::ZERO,
            },
        );
        for (name, seconds) in CATEGORIES {
            self.call(
                hub,
                &Hub::createCategoryCall {
                    name: name.to_owned(),
                    description: "{}".to_owned(),
                    workClockTimeRef: U256::from(seconds),
                },
            );
        }
        Ok(Deployment { hub, app_registry, dataset_registry, workerpool_registry, rlc, chain_id })
    }

    fn diamond(&mut self, artifacts: &Artifacts, init: Address) -> Result<Address, ArtifactError> {
        let mut cuts = Vec::new();
        for name in FIRST_FACETS {
            let facet = self.create(name, artifacts, &[], &[])?;
            cuts.push(addition(facet, artifacts.contract(name)?));
        }
        let args = DiamondArgs { owner: self.deployer, init, initCalldata: initCall {}.abi_encode().into() };
        let arguments = constructDiamondCall { cuts, args }.abi_encode();
        self.create("Diamond", artifacts, &[], &arguments[4..]) // a constructor has no selector
    }

    fn registry(&mut self, name: &str, artifacts: &Artifacts) -> Result<Address, ArtifactError> {
        let registry = self.create(name, artifacts, &[], &[])?;
        self.call(registry, &Registry::initializeCall { previous: Address::ZERO });
        self.call(registry, &Registry::setBaseURICall { uri: "devnet:".to_owned() });
        Ok(registry)
    }

    fn create(
        &mut self,
        name: &str,
        artifacts: &Artifacts,
        libraries: &[(&str, Address)],
        arguments: &[u8],
    ) -> Result<Address, ArtifactError> {
        let address = self.deployer.create(self.first_nonce + self.transactions.len() as u64);
        let input = artifacts.contract(name)?.creation_code(libraries, arguments)?;
        let what = format!("creation of {name}");
        let gas = CREATION_GAS + CREATION_GAS_PER_BYTE * input.len() as u64;
        self.transactions.push(Unsent { what, to: TxKind::Create, input, gas });
        Ok(address)
    }

    fn call<C: SolCall>(&mut self, to: Address, call: &C) {
        let what = format!("{} of {to}", C::SIGNATURE);
        self.transactions.push(Unsent { what, to: to.into(), input: call.abi_encode().into(), gas: CALL_GAS });
    }
}

fn addition(facet: Address, artifact: &Artifact) -> FacetCut {
    FacetCut { facetAddress: facet, action: 0, functionSelectors: artifact.selectors() }
}

/// Identifies a resource in its registry: the address as a number.
pub(crate) fn token_id(resource: Address) -> U256 {
    U256::from_be_bytes(B256::left_padding_from(resource.as_slice()).0)
}
