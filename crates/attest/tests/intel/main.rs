//! Real SGX and TDX quotes, with Intel's own collateral: what they prove, when, and that no change of them proves anything else.

#![allow(
    clippy::unwrap_used,
    reason = "fixtures and helpers of tests; clippy knows only the test functions themselves"
)]

#[path = "../mutation/mod.rs"]
mod mutation;

mod differential;
mod fixtures;
mod mutants;
mod real;
mod refused;
