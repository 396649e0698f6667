//! Keeps what vendors say about platforms at hand: fetched in the background, verified, kept on disk, bounded.
//!
//! [`EndorsementCache::find`] is what a request calls: it looks into memory and never waits. A platform that is not there is
//! noted, fetched in the background by [`EndorsementCache::run`], and found by the next request. A fetched set replaces the one
//! at hand only if it leads to a configured root at that moment, is for the platform asked about, and is no older: neither its
//! evaluation number nor the numbers of its revocation lists may fall.
//!
//! Which platform is asked about follows from unauthenticated evidence, so everything it can cause is bounded: how many
//! platforms are kept, how many new ones are taken up in a minute, how many are fetched at once, how large an answer may be.
//!
//! Without addresses nothing is fetched: sets come from files ([`EndorsementCache::import`]) through the same checks.

mod amd;
mod cache;
mod download;
mod files;
mod intel;
mod schedule;
mod settings;

pub use cache::{EndorsementCache, PlatformStatus, RefreshError};
pub use download::FetchError;
pub use files::FileError;
pub use settings::Settings;
