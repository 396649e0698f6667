//! Finds the orders that a buyer needs: for what belongs to the buyer they are made, for the rest the order book is asked and its
//! cheapest fitting offer taken. Nothing is signed here.

use alloy_primitives::U256;
use strongroom_market::{Market, MarketError, Published, Search};
use strongroom_poco::orders::{AppOrder, DatasetOrder, Order, Signed, WorkerpoolOrder, deal_tag};
use strongroom_protocol::{Address, B256};

/// Bits of a tag that say that there is an enclave, and of which framework.
const ENCLAVE_BITS: u8 = 0x0f;
/// Categories that are looked through when none was asked for.
const CATEGORIES: u64 = 5;

/// What somebody wants to buy.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    pub(crate) app: Address,
    pub(crate) dataset: Option<Address>,
    /// A contract that lists the app: grants to it count as well.
    pub(crate) app_whitelist: Option<Address>,
    /// Any when absent.
    pub(crate) workerpool: Option<Address>,
    /// The lowest offered when absent.
    pub(crate) category: Option<u64>,
    pub(crate) tag: B256,
    pub(crate) trust: u64,
    pub(crate) volume: u64,
    pub(crate) requester: Address,
}

/// Who owns what is wanted; nobody when it is not registered.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Owners {
    pub(crate) app: Option<Address>,
    pub(crate) dataset: Option<Address>,
    pub(crate) workerpool: Option<Address>,
}

/// An order that can be had.
#[derive(Clone, Debug)]
pub(crate) enum Offer<O> {
    /// From the book, with what is left of it as the book believes.
    Published(Published<O>),
    /// The buyer's own, to be signed.
    Own(O),
}

impl<O: Order> Offer<O> {
    /// What it says.
    pub(crate) fn order(&self) -> &O {
        match self {
            Self::Published(published) => &published.order.order,
            Self::Own(order) => order,
        }
    }

    /// The signed order; `sign` signs the buyer's own.
    pub(crate) fn signed(self, sign: impl FnOnce(O) -> Signed<O>) -> Signed<O> {
        match self {
            Self::Published(published) => published.order,
            Self::Own(order) => sign(order),
        }
    }

    /// The hash of a published one.
    pub(crate) fn hash(&self) -> Option<B256> {
        match self {
            Self::Published(published) => Some(published.hash),
            Self::Own(_) => None,
        }
    }
}

/// The offers that were found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Offers {
    pub(crate) app: Option<Offer<AppOrder>>,
    /// `None` as well when no dataset is wanted.
    pub(crate) dataset: Option<Offer<DatasetOrder>>,
    pub(crate) workerpool: Option<Offer<WorkerpoolOrder>>,
}

/// Looks for offers.
pub(crate) async fn find(market: &Market, wish: &Wish, owners: &Owners, salt: B256) -> Result<Offers, MarketError> {
    let app = app_offer(market, wish, owners, salt).await?;
    let dataset = match wish.dataset {
        Some(dataset) => dataset_offer(market, wish, dataset, owners, salt).await?,
        None => None,
    };
    let of = |tag: Option<B256>| tag.unwrap_or_default();
    let (app_tag, dataset_tag) = (app.as_ref().map(|offer| offer.order().tag), dataset.as_ref().map(|o| o.order().tag));
    let tag = deal_tag(of(app_tag), of(dataset_tag), wish.tag);
    let workerpool = workerpool_offer(market, wish, tag, owners, salt).await?;
    Ok(Offers { app, dataset, workerpool })
}

async fn app_offer(
    market: &Market,
    wish: &Wish,
    owners: &Owners,
    salt: B256,
) -> Result<Option<Offer<AppOrder>>, MarketError> {
    if owners.app == Some(wish.requester) {
        return Ok(Some(Offer::Own(AppOrder {
            app: wish.app,
            volume: U256::from(wish.volume),
            tag: wish.tag,
            requesterrestrict: wish.requester,
            salt,
            ..AppOrder::default()
        })));
    }
    let enclave = B256::with_last_byte(wish.tag[31] & ENCLAVE_BITS);
    let search = Search::default()
        .with("app", wish.app)
        .with("requester", wish.requester)
        .with_some("dataset", wish.dataset.unwrap_or_default())
        .with_some("workerpool", wish.workerpool.unwrap_or_default())
        .with_word("minTag", enclave)
        .with_word("maxTag", wish.tag);
    Ok(best(market.orders(&search).await?, wish.volume))
}

async fn dataset_offer(
    market: &Market,
    wish: &Wish,
    dataset: Address,
    owners: &Owners,
    salt: B256,
) -> Result<Option<Offer<DatasetOrder>>, MarketError> {
    if owners.dataset == Some(wish.requester) {
        return Ok(Some(Offer::Own(DatasetOrder {
            dataset,
            volume: U256::from(wish.volume),
            tag: wish.tag,
            requesterrestrict: wish.requester,
            salt,
            ..DatasetOrder::default()
        })));
    }
    let mut found = Vec::new();
    for grantee in [Some(wish.app), wish.app_whitelist].into_iter().flatten() {
        let search = Search::default()
            .with("dataset", dataset)
            .with("app", grantee)
            .with("requester", wish.requester)
            .with_some("workerpool", wish.workerpool.unwrap_or_default())
            .with_word("maxTag", wish.tag);
        found.extend(market.orders::<DatasetOrder>(&search).await?);
    }
    // Each answer is sorted; those to anybody come twice, which does no harm.
    found.sort_by_key(|published| published.order.order.datasetprice);
    Ok(best(found, wish.volume))
}

async fn workerpool_offer(
    market: &Market,
    wish: &Wish,
    tag: B256,
    owners: &Owners,
    salt: B256,
) -> Result<Option<Offer<WorkerpoolOrder>>, MarketError> {
    if let Some(workerpool) = wish.workerpool.filter(|_| owners.workerpool == Some(wish.requester)) {
        return Ok(Some(Offer::Own(WorkerpoolOrder {
            workerpool,
            volume: U256::from(wish.volume),
            tag,
            category: U256::from(wish.category.unwrap_or_default()),
            trust: U256::from(wish.trust),
            requesterrestrict: wish.requester,
            salt,
            ..WorkerpoolOrder::default()
        })));
    }
    let categories = wish.category.map_or(0..CATEGORIES, |category| category..category.saturating_add(1));
    for category in categories {
        let search = Search::default()
            .with_some("workerpool", wish.workerpool.unwrap_or_default())
            .with("app", wish.app)
            .with("requester", wish.requester)
            .with_some("dataset", wish.dataset.unwrap_or_default())
            .with_number("category", category)
            .with_number("minTrust", wish.trust)
            .with_word("minTag", tag);
        if let Some(offer) = best(market.orders(&search).await?, wish.volume) {
            return Ok(Some(offer));
        }
    }
    Ok(None)
}

/// The first that is good for all tasks, else the one that is good for most. The book lists the cheapest first.
fn best<O: Order>(found: Vec<Published<O>>, volume: u64) -> Option<Offer<O>> {
    let wanted = U256::from(volume);
    let enough = found.iter().position(|offer| offer.remaining >= wanted);
    let most = || {
        let left = |index: &usize| found[*index].remaining;
        (0..found.len()).filter(|index| !left(index).is_zero()).max_by_key(left)
    };
    let chosen = enough.or_else(most)?;
    found.into_iter().nth(chosen).map(Offer::Published)
}
