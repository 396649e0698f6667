//! A contract that is called back with results, and needs most of the gas that the hub gives it.

use alloy_primitives::{Address, B256, TxKind, U256, keccak256};
use strongroom_devnet::contracts::Hub;
use strongroom_devnet::node::Unsent;

use crate::scene::{DEVELOPER, Scene, wallet};

/// Enough for a contract of fifty bytes.
const GAS: u64 = 200_000;
/// What the contract spends until it looks how much gas it has.
const SPENT: u64 = 100;

/// The code that creates a contract which writes down how it is called. Each of the four words takes 22,100 of its gas: if there is less
/// than for all of them, none is kept.
fn creation() -> Vec<u8> {
    let mut code = Vec::new();
    code.extend([0x5a, 0x60, 0x00, 0x55]); // 0: GAS
    code.extend([0x60, 0x00, 0x35, 0x60, 0xe0, 0x1c, 0x60, 0x01, 0x55]); // 1: CALLDATALOAD(0) >> 224, the function
    code.extend([0x60, 0x04, 0x35, 0x60, 0x02, 0x55]); // 2: CALLDATALOAD(4), the task
    // 3: CALLDATALOAD(100) | CALLDATALOAD(68), the result and behind it its length
    code.extend([0x60, 0x64, 0x35, 0x60, 0x44, 0x35, 0x17, 0x60, 0x03, 0x55]);
    let length = u8::try_from(code.len()).unwrap();
    // Copies what comes after these eleven bytes, and returns it.
    let mut creation = vec![0x60, length, 0x80, 0x60, 0x0b, 0x60, 0x00, 0x39, 0x60, 0x00, 0xf3];
    creation.extend(code);
    creation
}

/// Creates the contract.
pub(crate) async fn create(scene: &Scene) -> Address {
    let unsent = Unsent { what: "callback".to_owned(), to: TxKind::Create, input: creation().into(), gas: GAS };
    let receipts = scene.chain().node.send_all(&wallet(DEVELOPER), vec![unsent]).await.unwrap();
    receipts[0].contract_address.unwrap()
}

/// Fails unless the contract was called with this result of the task, of less than a word, and had all the gas that the hub promises.
pub(crate) async fn was_called(scene: &Scene, contract: Address, task: &str, result: &[u8]) {
    let chain = scene.chain();
    let mut words = Vec::new();
    for slot in 0..4 {
        let word: B256 = chain.node.request("eth_getStorageAt", (contract, U256::from(slot), "latest")).await.unwrap();
        words.push(word);
    }
    let function = &keccak256("receiveResult(bytes32,bytes)")[..4];
    assert_eq!(words[1], B256::left_padding_from(function), "{words:?}");
    assert_eq!(words[2], task.parse::<B256>().unwrap(), "{words:?}");
    let mut expected = B256::right_padding_from(result);
    expected[31] = u8::try_from(result.len()).unwrap();
    assert_eq!(words[3], expected, "{words:?}");
    let promised = chain.node.call(chain.deployment.hub, &Hub::callbackgasCall {}).await.unwrap();
    let had = U256::from_be_bytes(words[0].0);
    assert!(had <= promised && had + U256::from(SPENT) >= promised, "{had} of {promised}");
}
