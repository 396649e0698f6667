use alloy_primitives::b256;
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32]).unwrap()
}

fn hub() -> Eip712Domain {
    domain(42_161, Address::repeat_byte(0x11))
}

fn request() -> RequestOrder {
    RequestOrder {
        app: Address::repeat_byte(1),
        workerpool: Address::ZERO,
        requester: key().address(),
        volume: U256::from(1),
        category: U256::from(2),
        trust: U256::from(1),
        beneficiary: key().address(),
        params: r#"{"iexec_args":"x"}"#.to_owned(),
        ..RequestOrder::default()
    }
}

#[test]
fn the_types_hash_to_the_constants_of_the_contract() {
    let hashes = [
        AppOrder::default().eip712_type_hash(),
        DatasetOrder::default().eip712_type_hash(),
        WorkerpoolOrder::default().eip712_type_hash(),
        RequestOrder::default().eip712_type_hash(),
    ];
    let published = [
        b256!("60815a0eeec47dddf1615fe53b31d016c31444e01b9d796db365443a6445d008"),
        b256!("6cfc932a5a3d22c4359295b9f433edff52b60703fa47690a04a83e40933dd47c"),
        b256!("aa3429fb281b34691803133d3d978a75bb77c617ed6bc9aa162b9b30920022bb"),
        b256!("f24e853034a3a450aba845a82914fbb564ad85accca6cf62be112a154520fae0"),
    ];
    assert_eq!(hashes, published);
}

#[test]
fn a_signature_names_its_signer_for_this_order_and_this_hub_only() {
    let signed = request().sign(&hub(), &key());
    assert_eq!(signed.signer(&hub()), Some(key().address()));
    assert_ne!(signed.signer(&domain(1, Address::repeat_byte(0x11))), Some(key().address()));
    let changed = Signed { order: RequestOrder { volume: U256::from(2), ..request() }, sign: signed.sign };
    assert_ne!(changed.signer(&hub()), Some(key().address()));
    assert_eq!(Signed { order: request(), sign: Bytes::new() }.signer(&hub()), None);
}

#[test]
fn an_order_is_written_as_the_stock_sdk_writes_it() {
    let order = AppOrder {
        app: Address::repeat_byte(0xab),
        volume: U256::from(5),
        tag: B256::with_last_byte(9),
        ..AppOrder::default()
    };
    let zero = "0x0000000000000000000000000000000000000000";
    assert_eq!(
        serde_json::to_value(Signed { order, sign: vec![1, 2].into() }).unwrap(),
        json!({
            "app": "0xABaBaBaBABabABabAbAbABAbABabababaBaBABaB",
            "appprice": "0",
            "volume": "5",
            "tag": "0x0000000000000000000000000000000000000000000000000000000000000009",
            "datasetrestrict": zero,
            "workerpoolrestrict": zero,
            "requesterrestrict": zero,
            "salt": "0x0000000000000000000000000000000000000000000000000000000000000000",
            "sign": "0x0102",
        })
    );
}

#[test]
fn numbers_are_read_as_numbers_and_as_text_and_nothing_else_is() {
    let mut written = serde_json::to_value(request().sign(&hub(), &key())).unwrap();
    written["volume"] = json!(7);
    let read: Signed<RequestOrder> = serde_json::from_value(written.clone()).unwrap();
    assert_eq!(read.order.volume, U256::from(7));
    for (member, bad) in [
        ("volume", json!("0x7")),
        ("volume", json!(-1)),
        ("volume", json!(1.5)),
        ("app", json!("0x12")),
        ("params", json!(null)),
        ("salt", json!("0x00")),
        ("sign", json!("zz")),
    ] {
        let mut changed = written.clone();
        changed[member] = bad;
        let error = serde_json::from_value::<Signed<RequestOrder>>(changed).unwrap_err().to_string();
        assert!(error.contains(member), "{error}");
    }
}

/// Four orders that fit together.
fn fitting() -> (AppOrder, DatasetOrder, WorkerpoolOrder, RequestOrder) {
    let tag = B256::with_last_byte(9);
    let app = AppOrder { app: Address::repeat_byte(1), volume: U256::from(1), tag, ..AppOrder::default() };
    let dataset = DatasetOrder { dataset: Address::repeat_byte(2), volume: U256::from(1), ..DatasetOrder::default() };
    let workerpool = WorkerpoolOrder {
        workerpool: Address::repeat_byte(3),
        volume: U256::from(1),
        tag,
        category: U256::from(2),
        trust: U256::from(1),
        ..WorkerpoolOrder::default()
    };
    (app, dataset, workerpool, RequestOrder { dataset: Address::repeat_byte(2), tag, ..request() })
}

#[test]
fn orders_that_fit_have_nothing_against_them() {
    let (app, dataset, workerpool, request) = fitting();
    assert_eq!(mismatches(&app, &dataset, &workerpool, &request), []);
    let sgx = DatasetOrder { tag: B256::with_last_byte(3), ..dataset };
    assert_eq!(mismatches(&app, &sgx, &workerpool, &request), [], "a framework of a dataset order does not count");
}

#[test]
fn each_reason_of_the_hub_is_named() {
    let (app, dataset, workerpool, request) = fitting();
    let other = Address::repeat_byte(9);
    let one = U256::from(1);
    let of = |app: &AppOrder, dataset: &DatasetOrder, workerpool: &WorkerpoolOrder, request: &RequestOrder| {
        mismatches(app, dataset, workerpool, request).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let cases = [
        (of(&app, &dataset, &WorkerpoolOrder { category: one, ..workerpool.clone() }, &request), "category 2"),
        (of(&app, &dataset, &workerpool, &RequestOrder { trust: U256::from(2), ..request.clone() }), "trust 2"),
        (of(&AppOrder { appprice: one, ..app.clone() }, &dataset, &workerpool, &request), "app costs 1"),
        (of(&app, &DatasetOrder { datasetprice: one, ..dataset.clone() }, &workerpool, &request), "dataset costs 1"),
        (
            of(&app, &dataset, &WorkerpoolOrder { workerpoolprice: one, ..workerpool.clone() }, &request),
            "workerpool costs 1",
        ),
        (of(&app, &dataset, &WorkerpoolOrder { tag: B256::ZERO, ..workerpool.clone() }, &request), "does not offer"),
        (of(&AppOrder { tag: B256::ZERO, ..app.clone() }, &dataset, &workerpool, &request), "does not offer one"),
        (of(&app, &dataset, &workerpool, &RequestOrder { app: other, ..request.clone() }), "request names app"),
        (of(&app, &dataset, &workerpool, &RequestOrder { dataset: other, ..request.clone() }), "request names dataset"),
        (
            of(&app, &dataset, &workerpool, &RequestOrder { workerpool: other, ..request.clone() }),
            "request order is restricted to workerpool",
        ),
        (
            of(&AppOrder { datasetrestrict: other, ..app.clone() }, &dataset, &workerpool, &request),
            "app order is restricted to dataset",
        ),
        (
            of(&AppOrder { workerpoolrestrict: other, ..app.clone() }, &dataset, &workerpool, &request),
            "app order is restricted to workerpool",
        ),
        (
            of(&AppOrder { requesterrestrict: other, ..app.clone() }, &dataset, &workerpool, &request),
            "app order is restricted to requester",
        ),
        (
            of(&app, &DatasetOrder { apprestrict: other, ..dataset.clone() }, &workerpool, &request),
            "dataset order is restricted to app",
        ),
        (
            of(&app, &dataset, &WorkerpoolOrder { requesterrestrict: other, ..workerpool.clone() }, &request),
            "workerpool order is restricted to requester",
        ),
    ];
    for (reasons, expected) in cases {
        assert_eq!(reasons.len(), 1, "{reasons:?}");
        assert!(reasons[0].contains(expected), "{reasons:?} does not say {expected:?}");
    }
}

proptest! {
    #[test]
    fn orders_survive_json(app: [u8; 20], price: [u8; 32], volume: u64, salt: [u8; 32], sign: Vec<u8>) {
        let signed = Signed {
            order: DatasetOrder {
                dataset: app.into(),
                datasetprice: U256::from_be_bytes(price),
                volume: U256::from(volume),
                salt: salt.into(),
                ..DatasetOrder::default()
            },
            sign: sign.into(),
        };
        let read: Signed<DatasetOrder> = serde_json::from_str(&serde_json::to_string(&signed).unwrap()).unwrap();
        prop_assert_eq!(read, signed);
    }
}
