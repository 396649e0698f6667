//! Settings of the secret provisioner for existing iExec enclaves, and of the lists of datasets.

use std::num::NonZeroU64;
use std::path::PathBuf;

use serde::Deserialize;
use url::Url;

use super::attestation::optional_url;
use super::{ApiKey, Config, ConfigError, Pipeline, TeeFramework, milliseconds, optional_path};

/// Who hands secrets to enclaves. Default: this service itself, against evidence.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProvisionerConfig {
    /// `attested` (default): this service. `scone`, `gramine`, `tdx`: a keeper that attests enclaves by itself and is sent
    /// the secrets of each session.
    pub kind: ProvisionerKind,
    /// Where the keeper takes sessions, such as `https://cas.example:8081`.
    #[serde(deserialize_with = "optional_url")]
    pub url: Option<Url>,
    /// Where enclaves reach the keeper, told to workers as it is: host and port of a CAS or SPS, URL of a session storage.
    pub enclave_address: String,
    /// The only certificates (PEM) that are believed for `url`: of its authority, or its own.
    #[serde(deserialize_with = "optional_path")]
    pub ca_certificate: Option<PathBuf>,
    /// Certificate chain (PEM) that this service shows to the keeper.
    #[serde(deserialize_with = "optional_path")]
    pub client_certificate: Option<PathBuf>,
    /// Private key (PEM) of `client_certificate`.
    #[serde(deserialize_with = "optional_path")]
    pub client_key: Option<PathBuf>,
    /// Name under which Gramine's server knows this service. There is no default.
    pub login: String,
    /// Password of `login`. There is no default.
    pub password: ApiKey,
    /// Longest wait for one answer of keeper or attestation server, in milliseconds. Default 5,000.
    pub timeout_ms: NonZeroU64,
    /// SCONE: `maa` (default) asks one of `attestation_servers`, `hardware` none.
    pub attestation_mode: AttestationMode,
    /// SCONE: Microsoft Azure Attestation servers. Without one that answers no session is made.
    pub attestation_servers: Vec<Url>,
    /// SCONE: insecure options of enclaves that the CAS tolerates. Default none.
    pub tolerated_insecure_options: Vec<String>,
    /// SCONE: Intel's advisories that the CAS ignores. Default none.
    pub ignored_advisories: Vec<String>,
    /// Lets keeper and attestation servers be reached without TLS: everybody on the way reads the secrets.
    pub danger_plain_http: bool,
}

impl Default for ProvisionerConfig {
    fn default() -> Self {
        Self {
            kind: ProvisionerKind::Attested,
            url: None,
            enclave_address: String::new(),
            ca_certificate: None,
            client_certificate: None,
            client_key: None,
            login: String::new(),
            password: ApiKey::default(),
            timeout_ms: milliseconds(5_000),
            attestation_mode: AttestationMode::Maa,
            attestation_servers: Vec::new(),
            tolerated_insecure_options: Vec::new(),
            ignored_advisories: Vec::new(),
            danger_plain_http: false,
        }
    }
}

/// Kinds of provisioners.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProvisionerKind {
    /// This service.
    #[default]
    Attested,
    /// SCONE CAS.
    Scone,
    /// Gramine's secret provisioning server.
    Gramine,
    /// A TDX session storage.
    Tdx,
}

/// How a CAS attests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AttestationMode {
    /// By a Microsoft Azure Attestation server.
    #[default]
    Maa,
    /// By the hardware's own services.
    Hardware,
}

/// Where content is fetched from. It is verified against its id, so the gateway is not trusted.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ContentConfig {
    /// IPFS gateway for the lists of datasets. Empty: deals that name one wait in vain. Default `https://ipfs.iex.ec`, as the
    /// old service.
    #[serde(deserialize_with = "optional_url")]
    pub ipfs_gateway: Option<Url>,
    /// Longest wait for one answer, in milliseconds. Default 10,000.
    pub timeout_ms: NonZeroU64,
}

impl Default for ContentConfig {
    fn default() -> Self {
        let gateway = "https://ipfs.iex.ec".parse().expect("the text is an address");
        Self { ipfs_gateway: Some(gateway), timeout_ms: milliseconds(10_000) }
    }
}

impl Pipeline {
    /// Bytes of its texts, for buffers.
    pub(crate) fn images_bytes(&self) -> usize {
        let of = |stage: &super::Stage| stage.image.len() + stage.fingerprint.len() + stage.entrypoint.len();
        of(&self.pre_compute) + of(&self.post_compute)
    }
}

/// What no key of the table can know alone.
pub(super) fn contradictions(config: &Config, at: impl Fn(&str, &str) -> ConfigError) -> Vec<ConfigError> {
    let keeper = &config.provisioner;
    let mut problems = Vec::new();
    let mut must = |holds: bool, key: &str, message: &str| {
        if !holds {
            problems.push(at(key, message));
        }
    };
    let framework = match keeper.kind {
        ProvisionerKind::Attested => return problems,
        ProvisionerKind::Scone => TeeFramework::Scone,
        ProvisionerKind::Gramine => TeeFramework::Gramine,
        ProvisionerKind::Tdx => TeeFramework::Tdx,
    };
    must(config.tee.framework == framework, "provisioner.kind", "is for another framework than tee.framework");
    must(!config.tee.pipelines.is_empty(), "tee.pipelines", "is needed by this provisioner");
    must(keeper.url.is_some(), "provisioner.url", "is needed; write where the provisioner takes sessions");
    must(!keeper.enclave_address.is_empty(), "provisioner.enclave_address", "is needed; enclaves are told it");
    let schemes: &[&str] = if keeper.danger_plain_http { &["https", "http"] } else { &["https"] };
    let acceptable = |url: &Url| schemes.contains(&url.scheme());
    must(keeper.url.iter().all(acceptable), "provisioner.url", "must begin with https://");
    must(keeper.attestation_servers.iter().all(acceptable), "provisioner.attestation_servers", "must be https");
    let pinned = keeper.ca_certificate.is_some() || keeper.url.as_ref().is_some_and(|url| url.scheme() == "http");
    must(pinned, "provisioner.ca_certificate", "is needed: only certificates that it names are believed");
    let both = keeper.client_certificate.is_some() == keeper.client_key.is_some();
    must(both, "provisioner.client_certificate", "and client_key belong together");
    if keeper.kind == ProvisionerKind::Gramine {
        must(!keeper.login.is_empty(), "provisioner.login", "is needed; there is no default");
        must(!keeper.password.is_blank(), "provisioner.password", "is needed; there is no default");
    }
    if keeper.kind == ProvisionerKind::Scone && keeper.attestation_mode == AttestationMode::Maa {
        let some = !keeper.attestation_servers.is_empty();
        must(some, "provisioner.attestation_servers", "names none, but attestation_mode is maa");
    }
    problems
}
