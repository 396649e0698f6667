//! A workerpool that cheats. It is bought and authorised like any other, so it gets a session; then it asks for the secrets of the task from
//! enclaves that are not the one on chain.

use alloy::signers::local::PrivateKeySigner;
use alloy_primitives::{Address, B256, keccak256};
use anyhow::{Context, bail};
use hpke::rand_core::UnwrapErr;
use strongroom_client::{EvidenceSource, Patience, Pinned, ReleaseError, Service as Client, ServiceError};
use strongroom_devnet::development_accounts;
use strongroom_devnet::enclave::SimulatedEnclave;
use strongroom_devnet::whole::measured;
use strongroom_pool::outside::{Authorization, Services as _};
use strongroom_pool::services::HttpServices;
use strongroom_protocol::challenge::enclave_challenge_request;
use strongroom_protocol::{AccountSecretName, DealId, SecretValue, SessionId, SigningKey, TaskId};
use strongroom_simulator::{IntelMachine, Simulator, TdxMeasured};

use super::market;
use super::story::Stage;

/// Account of the thief, who owns the workerpool and is its only worker.
pub(crate) const ACCOUNT: usize = 7;

/// The thief, with a workerpool on chain.
pub(crate) struct Thief<'a> {
    stage: &'a Stage<'a>,
    key: SigningKey,
    signer: PrivateKeySigner,
    pub(crate) workerpool: Address,
}

/// A session of the thief's, honestly obtained.
pub(crate) struct Heist {
    client: Client,
    pinned: Pinned,
    session: SessionId,
}

/// Which enclave asks for the secrets.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Disguise {
    /// The approved guest, in which an app of the thief's runs.
    OtherApp,
    /// A guest of the thief's, which says that it runs the app of the task.
    OtherGuest,
}

impl Disguise {
    pub(crate) const ALL: [Self; 2] = [Self::OtherApp, Self::OtherGuest];

    pub(crate) fn in_words(self) -> &'static str {
        match self {
            Self::OtherApp => "an enclave that runs another app",
            Self::OtherGuest => "an enclave whose guest is not approved",
        }
    }
}

impl<'a> Thief<'a> {
    pub(crate) async fn with_a_workerpool(stage: &'a Stage<'a>) -> anyhow::Result<Self> {
        let signer = development_accounts()[ACCOUNT].signer();
        let workerpool = stage.network.chain()?.create_workerpool(&signer, "a pool that cheats").await?;
        Ok(Self { stage, key: market::key(ACCOUNT)?, signer, workerpool })
    }

    /// Does what schedulers and workers do for the first task of a deal, up to the session.
    pub(crate) async fn prepare(&self, deal: DealId) -> anyhow::Result<Heist> {
        self.stage.network.chain()?.initialize(&self.signer, deal.into(), 0).await?;
        let task = TaskId::of(deal, 0);
        let sms = self.stage.whole.sms.url().parse()?;
        let services = HttpServices::new(sms)?;
        let asks = self.key.sign(enclave_challenge_request(task)).to_string();
        let challenge = services.challenge(task, asks).await?;
        let mut authorization =
            Authorization { task, deal, index: 0, worker: self.key.address(), challenge, signature: String::new() };
        let signature = self.key.sign(authorization.message()).to_string();
        authorization.signature.clone_from(&signature);
        // Where the result would go; no SMS opens a session without it.
        let token = SecretValue::new(b"of no use".to_vec())?;
        services.publish(&self.key, AccountSecretName::RESULT_PROXY_TOKEN, &token).await?;
        let session = services.session(&authorization, signature).await?.parse()?;

        let client = Client::new(self.stage.whole.sms.url().parse()?)?;
        let identity = client.identity().await?;
        let pinned = Pinned { chain_id: identity.chain_id, hub: identity.hub.parse()?, sms: identity.key_id.parse()? };
        Ok(Heist { client, pinned, session })
    }

    /// Asks for the secrets; gives the words with which the service refuses. `image` is the digest of the task's app.
    pub(crate) async fn try_as(&self, disguise: Disguise, heist: &Heist, image: B256) -> anyhow::Result<String> {
        let approved = measured(&std::fs::read(&self.stage.whole.programs.guest).context("the guest program")?);
        let (platform, image) = match disguise {
            Disguise::OtherApp => (approved, keccak256("an app of the thief's")),
            Disguise::OtherGuest => (TdxMeasured { mrtd: [7; 48], ..approved }, image),
        };
        let machine = IntelMachine::default();
        let enclave = SimulatedEnclave::start(Simulator::from_seed([0; 32]), machine, platform, image)?;
        let source = EvidenceSource::Dstack(enclave.socket().to_owned());
        let patience = Patience { attempts: 1, ..Patience::default() };
        let mut random = UnwrapErr(getrandom::SysRng);
        let Heist { client, pinned, session } = heist;
        match strongroom_client::release(client, *pinned, *session, &source, patience, &mut random).await {
            Err(ReleaseError::Service(ServiceError::Refused { code, detail, .. })) => Ok(format!("{code}: {detail}")),
            Err(error) => Err(error.into()),
            Ok(_) => bail!("{disguise:?} got the secrets"),
        }
    }
}
