//! `strongroom account`: money.

use alloy_primitives::U256;
use serde_json::{Value, json};
use strongroom_poco::accounts::Money;
use strongroom_poco::{Receipt, calls};
use strongroom_protocol::Address;
use strongroom_protocol::address::checksummed;

use crate::amount::Amount;
use crate::arguments::{AccountCommand, NetworkChoice, Signer, WalletChoice};
use crate::commands::Session;
use crate::error::CliError;
use crate::network::Network;
use crate::output::Answer;

/// Runs one of the commands.
pub(crate) fn run(session: &Session<'_>, command: AccountCommand) -> Result<Answer, CliError> {
    match command {
        AccountCommand::Balance { account, wallet, network } => balance(session, account, &wallet, &network),
        AccountCommand::Deposit { amount, signer, network } => {
            deposit(session, amount.join(" ").parse()?, &signer, &network)
        }
        AccountCommand::Withdraw { amount, signer, network } => {
            withdraw(session, amount.join(" ").parse()?, &signer, &network)
        }
    }
}

fn balance(
    session: &Session<'_>,
    account: Option<Address>,
    wallet: &WalletChoice,
    network: &NetworkChoice,
) -> Result<Answer, CliError> {
    let config = session.config()?;
    let network = Network::find(&config, network)?;
    let account = match account {
        Some(account) => account,
        None => session.wallet(wallet, &config)?.address()?,
    };
    let money = network.wait(session, "Asking the chain", network.chain.money(account))?;
    let text = format!(
        "account   {} on {}\nat the hub, free    {}\nat the hub, locked  {}\nin the wallet       {}, and {} for gas",
        checksummed(&account),
        network.name,
        Amount(money.stake),
        Amount(money.locked),
        Amount(money.rlc),
        coin(money.coin),
    );
    let mut json = described(&money);
    json["account"] = checksummed(&account).into();
    json["chain"] = json!(network.name);
    Ok(Answer::done(text, json))
}

fn deposit(
    session: &Session<'_>,
    amount: Amount,
    signer: &Signer,
    network: &NetworkChoice,
) -> Result<Answer, CliError> {
    let config = session.config()?;
    let network = Network::find(&config, network)?;
    let wallet = network.signer(session, &config, signer)?;
    let (money, registries) = network.wait(session, "Asking the chain", async {
        let money = network.chain.money(wallet.address()).await?;
        Ok::<_, CliError>((money, network.chain.registries().await?))
    })?;
    must_have(wallet.address(), money.rlc, "in the wallet", amount)?;
    let call = calls::deposit(registries.rlc, network.hub(), amount.0);
    let question = format!("Pay {amount} into the account at the hub?");
    let receipt = network.send(session, &wallet, &call, &question)?;
    moved(session, &network, wallet.address(), &receipt, &format!("{amount} paid in."))
}

fn withdraw(
    session: &Session<'_>,
    amount: Amount,
    signer: &Signer,
    network: &NetworkChoice,
) -> Result<Answer, CliError> {
    let config = session.config()?;
    let network = Network::find(&config, network)?;
    let wallet = network.signer(session, &config, signer)?;
    let money = network.wait(session, "Asking the chain", network.chain.money(wallet.address()))?;
    must_have(wallet.address(), money.stake, "free at the hub", amount)?;
    let question = format!("Pay {amount} out of the account at the hub?");
    let receipt = network.send(session, &wallet, &calls::withdraw(network.hub(), amount.0), &question)?;
    moved(session, &network, wallet.address(), &receipt, &format!("{amount} paid out."))
}

fn must_have(wallet: Address, has: U256, place: &'static str, wanted: Amount) -> Result<(), CliError> {
    if has >= wanted.0 {
        return Ok(());
    }
    let (wallet, has, wanted) = (checksummed(&wallet), Amount(has).to_string(), wanted.to_string());
    Err(CliError::NotEnough { wallet, has, place, wanted })
}

fn moved(
    session: &Session<'_>,
    network: &Network,
    account: Address,
    receipt: &Receipt,
    done: &str,
) -> Result<Answer, CliError> {
    let money = network.wait(session, "Asking the chain", network.chain.money(account))?;
    let text = format!("{done} {} are now free at the hub, {} in the wallet.", Amount(money.stake), Amount(money.rlc));
    let mut json = described(&money);
    json["account"] = checksummed(&account).into();
    json["chain"] = json!(network.name);
    json["transaction"] = receipt.transaction.to_string().into();
    Ok(Answer::done(text, json))
}

/// In nRLC and wei, as text: larger than what JSON counts exactly.
fn described(money: &Money) -> Value {
    json!({
        "stake": money.stake.to_string(),
        "locked": money.locked.to_string(),
        "rlc": money.rlc.to_string(),
        "coin_wei": money.coin.to_string(),
    })
}

/// Wei as the chain's coin, six digits after the point.
fn coin(wei: U256) -> String {
    let micro = wei / U256::from(1_000_000_000_000_u64);
    let digits = format!("{micro:0>7}");
    let (whole, part) = digits.split_at(digits.len() - 6);
    format!("{whole}.{part} of the chain's coin")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coins_are_shown_with_six_digits() {
        for (wei, text) in [(0_u64, "0.000000"), (1_500_000_000_000_000_000, "1.500000"), (999_999_999_999, "0.000000")]
        {
            assert_eq!(coin(U256::from(wei)), format!("{text} of the chain's coin"));
        }
    }
}
