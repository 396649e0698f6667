//! A bought task with any number of sessions, and requests for their secrets with quotes that the simulator made before.

use std::thread;
use std::time::Duration;

use alloy_primitives::{Address, B256, keccak256};
use anyhow::Context;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::{StreamExt, TryStreamExt, stream};
use hpke::rand_core::UnwrapErr;
use strongroom_devnet::market::{Offered, Purchase, tag};
use strongroom_devnet::resources::App;
use strongroom_devnet::simulated::SimulatedTrust;
use strongroom_devnet::sms::Sms;
use strongroom_devnet::{Devnet, development_accounts};
use strongroom_grant::enclave::APP_IMAGE_EVENT;
use strongroom_protocol::challenge::{enclave_challenge_request, workerpool_authorization};
use strongroom_protocol::release::{ChallengeAnswer, IdentityAnswer, ReleaseRequest};
use strongroom_protocol::sealing::EnclaveKeyPair;
use strongroom_protocol::transcript::{Deployment, Nonce, Transcript};
use strongroom_protocol::{
    AccountSecretName, SecretId, SecretValue, Session, SessionId, SigningKey, TaskId, UnixSeconds,
};
use strongroom_simulator::agent::{GuestAgent, SimulatedGuest};
use strongroom_simulator::{IntelMachine, Simulator, TdxMeasured};
use strongroom_store::{RootKeySource, Store, StoreConfig};
use tempfile::TempDir;

use super::{Ours, quiet_network};

/// Everything that is made before the clock starts runs so often at once.
const AT_ONCE: usize = 64;
/// One secret of the app and one of the requester, of this length.
const VALUE_BYTES: usize = 64;

/// A service that believes the simulator, and a task whose secrets it releases.
pub(crate) struct Task {
    pub(crate) sms: Sms,
    agent: GuestAgent,
    store: Store,
    http: reqwest::Client,
    deployment: Deployment,
    id: TaskId,
    challenge: Address,
    scheduler: SigningKey,
    sessions: u64,
    _network: Devnet,
    _folder: TempDir,
}

impl Task {
    pub(crate) async fn start(ours: &Ours) -> anyhow::Result<Self> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let network = quiet_network().await?;
        let folder = ours.folder()?;
        let (simulator, measured) = (|| Simulator::from_seed([7; 32]), TdxMeasured::default());
        let trust = SimulatedTrust::write(folder.path(), &simulator(), &[("simulated", &measured)], now())?;
        let mut options = ours.options(folder.path())?;
        options.simulated = Some(trust);
        let sms = Sms::start(&network, options)?;

        let [_, owner, requester, scheduler, ..] = development_accounts();
        let chain = network.chain()?;
        let app = App::named("load");
        let address = chain.create_app(&owner.signer(), &app).await?;
        let pool = chain.create_workerpool(&scheduler.signer(), "load").await?;
        let (owner_wallet, pool_wallet, buyer) = (owner.signer(), scheduler.signer(), requester.signer());
        let offered = Offered { address, owner: &owner_wallet };
        let mut purchase = Purchase::new(offered, Offered { address: pool, owner: &pool_wallet }, &buyer, tag::TDX);
        r#"{"iexec_secrets":{"1":"load"}}"#.clone_into(&mut purchase.params);
        let deal = chain.buy(&purchase).await?;
        let task = TaskId::from(chain.initialize(&pool_wallet, deal, 0).await?);

        let config = StoreConfig { path: sms.options().database(), chain_id: network.deployment().chain_id };
        let store = Store::open(&config, RootKeySource::File(sms.options().root_key_file()))?;
        let scheduler = SigningKey::from_bytes(&scheduler.well_known_key().0).context("a published key is a key")?;
        for id in [
            SecretId::App(address),
            SecretId::Requester { owner: requester.address, name: "load".parse()? },
            SecretId::Account { owner: requester.address, name: AccountSecretName::RESULT_PROXY_TOKEN.parse()? },
        ] {
            let value = SecretValue::new(vec![b'v'; VALUE_BYTES]).context("the value is too long")?;
            store.insert(id, value, scheduler.sign(keccak256("load"))).await?;
        }

        let http = reqwest::Client::builder().no_proxy().build()?;
        let identity: IdentityAnswer = http.get(format!("{}/v1/identity", sms.url())).send().await?.json().await?;
        let deployment =
            Deployment { chain_id: identity.chain_id, hub: identity.hub.parse()?, sms: identity.key_id.parse()? };
        let asks = scheduler.sign(enclave_challenge_request(task)).to_string();
        let challenge = http.post(format!("{}/tee/challenges/{task}", sms.url())).header("Authorization", asks);
        let challenge = challenge.send().await?.error_for_status()?.text().await?.parse()?;

        let guest = SimulatedGuest { image: measured, ..SimulatedGuest::default() };
        let agent = GuestAgent::start(simulator(), IntelMachine::default(), guest);
        agent.emit_event(APP_IMAGE_EVENT, app.checksum.as_slice())?;
        let sessions = 0;
        Ok(Self {
            sms,
            agent,
            store,
            http,
            deployment,
            id: task,
            challenge,
            scheduler,
            sessions,
            _network: network,
            _folder: folder,
        })
    }

    /// How many releases are recorded, after the whole journal was checked.
    pub(crate) async fn recorded(&self) -> anyhow::Result<u64> {
        Ok(self.store.verify_journal().await?.0)
    }

    /// Requests for the secrets of as many new sessions, each with a nonce of its own and a quote made for it. They serve for
    /// two minutes. What the service does for sessions is not measured, so they are put straight into its store.
    pub(crate) async fn requests(&mut self, count: usize) -> anyhow::Result<Vec<ReleaseRequest>> {
        let first = self.sessions;
        self.sessions += u64::try_from(count)?;
        let numbers = first..self.sessions;
        let sessions = stream::iter(numbers.map(|number| self.session(number)));
        let put = |session: Session| async {
            let id = session.id;
            self.store.put_session(session).await.map(|()| id)
        };
        let sessions: Vec<SessionId> = sessions.map(put).buffer_unordered(1024).try_collect().await?;
        let nonces = stream::iter(0..count).map(|_| self.nonce());
        let nonces: Vec<Nonce> = nonces.buffer_unordered(AT_ONCE).try_collect().await?;
        let asked: Vec<_> = sessions.into_iter().zip(nonces).collect();
        let quote = |asked: &[(SessionId, Nonce)]| -> anyhow::Result<Vec<ReleaseRequest>> {
            asked.iter().map(|(session, nonce)| self.request(*session, *nonce)).collect()
        };
        let (one, other) = asked.split_at(count / 2);
        thread::scope(|scope| {
            let second_half = scope.spawn(|| quote(other));
            let mut all = quote(one)?;
            all.extend(second_half.join().map_err(|_| anyhow::anyhow!("making quotes panicked"))??);
            Ok(all)
        })
    }

    /// Each for another worker: a task has one session for each.
    fn session(&self, number: u64) -> Session {
        let worker = Address::from_word(keccak256(number.to_be_bytes()));
        let authorization = workerpool_authorization(worker, self.id, self.challenge);
        let mut random = [0; 10];
        // An id has 62 letters for each byte.
        let mut rest = number;
        for byte in &mut random {
            *byte = u8::try_from(rest % 62).unwrap_or_default();
            rest /= 62;
        }
        Session {
            id: SessionId::from_random(random, self.id),
            worker,
            enclave_challenge: self.challenge,
            pool_signature: self.scheduler.sign(authorization),
            expires: UnixSeconds(now().0 + 3_000),
        }
    }

    async fn nonce(&self) -> anyhow::Result<Nonce> {
        let url = format!("{}/v1/challenges", self.sms.url());
        let answer = self.http.post(url).timeout(Duration::from_secs(30)).send().await?.error_for_status()?;
        let answer: ChallengeAnswer = answer.json().await?;
        Ok(Nonce(answer.nonce.parse::<B256>()?.0))
    }

    fn request(&self, session: SessionId, nonce: Nonce) -> anyhow::Result<ReleaseRequest> {
        let key = EnclaveKeyPair::generate(&mut UnwrapErr(getrandom::SysRng)).public();
        let transcript = Transcript { nonce, deployment: self.deployment, session, key };
        let evidence = self.agent.evidence(&transcript.report_data())?;
        Ok(ReleaseRequest {
            session: session.to_string(),
            nonce: B256::from(nonce.0).to_string(),
            kind: evidence.kind.to_string(),
            evidence: STANDARD.encode(evidence.document),
            event_log: evidence.event_log,
            public_key: B256::from(*key.as_bytes()).to_string(),
        })
    }
}

#[expect(clippy::disallowed_methods, reason = "evidence is of this moment")]
fn now() -> UnixSeconds {
    let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    UnixSeconds(since_1970.map_or(0, |elapsed| elapsed.as_secs()))
}
