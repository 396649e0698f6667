//! What the chain says about the dataset orders of a bulk slice: the program that asks, and the typed answer. Pure: no node
//! is talked to here. The orders themselves come from elsewhere; the hub judges their signatures.

use alloy_primitives::{Address, U256};
use alloy_sol_types::SolCall;
use strongroom_protocol::DealId;
use strongroom_protocol::snapshot::{BulkDataset, BulkOrder, Dataset};

use crate::contracts::{DatasetOrder, assertDatasetDealCompatibilityCall, viewDatasetCall};
use crate::error::ChainError;
use crate::reader::{Reading, Step, Word};

/// Most orders in one slice: what the network's SDK allows.
pub const MAX_BULK_ORDERS: usize = 100;
/// Longest signature of an order that is asked about, in bytes: room for those of contracts.
pub const MAX_ORDER_SIGNATURE_BYTES: usize = 1024;

/// Selector of the error `IncompatibleDatasetOrder(string)`.
const INCOMPATIBLE: [u8; 4] = [0x0a, 0xfd, 0x93, 0x82];
/// Selector of the error `Error(string)`: what `require` gives.
const REQUIRE: [u8; 4] = [0x08, 0xc3, 0x79, 0xa0];
/// Longest reason that is repeated, in characters.
const MAX_REASON: usize = 200;

/// Two steps for each order. A dataset that is none fails its step.
pub(crate) fn bulk_steps(hub: Address, deal: DealId, orders: &[BulkOrder]) -> Vec<Step> {
    let of_order = |order: &BulkOrder| {
        let call = assertDatasetDealCompatibilityCall { order: on_chain(order), deal: (*deal.as_bytes()).into() };
        let words =
            call.abi_encode()[4..].chunks_exact(32).map(|word| Word::Known(U256::from_be_slice(word))).collect();
        [
            Step::call::<viewDatasetCall>(hub, vec![order.dataset.into()]),
            Step::attempt::<assertDatasetDealCompatibilityCall>(hub, words),
        ]
    };
    orders.iter().flat_map(of_order).collect()
}

/// Reads what [`bulk_steps`] found.
pub(crate) fn read_bulk(orders: Vec<BulkOrder>, reading: &Reading) -> Result<Vec<BulkDataset>, ChainError> {
    if reading.answers.len() != 2 * orders.len() {
        return Err(ChainError::Impossible { what: "number of answers" });
    }
    let read = |(order, answers): (BulkOrder, &[Option<Vec<u8>>])| {
        let dataset = match &answers[0] {
            None => None,
            Some(bytes) => {
                let impossible = ChainError::Impossible { what: "viewDataset" };
                let shown = viewDatasetCall::abi_decode_returns_validate(bytes).map_err(|_| impossible)?;
                Some(Dataset {
                    address: order.dataset,
                    owner: shown.owner,
                    multiaddr: shown.multiaddr.into(),
                    checksum: shown.checksum,
                })
            }
        };
        let compatible = match &dataset {
            // The hub asks the dataset who owns it, and where there is none, it fails without a reason.
            None => Err("there is no dataset at this address".to_owned()),
            Some(_) => outcome(answers[1].as_deref())?,
        };
        let BulkOrder { name, dataset: address, price, volume, .. } = order;
        Ok(BulkDataset { name, address, price, volume, dataset, compatible })
    };
    orders.into_iter().zip(reading.answers.chunks_exact(2)).map(read).collect()
}

/// A failure with a reason of the contract is its "no". One without may be a node that ran out of gas: we do not know.
fn outcome(answer: Option<&[u8]>) -> Result<Result<(), String>, ChainError> {
    let impossible = ChainError::Impossible { what: "assertDatasetDealCompatibility" };
    let (success, returned) = answer.and_then(|bytes| bytes.split_first_chunk::<32>()).ok_or(impossible.clone())?;
    if U256::from_be_bytes(*success) == U256::ONE {
        return if returned.is_empty() { Ok(Ok(())) } else { Err(impossible) };
    }
    let (selector, reason) = returned.split_first_chunk::<4>().ok_or(impossible.clone())?;
    if ![INCOMPATIBLE, REQUIRE].contains(selector) {
        return Err(impossible);
    }
    let reason = <alloy_sol_types::sol_data::Bytes as alloy_sol_types::SolType>::abi_decode_validate(reason);
    let reason = reason.map_err(|_| impossible)?;
    Ok(Err(String::from_utf8_lossy(&reason).chars().take(MAX_REASON).collect()))
}

fn on_chain(order: &BulkOrder) -> DatasetOrder {
    DatasetOrder {
        dataset: order.dataset,
        datasetprice: order.price,
        volume: order.volume,
        tag: order.tag,
        apprestrict: order.app_restrict,
        workerpoolrestrict: order.workerpool_restrict,
        requesterrestrict: order.requester_restrict,
        salt: order.salt,
        sign: order.signature.clone().into(),
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::keccak256;

    use super::*;

    #[test]
    fn the_selectors_are_those_of_the_errors() {
        for (error, selector) in [("IncompatibleDatasetOrder(string)", INCOMPATIBLE), ("Error(string)", REQUIRE)] {
            assert_eq!(keccak256(error)[..4], selector, "{error}");
        }
        assert_eq!(assertDatasetDealCompatibilityCall::SELECTOR, [0x80, 0xf0, 0x34, 0x25]);
    }

    fn answer(success: u8, returned: &[u8]) -> Vec<u8> {
        [[0; 31].as_slice(), &[success], returned].concat()
    }

    #[test]
    fn a_reason_is_a_no_and_a_failure_without_one_is_nothing_known() {
        let reason = |selector: [u8; 4]| {
            let words = [32_u64, 7].map(|word| U256::from(word).to_be_bytes::<32>()).concat();
            answer(0, &[selector.as_slice(), &words, b"revoked", &[0; 25]].concat())
        };
        assert_eq!(outcome(Some(&answer(1, &[]))).unwrap(), Ok(()));
        assert_eq!(outcome(Some(&reason(INCOMPATIBLE))).unwrap(), Err("revoked".to_owned()));
        assert_eq!(outcome(Some(&reason(REQUIRE))).unwrap(), Err("revoked".to_owned()));
        for unknown in [None, Some(answer(0, &[])), Some(answer(1, &[1])), Some(reason([1; 4])), Some(vec![1])] {
            assert!(outcome(unknown.as_deref()).is_err(), "{unknown:?}");
        }
    }

    #[test]
    fn the_largest_slice_with_the_longest_signatures_fits_into_one_program() {
        let order = BulkOrder {
            name: String::new(),
            dataset: Address::ZERO,
            price: U256::ZERO,
            volume: U256::ZERO,
            tag: alloy_primitives::B256::ZERO,
            app_restrict: Address::ZERO,
            workerpool_restrict: Address::ZERO,
            requester_restrict: Address::ZERO,
            salt: alloy_primitives::B256::ZERO,
            signature: vec![1; MAX_ORDER_SIGNATURE_BYTES],
        };
        let steps = bulk_steps(Address::ZERO, DealId::from(keccak256("deal")), &vec![order; MAX_BULK_ORDERS]);
        assert!(!crate::reader::compile(&steps).is_empty());
    }
}
