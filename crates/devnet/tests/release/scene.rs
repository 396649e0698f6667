//! The service in this process, simulated enclaves, and everybody who takes part.

use std::collections::BTreeMap;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::{Address, B256, FixedBytes};
use serde_json::{Value, json};
use strongroom_attest::measurement::{ApprovedImage, ApprovedImages};
use strongroom_attest::{Endorsements, Evidence, EvidenceKind, Policy, TrustDomain};
use strongroom_client::{EvidenceSource, Patience, Pinned, ReleaseError, Released, Service as Client};
use strongroom_devnet::enclave::SimulatedEnclave;
use strongroom_devnet::sdk::SdkVersion;
use strongroom_devnet::sms::Sms;
use strongroom_protocol::challenge::{enclave_challenge_request, workerpool_authorization};
use strongroom_protocol::record::Outcome;
use strongroom_protocol::release::ReleaseRequest;
use strongroom_protocol::sealing::EnclaveKeyPair;
use strongroom_protocol::transcript::{Nonce, Transcript};
use strongroom_protocol::{
    AccountSecretName, SecretId, SecretValue, Session, SessionId, Signature, SigningKey, TaskId, UnixSeconds,
};
use strongroom_simulator::{IntelMachine, Simulator, TdxMeasured};
use strongroom_sms::clock::Clock;
use strongroom_sms::config::Config;
use strongroom_sms::owners::{BoxFuture, CheckedChain};
use strongroom_sms::release::ReleaseSettings;
use strongroom_sms::release::attestation::{Attestation, FindEndorsements};
use strongroom_sms::release::bulk::{FetchContent, FetchError};
use strongroom_sms::release::provision::Provisioner;
use strongroom_sms::service::Service;
use strongroom_sms::vault::Vault;
use strongroom_store::{RootKeySource, Store, StoreConfig};

use crate::ground::{Bought, Ground, OWNER, REQUESTER, SCHEDULER, WORKER, chance, key, wallet};
use crate::support;

pub(crate) const APP_SECRET: &str = "the developer's";
pub(crate) const REQUESTER_SECRETS: [(&str, &str); 2] = [("one", "the buyer's first"), ("two", "the buyer's second")];
pub(crate) const DATASET_KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
pub(crate) const BIG_SECRET_BYTES: usize = 3_000_000;

/// A session and the authorization it was made with.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) id: SessionId,
    pub(crate) challenge: Address,
    pub(crate) authorization: Signature,
}

/// A refused session.
#[derive(Debug)]
pub(crate) struct RefusedSession {
    pub(crate) status: u16,
    pub(crate) body: String,
    pub(crate) reason: String,
}

/// How a service differs from the usual one.
pub(crate) struct Setting {
    /// How far its clock runs ahead.
    pub(crate) ahead: Duration,
    /// Nodes, instead of the network's.
    pub(crate) endpoints: Vec<String>,
    /// How many of them must agree.
    pub(crate) quorum: usize,
    pub(crate) policy: Policy,
    /// What an IPFS gateway has, by id.
    pub(crate) content: BTreeMap<String, Vec<u8>>,
}

impl Default for Setting {
    fn default() -> Self {
        let policy = Policy::development("simulator");
        Self { ahead: Duration::ZERO, endpoints: Vec::new(), quorum: 1, policy, content: BTreeMap::new() }
    }
}

/// One service on the shared ground, with a store of its own.
pub(crate) struct Scene {
    pub(crate) ground: Arc<Ground>,
    pub(crate) url: String,
    public_url: String,
    store: Store,
    folder: Arc<tempfile::TempDir>,
    _runs: Runs,
}

/// What serves until the scene ends.
enum Runs {
    Here(#[expect(dead_code, reason = "held to be dropped")] Service, tokio::task::JoinHandle<()>),
    Elsewhere,
}

impl Drop for Runs {
    fn drop(&mut self) {
        if let Self::Here(_, chain_watch) = self {
            chain_watch.abort();
        }
    }
}

struct Gateway(BTreeMap<String, Vec<u8>>);

impl FetchContent for Gateway {
    fn fetch<'a>(&'a self, id: &'a str, _limit: usize) -> BoxFuture<'a, Result<Vec<u8>, FetchError>> {
        Box::pin(async move { self.0.get(id).cloned().ok_or(FetchError::Status(404)) })
    }
}

struct Simulated(Arc<Endorsements>);

impl FindEndorsements for Simulated {
    fn find(&self, evidence: &Evidence, _now: UnixSeconds) -> Option<Arc<Endorsements>> {
        (evidence.kind() == EvidenceKind::Tdx).then(|| Arc::clone(&self.0))
    }
}

pub(crate) fn simulator() -> Simulator {
    Simulator::from_seed([7; 32])
}

pub(crate) fn now() -> UnixSeconds {
    UnixSeconds(u64::try_from(jiff::Timestamp::now().as_second()).unwrap())
}

fn approved(measured: &TdxMeasured) -> ApprovedImages {
    let [rtmr0, rtmr1, rtmr2, _] = measured.log.registers().map(FixedBytes::from);
    let mrtd = FixedBytes::from(measured.mrtd);
    let image = ApprovedImage { name: "simulated".into(), mrtd, rtmr0: [rtmr0].into(), rtmr1, rtmr2 };
    [image].into_iter().collect()
}

impl Scene {
    pub(crate) async fn new() -> Self {
        Self::with(Setting::default()).await
    }

    pub(crate) async fn with(setting: Setting) -> Self {
        Self::on(Ground::shared().await, Arc::new(tempfile::tempdir().unwrap()), setting).await
    }

    /// A second service on the same store.
    pub(crate) async fn beside(&self, setting: Setting) -> Self {
        Self::on(Arc::clone(&self.ground), Arc::clone(&self.folder), setting).await
    }

    async fn on(ground: Arc<Ground>, folder: Arc<tempfile::TempDir>, setting: Setting) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let deployment = *ground.devnet.deployment();
        let mut config = Config::default();
        config.server.address = "127.0.0.1".parse().unwrap();
        config.server.port = 0;
        config.chain.id = deployment.chain_id.try_into().unwrap();
        config.rate_limit.enabled = false;
        let mut chain_config = strongroom_poco::ChainConfig::new(
            ground.devnet.rpc_url().parse().unwrap(),
            deployment.chain_id,
            deployment.hub,
        );
        chain_config.head_refresh = Duration::from_millis(50);
        if !setting.endpoints.is_empty() {
            chain_config.endpoints = setting.endpoints.iter().map(|url| url.parse().unwrap()).collect();
            chain_config.quorum = setting.quorum.try_into().unwrap();
            chain_config.retries = 0;
        }
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
        let domain = TrustDomain::Development("simulator".into());
        store.settle_trust_domain(&domain).await.unwrap();
        let attestation = Attestation::new(
            simulator.anchors(),
            setting.policy,
            approved(&TdxMeasured::default()),
            Box::new(Simulated(Arc::new(simulator.endorsements(EvidenceKind::Tdx, now())))),
            2,
        );
        let settings = ReleaseSettings {
            hub: deployment.hub,
            tasks: owners.clone(),
            attestation,
            content: Arc::new(Gateway(setting.content)),
            provisioner: Provisioner::Attested("http://sms.invalid".parse().unwrap()),
            trust_domain: domain,
        };
        let ahead = jiff::SignedDuration::try_from(setting.ahead).unwrap();
        let clock = Clock::new(move || jiff::Timestamp::now() + ahead);
        let service = Service::start_with(&config, owners, vault, clock, Some(settings)).await.unwrap();
        let url = format!("http://{}", service.address());
        let public_url = "http://sms.invalid/".to_owned();
        let scene = Self { ground, url, public_url, store, folder, _runs: Runs::Here(service, chain_watch) };
        scene.until_ready().await;
        scene
    }

    /// Around a service that runs as a program of its own, with its store in `folder`.
    pub(crate) fn around(ground: Arc<Ground>, folder: Arc<tempfile::TempDir>, sms: &Sms) -> Self {
        let chain_id = ground.devnet.deployment().chain_id;
        let store_config = StoreConfig { path: sms.options().database(), chain_id };
        let store = Store::open(&store_config, RootKeySource::File(sms.options().root_key_file())).unwrap();
        let (url, public_url) = (sms.url().to_owned(), format!("{}/", sms.url()));
        Self { ground, url, public_url, store, folder, _runs: Runs::Elsewhere }
    }

    /// After the program was started again.
    pub(crate) fn moved_to(&mut self, url: &str) {
        (self.url, self.public_url) = (url.to_owned(), format!("{url}/"));
    }

    /// Where the service's files are.
    pub(crate) fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }

    /// Until the chain was checked: an existence check needs no chain, an identity neither, so health is asked.
    async fn until_ready(&self) {
        let http = http();
        for _ in 0..600 {
            if http.get(format!("{}/actuator/health", self.url)).send().await.unwrap().status().is_success() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the service is not healthy after half a minute");
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// By the stock SDK; the worker's token as the stock worker pushes it.
    pub(crate) fn push_secrets_with_the_sdk(&self) {
        tokio::task::block_in_place(|| {
            let sdk = support::sdk();
            let context = |index: usize| support::context(&self.ground.devnet, Some(&self.url), &wallet(index));
            let mut owner = sdk.session(SdkVersion::V9, &context(OWNER)).unwrap();
            owner.push_app_secret(self.ground.app, APP_SECRET).unwrap();
            owner.push_dataset_secret(self.ground.dataset, DATASET_KEY).unwrap();
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
        let answer = http()
            .post(format!("{}/secrets/web2", self.url))
            .query(&[("ownerAddress", worker.address().to_string()), ("secretName", name.to_owned())])
            .header("Authorization", worker.sign(challenge).to_string())
            .body(token)
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 204);
    }

    /// The same secrets straight into the store, for tests that are about something else.
    pub(crate) async fn store_secrets(&self) {
        self.store_these([
            APP_SECRET,
            DATASET_KEY,
            REQUESTER_SECRETS[0].1,
            REQUESTER_SECRETS[1].1,
            "not so big",
            "token",
        ])
        .await;
    }

    /// Secrets of app, dataset, the three of the requester, and the worker's token.
    pub(crate) async fn store_these(&self, [app, dataset, one, two, big, token]: [&str; 6]) {
        let requester = key(REQUESTER).address();
        let requesters = |name: &str| SecretId::Requester { owner: requester, name: name.parse().unwrap() };
        let name = AccountSecretName::RESULT_PROXY_TOKEN.parse().unwrap();
        for (id, value) in [
            (SecretId::App(self.ground.app), app),
            (SecretId::Dataset(self.ground.dataset), dataset),
            (requesters("one"), one),
            (requesters("two"), two),
            (requesters("big"), big),
            (SecretId::Account { owner: key(WORKER).address(), name }, token),
        ] {
            let signature = key(OWNER).sign(chance());
            self.store.insert(id, SecretValue::new(value.into()).unwrap(), signature).await.unwrap();
        }
    }

    /// Status and body of the answer to a scheduler who asks for the challenge.
    pub(crate) async fn ask_challenge(&self, task: TaskId) -> (u16, String) {
        let answer = http()
            .post(format!("{}/tee/challenges/{task}", self.url))
            .header("Authorization", key(SCHEDULER).sign(enclave_challenge_request(task)).to_string())
            .send()
            .await
            .unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    pub(crate) async fn challenge(&self, bought: &Bought) -> Address {
        let (status, challenge) = self.ask_challenge(bought.task).await;
        assert_eq!(status, 200);
        challenge.parse().unwrap()
    }

    /// As the stock scheduler and worker ask.
    pub(crate) async fn session(&self, bought: &Bought) -> Result<Held, RefusedSession> {
        self.session_signed(bought, &key(SCHEDULER), &key(WORKER)).await
    }

    /// A session for [`WORKER`] that these two signed for.
    pub(crate) async fn session_signed(
        &self,
        bought: &Bought,
        pool: &SigningKey,
        asks: &SigningKey,
    ) -> Result<Held, RefusedSession> {
        let worker = key(WORKER).address();
        let challenge = self.challenge(bought).await;
        let authorization = workerpool_authorization(worker, bought.task, challenge);
        let pool_signature = pool.sign(authorization);
        let body = json!({
            "chainTaskId": bought.task.to_string(),
            "dealId": B256::ZERO.to_string(),
            "taskIndex": 0,
            "workerWallet": strongroom_protocol::address::lower_case(&worker),
            "enclaveChallenge": strongroom_protocol::address::lower_case(&challenge),
            "signature": { "value": pool_signature.to_string() },
        });
        let answer = http()
            .post(format!("{}/tee/sessions", self.url))
            .header("Authorization", asks.sign(authorization).to_string())
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
        let answer: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(answer["data"]["secretProvisioningUrl"], self.public_url.as_str());
        let id = answer["data"]["sessionId"].as_str().unwrap().parse().unwrap();
        Ok(Held { id, challenge, authorization: pool_signature })
    }

    /// A session that no check has seen, put straight into the store: what a release must not rely on.
    pub(crate) async fn unchecked_session(&self, bought: &Bought, change: impl FnOnce(&mut Session)) -> Held {
        let (worker, challenge) = (key(WORKER).address(), self.challenge(bought).await);
        let authorization = key(SCHEDULER).sign(workerpool_authorization(worker, bought.task, challenge));
        let mut session = Session {
            id: SessionId::from_random([7; 10], bought.task),
            worker,
            enclave_challenge: challenge,
            pool_signature: authorization,
            expires: UnixSeconds(now().0 + 3_600),
        };
        change(&mut session);
        let id = session.id;
        self.store.put_session(session).await.unwrap();
        Held { id, challenge, authorization }
    }

    /// Status and body of an explanation of the session that a worker would ask for, as the account sees it.
    pub(crate) async fn explain(&self, bought: &Bought, account: Option<usize>) -> (u16, Value) {
        let (scheduler, worker) = (key(SCHEDULER), key(WORKER));
        let challenge = self.challenge(bought).await;
        let signature = scheduler.sign(workerpool_authorization(worker.address(), bought.task, challenge));
        let body = json!({
            "chainTaskId": bought.task.to_string(),
            "workerWallet": worker.address().to_string(),
            "enclaveChallenge": challenge.to_string(),
            "signature": { "value": signature.to_string() },
        });
        self.ask_explanation(bought, account, &body).await
    }

    /// Status and body of an explanation of this release, as the account sees it.
    pub(crate) async fn explain_release(
        &self,
        bought: &Bought,
        account: Option<usize>,
        request: &ReleaseRequest,
    ) -> (u16, Value) {
        self.ask_explanation(bought, account, &json!({ "release": request })).await
    }

    async fn ask_explanation(&self, bought: &Bought, account: Option<usize>, body: &Value) -> (u16, Value) {
        let mut request = http().post(format!("{}/v1/explain", self.url)).json(body);
        if let Some(account) = account {
            request = request.header("Authorization", self.may_read(bought, account));
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// The header that lets an account read what concerns the task.
    fn may_read(&self, bought: &Bought, account: usize) -> String {
        let time = now();
        let challenge = strongroom_protocol::challenge::read_journal(self.pinned(), bought.task, time);
        format!("Strongroom {time} {}", key(account).sign(challenge))
    }

    /// Status and body of the journal as the account sees it.
    pub(crate) async fn journal(&self, bought: &Bought, account: usize) -> (u16, Value) {
        let request = http().get(format!("{}/v1/journal/{}", self.url, bought.task));
        let answer = request.header("Authorization", self.may_read(bought, account)).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// The outcomes of the task's journal, in order: `granted` or the code.
    pub(crate) async fn outcomes(&self, bought: &Bought) -> Vec<String> {
        let records = self.store.journal(bought.task).await.unwrap();
        let outcome = |outcome| match outcome {
            Outcome::Granted(_) => "granted".to_owned(),
            Outcome::Refused(code) => code,
        };
        records.into_iter().map(|record| outcome(record.outcome)).collect()
    }

    /// An approved guest that measured the app's image.
    pub(crate) fn enclave(image: B256) -> SimulatedEnclave {
        Self::enclave_on(IntelMachine::default(), TdxMeasured::default(), image)
    }

    /// A guest image that nobody approved.
    pub(crate) fn unapproved_enclave(image: B256) -> SimulatedEnclave {
        Self::enclave_on(IntelMachine::default(), TdxMeasured { mrtd: [9; 48], ..TdxMeasured::default() }, image)
    }

    /// An approved image in debug mode.
    pub(crate) fn debug_enclave(image: B256) -> SimulatedEnclave {
        let measured = TdxMeasured::default();
        let attributes = measured.attributes | 1;
        Self::enclave_on(IntelMachine::default(), TdxMeasured { attributes, ..measured }, image)
    }

    /// An approved image on a machine whose microcode is one level behind.
    pub(crate) fn outdated_enclave(image: B256) -> SimulatedEnclave {
        let mut machine = IntelMachine::default();
        machine.cpu_svn[0] -= 1;
        Self::enclave_on(machine, TdxMeasured::default(), image)
    }

    fn enclave_on(machine: IntelMachine, measured: TdxMeasured, image: B256) -> SimulatedEnclave {
        SimulatedEnclave::start(simulator(), machine, measured, image).unwrap()
    }

    pub(crate) fn pinned(&self) -> Pinned {
        let deployment = self.ground.devnet.deployment();
        let sms = tokio::task::block_in_place(|| {
            let client = self.client();
            tokio::runtime::Handle::current().block_on(client.identity()).unwrap().key_id.parse().unwrap()
        });
        Pinned { chain_id: deployment.chain_id, hub: deployment.hub, sms }
    }

    pub(crate) fn client(&self) -> Client {
        let _ = rustls::crypto::ring::default_provider().install_default();
        Client::new(self.url.parse().unwrap()).unwrap()
    }

    /// A release in this process, as the guest makes it.
    pub(crate) async fn release(&self, held: &Held, enclave: &SimulatedEnclave) -> Result<Released, ReleaseError> {
        let source = EvidenceSource::Dstack(enclave.socket().to_owned());
        let mut random = hpke::rand_core::UnwrapErr(getrandom::SysRng);
        let patience = Patience { attempts: 1, ..Patience::default() };
        strongroom_client::release(&self.client(), self.pinned(), held.id, &source, patience, &mut random).await
    }

    pub(crate) async fn nonce(&self) -> Nonce {
        let text = self.client().challenge().await.unwrap().nonce;
        Nonce(text.parse::<B256>().unwrap().0)
    }

    /// A request for the secrets of `session`, with evidence over `evidenced`.
    pub(crate) async fn request(
        &self,
        session: SessionId,
        evidenced: &Transcript,
        enclave: &SimulatedEnclave,
    ) -> ReleaseRequest {
        use base64::Engine as _;
        let source = EvidenceSource::Dstack(enclave.socket().to_owned());
        let evidence = source.evidence(evidenced.report_data()).await.unwrap();
        ReleaseRequest {
            session: session.to_string(),
            nonce: B256::from(evidenced.nonce.0).to_string(),
            kind: evidence.kind.to_owned(),
            evidence: base64::engine::general_purpose::STANDARD.encode(&evidence.document),
            event_log: evidence.event_log,
            public_key: B256::from(*evidenced.key.as_bytes()).to_string(),
        }
    }

    /// What a request of `session` with a new key and nonce is bound to.
    pub(crate) async fn transcript(&self, session: SessionId) -> Transcript {
        self.transcript_and_keys(session).await.0
    }

    pub(crate) async fn transcript_and_keys(&self, session: SessionId) -> (Transcript, EnclaveKeyPair) {
        let keys = EnclaveKeyPair::generate(&mut hpke::rand_core::UnwrapErr(getrandom::SysRng));
        let (nonce, deployment, key) = (self.nonce().await, self.pinned(), keys.public());
        (Transcript { nonce, deployment, session, key }, keys)
    }

    /// The real guest program, running `script` as the app.
    pub(crate) fn guest(&self, held: &Held, enclave: &SimulatedEnclave, script: &str) -> Output {
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
            .env("STRONGROOM_EVIDENCE_SOCKET", enclave.socket());
        tokio::task::block_in_place(|| guest.output().unwrap())
    }
}

pub(crate) fn http() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}
