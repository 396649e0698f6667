//! Runs the built `strongroom` as a person or a script would, against an SMS that stands in for the real one and checks
//! every signature. Each test has a home of its own; nothing is shared, nothing of this machine's user is touched.

#![allow(clippy::unwrap_used, reason = "the helpers of these tests are tests too")]

mod accounts;
mod buying;
mod chains;
mod datasets;
mod devnets;
mod evidence;
mod health;
mod help;
mod home;
mod journals;
mod mistakes;
mod orders;
mod packing;
mod pools;
mod prompts;
mod pushed;
mod result_keys;
mod secrets;
mod stage;
mod stand_in_chain;
mod stand_in_market;
mod stand_in_pool;
mod stand_in_server;
mod stand_in_sms;
mod successes;
mod tasks;
mod templates;
mod trouble;
mod wallets;
mod watching;
