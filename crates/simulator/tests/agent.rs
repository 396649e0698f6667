//! The guest agent as a guest sees it: HTTP over a Unix socket.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::Path;
use std::sync::Arc;

use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use strongroom_attest::{Evidence, EvidenceKind, ExpectedBinding, claims::Code, verify};
use strongroom_protocol::UnixSeconds;
use strongroom_simulator::agent::{GuestAgent, SimulatedGuest, serve};
use strongroom_simulator::{AppIdentity, IntelMachine, Simulator};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const NOW: UnixSeconds = UnixSeconds(1_790_000_000);
const SEED: [u8; 32] = [9; 32];

/// An agent on a socket in a folder of its own; stops when told to.
struct Running {
    folder: tempfile::TempDir,
    stop: oneshot::Sender<()>,
    server: JoinHandle<std::io::Result<()>>,
}

impl Running {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("agent.sock")).unwrap();
        let guest = SimulatedGuest {
            app: AppIdentity { compose_hash: [0xab; 32], ..AppIdentity::default() },
            vm_config: r#"{"cpu_count":2}"#.to_owned(),
            ..SimulatedGuest::default()
        };
        let agent = Arc::new(GuestAgent::start(Simulator::from_seed(SEED), IntelMachine::default(), guest));
        let (stop, stopped) = oneshot::channel::<()>();
        let server = tokio::spawn(serve(listener, agent, async {
            let _ = stopped.await;
        }));
        Self { folder, stop, server }
    }

    async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        request(&self.folder.path().join("agent.sock"), Method::POST, path, body.to_string().into_bytes()).await
    }

    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.server.await.unwrap().unwrap();
    }
}

async fn request(socket: &Path, method: Method, path: &str, body: Vec<u8>) -> (StatusCode, Value) {
    let stream = UnixStream::connect(socket).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "dstack")
        .body(Full::new(Bytes::from(body)))
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    drop(sender);
    connection.await.unwrap().unwrap();
    (status, serde_json::from_slice(&body).unwrap())
}

/// Announces an event of this size, sends none of it, and returns what the agent says to that.
async fn announce_body(socket: &Path, size_bytes: usize) -> String {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    let head = format!("POST /EmitEvent HTTP/1.1\r\nhost: dstack\r\ncontent-length: {size_bytes}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

fn text<'a>(answer: &'a Value, member: &str) -> &'a str {
    answer[member].as_str().unwrap()
}

#[tokio::test]
async fn a_guest_gets_a_quote_over_its_report_data_that_verifies_with_its_log() {
    let agent = Running::start();
    let report_data = [0x42; 64];
    let (status, answer) = agent.post("/GetQuote", json!({"report_data": hex::encode(report_data)})).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(text(&answer, "report_data"), hex::encode(report_data));
    assert_eq!(text(&answer, "vm_config"), r#"{"cpu_count":2}"#);
    assert_eq!(verified_log(&answer, report_data).compose_hash.0, [0xab; 32]);
    agent.stop().await;
}

#[tokio::test]
async fn short_report_data_is_filled_with_zeros_and_long_is_refused() {
    let agent = Running::start();
    let (_, answer) = agent.post("/GetQuote", json!({"report_data": "0x0102"})).await;
    assert_eq!(text(&answer, "report_data"), format!("0102{}", "00".repeat(62)));
    let (status, answer) = agent.post("/GetQuote", json!({"report_data": "00".repeat(65)})).await;
    assert_eq!((status, text(&answer, "error")), (StatusCode::BAD_REQUEST, "Report data is too long"));
    agent.stop().await;
}

#[tokio::test]
async fn events_of_the_application_are_measured_in_order_and_none_is_forgotten() {
    let agent = Running::start();
    for (event, payload) in [("input", "01"), ("result", "0203")] {
        let (status, answer) = agent.post("/EmitEvent", json!({"event": event, "payload": payload})).await;
        assert_eq!((status, answer), (StatusCode::OK, json!({})));
    }
    let (_, answer) = agent.post("/GetQuote", json!({"report_data": ""})).await;
    let log = verified_log(&answer, [0; 64]);
    let events: Vec<_> = log.application.iter().map(|event| (event.name.as_str(), event.payload.as_slice())).collect();
    assert_eq!(events, [("input", &[1][..]), ("result", &[2, 3])]);
    agent.stop().await;
}

#[tokio::test]
async fn info_tells_identity_registers_and_that_it_is_simulated() {
    let agent = Running::start();
    let (status, info) = agent.post("/Info", json!({})).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(text(&info, "compose_hash"), "ab".repeat(32));
    assert_eq!(text(&info, "app_id"), "ab".repeat(20));
    assert!(text(&info, "cloud_vendor").starts_with("SIMULATED"));
    let tcb_info: Value = serde_json::from_str(text(&info, "tcb_info")).unwrap();
    let (_, quote) = agent.post("/GetQuote", json!({"report_data": ""})).await;
    let log: Value = serde_json::from_str(text(&quote, "event_log")).unwrap();
    assert_eq!(tcb_info["event_log"], log);
    assert!(text(&quote, "quote").contains(text(&tcb_info, "rtmr3")));
    agent.stop().await;
}

#[tokio::test]
async fn requests_that_make_no_sense_are_refused_and_leave_no_event() {
    let agent = Running::start();
    let socket = agent.folder.path().join("agent.sock");
    assert_eq!(agent.post("/SetRtmr", json!({})).await.0, StatusCode::NOT_FOUND);
    assert_eq!(request(&socket, Method::GET, "/EmitEvent", vec![]).await.0, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(request(&socket, Method::POST, "/EmitEvent", b"event".to_vec()).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(agent.post("/EmitEvent", json!({"event": "", "payload": ""})).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(agent.post("/EmitEvent", json!({"event": "x", "payload": "0"})).await.0, StatusCode::BAD_REQUEST);
    assert!(announce_body(&socket, 2 << 20).await.starts_with("HTTP/1.1 400 "));
    let (_, answer) = agent.post("/GetQuote", json!({"report_data": ""})).await;
    assert!(verified_log(&answer, [0; 64]).application.is_empty());
    agent.stop().await;
}

#[tokio::test]
async fn a_log_that_no_verifier_would_read_is_not_written() {
    let agent = GuestAgent::start(Simulator::from_seed(SEED), IntelMachine::default(), SimulatedGuest::default());
    let payload = vec![0; 200_000];
    assert!(agent.emit_event("large", &payload).is_ok());
    assert!(agent.emit_event("large", &payload).is_ok());
    assert!(agent.emit_event("large", &payload).is_err());
    assert!(agent.evidence(&[]).unwrap().evidence().is_ok());
}

fn verified_log(answer: &Value, report_data: [u8; 64]) -> strongroom_attest::claims::MeasuredLog {
    let simulator = Simulator::from_seed(SEED);
    let evidence = Evidence::new(EvidenceKind::Tdx, hex::decode(text(answer, "quote")).unwrap()).unwrap();
    let evidence = evidence.with_event_log(text(answer, "event_log").as_bytes().to_vec()).unwrap();
    let endorsements = simulator.endorsements(EvidenceKind::Tdx, NOW);
    let binding = ExpectedBinding::new(report_data);
    let verified = verify(&evidence, &endorsements, &binding, &simulator.anchors(), NOW).unwrap();
    match &verified.claims().code {
        Code::Tdx(code) => code.log.clone().unwrap(),
        other => panic!("{other:?}"),
    }
}
