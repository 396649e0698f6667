//! From the purchase to the payment: the pool, the service, the sandbox and the guest as programs, on the real contracts.

#[path = "../support/mod.rs"]
mod support;

mod contracts;
mod journeys;
mod load;
mod results;
mod scene;
