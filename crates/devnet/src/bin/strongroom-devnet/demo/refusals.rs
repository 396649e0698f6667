//! What must not work, and the reason that is given each time.

use alloy_primitives::B256;
use anyhow::{bail, ensure};
use strongroom_devnet::home::DONE;
use strongroom_devnet::whole::POOL_OWNER;
use strongroom_poco::match_refusal;
use strongroom_protocol::TaskId;

use super::market::{Market, POOL_PRICE, Wanted};
use super::story::{BANK, DATA_OWNER, DEVELOPER, REQUESTER, Stage};
use super::thief::{self, Disguise, Thief};
use super::{Teller, Who};

impl Stage<'_> {
    /// What must not work, each with the reason that is given. `image` is the digest of the app that is wanted.
    pub(super) async fn show_refusals(
        &self,
        market: &Market,
        teller: &mut Teller,
        wanted: &Wanted<'_>,
        image: B256,
    ) -> anyhow::Result<Vec<String>> {
        let mut reasons = Vec::new();
        let (other, _) = self.deploy_app(market, "other-app").await?;
        let orders = market.orders(
            &Wanted { app: other, params: wanted.params.clone(), ..*wanted },
            DEVELOPER,
            POOL_OWNER,
            REQUESTER,
        )?;
        let Err(reason) = market.try_to_buy(REQUESTER, &orders).await? else {
            bail!("an app without a grant got the dataset")
        };
        let reason = in_words(&reason);
        teller.refused(Who::Requester, format_args!("buys another app with the same dataset: {reason}"));
        reasons.push(format!("an app that the data owner granted nothing: {reason}"));

        // The same name, but a checksum that no image of anybody has: whatever enclave starts, it is not the one on chain.
        let forged = self.register(market, "forged-app", B256::repeat_byte(0xfe)).await?;
        let grant = market.grant(DATA_OWNER, wanted.dataset.order.dataset, forged)?;
        let another =
            Wanted { app: forged, dataset: &grant, workerpool: wanted.workerpool, params: wanted.params.clone() };
        let orders = market.orders(&another, DEVELOPER, POOL_OWNER, REQUESTER)?;
        let deal = market.buy(REQUESTER, &orders).await?;
        let model = self.until_over(TaskId::of(deal, 0), |_| ()).await?;
        ensure!(model["currentStatus"] == "FAILED", "an image that is not the one on chain ran: {model:#}");
        let why = cause(&model);
        teller.refused(Who::Pool, format_args!("an app whose image is not the one named on chain: {why}"));
        reasons.push(format!("code that is not the one named on chain: {why}"));

        reasons.extend(self.show_another_enclave(market, teller, wanted, image).await?);

        market.revoke(DATA_OWNER, wanted.dataset).await?;
        let orders = market.orders(wanted, DEVELOPER, POOL_OWNER, REQUESTER)?;
        let Err(reason) = market.try_to_buy(REQUESTER, &orders).await? else { bail!("a revoked grant was good") };
        let reason = in_words(&reason);
        teller.refused(
            Who::Requester,
            format_args!("buys the first app again after the data owner revoked the grant: {reason}"),
        );
        reasons.push(format!("a grant that was revoked: {reason}"));
        Ok(reasons)
    }

    /// A pool that cheats is bought like any other, and asks for the secrets from enclaves of its own.
    async fn show_another_enclave(
        &self,
        market: &Market,
        teller: &mut Teller,
        wanted: &Wanted<'_>,
        image: B256,
    ) -> anyhow::Result<Vec<String>> {
        let thief = Thief::with_a_workerpool(self).await?;
        market.fund(BANK, thief::ACCOUNT, POOL_PRICE).await?;
        let wanted = Wanted { workerpool: thief.workerpool, params: wanted.params.clone(), ..*wanted };
        let orders = market.orders(&wanted, DEVELOPER, thief::ACCOUNT, REQUESTER)?;
        let deal = market.buy(REQUESTER, &orders).await?;
        let task = TaskId::of(deal, 0);
        let heist = thief.prepare(deal).await?;
        teller.tell(Who::Thief, format_args!("runs a workerpool too, is bought, and gets a session for task {task}"));
        let mut reasons = Vec::new();
        for disguise in Disguise::ALL {
            let (who, why) = (disguise.in_words(), thief.try_as(disguise, &heist, image).await?);
            teller.refused(Who::Thief, format_args!("asks for the secrets from {who}: {why}"));
            reasons.push(format!("{who}, at a pool that cheats: {why}"));
        }
        let journal = self.home.run_to(DONE, &["task", "journal", &task.to_string(), "--wallet", "data-owner"], b"")?;
        let entries = journal["entries"].as_array().map(Vec::as_slice).unwrap_or_default();
        let refused = entries.iter().filter(|entry| entry["outcome"] == "refused").count();
        ensure!((entries.len(), refused) == (Disguise::ALL.len(), entries.len()), "the journal says: {journal:#}");
        teller.tell(
            Who::DataOwner,
            format_args!("strongroom task journal: {refused} attempts, all refused, with the worker's address"),
        );
        Ok(reasons)
    }
}

/// A refusal of the hub, with what its number means.
fn in_words(reason: &str) -> String {
    match match_refusal::explain(reason) {
        Some(words) => format!("{words} ({reason})"),
        None => reason.to_owned(),
    }
}

/// The cause and message that the pool tells of a failed task.
fn cause(model: &serde_json::Value) -> String {
    fn find(value: &serde_json::Value, member: &str) -> Option<String> {
        match value {
            serde_json::Value::Object(members) => members
                .get(member)
                .and_then(|found| found.as_str().map(str::to_owned))
                .or_else(|| members.values().find_map(|value| find(value, member))),
            serde_json::Value::Array(list) => list.iter().find_map(|value| find(value, member)),
            _ => None,
        }
    }
    let cause = find(model, "cause").unwrap_or_else(|| "refused".to_owned());
    match find(model, "message") {
        Some(message) => format!("{cause}: {message}"),
        None => cause,
    }
}
