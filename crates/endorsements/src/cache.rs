//! The sets at hand, and what is done to keep them current.

use std::collections::{HashMap, VecDeque};
use std::future::Future;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use strongroom_attest::endorsements::AmdEndorsements;
use strongroom_attest::{EndorsementFault, Endorsements, Evidence, PlatformKey, TrustAnchors};
use strongroom_protocol::UnixSeconds;
use tokio::sync::Notify;

use crate::download::FetchError;
use crate::files::{FileError, Filed, json_files};
use crate::schedule::{NEVER, next_refresh, next_retry};
use crate::settings::Settings;
use crate::{amd, intel};

/// Longest sleep between two looks at the schedule: the clock may be set.
const LONGEST_SLEEP: Duration = Duration::from_mins(10);

/// Endorsements by platform. See the crate's introduction.
pub struct EndorsementCache {
    settings: Settings,
    anchors: TrustAnchors,
    http: reqwest::Client,
    state: Mutex<State>,
    /// A platform came in that should be fetched at once.
    wanted: Notify,
}

#[derive(Default)]
struct State {
    platforms: HashMap<PlatformKey, Platform>,
    /// When evidence last brought in platforms, oldest first.
    taken_up: VecDeque<UnixSeconds>,
}

struct Platform {
    set: Option<Held>,
    /// Named in advance, so never dropped.
    expected: bool,
    fetching: bool,
    failures: u32,
    last_error: Option<String>,
    /// When it is fetched next.
    due: UnixSeconds,
}

#[derive(Clone)]
struct Held {
    set: Arc<Endorsements>,
    fetched_at: UnixSeconds,
    valid_until: UnixSeconds,
}

/// Why a platform's set was not replaced. The one at hand, if any, stays.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// It could not be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// It is not authentic, not current, or for another platform.
    #[error("the set is refused")]
    Refused(#[from] EndorsementFault),
    /// Authentic, and older than the one at hand: somebody may be hiding news.
    #[error("the set is older than the one at hand: its {what} is {found}, not {at_hand} or more")]
    Older {
        /// Which number.
        what: &'static str,
        /// What it is.
        found: u64,
        /// What it was.
        at_hand: u64,
    },
}

/// How a platform stands, for operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformStatus {
    /// Which platform.
    pub platform: PlatformKey,
    /// When its set was fetched, if there is one.
    pub fetched_at: Option<UnixSeconds>,
    /// Last second at which its set is valid, if there is one.
    pub valid_until: Option<UnixSeconds>,
    /// How many times in a row fetching failed.
    pub failures: u32,
    /// Why it failed last, if it did since the last success.
    pub last_error: Option<String>,
}

impl EndorsementCache {
    /// Opens a cache that believes sets leading to `anchors`, fetches with `http`, and begins with what the configured folder
    /// holds. Files that are damaged or lead nowhere are left out and logged.
    ///
    /// Fails only if the folder is there and cannot be read.
    pub fn open(
        settings: Settings,
        anchors: TrustAnchors,
        http: reqwest::Client,
        now: UnixSeconds,
    ) -> Result<Self, FileError> {
        let cache = Self { settings, anchors, http, state: Mutex::default(), wanted: Notify::new() };
        if let Some(folder) = cache.settings.folder.as_deref().filter(|folder| folder.exists()) {
            for path in json_files(folder)? {
                if let Err(error) = cache.import_file(&path, now) {
                    tracing::warn!(path = %path.display(), error = &error as &dyn std::error::Error, "endorsements on disk are left out");
                }
            }
        }
        Ok(cache)
    }

    /// Names platforms in advance: they are fetched without waiting for evidence and never dropped.
    pub fn expect(&self, platforms: impl IntoIterator<Item = PlatformKey>) {
        let mut state = self.state();
        for platform in platforms {
            state.platforms.entry(platform).or_insert_with(Platform::due_now).expected = true;
        }
        self.wanted.notify_one();
    }

    /// The set for the platform that `evidence` names, if it is at hand and not too old; takes some microseconds.
    ///
    /// If it is not, the platform is noted, and fetched as far as the bounds allow. Nitro evidence needs no set and gets none.
    pub fn find(&self, evidence: &Evidence, now: UnixSeconds) -> Option<Arc<Endorsements>> {
        let key = PlatformKey::of_evidence(evidence).ok().flatten()?;
        let mut state = self.state();
        if let Some(platform) = state.platforms.get(&key) {
            let held = platform.set.as_ref()?;
            let age = now.0.saturating_sub(held.fetched_at.0);
            return (age <= self.settings.max_age.as_secs()).then(|| Arc::clone(&held.set));
        }
        if state.take_up(key, &self.settings, now) {
            self.wanted.notify_one();
        }
        None
    }

    /// Reads a file with a set, or all `.json` files of a folder, as if just fetched; returns for how many platforms.
    ///
    /// Stops at the first file that does not serve; those before it stay.
    pub fn import(&self, path: &Path, now: UnixSeconds) -> Result<usize, FileError> {
        let paths = json_files(path)?;
        for path in &paths {
            self.import_file(path, now)?;
        }
        Ok(paths.len())
    }

    /// How all platforms stand.
    pub fn status(&self) -> Vec<PlatformStatus> {
        let state = self.state();
        let mut status: Vec<PlatformStatus> = state
            .platforms
            .iter()
            .map(|(key, platform)| PlatformStatus {
                platform: key.clone(),
                fetched_at: platform.set.as_ref().map(|held| held.fetched_at),
                valid_until: platform.set.as_ref().map(|held| held.valid_until),
                failures: platform.failures,
                last_error: platform.last_error.clone(),
            })
            .collect();
        status.sort_by_cached_key(|status| status.platform.to_string());
        status
    }

    /// Keeps sets current until `stop` completes. To be run once, next to the service.
    pub async fn run(&self, clock: impl Fn() -> UnixSeconds, stop: impl Future<Output = ()>) {
        tokio::pin!(stop);
        loop {
            let refresh = self.refresh_due(clock());
            tokio::select! {
                _ = refresh => (),
                () = &mut stop => return,
            }
            let wait = Duration::from_secs(self.next_due().0.saturating_sub(clock().0)).min(LONGEST_SLEEP);
            tokio::select! {
                () = tokio::time::sleep(wait) => (),
                () = self.wanted.notified() => (),
                () = &mut stop => return,
            }
        }
    }

    /// Fetches every platform that is due at `now` and not being fetched already; returns how each went.
    pub async fn refresh_due(&self, now: UnixSeconds) -> Vec<(PlatformKey, Result<(), RefreshError>)> {
        let refreshes: Vec<_> = self.claim_due(now).into_iter().map(|claim| self.refresh_claimed(claim, now)).collect();
        futures_util::stream::iter(refreshes).buffer_unordered(self.settings.concurrent_fetches.max(1)).collect().await
    }

    async fn refresh_claimed(&self, claim: Claim<'_>, now: UnixSeconds) -> (PlatformKey, Result<(), RefreshError>) {
        let outcome = self.refresh(&claim.key, now).await;
        if let Err(error) = &outcome {
            let error: &dyn std::error::Error = error;
            tracing::warn!(platform = %claim.key, error, "endorsements could not be refreshed");
        }
        claim.settle(now, outcome.as_ref().err());
        (claim.key.clone(), outcome)
    }

    /// When the next platform is due.
    fn next_due(&self) -> UnixSeconds {
        let state = self.state();
        let waiting = state.platforms.values().filter(|platform| !platform.fetching);
        waiting.map(|platform| platform.due).min().unwrap_or(NEVER)
    }

    fn claim_due(&self, now: UnixSeconds) -> Vec<Claim<'_>> {
        let mut state = self.state();
        let due = state.platforms.iter_mut().filter(|(_, platform)| platform.due <= now && !platform.fetching);
        due.map(|(key, platform)| {
            platform.fetching = true;
            Claim { cache: self, key: key.clone() }
        })
        .collect()
    }

    async fn refresh(&self, key: &PlatformKey, now: UnixSeconds) -> Result<(), RefreshError> {
        let fetched = match key {
            PlatformKey::Intel { tee, fmspc, authority } => {
                let parts = intel::fetch(&self.http, &self.settings, *tee, &fmspc.0, *authority).await?;
                Filed::intel(parts, now)?
            }
            PlatformKey::AmdChip { product, chip_id, tcb } => {
                let at_hand = self.at_hand(key);
                let at_hand = at_hand.as_deref().and_then(as_amd);
                let parts = amd::fetch(&self.http, &self.settings, *product, &chip_id.0, tcb, at_hand).await?;
                Filed::amd(parts, now)?
            }
            PlatformKey::AmdProvider { .. } => return Err(FetchError::NoSource.into()),
        };
        if PlatformKey::of_endorsements(&fetched.set)?.as_ref() != Some(key) {
            return Err(EndorsementFault::ForAnother("platform").into());
        }
        self.replace(key, &fetched, now)?;
        self.keep(key, fetched).await;
        Ok(())
    }

    /// Puts the set in the place of an older one, if it deserves it.
    fn replace(&self, key: &PlatformKey, filed: &Filed, now: UnixSeconds) -> Result<(), RefreshError> {
        let held = self.check(&filed.set, now)?;
        let mut state = self.state();
        let platform = state.platforms.entry(key.clone()).or_insert_with(Platform::due_now);
        if let Some(at_hand) = &platform.set {
            refuse_older(&filed.set, &at_hand.set)?;
        }
        platform.due = next_refresh(key, now, held.valid_until, self.settings.refresh_every);
        platform.set = Some(held);
        platform.failures = 0;
        platform.last_error = None;
        Ok(())
    }

    /// Whether the set leads to a root at `now`.
    fn check(&self, set: &Endorsements, now: UnixSeconds) -> Result<Held, EndorsementFault> {
        let (fetched_at, valid_until) = match set {
            Endorsements::Intel(intel) => {
                intel.check(&self.anchors, now)?;
                (intel.fetched_at(), intel.valid_until())
            }
            Endorsements::Amd(amd) => (amd.fetched_at(), amd.check(&self.anchors, now)?),
            Endorsements::NotNeeded => return Err(EndorsementFault::ForAnother("kind of evidence")),
        };
        Ok(Held { set: Arc::new(set.clone()), fetched_at, valid_until })
    }

    /// Puts the set on disk. A full disk takes no set away from those who ask now.
    async fn keep(&self, key: &PlatformKey, filed: Filed) {
        let Some(folder) = self.settings.folder.clone() else { return };
        let platform = key.clone();
        let kept = tokio::task::spawn_blocking(move || filed.keep(&folder, &platform)).await;
        if let Ok(Err(error)) = kept {
            tracing::warn!(platform = %key, error = &error as &dyn std::error::Error, "endorsements were not kept on disk");
        }
    }

    fn import_file(&self, path: &Path, now: UnixSeconds) -> Result<(), FileError> {
        let filed = Filed::read(path)?;
        let refused = |source| FileError::Refused { path: path.to_owned(), source };
        let key = PlatformKey::of_endorsements(&filed.set).map_err(refused)?;
        let key = key.ok_or_else(|| refused(EndorsementFault::ForAnother("kind of evidence")))?;
        self.replace(&key, &filed, now).map_err(|error| match error {
            RefreshError::Refused(source) => refused(source),
            other => refused(EndorsementFault::Invalid { what: "set", detail: other.to_string() }),
        })?;
        // What was kept for a while may be due now.
        if let Some(platform) = self.state().platforms.get_mut(&key) {
            let fetched_at = platform.set.as_ref().map_or(now, |held| held.fetched_at);
            platform.expected = true;
            platform.due = UnixSeconds(platform.due.0.saturating_sub(now.0.saturating_sub(fetched_at.0)));
        }
        Ok(())
    }

    fn at_hand(&self, key: &PlatformKey) -> Option<Arc<Endorsements>> {
        let state = self.state();
        state.platforms.get(key)?.set.as_ref().map(|held| Arc::clone(&held.set))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Platform {
    fn due_now() -> Self {
        Self { set: None, expected: false, fetching: false, failures: 0, last_error: None, due: UnixSeconds(0) }
    }
}

impl State {
    /// Makes room for a platform that evidence named, if the bounds allow it.
    fn take_up(&mut self, key: PlatformKey, settings: &Settings, now: UnixSeconds) -> bool {
        self.taken_up.retain(|at| now.0.saturating_sub(at.0) < 60);
        if self.taken_up.len() >= settings.new_platforms_per_minute {
            return false;
        }
        let unexpected = self.platforms.values().filter(|platform| !platform.expected).count();
        if unexpected >= settings.max_platforms {
            // Only what the vendor does not know makes room: made-up names cannot push out platforms that exist.
            let unknown = self.platforms.iter().find_map(|(key, platform)| {
                let idle = !platform.expected && !platform.fetching;
                (idle && platform.set.is_none() && platform.failures > 0).then(|| key.clone())
            });
            match unknown {
                Some(unknown) => self.platforms.remove(&unknown),
                None => return false,
            };
        }
        self.taken_up.push_back(now);
        self.platforms.insert(key, Platform::due_now());
        true
    }
}

/// The right to fetch one platform; given back when dropped, also in the middle.
struct Claim<'a> {
    cache: &'a EndorsementCache,
    key: PlatformKey,
}

impl Claim<'_> {
    fn settle(&self, now: UnixSeconds, error: Option<&RefreshError>) {
        let Some(error) = error else { return };
        let mut state = self.cache.state();
        if let Some(platform) = state.platforms.get_mut(&self.key) {
            platform.failures = platform.failures.saturating_add(1);
            platform.last_error = Some(error.to_string());
            platform.due = match error {
                RefreshError::Fetch(FetchError::NoSource) => NEVER,
                _ => next_retry(&self.key, now, platform.failures),
            };
        }
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if let Some(platform) = self.cache.state().platforms.get_mut(&self.key) {
            platform.fetching = false;
        }
    }
}

fn as_amd(set: &Endorsements) -> Option<&AmdEndorsements> {
    match set {
        Endorsements::Amd(amd) => Some(amd),
        _ => None,
    }
}

/// Numbers that never fall.
fn refuse_older(new: &Endorsements, at_hand: &Endorsements) -> Result<(), RefreshError> {
    let (Endorsements::Intel(new), Endorsements::Intel(at_hand)) = (new, at_hand) else { return Ok(()) };
    let (new_lists, lists) = (new.crl_numbers(), at_hand.crl_numbers());
    for (what, found, at_hand) in [
        ("evaluation number", u64::from(new.evaluation_number()), u64::from(at_hand.evaluation_number())),
        ("number of the root's revocation list", new_lists.root, lists.root),
        ("number of the PCK revocation list", new_lists.pck, lists.pck),
    ] {
        if found < at_hand {
            return Err(RefreshError::Older { what, found, at_hand });
        }
    }
    Ok(())
}
