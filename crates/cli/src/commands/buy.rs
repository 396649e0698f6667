//! `strongroom task buy`: looks at everything, says what is missing, and only then signs and matches.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use alloy_primitives::U256;
use serde_json::{Map, Value, json};
use strongroom_poco::AssetKind;
use strongroom_poco::accounts::Money;
use strongroom_poco::orders::{Order, RequestOrder};
use strongroom_protocol::address::checksummed;
use strongroom_protocol::snapshot::App;
use strongroom_protocol::{AccountSecretName, Address, B256, SecretId};

use crate::amount::Amount;
use crate::arguments::Buying;
use crate::commands::order::{Four, match_orders};
use crate::commands::secret::Target;
use crate::commands::{Session, random, task};
use crate::error::CliError;
use crate::exit::Exit;
use crate::network::Network;
use crate::offer::{self, Offer, Offers, Owners, Wish};
use crate::output::Answer;
use crate::preflight::{self, Facts, Gas, Missing, judge, offer_line};

/// Buys tasks.
pub(crate) fn run(session: &Session<'_>, buying: &Buying) -> Result<Answer, CliError> {
    let config = session.config()?;
    let service = &buying.service;
    let network = Network::named(&config, service.chain.as_ref(), Duration::from_secs(service.timeout))?;
    let target = Target::find(&config, service)?;
    if buying.afterwards.logs {
        // Who cannot ask for them is told before anything is bought.
        network.compass()?;
    }
    let wallet = session.wallet(&buying.wallet, &config)?;
    let prepared = prepare(session, &network, &target, buying, wallet.address()?)?;
    if !prepared.missing.is_empty() || buying.dry_run {
        return Ok(prepared.answer(&network));
    }
    for line in prepared.lines() {
        session.screen.note(&line);
    }
    let (key, _) = session.unlock(&wallet, &buying.password)?;
    let wallet = network.sending(key);
    let Some(orders) = prepared.signed(&network, &wallet) else { return Ok(prepared.answer(&network)) };
    let made = match_orders(session, &network, &orders, &wallet)?;
    if buying.afterwards.watch {
        // Whoever stops watching has it.
        session.screen.note(&format!("deal {}", made.deal));
        let watched =
            task::watch(session, &network, B256::from(made.deal), buying.afterwards.logs.then_some(wallet.key()))?;
        let text = format!("{}\n{}", made.text(), watched.text);
        let mut json = made.json(&network);
        json["bought"] = true.into();
        json["watched"] = watched.json;
        return Ok(Answer { exit: watched.exit, text, json });
    }
    let mut json = made.json(&network);
    json["bought"] = true.into();
    let text = format!("{}\nWatch with: strongroom task watch {}", made.text(), made.deal);
    Ok(Answer::done(text, json))
}

/// A purchase that was looked at.
struct Prepared {
    offers: Offers,
    request: Option<RequestOrder>,
    missing: Vec<Missing>,
    volume: u64,
}

fn prepare(
    session: &Session<'_>,
    network: &Network,
    target: &Target,
    buying: &Buying,
    requester: Address,
) -> Result<Prepared, CliError> {
    let wish = Wish {
        app: buying.app,
        dataset: buying.dataset,
        app_whitelist: buying.app_whitelist,
        workerpool: buying.workerpool.or(network.entry.workerpool),
        category: buying.category,
        tag: buying.tag.0,
        trust: buying.trust,
        volume: buying.volume,
        requester,
    };
    let params = params(buying)?;
    let market = network.market()?;
    let salt: B256 = random()?.into();
    let (seen, offers) = network.wait(session, "Asking the chain and the order book", async {
        let seen = look(network, &wish).await?;
        let offers = offer::find(&market, &wish, &seen.owners, salt).await?;
        Ok::<_, CliError>((seen, offers))
    })?;
    let beneficiary = buying.beneficiary.unwrap_or(requester);
    let about = (beneficiary, buying.callback.unwrap_or_default(), params, salt);
    let request = preflight::request(&wish, &offers, about);
    let secrets = needed_secrets(buying, &seen, requester, beneficiary);
    let secrets = target.ask(session, "Asking the SMS", async |sms| {
        let mut found = Vec::new();
        for id in secrets {
            let is_there = sms.has(&id).await?;
            found.push((id, is_there));
        }
        Ok(found)
    })?;
    let (left, pool_stake) = network.wait(session, "Asking the chain", async {
        let left = [
            left(network, offers.app.as_ref(), |order| order.volume).await?,
            left(network, offers.dataset.as_ref(), |order| order.volume).await?,
            left(network, offers.workerpool.as_ref(), |order| order.volume).await?,
        ];
        Ok::<_, CliError>((left, pool_stake(network, &offers).await?))
    })?;
    let facts = Facts {
        wish: &wish,
        offers: &offers,
        request: request.as_ref(),
        app: seen.app,
        dataset_is_registered: wish.dataset.is_none() || seen.owners.dataset.is_some(),
        workerpool_is_registered: wish.workerpool.is_none() || seen.owners.workerpool.is_some(),
        left,
        stake: seen.money.stake,
        gas: Gas { coin: seen.money.coin, price: U256::from(seen.gas_price), is_given_away: network.is_local_devnet() },
        pool_stake,
        secrets,
        max_price: buying.max_price,
        asks_for_secrets: buying.dataset.is_some() || !buying.secret.is_empty() || buying.encrypt_result,
    };
    let missing = judge(&facts);
    Ok(Prepared { missing, request, offers, volume: buying.volume })
}

/// What the chain says beforehand.
struct Seen {
    app: Option<App>,
    owners: Owners,
    money: Money,
    gas_price: u128,
}

async fn look(network: &Network, wish: &Wish) -> Result<Seen, CliError> {
    let app = network.chain.app(wish.app).await?;
    let mut owners = Owners { app: app.as_ref().map(|app| app.owner), ..Owners::default() };
    if let Some(dataset) = wish.dataset {
        owners.dataset = network.chain.asset_owner(AssetKind::Dataset, dataset).await?;
    }
    if let Some(workerpool) = wish.workerpool {
        owners.workerpool = network.chain.asset_owner(AssetKind::Workerpool, workerpool).await?;
    }
    let money = network.chain.money(wish.requester).await?;
    Ok(Seen { app, owners, money, gas_price: network.chain.gas_price().await? })
}

/// What is left of a published order; nothing is known about the buyer's own, which is new.
async fn left<O: Order>(
    network: &Network,
    offer: Option<&Offer<O>>,
    volume: impl Fn(&O) -> U256,
) -> Result<Option<U256>, CliError> {
    let Some((offer, hash)) = offer.and_then(|offer| Some((offer, offer.hash()?))) else { return Ok(None) };
    Ok(Some(volume(offer.order()).saturating_sub(network.chain.consumed(hash).await?)))
}

async fn pool_stake(network: &Network, offers: &Offers) -> Result<Option<U256>, CliError> {
    let Some(offer) = &offers.workerpool else { return Ok(None) };
    let owner = network.owner(AssetKind::Workerpool, offer.order().workerpool).await?;
    Ok(Some(network.chain.money(owner).await?.stake))
}

/// The secrets without which the tasks would fail. An app's secret is none of them: apps may do without.
fn needed_secrets(buying: &Buying, seen: &Seen, requester: Address, beneficiary: Address) -> Vec<SecretId> {
    let account = |owner, name: &str| {
        let name = name.parse().expect("the reserved names are names");
        SecretId::Account { owner, name }
    };
    let mut ids: Vec<SecretId> = Vec::new();
    ids.extend(buying.dataset.filter(|_| seen.owners.dataset.is_some()).map(SecretId::Dataset));
    ids.extend(buying.secret.iter().map(|s| SecretId::Requester { owner: requester, name: s.name.clone() }));
    if buying.encrypt_result {
        ids.push(account(beneficiary, AccountSecretName::RESULT_ENCRYPTION_KEY));
    }
    if buying.storage_provider.as_deref() == Some("dropbox") {
        ids.push(account(requester, AccountSecretName::DROPBOX_TOKEN));
    }
    ids
}

/// The parameters of the deal, as the stock SDK writes them.
fn params(buying: &Buying) -> Result<String, CliError> {
    let mut params = Map::new();
    if let Some(args) = &buying.args {
        params.insert("iexec_args".to_owned(), args.clone().into());
    }
    if !buying.input_file.is_empty() {
        if buying.input_file.iter().any(|url| !matches!(url.scheme(), "http" | "https")) {
            return Err(CliError::OrderMember { kind: "request", what: "take input files by http and https only" });
        }
        params.insert("iexec_input_files".to_owned(), json!(buying.input_file));
    }
    if !buying.secret.is_empty() {
        let secrets: BTreeMap<String, &str> =
            buying.secret.iter().map(|secret| (secret.index.to_string(), secret.name.as_str())).collect();
        if secrets.len() < buying.secret.len() {
            return Err(CliError::OrderMember { kind: "request", what: "take one secret for each number" });
        }
        params.insert("iexec_secrets".to_owned(), json!(secrets));
    }
    if buying.encrypt_result {
        params.insert("iexec_result_encryption".to_owned(), true.into());
    }
    let usual = if buying.callback.is_none() { Some("ipfs") } else { None };
    if let Some(provider) = buying.storage_provider.as_deref().or(usual) {
        params.insert("iexec_result_storage_provider".to_owned(), provider.into());
    }
    Ok(Value::Object(params).to_string())
}

impl Prepared {
    /// The offers and what they cost.
    fn lines(&self) -> Vec<String> {
        let Offers { app, dataset, workerpool } = &self.offers;
        let mut lines = Vec::new();
        lines.extend(app.as_ref().map(|offer| offer_line(offer, offer.order().appprice)));
        lines.extend(dataset.as_ref().map(|offer| offer_line(offer, offer.order().datasetprice)));
        lines.extend(workerpool.as_ref().map(|offer| offer_line(offer, offer.order().workerpoolprice)));
        if let Some(price) = self.price() {
            let all = Amount(price.saturating_mul(U256::from(self.volume)));
            lines.push(format!("{:<11} {} for each of {} tasks, {all} in all", "price", Amount(price), self.volume));
        }
        lines
    }

    /// What one task costs at most.
    fn price(&self) -> Option<U256> {
        let request = self.request.as_ref()?;
        Some(request.appmaxprice.saturating_add(request.datasetmaxprice).saturating_add(request.workerpoolmaxprice))
    }

    /// What a dry run says, and a purchase that lacks something.
    fn answer(&self, network: &Network) -> Answer {
        let mut text = self.lines().join("\n");
        for Missing { what, remedy } in &self.missing {
            let _ = write!(text, "\nmissing: {what}\n  remedy: {remedy}");
        }
        let end = if self.missing.is_empty() { "Nothing is missing." } else { "Nothing was bought." };
        let text = format!("{text}\n{end}").trim_start().to_owned();
        let missing: Vec<Value> =
            self.missing.iter().map(|missing| json!({ "what": missing.what, "remedy": missing.remedy })).collect();
        let json = json!({
            "bought": false,
            "missing": missing,
            "price": self.price().map(|price| price.to_string()),
            "volume": self.volume,
            "app_order": self.offers.app.as_ref().and_then(Offer::hash).map(|hash| hash.to_string()),
            "dataset_order": self.offers.dataset.as_ref().and_then(Offer::hash).map(|hash| hash.to_string()),
            "workerpool_order": self.offers.workerpool.as_ref().and_then(Offer::hash).map(|hash| hash.to_string()),
            "workerpool": self.offers.workerpool.as_ref().map(|offer| checksummed(&offer.order().workerpool)),
            "chain": network.name,
        });
        let exit = if self.missing.is_empty() { Exit::Done } else { Exit::Refused };
        Answer { exit, text, json }
    }

    /// The four orders, signed; `None` while one is missing.
    fn signed(&self, network: &Network, wallet: &strongroom_poco::Wallet) -> Option<Four> {
        let domain = network.domain();
        let Offers { app, dataset, workerpool } = self.offers.clone();
        Some(Four {
            app: app?.signed(|order| order.sign(&domain, wallet.key())),
            dataset: dataset.map(|offer| offer.signed(|order| order.sign(&domain, wallet.key()))).unwrap_or_default(),
            workerpool: workerpool?.signed(|order| order.sign(&domain, wallet.key())),
            request: self.request.clone()?.sign(&domain, wallet.key()),
        })
    }
}
