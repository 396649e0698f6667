//! Where sets come from and how many are kept.

use std::path::PathBuf;
use std::time::Duration;

use url::Url;

/// Settings of a cache. The default fetches nothing and keeps nothing on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Intel's provisioning certification service or a cache of it, up to and without `/sgx/certification/v4`.
    pub intel: Option<Url>,
    /// Revocation list of Intel's root, DER. Without it the cache's own `rootcacrl` is asked, which Intel's service lacks.
    pub intel_root_crl: Option<Url>,
    /// AMD's key distribution service or a mirror of it, up to and without `/vcek/v1`.
    pub amd: Option<Url>,
    /// Folder in which sets are kept between runs; made if absent.
    pub folder: Option<PathBuf>,
    /// Longest wait for one answer.
    pub timeout: Duration,
    /// A set is fetched anew at half its validity, and at the latest after this time.
    pub refresh_every: Duration,
    /// A set fetched longer ago is not handed out, even if it has not expired.
    pub max_age: Duration,
    /// Most platforms kept, those that were named in advance not counted.
    pub max_platforms: usize,
    /// Most platforms taken up within a minute because evidence named them.
    pub new_platforms_per_minute: usize,
    /// Most sets fetched at the same time.
    pub concurrent_fetches: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            intel: None,
            intel_root_crl: None,
            amd: None,
            folder: None,
            timeout: Duration::from_secs(30),
            refresh_every: Duration::from_hours(24),
            max_age: Duration::from_hours(7 * 24),
            max_platforms: 1024,
            new_platforms_per_minute: 10,
            concurrent_fetches: 4,
        }
    }
}
