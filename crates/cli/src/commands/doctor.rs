//! `strongroom doctor`: looks at everything a purchase needs, and says how to mend what is wrong.

use std::error::Error;
use std::time::Duration;

use serde_json::{Value, json};
use strongroom_protocol::address::checksummed;
use strongroom_protocol::{AccountSecretName, Address, SecretId};

use crate::arguments::{Service, WalletChoice};
use crate::commands::Session;
use crate::commands::secret::Target;
use crate::config::Config;
use crate::error::CliError;
use crate::exit::{Exit, explain};
use crate::ipfs;
use crate::network::Network;
use crate::output::Answer;

/// What was looked at, and how it is.
struct Finding {
    what: &'static str,
    result: Result<String, CliError>,
}

/// Looks at settings, wallet, chain, SMS, order book and gateway. Trouble with one does not hide the others.
pub(crate) fn run(session: &Session<'_>, wallet: &WalletChoice, service: &Service) -> Answer {
    let mut findings = Vec::new();
    match session.config() {
        Ok(config) => look(session, &config, wallet, service, &mut findings),
        Err(error) => findings.push(Finding { what: "settings", result: Err(error) }),
    }
    answer(&findings)
}

fn look(session: &Session<'_>, config: &Config, wallet: &WalletChoice, service: &Service, findings: &mut Vec<Finding>) {
    let owner = session.wallet(wallet, config).and_then(|wallet| Ok(wallet.address()?));
    let owner_found = owner.as_ref().ok().copied();
    findings.push(Finding { what: "wallet", result: owner.map(|address| checksummed(&address)) });
    let timeout = Duration::from_secs(service.timeout);
    let network = match Network::named(config, service.chain.as_ref(), timeout) {
        Ok(network) => network,
        Err(error) => return findings.push(Finding { what: "network", result: Err(error) }),
    };
    findings.push(Finding { what: "network", result: Ok(network.name.to_string()) });
    let chain = network.wait(session, "Asking the chain", network.chain.check());
    let is_there = chain.is_ok();
    let hub = format!("chain {}, hub {}", network.entry.chain_id, checksummed(&network.hub()));
    findings.push(Finding { what: "chain", result: chain.map(|()| hub) });
    if let Some(owner) = owner_found.filter(|_| is_there) {
        findings.push(Finding { what: "money", result: money(session, &network, owner) });
    }
    findings.push(Finding { what: "sms", result: sms(session, config, service, owner_found) });
    let market = network.market().and_then(|market| {
        network.wait(session, "Asking the order book", market.check())?;
        Ok(market.root().to_string())
    });
    findings.push(Finding { what: "market", result: market });
    let gateway = network.gateway().and_then(|gateway| {
        network.wait(session, "Asking the gateway", ipfs::answers(gateway, timeout))?;
        Ok(gateway.to_string())
    });
    findings.push(Finding { what: "gateway", result: gateway });
}

fn money(session: &Session<'_>, network: &Network, owner: Address) -> Result<String, CliError> {
    let money = network.wait(session, "Asking the chain", async {
        let money = network.chain.money(owner).await?;
        network.must_have_gas(owner, money.coin).await?;
        Ok::<_, CliError>(money)
    })?;
    let (stake, rlc) = (crate::amount::Amount(money.stake), crate::amount::Amount(money.rlc));
    Ok(format!("{stake} at the hub, {rlc} in the wallet"))
}

/// Any question will do: whether the wallet has a key for results.
fn sms(session: &Session<'_>, config: &Config, service: &Service, owner: Option<Address>) -> Result<String, CliError> {
    let target = Target::find(config, service)?;
    let name = AccountSecretName::RESULT_ENCRYPTION_KEY.parse().expect("the reserved name is a name");
    let id = SecretId::Account { owner: owner.unwrap_or_default(), name };
    target.ask(session, "Asking the SMS", async |sms| sms.has(&id).await)?;
    Ok(target.about(&id)["sms"].as_str().unwrap_or_default().to_owned())
}

fn answer(findings: &[Finding]) -> Answer {
    let mut text = Vec::new();
    let mut json = Vec::new();
    for Finding { what, result } in findings {
        match result {
            Ok(found) => {
                text.push(format!("ok      {what:<9} {found}"));
                json.push(json!({ "what": what, "ok": true, "found": found }));
            }
            Err(error) => {
                let causes: Vec<String> =
                    std::iter::successors(error.source(), |cause| (*cause).source()).map(ToString::to_string).collect();
                let remedy = explain(error).remedy;
                text.push(format!("WRONG   {what:<9} {error}"));
                text.extend(causes.iter().map(|cause| format!("          because: {cause}")));
                text.extend(remedy.iter().map(|remedy| format!("          remedy: {remedy}")));
                json.push(json!({ "what": what, "ok": false, "message": error.to_string(), "causes": causes, "remedy": remedy }));
            }
        }
    }
    let healthy = findings.iter().all(|finding| finding.result.is_ok());
    let exit = if healthy { Exit::Done } else { Exit::Trouble };
    let json: Value = json!({ "healthy": healthy, "findings": json });
    Answer { exit, text: text.join("\n"), json }
}
