//! An SMS for tests: HTTP/1.1 on a free port, secrets in memory, the order of checks and the statuses of the real one.
//! Signatures are checked for real. Replies can be put in its mouth, to see what the command makes of them.

use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

use strongroom_protocol::address::parse_any_case;
use strongroom_protocol::{Address, B256, SecretValue, Signature, challenge};
use url::Url;

/// What arrived.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    pub(crate) method: String,
    /// Path and query as sent.
    pub(crate) target: String,
    /// Names in lower case.
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

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
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    stopping: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl StandInSms {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State::default()));
        let stopping = Arc::new(AtomicBool::new(false));
        let (shared, stop) = (Arc::clone(&state), Arc::clone(&stopping));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                // A client that goes away is its own business.
                let _ = serve(stream.unwrap(), &shared);
            }
        });
        Self { address, state, stopping, thread: Some(thread) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
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

impl Drop for StandInSms {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(mut stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let request = read(&stream)?;
    let mut state = state.lock().unwrap();
    state.requests.push(request.clone());
    let (status, headers, body) = match state.scripted.pop_front() {
        Some(Scripted::HangUp) => return Ok(()),
        Some(Scripted::Status(status, headers, body)) => (status, headers, body),
        None => (state.answer(&request), "", String::new()),
    };
    drop(state);
    let body = if request.method == "HEAD" { String::new() } else { body };
    write!(stream, "HTTP/1.1 {status} -\r\nconnection: close\r\n{headers}")?;
    if status != 204 {
        write!(stream, "content-length: {}\r\n", body.len())?;
    }
    write!(stream, "\r\n{body}")
}

/// Reads one request.
pub(crate) fn read(stream: &TcpStream) -> std::io::Result<Request> {
    let mut lines = BufReader::new(stream);
    let mut line = String::new();
    lines.read_line(&mut line)?;
    let mut words = line.split_whitespace().map(str::to_owned);
    let mut request = Request {
        method: words.next().unwrap_or_default(),
        target: words.next().unwrap_or_default(),
        ..Request::default()
    };
    loop {
        let mut line = String::new();
        lines.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        request.headers.insert(name.to_lowercase(), value.to_owned());
    }
    let length = request.headers.get("content-length").map_or(0, |text| text.parse().unwrap());
    request.body.resize(length, 0);
    lines.read_exact(&mut request.body)?;
    Ok(request)
}

impl State {
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
