//! Nitro documents through the one public entry: a real one, every small change of it, and each rule on forged ones.
//!
//! The forged ones need a root of their own: `cargo test -p strongroom-attest --features development-anchors --test nitro`.

mod mutants;
#[path = "../mutation/mod.rs"]
mod mutation;
mod real;
