//! Choosing and describing networks.

use serde_json::{Value, json};

use crate::home::{ASSET, Home, mode, run_in};

const HUB: &str = "0x5FC8d32690cc91D4c39d9d3abcBD16989F875707";
const ADD: [&str; 9] = ["chain", "add", "mine", "--chain-id", "7", "--hub", HUB, "--rpc", "http://127.0.0.1:8545"];

#[test]
fn three_networks_are_ready() {
    let home = Home::new();
    let listed = home.run(&["chain", "list", "--json"]).ends_with(0).json();
    let entry = |name, chain_id, hub, rpc, sms, services: [Value; 6]| {
        let [market, gateway, node, results, compass, workerpool] = services;
        json!({ "name": name, "chain_id": chain_id, "hub": hub, "rpc": [rpc], "sms": sms, "danger_plain_http": false,
            "market": market, "ipfs_gateway": gateway, "ipfs_node": node, "result_proxy": results, "compass": compass,
            "workerpool": workerpool, "origin": "built-in", "in_use": false })
    };
    let expected = [
        entry(
            "arbitrum-one",
            42_161,
            "0x098bFCb1E50ebcA0BaA92C12eA0c3F045A1aD9f0",
            "https://arb1.arbitrum.io/rpc",
            "https://sms.arbitrum-mainnet.iex.ec/",
            [
                "https://api.market.arbitrum-mainnet.iex.ec/".into(),
                "https://ipfs-gateway.arbitrum-mainnet.iex.ec/".into(),
                "https://ipfs-upload.arbitrum-mainnet.iex.ec/".into(),
                Value::Null,
                "https://compass.arbitrum-mainnet.iex.ec/".into(),
                "0x8EF2eC3Ef9535d4b4349BfEc7d8b31A580e60244".into(),
            ],
        ),
        entry(
            "arbitrum-sepolia",
            421_614,
            "0xB2157BF2fAb286b2A4170E3491Ac39770111Da3E",
            "https://sepolia-rollup.arbitrum.io/rpc",
            "https://sms.arbitrum-sepolia-testnet.iex.ec/",
            [
                "https://api-market.arbitrum-sepolia-testnet.iex.ec/".into(),
                "https://ipfs-gateway.arbitrum-sepolia-testnet.iex.ec/".into(),
                "https://ipfs-upload.arbitrum-sepolia-testnet.iex.ec/".into(),
                Value::Null,
                "https://compass.arbitrum-sepolia-testnet.iex.ec/".into(),
                "0x2956F0cb779904795A5F30d3b3eA88b714c3123f".into(),
            ],
        ),
        entry(
            "devnet",
            65_535,
            HUB,
            "http://127.0.0.1:8545/",
            "http://127.0.0.1:13300/",
            [
                "http://127.0.0.1:3000/".into(),
                "http://127.0.0.1:5001/".into(),
                "http://127.0.0.1:5001/".into(),
                "http://127.0.0.1:13200/".into(),
                "http://127.0.0.1:8069/".into(),
                Value::Null,
            ],
        ),
    ];
    assert_eq!(listed, json!({ "chains": expected, "in_use": null }));
}

#[test]
fn a_described_network_can_be_used() {
    let home = Home::new();
    let add = [&ADD[..], &["--sms", "http://localhost:1"]].concat();
    home.run(&add).ends_with(0);
    home.run(&["chain", "use", "mine"]).ends_with(0);
    let shown = home.run(&["chain", "show", "--json"]).ends_with(0).json();
    assert_eq!((&shown["chain"]["name"], &shown["chain"]["chain_id"]), (&"mine".into(), &7.into()));
    assert_eq!(mode(&home.path("config/strongroom/config.toml")), 0o600);
    assert_eq!(home.run(&[&add[..], &["--json"]].concat()).ends_with(5).error()["code"], "already_exists");
    let replaced = home.run(&[&add[..], &["--replace", "--chain-id", "8"]].concat());
    assert_eq!(replaced.code, 2, "an option is given once");
    home.run(&[&add[..], &["--replace"]].concat()).ends_with(0);
    home.run(&["chain", "use", "other"]).ends_with(4);
    home.run(&["chain", "show", "arbitrum-one"]).ends_with(0);
}

#[test]
fn an_sms_that_could_not_be_used_is_not_described() {
    let home = Home::new();
    for sms in ["http://sms.example.org", "https://sms.example.org/path", "https://me:pw@sms.example.org", "ws://a"] {
        home.run(&[&ADD[..], &["--sms", sms, "--json"]].concat()).ends_with(6).error();
    }
    home.run(&[&ADD[..], &["--sms", "not a url", "--json"]].concat()).ends_with(2).error();
    assert!(!home.path("config").exists());
    home.run(&[&ADD[..], &["--sms", "http://sms.example.org", "--danger-plain-http"]].concat()).ends_with(0);
}

#[test]
fn places_can_be_named_by_option_and_environment() {
    let home = Home::new();
    let file = home.path("elsewhere.toml");
    home.run(&["chain", "use", "devnet", "--config", file.to_str().unwrap()]).ends_with(0);
    assert!(file.is_file() && !home.path("config").exists());
    let mut command = home.command(env!("CARGO_BIN_EXE_strongroom"));
    let ran = run_in(command.args(["chain", "show", "--json"]).env("STRONGROOM_CLI_CONFIG", &file), b"");
    assert_eq!(ran.ends_with(0).json()["chain"]["name"], "devnet");
    let mut command = home.command(env!("CARGO_BIN_EXE_strongroom"));
    let check = command.args(["app", "check-secret", ASSET, "--json"]).env("STRONGROOM_CHAIN", "elsewhere");
    assert_eq!(run_in(check, b"").ends_with(4).error()["code"], "not_found");
}
