//! A dataset that is granted to whatever app a whitelist contract has.

use alloy_primitives::{Address, TxKind};
use strongroom_devnet::home::{DONE, REFUSED};
use strongroom_devnet::node::Unsent;

use crate::by_strongroom::Strongroom;
use crate::scene::{DATA_OWNER, Scene, wallet};
use crate::tools::Tool as _;

/// Ends well.
const APP: &str = r#"
cat "$IEXEC_IN/$IEXEC_DATASET_FILENAME" > "$IEXEC_OUT/seen.txt"
printf '{"deterministic-output-path":"%s/seen.txt"}' "$IEXEC_OUT" > "$IEXEC_OUT/computed.json"
"#;

/// Enough for a contract of fifty bytes.
const GAS: u64 = 200_000;

/// The code that creates a whitelist as the hub asks it (ERC-734, `keyHasPurpose(bytes32 key, uint256 purpose)`): true for one member and
/// the purpose 4, "member of the group".
fn whitelist_of(member: Address) -> Vec<u8> {
    let mut code = vec![0x73]; // PUSH20
    code.extend(member);
    code.extend([0x60, 0x04, 0x35, 0x14]); // CALLDATALOAD(4) == member
    code.extend([0x60, 0x24, 0x35, 0x60, 0x04, 0x14]); // CALLDATALOAD(36) == 4
    code.extend([0x16, 0x60, 0x00, 0x52, 0x60, 0x20, 0x60, 0x00, 0xf3]); // return both as a word
    let length = u8::try_from(code.len()).unwrap();
    // Copies what comes after these eleven bytes, and returns it.
    let mut creation = vec![0x60, length, 0x80, 0x60, 0x0b, 0x60, 0x00, 0x39, 0x60, 0x00, 0xf3];
    creation.extend(code);
    creation
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_to_a_whitelist_serves_the_apps_that_it_has_and_no_others() {
    let scene = Scene::new().await;
    scene.fund().await;
    let (member, other) = (scene.app("member", APP).await, scene.app("other", APP).await);
    let unsent =
        Unsent { what: "whitelist".to_owned(), to: TxKind::Create, input: whitelist_of(member).into(), gas: GAS };
    let receipts = scene.chain().node.send_all(&wallet(DATA_OWNER), vec![unsent]).await.unwrap();
    let whitelist = receipts[0].contract_address.unwrap();
    let plain = scene.folder.path().join("plain.txt");
    std::fs::write(&plain, "of the owner").unwrap();

    tokio::task::block_in_place(|| {
        let tool = Strongroom::new(&scene);
        for app in [member, other] {
            tool.publish_app(app, 0);
        }
        let encrypted = tool.encrypt(&plain);
        let dataset = tool.deploy_dataset("listed", &encrypted.file);
        tool.push_dataset_key(dataset, &encrypted.key);
        tool.grant(dataset, whitelist, 0);
        tool.offer_pool(0, 9);

        // The order book cannot tell who is in a whitelist, so the buyer names it.
        let unnamed = tool.ask_to_buy(member, dataset, &[]);
        assert_eq!(unnamed.code, REFUSED, "{unnamed:#?}");
        assert!(unnamed.json["missing"].to_string().contains("no grant of dataset"), "{unnamed:#?}");

        let named = ["--app-whitelist", &whitelist.to_string()];
        let refused = tool.ask_to_buy(other, dataset, &named);
        assert_eq!(refused.code, REFUSED, "{refused:#?}");
        let remedy = refused.json["error"]["remedy"].as_str().unwrap_or_default();
        assert!(remedy.contains("the dataset order allows other apps only"), "{refused:#?}");

        let bought = tool.ask_to_buy(member, dataset, &named);
        assert_eq!(bought.code, DONE, "{bought:#?}");
    });
}
