//! Looking before buying: what is missing, and with which command it is mended.

use serde_json::Value;
use strongroom_poco::orders::{AppOrder, Order, domain};
use strongroom_protocol::Address;

use crate::home::Ran;
use crate::stage::{APP, DATASET, POOL, Stage, me, nobody, owner, text};
use crate::stand_in_chain::CHAIN_ID;
use crate::stand_in_sms::Scripted;

fn dry_run(stage: &Stage, more: &[&str]) -> Ran {
    stage.run(&[&["task", "buy", &text(APP), "--dry-run"], more].concat())
}

/// The remedies, one after another.
fn remedies(answer: &Value) -> String {
    let missing = answer["missing"].as_array().unwrap();
    missing.iter().map(|one| one["remedy"].as_str().unwrap()).collect::<Vec<_>>().join("\n")
}

#[test]
fn everything_that_is_missing_is_listed_with_the_command_that_mends_it() {
    let stage = Stage::new();
    let more = ["--dataset", &text(DATASET), "--secret", "1=api-key", "--encrypt-result", "--workerpool", &text(POOL)];
    let answer = dry_run(&stage, &more).ends_with(3).json();
    assert_eq!(answer["bought"], false);
    let remedies = remedies(&answer);
    for command in [
        "strongroom app publish 0x",
        "strongroom dataset grant 0x",
        "strongroom order book workerpool",
        "strongroom dataset push-secret 0x",
        "strongroom requester push-secret api-key",
        "strongroom result push-encryption-key",
    ] {
        assert!(remedies.contains(command), "{command}: {remedies}");
    }
    let shown = stage.home.run(&["task", "buy", &text(APP), "--dry-run"]);
    assert!(shown.ends_with(3).stdout.ends_with("Nothing was bought.\n"), "{shown:?}");
}

#[test]
fn a_purchase_that_lacks_nothing_needs_no_password_to_look_at() {
    let stage = Stage::new();
    stage.offer_all(9);
    stage.chain.world().stakes.extend([(me(), 400), (owner().address(), 60)]);
    let answer = dry_run(&stage, &["--volume", "2"]).ends_with(0).json();
    assert_eq!((&answer["missing"], &answer["price"]), (&serde_json::json!([]), &"200".into()));
    assert_eq!(answer["workerpool"], text(POOL));
}

#[test]
fn a_wallet_without_gas_is_told_before_the_purchase_and_by_the_doctor() {
    let stage = Stage::new();
    stage.offer_all(9);
    stage.chain.world().stakes.extend([(me(), 400), (owner().address(), 60)]);
    stage.chain.world().without_gas.push(me());
    let fund = format!("strongroom devnet fund {}", text(me()));
    let answer = dry_run(&stage, &[]).ends_with(3).json();
    assert_eq!(remedies(&answer), fund, "{answer}");
    let ran = stage.home.run(&["doctor"]);
    assert!(ran.ends_with(1).stdout.contains("WRONG   money") && ran.stdout.contains(&fund), "{ran:?}");
    // Nobody gives away the coin of another network.
    stage.describe_as("elsewhere");
    let answer = dry_run(&stage, &[]).ends_with(3).json();
    assert_eq!(remedies(&answer), format!("send some of the chain's coin to {}", text(me())));
    stage.chain.world().without_gas.clear();
    dry_run(&stage, &[]).ends_with(0);
}

#[test]
fn money_and_used_up_orders_are_seen_on_the_chain_and_not_in_the_book() {
    let stage = Stage::new();
    stage.offer_all(9);
    let tag = crate::stage::TDX;
    let price = alloy_primitives::U256::from(crate::stage::PRICE);
    let order =
        AppOrder { app: APP, appprice: price, volume: alloy_primitives::U256::from(9), tag, ..AppOrder::default() };
    let hash = order.hash(&domain(CHAIN_ID, crate::stage::HUB));
    stage.chain.world().consumed.insert(hash, 9);
    let answer = dry_run(&stage, &[]).ends_with(3).json();
    let remedies = remedies(&answer);
    assert!(remedies.contains("strongroom account deposit 200"), "{remedies}");
    assert!(remedies.contains("lags behind"), "{remedies}");
    assert!(remedies.contains("another --workerpool"), "the pool's owner has no stake: {remedies}");
}

#[test]
fn a_purchase_that_lacks_something_sends_nothing() {
    let stage = Stage::new();
    let answer = stage.sign(&["task", "buy", &text(APP)]).ends_with(3).json();
    assert_eq!(answer["bought"], false);
    assert!(stage.market.requests().iter().all(|request| request.method == "GET"));
}

#[test]
fn what_the_hub_says_against_a_match_is_told_in_words() {
    let stage = Stage::new();
    stage.offer_all(9);
    stage.chain.world().stakes.extend([(me(), 400), (owner().address(), 60)]);
    stage.chain.world().refusal = "iExecV5-matchOrders-0x21";
    let error = stage.sign(&["task", "buy", &text(APP)]).ends_with(3).error();
    assert!(error["remedy"].as_str().unwrap().contains("not signed by the app's owner of today"), "{error}");
}

#[test]
fn trouble_with_a_service_is_trouble_and_not_something_missing() {
    let stage = Stage::new();
    stage.sms.next(Scripted::Status(500, "", String::new()));
    dry_run(&stage, &["--secret", "1=a"]).ends_with(1).error();
    stage.describe(&stage.chain.url(), &nobody());
    let error = dry_run(&stage, &[]).ends_with(1).error();
    assert!(error["message"].as_str().unwrap().contains("order book"), "{error}");
    stage.describe(&nobody(), &stage.market.url());
    dry_run(&stage, &[]).ends_with(1).error();
}

#[test]
fn an_app_that_is_not_registered_is_named() {
    let stage = Stage::new();
    let unknown = text(Address::repeat_byte(0x77));
    let answer = stage.run(&["task", "buy", &unknown, "--dry-run"]).ends_with(3).json();
    assert!(answer["missing"][0]["what"].as_str().unwrap().contains("is not registered"), "{answer}");
}

#[test]
fn a_secret_is_named_and_never_given() {
    let stage = Stage::new();
    let ran = stage.home.run(&["task", "buy", &text(APP), "--dry-run", "--secret", "1=two words"]);
    assert!(ran.ends_with(2).stderr.contains("never the secret itself"), "{ran:?}");
    let error = dry_run(&stage, &["--secret", "1=a", "--secret", "1=b"]).ends_with(2).error();
    assert!(error["message"].as_str().unwrap().contains("one secret for each number"), "{error}");
    dry_run(&stage, &["--input-file", "ftp://example.org/a"]).ends_with(2).error();
}
