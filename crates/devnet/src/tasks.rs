//! What schedulers and workers do with the tasks of a deal.

use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use serde::Deserialize;
use serde_json::json;

use crate::contracts::{Hub, Task};
use crate::deploy::Chain;
use crate::node::NodeError;

/// The work of one worker on one task, with the keys of those who must sign for it. Any key may play the enclave.
#[derive(Clone, Copy, Debug)]
pub struct Work<'a> {
    /// The task.
    pub task: B256,
    /// The worker, who sends the transaction.
    pub worker: &'a PrivateKeySigner,
    /// The owner of the workerpool when the deal was made, who authorises the worker.
    pub scheduler: &'a PrivateKeySigner,
    /// The key of the enclave, or `None` outside of an enclave.
    pub enclave: Option<&'a PrivateKeySigner>,
    /// Digest of the result.
    pub digest: B256,
}

/// Identifies the task `index` of a deal: keccak256(deal id ‖ index as 32 big-endian bytes).
pub fn task_id(deal: B256, index: u64) -> B256 {
    keccak256([deal.0, U256::from(index).to_be_bytes()].concat())
}

/// The signature with which the owner of a workerpool lets a worker run a task:
/// EIP-191 over keccak256(worker ‖ task ‖ enclave challenge), 65 bytes.
pub fn authorize(
    scheduler: &PrivateKeySigner,
    worker: Address,
    task: B256,
    enclave_challenge: Address,
) -> Result<Bytes, NodeError> {
    sign_message(scheduler, &[worker.as_slice(), task.as_slice(), enclave_challenge.as_slice()])
}

impl Chain {
    /// Makes the task `index` of a deal active; once for each task, by anybody. Gives the task id.
    pub async fn initialize(&self, sender: &PrivateKeySigner, deal: B256, index: u64) -> Result<B256, NodeError> {
        let call = Hub::initializeCall { deal, index: U256::from(index) };
        self.node.send(sender, self.deployment.hub, &call).await?;
        Ok(task_id(deal, index))
    }

    /// A task; all zero for an unknown id and for a task that is not initialised.
    pub async fn task(&self, id: B256) -> Result<Task, NodeError> {
        self.node.call(self.deployment.hub, &Hub::viewTaskCall { task: id }).await
    }

    /// The signatures of the events about a task, oldest first: what happened to it on chain, and how often.
    pub async fn task_events(&self, id: B256) -> Result<Vec<B256>, NodeError> {
        /// What is read of an event.
        #[derive(Debug, Deserialize)]
        struct Log {
            topics: Vec<B256>,
        }
        let filter = json!({ "address": self.deployment.hub, "fromBlock": "earliest", "topics": [null, id] });
        let logs: Vec<Log> = self.node.request("eth_getLogs", (filter,)).await?;
        Ok(logs.into_iter().filter_map(|log| log.topics.first().copied()).collect())
    }

    /// Contributes a result: the task is then revealing.
    pub async fn contribute(&self, work: &Work<'_>) -> Result<(), NodeError> {
        let signed = work.sign()?;
        let call = Hub::contributeCall {
            task: work.task,
            resultHash: signed.result_hash,
            resultSeal: signed.result_seal,
            enclaveChallenge: signed.enclave_challenge,
            enclaveSign: signed.enclave_sign,
            authorizationSign: signed.authorization_sign,
        };
        self.node.send(work.worker, self.deployment.hub, &call).await.map(drop)
    }

    /// Contributes a result and finalises the task, which is then completed. `callback` goes to the callback of the deal;
    /// if there is one, the digest of the work must be keccak256(`callback`).
    pub async fn contribute_and_finalize(
        &self,
        work: &Work<'_>,
        results: Bytes,
        callback: Bytes,
    ) -> Result<(), NodeError> {
        let signed = work.sign()?;
        let call = Hub::contributeAndFinalizeCall {
            task: work.task,
            resultDigest: work.digest,
            results,
            resultsCallback: callback,
            enclaveChallenge: signed.enclave_challenge,
            enclaveSign: signed.enclave_sign,
            authorizationSign: signed.authorization_sign,
        };
        self.node.send(work.worker, self.deployment.hub, &call).await.map(drop)
    }

    /// Gives up a task whose final deadline is past: it is then failed, and the requester gets the money back.
    pub async fn claim(&self, sender: &PrivateKeySigner, task: B256) -> Result<(), NodeError> {
        self.node.send(sender, self.deployment.hub, &Hub::claimCall { task }).await.map(drop)
    }
}

struct SignedWork {
    result_hash: B256,
    result_seal: B256,
    enclave_challenge: Address,
    enclave_sign: Bytes,
    authorization_sign: Bytes,
}

impl Work<'_> {
    fn sign(&self) -> Result<SignedWork, NodeError> {
        let worker = self.worker.address();
        let result_hash = keccak256([self.task.as_slice(), self.digest.as_slice()].concat());
        let result_seal = keccak256([worker.as_slice(), self.task.as_slice(), self.digest.as_slice()].concat());
        let (enclave_challenge, enclave_sign) = match self.enclave {
            None => (Address::ZERO, Bytes::new()),
            Some(enclave) => {
                (enclave.address(), sign_message(enclave, &[result_hash.as_slice(), result_seal.as_slice()])?)
            }
        };
        let authorization_sign = authorize(self.scheduler, worker, self.task, enclave_challenge)?;
        Ok(SignedWork { result_hash, result_seal, enclave_challenge, enclave_sign, authorization_sign })
    }
}

/// EIP-191 over the 32 bytes of keccak256 of the joined parts.
fn sign_message(signer: &PrivateKeySigner, parts: &[&[u8]]) -> Result<Bytes, NodeError> {
    let signature = signer.sign_message_sync(keccak256(parts.concat()).as_slice()).map_err(NodeError::Sign)?;
    Ok(Bytes::from(signature.as_bytes()))
}
