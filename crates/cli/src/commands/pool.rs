//! `strongroom pool`: workerpools.

use serde_json::json;
use strongroom_market::Search;
use strongroom_poco::orders::WorkerpoolOrder;
use strongroom_poco::{AssetKind, calls};
use strongroom_protocol::Address;
use strongroom_protocol::address::checksummed;

use crate::amount::Amount;
use crate::arguments::{NetworkChoice, PoolCommand, Signer};
use crate::commands::Session;
use crate::commands::order::{described, listing};
use crate::error::CliError;
use crate::network::Network;
use crate::output::Answer;

/// Runs one of the commands.
pub(crate) fn run(session: &Session<'_>, command: PoolCommand) -> Result<Answer, CliError> {
    match command {
        PoolCommand::Deploy { description, signer, network } => deploy(session, description, &signer, &network),
        PoolCommand::Show { workerpool, network } => show(session, workerpool, &network),
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
