//! A panic is reported with its place, and its message is not: it may hold what a client sent. Its own program, because the
//! panic hook and the log belong to the whole process.

#![allow(clippy::unwrap_used, reason = "a failed step of a test should stop it")]
#![allow(dead_code, reason = "the modules serve more tests than this one")]

use std::io;
use std::sync::{Arc, Mutex};

use strongroom_sms::config::LogConfig;
use strongroom_sms::telemetry;

use fake_chain::Fate;
use raw_http::Request;
use running::Running;

#[path = "service/fake_chain.rs"]
mod fake_chain;
#[path = "service/raw_http.rs"]
mod raw_http;
#[path = "service/running.rs"]
mod running;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_panic_is_logged_with_its_place_and_without_its_message() {
    let log = Log::default();
    let writer = log.clone();
    telemetry::install(&LogConfig::default(), move || writer.clone());
    let running = Running::start().await;
    running.chain.set_fate(Fate::Panics);
    let signature = format!("0x{}1b", "11".repeat(64));
    let request = Request::new("POST", "/apps/0xabcdefabcdefabcdefabcdefabcdefabcdefabcd/secrets");
    let answer = running.send(&request.header("Authorization", &signature).body("x")).await;
    assert_eq!(answer.status, 500);
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("place=") && log.contains("fake_chain.rs"), "{log}");
    assert!(!log.contains("panics about") && !log.contains("111111"), "{log}");
}
