//! `strongroom pool`: workerpools.

use alloy_primitives::U256;
use serde_json::json;
use strongroom_market::Search;
use strongroom_poco::orders::{Order, WorkerpoolOrder};
use strongroom_poco::{AssetKind, calls};
use strongroom_protocol::Address;
use strongroom_protocol::address::checksummed;

use crate::amount::Amount;
use crate::arguments::{NetworkChoice, PoolCommand, PoolOffer, Signer};
use crate::commands::order::{described, listing, publish};
use crate::commands::{Session, pool_settings, random};
use crate::error::CliError;
use crate::network::Network;
use crate::output::Answer;

/// Runs one of the commands.
pub(crate) fn run(session: &Session<'_>, command: PoolCommand) -> Result<Answer, CliError> {
    match command {
        PoolCommand::Deploy { description, signer, network } => deploy(session, description, &signer, &network),
        PoolCommand::Show { workerpool, network } => show(session, workerpool, &network),
        PoolCommand::Settings(wanted) => pool_settings::write(session, &wanted),
        PoolCommand::Publish(offer) => offer_tasks(session, &offer),
    }
}

fn deploy(
    session: &Session<'_>,
    description: String,
    signer: &Signer,
    network: &NetworkChoice,
) -> Result<Answer, CliError> {
    let config = session.config()?;
    let network = Network::find(&config, network)?;
    let wallet = network.signer(session, &config, signer)?;
    let registry = network.wait(session, "Asking the chain", network.chain.registries())?.workerpool;
    let question = format!("Register a workerpool on {}?", network.name);
    let call = calls::create_workerpool(registry, wallet.address(), description);
    let receipt = network.send(session, &wallet, &call, &question)?;
    let transaction = receipt.transaction.to_string();
    let workerpool =
        calls::created(&receipt, registry).ok_or_else(|| CliError::NoTrace { transaction: transaction.clone() })?;
    let (workerpool, owner) = (checksummed(&workerpool), checksummed(&wallet.address()));
    let text = format!("workerpool  {workerpool}\nowner       {owner}");
    let json = json!({ "workerpool": workerpool, "owner": owner, "chain": network.name, "transaction": transaction });
    Ok(Answer::done(text, json))
}

fn show(session: &Session<'_>, workerpool: Option<Address>, network: &NetworkChoice) -> Result<Answer, CliError> {
    let network = Network::find(&session.config()?, network)?;
    let workerpool = workerpool
        .or(network.entry.workerpool)
        .ok_or_else(|| CliError::NoWorkerpool { chain: network.name.clone() })?;
    let market = network.market().ok();
    let search = Search::default().with("workerpool", workerpool);
    let search = ["app", "dataset", "requester"].into_iter().fold(search, Search::with_any);
    let (owner, money, orders) = network.wait(session, "Asking the chain and the order book", async {
        let owner = network.owner(AssetKind::Workerpool, workerpool).await?;
        let money = network.chain.money(owner).await?;
        let orders = match &market {
            Some(market) => market.orders::<WorkerpoolOrder>(&search).await?,
            None => Vec::new(),
        };
        Ok::<_, CliError>((owner, money, orders))
    })?;
    let mut text = format!(
        "workerpool  {}\nowner       {}\nstake       {} free, {} locked\norders      {}",
        checksummed(&workerpool),
        checksummed(&owner),
        Amount(money.stake),
        Amount(money.locked),
        orders.len(),
    );
    if !orders.is_empty() {
        text.push('\n');
        text.push_str(&listing(&orders));
    }
    let json = json!({
        "workerpool": checksummed(&workerpool),
        "owner": checksummed(&owner),
        "chain": network.name,
        "stake": money.stake.to_string(),
        "locked": money.locked.to_string(),
        "orders": orders.iter().map(described).collect::<Vec<_>>(),
    });
    Ok(Answer::done(text, json))
}

fn offer_tasks(session: &Session<'_>, offer: &PoolOffer) -> Result<Answer, CliError> {
    let config = session.config()?;
    let network = Network::find(&config, &offer.network)?;
    let market = network.market()?;
    let wallet = network.signer(session, &config, &offer.signer)?;
    let owned = network.must_own(AssetKind::Workerpool, offer.workerpool, wallet.address());
    network.wait(session, "Asking the chain", owned)?;
    let order = WorkerpoolOrder {
        workerpool: offer.workerpool,
        workerpoolprice: offer.price.0,
        volume: U256::from(offer.volume),
        tag: offer.tag.0,
        category: U256::from(offer.category),
        trust: U256::from(offer.trust),
        apprestrict: offer.app.unwrap_or_default(),
        datasetrestrict: offer.dataset.unwrap_or_default(),
        requesterrestrict: offer.requester.unwrap_or_default(),
        salt: random()?.into(),
    };
    let signed = order.sign(&network.domain(), wallet.key());
    publish(session, &network, &market, &signed, &wallet)
}
