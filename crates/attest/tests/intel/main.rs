//! Real SGX and TDX quotes, with Intel's own collateral: what they prove, when, and that no change of them proves anything else.

#[path = "../mutation/mod.rs"]
mod mutation;

mod differential;
mod fixtures;
mod mutants;
mod real;
mod refused;
