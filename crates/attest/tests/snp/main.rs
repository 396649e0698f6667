//! SEV-SNP evidence through the one public entry: real reports, every small change of them, and each rule on forged ones.
//!
//! The forged ones need a root of their own: `cargo test -p strongroom-attest --features development-anchors --test snp`.

mod mutants;
#[path = "../mutation/mod.rs"]
mod mutation;
mod real;
