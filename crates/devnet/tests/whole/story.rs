//! The whole story, from an image and a file to a result that only the requester can read: with `strongroom` alone, and with the parts
//! divided between `strongroom` and the stock `iexec` command line, both ways.

use std::fmt::Write as _;

use alloy_primitives::U256;
use serde_json::Value;
use strongroom_devnet::home::{DONE, REFUSED};

use crate::by_hand::{ask_hub, grant_in_the_book};
use crate::by_iexec::Iexec;
use crate::by_strongroom::Strongroom;
use crate::scene::{DATA_OWNER, DEVELOPER, POOL_PRICE, REQUESTER, STAKE, STRANGER, Scene, wallet};
use crate::support::archive::unpacked;
use crate::support::shell_image;
use crate::tools::{Tool, Wanted};

const APP_PRICE: u64 = 3;
const DATA_PRICE: u64 = 7;
const ROWS: u64 = 20_000;
/// Adds up its data, and tells its secrets.
const APP: &str = r#"
echo adding up
{
  awk -F, 'NR > 1 { rows++; sum += $2 } END { print rows, sum }' "$IEXEC_IN/$IEXEC_DATASET_FILENAME"
  echo "$IEXEC_APP_DEVELOPER_SECRET $IEXEC_REQUESTER_SECRET_1 $IEXEC_REQUESTER_SECRET_2 $1"
} > "$IEXEC_OUT/seen.txt"
printf '{"deterministic-output-path":"%s/seen.txt"}' "$IEXEC_OUT" > "$IEXEC_OUT/computed.json"
"#;

/// Who does what with which tool.
struct Roles<'a> {
    deploy: &'a dyn Tool,
    push: &'a dyn Tool,
    offer: &'a dyn Tool,
    buy: &'a dyn Tool,
    /// Has the key for results.
    fetch: &'a dyn Tool,
}

/// Gives the id of the task that was bought.
fn play(scene: &Scene, roles: &Roles<'_>) -> String {
    // The developer.
    let layout = scene.folder.path().join("image");
    let image = shell_image(APP);
    let checksum = image.write_layout(&layout, "adder").unwrap();
    assert_eq!(image.write_layout(&scene.whole.images, "adder").unwrap(), checksum, "the pool has the same image");
    let app = roles.deploy.deploy_app("adder", &layout, checksum);
    let other = roles.deploy.deploy_app("adder-again", &layout, checksum);
    roles.push.push_app_secret(app, "of-the-app");
    for app in [app, other] {
        roles.offer.publish_app(app, APP_PRICE);
    }

    // The data owner.
    let mut table = String::from("name,value\n");
    for row in 0..ROWS {
        writeln!(table, "row {row},{row}").unwrap();
    }
    let plain = scene.folder.path().join("table.csv");
    std::fs::write(&plain, &table).unwrap();
    let encrypted = roles.deploy.encrypt(&plain);
    let dataset = roles.deploy.deploy_dataset("table", &encrypted.file);
    roles.push.push_dataset_key(dataset, &encrypted.key);
    roles.offer.grant(dataset, app, DATA_PRICE);

    // The pool and the requester.
    roles.offer.offer_pool(POOL_PRICE, 9);
    roles.push.push_requester_secret("one", "first");
    roles.push.push_requester_secret("two", "second");
    roles.fetch.push_result_key();
    roles.buy.deposit(STAKE);
    let task = roles.buy.buy(&Wanted { app, dataset, argument: "word" }).unwrap();
    let seen = unpacked(&roles.fetch.fetch(&task), "seen.txt");
    let sum: u64 = (0..ROWS).sum();
    assert_eq!(seen, format!("{ROWS} {sum}\nof-the-app first second word\n"));
    let stakes = [REQUESTER, DEVELOPER, DATA_OWNER].map(|who| scene.stake(who));
    assert_eq!(stakes, [2 * STAKE - APP_PRICE - DATA_PRICE - POOL_PRICE, APP_PRICE, DATA_PRICE]);

    // Nobody granted the other app anything, and what is revoked is granted no more: not to those who kept the order either.
    let grant = grant_in_the_book(scene, dataset, app);
    let refused = |app| roles.buy.buy(&Wanted { app, dataset, argument: "word" }).unwrap_err();
    assert!(refused(other).contains("dataset"), "{}", refused(other));
    ask_hub(scene, app, &grant).unwrap();
    roles.offer.revoke(dataset, &grant);
    let revoked = ask_hub(scene, app, &grant).unwrap_err();
    assert!(revoked.contains("iExecV5-matchOrders-0x60"), "used up or revoked: {revoked}");
    assert!(refused(app).contains("dataset"), "{}", refused(app));
    assert_eq!(scene.stake(REQUESTER), stakes[0], "nothing was bought");

    // What is registered is not the image that the pool has under this name. All agree to the purchase, but no enclave is the one on chain.
    let layout = scene.folder.path().join("another-image");
    let checksum = shell_image(&format!("{APP}# of somebody else\n")).write_layout(&layout, "adder").unwrap();
    let unknown = roles.deploy.deploy_app("adder", &layout, checksum);
    roles.push.push_app_secret(unknown, "of-another-app");
    roles.offer.publish_app(unknown, APP_PRICE);
    roles.offer.grant(dataset, unknown, DATA_PRICE);
    let told = roles.buy.buy_in_vain(&Wanted { app: unknown, dataset, argument: "word" });
    for part in ["APP_IMAGE_DOWNLOAD_FAILED", &checksum.to_string()] {
        assert!(told.contains(part), "{part}: {told}");
    }
    task
}

/// A network where everybody has what they need, the requester some RLC in the wallet besides.
async fn ground() -> Scene {
    let scene = Scene::new().await;
    scene.fund().await;
    scene.chain().give(wallet(REQUESTER).address(), U256::from(STAKE)).await.unwrap();
    scene
}

#[tokio::test(flavor = "multi_thread")]
async fn the_story_with_strongroom_alone() {
    let scene = ground().await;
    tokio::task::block_in_place(|| {
        let tool = Strongroom::new(&scene);
        let task = play(&scene, &Roles { deploy: &tool, push: &tool, offer: &tool, buy: &tool, fetch: &tool });
        // Whoever has a part in the task sees what was opened for it; nobody else does.
        for who in [DEVELOPER, DATA_OWNER, REQUESTER] {
            let journal = tool.journal(who, &task);
            assert_eq!(journal.code, DONE, "{journal:?}");
            let [entry] = journal.json["entries"].as_array().unwrap().as_slice() else { panic!("{journal:?}") };
            assert_eq!(entry["outcome"], "granted", "{entry:#}");
            let kind = |secret: &Value| secret["kind"].as_str().unwrap().to_owned();
            let kinds: Vec<_> = entry["secrets"].as_array().unwrap().iter().map(kind).collect();
            for expected in ["app", "dataset", "requester", "account"] {
                assert!(kinds.iter().any(|kind| kind == expected), "{expected}: {entry:#}");
            }
        }
        assert_eq!(tool.journal(STRANGER, &task).code, REFUSED);
        // What the app printed is for whoever bought it.
        let logs = tool.logs(REQUESTER, &task);
        assert_eq!((logs.code, &logs.json["logs"][0]["stdout"]), (DONE, &"adding up\n".into()), "{logs:?}");
        assert_eq!(tool.logs(DEVELOPER, &task).code, REFUSED);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn the_story_with_iexec_for_pushing_and_buying() {
    let scene = ground().await;
    tokio::task::block_in_place(|| {
        let (strongroom, iexec) = (Strongroom::new(&scene), Iexec::new(&scene));
        let roles = Roles { deploy: &strongroom, push: &iexec, offer: &strongroom, buy: &iexec, fetch: &strongroom };
        play(&scene, &roles);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn the_story_with_strongroom_for_pushing_and_buying() {
    let scene = ground().await;
    tokio::task::block_in_place(|| {
        let (strongroom, iexec) = (Strongroom::new(&scene), Iexec::new(&scene));
        let roles = Roles { deploy: &iexec, push: &strongroom, offer: &iexec, buy: &strongroom, fetch: &iexec };
        play(&scene, &roles);
    });
}
