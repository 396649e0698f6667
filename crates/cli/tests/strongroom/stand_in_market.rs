//! An order book for tests: challenges and logins as the real one has them, orders in memory, replies on demand.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};
use strongroom_market::login::{Authorization, LoginChallenge};
use strongroom_poco::orders::{Order, Signed, domain};
use strongroom_protocol::{Address, B256};

use crate::stand_in_chain::CHAIN_ID;
use crate::stand_in_server::{Reply, Request, Server};

#[derive(Default)]
struct State {
    hub: Address,
    /// Kind, and what the book says about the order.
    orders: Vec<(&'static str, Value)>,
    deals: Vec<B256>,
    requests: Vec<Request>,
    scripted: VecDeque<(u16, Value)>,
}

pub(crate) struct StandInMarket {
    server: Server,
    state: Arc<Mutex<State>>,
}

impl StandInMarket {
    pub(crate) fn start(hub: Address) -> Self {
        let state = Arc::new(Mutex::new(State { hub, ..State::default() }));
        let shared = Arc::clone(&state);
        let server = Server::start(move |request| {
            let mut state = shared.lock().unwrap();
            state.requests.push(request.clone());
            let (status, body) = state.answer(&request);
            Some(Reply::json(status, &body))
        });
        Self { server, state }
    }

    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    /// Puts an order into the book, and gives its hash.
    pub(crate) fn offer<O: Order>(&self, order: &Signed<O>, remaining: u64) -> B256 {
        let hash = order.order.hash(&domain(CHAIN_ID, self.state().hub));
        let entry = json!({ "orderHash": hash, "order": order, "remaining": remaining, "status": "open", "publicationTimestamp": "now" });
        self.state().orders.push((O::KIND, entry));
        hash
    }

    /// Takes all orders of a kind out of the book.
    pub(crate) fn withdraw<O: Order>(&self) {
        self.state().orders.retain(|(kind, _)| *kind != O::KIND);
    }

    pub(crate) fn deal(&self, deal: B256) {
        self.state().deals.push(deal);
    }

    /// Answers the next request that is no challenge like this.
    pub(crate) fn next(&self, status: u16, body: Value) {
        self.state().scripted.push_back((status, body));
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.state().requests.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl State {
    fn answer(&mut self, request: &Request) -> (u16, Value) {
        let path = request.target.split('?').next().unwrap().trim_start_matches('/').to_owned();
        if path == "challenge" {
            let challenge = LoginChallenge { chain_id: CHAIN_ID, text: "sign this".to_owned() };
            return (200, json!({ "ok": true, "data": challenge.to_typed_data() }));
        }
        if let Some(scripted) = self.scripted.pop_front() {
            return scripted;
        }
        if path == "deals" {
            let deals: Vec<Value> = self.deals.iter().map(|deal| json!({ "dealid": deal })).collect();
            return (200, json!({ "ok": true, "deals": deals, "count": deals.len() }));
        }
        if request.method != "GET" {
            return (
                if is_logged_in(request) { 500 } else { 403 },
                json!({ "ok": false, "error": "invalid authorization" }),
            );
        }
        let (kind, hash) = path.split_once('/').map_or((path.as_str(), None), |(kind, hash)| (kind, Some(hash)));
        let of_kind = self.orders.iter().filter(|(of, _)| format!("{of}orders") == kind).map(|(_, entry)| entry);
        match hash {
            None => {
                let orders: Vec<&Value> = of_kind.collect();
                (200, json!({ "ok": true, "orders": orders, "count": orders.len() }))
            }
            Some(hash) => match of_kind.into_iter().find(|entry| entry["orderHash"] == hash) {
                Some(entry) => {
                    let mut entry = entry.clone();
                    entry["ok"] = true.into();
                    (200, entry)
                }
                None => (404, json!({ "ok": false, "error": "not found" })),
            },
        }
    }
}

fn is_logged_in(request: &Request) -> bool {
    let header = request.headers.get("authorization").and_then(|text| text.parse::<Authorization>().ok());
    header.is_some_and(|header| header.is_true())
}
