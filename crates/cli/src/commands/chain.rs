//! `strongroom chain`: which network is meant.

use std::fmt::Write as _;

use serde_json::{Value, json};
use strongroom_protocol::address::checksummed;

use crate::arguments::{ChainCommand, ChainDescription, ChainServices};
use crate::chains::{ChainEntry, ChainName};
use crate::commands::Session;
use crate::config::{AddChain, Origin};
use crate::error::CliError;
use crate::output::Answer;

/// Runs one of the commands.
pub(crate) fn run(session: &Session<'_>, command: ChainCommand) -> Result<Answer, CliError> {
    match command {
        ChainCommand::Add(description) => add(session, *description),
        ChainCommand::Use { name } => {
            session.config()?.use_chain(&name)?;
            Ok(Answer::done(format!("{name} is the network in use."), json!({ "chain": name, "in_use": true })))
        }
        ChainCommand::List => list(session),
        ChainCommand::Show { name } => show(session, name.as_ref()),
    }
}

fn add(session: &Session<'_>, description: ChainDescription) -> Result<Answer, CliError> {
    let ChainDescription { name, chain_id, hub, rpc, sms, danger_plain_http, services, replace, use_it } = description;
    let ChainServices { market, ipfs_gateway, ipfs_node, result_proxy, compass, workerpool } = services;
    let chain = ChainEntry {
        danger_plain_http,
        market,
        ipfs_gateway,
        ipfs_node,
        result_proxy,
        compass,
        workerpool,
        ..ChainEntry::new(chain_id, hub, rpc, sms)
    };
    chain.check()?;
    let config = session.config()?;
    config.add_chain(&name, &chain, AddChain { replace, use_it })?;
    let in_use = use_it || config.chain_in_use() == Some(&name);
    let json = json!({ "chain": described(&name, &chain, Origin::SettingsFile, in_use) });
    let used = if in_use { " It is the one in use." } else { "" };
    Ok(Answer::done(format!("The network {name} is described.{used}"), json))
}

fn list(session: &Session<'_>) -> Result<Answer, CliError> {
    let config = session.config()?;
    let in_use = config.chain_in_use();
    let chains = config.chains();
    let lines = chains.iter().map(|(name, (chain, origin))| {
        let mark = if in_use == Some(name) { '*' } else { ' ' };
        format!("{mark} {:<20} {:>10}  {}  ({})", name.as_str(), chain.chain_id, chain.sms, origin.as_str())
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    let described: Vec<_> =
        chains.iter().map(|(name, (chain, origin))| described(name, chain, *origin, in_use == Some(name))).collect();
    Ok(Answer::done(text, json!({ "chains": described, "in_use": in_use })))
}

fn show(session: &Session<'_>, name: Option<&ChainName>) -> Result<Answer, CliError> {
    let config = session.config()?;
    let (name, chain, origin) = config.chain(name)?;
    let in_use = config.chain_in_use() == Some(&name);
    let rpc: Vec<_> = chain.rpc.iter().map(url::Url::as_str).collect();
    let mut text = format!(
        "network   {name} ({}{})\nchain id  {}\nhub       {}\nrpc       {}\nsms       {}",
        origin.as_str(),
        if in_use { ", in use" } else { "" },
        chain.chain_id,
        checksummed(&chain.hub),
        rpc.join("\n          "),
        chain.sms,
    );
    let services = [
        ("market", &chain.market),
        ("gateway", &chain.ipfs_gateway),
        ("ipfs node", &chain.ipfs_node),
        ("results", &chain.result_proxy),
        ("compass", &chain.compass),
    ];
    for (name, url) in services {
        if let Some(url) = url {
            let _ = write!(text, "\n{name:<9} {url}");
        }
    }
    if let Some(workerpool) = &chain.workerpool {
        let _ = write!(text, "\npool      {}", checksummed(workerpool));
    }
    Ok(Answer::done(text, json!({ "chain": described(&name, &chain, origin, in_use) })))
}

fn described(name: &ChainName, chain: &ChainEntry, origin: Origin, in_use: bool) -> Value {
    json!({
        "name": name,
        "chain_id": chain.chain_id,
        "hub": checksummed(&chain.hub),
        "rpc": chain.rpc,
        "sms": chain.sms,
        "danger_plain_http": chain.danger_plain_http,
        "market": chain.market,
        "ipfs_gateway": chain.ipfs_gateway,
        "ipfs_node": chain.ipfs_node,
        "result_proxy": chain.result_proxy,
        "compass": chain.compass,
        "workerpool": chain.workerpool.as_ref().map(checksummed),
        "origin": origin.as_str(),
        "in_use": in_use,
    })
}
