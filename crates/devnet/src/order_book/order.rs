//! The four kinds of orders as one: what the book compares, sorts and counts.

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::Eip712Domain;
use serde_json::{Value, json};
use strongroom_poco::orders::{AppOrder, DatasetOrder, Order, RequestOrder, Signed, WorkerpoolOrder};

/// Numbers up to 2^53 − 1 are the same in JSON for everybody.
const MAX_NUMBER: u64 = (1 << 53) - 1;
/// Members that go out as numbers; clients make texts of them again before they hash.
const NUMBERS: [&str; 9] = [
    "appprice",
    "datasetprice",
    "workerpoolprice",
    "appmaxprice",
    "datasetmaxprice",
    "workerpoolmaxprice",
    "volume",
    "category",
    "trust",
];

/// Which of the four.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    App,
    Dataset,
    Workerpool,
    Request,
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [Self::App, Self::Dataset, Self::Workerpool, Self::Request];

    /// The word of the paths, and in the file.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::App => AppOrder::KIND,
            Self::Dataset => DatasetOrder::KIND,
            Self::Workerpool => WorkerpoolOrder::KIND,
            Self::Request => RequestOrder::KIND,
        }
    }

    /// What such an order is about: its resource, or the requester.
    pub(super) fn subject(self) -> &'static str {
        match self {
            Self::Request => "requester",
            resource => resource.word(),
        }
    }
}

/// Why a text is no order.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadOrder {
    #[error("the order is not an object")]
    Shape,
    #[error("{reason}")]
    Unreadable { reason: String },
    #[error("{member} must be at most 9007199254740991")]
    TooLarge { member: &'static str },
    #[error("volume must be at least 1")]
    NoVolume,
}

/// A signed order, flattened. Restrictions stand in the member of what they restrict to; zero is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AnyOrder {
    pub(super) kind: Kind,
    pub(super) hash: B256,
    pub(super) sign: Bytes,
    pub(super) app: Address,
    pub(super) dataset: Address,
    pub(super) workerpool: Address,
    pub(super) requester: Address,
    pub(super) beneficiary: Address,
    pub(super) category: u64,
    pub(super) trust: u64,
    /// By which the kind is sorted: of a request, what it pays the workerpool at most.
    pub(super) price: u64,
    /// The most that one task takes from the signer's stake, with the guarantee of a workerpool's owner.
    pub(super) stake_per_task: U256,
    pub(super) tag: B256,
    pub(super) volume: u64,
    /// As it goes out.
    pub(super) body: Value,
}

fn number(member: &'static str, value: U256) -> Result<u64, BadOrder> {
    u64::try_from(value).ok().filter(|value| *value <= MAX_NUMBER).ok_or(BadOrder::TooLarge { member })
}

impl AnyOrder {
    /// Reads the JSON of a signed order.
    pub(super) fn read(kind: Kind, json: &Value, domain: &Eip712Domain) -> Result<Self, BadOrder> {
        let order = match kind {
            Kind::App => Self::of_app(&signed(json)?, domain)?,
            Kind::Dataset => Self::of_dataset(&signed(json)?, domain)?,
            Kind::Workerpool => Self::of_workerpool(&signed(json)?, domain)?,
            Kind::Request => Self::of_request(&signed(json)?, domain)?,
        };
        if order.volume == 0 { Err(BadOrder::NoVolume) } else { Ok(order) }
    }

    /// What the order is about: its resource, or the requester.
    pub(super) fn subject(&self) -> Address {
        match self.kind {
            Kind::App => self.app,
            Kind::Dataset => self.dataset,
            Kind::Workerpool => self.workerpool,
            Kind::Request => self.requester,
        }
    }

    fn common<O: Order>(kind: Kind, signed: &Signed<O>, domain: &Eip712Domain) -> Self {
        Self {
            kind,
            hash: signed.order.hash(domain),
            sign: signed.sign.clone(),
            app: Address::ZERO,
            dataset: Address::ZERO,
            workerpool: Address::ZERO,
            requester: Address::ZERO,
            beneficiary: Address::ZERO,
            category: 0,
            trust: 0,
            price: 0,
            stake_per_task: U256::ZERO,
            tag: B256::ZERO,
            volume: 0,
            body: outgoing(signed),
        }
    }

    fn of_app(signed: &Signed<AppOrder>, domain: &Eip712Domain) -> Result<Self, BadOrder> {
        let order = &signed.order;
        Ok(Self {
            app: order.app,
            dataset: order.datasetrestrict,
            workerpool: order.workerpoolrestrict,
            requester: order.requesterrestrict,
            price: number("appprice", order.appprice)?,
            tag: order.tag,
            volume: number("volume", order.volume)?,
            ..Self::common(Kind::App, signed, domain)
        })
    }

    fn of_dataset(signed: &Signed<DatasetOrder>, domain: &Eip712Domain) -> Result<Self, BadOrder> {
        let order = &signed.order;
        Ok(Self {
            app: order.apprestrict,
            dataset: order.dataset,
            workerpool: order.workerpoolrestrict,
            requester: order.requesterrestrict,
            price: number("datasetprice", order.datasetprice)?,
            tag: order.tag,
            volume: number("volume", order.volume)?,
            ..Self::common(Kind::Dataset, signed, domain)
        })
    }

    fn of_workerpool(signed: &Signed<WorkerpoolOrder>, domain: &Eip712Domain) -> Result<Self, BadOrder> {
        let order = &signed.order;
        Ok(Self {
            app: order.apprestrict,
            dataset: order.datasetrestrict,
            workerpool: order.workerpool,
            requester: order.requesterrestrict,
            category: number("category", order.category)?,
            trust: number("trust", order.trust)?,
            price: number("workerpoolprice", order.workerpoolprice)?,
            // The owner guarantees 30 % of the price.
            stake_per_task: order.workerpoolprice.saturating_mul(U256::from(30)) / U256::from(100),
            tag: order.tag,
            volume: number("volume", order.volume)?,
            ..Self::common(Kind::Workerpool, signed, domain)
        })
    }

    fn of_request(signed: &Signed<RequestOrder>, domain: &Eip712Domain) -> Result<Self, BadOrder> {
        let order = &signed.order;
        let others = [("appmaxprice", order.appmaxprice), ("datasetmaxprice", order.datasetmaxprice)];
        for (member, value) in others {
            number(member, value)?;
        }
        Ok(Self {
            app: order.app,
            dataset: order.dataset,
            workerpool: order.workerpool,
            requester: order.requester,
            beneficiary: order.beneficiary,
            category: number("category", order.category)?,
            trust: number("trust", order.trust)?,
            price: number("workerpoolmaxprice", order.workerpoolmaxprice)?,
            stake_per_task: order.appmaxprice + order.datasetmaxprice + order.workerpoolmaxprice,
            tag: order.tag,
            volume: number("volume", order.volume)?,
            ..Self::common(Kind::Request, signed, domain)
        })
    }
}

/// `params` may be left out, as the market allows.
fn signed<O: Order>(json: &Value) -> Result<Signed<O>, BadOrder> {
    let Value::Object(members) = json else { return Err(BadOrder::Shape) };
    let mut members = members.clone();
    if O::KIND == RequestOrder::KIND {
        members.entry("params").or_insert_with(|| "".into());
    }
    // The reader's own words name the member.
    serde_json::from_value(Value::Object(members)).map_err(|error| BadOrder::Unreadable { reason: error.to_string() })
}

fn outgoing<O: Order>(signed: &Signed<O>) -> Value {
    let mut body = json!(signed);
    for member in NUMBERS {
        if let Some(value) = body.get_mut(member)
            && let Some(number) = value.as_str().and_then(|digits| digits.parse::<u64>().ok())
        {
            *value = number.into();
        }
    }
    body
}
