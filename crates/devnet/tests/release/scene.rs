//! A network, the service in this process, simulated enclaves, and everybody who takes part.

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;

use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::{Address, B256, Bytes, FixedBytes};
use strongroom_attest::measurement::{ApprovedImage, ApprovedImages};
use strongroom_attest::{Endorsements, Evidence, EvidenceKind, Policy, TrustDomain};
use strongroom_client::{EvidenceSource, Patience, Pinned, ReleaseError, Released, Service as Client};
use strongroom_devnet::contracts::Hub;
use strongroom_devnet::market::{Offered, Purchase, tag};
use strongroom_devnet::resources::{App, Dataset};
use strongroom_devnet::sdk::SdkVersion;
use strongroom_devnet::{Devnet, development_accounts};
use strongroom_grant::enclave::APP_IMAGE_EVENT;
use strongroom_protocol::challenge::{enclave_challenge_request, workerpool_authorization};
use strongroom_protocol::{AccountSecretName, SecretValue, SessionId, Signature, SigningKey, TaskId, UnixSeconds};
use strongroom_simulator::agent::{GuestAgent, SimulatedGuest};
use strongroom_simulator::{IntelMachine, Simulator, TdxMeasured};
use strongroom_sms::clock::Clock;
use strongroom_sms::config::Config;
use strongroom_sms::owners::CheckedChain;
use strongroom_sms::release::ReleaseSettings;
use strongroom_sms::release::attestation::{Attestation, FindEndorsements};
use strongroom_sms::service::Service;
use strongroom_sms::vault::Vault;
use strongroom_store::{RootKeySource, Store, StoreConfig};

use crate::support;

pub(crate) const APP_SECRET: &str = "the developer's";
pub(crate) const REQUESTER_SECRETS: [(&str, &str); 2] = [("one", "the buyer's first"), ("two", "the buyer's second")];
pub(crate) const DATASET_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
pub(crate) const BIG_SECRET_BYTES: usize = 3_000_000;
const PARAMS: &str = r#"{"iexec_secrets":{"1":"one","2":"two","3":"big"},"iexec_result_storage_provider":"ipfs"}"#;

/// Accounts of the network by what they do.
const OWNER: usize = 1;
pub(crate) const REQUESTER: usize = 2;
const SCHEDULER: usize = 3;
const WORKER: usize = 4;
pub(crate) const STRANGER: usize = 5;

/// One bought and initialised task.
pub(crate) struct Bought {
    pub(crate) task: TaskId,
    /// Digest of the app's image.
    pub(crate) image: B256,
}

/// A session and the authorization it was made with.
#[derive(Debug)]
pub(crate) struct Held {
    id: SessionId,
    challenge: Address,
    authorization: Signature,
}

/// A refused session.
#[derive(Debug)]
pub(crate) struct RefusedSession {
    pub(crate) status: u16,
    pub(crate) body: String,
    pub(crate) reason: String,
}

/// A running simulated enclave.
pub(crate) struct SimulatedEnclave {
    socket: PathBuf,
    _folder: tempfile::TempDir,
    serving: tokio::task::JoinHandle<()>,
}

impl Drop for SimulatedEnclave {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

pub(crate) struct Scene {
    devnet: Devnet,
    /// Serves until the scene ends.
    _service: Service,
    url: String,
    store: Store,
    app: Address,
    second_app: Address,
    dataset: Address,
    pool: Address,
    chain_watch: tokio::task::JoinHandle<()>,
    _folder: tempfile::TempDir,
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.chain_watch.abort();
    }
}

struct Simulated(Arc<Endorsements>);

impl FindEndorsements for Simulated {
    fn find(&self, evidence: &Evidence, _now: UnixSeconds) -> Option<Arc<Endorsements>> {
        (evidence.kind() == EvidenceKind::Tdx).then(|| Arc::clone(&self.0))
    }
}

fn simulator() -> Simulator {
    Simulator::from_seed([7; 32])
}

fn now() -> UnixSeconds {
    UnixSeconds(u64::try_from(jiff::Timestamp::now().as_second()).unwrap())
}

fn wallet(index: usize) -> PrivateKeySigner {
    development_accounts()[index].signer()
}

fn key(index: usize) -> SigningKey {
    SigningKey::from_bytes(&development_accounts()[index].well_known_key().0).unwrap()
}

fn approved(measured: &TdxMeasured) -> ApprovedImages {
    let [rtmr0, rtmr1, rtmr2, _] = measured.log.registers().map(FixedBytes::from);
    let mrtd = FixedBytes::from(measured.mrtd);
    let image = ApprovedImage { name: "simulated".into(), mrtd, rtmr0: [rtmr0].into(), rtmr1, rtmr2 };
    [image].into_iter().collect()
}

impl Scene {
    pub(crate) async fn new() -> Self {
        let devnet = support::devnet().await;
        let chain = devnet.chain().unwrap();
        let app = chain.create_app(&wallet(OWNER), &App::named("first")).await.unwrap();
        let second_app = chain.create_app(&wallet(OWNER), &App::named("second")).await.unwrap();
        let dataset = chain.create_dataset(&wallet(OWNER), &Dataset::named("data")).await.unwrap();
        let pool = chain.create_workerpool(&wallet(SCHEDULER), "pool").await.unwrap();

        let folder = tempfile::tempdir().unwrap();
        let deployment = *devnet.deployment();
        let config = format!(
            "[server]\naddress = \"127.0.0.1\"\nport = 0\n[chain]\nendpoints = [\"{}\"]\nid = {}\nhub = \"{}\"",
            devnet.rpc_url(),
            deployment.chain_id,
            deployment.hub
        );
        let file = folder.path().join("sms.toml");
        std::fs::write(&file, config).unwrap();
        let config = Config::load(Some(&file), |_| None).unwrap();
        let mut chain_config =
            strongroom_poco::ChainConfig::new(devnet.rpc_url().parse().unwrap(), deployment.chain_id, deployment.hub);
        chain_config.head_refresh = std::time::Duration::from_millis(50);
        let owners = CheckedChain::new(strongroom_poco::Chain::new(chain_config).unwrap());
        let watched = Arc::clone(&owners);
        let chain_watch = tokio::spawn(async move {
            let fatal = watched.watch().await;
            panic!("{fatal}");
        });

        let store_config = StoreConfig { path: folder.path().join("store.db"), chain_id: deployment.chain_id };
        let root_key = folder.path().join("root.key");
        let source = move || RootKeySource::File(root_key.clone());
        let vault = Vault::open(store_config.clone(), Arc::new(source.clone())).unwrap();
        let store = Store::open(&store_config, source()).unwrap();
        let simulator = simulator();
        store.settle_trust_domain(&TrustDomain::Development("simulator".into())).await.unwrap();
        let attestation = Attestation::new(
            simulator.anchors(),
            Policy::development("simulator"),
            approved(&TdxMeasured::default()),
            Box::new(Simulated(Arc::new(simulator.endorsements(EvidenceKind::Tdx, now())))),
            2,
        );
        let settings = ReleaseSettings {
            hub: deployment.hub,
            tasks: owners.clone(),
            attestation,
            public_url: "http://sms.invalid".parse().unwrap(),
            trust_domain: TrustDomain::Development("simulator".into()),
        };
        let clock = Clock::new(jiff::Timestamp::now);
        let service = Service::start_with(&config, owners, vault, clock, Some(settings)).await.unwrap();
        let url = format!("http://{}", service.address());
        let scene = Self {
            devnet,
            _service: service,
            url,
            store,
            app,
            second_app,
            dataset,
            pool,
            chain_watch,
            _folder: folder,
        };
        scene.until_ready().await;
        scene
    }

    /// Until the chain was checked: an existence check needs no chain, an identity neither, so health is asked.
    async fn until_ready(&self) {
        let http = Self::http();
        for _ in 0..600 {
            if http.get(format!("{}/actuator/health", self.url)).send().await.unwrap().status().is_success() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("the service is not healthy after half a minute");
    }

    fn http() -> reqwest::Client {
        let _ = rustls::crypto::ring::default_provider().install_default();
        reqwest::Client::builder().no_proxy().build().unwrap()
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    pub(crate) fn worker() -> Address {
        key(WORKER).address()
    }

    /// By the stock SDK; the worker's token as the stock worker pushes it.
    pub(crate) fn push_secrets(&self) {
        tokio::task::block_in_place(|| {
            let sdk = support::sdk();
            let context = |index: usize| strongroom_devnet::sdk::SdkContext {
                rpc_url: self.devnet.rpc_url().to_owned(),
                deployment: *self.devnet.deployment(),
                sms_url: Some(self.url.clone()),
                wallet: wallet(index),
            };
            let mut owner = sdk.session(SdkVersion::V9, &context(OWNER)).unwrap();
            owner.push_app_secret(self.app, APP_SECRET).unwrap();
            owner.push_dataset_secret(self.dataset, DATASET_KEY).unwrap();
            let mut requester = sdk.session(SdkVersion::V9, &context(REQUESTER)).unwrap();
            for (name, value) in REQUESTER_SECRETS {
                requester.push_requester_secret(name, value).unwrap();
            }
            requester.push_requester_secret("big", &"x".repeat(BIG_SECRET_BYTES)).unwrap();
            tokio::runtime::Handle::current().block_on(self.push_token());
        });
    }

    async fn push_token(&self) {
        let (worker, name, token) = (key(WORKER), AccountSecretName::RESULT_PROXY_TOKEN, "token");
        let value = SecretValue::new(token.into()).unwrap();
        let challenge = strongroom_protocol::challenge::push_account_secret(worker.address(), name, &value);
        let answer = Self::http()
            .post(format!("{}/secrets/web2", self.url))
            .query(&[("ownerAddress", worker.address().to_string()), ("secretName", name.to_owned())])
            .header("Authorization", worker.sign(challenge).to_string())
            .body(token)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 204);
    }

    /// Orders signed by all, matched and initialised on the real contracts.
    pub(crate) async fn buy(&self, app: &str) -> Bought {
        let chain = self.devnet.chain().unwrap();
        let (owner, requester, scheduler) = (wallet(OWNER), wallet(REQUESTER), wallet(SCHEDULER));
        let address = if app == "first" { self.app } else { self.second_app };
        let mut purchase = Purchase::new(
            Offered { address, owner: &owner },
            Offered { address: self.pool, owner: &scheduler },
            &requester,
            tag::TDX,
        );
        purchase.dataset = Some(Offered { address: self.dataset, owner: &owner });
        PARAMS.clone_into(&mut purchase.params);
        purchase.salt = alloy_primitives::keccak256(app);
        let deal = chain.buy(&purchase).await.unwrap();
        let task = chain.initialize(&scheduler, deal, 0).await.unwrap();
        Bought { task: task.into(), image: App::named(app).checksum }
    }

    async fn challenge(&self, bought: &Bought) -> Address {
        let answer = Self::http()
            .post(format!("{}/tee/challenges/{}", self.url, bought.task))
            .header("Authorization", key(SCHEDULER).sign(enclave_challenge_request(bought.task)).to_string())
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
        answer.text().await.unwrap().parse().unwrap()
    }

    /// As the stock scheduler and worker ask.
    pub(crate) async fn session(&self, bought: &Bought) -> Result<Held, RefusedSession> {
        let (scheduler, worker) = (key(SCHEDULER), key(WORKER));
        let challenge = self.challenge(bought).await;
        let authorization = workerpool_authorization(worker.address(), bought.task, challenge);
        let pool_signature = scheduler.sign(authorization);
        let body = serde_json::json!({
            "chainTaskId": bought.task.to_string(),
            "dealId": B256::ZERO.to_string(),
            "taskIndex": 0,
            "workerWallet": strongroom_protocol::address::lower_case(&worker.address()),
            "enclaveChallenge": strongroom_protocol::address::lower_case(&challenge),
            "signature": { "value": pool_signature.to_string() },
        });
        let answer = Self::http()
            .post(format!("{}/tee/sessions", self.url))
            .header("Authorization", worker.sign(authorization).to_string())
            .json(&body)
            .send()
            .await
            .unwrap();
        let status = answer.status().as_u16();
        let reason = answer.headers().get("strongroom-reason").map(|text| text.to_str().unwrap().to_owned());
        let body = answer.text().await.unwrap();
        if status != 200 {
            return Err(RefusedSession { status, body, reason: reason.unwrap_or_default() });
        }
        let answer: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(answer["data"]["secretProvisioningUrl"], "http://sms.invalid/");
        let id = answer["data"]["sessionId"].as_str().unwrap().parse().unwrap();
        Ok(Held { id, challenge, authorization: pool_signature })
    }

    /// Why the task's session would be refused, for a worker that was authorised.
    pub(crate) async fn explain(&self, bought: &Bought) -> serde_json::Value {
        let (scheduler, worker) = (key(SCHEDULER), key(WORKER));
        let challenge = self.challenge(bought).await;
        let signature = scheduler.sign(workerpool_authorization(worker.address(), bought.task, challenge));
        let body = serde_json::json!({
            "chainTaskId": bought.task.to_string(),
            "workerWallet": worker.address().to_string(),
            "enclaveChallenge": challenge.to_string(),
            "signature": { "value": signature.to_string() },
        });
        let answer = Self::http().post(format!("{}/v1/explain", self.url)).json(&body).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.json().await.unwrap()
    }

    /// Status and body of the journal as the account sees it.
    pub(crate) async fn journal(&self, bought: &Bought, account: usize) -> (u16, serde_json::Value) {
        let time = now();
        let signature =
            key(account).sign(strongroom_protocol::challenge::read_journal(self.pinned(), bought.task, time));
        let answer = Self::http()
            .get(format!("{}/v1/journal/{}", self.url, bought.task))
            .header("Authorization", format!("Strongroom {time} {signature}"))
            .send()
            .await
            .unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// An approved guest that measured the app's image.
    pub(crate) fn enclave(image: B256) -> SimulatedEnclave {
        Self::start_enclave(TdxMeasured::default(), image)
    }

    /// A guest image that nobody approved.
    pub(crate) fn unapproved_enclave(image: B256) -> SimulatedEnclave {
        Self::start_enclave(TdxMeasured { mrtd: [9; 48], ..TdxMeasured::default() }, image)
    }

    /// An approved image in debug mode.
    pub(crate) fn debug_enclave(image: B256) -> SimulatedEnclave {
        let measured = TdxMeasured::default();
        let attributes = measured.attributes | 1;
        Self::start_enclave(TdxMeasured { attributes, ..measured }, image)
    }

    fn start_enclave(measured: TdxMeasured, image: B256) -> SimulatedEnclave {
        let guest = SimulatedGuest { image: measured, ..SimulatedGuest::default() };
        let agent = Arc::new(GuestAgent::start(simulator(), IntelMachine::default(), guest));
        // The supervisor plays the hypervisor: it measures the image before the app can say anything.
        agent.emit_event(APP_IMAGE_EVENT, image.as_slice()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("dstack.sock");
        let listener = tokio::net::UnixListener::bind(&socket).unwrap();
        let serving = tokio::spawn(async move {
            strongroom_simulator::agent::serve(listener, agent, std::future::pending()).await.unwrap();
        });
        SimulatedEnclave { socket, _folder: folder, serving }
    }

    fn pinned(&self) -> Pinned {
        let deployment = self.devnet.deployment();
        let sms = tokio::task::block_in_place(|| {
            let client = Client::new(self.url.parse().unwrap()).unwrap();
            tokio::runtime::Handle::current().block_on(client.identity()).unwrap().key_id.parse().unwrap()
        });
        Pinned { chain_id: deployment.chain_id, hub: deployment.hub, sms }
    }

    /// A release in this process, as the guest makes it.
    pub(crate) async fn release(&self, held: &Held, enclave: &SimulatedEnclave) -> Result<Released, ReleaseError> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::new(self.url.parse().unwrap()).unwrap();
        let source = EvidenceSource::Dstack(enclave.socket.clone());
        let mut random = hpke::rand_core::UnwrapErr(getrandom::SysRng);
        strongroom_client::release(&client, self.pinned(), held.id, &source, Patience::default(), &mut random).await
    }

    /// The real guest program, running `script` as the app.
    pub(crate) fn guest(&self, held: &Held, enclave: &SimulatedEnclave, script: &str) -> Output {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let pinned = self.pinned();
        let mut guest = Command::new(support::program("strongroom-guest", "strongroom-guest"));
        guest
            .args(["run", "--", "/bin/sh", "-c", script])
            .env_clear()
            .env("STRONGROOM_SMS_URL", &self.url)
            .env("STRONGROOM_SMS_KEY_ID", pinned.sms.to_string())
            .env("STRONGROOM_CHAIN_ID", pinned.chain_id.to_string())
            .env("STRONGROOM_HUB", pinned.hub.to_string())
            .env("STRONGROOM_SESSION", held.id.to_string())
            .env("STRONGROOM_EVIDENCE_SOCKET", &enclave.socket);
        tokio::task::block_in_place(|| guest.output().unwrap())
    }

    /// The worker contributes on chain what the enclave signed.
    pub(crate) async fn contribute(&self, bought: &Bought, held: &Held, digest: B256, enclave_sign: Signature) {
        use strongroom_protocol::contribution::{result_hash, result_seal};
        let chain = self.devnet.chain().unwrap();
        let call = Hub::contributeCall {
            task: bought.task.into(),
            resultHash: result_hash(bought.task, digest),
            resultSeal: result_seal(Self::worker(), bought.task, digest),
            enclaveChallenge: held.challenge,
            enclaveSign: Bytes::from(enclave_sign.to_bytes().to_vec()),
            authorizationSign: Bytes::from(held.authorization.to_bytes().to_vec()),
        };
        chain.node.send(&wallet(WORKER), self.devnet.deployment().hub, &call).await.unwrap();
    }

    /// The task's status number on chain.
    pub(crate) async fn status(&self, task: TaskId) -> u8 {
        self.devnet.chain().unwrap().task(task.into()).await.unwrap().status
    }
}
