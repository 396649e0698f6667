//! Settings of evidence: which rules, which images, where endorsements come from.

use std::path::PathBuf;

use serde::Deserialize;
use url::Url;

use super::optional_path;

/// Which evidence opens secrets. Without any of these the vendors' roots and the production rules hold, nothing is fetched,
/// and no image of a TDX guest is approved.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AttestationConfig {
    /// Where guests reach this service: the `secretProvisioningUrl` of sessions. Default: scheme, address and port of the
    /// listener, which is right only when guests share its network.
    #[serde(deserialize_with = "optional_url")]
    pub public_url: Option<Url>,
    /// Rules for platforms (TOML). Default: the production rules.
    #[serde(deserialize_with = "optional_path")]
    pub policy_file: Option<PathBuf>,
    /// Approved images of TDX guests (TOML, a table `[[images]]` each, as `strongroom evidence inspect --images` reads: `name`, `mrtd`, `rtmr0`, `rtmr1`, `rtmr2`).
    #[serde(deserialize_with = "optional_path")]
    pub images_file: Option<PathBuf>,
    /// Folder in which endorsements are kept between runs; sets that are put there by hand are taken in at the start.
    #[serde(deserialize_with = "optional_path")]
    pub endorsements_folder: Option<PathBuf>,
    /// Intel's provisioning certification service or a cache of it. Default: nothing is fetched.
    #[serde(deserialize_with = "optional_url")]
    pub intel_service: Option<Url>,
    /// Revocation list of Intel's root; without it `intel_service` is asked as a cache.
    #[serde(deserialize_with = "optional_url")]
    pub intel_root_crl: Option<Url>,
    /// AMD's key distribution service or a mirror of it. Default: nothing is fetched.
    #[serde(deserialize_with = "optional_url")]
    pub amd_service: Option<Url>,
    /// Folder with the roots of a simulator: its evidence is then believed, and protects nothing. Refused by builds without
    /// the feature `development-anchors` and on production chains.
    #[serde(deserialize_with = "optional_path")]
    pub danger_simulator_roots: Option<PathBuf>,
    /// Verifications at a time; 0, the default, for one per processor.
    pub threads: usize,
}

/// Empty means absent, as for paths.
pub(super) fn optional_url<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Url>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|error| serde::de::Error::custom(format!("{text:?} is not an address: {error}")))
}
