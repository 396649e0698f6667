//! The half of the pool that holds the worker's key: gets the storage token, opens sessions, says where results are.

use std::sync::Arc;

use strongroom_protocol::address::lower_case;
use strongroom_protocol::deal_params::DealParams;
use strongroom_protocol::{AccountSecretName, SecretValue, SigningKey, TaskId};
use tokio::sync::Mutex;
use url::Url;

use crate::cause::Cause;
use crate::outside::{Authorization, DealView, OutsideError, Services};
use crate::result_place::ResultPlace;

/// The worker's half.
pub struct Worker {
    /// Key of the worker.
    pub key: Arc<SigningKey>,
    /// Where results go.
    pub proxy: Option<Url>,
    /// How often an enclave is started for one task.
    pub attempts: u32,
    /// The token that the SMS was given last: proxies give a worker the same one again and again.
    pub token: Mutex<Option<SecretValue>>,
}

impl Worker {
    /// Signs an authorization, to show that it is used by whom it names.
    pub(crate) fn sign(&self, authorization: &Authorization) -> String {
        self.key.sign(authorization.message()).to_string()
    }

    /// Gets a token for the upload of the result and leaves it with the SMS, from where the enclave gets it. Nothing is needed
    /// when the result goes on chain or to the requester's own storage.
    pub(crate) async fn obtain_token(
        &self,
        view: &DealView,
        params: &DealParams,
        authorization: &Authorization,
        services: &dyn Services,
    ) -> Result<(), OutsideError> {
        let ResultPlace::Proxy(proxy) = self.place_of(view, params)? else { return Ok(()) };
        let token = services.storage_token(proxy, authorization, self.sign(authorization)).await?;
        let mut last = self.token.lock().await;
        if last.as_ref().is_some_and(|last| last.constant_time_eq(&token)) {
            return Ok(());
        }
        services.publish(&self.key, AccountSecretName::RESULT_PROXY_TOKEN, &token).await?;
        *last = Some(token);
        Ok(())
    }

    /// The text that says on chain where the result is.
    pub(crate) async fn result_link(
        &self,
        view: &DealView,
        params: &DealParams,
        task: TaskId,
        services: &dyn Services,
    ) -> Result<String, OutsideError> {
        let proxy = match self.place_of(view, params)? {
            ResultPlace::Callback(callback) => return Ok(link("ethereum", &lower_case(&callback))),
            ResultPlace::Dropbox => return Ok(link("dropbox", &format!("/results/{task}"))),
            ResultPlace::Proxy(proxy) => proxy,
        };
        match services.result_location(proxy, task).await? {
            Some(location) => Ok(link("ipfs", &location)),
            None => Err(OutsideError::refused(
                Cause::RESULT_LINK_MISSING,
                "the enclave delivered a result that the result proxy does not know",
            )),
        }
    }

    fn place_of(&self, view: &DealView, params: &DealParams) -> Result<ResultPlace<'_>, OutsideError> {
        ResultPlace::of(view, params, self.proxy.as_ref()).map_err(OutsideError::Refused)
    }
}

/// Exactly this shape, spaces included: it is what the network's clients read.
fn link(storage: &str, location: &str) -> String {
    format!(r#"{{ "storage": "{storage}", "location": "{location}" }}"#)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_written_as_the_network_writes_them() {
        assert_eq!(link("ipfs", "/ipfs/Qm"), r#"{ "storage": "ipfs", "location": "/ipfs/Qm" }"#);
    }
}
