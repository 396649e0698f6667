//! What owners do: create apps, datasets and workerpools, and pass them on.

use alloy::rpc::types::TransactionReceipt;
use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::SolCall;

use crate::contracts::{Registry, Rlc};
use crate::deploy::{Chain, token_id};
use crate::development_accounts;
use crate::node::{NodeError, Unsent, event};

/// Gas for the creation of a dataset with short texts, which takes 0.57 million.
const CREATE_DATASET_GAS: u64 = 900_000;

/// What an app is made of. The same values for the same owner cannot be used twice: the address derives from them.
#[derive(Clone, Debug)]
pub struct App {
    /// Any name.
    pub name: String,
    /// Where the image is.
    pub multiaddr: Bytes,
    /// Digest of the image.
    pub checksum: B256,
    /// Empty for an app that is not of SGX, else a JSON text with `framework`, `version`, `entrypoint`, `heapSize` and `fingerprint`.
    pub mrenclave: String,
}

/// What a dataset is made of. The same values for the same owner cannot be used twice.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// Any name.
    pub name: String,
    /// Where the encrypted file is.
    pub multiaddr: Bytes,
    /// Digest of the encrypted file.
    pub checksum: B256,
}

impl App {
    /// An app called `name` whose other values are plausible and of no importance.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            multiaddr: Bytes::from(format!("registry.example/{name}:1").into_bytes()),
            checksum: alloy_primitives::keccak256(name),
            mrenclave: String::new(),
        }
    }
}

impl Dataset {
    /// A dataset called `name` whose other values are plausible and of no importance.
    pub fn named(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            multiaddr: Bytes::from(format!("https://data.example/{name}").into_bytes()),
            checksum: alloy_primitives::keccak256(name),
        }
    }
}

impl Chain {
    /// Creates an app that belongs to the sender.
    pub async fn create_app(&self, owner: &PrivateKeySigner, app: &App) -> Result<Address, NodeError> {
        self.create_app_for(owner, owner.address(), app).await
    }

    /// Creates an app that belongs to `owner`; the sender only pays for the transaction.
    pub async fn create_app_for(
        &self,
        sender: &PrivateKeySigner,
        owner: Address,
        app: &App,
    ) -> Result<Address, NodeError> {
        let call = Registry::createAppCall {
            owner,
            name: app.name.clone(),
            kind: "DOCKER".to_owned(),
            multiaddr: app.multiaddr.clone(),
            checksum: app.checksum,
            mrenclave: app.mrenclave.clone().into_bytes().into(),
        };
        self.create(sender, self.deployment.app_registry, &call).await
    }

    /// Creates a dataset that belongs to the sender.
    pub async fn create_dataset(&self, owner: &PrivateKeySigner, dataset: &Dataset) -> Result<Address, NodeError> {
        self.create_dataset_for(owner, owner.address(), dataset).await
    }

    /// Creates a dataset that belongs to `owner`; the sender only pays for the transaction.
    pub async fn create_dataset_for(
        &self,
        sender: &PrivateKeySigner,
        owner: Address,
        dataset: &Dataset,
    ) -> Result<Address, NodeError> {
        let call = Registry::createDatasetCall {
            owner,
            name: dataset.name.clone(),
            multiaddr: dataset.multiaddr.clone(),
            checksum: dataset.checksum,
        };
        self.create(sender, self.deployment.dataset_registry, &call).await
    }

    /// Creates many datasets that belong to `owner`, as many in a block as fit; the sender only pays for the transactions.
    pub async fn create_datasets_for(
        &self,
        sender: &PrivateKeySigner,
        owner: Address,
        datasets: impl IntoIterator<Item = Dataset>,
    ) -> Result<Vec<Address>, NodeError> {
        let registry = self.deployment.dataset_registry;
        let transactions = datasets.into_iter().map(|dataset| {
            let Dataset { name, multiaddr, checksum } = dataset;
            let what = format!("creation of dataset {name}");
            let call = Registry::createDatasetCall { owner, name, multiaddr, checksum };
            Unsent { what, to: registry.into(), input: call.abi_encode().into(), gas: CREATE_DATASET_GAS }
        });
        let receipts = self.node.send_all(sender, transactions.collect()).await?;
        receipts.iter().map(|receipt| created(receipt, registry, Registry::createDatasetCall::SIGNATURE)).collect()
    }

    /// Creates a workerpool that belongs to the sender.
    pub async fn create_workerpool(&self, owner: &PrivateKeySigner, description: &str) -> Result<Address, NodeError> {
        let call = Registry::createWorkerpoolCall { owner: owner.address(), description: description.to_owned() };
        self.create(owner, self.deployment.workerpool_registry, &call).await
    }

    /// Passes a resource of `registry` to another owner (ERC-721 transfer by its present owner).
    pub async fn transfer(
        &self,
        owner: &PrivateKeySigner,
        registry: Address,
        resource: Address,
        to: Address,
    ) -> Result<(), NodeError> {
        let call = Registry::safeTransferFromCall { from: owner.address(), to, tokenId: token_id(resource) };
        self.node.send(owner, registry, &call).await.map(drop)
    }

    /// Who owns a resource of `registry` now. Fails if the registry does not know it.
    pub async fn owner_of(&self, registry: Address, resource: Address) -> Result<Address, NodeError> {
        self.node.call(registry, &Registry::ownerOfCall { tokenId: token_id(resource) }).await
    }

    /// Gives an account RLC, in nRLC, out of the first development account, which has all of it in the beginning.
    pub async fn give(&self, to: Address, amount: U256) -> Result<(), NodeError> {
        let [treasury, ..] = development_accounts();
        self.node.send(&treasury.signer(), self.deployment.rlc, &Rlc::transferCall { to, amount }).await.map(drop)
    }

    /// Deposits RLC, in nRLC, from the account's own tokens into the hub, as payment or stake.
    pub async fn deposit(&self, account: &PrivateKeySigner, amount: U256) -> Result<(), NodeError> {
        let approve = Rlc::approveCall { spender: self.deployment.hub, amount };
        self.node.send(account, self.deployment.rlc, &approve).await?;
        let deposit = crate::contracts::Hub::depositCall { amount };
        self.node.send(account, self.deployment.hub, &deposit).await.map(drop)
    }

    async fn create<C: SolCall>(
        &self,
        sender: &PrivateKeySigner,
        registry: Address,
        call: &C,
    ) -> Result<Address, NodeError> {
        let receipt = self.node.send(sender, registry, call).await?;
        created(&receipt, registry, C::SIGNATURE)
    }
}

/// The resource whose creation in `registry` has this receipt.
fn created(receipt: &TransactionReceipt, registry: Address, what: &str) -> Result<Address, NodeError> {
    let minted: Registry::Transfer = event(receipt, registry, what)?;
    Ok(Address::from_word(B256::from(minted.tokenId)))
}
