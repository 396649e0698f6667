//! `strongroom task list`.

use serde_json::{Value, json};
use strongroom_market::Search;
use strongroom_protocol::address::checksummed;
use strongroom_protocol::{Address, DealId};

use super::subject::{LISTED_TASKS, Standing, Subject, chain_time, date, described, lines};
use crate::arguments::{NetworkChoice, WalletChoice};
use crate::commands::Session;
use crate::error::CliError;
use crate::network::Network;
use crate::output::Answer;

pub(super) fn list(
    session: &Session<'_>,
    requester: Option<Address>,
    limit: u64,
    wallet: &WalletChoice,
    network: &NetworkChoice,
) -> Result<Answer, CliError> {
    let config = session.config()?;
    let network = Network::find(&config, network)?;
    let requester = match requester {
        Some(requester) => requester,
        None => session.wallet(wallet, &config)?.address()?,
    };
    let market = network.market()?;
    let deals = network.wait(session, "Asking the order book and the chain", async {
        let now = chain_time(&network).await?;
        let ids = market.deals(&Search::default().with("requester", requester)).await?;
        let mut deals = Vec::new();
        for id in ids.into_iter().take(usize::try_from(limit).unwrap_or(usize::MAX)) {
            // The book may know a deal before our node does, or after its block is gone.
            let Some(details) = network.chain.deal(DealId::from(id)).await? else { continue };
            let subject = Subject::whole(details, LISTED_TASKS as u64);
            let standings = subject.standings(&network, now).await?;
            deals.push((subject, standings));
        }
        Ok::<_, CliError>(deals)
    })?;
    let block = |(subject, standings): &(Subject, Vec<Standing>)| {
        let deal = &subject.details.deal;
        let app = checksummed(&deal.app.address);
        let mut all = vec![format!("deal {}  {}  app {app}", deal.id, date(deal.start_time))];
        all.extend(lines(subject, standings));
        if deal.bot_size > standings.len() as u64 {
            all.push(format!("      and {} more", deal.bot_size - standings.len() as u64));
        }
        all.join("\n")
    };
    let text = match deals.as_slice() {
        [] => format!("{} has bought nothing here.", checksummed(&requester)),
        deals => deals.iter().map(block).collect::<Vec<_>>().join("\n"),
    };
    let json: Vec<Value> = deals.iter().map(|(subject, standings)| described(&network, subject, standings)).collect();
    Ok(Answer::done(text, json!({ "requester": checksummed(&requester), "deals": json })))
}
