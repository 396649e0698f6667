//! One network with everything a command asks: its chain, its order book, its storage, and the wallet that signs.

use std::time::Duration;

use alloy_primitives::U256;
use alloy_sol_types::Eip712Domain;
use strongroom_market::Market;
use strongroom_poco::calls::Call;
use strongroom_poco::orders::domain;
use strongroom_poco::{AssetKind, Chain, ChainConfig, Receipt, SendError, SendLimits, Wallet};
use strongroom_protocol::{Address, SigningKey};
use tokio::runtime::Runtime;
use url::Url;

use crate::arguments::{NetworkChoice, Signer};
use crate::chains::{ChainEntry, ChainName, DEVNET, is_this_machine};
use crate::commands::Session;
use crate::config::Config;
use crate::error::CliError;
use crate::progress::Counter;

/// Most that gas may cost, in wei: far above what the networks of the protocol ask, so that a mistaken node cannot empty a wallet.
const MAX_GAS_PRICE_WEI: u128 = 100_000_000_000;
/// Longest wait for a transaction.
const SEND_PATIENCE: Duration = Duration::from_mins(5);
/// What the cheapest transaction takes.
const LEAST_GAS: u64 = 21_000;

/// A network in use.
pub(crate) struct Network {
    /// How it is called.
    pub(crate) name: ChainName,
    /// Its description.
    pub(crate) entry: ChainEntry,
    /// Its chain.
    pub(crate) chain: Chain,
    /// Longest wait for one answer.
    pub(crate) timeout: Duration,
    runtime: Runtime,
}

impl Network {
    /// The network that was named, else the one in use. Nothing is asked yet.
    pub(crate) fn find(config: &Config, choice: &NetworkChoice) -> Result<Self, CliError> {
        Self::named(config, choice.chain.as_ref(), Duration::from_secs(choice.timeout))
    }

    /// As [`Self::find`].
    pub(crate) fn named(config: &Config, name: Option<&ChainName>, timeout: Duration) -> Result<Self, CliError> {
        let (name, entry, _) = config.chain(name)?;
        Self::of(name, entry, timeout)
    }

    /// The network of this description.
    pub(crate) fn of(name: ChainName, entry: ChainEntry, timeout: Duration) -> Result<Self, CliError> {
        let Some(first) = entry.rpc.first() else { return Err(CliError::NoNode { chain: name }) };
        let config = ChainConfig::new(first.clone(), entry.chain_id, entry.hub);
        let config = ChainConfig { endpoints: entry.rpc.clone(), timeout, retries: 2, ..config };
        let chain = Chain::new(config).map_err(CliError::ChainConfig)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(CliError::Runtime)?;
        Ok(Self { name, entry, chain, timeout, runtime })
    }

    /// Waits for `work`, showing that it goes on.
    pub(crate) fn wait<T, E: Into<CliError>>(
        &self,
        session: &Session<'_>,
        what: &str,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, CliError> {
        session.screen.while_doing(what, || self.runtime.block_on(work)).map_err(Into::into)
    }

    /// Waits for `work` on a file, showing how far it is.
    pub(crate) fn wait_counting<T, E: Into<CliError>>(
        &self,
        session: &Session<'_>,
        what: &str,
        work: impl AsyncFnOnce(&Counter) -> Result<T, E>,
    ) -> Result<T, CliError> {
        session.screen.while_counting(what, None, |counter| self.runtime.block_on(work(counter))).map_err(Into::into)
    }

    /// Waits for `work` without showing it: something else is shown.
    pub(crate) fn quietly<T>(&self, work: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
        self.runtime.block_on(work)
    }

    /// The hub.
    pub(crate) fn hub(&self) -> Address {
        self.entry.hub
    }

    /// What orders of this network are signed for.
    pub(crate) fn domain(&self) -> Eip712Domain {
        domain(self.entry.chain_id, self.entry.hub)
    }

    /// Its order book.
    pub(crate) fn market(&self) -> Result<Market, CliError> {
        let root = self.service(self.entry.market.as_ref(), "order book", "--market")?;
        Ok(Market::new(root.clone(), self.entry.chain_id, self.entry.hub, self.timeout)?)
    }

    /// Where files of IPFS are read.
    pub(crate) fn gateway(&self) -> Result<&Url, CliError> {
        self.service(self.entry.ipfs_gateway.as_ref(), "IPFS gateway", "--ipfs-gateway")
    }

    /// Where files are put on IPFS.
    pub(crate) fn ipfs_node(&self) -> Result<&Url, CliError> {
        self.service(self.entry.ipfs_node.as_ref(), "IPFS node", "--ipfs-node")
    }

    /// Who tells where workerpools answer.
    pub(crate) fn compass(&self) -> Result<&Url, CliError> {
        self.service(self.entry.compass.as_ref(), "compass", "--compass")
    }

    fn service<'a>(
        &self,
        url: Option<&'a Url>,
        service: &'static str,
        option: &'static str,
    ) -> Result<&'a Url, CliError> {
        url.ok_or_else(|| CliError::NoService { chain: self.name.clone(), service, option })
    }

    /// Opens the wallet, for signing and sending.
    pub(crate) fn signer(&self, session: &Session<'_>, config: &Config, signer: &Signer) -> Result<Wallet, CliError> {
        let wallet = session.wallet(&signer.wallet, config)?;
        let (key, _) = session.unlock(&wallet, &signer.password)?;
        Ok(self.sending(key))
    }

    /// A wallet of this key.
    pub(crate) fn sending(&self, key: SigningKey) -> Wallet {
        let limits =
            SendLimits { max_gas_price_wei: MAX_GAS_PRICE_WEI, patience: SEND_PATIENCE, ..SendLimits::default() };
        Wallet::new(self.chain.clone(), key, limits)
    }

    /// Asks whoever is there, then sends a transaction and waits until it is in a block.
    pub(crate) fn send(
        &self,
        session: &Session<'_>,
        wallet: &Wallet,
        call: &Call,
        question: &str,
    ) -> Result<Receipt, CliError> {
        session.confirm(question)?;
        self.wait(session, "Sending the transaction", async {
            self.chain.check().await?;
            wallet.send(call).await.map_err(|error| match error {
                SendError::NoCoin { wallet, has, needs, .. } => self.no_coin(wallet, has, needs),
                error => error.into(),
            })
        })
    }

    /// Fails when `wallet` cannot pay for the cheapest transaction.
    pub(crate) async fn must_have_gas(&self, wallet: Address, has: U256) -> Result<(), CliError> {
        let needs = U256::from(self.chain.gas_price().await?).saturating_mul(U256::from(LEAST_GAS));
        if has < needs { Err(self.no_coin(wallet, has, needs)) } else { Ok(()) }
    }

    fn no_coin(&self, wallet: Address, has: U256, needs: U256) -> CliError {
        CliError::NoCoin { wallet, has, needs, is_local_devnet: self.is_local_devnet() }
    }

    /// Whether this is the network that `strongroom devnet up` starts, which gives its coin away.
    pub(crate) fn is_local_devnet(&self) -> bool {
        self.name.as_str() == DEVNET && self.entry.rpc.iter().all(is_this_machine)
    }

    /// The owner of a resource, which must be registered.
    pub(crate) async fn owner(&self, kind: AssetKind, asset: Address) -> Result<Address, CliError> {
        let owner = self.chain.asset_owner(kind, asset).await?;
        owner.ok_or_else(|| CliError::NotRegistered { kind, asset, chain: self.name.clone() })
    }

    /// Fails unless `wallet` owns the resource.
    pub(crate) async fn must_own(&self, kind: AssetKind, asset: Address, wallet: Address) -> Result<(), CliError> {
        let owner = self.owner(kind, asset).await?;
        if owner == wallet { Ok(()) } else { Err(CliError::NotOwner { kind, asset, owner, wallet }) }
    }
}
