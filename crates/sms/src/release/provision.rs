//! Who hands the secrets of a session to its enclave: this service itself, against evidence, or a secret provisioner that the
//! operator runs for existing iExec enclaves and that attests them by itself.
//!
//! Toward such a keeper this service is strict: it is believed only under the roots that the operator names, it must answer
//! in time, and what it is sent was decided and recorded before. Nothing is ever sent to one that was not configured.

mod environment;
mod gramine;
mod scone;
mod tdx;

use std::path::PathBuf;

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use strongroom_grant::{Keeper, TaskFacts, TrustDomain};
use strongroom_protocol::bundle::Stage;
use strongroom_protocol::enclave_config::EnclaveConfig;
use strongroom_protocol::{SessionId, SigningKey};
use strongroom_store::Opened;
use url::Url;
use zeroize::Zeroizing;

use self::environment::environment_of;
use crate::config::{AttestationMode, Config, Pipeline, ProvisionerConfig, ProvisionerKind, duration};

/// Why the settings of a keeper are not usable.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionerError {
    /// A file cannot be read.
    #[error("{path} cannot be read; check the path in [provisioner] and the permissions")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file is no certificate or key.
    #[error("certificates or keys in [provisioner] are not usable; they must be PEM")]
    Unusable(#[source] reqwest::Error),
}

/// Why a keeper did not take a session.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeeperError {
    /// No pipeline is configured for the version that the app names.
    #[error("this service has no pre- and post-compute programs for version {version:?} of the framework")]
    NoPipeline {
        /// Of the app's enclave configuration.
        version: String,
    },
    /// None of the attestation servers answers, and without one enclaves would not be attested.
    #[error("none of the attestation servers answers; try again later")]
    NoAttestationServer,
    /// A value is no text, or too long for an environment, and the keeper knows nothing else.
    #[error("the value of {name} does not fit into an environment variable, and this provisioner has no files")]
    NotEnvironment {
        /// Name of the variable.
        name: String,
    },
    /// It does not answer, or is not who it must be.
    #[error("the secret provisioner does not answer; try again later")]
    Unreachable(#[source] reqwest::Error),
    /// It refuses.
    #[error("the secret provisioner refuses with status {0}")]
    Refused(u16),
}

/// Who hands over secrets.
pub enum Provisioner {
    /// This service, against evidence. The address is where enclaves reach it.
    Attested(Url),
    /// A keeper of the operator.
    Keeper(Box<KeeperClient>),
}

/// A configured keeper and the way to it.
pub struct KeeperClient {
    settings: ProvisionerConfig,
    pipelines: Vec<Pipeline>,
    url: Url,
    http: reqwest::Client,
    /// For attestation servers, which are others than the keeper and have certificates of the public.
    public_http: reqwest::Client,
    trust_domain: TrustDomain,
}

/// A keeper chosen for one session, and what it needs besides the secrets.
pub(crate) struct Prepared<'a> {
    client: &'a KeeperClient,
    pipeline: &'a Pipeline,
    enclave_config: Option<EnclaveConfig>,
    attestation_server: Option<String>,
    app: AppImage,
    arguments: Option<String>,
}

/// How the chain names the app's image.
struct AppImage {
    location: String,
    checksum: String,
}

impl Provisioner {
    /// Where this service really listens, when the system chose the port of its own address.
    pub(crate) fn listens_on(&mut self, port: u16) {
        if let Self::Attested(public_url) = self
            && public_url.port() == Some(0)
        {
            // An http or https address can have a port.
            let _ = public_url.set_port(Some(port));
        }
    }

    /// From the settings, which were checked; `public_url` is for the case that this service hands over secrets itself.
    pub fn from_config(config: &Config, public_url: Url, trust_domain: TrustDomain) -> Result<Self, ProvisionerError> {
        let settings = &config.provisioner;
        let Some(url) = settings.url.clone().filter(|_| settings.kind != ProvisionerKind::Attested) else {
            return Ok(Self::Attested(public_url));
        };
        let plain = settings.danger_plain_http;
        let builder = || {
            let timeout = duration(settings.timeout_ms);
            let redirect = reqwest::redirect::Policy::none();
            reqwest::Client::builder().no_proxy().timeout(timeout).redirect(redirect).https_only(!plain)
        };
        let mut http = builder();
        if let Some(path) = &settings.ca_certificate {
            let roots = reqwest::Certificate::from_pem_bundle(&read(path)?).map_err(ProvisionerError::Unusable)?;
            http = http.tls_certs_only(roots);
        }
        if let (Some(certificate), Some(key)) = (&settings.client_certificate, &settings.client_key) {
            let pem = Zeroizing::new([read(certificate)?.as_slice(), b"\n", read(key)?.as_slice()].concat());
            http = http.identity(reqwest::Identity::from_pem(&pem).map_err(ProvisionerError::Unusable)?);
        }
        Ok(Self::Keeper(Box::new(KeeperClient {
            settings: settings.clone(),
            pipelines: config.tee.pipelines.clone(),
            url,
            http: http.build().map_err(ProvisionerError::Unusable)?,
            public_http: builder().build().map_err(ProvisionerError::Unusable)?,
            trust_domain,
        })))
    }
}

fn read(path: &std::path::Path) -> Result<Zeroizing<Vec<u8>>, ProvisionerError> {
    let content = std::fs::read(path).map_err(|source| ProvisionerError::Unreadable { path: path.to_owned(), source });
    content.map(Zeroizing::new)
}

impl KeeperClient {
    /// Where enclaves reach the keeper: the `secretProvisioningUrl` of sessions.
    pub(crate) fn enclave_address(&self) -> &str {
        &self.settings.enclave_address
    }

    /// Chooses the programs around the app and finds an attestation server that answers. Before anything is recorded.
    pub(crate) async fn prepare(&self, facts: &TaskFacts) -> Result<Prepared<'_>, KeeperError> {
        let enclave_config = match self.settings.kind {
            ProvisionerKind::Scone | ProvisionerKind::Gramine => EnclaveConfig::parse(&facts.chain.app.mrenclave).ok(),
            ProvisionerKind::Tdx | ProvisionerKind::Attested => None,
        };
        let version = enclave_config.as_ref().map(|config| config.version.as_str());
        let mut pipelines = self.pipelines.iter();
        let pipeline = pipelines.find(|pipeline| version.is_none_or(|version| pipeline.version == version));
        let pipeline =
            pipeline.ok_or_else(|| KeeperError::NoPipeline { version: version.unwrap_or_default().to_owned() })?;
        let app = &facts.chain.app;
        Ok(Prepared {
            client: self,
            pipeline,
            enclave_config,
            attestation_server: self.attestation_server().await?,
            app: AppImage {
                location: strongroom_protocol::multiaddr::location_text(&app.multiaddr),
                checksum: app.checksum.to_string(),
            },
            arguments: facts.params.as_ref().ok().and_then(|params| params.args.clone()),
        })
    }

    /// The first of the configured servers, in random order, that answers. None is needed when the hardware is asked.
    async fn attestation_server(&self) -> Result<Option<String>, KeeperError> {
        let settings = &self.settings;
        if settings.kind != ProvisionerKind::Scone || settings.attestation_mode == AttestationMode::Hardware {
            return Ok(None);
        }
        for server in shuffled(&settings.attestation_servers) {
            let mut url = server.clone();
            url.set_path("/.well-known/openid-configuration");
            match self.public_http.get(url).send().await {
                Ok(answer) if answer.status().is_success() => {
                    return Ok(Some(server.as_str().trim_end_matches('/').to_owned()));
                }
                Ok(answer) => tracing::warn!(%server, status = answer.status().as_u16(), "attestation server refuses"),
                Err(error) => {
                    tracing::warn!(%server, error = &error as &dyn std::error::Error, "attestation server out of reach");
                }
            }
        }
        Err(KeeperError::NoAttestationServer)
    }
}

/// In an order that is another every time, so that servers share the load. Nothing depends on it being hard to guess.
fn shuffled(servers: &[Url]) -> Vec<&Url> {
    use std::hash::{BuildHasher as _, RandomState};
    let order = RandomState::new();
    let mut servers: Vec<_> = servers.iter().collect();
    servers.sort_by_cached_key(|server| order.hash_one(server));
    servers
}

impl Prepared<'_> {
    /// What the grant and the journal call the keeper, and which stages it serves.
    pub(crate) fn keeper(&self) -> Keeper {
        let stages: &[Stage] = match self.client.settings.kind {
            // It never had a pre-compute enclave.
            ProvisionerKind::Gramine => &[Stage::App, Stage::PostCompute],
            ProvisionerKind::Scone | ProvisionerKind::Tdx | ProvisionerKind::Attested => {
                &[Stage::PreCompute, Stage::App, Stage::PostCompute]
            }
        };
        let what = match self.client.settings.kind {
            ProvisionerKind::Scone => "SCONE CAS",
            ProvisionerKind::Gramine => "Gramine SPS",
            ProvisionerKind::Tdx | ProvisionerKind::Attested => "TDX session storage",
        };
        Keeper {
            name: format!("{what} at {} for app {}", self.client.url.authority(), self.app_fingerprint()),
            stages: stages.to_vec(),
            trust_domain: self.client.trust_domain.clone(),
        }
    }

    /// What the keeper must find measured before it hands the app's secrets on.
    fn app_fingerprint(&self) -> String {
        match &self.enclave_config {
            Some(config) => hex::encode(config.fingerprint),
            None => self.app.checksum.clone(),
        }
    }

    /// Hands over what was opened, in the shape that the keeper knows. `Ok`: it has taken it.
    pub(crate) async fn hand_over(
        &self,
        session: SessionId,
        opened: &Opened,
        challenge_key: &SigningKey,
    ) -> Result<(), KeeperError> {
        let stages = environment_of(opened, challenge_key)?;
        let client = self.client;
        let name = session.to_string();
        let (path, media_type, body) = match client.settings.kind {
            ProvisionerKind::Scone => ("session", "application/octet-stream", scone::session(self, &name, &stages)),
            ProvisionerKind::Gramine => ("api/session", "application/json", gramine::session(self, &name, &stages)),
            ProvisionerKind::Tdx | ProvisionerKind::Attested => {
                ("session", "application/json", tdx::session(self, &name, &stages))
            }
        };
        let mut url = client.url.clone();
        url.set_path(&format!("{}/{path}", url.path().trim_end_matches('/')));
        let mut request = client.http.post(url).header(CONTENT_TYPE, HeaderValue::from_static(media_type));
        if client.settings.kind == ProvisionerKind::Gramine {
            request = request.basic_auth(&client.settings.login, Some(client.settings.password.expose()));
        }
        let answer = request.body(Bytes::from_owner(body)).send().await.map_err(KeeperError::Unreachable)?;
        let status = answer.status().as_u16();
        let taken = match client.settings.kind {
            ProvisionerKind::Scone => status == 201,
            ProvisionerKind::Gramine | ProvisionerKind::Tdx | ProvisionerKind::Attested => (200..300).contains(&status),
        };
        if taken { Ok(()) } else { Err(KeeperError::Refused(status)) }
    }
}
