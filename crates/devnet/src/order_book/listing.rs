//! Searching the book: the filters of the lists, their order, and pages.

use std::collections::HashMap;

use alloy_primitives::{Address, B256};
use rusqlite::types::Value as Sql;
use serde_json::{Value, json};
use strongroom_protocol::address::parse_any_case;

use super::order::Kind;
use super::records::{COLUMNS, Published, Records};

const DEFAULT_PAGE_SIZE: usize = 20;
const PAGE_SIZES: std::ops::RangeInclusive<usize> = 10..=1_000;
/// Volume from which on a free dataset order is meant for bulks.
const BULK_VOLUME: i64 = (1 << 53) - 2;

/// Why a search means nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadSearch {
    #[error("{name} must be {expected}")]
    Parameter { name: String, expected: &'static str },
    #[error("{first} or {second} is required")]
    Missing { first: &'static str, second: &'static str },
}

/// The parameters of a request.
#[derive(Clone, Debug)]
pub(super) struct Parameters(pub(super) HashMap<String, String>);

impl Parameters {
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|text| !text.is_empty())
    }

    fn parsed<T>(
        &self,
        name: &str,
        expected: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, BadSearch> {
        let wrong = || BadSearch::Parameter { name: name.to_owned(), expected };
        self.text(name).map(|text| parse(text).ok_or_else(wrong)).transpose()
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<u64>, BadSearch> {
        let parse = |text: &str| text.parse().ok().filter(|number| i64::try_from(*number).is_ok());
        self.parsed(name, "a whole number", parse)
    }

    pub(super) fn address(&self, name: &str) -> Result<Option<Address>, BadSearch> {
        self.parsed(name, "an address", |text| parse_any_case(text).ok())
    }

    fn word(&self, name: &str) -> Result<Option<B256>, BadSearch> {
        self.parsed(name, "0x and 64 hex digits", |text| text.parse().ok())
    }

    fn flag(&self, name: &str) -> bool {
        self.text(name) == Some("true")
    }

    /// What may stand in a place of an order.
    fn wanted(&self, name: &str) -> Result<Wanted, BadSearch> {
        if self.text(name) == Some("any") {
            return Ok(Wanted::Anything);
        }
        Ok(self.address(name)?.map_or(Wanted::Unsaid, Wanted::This))
    }
}

/// What may stand in a place of an order.
enum Wanted {
    /// Nothing was said.
    Unsaid,
    Anything,
    This(Address),
}

/// Which part of a list.
#[derive(Clone, Copy, Debug)]
struct Page {
    skip: usize,
    size: usize,
}

impl Page {
    fn of(parameters: &Parameters) -> Result<Self, BadSearch> {
        let number = |name| {
            let number = parameters.number(name)?.map(usize::try_from);
            number.transpose().map_err(|_| BadSearch::Parameter { name: name.to_owned(), expected: "a small number" })
        };
        let size = number("pageSize")?.unwrap_or(DEFAULT_PAGE_SIZE);
        if !PAGE_SIZES.contains(&size) {
            let expected = "between 10 and 1000";
            return Err(BadSearch::Parameter { name: "pageSize".to_owned(), expected });
        }
        let skip = match (number("pageIndex")?, number("page")?) {
            (Some(index), _) => index.saturating_mul(size),
            (None, offset) => offset.unwrap_or(0),
        };
        Ok(Self { skip, size })
    }

    /// The members of an answer: this part, how many there are, and where the next part starts when this one is full.
    fn answer(self, name: &str, all: Vec<Value>) -> Value {
        let count = all.len();
        let part: Vec<Value> = all.into_iter().skip(self.skip).take(self.size).collect();
        let is_full = part.len() == self.size;
        let mut answer = json!({ "ok": true, name: part, "count": count });
        if is_full {
            answer["nextPage"] = (self.skip + self.size).into();
        }
        answer
    }
}

/// Conditions of a query, with their values.
#[derive(Default)]
struct Conditions {
    sql: Vec<String>,
    values: Vec<Sql>,
}

impl Conditions {
    fn add(&mut self, condition: &str, value: impl Into<Sql>) {
        self.values.push(value.into());
        self.sql.push(condition.replace('?', &format!("?{}", self.values.len())));
    }

    fn equal(&mut self, column: &str, address: Address) {
        self.add(&format!("{column} = ?"), address.to_vec());
    }

    fn joined(&self) -> String {
        if self.sql.is_empty() { "1".to_owned() } else { self.sql.join(" AND ") }
    }
}

/// What may be restricted, with the name of the flag that asks for exactly this restriction.
const RESTRICTIONS: [(&str, &str); 4] = [
    ("app", "isAppStrict"),
    ("dataset", "isDatasetStrict"),
    ("workerpool", "isWorkerpoolStrict"),
    ("requester", "isRequesterStrict"),
];

fn conditions(kind: Kind, parameters: &Parameters) -> Result<Conditions, BadSearch> {
    let mut conditions = Conditions::default();
    conditions.add("kind = ?", kind.word().to_owned());
    conditions.sql.push("status = 'open'".to_owned());
    // An app order is found by its app: the app is its subject and not a restriction of it. A request names app and dataset outright.
    let plain: &[&str] = match kind {
        Kind::Request => &["app", "dataset", "requester", "beneficiary"],
        _ => &[],
    };
    for column in plain.iter().copied().chain((kind != Kind::Request).then_some(kind.subject())) {
        if let Wanted::This(address) = parameters.wanted(column)? {
            conditions.equal(column, address);
        }
    }
    let restrictions = RESTRICTIONS.iter().filter(|(column, _)| *column != kind.subject() && !plain.contains(column));
    for (column, strict) in restrictions {
        match parameters.wanted(column)? {
            Wanted::Unsaid => conditions.equal(column, Address::ZERO),
            Wanted::Anything => {}
            Wanted::This(only) if parameters.flag(strict) => conditions.equal(column, only),
            Wanted::This(only) => conditions.add(&format!("{column} IN (zeroblob(20), ?)"), only.to_vec()),
        }
    }
    if let Some(owner) = parameters.address(owner_parameter(kind))? {
        conditions.equal("signer", owner);
    }
    if let Some(category) = parameters.number("category")? {
        conditions.add("category = ?", category.cast_signed());
    }
    // Trust 0 and 1 are the same.
    if let Some(trust) = parameters.number("minTrust")?.filter(|trust| *trust > 1) {
        conditions.add("trust >= ?", trust.cast_signed());
    }
    if let Some(trust) = parameters.number("maxTrust")? {
        conditions.add("trust <= ?", trust.max(1).cast_signed());
    }
    if let Some(volume) = parameters.number("minVolume")? {
        conditions.add("remaining >= ?", volume.cast_signed());
    }
    if kind == Kind::Dataset && parameters.flag("bulkOnly") {
        conditions.sql.push("price = 0".to_owned());
        conditions.add("volume >= ?", BULK_VOLUME);
    }
    Ok(conditions)
}

fn owner_parameter(kind: Kind) -> &'static str {
    match kind {
        Kind::App => "appOwner",
        Kind::Dataset => "datasetOwner",
        Kind::Workerpool => "workerpoolOwner",
        Kind::Request => "requester",
    }
}

/// The failure of a list: the search is wrong, or the file is.
#[derive(Debug, thiserror::Error)]
pub(super) enum ListError {
    #[error(transparent)]
    Search(#[from] BadSearch),
    #[error(transparent)]
    Database(#[from] rusqlite::Error),
}

/// The open orders of a kind that the parameters ask for, the best first: the cheapest, of requests those that pay most.
pub(super) fn orders(
    records: &Records,
    kind: Kind,
    parameters: &Parameters,
    chain_id: u64,
) -> Result<Value, ListError> {
    let needs_owner = matches!(kind, Kind::App | Kind::Dataset);
    if needs_owner && parameters.text(kind.subject()).is_none() && parameters.text(owner_parameter(kind)).is_none() {
        return Err(BadSearch::Missing { first: kind.subject(), second: owner_parameter(kind) }.into());
    }
    let page = Page::of(parameters)?;
    let (min_tag, max_tag) = (parameters.word("minTag")?, parameters.word("maxTag")?);
    let conditions = conditions(kind, parameters)?;
    let direction = if kind == Kind::Request { "DESC" } else { "ASC" };
    let sql = format!(
        "SELECT {COLUMNS} FROM orders WHERE {} ORDER BY price {direction}, published, hash",
        conditions.joined()
    );
    let mut statement = records.connection.prepare_cached(&sql)?;
    let found = statement.query_map(rusqlite::params_from_iter(conditions.values), Published::read)?;
    let mut orders = Vec::new();
    for order in found {
        let order = order?;
        let has_least = min_tag.is_none_or(|least| order.tag & least == least);
        let has_no_more = max_tag.is_none_or(|most| order.tag & !most == B256::ZERO);
        if has_least && has_no_more {
            orders.push(order.to_json(chain_id));
        }
    }
    Ok(page.answer("orders", orders))
}

/// Parameter and column of what deals are found by: addresses, ...
const DEAL_ADDRESSES: [(&str, &str); 8] = [
    ("requester", "requester"),
    ("beneficiary", "beneficiary"),
    ("app", "app"),
    ("dataset", "dataset"),
    ("workerpool", "workerpool"),
    ("appOwner", "app_owner"),
    ("datasetOwner", "dataset_owner"),
    ("workerpoolOwner", "workerpool_owner"),
];
/// ... and hashes of orders.
const DEAL_HASHES: [(&str, &str); 4] = [
    ("apporderHash", "app_hash"),
    ("datasetorderHash", "dataset_hash"),
    ("workerpoolorderHash", "workerpool_hash"),
    ("requestorderHash", "request_hash"),
];

/// The deals that the parameters ask for, newest first.
pub(super) fn deals(records: &Records, parameters: &Parameters) -> Result<Value, ListError> {
    let page = Page::of(parameters)?;
    let mut conditions = Conditions::default();
    for (parameter, column) in DEAL_ADDRESSES {
        if let Some(address) = parameters.address(parameter)? {
            conditions.equal(column, address);
        }
    }
    for (parameter, column) in DEAL_HASHES {
        if let Some(hash) = parameters.word(parameter)? {
            conditions.add(&format!("{column} = ?"), hash.to_vec());
        }
    }
    if let Some(category) = parameters.number("category")? {
        conditions.add("category = ?", category.cast_signed());
    }
    let sql = format!("SELECT body FROM deals WHERE {} ORDER BY block DESC, rowid DESC", conditions.joined());
    let mut statement = records.connection.prepare_cached(&sql)?;
    let found = statement.query_map(rusqlite::params_from_iter(conditions.values), |row| row.get::<_, String>(0))?;
    let texts = found.collect::<Result<Vec<_>, _>>()?;
    let deals = texts.iter().map(|text| serde_json::from_str(text).unwrap_or_default()).collect();
    Ok(page.answer("deals", deals))
}

/// One deal by its id.
pub(super) fn deal(records: &Records, id: B256) -> rusqlite::Result<Option<Value>> {
    use rusqlite::OptionalExtension;
    let sql = "SELECT body FROM deals WHERE id = ?1";
    let text: Option<String> = records.connection.query_row(sql, [id.as_slice()], |row| row.get(0)).optional()?;
    Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
}
