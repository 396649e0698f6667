//! Workerpools: their settings and their offers.

use serde_json::{Value, json};

use crate::home::ADDRESS;
use crate::stage::{HUB, POOL, Stage, me, text};

/// With a pool of ours, and a wallet for its worker.
fn stage() -> Stage {
    let stage = Stage::new();
    stage.chain.world().owners.insert(POOL, me());
    stage.home.run(&["wallet", "use", "me"]).ends_with(0);
    let worker = ["wallet", "create", "worker", "--scrypt-n", "4096"];
    stage.home.sign("", &worker).ends_with(0);
    stage
}

#[test]
fn the_settings_of_a_pool_name_everything_that_the_network_has() {
    let stage = stage();
    let storage = ["--ipfs-gateway", "http://127.0.0.1:1", "--result-proxy", "http://127.0.0.1:2"];
    stage.describe_with(&stage.chain.url(), &stage.market.url(), &storage);
    let pool = text(POOL);
    let settings = ["pool", "settings", &pool, "--worker", "worker", "--worker-password-file", "password"];
    let answer = stage.run(&settings).ends_with(0).json();
    assert_eq!((&answer["owner"], &answer["simulated"]), (&ADDRESS.into(), &false.into()));
    let written = std::fs::read_to_string(stage.home.path("strongroom-pool.toml")).unwrap();
    let written: Value = toml::from_str(&written).unwrap();
    assert_eq!(written["pool"]["address"], pool);
    assert_eq!((&written["chain"]["id"], &written["chain"]["hub"]), (&65_535.into(), &text(HUB).into()));
    assert_eq!(written["results"]["proxy"], "http://127.0.0.1:2/");
    assert_eq!(written["results"]["gateways"], json!(["http://127.0.0.1:1/"]));
    let place = |name: &str| json!(stage.home.path(name).canonicalize().unwrap());
    assert_eq!(written["scheduler"]["keystore"], place("data/strongroom/wallets/me.json"));
    assert_eq!(written["worker"]["password_file"], place("password"));
    assert!(written["scheduler"].get("password_file").is_none(), "it is given in the environment");
    assert!(written.get("relay").is_none() && written.get("runtime").is_none(), "nothing here is for development");
    stage.run(&settings).ends_with(5).error();
}

#[test]
fn a_pool_has_two_wallets_and_its_owners_is_one_of_them() {
    let stage = stage();
    let pool = text(POOL);
    let error = stage.run(&["pool", "settings", &pool, "--worker", "me"]).ends_with(2).error();
    assert!(error["remedy"].as_str().unwrap().contains("wallet create"), "{error}");
    stage.run(&["pool", "settings", &pool, "--worker", "nobody"]).ends_with(4).error();
    let other = ["pool", "settings", &pool, "--wallet", "worker", "--worker", "me"];
    stage.run(&other).ends_with(3).error();
    assert!(!stage.home.path("strongroom-pool.toml").exists());
}

#[test]
fn only_its_owner_offers_the_tasks_of_a_pool() {
    let stage = stage();
    let offer = ["pool", "publish", &text(POOL), "--price", "100", "--category", "2"];
    stage.market.next(502, json!({}));
    stage.sign(&offer).ends_with(1).error();
    let posted: Vec<_> = stage.market.requests().into_iter().filter(|request| request.method == "POST").collect();
    let body: Value = serde_json::from_slice(&posted[0].body).unwrap();
    let order = &body["order"];
    assert_eq!(
        (&order["workerpoolprice"], &order["category"], &order["volume"]),
        (&"100".into(), &"2".into(), &"1000".into())
    );
    stage.sign(&[&offer[..], &["--wallet", "worker"]].concat()).ends_with(3).error();
}
