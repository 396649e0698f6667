//! The order book of the network: the market API that the stock SDK and our command line publish orders to and search them in. Orders and
//! deals are kept in SQLite and follow the chain. For local networks: there is no rate limit and no stream of news.
//!
//! Source: the market API of iExec, versions of SDK 8 and 9.

mod api;
mod listing;
mod login;
mod order;
mod publishing;
mod records;
mod watching;

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::task::JoinHandle;

use crate::content_store::serve;
use crate::deploy::Chain;
use login::Logins;
use records::Records;

/// Why the book did not start.
#[derive(Debug, thiserror::Error)]
pub enum OrderBookError {
    /// Its file cannot be used.
    #[error("the order book's file cannot be used")]
    Database(#[from] rusqlite::Error),
    /// Its port cannot be had, or its folder not be written.
    #[error("the order book could not be started")]
    Io(#[from] io::Error),
    /// The address of the node is none.
    #[error("the order book has no use for the address of the node")]
    Chain(#[from] strongroom_poco::ChainConfigError),
}

/// The running order book. Dropping it stops it; the file stays.
#[derive(Debug)]
pub struct OrderBook {
    address: SocketAddr,
    serving: JoinHandle<()>,
    watching: JoinHandle<()>,
}

impl Drop for OrderBook {
    fn drop(&mut self) {
        self.serving.abort();
        self.watching.abort();
    }
}

/// What the parts of the book share.
struct Book {
    contracts: Chain,
    chain: strongroom_poco::Chain,
    records: Mutex<Records>,
    logins: Mutex<Logins>,
}

impl Book {
    fn records(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn logins(&self) -> MutexGuard<'_, Logins> {
        self.logins.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OrderBook {
    /// Serves on a port of 127.0.0.1, 0 for any free one, with a file in `folder`, which must exist.
    pub async fn start(
        contracts: Chain,
        chain: strongroom_poco::Chain,
        folder: &Path,
        port: u16,
    ) -> Result<Self, OrderBookError> {
        let records = Records::open(&folder.join("orders.sqlite"))?;
        let book = Book { contracts, chain, records: Mutex::new(records), logins: Mutex::default() };
        let book = Arc::new(book);
        let (address, serving) = serve(api::router(Arc::clone(&book)), port).await?;
        let watching = tokio::spawn(watching::follow(book));
        Ok(Self { address, serving, watching })
    }

    /// Where it answers.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}
