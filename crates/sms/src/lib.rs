//! The Secret Management Service: owners store their secrets, judged by the contracts of PoCo, over the HTTP dialect of
//! iExec's SMS, so that stock clients need not change.
//!
//! - [`config`]: every setting.
//! - [`owners`], [`tasks`]: the questions asked of the chain.
//! - [`release`]: what an enclave must prove and what it receives.
//! - `secrets`: who may write, and in which order things are checked.
//! - `backups`: copies of the store, for operators.
//! - `http`: the dialect: routes, bodies, errors.
//! - `server`: connections, TLS, the orderly end.
//! - [`service`]: all of it put together.
//!
//! The library reads no environment and no clock of its own; the program hands both in.

pub mod clock;
pub mod config;
pub mod owners;
pub mod release;
pub mod service;
pub mod tasks;
pub mod telemetry;
pub mod vault;

mod backups;
mod http;
mod metrics;
mod rate_limit;
mod secrets;
mod server;
mod sms;

pub(crate) use sms::Sms;
