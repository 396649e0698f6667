//! Simulated evidence and the verifier of real evidence: what is accepted, what is refused, and that bytes are reproducible.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod accepted;
mod bit_flips;
mod corpus;
mod deterministic;
mod intel_refused;
mod platform;
