//! A service in this process, with a standing clock, and the wallets of the published test vectors.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use strongroom_protocol::{Address, B256, SecretValue, SigningKey};
use strongroom_sms::clock::Clock;
use strongroom_sms::config::Config;
use strongroom_sms::service::Service;
use strongroom_sms::vault::Vault;
use strongroom_store::{RootKeySource, StoreConfig};
use tempfile::TempDir;

use super::fake_chain::FakeChain;
use super::raw_http::{Answer, Request};

/// What the standing clock shows in the framework's errors.
pub(crate) const TIMESTAMP: &str = "2026-01-31T12:00:00.000+00:00";

pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) chain: Arc<FakeChain>,
    pub(crate) folder: TempDir,
    service: Option<Service>,
}

impl Running {
    /// Without limits of rate, which tests of other things would run into.
    pub(crate) async fn start() -> Self {
        Self::start_with(|config| config.rate_limit.enabled = false).await
    }

    pub(crate) async fn start_with(adjust: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let chain = Arc::new(FakeChain::default());
        let (service, address) = start_service(folder.path(), &chain, adjust).await;
        Self { address, chain, folder, service: Some(service) }
    }

    /// Stops in good order and starts again on the same files.
    pub(crate) async fn restart(&mut self) {
        self.stop().await;
        self.start_again().await;
    }

    /// Starts a service that was stopped.
    pub(crate) async fn start_again(&mut self) {
        let (service, address) =
            start_service(self.folder.path(), &self.chain, |config| config.rate_limit.enabled = false).await;
        (self.service, self.address) = (Some(service), address);
    }

    pub(crate) async fn stop(&mut self) {
        self.service.take().expect("is running").stop().await;
    }

    pub(crate) fn take_service(&mut self) -> Service {
        self.service.take().expect("is running")
    }

    pub(crate) async fn send(&self, request: &Request) -> Answer {
        request.send(self.address).await
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        self.send(&Request::new("GET", target)).await
    }

    pub(crate) async fn head(&self, target: &str) -> u16 {
        let answer = self.send(&Request::new("HEAD", target)).await;
        assert_eq!(answer.body, "", "HEAD {target}");
        answer.status
    }
}

async fn start_service(
    folder: &Path,
    chain: &Arc<FakeChain>,
    adjust: impl FnOnce(&mut Config),
) -> (Service, SocketAddr) {
    let mut config = Config::default();
    config.server.address = "127.0.0.1".parse().unwrap();
    config.server.port = 0;
    config.admin.backup_folder = folder.join("backup");
    adjust(&mut config);
    let store = StoreConfig { path: folder.join("data/strongroom.db"), chain_id: 1337 };
    let key = folder.join("root.key");
    let vault = Vault::open(store, Arc::new(move || RootKeySource::File(key.clone()))).unwrap();
    let noon = Clock::new(|| "2026-01-31T12:00:00Z".parse().unwrap());
    let service = Service::start(&config, chain.clone(), vault, noon).await.unwrap();
    let address = service.address();
    (service, address)
}

/// The wallets of the test vectors: the key is one byte, 32 times.
pub(crate) fn wallet(byte: u8) -> SigningKey {
    SigningKey::from_bytes(&[byte; 32]).unwrap()
}

pub(crate) fn value(text: &str) -> SecretValue {
    SecretValue::new(text.as_bytes().to_vec()).unwrap()
}

/// The header `Authorization` for a challenge.
pub(crate) fn signed(wallet: &SigningKey, challenge: B256) -> String {
    wallet.sign(challenge).to_string()
}

pub(crate) fn address(text: &str) -> Address {
    text.parse().unwrap()
}

/// The JSON of an error that the framework of the old service made.
pub(crate) fn framework_json(status: u16, reason: &str, path: &str) -> String {
    format!(r#"{{"timestamp":"{TIMESTAMP}","status":{status},"error":"{reason}","path":"{path}"}}"#)
}
