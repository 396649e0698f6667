//! A node for tests: JSON-RPC on a free port, with a hub, registries, accounts, deals and tasks in memory. It understands the programs by
//! which contracts are read as far as to see which functions they call with which arguments. It takes no transactions: each is refused
//! when its gas is estimated.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_sol_types::{SolValue, sol};
use serde_json::{Value, json};

use crate::stand_in_server::{Reply, Server};

pub(crate) const CHAIN_ID: u64 = 65_535;
/// Duration of every category, in seconds.
const CATEGORY_SECONDS: u64 = 100;
/// Where programs keep the calldata of a call.
const CALLDATA: u64 = 0x2000;

sol! {
    struct Domain { string name; string version; uint256 chainId; address verifyingContract; }
    struct Asset { address pointer; address owner; uint256 price; }
    struct Deal {
        Asset app; Asset dataset; Asset workerpool; uint256 trust; uint256 category; bytes32 tag; address requester;
        address beneficiary; address callback; bytes params; uint256 startTime; uint256 botFirst; uint256 botSize;
        uint256 workerStake; uint256 schedulerRewardRatio; address sponsor;
    }
    struct Task {
        uint8 status; bytes32 dealid; uint256 idx; uint256 timeref; uint256 contributionDeadline; uint256 revealDeadline;
        uint256 finalDeadline; bytes32 consensusValue; uint256 revealCounter; uint256 winnerCounter; address[] contributors;
        bytes32 resultDigest; bytes results; uint256 resultsTimestamp; bytes resultsCallback;
    }
    struct Category { bytes name; bytes description; uint256 workClockTimeRef; }
    struct App { address owner; bytes name; bytes kind; bytes multiaddr; bytes32 checksum; bytes mrenclave; }
    struct Dataset { address owner; bytes name; bytes multiaddr; bytes32 checksum; }
}

/// What is on the chain.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) hub: Address,
    /// Owners of registered apps, datasets and workerpools.
    pub(crate) owners: HashMap<Address, Address>,
    /// Free at the hub, in nRLC.
    pub(crate) stakes: HashMap<Address, u64>,
    /// Wallets that have nothing to pay gas with; all others have plenty.
    pub(crate) without_gas: Vec<Address>,
    /// In wallets, in nRLC.
    pub(crate) rlc: HashMap<Address, u64>,
    /// Used up of orders.
    pub(crate) consumed: HashMap<B256, u64>,
    pub(crate) deals: HashMap<B256, Deal>,
    pub(crate) tasks: HashMap<B256, Task>,
    /// Time of the newest block.
    pub(crate) time: u64,
    /// Why transactions are refused.
    pub(crate) refusal: &'static str,
    /// The number that the node says it has.
    pub(crate) chain_id: Option<u64>,
}

pub(crate) struct StandInChain {
    server: Server,
    world: Arc<Mutex<World>>,
}

impl StandInChain {
    pub(crate) fn start(hub: Address) -> Self {
        let world = Arc::new(Mutex::new(World { hub, time: 1_000, ..World::default() }));
        let shared = Arc::clone(&world);
        let server = Server::start(move |request| {
            let request: Value = serde_json::from_slice(&request.body).unwrap_or_default();
            let method = request["method"].as_str().unwrap_or_default();
            let answer = match shared.lock().unwrap().answer(method, &request["params"]) {
                Ok(result) => json!({ "jsonrpc": "2.0", "id": request["id"], "result": result }),
                Err((code, message)) => {
                    json!({ "jsonrpc": "2.0", "id": request["id"], "error": { "code": code, "message": message } })
                }
            };
            Some(Reply::json(200, &answer))
        });
        Self { server, world }
    }

    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    /// What is on it, for others who change it.
    pub(crate) fn shared_world(&self) -> Arc<Mutex<World>> {
        Arc::clone(&self.world)
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }
}

impl World {
    fn answer(&self, method: &str, params: &Value) -> Result<Value, (i64, String)> {
        match method {
            "eth_chainId" => Ok(json!(format!("{:#x}", self.chain_id.unwrap_or(CHAIN_ID)))),
            "eth_getBlockByNumber" => Ok(json!({
                "number": "0x7", "hash": B256::repeat_byte(7), "timestamp": format!("{:#x}", self.time),
            })),
            "eth_call" => {
                let reader = params[0]["to"].as_str().unwrap();
                let code: Bytes = params[2][reader]["code"].as_str().unwrap().parse().unwrap();
                let mut output = U256::from(self.chain_id.unwrap_or(CHAIN_ID)).to_be_bytes::<32>().to_vec();
                for step in steps(&code) {
                    let answer = self.step(&step);
                    output.extend(U256::from(u8::from(answer.is_some())).to_be_bytes::<32>());
                    let answer = answer.unwrap_or_default();
                    output.extend(U256::from(answer.len()).to_be_bytes::<32>());
                    output.extend(answer);
                }
                Ok(json!(Bytes::from(output)))
            }
            "eth_getBalance" if self.without_gas.iter().any(|wallet| params[0] == json!(wallet)) => Ok(json!("0x0")),
            "eth_getBalance" => Ok(json!("0xde0b6b3a7640000")),
            "eth_gasPrice" => Ok(json!("0x3b9aca00")),
            "eth_estimateGas" => Err((3, format!("execution reverted: {}", self.refusal))),
            _ => Err((-32601, "method not found".to_owned())),
        }
    }

    fn step(&self, step: &Step) -> Option<Vec<u8>> {
        let (selector, arguments) = match step {
            Step::Call { selector, arguments } => (selector, arguments),
            // Nobody but the hub is a contract.
            Step::CodeSize(of) => return Some(U256::from(u8::from(*of == Some(self.hub))).abi_encode()),
        };
        let is = |signature: &str| keccak256(signature)[..4] == *selector;
        let word = arguments.first().copied().flatten().unwrap_or_default();
        let address = Address::from_word(word.into());
        if is("appregistry()") || is("datasetregistry()") || is("workerpoolregistry()") || is("token()") {
            Some(Address::repeat_byte(0x4e).abi_encode())
        } else if is("domain()") {
            let (name, version) = ("iExecODB".to_owned(), "5.0.0".to_owned());
            let domain = Domain { name, version, chainId: U256::from(CHAIN_ID), verifyingContract: self.hub };
            Some(domain.abi_encode())
        } else if is("isRegistered(address)") {
            Some(self.owners.contains_key(&address).abi_encode())
        } else if is("ownerOf(uint256)") {
            self.owners.get(&address).map(SolValue::abi_encode)
        } else if is("viewAccount(address)") {
            let stake = U256::from(self.stakes.get(&address).copied().unwrap_or_default());
            Some((stake, U256::ZERO).abi_encode())
        } else if is("balanceOf(address)") {
            Some(U256::from(self.rlc.get(&address).copied().unwrap_or_default()).abi_encode())
        } else if is("viewConsumed(bytes32)") {
            Some(U256::from(self.consumed.get(&B256::from(word)).copied().unwrap_or_default()).abi_encode())
        } else if is("viewApp(address)") {
            // A deal names its app by an earlier answer, which is not followed.
            let owner = self.owners.get(&address).copied().unwrap_or(Address::repeat_byte(1));
            let (name, kind, multiaddr) = (Bytes::new(), Bytes::new(), b"app".to_vec().into());
            let checksum = B256::repeat_byte(3);
            Some(App { owner, name, kind, multiaddr, checksum, mrenclave: Bytes::new() }.abi_encode())
        } else if is("viewDataset(address)") {
            let owner = self.owners.get(&address).copied().unwrap_or(Address::repeat_byte(1));
            let (name, multiaddr) = (Bytes::new(), b"https://example.org/data".to_vec().into());
            Some(Dataset { owner, name, multiaddr, checksum: B256::repeat_byte(2) }.abi_encode())
        } else if is("viewDeal(bytes32)") {
            let none = || Deal::abi_decode(&empty_deal()).unwrap();
            Some(self.deals.get(&B256::from(word)).cloned().unwrap_or_else(none).abi_encode())
        } else if is("viewTask(bytes32)") {
            Some(self.tasks.get(&B256::from(word)).cloned().unwrap_or_else(empty_task).abi_encode())
        } else if is("viewCategory(uint256)") {
            let seconds = U256::from(CATEGORY_SECONDS);
            Some(Category { name: Bytes::new(), description: Bytes::new(), workClockTimeRef: seconds }.abi_encode())
        } else {
            None
        }
    }
}

fn empty_deal() -> Vec<u8> {
    deal(Address::ZERO, Address::ZERO, 0).abi_encode()
}

/// A deal of one task that `requester` made at second 1000.
pub(crate) fn deal(requester: Address, app: Address, tasks: u64) -> Deal {
    let asset = |pointer| Asset { pointer, owner: requester, price: U256::ZERO };
    let zero = U256::ZERO;
    Deal {
        app: asset(app),
        dataset: asset(Address::ZERO),
        workerpool: asset(app),
        trust: zero,
        category: zero,
        tag: B256::with_last_byte(9),
        requester,
        beneficiary: requester,
        callback: Address::ZERO,
        params: b"{}".to_vec().into(),
        startTime: U256::from(if tasks == 0 { 0 } else { 1_000 }),
        botFirst: zero,
        botSize: U256::from(tasks),
        workerStake: zero,
        schedulerRewardRatio: zero,
        sponsor: requester,
    }
}

/// A task that was not begun.
pub(crate) fn empty_task() -> Task {
    let zero = U256::ZERO;
    Task {
        status: 0,
        dealid: B256::ZERO,
        idx: zero,
        timeref: zero,
        contributionDeadline: zero,
        revealDeadline: zero,
        finalDeadline: zero,
        consensusValue: B256::ZERO,
        revealCounter: zero,
        winnerCounter: zero,
        contributors: Vec::new(),
        resultDigest: B256::ZERO,
        results: Bytes::new(),
        resultsTimestamp: zero,
        resultsCallback: Bytes::new(),
    }
}

/// What a program asks.
enum Step {
    Call { selector: [u8; 4], arguments: Vec<Option<U256>> },
    CodeSize(Option<Address>),
}

/// Reads a program: constants that are stored where calldata is, calls, sizes of code.
fn steps(code: &[u8]) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut pushed: Vec<Option<U256>> = Vec::new();
    let mut at = 0;
    while at < code.len() {
        let op = code[at];
        at += 1;
        match op {
            0x60..=0x7f => {
                let width = usize::from(op - 0x5f);
                pushed.push(Some(U256::from_be_slice(&code[at..at + width])));
                at += width;
            }
            // MSTORE of a value at a place.
            0x52 => {
                let place = pushed.pop().flatten().and_then(|place| u64::try_from(place).ok()).unwrap_or_default();
                let value = pushed.pop().flatten();
                match (place.checked_sub(CALLDATA), value) {
                    (Some(0), Some(value)) => {
                        let selector = value.to_be_bytes::<32>()[..4].try_into().unwrap();
                        steps.push(Step::Call { selector, arguments: Vec::new() });
                    }
                    (Some(offset), value) if offset < 0x800 => {
                        if let Some(Step::Call { arguments, .. }) = steps.last_mut() {
                            arguments.push(value);
                        }
                    }
                    _ => {}
                }
            }
            0x3b => {
                let of = pushed.pop().flatten();
                steps.push(Step::CodeSize(of.map(|word| Address::from_word(word.into()))));
                pushed.clear();
            }
            // MLOAD: a value of an earlier answer.
            0x51 => {
                pushed.pop();
                pushed.push(None);
            }
            _ => pushed.clear(),
        }
    }
    steps
}
