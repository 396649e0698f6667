//! The calls of the PoCo contracts that change something: what owners, requesters, buyers and pools send. Pure: a [`Call`] is sent by
//! a [`crate::Wallet`].

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::{SolCall, SolEvent, sol};
use strongroom_protocol::{DealId, TaskId};

use crate::orders::{self, Signed};
use crate::wallet::Receipt;

/// Gas beside what nodes estimate for a call that ends with a callback of somebody: the hub wants this much left
/// (`callbackgas()`: 100,000 in version 6.1, and 200,000 at most so far; a call keeps back a 64th).
const CALLBACK_GAS: u64 = 210_000;

sol! {
    #![sol(abi = false)]

    // The orders with their signatures, as the hub takes them.
    struct AppOrder {
        address app; uint256 appprice; uint256 volume; bytes32 tag; address datasetrestrict; address workerpoolrestrict;
        address requesterrestrict; bytes32 salt; bytes sign;
    }
    struct DatasetOrder {
        address dataset; uint256 datasetprice; uint256 volume; bytes32 tag; address apprestrict; address workerpoolrestrict;
        address requesterrestrict; bytes32 salt; bytes sign;
    }
    struct WorkerpoolOrder {
        address workerpool; uint256 workerpoolprice; uint256 volume; bytes32 tag; uint256 category; uint256 trust;
        address apprestrict; address datasetrestrict; address requesterrestrict; bytes32 salt; bytes sign;
    }
    struct RequestOrder {
        address app; uint256 appmaxprice; address dataset; uint256 datasetmaxprice; address workerpool;
        uint256 workerpoolmaxprice; address requester; uint256 volume; bytes32 tag; uint256 category; uint256 trust;
        address beneficiary; address callback; string params; bytes32 salt; bytes sign;
    }
    struct AppOrderOperation { AppOrder order; uint8 operation; bytes sign; }
    struct DatasetOrderOperation { DatasetOrder order; uint8 operation; bytes sign; }
    struct WorkerpoolOrderOperation { WorkerpoolOrder order; uint8 operation; bytes sign; }
    struct RequestOrderOperation { RequestOrder order; uint8 operation; bytes sign; }

    function matchOrders(AppOrder app, DatasetOrder dataset, WorkerpoolOrder workerpool, RequestOrder request) external;
    function manageAppOrder(AppOrderOperation operation) external;
    function manageDatasetOrder(DatasetOrderOperation operation) external;
    function manageWorkerpoolOrder(WorkerpoolOrderOperation operation) external;
    function manageRequestOrder(RequestOrderOperation operation) external;
    event OrdersMatched(bytes32 dealid, bytes32 appHash, bytes32 datasetHash, bytes32 workerpoolHash, bytes32 requestHash, uint256 volume);

    function initialize(bytes32 deal, uint256 index) external;
    function contributeAndFinalize(
        bytes32 task, bytes32 resultDigest, bytes results, bytes resultsCallback, address enclaveChallenge, bytes enclaveSign,
        bytes authorizationSign
    ) external;
    function claim(bytes32 task) external;
    function initializeAndClaimArray(bytes32[] deals, uint256[] indexes) external;

    function deposit(uint256 amount) external;
    function withdraw(uint256 amount) external;
    function approveAndCall(address spender, uint256 amount, bytes data) external;
    function transfer(address to, uint256 amount) external;

    function createApp(address owner, string name, string kind, bytes multiaddr, bytes32 checksum, bytes mrenclave) external;
    function createDataset(address owner, string name, bytes multiaddr, bytes32 checksum) external;
    function createWorkerpool(address owner, string description) external;
    function safeTransferFrom(address from, address to, uint256 tokenId) external;
    event Transfer(address indexed from, address indexed to, uint256 indexed tokenId);
}

/// A call that is still to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// What it is for, in words, for messages.
    pub what: &'static str,
    /// The contract.
    pub to: Address,
    /// Function and arguments.
    pub input: Bytes,
    /// Gas needed beside what a node estimates.
    pub extra_gas: u64,
}

impl Call {
    fn new<C: SolCall>(what: &'static str, to: Address, call: &C) -> Self {
        Self { what, to, input: call.abi_encode().into(), extra_gas: 0 }
    }
}

/// What an app is registered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewApp {
    /// Name.
    pub name: String,
    /// Kind; `DOCKER` for an OCI image.
    pub kind: String,
    /// Where its image is.
    pub multiaddr: Bytes,
    /// Digest of its image.
    pub checksum: B256,
    /// SGX enclave configuration as text; empty for TDX.
    pub mrenclave: Bytes,
}

/// What a dataset is registered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDataset {
    /// Name.
    pub name: String,
    /// Where its encrypted file is.
    pub multiaddr: Bytes,
    /// SHA-256 of the encrypted file.
    pub checksum: B256,
}

/// Registers an app for `owner` at the app registry.
pub fn create_app(registry: Address, owner: Address, app: NewApp) -> Call {
    let NewApp { name, kind, multiaddr, checksum, mrenclave } = app;
    Call::new("registering the app", registry, &createAppCall { owner, name, kind, multiaddr, checksum, mrenclave })
}

/// Registers a dataset for `owner` at the dataset registry.
pub fn create_dataset(registry: Address, owner: Address, dataset: NewDataset) -> Call {
    let NewDataset { name, multiaddr, checksum } = dataset;
    Call::new("registering the dataset", registry, &createDatasetCall { owner, name, multiaddr, checksum })
}

/// Registers a workerpool for `owner` at the workerpool registry.
pub fn create_workerpool(registry: Address, owner: Address, description: String) -> Call {
    Call::new("registering the workerpool", registry, &createWorkerpoolCall { owner, description })
}

/// The resource that a registration made: the number of the token that the registry gave from nobody.
pub fn created(receipt: &Receipt, registry: Address) -> Option<Address> {
    let minted = receipt.event::<Transfer>(registry).filter(|transfer| transfer.from.is_zero())?;
    Some(Address::from_word(minted.tokenId.into()))
}

/// Gives a resource to another owner. Orders that the old owner signed are void from then on.
pub fn transfer_resource(registry: Address, from: Address, to: Address, resource: Address) -> Call {
    let call = safeTransferFromCall { from, to, tokenId: resource.into_word().into() };
    Call::new("transferring the resource", registry, &call)
}

/// Matches four orders into a deal. A deal without a dataset takes [`Signed::default`] for it.
pub fn match_orders(
    hub: Address,
    app: &Signed<orders::AppOrder>,
    dataset: &Signed<orders::DatasetOrder>,
    workerpool: &Signed<orders::WorkerpoolOrder>,
    request: &Signed<orders::RequestOrder>,
) -> Call {
    let call = matchOrdersCall {
        app: app.into(),
        dataset: dataset.into(),
        workerpool: workerpool.into(),
        request: request.into(),
    };
    Call::new("matching the orders", hub, &call)
}

/// The deal that a match made, and how many tasks it has.
pub fn matched(receipt: &Receipt, hub: Address) -> Option<(DealId, U256)> {
    receipt.event::<OrdersMatched>(hub).map(|matched| (matched.dealid.into(), matched.volume))
}

/// What is done to an order on chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Operation {
    /// Signs by transaction: the order then needs no signature.
    Presign = 0,
    /// Revokes for good.
    Close = 1,
}

/// An order that can be managed on chain.
pub trait Manage: orders::Order {
    /// Signs or revokes the order, as a transaction of its owner or requester.
    fn manage(hub: Address, order: &Signed<Self>, operation: Operation) -> Call;
}

/// Presigning or revoking, and the conversion of a signed order to what the hub takes.
macro_rules! hub_order {
    ($order:ident, $call:ident, $operation:ident, $($member:ident),+) => {
        impl From<&Signed<orders::$order>> for $order {
            fn from(signed: &Signed<orders::$order>) -> Self {
                let orders::$order { $($member),+ } = signed.order.clone();
                Self { $($member,)+ sign: signed.sign.clone() }
            }
        }

        impl Manage for orders::$order {
            fn manage(hub: Address, order: &Signed<Self>, operation: Operation) -> Call {
                let what = match operation {
                    Operation::Presign => "signing the order on chain",
                    Operation::Close => "revoking the order",
                };
                let operation = $operation { order: order.into(), operation: operation as u8, sign: Bytes::new() };
                Call::new(what, hub, &$call { operation })
            }
        }
    };
}

hub_order!(
    AppOrder,
    manageAppOrderCall,
    AppOrderOperation,
    app,
    appprice,
    volume,
    tag,
    datasetrestrict,
    workerpoolrestrict,
    requesterrestrict,
    salt
);
hub_order!(
    DatasetOrder,
    manageDatasetOrderCall,
    DatasetOrderOperation,
    dataset,
    datasetprice,
    volume,
    tag,
    apprestrict,
    workerpoolrestrict,
    requesterrestrict,
    salt
);
hub_order!(
    WorkerpoolOrder,
    manageWorkerpoolOrderCall,
    WorkerpoolOrderOperation,
    workerpool,
    workerpoolprice,
    volume,
    tag,
    category,
    trust,
    apprestrict,
    datasetrestrict,
    requesterrestrict,
    salt
);
hub_order!(
    RequestOrder,
    manageRequestOrderCall,
    RequestOrderOperation,
    app,
    appmaxprice,
    dataset,
    datasetmaxprice,
    workerpool,
    workerpoolmaxprice,
    requester,
    volume,
    tag,
    category,
    trust,
    beneficiary,
    callback,
    params,
    salt
);

/// Makes a task of a deal active. Reverts when it is already.
pub fn initialize(hub: Address, deal: DealId, index: u64) -> Call {
    let call = initializeCall { deal: B256::from(*deal.as_bytes()), index: U256::from(index) };
    Call::new("initialising the task", hub, &call)
}

/// What an enclave delivered, as the hub takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contribution {
    /// The task.
    pub task: TaskId,
    /// Digest of the result.
    pub result_digest: B256,
    /// Text that says where the result is.
    pub results: Bytes,
    /// For deals with a callback: what is handed to it; its keccak-256 is the digest. Empty otherwise.
    pub results_callback: Bytes,
    /// Address of the enclave's key.
    pub enclave_challenge: Address,
    /// The enclave's signature.
    pub enclave_sign: Bytes,
    /// The pool owner's authorization.
    pub authorization_sign: Bytes,
}

/// Contributes and finalises in one step; the worker sends it.
pub fn contribute_and_finalize(hub: Address, contribution: Contribution) -> Call {
    let call = contributeAndFinalizeCall {
        task: B256::from(*contribution.task.as_bytes()),
        resultDigest: contribution.result_digest,
        results: contribution.results,
        resultsCallback: contribution.results_callback,
        enclaveChallenge: contribution.enclave_challenge,
        enclaveSign: contribution.enclave_sign,
        authorizationSign: contribution.authorization_sign,
    };
    Call { extra_gas: CALLBACK_GAS, ..Call::new("settling the result", hub, &call) }
}

/// Fails an initialised task after its final deadline; the requester gets the money back.
pub fn claim(hub: Address, task: TaskId) -> Call {
    Call::new("claiming the task", hub, &claimCall { task: B256::from(*task.as_bytes()) })
}

/// The same for a task that was never initialised.
pub fn initialize_and_claim(hub: Address, deal: DealId, index: u64) -> Call {
    let call =
        initializeAndClaimArrayCall { deals: vec![B256::from(*deal.as_bytes())], indexes: vec![U256::from(index)] };
    Call::new("claiming the task", hub, &call)
}

/// Pays RLC of the sender into its account at the hub, in one transaction (`approveAndCall` of the token).
pub fn deposit(rlc: Address, hub: Address, amount: U256) -> Call {
    Call::new("depositing", rlc, &approveAndCallCall { spender: hub, amount, data: Bytes::new() })
}

/// Pays out of the account at the hub.
pub fn withdraw(hub: Address, amount: U256) -> Call {
    Call::new("withdrawing", hub, &withdrawCall { amount })
}

/// Sends RLC to somebody.
pub fn send_rlc(rlc: Address, to: Address, amount: U256) -> Call {
    Call::new("sending RLC", rlc, &transferCall { to, amount })
}

impl Receipt {
    /// The first event of this kind that `emitter` left.
    pub fn event<E: SolEvent>(&self, emitter: Address) -> Option<E> {
        self.logs
            .iter()
            .filter(|log| log.address == emitter)
            .find_map(|log| E::decode_log(log).ok())
            .map(|log| log.data)
    }
}
