//! Nitro documents through the one public entry: a real one, every small change of it, and each rule on forged ones.
//!
//! The forged ones need a root of their own: `cargo test -p strongroom-attest --features development-anchors --test nitro`.

#[cfg(feature = "development-anchors")]
mod forge;
mod mutants;
#[path = "../mutation/mod.rs"]
mod mutation;
#[cfg(feature = "development-anchors")]
mod policy;
mod real;
#[cfg(feature = "development-anchors")]
mod rules;
#[cfg(feature = "development-anchors")]
#[path = "../x509/mod.rs"]
mod x509;
