//! A whole network of stand-ins, and a home whose network it is.

use alloy_primitives::{Address, U256};
use strongroom_poco::orders::{AppOrder, DatasetOrder, Order, Signed, WorkerpoolOrder, domain};
use strongroom_protocol::address::{checksummed, parse_any_case};
use strongroom_protocol::{B256, SigningKey};

use crate::home::{ADDRESS, Home, Ran};
use crate::stand_in_chain::{CHAIN_ID, StandInChain};
use crate::stand_in_market::StandInMarket;
use crate::stand_in_sms::StandInSms;

pub(crate) const HUB: Address = Address::repeat_byte(0xb0);
pub(crate) const APP: Address = Address::repeat_byte(0xa1);
pub(crate) const DATASET: Address = Address::repeat_byte(0xd1);
pub(crate) const POOL: Address = Address::repeat_byte(0xb1);
pub(crate) const TDX: B256 = B256::with_last_byte(9);
/// What each offer costs, in nRLC.
pub(crate) const PRICE: u64 = 100;

pub(crate) struct Stage {
    pub(crate) chain: StandInChain,
    pub(crate) market: StandInMarket,
    pub(crate) sms: StandInSms,
    pub(crate) home: Home,
}

pub(crate) fn me() -> Address {
    parse_any_case(ADDRESS).unwrap()
}

/// Somebody who owns app, dataset and workerpool.
pub(crate) fn owner() -> SigningKey {
    SigningKey::from_bytes(&[2; 32]).unwrap()
}

pub(crate) fn text(address: Address) -> String {
    checksummed(&address)
}

pub(crate) fn signed<O: Order>(order: O) -> Signed<O> {
    order.sign(&domain(CHAIN_ID, HUB), &owner())
}

impl Stage {
    /// App, dataset and workerpool belong to [`owner`]; nothing is offered yet.
    pub(crate) fn new() -> Self {
        let chain = StandInChain::start(HUB);
        for asset in [APP, DATASET, POOL] {
            chain.world().owners.insert(asset, owner().address());
        }
        let stage = Self { chain, market: StandInMarket::start(HUB), sms: StandInSms::start(), home: Home::new() };
        let keystore = include_str!("../../../keystore/testdata/keystores/ethers-small.json");
        stage.home.write("data/strongroom/wallets/me.json", keystore);
        stage.describe(&stage.chain.url(), &stage.market.url());
        stage
    }

    /// Describes the network with these services, and nobody for storage.
    pub(crate) fn describe(&self, rpc: &str, market: &str) {
        self.describe_with(rpc, market, &["--ipfs-gateway", "http://127.0.0.1:1"]);
    }

    /// As [`Self::describe`], with further services.
    pub(crate) fn describe_with(&self, rpc: &str, market: &str, more: &[&str]) {
        self.describe_network("devnet", rpc, market, more);
    }

    /// The same services under another name, in use.
    pub(crate) fn describe_as(&self, name: &str) {
        self.describe_network(name, &self.chain.url(), &self.market.url(), &[]);
    }

    fn describe_network(&self, name: &str, rpc: &str, market: &str, more: &[&str]) {
        let (hub, chain_id, sms) = (text(HUB), CHAIN_ID.to_string(), self.sms.url());
        let add = ["chain", "add", name, "--replace", "--use", "--chain-id", &chain_id, "--hub", &hub];
        let services = ["--rpc", rpc, "--sms", &sms, "--market", market];
        self.home.run(&[&add[..], &services[..], more].concat()).ends_with(0);
    }

    /// Offers app, dataset and workerpool for `volume` tasks.
    pub(crate) fn offer_all(&self, volume: u64) {
        let (price, volume_word) = (U256::from(PRICE), U256::from(volume));
        let app = AppOrder { app: APP, appprice: price, volume: volume_word, tag: TDX, ..AppOrder::default() };
        let dataset =
            DatasetOrder { dataset: DATASET, datasetprice: price, volume: volume_word, ..DatasetOrder::default() };
        let pool = WorkerpoolOrder {
            workerpool: POOL,
            workerpoolprice: price,
            volume: volume_word,
            tag: TDX,
            ..WorkerpoolOrder::default()
        };
        self.market.offer(&signed(app), volume);
        self.market.offer(&signed(dataset), volume);
        self.market.offer(&signed(pool), volume);
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        self.home.run(&[arguments, &["--json"]].concat())
    }

    pub(crate) fn sign(&self, arguments: &[&str]) -> Ran {
        self.home.sign("", &[arguments, &["--json"]].concat())
    }
}

/// An address where nobody answers.
pub(crate) fn nobody() -> String {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port(); // free again at once
    format!("http://127.0.0.1:{port}")
}
