//! A node that passes questions on to the real one, and answers as it is told to.

use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// What it does with answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fate {
    Honest,
    Down,
    /// Changes the last byte of what contracts answer.
    Lies,
    /// Contracts say that they are on another chain.
    OtherChain,
}

pub(crate) struct NodeInBetween {
    pub(crate) url: String,
    fate: Arc<Mutex<Fate>>,
    serving: AbortHandle,
}

impl Drop for NodeInBetween {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl NodeInBetween {
    pub(crate) async fn start(real: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let fate = Arc::new(Mutex::new(Fate::Honest));
        let (told, real) = (Arc::clone(&fate), real.to_owned());
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(pass_on(stream, real.clone(), Arc::clone(&told)));
            }
        });
        Self { url, fate, serving: serving.abort_handle() }
    }

    pub(crate) fn set(&self, fate: Fate) {
        *self.fate.lock().unwrap() = fate;
    }
}

async fn pass_on(mut stream: TcpStream, real: String, fate: Arc<Mutex<Fate>>) {
    let http = crate::scene::http();
    while let Some(question) = read_body(&mut stream).await {
        let fate = *fate.lock().unwrap();
        if fate == Fate::Down {
            return;
        }
        let mut answer: Value = http.post(&real).json(&question).send().await.unwrap().json().await.unwrap();
        if question["method"] == "eth_call"
            && let Some(result) = answer["result"].as_str()
        {
            let mut bytes = hex::decode(&result[2..]).unwrap();
            match fate {
                Fate::Honest | Fate::Down => {}
                Fate::Lies => *bytes.last_mut().unwrap() ^= 1,
                // The first word of every reading is the id of the chain.
                Fate::OtherChain => bytes[31] ^= 1,
            }
            answer["result"] = format!("0x{}", hex::encode(bytes)).into();
        }
        let body = answer.to_string();
        let head =
            format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
        if stream.write_all((head + &body).as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn read_body(stream: &mut TcpStream) -> Option<Value> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8(bytes[..end].to_vec()).ok()?.to_lowercase();
            let length: usize = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())?;
            if bytes.len() >= end + 4 + length {
                return serde_json::from_slice(&bytes[end + 4..end + 4 + length]).ok();
            }
        }
        let mut buffer = [0; 4096];
        let read = stream.read(&mut buffer).await.ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&buffer[..read]);
    }
}
