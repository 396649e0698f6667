//! The hashes that owners, workers and workerpool owners sign, byte for byte as the stock clients build them
//! (iexec-sms `AuthorizationService`, SDK `sms/push.js`, iexec-commons-poco `WorkerpoolAuthorization`).
//! Each is 32 bytes and is signed as EIP-191 "personal message" of those 32 raw bytes ([`crate::signature`]).

use alloy_primitives::{Address, B256, Keccak256, keccak256};

use crate::ids::TaskId;
use crate::names::AccountSecretName;
use crate::secret::{SecretId, SecretValue};
use crate::time::UnixSeconds;
use crate::transcript::Deployment;

/// keccak256 of the text `IEXEC_SMS_DOMAIN`: starts every challenge about a secret, so that a signature made for another
/// purpose is never taken for a push.
const DOMAIN: B256 = alloy_primitives::b256!("0a26923d45a019b77e856d0001681f98ab9707ec15b2b98048cc91eed00b6793");

/// The key name under which the old service files the one secret of an app.
const APP_SECRET_KEY: &str = "1";

/// What the owner of an app signs to push its secret: C1 with key `1`.
pub fn push_app_secret(app: Address, value: &SecretValue) -> B256 {
    named_secret(app, APP_SECRET_KEY, value)
}

/// What a requester signs to push the secret called `key`: C1. `key` is the text as sent, before any check of it.
pub fn push_requester_secret(requester: Address, key: &str, value: &SecretValue) -> B256 {
    named_secret(requester, key, value)
}

/// What an account signs to push or replace the secret `name`: C1. `name` is the text as sent, before case folding.
pub fn push_account_secret(owner: Address, name: &str, value: &SecretValue) -> B256 {
    named_secret(owner, name, value)
}

/// What the owner of a dataset signs to push its key: C2 = keccak256(domain ‖ dataset ‖ keccak256(value)), 84 bytes.
pub fn push_dataset_secret(dataset: Address, value: &SecretValue) -> B256 {
    c2(dataset.as_slice(), value)
}

/// The challenge for pushing `value` as `id`, for callers that hold a whole [`SecretId`] (the command line does).
/// Account names are signed as given in `account_name_as_sent`, which must fold to the id's name; else the folded name.
pub fn push(id: &SecretId, account_name_as_sent: Option<&str>, value: &SecretValue) -> B256 {
    match id {
        SecretId::App(app) => push_app_secret(*app, value),
        SecretId::Requester { owner, name } => push_requester_secret(*owner, name.as_str(), value),
        SecretId::Dataset(dataset) => push_dataset_secret(*dataset, value),
        SecretId::Account { owner, name } => {
            let sent = account_name_as_sent.filter(|sent| sent.parse::<AccountSecretName>().as_ref() == Ok(name));
            push_account_secret(*owner, sent.unwrap_or(name.as_str()), value)
        }
    }
}

/// C1 = keccak256(domain ‖ address ‖ keccak256(key) ‖ keccak256(value)), 116 bytes.
fn named_secret(address: Address, key: &str, value: &SecretValue) -> B256 {
    c1(address.as_slice(), key, value)
}

/// C1 over an address of any length: the old service hashed whatever hex it was given, and its golden values do.
fn c1(address: &[u8], key: &str, value: &SecretValue) -> B256 {
    let mut hasher = Keccak256::new();
    hasher.update(DOMAIN);
    hasher.update(address);
    hasher.update(keccak256(key));
    hasher.update(keccak256(value.expose_secret()));
    hasher.finalize()
}

/// C2 over an address of any length, as [`c1`].
fn c2(address: &[u8], value: &SecretValue) -> B256 {
    let mut hasher = Keccak256::new();
    hasher.update(DOMAIN);
    hasher.update(address);
    hasher.update(keccak256(value.expose_secret()));
    hasher.finalize()
}

/// What the workerpool owner signs so that `worker` may run `task` with `enclave_challenge`, and what the worker signs to
/// ask for its session: keccak256(worker ‖ task ‖ enclave challenge), 72 bytes, without domain.
pub fn workerpool_authorization(worker: Address, task: TaskId, enclave_challenge: Address) -> B256 {
    let mut preimage = [0; 72];
    preimage[..20].copy_from_slice(worker.as_slice());
    preimage[20..52].copy_from_slice(task.as_bytes());
    preimage[52..].copy_from_slice(enclave_challenge.as_slice());
    keccak256(preimage)
}

/// What the workerpool owner signs to ask for the enclave challenge of `task`: keccak256(task). It is the authorization
/// with empty worker and empty challenge.
pub fn enclave_challenge_request(task: TaskId) -> B256 {
    keccak256(task.as_bytes())
}

/// What a party of `task` signs to read its journal: keccak256(`strongroom/journal/v1` ‖ chain id (u64, big-endian) ‖ hub ‖
/// service ‖ task ‖ Unix seconds (u64, big-endian)). It serves around that time, at that service only.
pub fn read_journal(deployment: Deployment, task: TaskId, time: UnixSeconds) -> B256 {
    let mut hasher = Keccak256::new();
    hasher.update(b"strongroom/journal/v1");
    hasher.update(deployment.chain_id.to_be_bytes());
    hasher.update(deployment.hub);
    hasher.update(deployment.sms);
    hasher.update(task.as_bytes());
    hasher.update(time.0.to_be_bytes());
    hasher.finalize()
}

#[cfg(test)]
mod tests;
