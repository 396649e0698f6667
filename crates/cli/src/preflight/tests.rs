//! One test for each thing that may be missing.

use super::*;

const APP: Address = Address::repeat_byte(0xa1);
const DATASET: Address = Address::repeat_byte(0xd1);
const POOL: Address = Address::repeat_byte(0xb1);
const ME: Address = Address::repeat_byte(0x01);
const TDX: B256 = B256::with_last_byte(9);

fn wish() -> Wish {
    Wish {
        app: APP,
        dataset: Some(DATASET),
        app_whitelist: None,
        workerpool: Some(POOL),
        category: None,
        tag: TDX,
        trust: 0,
        volume: 2,
        requester: ME,
    }
}

fn published<O: Order>(order: O) -> Offer<O> {
    let order = strongroom_poco::orders::Signed { order, sign: vec![].into() };
    Offer::Published(strongroom_market::Published {
        hash: B256::ZERO,
        order,
        remaining: U256::from(9),
        status: "open".to_owned(),
        published: String::new(),
    })
}

fn all_offers() -> Offers {
    let price = U256::from(100);
    let volume = U256::from(9);
    Offers {
        app: Some(published(AppOrder { app: APP, appprice: price, volume, tag: TDX, ..AppOrder::default() })),
        dataset: Some(published(DatasetOrder {
            dataset: DATASET,
            datasetprice: price,
            volume,
            ..DatasetOrder::default()
        })),
        workerpool: Some(published(WorkerpoolOrder {
            workerpool: POOL,
            workerpoolprice: price,
            volume,
            tag: TDX,
            ..WorkerpoolOrder::default()
        })),
    }
}

fn registered() -> App {
    App { address: APP, owner: POOL, multiaddr: b"app".to_vec(), checksum: B256::repeat_byte(1), mrenclave: Vec::new() }
}

/// What is missing when `change` is made to a purchase that lacks nothing.
fn judged(wish: &Wish, offers: &Offers, change: impl FnOnce(&mut Facts<'_>)) -> Vec<String> {
    let request = request(wish, offers, (ME, Address::ZERO, String::new(), B256::ZERO));
    let left = Some(U256::from(9));
    let mut facts = Facts {
        wish,
        offers,
        request: request.as_ref(),
        app: Some(registered()),
        dataset_is_registered: true,
        workerpool_is_registered: true,
        left: [left; 3],
        stake: U256::from(600),
        gas: Gas { coin: U256::from(3_000_000), price: U256::from(10), is_given_away: false },
        pool_stake: Some(U256::from(60)),
        secrets: vec![(SecretId::Dataset(DATASET), true)],
        max_price: Some(Amount(U256::from(300))),
        asks_for_secrets: true,
    };
    change(&mut facts);
    judge(&facts).into_iter().map(|missing| format!("{}: {}", missing.what, missing.remedy)).collect()
}

#[track_caller]
fn only(found: &[String], what: &str, remedy: &str) {
    assert!(matches!(found, [one] if one.contains(what) && one.contains(remedy)), "{found:?}");
}

#[test]
fn a_purchase_that_lacks_nothing_goes_through() {
    assert_eq!(judged(&wish(), &all_offers(), |_| ()), [""; 0]);
    let plain = Wish { dataset: None, workerpool: None, ..wish() };
    let offers = Offers { dataset: None, ..all_offers() };
    assert_eq!(judged(&plain, &offers, |_| ()), [""; 0]);
}

#[test]
fn what_is_not_registered_cannot_be_bought() {
    only(&judged(&wish(), &all_offers(), |facts| facts.app = None), "app 0x", "check the address");
    only(&judged(&wish(), &all_offers(), |facts| facts.dataset_is_registered = false), "dataset 0x", "check");
    only(&judged(&wish(), &all_offers(), |facts| facts.workerpool_is_registered = false), "workerpool 0x", "check");
}

#[test]
fn an_offer_that_is_missing_is_named_with_the_command_of_its_owner() {
    for (offers, what, remedy) in [
        (Offers { app: None, ..all_offers() }, "no order for app", "app publish"),
        (Offers { dataset: None, ..all_offers() }, "no grant", "dataset grant"),
        (Offers { workerpool: None, ..all_offers() }, "offers nothing", "order book workerpool"),
    ] {
        only(&judged(&wish(), &offers, |_| ()), what, remedy);
    }
}

#[test]
fn the_enclave_must_be_one_that_the_app_is_made_for() {
    let sgx = App { mrenclave: b"{}".to_vec(), ..registered() };
    only(&judged(&wish(), &all_offers(), |facts| facts.app = Some(sgx)), "made for SGX", "--tag");
    let unnamed = App { checksum: B256::ZERO, ..registered() };
    only(&judged(&wish(), &all_offers(), |facts| facts.app = Some(unnamed)), "no checksum", "app deploy");
    let of = |tag| judged(&Wish { tag, ..wish() }, &all_offers(), |_| ());
    assert!(of(B256::with_last_byte(3)).concat().contains("no enclave configuration for SCONE"));
    assert!(of(B256::with_last_byte(1)).concat().contains("not of which kind"));
    assert!(of(B256::ZERO).concat().contains("need an enclave"));
}

#[test]
fn money_must_be_there_for_all_tasks() {
    let poor = judged(&wish(), &all_offers(), |facts| facts.stake = U256::from(590));
    only(&poor, "590 nRLC at the hub, but the tasks cost 600 nRLC", "account deposit 10");
    let dear = judged(&wish(), &all_offers(), |facts| facts.max_price = Some(Amount(U256::from(299))));
    only(&dear, "costs 300 nRLC", "--max-price");
    let pool = judged(&wish(), &all_offers(), |facts| facts.pool_stake = Some(U256::from(59)));
    only(&pool, "owner of the workerpool", "--workerpool");
}

#[test]
fn the_chains_coin_must_be_there_for_a_match() {
    let none = judged(&wish(), &all_offers(), |facts| facts.gas.coin = U256::ZERO);
    only(&none, "has no coin of the chain", &format!("send some of the chain's coin to {}", checksummed(&ME)));
    let little = judged(&wish(), &all_offers(), |facts| facts.gas.coin = U256::from(2_999_999));
    only(&little, "has 2999999 wei of the chain's coin, but gas costs at least 3000000 wei", "send some");
    let dearer = judged(&wish(), &all_offers(), |facts| facts.gas.price = U256::from(11));
    only(&dearer, "at least 3300000 wei", "send some");
    let here = judged(&wish(), &all_offers(), |facts| (facts.gas.coin, facts.gas.is_given_away) = (U256::ZERO, true));
    only(&here, "has no coin", &format!("strongroom devnet fund {}", checksummed(&ME)));
}

#[test]
fn orders_must_be_good_for_all_tasks() {
    for kind in 0..3 {
        let short = judged(&wish(), &all_offers(), |facts| facts.left[kind] = Some(U256::ONE));
        only(&short, "good for 1 tasks only", "--volume");
    }
}

#[test]
fn a_restriction_to_somebody_else_is_told() {
    let mut offers = all_offers();
    let dataset = DatasetOrder { dataset: DATASET, apprestrict: POOL, ..DatasetOrder::default() };
    offers.dataset = Some(published(dataset));
    only(&judged(&wish(), &offers, |_| ()), "dataset order is restricted to app", "whitelist");
    // Whether a whitelist has the app is for the hub to say.
    let wish = Wish { app_whitelist: Some(POOL), ..wish() };
    assert!(judged(&wish, &offers, |_| ()).is_empty());
    let wish = Wish { app_whitelist: Some(ME), ..wish };
    only(&judged(&wish, &offers, |_| ()), "dataset order is restricted to app", "--app-whitelist");
}

#[test]
fn each_secret_that_is_missing_is_named_with_its_command() {
    let name = |name: &str| SecretId::Account { owner: ME, name: name.parse().unwrap() };
    for (id, remedy) in [
        (SecretId::Dataset(DATASET), "dataset push-secret 0x"),
        (SecretId::Requester { owner: ME, name: "key".parse().unwrap() }, "requester push-secret key"),
        (name(AccountSecretName::RESULT_ENCRYPTION_KEY), "result push-encryption-key"),
        (name(AccountSecretName::DROPBOX_TOKEN), "storage"),
    ] {
        only(&judged(&wish(), &all_offers(), |facts| facts.secrets = vec![(id, false)]), "not at the SMS", remedy);
    }
}
