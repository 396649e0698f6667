//! Which stored secrets a task involves. The caller looks these up, and nothing else, before it asks for a decision.

use alloy_primitives::Address;
use strongroom_protocol::deal_params::DealParams;
use strongroom_protocol::multiaddr::location_text;
use strongroom_protocol::snapshot::{BulkDataset, Dataset, TaskSnapshot};
use strongroom_protocol::{AccountSecretName, SecretId};

const DROPBOX: &str = "dropbox";

/// One stored secret that a task involves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// The developer's secret of the app. The only one that may be absent.
    AppSecret(SecretId),
    /// The key of the deal's dataset.
    DatasetKey(SecretId),
    /// The key of a dataset of the bulk slice.
    BulkKey {
        /// Its place in the slice, from 1 on.
        number: usize,
        /// The key.
        id: SecretId,
    },
    /// The requester's secret that the deal puts at this index.
    RequesterSecret {
        /// Index text of the deal.
        index: String,
        /// The secret.
        id: SecretId,
    },
    /// The beneficiary's key for an encrypted result.
    ResultKey(SecretId),
    /// A token to upload the result: the first of these that exists.
    StorageToken(Vec<SecretId>),
    /// Where the pool wants results; absent means nowhere in particular.
    ProxyUrl(SecretId),
}

impl Need {
    /// The secrets this need may be met with, best first.
    pub fn candidates(&self) -> &[SecretId] {
        match self {
            Self::AppSecret(id)
            | Self::DatasetKey(id)
            | Self::BulkKey { id, .. }
            | Self::RequesterSecret { id, .. }
            | Self::ResultKey(id)
            | Self::ProxyUrl(id) => std::slice::from_ref(id),
            Self::StorageToken(ids) => ids,
        }
    }
}

/// Lists what the task of `chain`, with the deal's `params` and the `bulk` slice, run by `worker`, involves. Requester secrets whose name cannot
/// exist are left out; the checks refuse them.
pub fn needs(chain: &TaskSnapshot, params: &DealParams, bulk: &[BulkDataset], worker: Address) -> Vec<Need> {
    let deal = &chain.deal;
    let mut needs = vec![Need::AppSecret(SecretId::App(deal.app.address))];
    if let Some(dataset) = fetched_dataset(chain) {
        needs.push(Need::DatasetKey(SecretId::Dataset(dataset.address)));
    }
    let bulk_key = |(number, order): (_, &BulkDataset)| Need::BulkKey { number, id: SecretId::Dataset(order.address) };
    needs.extend((1..).zip(bulk).map(bulk_key));
    for (index, name) in &params.secrets {
        if let Ok(name) = name.parse() {
            let id = SecretId::Requester { owner: deal.requester, name };
            needs.push(Need::RequesterSecret { index: index.clone(), id });
        }
    }
    if params.result_encryption {
        needs.push(Need::ResultKey(account(deal.beneficiary, AccountSecretName::RESULT_ENCRYPTION_KEY)));
    }
    if deal.callback.is_none() {
        let dropbox = params.storage_provider.as_deref() == Some(DROPBOX);
        needs.push(Need::StorageToken(if dropbox {
            vec![account(deal.requester, AccountSecretName::DROPBOX_TOKEN)]
        } else {
            [worker, deal.requester].map(|owner| account(owner, AccountSecretName::RESULT_PROXY_TOKEN)).to_vec()
        }));
        if params.storage_proxy.is_none() && !dropbox {
            needs.push(Need::ProxyUrl(account(deal.workerpool.owner, AccountSecretName::RESULT_PROXY_URL)));
        }
    }
    needs
}

/// The dataset that pre-compute fetches and opens. One without a location cannot be fetched: for the enclave, as for the old
/// service, there is none.
pub(crate) fn fetched_dataset(chain: &TaskSnapshot) -> Option<&Dataset> {
    chain.dataset.as_ref().filter(|dataset| !location_text(&dataset.multiaddr).trim().is_empty())
}

fn account(owner: Address, name: &str) -> SecretId {
    SecretId::Account { owner, name: name.parse().expect("the reserved names are valid") }
}
