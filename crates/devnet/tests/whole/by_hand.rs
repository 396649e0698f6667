//! What the hub itself says to a purchase, whatever order books and tools would say.

use alloy_primitives::{Address, B256, Bytes, U256};
use serde_json::{Value, json};
use strongroom_devnet::node::NodeError;
use strongroom_devnet::sdk::SdkVersion;
use strongroom_devnet::whole::POOL_OWNER;
use strongroom_poco::calls::match_orders;
use strongroom_poco::orders::{AppOrder, DatasetOrder, Order as _, RequestOrder, Signed, WorkerpoolOrder, domain};
use strongroom_protocol::SigningKey;

use crate::scene::{DEVELOPER, REQUESTER, Scene, wallet};

/// TEE and TDX.
const TDX: B256 = B256::with_last_byte(9);

/// The one order in the book that grants `app` the dataset, with its signature.
pub(crate) fn grant_in_the_book(scene: &Scene, dataset: Address, app: Address) -> Value {
    let query = json!({ "dataset": dataset, "app": app });
    let book = scene.session(SdkVersion::V9, REQUESTER).call("orderbook.fetchDatasetOrderbook", &[query]).unwrap();
    let [found] = book["orders"].as_array().unwrap().as_slice() else { panic!("{book:#}") };
    found["order"].clone()
}

/// Asks the hub for a deal about `app` and the dataset of a grant, with new orders of everybody else. It is only asked, so nothing is
/// bought: gives the id that the deal would have, or why the hub refuses.
pub(crate) fn ask_hub(scene: &Scene, app: Address, grant: &Value) -> Result<B256, String> {
    let deployment = scene.network.deployment();
    let (hub, domain) = (deployment.hub, domain(deployment.chain_id, deployment.hub));
    let key = |who| SigningKey::from_bytes(&wallet(who).to_bytes().0).unwrap();
    let grant: Signed<DatasetOrder> = serde_json::from_value(grant.clone()).unwrap();
    let (volume, tag, trust, workerpool) = (U256::from(1), TDX, U256::from(1), scene.whole.workerpool);
    let apporder = AppOrder { app, volume, tag, ..AppOrder::default() };
    let workerpoolorder = WorkerpoolOrder { workerpool, volume, tag, trust, ..WorkerpoolOrder::default() };
    let request = RequestOrder {
        app,
        dataset: grant.order.dataset,
        datasetmaxprice: grant.order.datasetprice,
        workerpool,
        requester: wallet(REQUESTER).address(),
        beneficiary: wallet(REQUESTER).address(),
        volume,
        tag,
        trust,
        ..RequestOrder::default()
    };
    let call = match_orders(
        hub,
        &apporder.sign(&domain, &key(DEVELOPER)),
        &grant,
        &workerpoolorder.sign(&domain, &key(POOL_OWNER)),
        &request.sign(&domain, &key(REQUESTER)),
    );
    let node = scene.chain().node;
    let request = json!({ "to": call.to, "data": call.input });
    let asked = node.request::<_, Bytes>("eth_call", (request, "latest"));
    match tokio::runtime::Handle::current().block_on(asked) {
        Ok(deal) => Ok(B256::try_from(&deal[..]).unwrap()),
        Err(NodeError::Rpc { source, .. }) => Err(source.to_string()),
        Err(error) => panic!("{error:?}"),
    }
}
