//! Tells where the scheduler of a workerpool answers, as stock clients ask: `GET /{chain}/workerpools/{address}`.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use alloy_primitives::Address;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use strongroom_protocol::address::parse_any_case;
use tokio::task::JoinHandle;

use crate::content_store::serve;

/// A workerpool and where its scheduler answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Direction {
    /// The chain.
    pub chain_id: u64,
    /// The workerpool.
    pub workerpool: Address,
    /// Root of the scheduler's API.
    pub api_url: String,
}

/// The running compass. Dropping it stops it.
#[derive(Debug)]
pub struct Compass {
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Drop for Compass {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Compass {
    /// Serves on a port of 127.0.0.1; 0 for any free one.
    pub async fn start(direction: Direction, port: u16) -> io::Result<Self> {
        let router = Router::new().route("/{chain}/workerpools/{address}", get(find)).with_state(Arc::new(direction));
        let (address, serving) = serve(router, port).await?;
        Ok(Self { address, serving })
    }

    /// Where it answers.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

async fn find(State(known): State<Arc<Direction>>, Path((chain, address)): Path<(u64, String)>) -> Response {
    if chain == known.chain_id && parse_any_case(&address) == Ok(known.workerpool) {
        return Json(json!({ "apiUrl": known.api_url })).into_response();
    }
    let error = format!("no scheduler is known for workerpool {address} on chain {chain}");
    (StatusCode::NOT_FOUND, Json(json!({ "error": error }))).into_response()
}
