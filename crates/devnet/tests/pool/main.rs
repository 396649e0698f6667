//! From the purchase to the payment: the pool, the service, the sandbox and the guest as programs, on the real contracts.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests may, and so may their helpers")]

#[path = "../../../runtime/tests/support/podman.rs"]
mod podman;
#[path = "../support/mod.rs"]
mod support;

mod containers;
mod contracts;
mod crashes;
mod datasets;
mod door;
mod failures;
mod halves;
mod isolation;
mod journeys;
mod load;
mod outages;
mod restarted_chain;
mod results;
mod scene;
mod users;
mod watching;
