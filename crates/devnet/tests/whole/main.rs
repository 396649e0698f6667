//! The whole network in the hands of those who use it: with the stock SDK, with `strongroom`, and with both of them.

#![allow(clippy::unwrap_used, reason = "these are tests")]

#[path = "../support/mod.rs"]
mod support;

mod book;
mod bulk;
mod by_hand;
mod by_iexec;
mod by_strongroom;
mod callback;
mod journey;
mod scene;
mod story;
mod tools;
mod whitelist;
