//! Judges whether a purchase can go through and its tasks can run: lists everything that is missing, each with what mends it.
//! Pure: all it needs is in [`Facts`].

use alloy_primitives::U256;
use strongroom_poco::orders::{AppOrder, DatasetOrder, Mismatch, Order, RequestOrder, WorkerpoolOrder, mismatches};
use strongroom_protocol::address::checksummed;
use strongroom_protocol::snapshot::App;
use strongroom_protocol::{AccountSecretName, Address, B256, Framework, SecretId, Tag};

use crate::amount::Amount;
use crate::arguments::TagWord;
use crate::exit::gas_remedy;
use crate::offer::{Offer, Offers, Wish};
use crate::sms::describe;

/// A pool holds this much of its price for each task, in percent.
const POOL_STAKE_PERCENT: u64 = 30;
/// A match takes at least this much gas: a deal fills more than fifteen slots of storage that were empty, at 20000 each.
const LEAST_MATCH_GAS: u64 = 300_000;

/// What was found out about a purchase.
pub(crate) struct Facts<'a> {
    pub(crate) wish: &'a Wish,
    pub(crate) offers: &'a Offers,
    /// The request that would be signed; `None` while an offer is missing.
    pub(crate) request: Option<&'a RequestOrder>,
    /// The app on chain.
    pub(crate) app: Option<App>,
    /// Whether the dataset is registered; true when none is wanted.
    pub(crate) dataset_is_registered: bool,
    /// Whether the named workerpool is registered; true when none was named.
    pub(crate) workerpool_is_registered: bool,
    /// What is left of published orders, as the chain says: app, dataset, workerpool.
    pub(crate) left: [Option<U256>; 3],
    /// Free at the hub for the requester, in nRLC.
    pub(crate) stake: U256,
    /// What the match is paid with.
    pub(crate) gas: Gas,
    /// Free at the hub for the owner of the offered workerpool, in nRLC.
    pub(crate) pool_stake: Option<U256>,
    /// The secrets that the tasks need, and whether the SMS has them.
    pub(crate) secrets: Vec<(SecretId, bool)>,
    /// Most to pay for one task.
    pub(crate) max_price: Option<Amount>,
    /// Whether the tasks ask for secrets or encryption.
    pub(crate) asks_for_secrets: bool,
}

/// What transactions of the requester are paid with.
pub(crate) struct Gas {
    /// Of the chain's coin in the wallet, in wei.
    pub(crate) coin: U256,
    /// The most that one unit of gas may cost, in wei.
    pub(crate) price: U256,
    /// Whether the network gives its coin away: [`crate::network::Network::is_local_devnet`].
    pub(crate) is_given_away: bool,
}

/// Something that stands in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    /// What.
    pub(crate) what: String,
    /// What mends it: a command where there is one.
    pub(crate) remedy: String,
}

fn missing(what: impl Into<String>, remedy: impl Into<String>) -> Missing {
    Missing { what: what.into(), remedy: remedy.into() }
}

/// Lists everything that is missing, in the order in which it is best mended.
pub(crate) fn judge(facts: &Facts<'_>) -> Vec<Missing> {
    let mut found = resources(facts);
    found.extend(offers(facts));
    found.extend(volumes(facts));
    if let (Some(app), Some(pool), Some(request)) = (&facts.offers.app, &facts.offers.workerpool, facts.request) {
        let dataset = facts.offers.dataset.as_ref().map(|offer| offer.order().clone()).unwrap_or_default();
        let found_out = mismatches(app.order(), &dataset, pool.order(), request);
        found.extend(found_out.iter().filter(|found| !is_left_to_the_hub(facts.wish, found)).map(mismatch));
        found.extend(money(facts, app.order(), &dataset, pool.order()));
    }
    found.extend(gas(facts));
    found.extend(secrets(facts));
    found
}

fn resources(facts: &Facts<'_>) -> Vec<Missing> {
    let wish = facts.wish;
    let mut found = Vec::new();
    let check = "check the address and the network (strongroom chain show)";
    match &facts.app {
        None => found.push(missing(format!("app {} is not registered", checksummed(&wish.app)), check)),
        Some(app) => found.extend(framework(wish, app)),
    }
    if let Some(dataset) = wish.dataset.filter(|_| !facts.dataset_is_registered) {
        found.push(missing(format!("dataset {} is not registered", checksummed(&dataset)), check));
    }
    if let Some(workerpool) = wish.workerpool.filter(|_| !facts.workerpool_is_registered) {
        found.push(missing(format!("workerpool {} is not registered", checksummed(&workerpool)), check));
    }
    if facts.asks_for_secrets && wish.tag[31] & TagWord::TEE == 0 {
        let what = "secrets, datasets and encrypted results need an enclave, and none is asked for";
        found.push(missing(what, "ask for one: --tag tee,tdx"));
    }
    found
}

/// Whether the app is made for the enclave that is asked for.
fn framework(wish: &Wish, app: &App) -> Option<Missing> {
    let is_sgx = !app.mrenclave.is_empty();
    match Tag(wish.tag).framework() {
        Some(Framework::Tdx) if is_sgx => Some(missing(
            "the app is made for SGX, not for TDX",
            "ask for its framework: --tag tee,scone or tee,gramine",
        )),
        Some(Framework::Tdx) if app.checksum.is_zero() => {
            let what = "the app has no checksum on chain: no enclave could prove that it runs it";
            Some(missing(what, "its owner must deploy it again: strongroom app deploy --image"))
        }
        Some(framework) if framework.is_sgx() && !is_sgx => {
            Some(missing(format!("the app has no enclave configuration for {framework}"), "ask for TDX: --tag tee,tdx"))
        }
        None if wish.tag[31] & TagWord::TEE != 0 => {
            Some(missing("an enclave is asked for, but not of which kind", "name exactly one: --tag tee,tdx"))
        }
        _ => None,
    }
}

fn offers(facts: &Facts<'_>) -> Vec<Missing> {
    let wish = facts.wish;
    let tag = TagWord::describe(wish.tag);
    let mut found = Vec::new();
    if facts.offers.app.is_none() && facts.app.is_some() {
        let app = checksummed(&wish.app);
        let what = format!("no order for app {app} with tag {tag} is open to this wallet");
        found.push(missing(what, format!("its owner publishes one: strongroom app publish {app} --tag {tag}")));
    }
    if let Some(dataset) = wish.dataset.filter(|_| facts.offers.dataset.is_none() && facts.dataset_is_registered) {
        let (dataset, app, requester) = (checksummed(&dataset), checksummed(&wish.app), checksummed(&wish.requester));
        let what = format!("no grant of dataset {dataset} is open to this wallet with this app");
        let remedy =
            format!("its owner grants it: strongroom dataset grant {dataset} --app {app} --requester {requester}");
        found.push(missing(what, remedy));
    }
    if facts.offers.workerpool.is_none() && facts.workerpool_is_registered {
        let what = match wish.workerpool {
            Some(workerpool) => format!("workerpool {} offers nothing that fits", checksummed(&workerpool)),
            None => "no workerpool offers anything that fits".to_owned(),
        };
        let remedy =
            "strongroom order book workerpool shows what is offered; try another --workerpool, --category or --tag";
        found.push(missing(format!("{what} (tag {tag})"), remedy));
    }
    found
}

fn volumes(facts: &Facts<'_>) -> Vec<Missing> {
    let wanted = U256::from(facts.wish.volume);
    let [app, dataset, workerpool] = facts.left;
    [("app", app), ("dataset", dataset), ("workerpool", workerpool)]
        .into_iter()
        .filter_map(|(kind, left)| Some((kind, left.filter(|left| *left < wanted)?)))
        .map(|(kind, left)| {
            let what = format!("the {kind} order is good for {left} tasks only");
            let remedy = if left.is_zero() { "try again: the order book lags behind" } else { "buy fewer: --volume" };
            missing(what, remedy)
        })
        .collect()
}

/// Whether the hub alone can tell: it asks the whitelist that the buyer named.
fn is_left_to_the_hub(wish: &Wish, found: &Mismatch) -> bool {
    matches!(found, Mismatch::Restricted { whose: "dataset order", what: "app", only, .. } if Some(*only) == wish.app_whitelist)
}

fn mismatch(found: &Mismatch) -> Missing {
    let remedy = match found {
        Mismatch::Category { .. } | Mismatch::Trust { .. } => "try another --category or --trust",
        Mismatch::Price { .. } => "raise --max-price",
        Mismatch::Tag { .. } | Mismatch::AppWithoutEnclave => "try another --tag or --workerpool",
        Mismatch::Other { .. } => "check the addresses",
        Mismatch::Restricted { .. } => {
            "its owner allows others; if that is a whitelist contract, name it (--app-whitelist) or match by hand: strongroom order match"
        }
    };
    missing(found.to_string(), remedy)
}

fn money(facts: &Facts<'_>, app: &AppOrder, dataset: &DatasetOrder, pool: &WorkerpoolOrder) -> Vec<Missing> {
    let mut found = Vec::new();
    let volume = U256::from(facts.wish.volume);
    let price = app.appprice.saturating_add(dataset.datasetprice).saturating_add(pool.workerpoolprice);
    if let Some(most) = facts.max_price.filter(|most| price > most.0) {
        let what = format!("one task costs {}, more than {most}", Amount(price));
        found.push(missing(what, "raise --max-price, or try another --workerpool"));
    }
    let owner_pays_too = facts.offers.workerpool.as_ref().is_some_and(|offer| matches!(offer, Offer::Own(_)));
    let held = pool.workerpoolprice.saturating_mul(U256::from(POOL_STAKE_PERCENT)) / U256::from(100);
    let held = held.saturating_mul(volume);
    let cost = price.saturating_mul(volume).saturating_add(if owner_pays_too { held } else { U256::ZERO });
    if facts.stake < cost {
        let lacks = Amount(cost - facts.stake);
        let what = format!("{} at the hub, but the tasks cost {}", Amount(facts.stake), Amount(cost));
        found.push(missing(what, format!("strongroom account deposit {}", lacks.0)));
    }
    if !owner_pays_too && facts.pool_stake.is_some_and(|stake| stake < held) {
        let what = "the owner of the workerpool has too little stake at the hub for these tasks";
        found.push(missing(what, "try another --workerpool, or buy fewer: --volume"));
    }
    found
}

/// The match is a transaction of the requester's, whatever else is missing.
fn gas(facts: &Facts<'_>) -> Option<Missing> {
    let needs = facts.gas.price.saturating_mul(U256::from(LEAST_MATCH_GAS));
    let requester = facts.wish.requester;
    let wallet = checksummed(&requester);
    let what = match facts.gas.coin {
        has if has >= needs => return None,
        U256::ZERO => format!("wallet {wallet} has no coin of the chain to pay for gas"),
        has => format!("wallet {wallet} has {has} wei of the chain's coin, but gas costs at least {needs} wei"),
    };
    Some(missing(what, gas_remedy(facts.gas.is_given_away, &requester)))
}

fn secrets(facts: &Facts<'_>) -> Vec<Missing> {
    let absent = facts.secrets.iter().filter(|(_, is_there)| !is_there);
    absent.map(|(id, _)| missing(format!("{} is not at the SMS", describe(id)), push_command(id))).collect()
}

/// The command that pushes a secret.
fn push_command(id: &SecretId) -> String {
    match id {
        SecretId::App(app) => format!("strongroom app push-secret {}", checksummed(app)),
        SecretId::Dataset(dataset) => {
            format!("its owner pushes it: strongroom dataset push-secret {}", checksummed(dataset))
        }
        SecretId::Requester { name, .. } => format!("strongroom requester push-secret {name}"),
        SecretId::Account { name, .. } if name.as_str() == AccountSecretName::RESULT_ENCRYPTION_KEY => {
            "strongroom result push-encryption-key (with the beneficiary's wallet)".to_owned()
        }
        SecretId::Account { .. } => "iexec storage init, or leave --storage-provider out".to_owned(),
    }
}

/// The request that buys these offers: at their prices and no higher.
pub(crate) fn request(
    wish: &Wish,
    offers: &Offers,
    (beneficiary, callback, params, salt): (Address, Address, String, B256),
) -> Option<RequestOrder> {
    let (app, pool) = (offers.app.as_ref()?.order(), offers.workerpool.as_ref()?.order());
    let dataset = match (&wish.dataset, &offers.dataset) {
        (Some(_), None) => return None,
        (_, offer) => offer.as_ref().map(|offer| offer.order().clone()).unwrap_or_default(),
    };
    Some(RequestOrder {
        app: wish.app,
        appmaxprice: app.appprice,
        dataset: dataset.dataset,
        datasetmaxprice: dataset.datasetprice,
        workerpool: pool.workerpool,
        workerpoolmaxprice: pool.workerpoolprice,
        requester: wish.requester,
        volume: U256::from(wish.volume),
        tag: wish.tag,
        category: pool.category,
        trust: U256::from(wish.trust),
        beneficiary,
        callback,
        params,
        salt,
    })
}

/// What kind of order an offer is, where it comes from and what it costs, in a line.
pub(crate) fn offer_line<O: Order>(offer: &Offer<O>, price: U256) -> String {
    let from = match offer.hash() {
        Some(hash) => format!("order {hash:#x} of the book"),
        None => "the wallet's own, signed when buying".to_owned(),
    };
    format!("{:<11} {}, {from}", O::KIND, Amount(price))
}

#[cfg(test)]
mod tests;
