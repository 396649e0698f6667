//! The order book, with both versions of the stock library.

use serde_json::{Value, json};
use strongroom_devnet::sdk::{SdkError, SdkVersion, Session};
use strongroom_devnet::whole::POOL_OWNER;

use crate::scene::{DEVELOPER, POOL_PRICE, REQUESTER, STAKE, Scene, TAG, publish, sign, wallet};

fn refusal(answer: Result<Value, SdkError>) -> String {
    match answer {
        Err(SdkError::Refused(message)) => message,
        other => panic!("{other:?}"),
    }
}

fn hashes(answer: &Value) -> Vec<&str> {
    answer["orders"].as_array().unwrap().iter().map(|order| order["orderHash"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_are_published_found_matched_and_taken_out() {
    let scene = Scene::new().await;
    scene.fund().await;
    let app = scene.app("market", "true").await;
    tokio::task::block_in_place(|| {
        let mut developer = scene.session(SdkVersion::V9, DEVELOPER);
        let dear = publish(&mut developer, "App", &json!({ "app": app, "appprice": 7, "volume": 5, "tag": TAG }));
        let cheap = publish(&mut developer, "App", &json!({ "app": app, "appprice": 3, "volume": 2, "tag": TAG }));
        let mine = json!({
            "app": app, "appprice": 1, "volume": 1, "tag": TAG, "requesterrestrict": wallet(REQUESTER).address(),
        });
        let mine = publish(&mut developer, "App", &mine);
        scene.publish_pool(10);

        the_cheapest_comes_first_and_restrictions_hide_orders(&scene, app, [&mine, &cheap, &dear]);
        rules_of_publication(&scene, app);
        a_match_is_seen_and_counted(&scene, app, &cheap);

        let taken = developer.call("order.unpublishApporder", std::slice::from_ref(&dear)).unwrap();
        assert_eq!(taken, dear);
        let message = refusal(developer.call("order.unpublishApporder", std::slice::from_ref(&dear)));
        assert!(message.contains("no apporder with hash"), "{message}");
        assert_eq!(developer.call("order.unpublishAllApporders", &[json!(app)]).unwrap(), json!([cheap, mine]));
        let message = refusal(developer.call("order.unpublishLastApporder", &[json!(app)]));
        assert!(message.contains("no open order"), "{message}");
    });
}

fn the_cheapest_comes_first_and_restrictions_hide_orders(
    scene: &Scene,
    app: alloy_primitives::Address,
    [mine, cheap, dear]: [&Value; 3],
) {
    let texts = |orders: &[&Value]| orders.iter().map(|hash| hash.as_str().unwrap().to_owned()).collect::<Vec<_>>();
    for version in [SdkVersion::V8, SdkVersion::V9] {
        let mut session = scene.session(version, REQUESTER);
        let mut search = |query: Value| {
            let arguments = match version {
                SdkVersion::V8 => vec![json!(app), query],
                SdkVersion::V9 => {
                    let mut query = query;
                    query["app"] = json!(app);
                    vec![query]
                }
            };
            let answer = session.call("orderbook.fetchAppOrderbook", &arguments).unwrap();
            assert_eq!(answer["count"], hashes(&answer).len());
            hashes(&answer).into_iter().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(search(json!({})), texts(&[cheap, dear]), "{version:?}");
        let requester = wallet(REQUESTER).address();
        assert_eq!(search(json!({ "requester": requester })), texts(&[mine, cheap, dear]));
        assert_eq!(search(json!({ "requester": requester, "isRequesterStrict": true })), texts(&[mine]));
        assert_eq!(search(json!({ "requester": wallet(POOL_OWNER).address() })), texts(&[cheap, dear]));
        assert_eq!(search(json!({ "requester": "any", "minVolume": 2 })), texts(&[cheap, dear]));
        assert_eq!(search(json!({ "minTag": TAG })), texts(&[cheap, dear]));
        assert!(search(json!({ "maxTag": ["gpu"] })).is_empty());
    }
    let mut session = scene.session(SdkVersion::V9, REQUESTER);
    let one = session.call("orderbook.fetchApporder", std::slice::from_ref(cheap)).unwrap();
    assert_eq!((&one["status"], &one["remaining"], &one["order"]["appprice"]), (&json!("open"), &json!(2), &json!(3)));
}

fn rules_of_publication(scene: &Scene, app: alloy_primitives::Address) {
    let options = json!({ "preflightCheck": false });
    let mut developer = scene.session(SdkVersion::V9, DEVELOPER);
    let order = sign(&mut developer, "App", &json!({ "app": app, "appprice": 9, "volume": 1, "tag": TAG }));
    developer.call("order.publishApporder", &[order.clone(), options.clone()]).unwrap();
    let again = refusal(developer.call("order.publishApporder", &[order.clone(), options.clone()]));
    assert!(again.contains("order already published"), "{again}");

    let mut stranger = scene.session(SdkVersion::V9, REQUESTER);
    let other = sign(&mut developer, "App", &json!({ "app": app, "appprice": 8, "volume": 1, "tag": TAG }));
    let by_stranger = refusal(stranger.call("order.publishApporder", &[other.clone(), options.clone()]));
    assert!(by_stranger.contains("did not sign this order"), "{by_stranger}");
    let taken = refusal(stranger.call("order.unpublishApporder", &[one_of(&mut developer, app)]));
    assert!(taken.contains("did not sign this order"), "{taken}");
    let mut changed = other;
    changed["appprice"] = json!("1");
    let forged = refusal(developer.call("order.publishApporder", &[changed, options.clone()]));
    assert!(forged.contains("invalid sign"), "{forged}");

    let mut pool = scene.session(SdkVersion::V9, POOL_OWNER);
    let greedy = json!({
        "workerpool": scene.whole.workerpool, "workerpoolprice": STAKE, "volume": 10, "category": 0, "tag": TAG,
    });
    let greedy = sign(&mut pool, "Workerpool", &greedy);
    let uncovered = refusal(pool.call("order.publishWorkerpoolorder", &[greedy]));
    assert!(uncovered.contains("workerpool owner's stake is 10000 nRLC"), "{uncovered}");

    let request = json!({
        "app": app, "workerpool": scene.whole.workerpool, "workerpoolmaxprice": POOL_PRICE, "appmaxprice": 0,
        "volume": 1, "category": 0, "tag": TAG,
    });
    let request = sign(&mut stranger, "Request", &request);
    let hopeless = refusal(stranger.call("order.publishRequestorder", &[request, options]));
    assert!(hopeless.contains("no apporder published"), "{hopeless}");
    let hash = hash_of(&mut developer, &order);
    developer.call("order.unpublishApporder", &[hash]).unwrap();
}

fn one_of(session: &mut Session, app: alloy_primitives::Address) -> Value {
    let answer = session.call("orderbook.fetchAppOrderbook", &[json!({ "app": app })]).unwrap();
    answer["orders"][0]["orderHash"].clone()
}

fn hash_of(session: &mut Session, order: &Value) -> Value {
    session.call("order.hashApporder", std::slice::from_ref(order)).unwrap()
}

/// Half of the cheap order is bought: the book shows the deal, what is left, and that the pool's order was used.
fn a_match_is_seen_and_counted(scene: &Scene, app: alloy_primitives::Address, cheap: &Value) {
    let mut requester = scene.session(SdkVersion::V9, REQUESTER);
    let apporder = requester.call("orderbook.fetchApporder", std::slice::from_ref(cheap)).unwrap()["order"].clone();
    let pool = json!({ "workerpool": scene.whole.workerpool, "category": 0, "minTag": TAG });
    let book = requester.call("orderbook.fetchWorkerpoolOrderbook", &[pool]).unwrap();
    let workerpoolorder = book["orders"][0]["order"].clone();
    let request = json!({
        "app": app, "appmaxprice": 3, "workerpool": scene.whole.workerpool, "workerpoolmaxprice": POOL_PRICE,
        "volume": 1, "category": 0, "tag": TAG,
    });
    let requestorder = sign(&mut requester, "Request", &request);
    let orders = json!({ "apporder": apporder, "workerpoolorder": workerpoolorder, "requestorder": requestorder });
    let matched = requester.call("order.matchOrders", &[orders, json!({ "preflightCheck": false })]).unwrap();

    let is_counted = |order: &Value| order["remaining"] == 1;
    Scene::until(&mut requester, "orderbook.fetchApporder", std::slice::from_ref(cheap), is_counted);
    let found = requester.call("deal.fetchRequesterDeals", &[json!(wallet(REQUESTER).address())]).unwrap();
    let deal = &found["deals"][0];
    assert_eq!((&found["count"], &deal["dealid"]), (&json!(1), &matched["dealid"]), "{found:#}");
    assert_eq!((&deal["app"]["price"], &deal["volume"]), (&json!(3), &json!(1)), "{deal:#}");
    let by_order = requester.call("deal.fetchDealsByApporder", std::slice::from_ref(cheap)).unwrap();
    assert_eq!(by_order["deals"][0]["dealid"], matched["dealid"]);

    // Revoked on chain: nobody can buy from it any more.
    let mut developer = scene.session(SdkVersion::V9, DEVELOPER);
    let last = json!({ "app": app, "appprice": 4, "volume": 1, "tag": TAG });
    let signed = sign(&mut developer, "App", &last);
    let hash = developer.call("order.publishApporder", &[signed.clone(), json!({ "preflightCheck": false })]).unwrap();
    developer.call("order.cancelApporder", &[signed]).unwrap();
    Scene::until(&mut developer, "orderbook.fetchApporder", &[hash], |order| order["status"] == "canceled");
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_die_with_the_money_and_the_ownership_behind_them() {
    let scene = Scene::new().await;
    scene.fund().await;
    let app = scene.app("market", "true").await;
    tokio::task::block_in_place(|| {
        let mut developer = scene.session(SdkVersion::V9, DEVELOPER);
        let order = publish(&mut developer, "App", &json!({ "app": app, "appprice": 0, "volume": 1, "tag": TAG }));
        let pool = scene.publish_pool(10);
        let mut owner = scene.session(SdkVersion::V9, POOL_OWNER);
        // 30 % of ten tasks are 300.
        owner.call("account.withdraw", &[json!(STAKE - 300)]).unwrap();
        std::thread::sleep(std::time::Duration::from_secs(1));
        let still = owner.call("orderbook.fetchWorkerpoolorder", std::slice::from_ref(&pool)).unwrap();
        assert_eq!(still["status"], "open", "{still:#}");
        owner.call("account.withdraw", &[json!(1)]).unwrap();
        Scene::until(&mut owner, "orderbook.fetchWorkerpoolorder", &[pool], |order| order["status"] == "dead");

        developer.transfer_app(app, wallet(REQUESTER).address()).unwrap();
        Scene::until(&mut developer, "orderbook.fetchApporder", &[order], |order| order["status"] == "dead");
    });
}
