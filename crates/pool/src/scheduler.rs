//! The half of the pool that holds the key of its owner: judges deals, authorises its worker, asks the SMS beforehand.

use std::sync::Arc;

use strongroom_protocol::challenge::enclave_challenge_request;
use strongroom_protocol::deal_params::DealParams;
use strongroom_protocol::{AccountSecretName, Address, SecretValue, SigningKey, TaskId};
use tokio::sync::OnceCell;

use crate::cause::{Cause, Failure};
use crate::judge::Offer;
use crate::outside::{Authorization, DealView, OutsideError, Services};

/// Objection of an SMS that the worker's storage token will remove.
const TOKEN_MISSING: &str = "storage-token-missing";

/// The scheduler's half.
pub struct Scheduler {
    /// Key of the owner of the pool's contract.
    pub key: Arc<SigningKey>,
    /// What the pool does.
    pub offer: Offer,
    /// The worker that gets the tasks.
    pub worker: Address,
    /// Whether tasks that failed are claimed after their final deadline.
    pub claims: bool,
    /// Set once the address of the proxy was stored with the SMS.
    pub published: OnceCell<()>,
}

impl Scheduler {
    /// Refuses deals of another framework than the SMS serves, before gas is spent.
    pub(crate) async fn check_framework(&self, view: &DealView, sms: &dyn Services) -> Result<(), OutsideError> {
        let served = sms.framework().await?;
        match view.deal.tag.framework() {
            Some(asked) if asked == served => Ok(()),
            _ => Err(OutsideError::refused(
                Cause::GET_TEE_SERVICES_CONFIGURATION_FAILED,
                format!("the SMS serves {served}, tag {} asks for another framework", view.deal.tag),
            )),
        }
    }

    /// Gets the enclave challenge of a task and signs that our worker may run it with that.
    pub(crate) async fn authorize(&self, task: TaskId, sms: &dyn Services) -> Result<(Address, String), OutsideError> {
        let asked = self.key.sign(enclave_challenge_request(task)).to_string();
        let challenge = sms.challenge(task, asked).await?;
        if challenge.is_zero() {
            return Err(OutsideError::refused(Cause::TEE_PREPARATION_FAILED, "the SMS gave the zero address"));
        }
        let message = strongroom_protocol::challenge::workerpool_authorization(self.worker, task, challenge);
        Ok((challenge, self.key.sign(message).to_string()))
    }

    /// Tells the SMS, once, where results of this pool go.
    pub(crate) async fn publish_proxy(&self, sms: &dyn Services) -> Result<(), OutsideError> {
        let Some(proxy) = &self.offer.proxy else { return Ok(()) };
        let publish = || async {
            let value = SecretValue::new(proxy.as_str().trim_end_matches('/').as_bytes().to_vec())
                .map_err(|error| OutsideError::trouble(&error))?;
            sms.publish(&self.key, AccountSecretName::RESULT_PROXY_URL, &value).await
        };
        self.published.get_or_try_init(publish).await.copied()
    }

    /// Asks the SMS whether it would refuse the session, while that costs nothing but the gas already spent.
    pub(crate) async fn ask_for_objections(
        &self,
        params: &DealParams,
        authorization: &Authorization,
        sms: &dyn Services,
    ) -> Result<(), OutsideError> {
        let mut objections = sms.objections(authorization).await?;
        if params.storage_provider.as_deref() != Some("dropbox") {
            objections.retain(|objection| objection.code != TOKEN_MISSING);
        }
        let Some(first) = objections.first() else { return Ok(()) };
        let cause = cause_of_objection(&first.code);
        Err(OutsideError::Refused(Failure::new(cause, &first.reason)))
    }
}

/// The old word for the reason of a refused session.
fn cause_of_objection(code: &str) -> Cause {
    match code {
        "dataset-key-missing" => Cause::TEE_SESSION_GENERATION_PRE_COMPUTE_GET_DATASET_SECRET_FAILED,
        "result-key-missing" => {
            Cause::TEE_SESSION_GENERATION_POST_COMPUTE_GET_ENCRYPTION_TOKENS_FAILED_EMPTY_BENEFICIARY_KEY
        }
        TOKEN_MISSING => Cause::TEE_SESSION_GENERATION_POST_COMPUTE_GET_STORAGE_TOKENS_FAILED,
        "no-enclave-config" => Cause::TEE_SESSION_GENERATION_APP_COMPUTE_NO_ENCLAVE_CONFIG,
        "invalid-enclave-config" => Cause::TEE_SESSION_GENERATION_APP_COMPUTE_INVALID_ENCLAVE_CONFIG,
        "params-not-understood" => Cause::TEE_SESSION_GENERATION_GET_TASK_DESCRIPTION_FAILED,
        _ => Cause::TEE_SESSION_GENERATION_SECURE_SESSION_GENERATION_FAILED,
    }
}
