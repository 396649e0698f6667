//! The whole network in the hands of the stock iexec SDK: orders in the book, tasks bought and watched, results fetched.

#![allow(clippy::unwrap_used, reason = "these are tests")]

#[path = "../support/mod.rs"]
mod support;

mod book;
mod journey;
mod scene;
