//! What happens on the market: orders are signed by those who offer and those who ask, and match into a deal.

use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::SolStruct;

use crate::contracts::{AppOrder, DatasetOrder, Deal, Hub, RequestOrder, WorkerpoolOrder, unsigned};
use crate::deploy::Chain;
use crate::node::{NodeError, event};

/// Tag of an execution in an enclave: the bits of TEE and of one framework.
pub mod tag {
    use alloy_primitives::{B256, b256};

    /// No enclave.
    pub const NONE: B256 = B256::ZERO;
    /// TEE and SCONE.
    pub const SCONE: B256 = b256!("0000000000000000000000000000000000000000000000000000000000000003");
    /// TEE and Gramine.
    pub const GRAMINE: B256 = b256!("0000000000000000000000000000000000000000000000000000000000000005");
    /// TEE and TDX.
    pub const TDX: B256 = b256!("0000000000000000000000000000000000000000000000000000000000000009");
}

/// A resource with the key of its owner.
#[derive(Clone, Copy, Debug)]
pub struct Offered<'a> {
    /// The app, dataset or workerpool.
    pub address: Address,
    /// Its owner, who signs the order.
    pub owner: &'a PrivateKeySigner,
}

/// A purchase in which everybody agrees: four orders without restrictions at price 0 are made from it.
#[derive(Clone, Debug)]
pub struct Purchase<'a> {
    /// The app that will run.
    pub app: Offered<'a>,
    /// The dataset it gets, if any.
    pub dataset: Option<Offered<'a>>,
    /// The workerpool that runs it.
    pub workerpool: Offered<'a>,
    /// Who asks and signs the request; also the beneficiary.
    pub requester: &'a PrivateKeySigner,
    /// Tag of all orders.
    pub tag: B256,
    /// Category, 0 (XS) to 4 (XL).
    pub category: u64,
    /// How many tasks.
    pub volume: u64,
    /// Parameters of the deal, a JSON text.
    pub params: String,
    /// Called with the result when the deal is over; zero for none.
    pub callback: Address,
    /// Makes orders distinct that would be equal otherwise: an order is used up with its volume.
    pub salt: B256,
}

impl<'a> Purchase<'a> {
    /// One task of category XS without dataset, callback or parameters.
    pub fn new(app: Offered<'a>, workerpool: Offered<'a>, requester: &'a PrivateKeySigner, tag: B256) -> Self {
        Self {
            app,
            dataset: None,
            workerpool,
            requester,
            tag,
            category: 0,
            volume: 1,
            params: "{}".to_owned(),
            callback: Address::ZERO,
            salt: B256::ZERO,
        }
    }
}

impl Chain {
    /// Signs the four orders and matches them; the requester sends the transaction. Gives the deal id.
    pub async fn buy(&self, purchase: &Purchase<'_>) -> Result<B256, NodeError> {
        let Purchase { tag, salt, .. } = *purchase;
        let (volume, category, trust) = (U256::from(purchase.volume), U256::from(purchase.category), U256::from(1));
        let app = unsigned::AppOrder { app: purchase.app.address, volume, tag, salt, ..Default::default() };
        let app = self.sign_app_order(purchase.app.owner, &app)?;
        let dataset = match purchase.dataset {
            None => DatasetOrder::default(),
            Some(Offered { address: dataset, owner }) => {
                let order = unsigned::DatasetOrder { dataset, volume, tag, salt, ..Default::default() };
                self.sign_dataset_order(owner, &order)?
            }
        };
        let workerpool = unsigned::WorkerpoolOrder {
            workerpool: purchase.workerpool.address,
            volume,
            tag,
            category,
            trust,
            salt,
            ..Default::default()
        };
        let workerpool = self.sign_workerpool_order(purchase.workerpool.owner, &workerpool)?;
        let request = unsigned::RequestOrder {
            app: app.app,
            dataset: dataset.dataset,
            workerpool: workerpool.workerpool,
            requester: purchase.requester.address(),
            volume,
            tag,
            category,
            trust,
            beneficiary: purchase.requester.address(),
            callback: purchase.callback,
            params: purchase.params.clone(),
            salt,
            ..Default::default()
        };
        let request = self.sign_request_order(purchase.requester, &request)?;
        self.match_orders(purchase.requester, app, dataset, workerpool, request).await
    }

    /// Matches four signed orders into a deal, whose id it gives. Anybody may send this.
    pub async fn match_orders(
        &self,
        sender: &PrivateKeySigner,
        app: AppOrder,
        dataset: DatasetOrder,
        workerpool: WorkerpoolOrder,
        request: RequestOrder,
    ) -> Result<B256, NodeError> {
        let call = Hub::matchOrdersCall { app, dataset, workerpool, request };
        let receipt = self.node.send(sender, self.deployment.hub, &call).await?;
        let matched: Hub::OrdersMatched = event(&receipt, self.deployment.hub, "matchOrders")?;
        Ok(matched.dealid)
    }

    /// A deal; all zero for an unknown id.
    pub async fn deal(&self, id: B256) -> Result<Deal, NodeError> {
        self.node.call(self.deployment.hub, &Hub::viewDealCall { deal: id }).await
    }

    /// Signs an app order as the owner of the app.
    pub fn sign_app_order(&self, owner: &PrivateKeySigner, order: &unsigned::AppOrder) -> Result<AppOrder, NodeError> {
        let sign = self.sign(owner, order)?;
        Ok(AppOrder {
            app: order.app,
            appprice: order.appprice,
            volume: order.volume,
            tag: order.tag,
            datasetrestrict: order.datasetrestrict,
            workerpoolrestrict: order.workerpoolrestrict,
            requesterrestrict: order.requesterrestrict,
            salt: order.salt,
            sign,
        })
    }

    /// Signs a dataset order as the owner of the dataset.
    pub fn sign_dataset_order(
        &self,
        owner: &PrivateKeySigner,
        order: &unsigned::DatasetOrder,
    ) -> Result<DatasetOrder, NodeError> {
        let sign = self.sign(owner, order)?;
        Ok(DatasetOrder {
            dataset: order.dataset,
            datasetprice: order.datasetprice,
            volume: order.volume,
            tag: order.tag,
            apprestrict: order.apprestrict,
            workerpoolrestrict: order.workerpoolrestrict,
            requesterrestrict: order.requesterrestrict,
            salt: order.salt,
            sign,
        })
    }

    /// Signs a workerpool order as the owner of the workerpool.
    pub fn sign_workerpool_order(
        &self,
        owner: &PrivateKeySigner,
        order: &unsigned::WorkerpoolOrder,
    ) -> Result<WorkerpoolOrder, NodeError> {
        let sign = self.sign(owner, order)?;
        Ok(WorkerpoolOrder {
            workerpool: order.workerpool,
            workerpoolprice: order.workerpoolprice,
            volume: order.volume,
            tag: order.tag,
            category: order.category,
            trust: order.trust,
            apprestrict: order.apprestrict,
            datasetrestrict: order.datasetrestrict,
            requesterrestrict: order.requesterrestrict,
            salt: order.salt,
            sign,
        })
    }

    /// Signs a request order as the requester.
    pub fn sign_request_order(
        &self,
        requester: &PrivateKeySigner,
        order: &unsigned::RequestOrder,
    ) -> Result<RequestOrder, NodeError> {
        let sign = self.sign(requester, order)?;
        Ok(RequestOrder {
            app: order.app,
            appmaxprice: order.appmaxprice,
            dataset: order.dataset,
            datasetmaxprice: order.datasetmaxprice,
            workerpool: order.workerpool,
            workerpoolmaxprice: order.workerpoolmaxprice,
            requester: order.requester,
            volume: order.volume,
            tag: order.tag,
            category: order.category,
            trust: order.trust,
            beneficiary: order.beneficiary,
            callback: order.callback,
            params: order.params.clone(),
            salt: order.salt,
            sign,
        })
    }

    fn sign(&self, signer: &PrivateKeySigner, order: &impl SolStruct) -> Result<Bytes, NodeError> {
        let hash = order.eip712_signing_hash(&self.deployment.domain());
        let signature = signer.sign_hash_sync(&hash).map_err(NodeError::Sign)?;
        Ok(Bytes::from(signature.as_bytes()))
    }
}
