//! An SMS for tests: HTTP/1.1 on a free port, secrets in memory, the order of checks and the statuses of the real one.
//! Signatures are checked for real. Replies can be put in its mouth, to see what the command makes of them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use strongroom_protocol::address::parse_any_case;
use strongroom_protocol::{Address, B256, SecretValue, Signature, challenge};
use url::Url;

use crate::stand_in_server::{Reply, Request, Server};

/// A reply put in its mouth.
#[derive(Clone, Debug)]
pub(crate) enum Scripted {
    /// This status, with these header lines and this body.
    Status(u16, &'static str, String),
    /// The connection closes without a word, after the request was read.
    HangUp,
}

#[derive(Default)]
struct State {
    owners: HashMap<Address, Address>,
    stored: HashMap<String, Vec<u8>>,
    requests: Vec<Request>,
    scripted: VecDeque<Scripted>,
}

pub(crate) struct StandInSms {
    server: Server,
    state: Arc<Mutex<State>>,
}

impl StandInSms {
    pub(crate) fn start() -> Self {
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let server = Server::start(move |request| shared.lock().unwrap().reply(&request));
        Self { server, state }
    }

    pub(crate) fn url(&self) -> String {
        self.server.url()
    }

    /// Says who owns an app or dataset.
    pub(crate) fn owned(self, asset: &str, owner: &str) -> Self {
        self.state().owners.insert(parse_any_case(asset).unwrap(), parse_any_case(owner).unwrap());
        self
    }

    /// Answers the next request like this.
    pub(crate) fn next(&self, reply: Scripted) {
        self.state().scripted.push_back(reply);
    }

    pub(crate) fn next_status(&self, status: u16) {
        self.next(Scripted::Status(status, "", String::new()));
    }

    /// What arrived so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.state().requests.clone()
    }

    /// The value stored at this path and query.
    pub(crate) fn stored(&self, target: &str) -> Option<String> {
        let value = self.state().stored.get(&target.to_lowercase()).cloned();
        value.map(|bytes| String::from_utf8(bytes).unwrap())
    }

    /// Loses the value stored at this path and query, as an SMS does whose disk was restored from an older copy.
    pub(crate) fn forget(&self, target: &str) {
        assert!(self.state().stored.remove(&target.to_lowercase()).is_some());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl State {
    fn reply(&mut self, request: &Request) -> Option<Reply> {
        self.requests.push(request.clone());
        let (status, headers, body) = match self.scripted.pop_front() {
            Some(Scripted::HangUp) => return None,
            Some(Scripted::Status(status, headers, body)) => (status, headers, body),
            None => (self.answer(request), "", String::new()),
        };
        let body = if request.method == "HEAD" { String::new() } else { body };
        Some(Reply { status, headers, body })
    }

    fn answer(&mut self, request: &Request) -> u16 {
        let url = Url::parse("http://sms").unwrap().join(&request.target).unwrap();
        let query: HashMap<_, _> = url.query_pairs().into_owned().collect();
        let path: Vec<_> = url.path_segments().unwrap().collect();
        let value = SecretValue::new(request.body.clone()).unwrap();
        let address = |text: &str| parse_any_case(text).unwrap();
        // Who must have signed, and what.
        let (signer, hash): (Option<Address>, B256) = match path.as_slice() {
            ["apps", app, "secrets"] => {
                let app = address(app);
                (self.owners.get(&app).copied(), challenge::push_app_secret(app, &value))
            }
            ["requesters", requester, "secrets", name] => {
                let requester = address(requester);
                (Some(requester), challenge::push_requester_secret(requester, name, &value))
            }
            ["secrets", "web3"] => {
                let dataset = address(&query["secretAddress"]);
                (self.owners.get(&dataset).copied(), challenge::push_dataset_secret(dataset, &value))
            }
            ["secrets", "web2"] => {
                let owner = address(&query["ownerAddress"]);
                (Some(owner), challenge::push_account_secret(owner, &query["secretName"], &value))
            }
            _ => return 404,
        };
        let key = request.target.to_lowercase();
        let exists = self.stored.contains_key(&key);
        if request.method == "HEAD" {
            return if exists { 204 } else { 404 };
        }
        if request.body.is_empty() {
            return 400;
        }
        let signature = request.headers.get("authorization").and_then(|text| text.parse::<Signature>().ok());
        let signed = signature.zip(signer).is_some_and(|(signature, signer)| signature.is_by(signer, hash));
        if !signed {
            return 401;
        }
        match (request.method.as_str(), exists) {
            ("POST", true) => 409,
            ("PUT", false) => 404,
            ("POST" | "PUT", _) => {
                self.stored.insert(key, request.body.clone());
                204
            }
            _ => 405,
        }
    }
}
