//! Deals that process a list of datasets: each order of the slice is judged, and the plan names each dataset.

use alloy_primitives::{U256, address};
use strongroom_protocol::snapshot::{BulkDataset, Dataset};

use super::*;

const FIRST: Address = address!("AAaAAaAAAaAaAAaAAaaaaaaaaAAaAaAAaaAAaaAA");
const SECOND: Address = address!("bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb");

fn order(dataset: Address, name: &str) -> BulkDataset {
    BulkDataset {
        name: name.to_owned(),
        address: dataset,
        price: U256::ZERO,
        volume: U256::from(9_007_199_254_740_991_u64),
        dataset: Some(Dataset {
            address: dataset,
            owner: Address::repeat_byte(1),
            multiaddr: format!("https://host/{}", &name[..4]).into_bytes(),
            checksum: B256::repeat_byte(0x66),
        }),
        compatible: Ok(()),
    }
}

/// A deal without a dataset of its own and with a slice of two, whose names keep the case of the orders.
fn bulk_facts() -> Facts {
    let mut facts = facts();
    facts.task.chain.deal.dataset = None;
    facts.task.chain.dataset = None;
    with_params(&mut facts, r#"{"bulk_cid":"Qm"}"#);
    facts.task.bulk = Ok(vec![
        order(FIRST, "0xAAaAAaAAAaAaAAaAAaaaaaaaaAAaAaAAaaAAaaAA"),
        order(SECOND, "0xbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"),
    ]);
    for dataset in [FIRST, SECOND] {
        facts.task.stored.insert(SecretId::Dataset(dataset), SecretVersion(1));
    }
    facts
}

fn refused_bulk(change: impl FnOnce(&mut Vec<BulkDataset>)) -> Refusal {
    let mut facts = bulk_facts();
    change(facts.task.bulk.as_mut().unwrap());
    decide(&facts).unwrap_err()
}

#[test]
fn the_plan_names_every_dataset_of_the_slice_and_gives_keys_to_pre_compute_alone() {
    let plan = admit(&bulk_facts().task).unwrap();
    let pre_compute = variables(&plan, Stage::PreCompute);
    let of_slice = |variables: &BTreeMap<String, String>| -> BTreeMap<String, String> {
        let bulk = |name: &String| {
            name.starts_with("IEXEC_BULK") || name.starts_with("IEXEC_DATASET_1") || name.starts_with("IEXEC_DATASET_2")
        };
        variables.iter().filter(|(name, _)| bulk(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
    };
    let checksum = format!("0x{}", "66".repeat(32));
    let names = [
        ("IEXEC_BULK_SLICE_SIZE", "2"),
        ("IEXEC_DATASET_1_FILENAME", "0xAAaAAaAAAaAaAAaAAaaaaaaaaAAaAaAAaaAAaaAA"),
        ("IEXEC_DATASET_2_FILENAME", "0xbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"),
    ];
    let mut expected = pairs(&names);
    assert_eq!(of_slice(&variables(&plan, Stage::App)), expected);
    expected.extend(pairs(&[
        ("IEXEC_DATASET_1_URL", "https://host/0xAA"),
        ("IEXEC_DATASET_1_CHECKSUM", &checksum),
        ("IEXEC_DATASET_1_KEY", "<dataset >"),
        ("IEXEC_DATASET_2_URL", "https://host/0xbb"),
        ("IEXEC_DATASET_2_CHECKSUM", &checksum),
        ("IEXEC_DATASET_2_KEY", "<dataset >"),
    ]));
    assert_eq!(of_slice(&pre_compute), expected);
    assert_eq!(pre_compute["IS_DATASET_REQUIRED"], "false");
}

#[test]
fn an_order_must_name_a_dataset_with_a_location() {
    let expected = Refusal::BulkDatasetUnknown { dataset: SECOND };
    assert_eq!(refused_bulk(|orders| orders[1].dataset = None), expected);
    assert_eq!(refused_bulk(|orders| orders[1].dataset.as_mut().unwrap().address = FIRST), expected);
    assert_eq!(refused_bulk(|orders| orders[1].dataset.as_mut().unwrap().multiaddr.clear()), expected);
}

#[test]
fn an_order_that_the_hub_refuses_refuses_the_whole_slice_with_its_reason() {
    let reason = "Dataset order is revoked or fully consumed".to_owned();
    let refusal = refused_bulk(|orders| orders[1].compatible = Err(reason.clone()));
    assert_eq!(refusal, Refusal::BulkOrderIncompatible { dataset: SECOND, reason });
}

#[test]
fn an_order_must_be_free_and_of_unlimited_volume() {
    for (volume, served) in [(9_007_199_254_740_989_u64, false), (9_007_199_254_740_990, true)] {
        let mut facts = bulk_facts();
        facts.task.bulk.as_mut().unwrap()[0].volume = U256::from(volume);
        let limited = Refusal::BulkOrderLimited { dataset: FIRST, volume: U256::from(volume) };
        assert_eq!(decide(&facts).err(), (!served).then_some(limited));
    }
    let priced = refused_bulk(|orders| orders[0].price = U256::ONE);
    assert_eq!(priced, Refusal::BulkOrderPriced { dataset: FIRST, price: U256::ONE });
}

#[test]
fn a_list_that_is_unreadable_empty_or_not_asked_for_is_refused() {
    let mut facts = bulk_facts();
    facts.task.bulk = Err("index 7 of 3".to_owned());
    assert_eq!(decide(&facts).unwrap_err(), Refusal::BulkUnreadable("index 7 of 3".to_owned()));
    assert!(matches!(refused_bulk(Vec::clear), Refusal::BulkUnreadable(_)));
    let mut facts = bulk_facts();
    with_params(&mut facts, "{}");
    assert!(matches!(decide(&facts).unwrap_err(), Refusal::BulkUnreadable(_)));
}

#[test]
fn the_key_of_every_dataset_of_the_slice_must_be_stored() {
    let mut facts = bulk_facts();
    facts.task.stored.remove(&SecretId::Dataset(SECOND));
    assert_eq!(decide(&facts).unwrap_err(), Refusal::DatasetKeyMissing { dataset: SECOND });
}

#[test]
fn an_explanation_says_of_every_order_what_chain_and_hub_say() {
    let compared = |facts: &Facts| -> String {
        let finding = explain(facts).into_iter().find(|finding| finding.check.contains("bulk slice")).unwrap();
        finding.compared
    };
    let mut facts = bulk_facts();
    let orders = facts.task.bulk.as_mut().unwrap();
    orders[0].price = U256::from(7);
    (orders[1].dataset, orders[1].compatible) = (None, Err("Deal not found".to_owned()));
    let [first, second] = ["0xAAaAAaAAAaAaAAaAAaaaaaaaaAAaAaAAaaAAaaAA", "0xbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"];
    let volume = 9_007_199_254_740_991_u64;
    let expected = format!(
        "{first} is a dataset on chain, hub says compatible, volume {volume}, price 7; \
         {second} is no dataset on chain, hub says Deal not found, volume {volume}, price 0"
    );
    assert_eq!(compared(&facts), expected);
    facts.task.bulk = Err("it is cut short".to_owned());
    assert_eq!(compared(&facts), "it is cut short");
}
