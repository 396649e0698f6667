//! Grants of datasets: orders that their owner signs, in the order book and on chain.

use alloy_primitives::U256;
use serde_json::{Value, json};
use strongroom_market::{Market, Published, Search};
use strongroom_poco::AssetKind;
use strongroom_poco::orders::{DatasetOrder, Order};
use strongroom_protocol::address::checksummed;
use strongroom_protocol::{Address, B256};

use crate::amount::Amount;
use crate::arguments::{Granting, NetworkChoice, Signer};
use crate::commands::order::{cancel, described, listing, publish};
use crate::commands::{Session, random};
use crate::error::CliError;
use crate::network::Network;
use crate::output::Answer;

const NO_GRANT: &str = "There is no open grant in the book.";
/// Only the hub ends an order, and nobody knows all that were signed.
const ELSEWHERE: &str = "A grant that you signed and the book does not have stays good for whoever has it. Revoke it from its file:\n\
                         strongroom order cancel dataset --file FILE";

pub(super) fn grant(session: &Session<'_>, granting: &Granting) -> Result<Answer, CliError> {
    let Granting { dataset, price, volume, tag, app, workerpool, requester, no_publish, signer, network } = granting;
    let config = session.config()?;
    let network = Network::find(&config, network)?;
    let market = if *no_publish { None } else { Some(network.market()?) };
    let wallet = network.signer(session, &config, signer)?;
    let owned = network.must_own(AssetKind::Dataset, *dataset, wallet.address());
    network.wait(session, "Asking the chain", owned)?;
    let order = DatasetOrder {
        dataset: *dataset,
        datasetprice: price.0,
        volume: U256::from(*volume),
        tag: tag.0,
        apprestrict: app.unwrap_or_default(),
        workerpoolrestrict: workerpool.unwrap_or_default(),
        requesterrestrict: requester.unwrap_or_default(),
        salt: random()?.into(),
    };
    if app.is_none() {
        session.screen.note("any app may use the dataset, also one that gives its content away; --app names one");
    }
    let domain = network.domain();
    let hash = order.hash(&domain).to_string();
    let signed = order.sign(&domain, wallet.key());
    let Some(market) = market else {
        let json = json!({ "kind": "dataset", "order_hash": hash, "published": false, "order": signed, "chain": network.name });
        return Ok(Answer::done(format!("{:#}", json!({ "datasetorder": signed })), json));
    };
    let mut answer = publish(session, &network, &market, &signed, &wallet)?;
    answer.text = format!("Granted: {volume} tasks at {} each.\norder  {hash}", Amount(price.0));
    Ok(answer)
}

/// The open orders of a dataset in the book.
async fn open_orders(market: &Market, dataset: Address) -> Result<Vec<Published<DatasetOrder>>, CliError> {
    let search = Search::default().with("dataset", dataset);
    let search = ["app", "workerpool", "requester"].into_iter().fold(search, Search::with_any);
    Ok(market.orders(&search).await?)
}

pub(super) fn revoke(
    session: &Session<'_>,
    dataset: Address,
    order: Option<B256>,
    signer: &Signer,
    network: &NetworkChoice,
) -> Result<Answer, CliError> {
    let config = session.config()?;
    let network = Network::find(&config, network)?;
    let market = network.market()?;
    let wallet = network.signer(session, &config, signer)?;
    let owned = network.must_own(AssetKind::Dataset, dataset, wallet.address());
    network.wait(session, "Asking the chain", owned)?;
    let mut orders = network.wait(session, "Asking the order book", open_orders(&market, dataset))?;
    if let Some(hash) = order {
        orders.retain(|found| found.hash == hash);
        if orders.is_empty() {
            return Err(CliError::NoOrder { kind: "dataset", hash: hash.to_string() });
        }
    }
    let mut revoked = Vec::new();
    for found in &orders {
        cancel(session, &network, &found.order, &wallet)?;
        revoked.push(found.hash.to_string());
    }
    let mut lines: Vec<String> = revoked.iter().map(|hash| format!("{hash} is revoked for good.")).collect();
    if revoked.is_empty() {
        lines.push(NO_GRANT.to_owned());
    }
    lines.push(ELSEWHERE.to_owned());
    let json = json!({ "dataset": checksummed(&dataset), "revoked": revoked, "chain": network.name });
    Ok(Answer::done(lines.join("\n"), json))
}

pub(super) fn grants(session: &Session<'_>, dataset: Address, network: &NetworkChoice) -> Result<Answer, CliError> {
    let network = Network::find(&session.config()?, network)?;
    let market = network.market()?;
    let orders = network.wait(session, "Asking the order book and the chain", async {
        let owner = network.owner(AssetKind::Dataset, dataset).await?;
        let mut orders = open_orders(&market, dataset).await?;
        // The book may lag behind: the chain says what is left, and a new owner's dataset is no longer granted by the old one.
        orders.retain(|found| found.order.signer(&network.domain()).is_none_or(|signer| signer == owner));
        for found in &mut orders {
            let consumed = network.chain.consumed(found.hash).await?;
            found.remaining = found.order.order.volume.saturating_sub(consumed);
        }
        Ok::<_, CliError>(orders)
    })?;
    let text = if orders.is_empty() { NO_GRANT.to_owned() } else { listing(&orders) };
    let json: Vec<Value> = orders.iter().map(described).collect();
    Ok(Answer::done(text, json!({ "dataset": checksummed(&dataset), "grants": json, "chain": network.name })))
}
