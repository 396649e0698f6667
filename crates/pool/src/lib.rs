//! The pool: scheduler and worker of one workerpool. Watches its deals, runs bought tasks in enclaves, and has their results
//! settled on chain.
//!
//! - [`lifecycle`]: the life of a task, as a table. [`judge`]: which deals are worth their gas.
//! - [`store`]: what is remembered. [`engine`]: moves every task on. [`watch`]: finds new ones.
//! - [`scheduler`], [`worker`]: the halves, each with its key. [`room`]: how many enclaves at once.
//! - [`outside`]: chain, services, enclaves and time as the engine sees them.
//!
//! It cannot open a stored secret: what the enclave gets passes through it sealed.

pub mod api;
pub mod callbacks;
pub mod cause;
mod command_line;
pub mod config;
pub mod engine;
pub mod judge;
pub mod keys;
pub mod ledger;
pub mod lifecycle;
pub mod metrics;
pub mod outside;
pub mod relay;
pub mod result_place;
pub mod room;
pub mod runner;
pub mod scheduler;
pub mod services;
pub mod store;
pub mod task;
pub mod telemetry;
#[cfg(test)]
mod test_support;
pub mod watch;
pub mod worker;
