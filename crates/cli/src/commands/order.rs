//! `strongroom order`: the four orders of the market, as files, in the book and on chain.

use std::path::Path;

use alloy_primitives::U256;
use serde_json::{Value, json};
use strongroom_market::{Market, Published, Search};
use strongroom_poco::calls::{Manage, Operation};
use strongroom_poco::orders::{
    AppOrder, DatasetOrder, Mismatch, Order, RequestOrder, Signed, WorkerpoolOrder, mismatches,
};
use strongroom_poco::{AssetKind, Receipt, Wallet, calls};
use strongroom_protocol::address::checksummed;
use strongroom_protocol::{Address, B256, DealId, TaskId};

use crate::amount::Amount;
use crate::arguments::{BookSearch, Kind, NetworkChoice, OrderCommand, OrderSource, Signer, Signing, TagWord};
use crate::commands::{Session, random};
use crate::config::Config;
use crate::error::CliError;
use crate::network::Network;
use crate::order_file;
use crate::output::Answer;

/// Runs one of the commands.
pub(crate) fn run(session: &Session<'_>, command: OrderCommand) -> Result<Answer, CliError> {
    match command {
        OrderCommand::Sign(signing) => sign(session, &signing),
        OrderCommand::Publish { kind, from, signer, network } => {
            let stage = Stage::new(session, &network)?;
            let file = session.here(&from.file);
            match kind {
                Kind::App => stage.publish::<AppOrder>(&file, &signer),
                Kind::Dataset => stage.publish::<DatasetOrder>(&file, &signer),
                Kind::Workerpool => stage.publish::<WorkerpoolOrder>(&file, &signer),
                Kind::Request => stage.publish::<RequestOrder>(&file, &signer),
            }
        }
        OrderCommand::Cancel { kind, from, signer, network } => {
            let stage = Stage::new(session, &network)?;
            match kind {
                Kind::App => stage.cancel::<AppOrder>(&from, &signer),
                Kind::Dataset => stage.cancel::<DatasetOrder>(&from, &signer),
                Kind::Workerpool => stage.cancel::<WorkerpoolOrder>(&from, &signer),
                Kind::Request => stage.cancel::<RequestOrder>(&from, &signer),
            }
        }
        OrderCommand::Book { kind, search, network } => {
            let stage = Stage::new(session, &network)?;
            match kind {
                Kind::App => stage.book::<AppOrder>(&search),
                Kind::Dataset => stage.book::<DatasetOrder>(&search),
                Kind::Workerpool => stage.book::<WorkerpoolOrder>(&search),
                Kind::Request => stage.book::<RequestOrder>(&search),
            }
        }
        OrderCommand::Match { file, app, dataset, workerpool, request, signer, network } => {
            let stage = Stage::new(session, &network)?;
            stage.match_orders(&session.here(file), &Hashes { app, dataset, workerpool, request }, &signer)
        }
    }
}

/// Where orders come from when they are in the book.
struct Hashes {
    app: Option<B256>,
    dataset: Option<B256>,
    workerpool: Option<B256>,
    request: Option<B256>,
}

/// What every command about orders needs.
struct Stage<'a> {
    session: &'a Session<'a>,
    config: Config,
    network: Network,
}

impl<'a> Stage<'a> {
    fn new(session: &'a Session<'a>, network: &NetworkChoice) -> Result<Self, CliError> {
        let config = session.config()?;
        let network = Network::find(&config, network)?;
        Ok(Self { session, config, network })
    }

    fn publish<O: Order>(&self, file: &Path, signer: &Signer) -> Result<Answer, CliError> {
        let order: Signed<O> = order_file::load(file, self.network.entry.chain_id)?;
        let market = self.network.market()?;
        let wallet = self.network.signer(self.session, &self.config, signer)?;
        publish(self.session, &self.network, &market, &order, &wallet)
    }

    fn cancel<O: Manage>(&self, from: &OrderSource, signer: &Signer) -> Result<Answer, CliError> {
        let order: Signed<O> = match from.order {
            Some(hash) => self.find(hash)?,
            None => order_file::load(&self.session.here(&from.file.file), self.network.entry.chain_id)?,
        };
        let wallet = self.network.signer(self.session, &self.config, signer)?;
        let receipt = cancel(self.session, &self.network, &order, &wallet)?;
        let hash = order.order.hash(&self.network.domain()).to_string();
        let json = json!({ "kind": O::KIND, "order_hash": hash, "cancelled": true, "transaction": receipt.transaction.to_string() });
        Ok(Answer::done(format!("The {} order {hash} is revoked for good.", O::KIND), json))
    }

    fn book<O: Order>(&self, search: &BookSearch) -> Result<Answer, CliError> {
        let market = self.network.market()?;
        let search = search_of(O::KIND, search)?;
        let orders = self.network.wait(self.session, "Asking the order book", market.orders::<O>(&search))?;
        let text = if orders.is_empty() { "There is no such order in the book.".to_owned() } else { listing(&orders) };
        let json = json!({ "kind": O::KIND, "orders": orders.iter().map(described).collect::<Vec<_>>() });
        Ok(Answer::done(text, json))
    }

    fn find<O: Order>(&self, hash: B256) -> Result<Signed<O>, CliError> {
        let market = self.network.market()?;
        let found = self.network.wait(self.session, "Asking the order book", market.order::<O>(hash))?;
        found.map(|found| found.order).ok_or_else(|| CliError::NoOrder { kind: O::KIND, hash: hash.to_string() })
    }

    fn one<O: Order>(&self, hash: Option<B256>, file: &Path) -> Result<Signed<O>, CliError> {
        match hash {
            Some(hash) => self.find(hash),
            None => Ok(order_file::load(file, self.network.entry.chain_id)?),
        }
    }

    fn match_orders(&self, file: &Path, hashes: &Hashes, signer: &Signer) -> Result<Answer, CliError> {
        let request: Signed<RequestOrder> = self.one(hashes.request, file)?;
        let app: Signed<AppOrder> = self.one(hashes.app, file)?;
        let workerpool: Signed<WorkerpoolOrder> = self.one(hashes.workerpool, file)?;
        let dataset: Signed<DatasetOrder> = if request.order.dataset.is_zero() && hashes.dataset.is_none() {
            Signed::default()
        } else {
            self.one(hashes.dataset, file)?
        };
        let wallet = self.network.signer(self.session, &self.config, signer)?;
        let orders = Four { app, dataset, workerpool, request };
        let deal = match_orders(self.session, &self.network, &orders, &wallet)?;
        Ok(Answer::done(deal.text(), deal.json(&self.network)))
    }
}

/// Four orders that are to be matched.
pub(crate) struct Four {
    pub(crate) app: Signed<AppOrder>,
    pub(crate) dataset: Signed<DatasetOrder>,
    pub(crate) workerpool: Signed<WorkerpoolOrder>,
    pub(crate) request: Signed<RequestOrder>,
}

impl Four {
    /// Why the hub would not match them. What may be a whitelist is left to the hub.
    pub(crate) fn mismatches(&self) -> Vec<Mismatch> {
        let (app, dataset) = (&self.app.order, &self.dataset.order);
        mismatches(app, dataset, &self.workerpool.order, &self.request.order)
    }

    /// What one task costs.
    pub(crate) fn price(&self) -> U256 {
        let dataset = self.dataset.order.datasetprice;
        self.app.order.appprice.saturating_add(dataset).saturating_add(self.workerpool.order.workerpoolprice)
    }
}

/// A deal that was made.
pub(crate) struct Made {
    pub(crate) deal: DealId,
    /// Its tasks, in their order.
    pub(crate) tasks: Vec<TaskId>,
    transaction: B256,
}

impl Made {
    pub(crate) fn text(&self) -> String {
        let tasks: Vec<String> = self.tasks.iter().map(|task| format!("\ntask  {task}")).collect();
        format!("deal  {}{}", self.deal, tasks.concat())
    }

    pub(crate) fn json(&self, network: &Network) -> Value {
        json!({
            "deal": self.deal.to_string(),
            "tasks": self.tasks.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "transaction": self.transaction.to_string(),
            "chain": network.name,
        })
    }
}

/// Matches four orders into a deal.
pub(crate) fn match_orders(
    session: &Session<'_>,
    network: &Network,
    orders: &Four,
    wallet: &Wallet,
) -> Result<Made, CliError> {
    let certain = orders.mismatches().into_iter().filter(|found| !matches!(found, Mismatch::Restricted { .. }));
    let reasons: Vec<String> = certain.map(|found| found.to_string()).collect();
    if !reasons.is_empty() {
        return Err(CliError::Mismatch { reasons });
    }
    let price = Amount(orders.price());
    let question = format!(
        "Match the orders: {price} for each of up to {} tasks, paid by {}?",
        orders.request.order.volume,
        checksummed(&orders.request.order.requester)
    );
    let Four { app, dataset, workerpool, request } = orders;
    let call = calls::match_orders(network.hub(), app, dataset, workerpool, request);
    let receipt = network.send(session, wallet, &call, &question)?;
    let no_trace = || CliError::NoTrace { transaction: receipt.transaction.to_string() };
    let (deal, volume) = calls::matched(&receipt, network.hub()).ok_or_else(no_trace)?;
    let details = network.wait(session, "Asking the chain", network.chain.deal(deal))?.ok_or_else(no_trace)?;
    let first = details.deal.bot_first;
    let volume = u64::try_from(volume).map_err(|_| no_trace())?;
    let tasks = (first..first.saturating_add(volume)).map(|index| TaskId::of(deal, index)).collect();
    Ok(Made { deal, tasks, transaction: receipt.transaction })
}

/// Publishes a signed order.
pub(crate) fn publish<O: Order>(
    session: &Session<'_>,
    network: &Network,
    market: &Market,
    order: &Signed<O>,
    wallet: &Wallet,
) -> Result<Answer, CliError> {
    let publishing = market.publish(order, wallet.key());
    let hash = network.wait(session, "Publishing the order", publishing)?.to_string();
    let text = format!("The {} order {hash} is published.", O::KIND);
    let json = json!({ "kind": O::KIND, "order_hash": hash, "published": true, "order": order, "chain": network.name });
    Ok(Answer::done(text, json))
}

/// Revokes an order on chain, then takes it out of the book. The book may not have it, or see the chain by itself.
pub(crate) fn cancel<O: Manage>(
    session: &Session<'_>,
    network: &Network,
    order: &Signed<O>,
    wallet: &Wallet,
) -> Result<Receipt, CliError> {
    let question = format!("Revoke the {} order for good?", O::KIND);
    let receipt = network.send(session, wallet, &O::manage(network.hub(), order, Operation::Close), &question)?;
    if let Ok(market) = network.market() {
        let hash = order.order.hash(&network.domain());
        let taken_out =
            network.wait(session, "Taking the order out of the book", market.unpublish::<O>(hash, wallet.key()));
        if taken_out.is_err() {
            session.screen.note("the order book did not take the order out; it is revoked all the same");
        }
    }
    Ok(receipt)
}

fn sign(session: &Session<'_>, signing: &Signing) -> Result<Answer, CliError> {
    let stage = Stage::new(session, &signing.network)?;
    let wallet = stage.network.signer(session, &stage.config, &signing.signer)?;
    match signing.kind {
        Kind::App => sign_into_file(&stage, app_order(signing)?, signing, &wallet),
        Kind::Dataset => sign_into_file(&stage, dataset_order(signing)?, signing, &wallet),
        Kind::Workerpool => sign_into_file(&stage, workerpool_order(signing, &stage.network)?, signing, &wallet),
        Kind::Request => sign_into_file(&stage, request_order(signing, wallet.address())?, signing, &wallet),
    }
}

/// An order that stands for something somebody owns.
trait OfAsset: Order {
    /// What must belong to the signer; nothing for requests.
    fn asset(&self) -> Option<(AssetKind, Address)>;
}

impl OfAsset for AppOrder {
    fn asset(&self) -> Option<(AssetKind, Address)> {
        Some((AssetKind::App, self.app))
    }
}

impl OfAsset for DatasetOrder {
    fn asset(&self) -> Option<(AssetKind, Address)> {
        Some((AssetKind::Dataset, self.dataset))
    }
}

impl OfAsset for WorkerpoolOrder {
    fn asset(&self) -> Option<(AssetKind, Address)> {
        Some((AssetKind::Workerpool, self.workerpool))
    }
}

impl OfAsset for RequestOrder {
    fn asset(&self) -> Option<(AssetKind, Address)> {
        None
    }
}

fn sign_into_file<O: OfAsset>(
    stage: &Stage<'_>,
    order: O,
    signing: &Signing,
    wallet: &Wallet,
) -> Result<Answer, CliError> {
    if let Some((kind, asset)) = order.asset() {
        let owned = stage.network.must_own(kind, asset, wallet.address());
        stage.network.wait(stage.session, "Asking the chain", owned)?;
    }
    let domain = stage.network.domain();
    let hash = order.hash(&domain).to_string();
    let signed = order.sign(&domain, wallet.key());
    let file = stage.session.here(&signing.file);
    order_file::store(&file, stage.network.entry.chain_id, &signed)?;
    let text = format!("The {} order {hash} is signed, in {}.", O::KIND, signing.file.display());
    let json =
        json!({ "kind": O::KIND, "order_hash": hash, "order": signed, "file": signing.file.display().to_string() });
    Ok(Answer::done(text, json))
}

fn needed(kind: &'static str, what: &'static str, address: Option<Address>) -> Result<Address, CliError> {
    address.ok_or(CliError::OrderMember { kind, what })
}

fn app_order(signing: &Signing) -> Result<AppOrder, CliError> {
    Ok(AppOrder {
        app: needed("app", "need --app ADDRESS", signing.app)?,
        appprice: signing.price.0,
        volume: U256::from(signing.volume),
        tag: signing.tag.0,
        datasetrestrict: signing.dataset.unwrap_or_default(),
        workerpoolrestrict: signing.workerpool.unwrap_or_default(),
        requesterrestrict: signing.requester.unwrap_or_default(),
        salt: random()?.into(),
    })
}

fn dataset_order(signing: &Signing) -> Result<DatasetOrder, CliError> {
    Ok(DatasetOrder {
        dataset: needed("dataset", "need --dataset ADDRESS", signing.dataset)?,
        datasetprice: signing.price.0,
        volume: U256::from(signing.volume),
        tag: signing.tag.0,
        apprestrict: signing.app.unwrap_or_default(),
        workerpoolrestrict: signing.workerpool.unwrap_or_default(),
        requesterrestrict: signing.requester.unwrap_or_default(),
        salt: random()?.into(),
    })
}

fn workerpool_order(signing: &Signing, network: &Network) -> Result<WorkerpoolOrder, CliError> {
    let workerpool = signing.workerpool.or(network.entry.workerpool);
    Ok(WorkerpoolOrder {
        workerpool: needed("workerpool", "need --workerpool ADDRESS", workerpool)?,
        workerpoolprice: signing.price.0,
        volume: U256::from(signing.volume),
        tag: signing.tag.0,
        category: U256::from(signing.category),
        trust: U256::from(signing.trust),
        apprestrict: signing.app.unwrap_or_default(),
        datasetrestrict: signing.dataset.unwrap_or_default(),
        requesterrestrict: signing.requester.unwrap_or_default(),
        salt: random()?.into(),
    })
}

fn request_order(signing: &Signing, wallet: Address) -> Result<RequestOrder, CliError> {
    if signing.requester.is_some_and(|requester| requester != wallet) {
        return Err(CliError::OrderMember {
            kind: "request",
            what: "are signed by their requester: leave --requester out",
        });
    }
    Ok(RequestOrder {
        app: needed("request", "need --app ADDRESS", signing.app)?,
        appmaxprice: signing.app_max_price.0,
        dataset: signing.dataset.unwrap_or_default(),
        datasetmaxprice: signing.dataset_max_price.0,
        workerpool: signing.workerpool.unwrap_or_default(),
        workerpoolmaxprice: signing.workerpool_max_price.0,
        requester: wallet,
        volume: U256::from(signing.volume),
        tag: signing.tag.0,
        category: U256::from(signing.category),
        trust: U256::from(signing.trust),
        beneficiary: signing.beneficiary.unwrap_or(wallet),
        callback: signing.callback.unwrap_or_default(),
        params: signing.params.clone(),
        salt: random()?.into(),
    })
}

/// What the book is asked for. A restriction that was not mentioned may be any.
fn search_of(kind: &'static str, asked: &BookSearch) -> Result<Search, CliError> {
    let mut search = Search::default();
    let names = [
        ("app", asked.app),
        ("dataset", asked.dataset),
        ("workerpool", asked.workerpool),
        ("requester", asked.requester),
    ];
    for (name, address) in names {
        search = match address {
            Some(address) => search.with(name, address),
            // The book lists apps and datasets only by name.
            None if name == kind && kind == "app" => {
                return Err(CliError::OrderMember { kind, what: "are listed for an app: give --app ADDRESS" });
            }
            None if name == kind && kind == "dataset" => {
                return Err(CliError::OrderMember { kind, what: "are listed for a dataset: give --dataset ADDRESS" });
            }
            None if name == kind || kind == "request" => search,
            None => search.with_any(name),
        };
    }
    if let Some(category) = asked.category {
        search = search.with_number("category", category);
    }
    if let Some(tag) = asked.tag {
        search = search.with_word("minTag", tag.0);
    }
    Ok(search)
}

/// Orders as lines, the best first.
pub(crate) fn listing<O: Order>(orders: &[Published<O>]) -> String {
    orders.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn line<O: Order>(published: &Published<O>) -> String {
    let members = published.order.order.to_json();
    let text = |member: &str| members.get(member).and_then(Value::as_str).unwrap_or_default();
    let price: U256 =
        ["appprice", "datasetprice", "workerpoolprice", "appmaxprice", "datasetmaxprice", "workerpoolmaxprice"]
            .iter()
            .filter_map(|member| text(member).parse::<U256>().ok())
            .sum();
    let tag = text("tag").parse().map(TagWord::describe).unwrap_or_default();
    let restrictions = ["app", "dataset", "workerpool", "requester"]
        .iter()
        .map(|name| (name, text(&format!("{name}restrict"))))
        .filter(|(_, only)| !only.is_empty() && *only != checksummed(&Address::ZERO))
        .map(|(name, only)| format!("  only {name} {only}"));
    let category = members.get("category").and_then(Value::as_str).map(|category| format!("  category {category}"));
    format!(
        "{:#x}  {}  {} of {} left  tag {tag}{}{}",
        published.hash,
        Amount(price),
        published.remaining,
        text("volume"),
        category.unwrap_or_default(),
        restrictions.collect::<String>(),
    )
}

/// A published order, for programs.
pub(crate) fn described<O: Order>(published: &Published<O>) -> Value {
    json!({
        "order_hash": format!("{:#x}", published.hash),
        "order": published.order,
        "remaining": published.remaining.to_string(),
        "status": published.status,
        "published": published.published,
    })
}
