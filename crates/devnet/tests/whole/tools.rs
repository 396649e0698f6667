//! What people do, whichever command line they do it with.

use std::path::{Path, PathBuf};

use alloy_primitives::Address;
use serde_json::Value;
use strongroom_oci::Digest;

/// A file that was encrypted, and its key.
pub(crate) struct Encrypted {
    pub(crate) file: PathBuf,
    pub(crate) key: PathBuf,
}

/// One task of an app over a dataset, with the requester's secrets `one` and `two`, its result encrypted.
pub(crate) struct Wanted {
    pub(crate) app: Address,
    pub(crate) dataset: Address,
    pub(crate) argument: &'static str,
}

/// A command line, in the hands of all who take part. What cannot go wrong in the story panics with what was said.
pub(crate) trait Tool {
    /// The developer registers an app whose image is in `layout`.
    fn deploy_app(&self, name: &str, layout: &Path, checksum: Digest) -> Address;
    /// The developer pushes the app's secret.
    fn push_app_secret(&self, app: Address, value: &str);
    /// The developer offers the app, at a price in nRLC.
    fn publish_app(&self, app: Address, price: u64);
    /// The data owner encrypts a file.
    fn encrypt(&self, file: &Path) -> Encrypted;
    /// The data owner uploads and registers an encrypted file.
    fn deploy_dataset(&self, name: &str, file: &Path) -> Address;
    /// The data owner pushes the dataset's key.
    fn push_dataset_key(&self, dataset: Address, key: &Path);
    /// The data owner lets one app use the dataset, at a price in nRLC.
    fn grant(&self, dataset: Address, app: Address, price: u64);
    /// The data owner takes a grant of the dataset back: this signed order.
    fn revoke(&self, dataset: Address, grant: &Value);
    /// The owner of the pool offers tasks, at a price in nRLC.
    fn offer_pool(&self, price: u64, volume: u64);
    /// The requester pays into the account at the hub.
    fn deposit(&self, amount: u64);
    /// The requester pushes a secret.
    fn push_requester_secret(&self, name: &str, value: &str);
    /// The requester makes a key for results and pushes its public half.
    fn push_result_key(&self);
    /// The requester buys a task and waits for its end. Gives its id, or why nothing was bought.
    fn buy(&self, wanted: &Wanted) -> Result<String, String>;
    /// The requester buys a task that the pool gives up. Gives what the requester is told about it.
    fn buy_in_vain(&self, wanted: &Wanted) -> String;
    /// The requester downloads and decrypts a result. Gives the archive.
    fn fetch(&self, task: &str) -> PathBuf;
}
