//! A node that tests play: a JSON-RPC server on a free port with one chain inside, and faults on demand.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use alloy_primitives::{Address, B256, U256};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use url::Url;

use crate::reader::{self, Answer, Reading};

pub(crate) const CHAIN_ID: u64 = 4242;
pub(crate) const HUB: Address = Address::repeat_byte(0xb0);

/// What the node does with the next request instead of answering it.
#[derive(Clone, Debug)]
pub(crate) enum Misbehave {
    /// Sends nothing and keeps the connection.
    Hang,
    /// Closes the connection.
    Disconnect,
    /// Sends half of the announced body and closes.
    CutBody,
    /// An HTTP status and a body.
    Http(u16, String),
    /// A JSON-RPC error.
    Refuse(i64, &'static str),
    /// A result in place of the true one.
    Result(Value),
    /// The true result under another id.
    OtherId,
}

/// What is on the chain of the node, and how it behaves.
#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) chain_id: Option<u64>,
    pub(crate) height: u64,
    /// Makes the hashes of blocks of this node different from others'.
    pub(crate) fork: u8,
    pub(crate) owners: HashMap<Address, Address>,
    pub(crate) contracts: Vec<Address>,
    /// Block hashes that this node does not know.
    pub(crate) unknown_blocks: Vec<B256>,
    pub(crate) no_state_override: bool,
    /// Used up first to last, one per request of the method (or of any, if empty).
    pub(crate) faults: Vec<(&'static str, Misbehave)>,
    /// Taken when there are no faults left.
    pub(crate) always: Option<Misbehave>,
    /// Methods asked for.
    pub(crate) asked: Vec<String>,
}

impl World {
    pub(crate) fn block_hash(&self, number: u64) -> B256 {
        let mut hash = B256::from(U256::from(number));
        hash[0] = 0xbb;
        hash[1] = self.fork;
        hash
    }

    pub(crate) fn count(&self, method: &str) -> usize {
        self.asked.iter().filter(|asked| *asked == method).count()
    }

    fn answer(&mut self, method: &str, params: &Value) -> Result<Value, (i64, &'static str)> {
        match method {
            "eth_chainId" => Ok(json!(format!("{:#x}", self.chain_id.unwrap_or(CHAIN_ID)))),
            "eth_getBlockByNumber" => {
                let number = match params[0].as_str() {
                    Some("latest") => self.height,
                    Some(number) => u64::from_str_radix(&number[2..], 16).unwrap(),
                    None => return Err((-32602, "invalid params")),
                };
                if number > self.height {
                    return Ok(Value::Null);
                }
                let hash = self.block_hash(number);
                Ok(
                    json!({ "number": format!("{number:#x}"), "hash": hash, "timestamp": format!("{:#x}", 1_000 + number) }),
                )
            }
            "eth_call" => self.call(params),
            _ => Err((-32601, "method not found")),
        }
    }

    /// Plays the two programs that we write: of the hub check, and of the owner of one asset, which stands in the code.
    fn call(&mut self, params: &Value) -> Result<Value, (i64, &'static str)> {
        let hash: B256 =
            serde_json::from_value(params[1]["blockHash"].clone()).map_err(|_| (-32602, "no block hash"))?;
        if self.unknown_blocks.contains(&hash) {
            return Err((-32001, "header not found"));
        }
        let reader = params[0]["to"].as_str().unwrap();
        if self.no_state_override {
            return Ok(json!("0x"));
        }
        let code = params[2][reader]["code"].as_str().unwrap();
        let named = |address: &Address| code.contains(&hex::encode(address));
        let asset = self.owners.iter().find(|(asset, _)| named(asset));
        let word = |word: B256| Some(word.to_vec());
        let registry: Answer = word(Address::repeat_byte(0x4e).into_word());
        let answers = match asset {
            Some((_, owner)) => vec![
                registry,
                word(B256::with_last_byte(1)),
                word(owner.into_word()),
                word(B256::with_last_byte(u8::from(self.contracts.contains(owner)))),
            ],
            None => vec![registry, word(B256::ZERO), None, word(B256::ZERO)],
        };
        let chain_id = self.chain_id.unwrap_or(CHAIN_ID);
        Ok(json!(format!("0x{}", hex::encode(reader::encode(&Reading { chain_id, answers })))))
    }
}

/// The running server. Dropping it stops it.
pub(crate) struct FakeNode {
    pub(crate) url: Url,
    pub(crate) world: Arc<Mutex<World>>,
    server: AbortHandle,
}

impl FakeNode {
    pub(crate) async fn start(world: World) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/key-of-provider", listener.local_addr().unwrap()).parse().unwrap();
        let world = Arc::new(Mutex::new(world));
        let served = Arc::clone(&world);
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&served)));
            }
        });
        Self { url, world, server: server.abort_handle() }
    }

    pub(crate) fn with<T>(&self, change: impl FnOnce(&mut World) -> T) -> T {
        change(&mut self.world.lock().unwrap())
    }
}

impl Drop for FakeNode {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(mut stream: TcpStream, world: Arc<Mutex<World>>) {
    while let Some(request) = read_request(&mut stream).await {
        let method = request["method"].as_str().unwrap();
        let (fault, answer) = {
            let mut world = world.lock().unwrap();
            world.asked.push(method.to_owned());
            let position = world.faults.iter().position(|(of, _)| of.is_empty() || *of == method);
            let fault = position.map(|at| world.faults.remove(at).1).or_else(|| world.always.clone());
            (fault, world.answer(method, &request["params"]))
        };
        let reply = |id: &Value, answer: Result<Value, (i64, &str)>| match answer {
            Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string(),
            Err((code, message)) => {
                json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } }).to_string()
            }
        };
        let id = &request["id"];
        let (status, body, announced) = match fault {
            None => (200, reply(id, answer), None),
            Some(Misbehave::Hang) => return std::future::pending().await,
            Some(Misbehave::Disconnect) => return,
            Some(Misbehave::CutBody) => (200, r#"{"jsonrpc":"#.to_owned(), Some(500)),
            Some(Misbehave::Http(status, body)) => (status, body, None),
            Some(Misbehave::Refuse(code, message)) => (200, reply(id, Err((code, message))), None),
            Some(Misbehave::Result(result)) => (200, reply(id, Ok(result)), None),
            Some(Misbehave::OtherId) => (200, reply(&json!(0), answer), None),
        };
        let length = announced.unwrap_or(body.len());
        let head = format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n");
        if stream.write_all((head + &body).as_bytes()).await.is_err() || announced.is_some() {
            return;
        }
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<Value> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8(bytes[..end].to_vec()).unwrap().to_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "))?.parse::<usize>().unwrap();
            if bytes.len() >= end + 4 + length {
                return serde_json::from_slice(&bytes[end + 4..end + 4 + length]).ok();
            }
        }
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(read) => bytes.extend_from_slice(&buffer[..read]),
        }
    }
}
