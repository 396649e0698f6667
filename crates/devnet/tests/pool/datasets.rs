//! Datasets as their owner makes them: encrypted, put into the content store, registered, the key left with the service.

use alloy_primitives::{Address, B256, Bytes, U256};
use serde_json::{Value, json};
use strongroom_content::cid::AddAs;
use strongroom_content::dataset::{DatasetKey, encrypt};
use strongroom_devnet::contracts::unsigned;
use strongroom_devnet::market::tag;
use strongroom_devnet::resources::Dataset;
use strongroom_protocol::SecretValue;
use strongroom_protocol::challenge::push_dataset_secret;

use crate::scene::{OWNER, Scene, key, wallet};

/// What orders of lists are good for: for ever.
const UNLIMITED: u64 = (1 << 53) - 1;

/// The key of all datasets here.
pub(crate) fn right_key() -> DatasetKey {
    DatasetKey::from_random([0xda; 32])
}

/// The encrypted file and its checksum. Always the same for the same content, so that what a wrong key makes of it is too.
pub(crate) fn encrypted(content: &[u8]) -> (Vec<u8>, B256) {
    let mut file = Vec::new();
    let checksum = encrypt(&right_key(), [7; 16], content, &mut file).unwrap();
    (file, checksum)
}

impl Scene {
    /// A dataset with which everything is right.
    pub(crate) async fn dataset(&self, name: &str, content: &[u8]) -> Address {
        let (file, checksum) = encrypted(content);
        let dataset = self.register_dataset(name, &file, checksum).await;
        self.push_dataset_key(dataset, &right_key()).await;
        dataset
    }

    /// Puts the file into the content store and registers it with this checksum.
    pub(crate) async fn register_dataset(&self, name: &str, file: &[u8], checksum: B256) -> Address {
        let cid = self.store.files().add(file, AddAs::V0).unwrap();
        let multiaddr = Bytes::from(format!("/ipfs/{cid}").into_bytes());
        let dataset = Dataset { name: name.to_owned(), multiaddr, checksum };
        let _turn = self.buying.lock().await;
        self.network.chain().unwrap().create_dataset(&wallet(OWNER), &dataset).await.unwrap()
    }

    /// Leaves a dataset's key with the service, as its owner.
    pub(crate) async fn push_dataset_key(&self, dataset: Address, dataset_key: &DatasetKey) {
        let text = dataset_key.expose_text().to_string();
        let signed = push_dataset_secret(dataset, &SecretValue::new(text.clone().into_bytes()).unwrap());
        let answer = reqwest::Client::builder()
            .no_proxy()
            .build()
            .unwrap()
            .post(format!("{}/secrets/web3", self.sms.url()))
            .query(&[("secretAddress", dataset.to_string())])
            .header("Authorization", key(OWNER).sign(signed).to_string())
            .header("Content-Type", "text/plain;charset=UTF-8")
            .body(text)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 204);
    }

    /// The owner's order for a list of datasets, in the form of the stock SDK; only for `app`, or for any when that is zero.
    pub(crate) fn order_for_lists(&self, dataset: Address, app: Address) -> Value {
        let order = unsigned::DatasetOrder {
            dataset,
            volume: U256::from(UNLIMITED),
            tag: tag::TDX,
            apprestrict: app,
            ..Default::default()
        };
        let signed = self.network.chain().unwrap().sign_dataset_order(&wallet(OWNER), &order).unwrap();
        json!({
            "dataset": signed.dataset.to_string(),
            "datasetprice": signed.datasetprice.to_string(),
            "volume": signed.volume.to_string(),
            "tag": signed.tag,
            "apprestrict": signed.apprestrict.to_string(),
            "workerpoolrestrict": signed.workerpoolrestrict.to_string(),
            "requesterrestrict": signed.requesterrestrict.to_string(),
            "salt": signed.salt,
            "sign": signed.sign,
        })
    }

    /// Puts a list of one slice with these orders into the content store. Gives the parameters of a deal that names it.
    pub(crate) fn list_of(&self, orders: &[Value]) -> String {
        let slice = self.store.files().add(&serde_json::to_vec(orders).unwrap(), AddAs::V0).unwrap();
        let list = self.store.files().add(&serde_json::to_vec(&[slice.to_string()]).unwrap(), AddAs::V0).unwrap();
        json!({ "bulk_cid": list.to_string() }).to_string()
    }
}
