//! Uploads that are too large, many at once: refused, within bounded memory.

use std::net::SocketAddr;
use std::sync::Arc;

use strongroom_protocol::challenge;
use strongroom_protocol::secret::MAX_SECRET_BYTES;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Barrier;

use super::child::{Files, Listening};
use super::raw_http::{Answer, Request};
use super::running::{signed, value, wallet};

const UPLOADS: usize = 1_000;
const LARGE_PLACES: u64 = 4;
const SMALL_BYTES: u64 = 16 * 1024;
/// All the program may ever have in memory, in kB: far below what the uploads hold together (4 GiB).
const MOST_RESIDENT_KB: u64 = 250_000;

/// Sends a head and then more than anyone may send; returns the status if one came back.
async fn upload(address: SocketAddr, together: Arc<Barrier>) -> Option<u16> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    let head = "POST /secrets/web3?secretAddress=x HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: x\r\n";
    stream.write_all(format!("{head}Transfer-Encoding: chunked\r\n\r\n").as_bytes()).await.ok()?;
    together.wait().await;
    let (mut read, mut write) = stream.split();
    let sending = async {
        let chunk = [format!("{:x}\r\n", 32 * 1024).as_bytes(), "x".repeat(32 * 1024).as_bytes(), b"\r\n"].concat();
        for _ in 0..=MAX_SECRET_BYTES / (32 * 1024) {
            if write.write_all(&chunk).await.is_err() {
                return;
            }
        }
    };
    let mut answer = Vec::new();
    let ((), _) = tokio::join!(sending, read.read_to_end(&mut answer));
    (!answer.is_empty()).then(|| Answer::parse(&answer).status)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_oversize_uploads_at_once_are_refused_in_bounded_memory() {
    let files = Files::new("");
    let mut command = files.command(&["run"]);
    command.env("STRONGROOM_SERVER_MAX_LARGE_BODIES", LARGE_PLACES.to_string());
    let service = Listening::start_command(command).await;
    let together = Arc::new(Barrier::new(UPLOADS));
    let uploads: Vec<_> = (0..UPLOADS).map(|_| tokio::spawn(upload(service.address, Arc::clone(&together)))).collect();
    let mut refused = 0;
    for upload in uploads {
        // 413: too large. 408 and 503: no place in memory in time. None: cut.
        match upload.await.unwrap() {
            Some(413 | 408 | 503) => refused += 1,
            None => {}
            Some(status) => panic!("{status}"),
        }
    }
    assert!(refused > 0);

    let metrics = Request::new("GET", "/actuator/prometheus").send(service.address).await.body;
    let gauge = |name: &str| -> u64 {
        let line = metrics.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap();
        line.split(' ').nth(1).unwrap().parse().unwrap()
    };
    let bound = LARGE_PLACES * MAX_SECRET_BYTES as u64 + UPLOADS as u64 * SMALL_BYTES;
    assert!(gauge("strongroom_http_body_bytes_reserved_peak") <= bound);
    assert_eq!(gauge("strongroom_http_body_bytes_reserved"), 0);
    let status = std::fs::read_to_string(format!("/proc/{}/status", service.id())).unwrap();
    let resident: u64 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|line| line.trim().strip_suffix(" kB"))
        .unwrap()
        .parse()
        .unwrap();
    assert!(resident < MOST_RESIDENT_KB, "{resident} kB");

    let owner = wallet(1).address();
    let signature = signed(&wallet(1), challenge::push_requester_secret(owner, "n", &value("x")));
    let push = Request::new("POST", &format!("/requesters/{owner}/secrets/n")).header("Authorization", &signature);
    assert_eq!(push.body("x").send(service.address).await.status, 204, "others are served");
}
