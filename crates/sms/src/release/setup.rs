//! Makes what releases need from the settings, and refuses what would weaken them unseen.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use strongroom_attest::measurement::{ApprovedImage, ApprovedImages};
use strongroom_attest::{Endorsements, Evidence, Policy, TrustAnchors, TrustDomain};
use strongroom_endorsements::{EndorsementCache, FileError, Settings};
use strongroom_protocol::UnixSeconds;
use tracing::warn;

use super::ReleaseSettings;
use super::attestation::{Attestation, FindEndorsements};
use super::bulk::IpfsGateway;
use super::provision::{Provisioner, ProvisionerError};
use crate::config::{AttestationConfig, Config, duration};
use crate::owners::CheckedChain;

/// Chains with real money, on which nothing simulated is ever believed: Ethereum, Gnosis, Bellecour, Arbitrum One.
const PRODUCTION_CHAINS: [u64; 4] = [1, 100, 134, 42_161];
/// Name of the simulated trust domain.
const SIMULATOR: &str = "simulator";

/// Why releases cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A file cannot be read.
    #[error("{path} cannot be read; check the path in [attestation] and the permissions")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{path} is not understood: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the line.
        reason: String,
    },
    /// Roots of a simulator on a chain with real money.
    #[error(
        "attestation.danger_simulator_roots is set, but chain {chain_id} is a production chain; remove the setting"
    )]
    SimulatorOnProductionChain {
        /// The chain.
        chain_id: u64,
    },
    /// Roots of a simulator in a build for production.
    #[error(
        "attestation.danger_simulator_roots is set, but this is a build for production; remove the setting, or build with the feature development-anchors"
    )]
    SimulatorInProductionBuild,
    /// The policy accepts a simulator whose roots are not there, or the other way round.
    #[error("the policy and attestation.danger_simulator_roots disagree on simulated evidence; set both or neither")]
    PolicyAndRootsDisagree,
    /// The folder of endorsements cannot be read.
    #[error(transparent)]
    Endorsements(#[from] FileError),
    /// The secret provisioner cannot be reached as the settings say.
    #[error(transparent)]
    Provisioner(#[from] ProvisionerError),
    /// The client that fetches endorsements cannot be made.
    #[error("HTTP cannot be prepared; check the system's TLS settings")]
    Http(#[from] reqwest::Error),
}

/// All that releases need, and the cache that wants to be kept current.
pub struct Prepared {
    /// For [`Service::start_with`](crate::service::Service::start_with).
    pub settings: ReleaseSettings,
    /// To be run next to the service.
    pub endorsements: Arc<EndorsementCache>,
}

/// Reads the files that the settings name.
pub fn prepare(
    config: &Config,
    chain: Arc<CheckedChain>,
    hub: strongroom_protocol::Address,
    now: UnixSeconds,
) -> Result<Prepared, SetupError> {
    let attestation = &config.attestation;
    let (anchors, trust_domain) = anchors(attestation, config.chain.id.get())?;
    let policy = policy(attestation)?;
    if policy.danger_development.is_some() != (trust_domain != TrustDomain::Production) {
        return Err(SetupError::PolicyAndRootsDisagree);
    }
    if trust_domain != TrustDomain::Production {
        warn!("SIMULATED evidence is believed: nothing protects what is released");
    }
    let http = reqwest::Client::builder().no_proxy().build()?;
    let settings = Settings {
        intel: attestation.intel_service.clone(),
        intel_root_crl: attestation.intel_root_crl.clone(),
        amd: attestation.amd_service.clone(),
        folder: attestation.endorsements_folder.clone(),
        ..Settings::default()
    };
    let endorsements = Arc::new(EndorsementCache::open(settings, anchors.clone(), http, now)?);
    let threads = match attestation.threads {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    let approved = images(attestation)?;
    let found = Box::new(Cached(Arc::clone(&endorsements)));
    let content = Arc::new(IpfsGateway::new(config.content.ipfs_gateway.clone(), duration(config.content.timeout_ms))?);
    let public_url = attestation.public_url.clone().unwrap_or_else(|| listener_url(config));
    let settings = ReleaseSettings {
        hub,
        tasks: chain,
        attestation: Attestation::new(anchors, policy, approved, found, threads),
        content,
        provisioner: Provisioner::from_config(config, public_url, trust_domain.clone())?,
        trust_domain,
    };
    Ok(Prepared { settings, endorsements })
}

struct Cached(Arc<EndorsementCache>);

impl FindEndorsements for Cached {
    fn find(&self, evidence: &Evidence, now: UnixSeconds) -> Option<Arc<Endorsements>> {
        self.0.find(evidence, now)
    }
}

fn listener_url(config: &Config) -> url::Url {
    let scheme = if config.tls.certificate.is_some() { "https" } else { "http" };
    let address = config.server.listen();
    format!("{scheme}://{address}").parse().expect("a socket address is the authority of a URL")
}

fn anchors(config: &AttestationConfig, chain_id: u64) -> Result<(TrustAnchors, TrustDomain), SetupError> {
    let Some(folder) = &config.danger_simulator_roots else {
        return Ok((TrustAnchors::production(), TrustDomain::Production));
    };
    if PRODUCTION_CHAINS.contains(&chain_id) {
        return Err(SetupError::SimulatorOnProductionChain { chain_id });
    }
    simulator_anchors(folder)
}

#[cfg(not(feature = "development-anchors"))]
fn simulator_anchors(_folder: &Path) -> Result<(TrustAnchors, TrustDomain), SetupError> {
    Err(SetupError::SimulatorInProductionBuild)
}

#[cfg(feature = "development-anchors")]
fn simulator_anchors(folder: &Path) -> Result<(TrustAnchors, TrustDomain), SetupError> {
    use strongroom_attest::AmdProduct;
    use strongroom_attest::anchors::DevelopmentAnchors;
    let root = |name: &str| match std::fs::read(folder.join(name)) {
        Ok(root) => Ok(Some(root)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(SetupError::Unreadable { path: folder.join(name), source }),
    };
    let mut amd_roots = Vec::new();
    for product in AmdProduct::ALL {
        if let Some(der) = root(&format!("amd-{product}.der").to_lowercase())? {
            amd_roots.push((product, der));
        }
    }
    let roots = DevelopmentAnchors {
        name: SIMULATOR.to_owned(),
        intel_root: root("intel.der")?,
        amd_roots,
        aws_root: root("aws.der")?,
    };
    Ok((TrustAnchors::with_development(roots), TrustDomain::Development(SIMULATOR.to_owned())))
}

fn policy(config: &AttestationConfig) -> Result<Policy, SetupError> {
    match (&config.policy_file, &config.danger_simulator_roots) {
        (Some(path), _) => read_toml(path),
        (None, Some(_)) => Ok(Policy::development(SIMULATOR)),
        (None, None) => Ok(Policy::production()),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ImagesFile {
    #[serde(default)]
    images: Vec<ApprovedImage>,
}

fn images(config: &AttestationConfig) -> Result<ApprovedImages, SetupError> {
    let Some(path) = &config.images_file else { return Ok(ApprovedImages::default()) };
    Ok(read_toml::<ImagesFile>(path)?.images.into_iter().collect())
}

fn read_toml<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, SetupError> {
    let text =
        std::fs::read_to_string(path).map_err(|source| SetupError::Unreadable { path: path.to_owned(), source })?;
    toml::from_str(&text).map_err(|error| SetupError::Malformed { path: path.to_owned(), reason: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> AttestationConfig {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn without_settings_the_vendors_roots_and_the_production_rules_hold() {
        let (anchors, domain) = anchors(&config(""), 31_337).unwrap();
        assert!(anchors.is_production_only());
        assert_eq!(domain, TrustDomain::Production);
        assert_eq!(policy(&config("")).unwrap(), Policy::production());
        assert!(images(&config("")).unwrap().is_empty());
    }

    #[test]
    fn a_production_chain_refuses_the_roots_of_a_simulator_in_every_build() {
        for chain_id in PRODUCTION_CHAINS {
            let refused = anchors(&config("danger_simulator_roots = \"/roots\""), chain_id).unwrap_err();
            assert!(matches!(refused, SetupError::SimulatorOnProductionChain { .. }), "{refused}");
        }
    }

    #[cfg(not(feature = "development-anchors"))]
    #[test]
    fn a_build_for_production_refuses_the_roots_of_a_simulator_on_every_chain() {
        let refused = anchors(&config("danger_simulator_roots = \"/roots\""), 31_337).unwrap_err();
        assert!(matches!(refused, SetupError::SimulatorInProductionBuild));
    }

    #[test]
    fn files_that_are_missing_or_malformed_are_named() {
        let missing = policy(&config("policy_file = \"/nonexistent/policy.toml\"")).unwrap_err();
        assert!(missing.to_string().contains("/nonexistent/policy.toml"), "{missing}");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("images.toml");
        std::fs::write(&path, "[[images]]\nname = 1").unwrap();
        let malformed = images(&config(&format!("images_file = {path:?}"))).unwrap_err();
        assert!(malformed.to_string().contains("line 2"), "{malformed}");
    }
}
