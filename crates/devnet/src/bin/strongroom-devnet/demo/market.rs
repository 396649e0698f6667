//! What the people of the story do on chain: register, sign orders, match, revoke; with the code that pools and owners use.

use alloy_primitives::{Address, B256, U256};
use anyhow::{Context, bail};
use strongroom_devnet::{Devnet, development_accounts};
use strongroom_poco::accounts::Registries;
use strongroom_poco::calls::{self, Call, Manage as _, NewApp, NewDataset, Operation};
use strongroom_poco::orders::{self, AppOrder, DatasetOrder, Order as _, RequestOrder, Signed, WorkerpoolOrder};
use strongroom_poco::{Chain, ChainConfig, Receipt, SendError, SendLimits, Wallet};
use strongroom_protocol::{DealId, SigningKey};

/// TEE and TDX.
const TDX: B256 = B256::with_last_byte(9);
/// Prices of one task, in nRLC.
pub(crate) const DATASET_PRICE: u64 = 3_000_000_000;
pub(crate) const POOL_PRICE: u64 = 10_000_000_000;

/// The chain, and everybody's wallets.
pub(crate) struct Market {
    pub(crate) chain: Chain,
    registries: Registries,
    salt: std::cell::Cell<u8>,
}

/// The orders of one purchase.
pub(crate) struct Orders {
    pub(crate) app: Signed<AppOrder>,
    pub(crate) dataset: Signed<DatasetOrder>,
    pub(crate) workerpool: Signed<WorkerpoolOrder>,
    pub(crate) request: Signed<RequestOrder>,
}

/// What is bought, from whom.
pub(crate) struct Wanted<'a> {
    pub(crate) app: Address,
    pub(crate) dataset: &'a Signed<DatasetOrder>,
    pub(crate) workerpool: Address,
    pub(crate) params: String,
}

/// The key of a development account.
pub(crate) fn key(account: usize) -> anyhow::Result<SigningKey> {
    let account = development_accounts().get(account).copied().context("there are ten accounts")?;
    SigningKey::from_bytes(&account.well_known_key().0).context("the published keys are valid")
}

impl Market {
    pub(crate) async fn open(network: &Devnet) -> anyhow::Result<Self> {
        let deployment = network.deployment();
        let chain = Chain::new(ChainConfig::new(network.rpc_url().parse()?, deployment.chain_id, deployment.hub))?;
        let registries = chain.registries().await?;
        Ok(Self { chain, registries, salt: 1.into() })
    }

    fn hub(&self) -> Address {
        self.chain.identity().1
    }

    fn salt(&self) -> B256 {
        self.salt.set(self.salt.get() + 1);
        B256::repeat_byte(self.salt.get())
    }

    pub(crate) async fn send(&self, account: usize, call: &Call) -> anyhow::Result<Receipt> {
        Ok(Wallet::new(self.chain.clone(), key(account)?, SendLimits::default()).send(call).await?)
    }

    pub(crate) async fn create_app(&self, account: usize, app: NewApp) -> anyhow::Result<Address> {
        let call = calls::create_app(self.registries.app, key(account)?.address(), app);
        let receipt = self.send(account, &call).await?;
        calls::created(&receipt, self.registries.app).context("the registry told no address")
    }

    pub(crate) async fn create_dataset(&self, account: usize, dataset: NewDataset) -> anyhow::Result<Address> {
        let call = calls::create_dataset(self.registries.dataset, key(account)?.address(), dataset);
        let receipt = self.send(account, &call).await?;
        calls::created(&receipt, self.registries.dataset).context("the registry told no address")
    }

    /// Gives RLC of the bank to an account, and has it pay them in at the hub.
    pub(crate) async fn fund(&self, bank: usize, account: usize, amount: u64) -> anyhow::Result<()> {
        let amount = U256::from(amount);
        self.send(bank, &calls::send_rlc(self.registries.rlc, key(account)?.address(), amount)).await?;
        self.send(account, &calls::deposit(self.registries.rlc, self.hub(), amount)).await?;
        Ok(())
    }

    /// The owner's grant: `dataset` at its price, for ten tasks of `app` and no other.
    pub(crate) fn grant(&self, owner: usize, dataset: Address, app: Address) -> anyhow::Result<Signed<DatasetOrder>> {
        let order = DatasetOrder {
            dataset,
            datasetprice: U256::from(DATASET_PRICE),
            volume: U256::from(10),
            tag: TDX,
            apprestrict: app,
            salt: self.salt(),
            ..DatasetOrder::default()
        };
        Ok(order.sign(&self.domain(), &key(owner)?))
    }

    /// Signs what is still missing for a purchase: the app's owner offers it for nothing, the pool at its price, the requester asks.
    pub(crate) fn orders(
        &self,
        wanted: &Wanted<'_>,
        app_owner: usize,
        pool_owner: usize,
        requester: usize,
    ) -> anyhow::Result<Orders> {
        let (volume, trust, category) = (U256::from(1), U256::from(1), U256::ZERO);
        let asks = key(requester)?;
        let app = AppOrder { app: wanted.app, volume, tag: TDX, salt: self.salt(), ..AppOrder::default() };
        let workerpool = WorkerpoolOrder {
            workerpool: wanted.workerpool,
            workerpoolprice: U256::from(POOL_PRICE),
            volume,
            tag: TDX,
            category,
            trust,
            salt: self.salt(),
            ..WorkerpoolOrder::default()
        };
        let request = RequestOrder {
            app: wanted.app,
            dataset: wanted.dataset.order.dataset,
            datasetmaxprice: U256::from(DATASET_PRICE),
            workerpool: wanted.workerpool,
            workerpoolmaxprice: U256::from(POOL_PRICE),
            requester: asks.address(),
            volume,
            tag: TDX,
            category,
            trust,
            beneficiary: asks.address(),
            params: wanted.params.clone(),
            salt: self.salt(),
            ..RequestOrder::default()
        };
        let domain = self.domain();
        Ok(Orders {
            app: app.sign(&domain, &key(app_owner)?),
            dataset: wanted.dataset.clone(),
            workerpool: workerpool.sign(&domain, &key(pool_owner)?),
            request: request.sign(&domain, &asks),
        })
    }

    /// Matches orders that must match into a deal.
    pub(crate) async fn buy(&self, requester: usize, orders: &Orders) -> anyhow::Result<DealId> {
        match self.try_to_buy(requester, orders).await? {
            Ok(deal) => Ok(deal),
            Err(reason) => bail!("the orders do not match: {reason}"),
        }
    }

    /// Matches orders into a deal, or tells why the hub refuses.
    pub(crate) async fn try_to_buy(&self, requester: usize, orders: &Orders) -> anyhow::Result<Result<DealId, String>> {
        let call = calls::match_orders(self.hub(), &orders.app, &orders.dataset, &orders.workerpool, &orders.request);
        let wallet = Wallet::new(self.chain.clone(), key(requester)?, SendLimits::default());
        match wallet.send(&call).await {
            Ok(receipt) => Ok(Ok(calls::matched(&receipt, self.hub()).context("the hub told no deal")?.0)),
            Err(SendError::Reverted { reason, .. }) => Ok(Err(reason)),
            Err(error) => Err(error.into()),
        }
    }

    /// Revokes a grant on chain, for good.
    pub(crate) async fn revoke(&self, owner: usize, grant: &Signed<DatasetOrder>) -> anyhow::Result<()> {
        self.send(owner, &DatasetOrder::manage(self.hub(), grant, Operation::Close)).await.map(drop)
    }

    fn domain(&self) -> alloy_sol_types::Eip712Domain {
        orders::domain(self.chain.identity().0, self.hub())
    }
}
