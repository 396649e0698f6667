//! SEV-SNP evidence through the one public entry: real reports, every small change of them, and each rule on forged ones.
//!
//! The forged ones need a root of their own: `cargo test -p strongroom-attest --features development-anchors --test snp`.

#[cfg(feature = "development-anchors")]
mod forge;
mod mutants;
#[path = "../mutation/mod.rs"]
mod mutation;
mod oracle;
#[cfg(feature = "development-anchors")]
mod policy;
mod real;
#[cfg(feature = "development-anchors")]
mod rules;
#[cfg(feature = "development-anchors")]
#[path = "../x509/mod.rs"]
mod x509;
