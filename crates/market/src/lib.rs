//! Talks to an order book: finds, publishes and takes out orders. The book is not trusted: an order counts only when it hashes to the name
//! it is given under, and what is left of it and who signed it is for the chain to say.
//!
//! Source: the market API of iExec. Orders are those of [`strongroom_poco::orders`].

mod client;
pub mod login;

pub use client::{Market, MarketError, Published, Search};
