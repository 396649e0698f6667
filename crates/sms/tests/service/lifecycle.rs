//! An orderly end, and trouble with the files of the store.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;

use strongroom_poco::AssetKind;
use strongroom_protocol::challenge;
use tokio::net::TcpStream;

use super::fake_chain::Fate;
use super::raw_http::Request;
use super::running::{Running, address, signed, value, wallet};

const APP: &str = "0xabcdefabcdefabcdefabcdefabcdefabcdefabcd";
const PATH: &str = "/apps/0xabcdefabcdefabcdefabcdefabcdefabcdefabcd/secrets";

fn push() -> Request {
    let signature = signed(&wallet(1), challenge::push_app_secret(address(APP), &value("x")));
    Request::new("POST", PATH).header("Authorization", &signature).body("x")
}

#[tokio::test]
async fn a_stopping_service_finishes_what_it_began_and_takes_nothing_new() {
    let mut running = Running::start().await;
    running.chain.register(AssetKind::App, address(APP), wallet(1).address());
    running.chain.set_fate(Fate::Waits);
    let address = running.address;
    let begun = tokio::spawn(async move { push().send(address).await });
    running.chain.asked().await;

    let service = running.take_service();
    let stopping = tokio::spawn(service.stop());
    while TcpStream::connect(address).await.is_ok() {}
    assert!(!stopping.is_finished(), "it waits for the request");

    running.chain.set_fate(Fate::Answered);
    begun.await.unwrap().assert(204, "", "begun before the end");
    stopping.await.unwrap();
    running.start_again().await;
    assert_eq!(running.head(PATH).await, 204);
}

#[tokio::test]
async fn a_stopping_service_does_not_wait_for_ever() {
    let mut running = Running::start_with(|config| config.server.shutdown_grace_ms = 50.try_into().unwrap()).await;
    running.chain.set_fate(Fate::Waits);
    let address = running.address;
    let begun = tokio::spawn(async move { push().send(address).await });
    running.chain.asked().await;
    running.stop().await;
    begun.abort();
}

#[tokio::test]
async fn idle_connections_do_not_delay_the_end() {
    let mut running = Running::start().await;
    let _idle = TcpStream::connect(running.address).await.unwrap();
    assert_eq!(running.get("/version").await.status, 200);
    running.stop().await;
}

#[tokio::test]
async fn damaged_files_are_trouble_and_never_absence() {
    let running = Running::start().await;
    running.chain.register(AssetKind::App, address(APP), wallet(1).address());
    assert_eq!(running.send(&push()).await.status, 204);
    for file in ["strongroom.db", "strongroom.db-wal"] {
        overwrite(&running.folder.path().join("data").join(file));
    }
    let answer = running.send(&Request::new("HEAD", PATH)).await;
    assert_eq!((answer.status, answer.header("retry-after").as_deref()), (503, Some("1")));
    assert_eq!(running.get("/actuator/health").await.status, 503);
}

fn overwrite(file: &PathBuf) {
    let length = usize::try_from(std::fs::metadata(file).unwrap().len()).unwrap();
    OpenOptions::new().write(true).open(file).unwrap().write_all(&vec![0x5a; length]).unwrap();
}
