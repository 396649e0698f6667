//! The service as a program of its own: killed between record and answer, and searched for secrets that it released.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use strongroom_devnet::simulated::SimulatedTrust;
use strongroom_devnet::sms::{Sms, SmsOptions};
use strongroom_protocol::bundle::{self, Item};
use strongroom_protocol::release::{Receipt, ReleaseAnswer, ReleaseRequest};
use strongroom_protocol::sealing::EnclaveKeyPair;
use strongroom_protocol::transcript::Transcript;
use strongroom_simulator::TdxMeasured;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::canary_forms::{assert_absent, forms};
use crate::ground::{Ground, REQUESTER};
use crate::scene::{Scene, http, now, simulator};
use crate::support;

/// How often the service is killed; set the variable to 50 for the long form.
const ROUNDS_VARIABLE: &str = "STRONGROOM_CRASH_ROUNDS";
const DEFAULT_ROUNDS: u64 = 4;

fn rounds() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "the length of this test is the caller's choice")]
    std::env::var(ROUNDS_VARIABLE).map_or(DEFAULT_ROUNDS, |rounds| rounds.parse().unwrap())
}

/// A program that believes the simulator, and the scene around it.
async fn start(log_filter: &str) -> (Sms, Scene) {
    let ground = Ground::shared().await;
    let folder = Arc::new(tempfile::tempdir().unwrap());
    let approved = TdxMeasured::default();
    let trust = SimulatedTrust::write(folder.path(), &simulator(), &[("simulated", &approved)], now()).unwrap();
    let program = support::program("strongroom-sms", "strongroom-sms");
    let options = SmsOptions {
        simulated: Some(trust),
        rate_limits: false,
        log_filter: log_filter.to_owned(),
        ..SmsOptions::new(program, folder.path())
    };
    let sms = tokio::task::block_in_place(|| Sms::start(&ground.devnet, options)).unwrap();
    let scene = Scene::around(ground, folder, &sms);
    (sms, scene)
}

/// What the enclave sees in an answer that it believes.
fn opened(answer: &ReleaseAnswer, transcript: &Transcript, keys: &EnclaveKeyPair) -> (Receipt, Vec<(String, Vec<u8>)>) {
    let items = bundle::decode(&answer.open(transcript, keys).unwrap()).unwrap();
    let plain = |item: Item| (format!("{} {}", item.stage, item.name), item.value.expose_secret().to_vec());
    (answer.receipt, items.into_iter().map(plain).collect())
}

/// Sends the request and never looks at an answer.
async fn send_only(url: &str, request: &ReleaseRequest) -> TcpStream {
    let body = serde_json::to_vec(request).unwrap();
    let mut stream = TcpStream::connect(url.strip_prefix("http://").unwrap()).await.unwrap();
    let head = format!("POST /v1/releases HTTP/1.1\r\nHost: sms\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(&[head.as_bytes(), &body].concat()).await.unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_release_whose_answer_was_lost_to_kill_9_is_given_again_from_its_one_record() {
    let (mut sms, mut scene) = start("info").await;
    scene.store_secrets().await;
    for round in 0..rounds() {
        let bought = scene.ground.buy(&scene.ground.wish()).await;
        let held = scene.session(&bought).await.unwrap();
        let (transcript, keys) = scene.transcript_and_keys(held.id).await;
        let request = scene.request(held.id, &transcript, &Scene::enclave(bought.image)).await;

        let stream = send_only(&scene.url, &request).await;
        if round.is_multiple_of(2) {
            // As soon as the record is durable; no answer has been looked at.
            while scene.store().journal(bought.task).await.unwrap().is_empty() {}
        } else {
            // Somewhere on the way.
            for _ in 0..round * 50 {
                scene.store().journal(bought.task).await.unwrap();
            }
        }
        tokio::task::block_in_place(|| {
            sms.kill();
            sms.restart().unwrap();
        });
        drop(stream);
        scene.moved_to(sms.url());

        let first = opened(&scene.client().release(&request).await.unwrap(), &transcript, &keys);
        let again = opened(&scene.client().release(&request).await.unwrap(), &transcript, &keys);
        assert_eq!(first, again, "round {round}");
        let journal = scene.store().journal(bought.task).await.unwrap();
        assert_eq!(journal.len(), 1, "round {round}");
        assert_eq!((journal[0].sequence, journal[0].hash()), (first.0.sequence, first.0.record), "round {round}");
    }
    let (entries, _) = scene.store().verify_journal().await.unwrap();
    assert_eq!(entries, rounds());
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_released_canary_is_found_in_the_enclave_and_nowhere_else() {
    const CANARY: &str = "canary-2c9e71b05f-do-not-repeat";
    let forms = forms(CANARY);
    let (sms, scene) = start("trace,h2=info,hyper_util=info,strongroom_poco=info").await;
    let named = ["app", "key", "one", "two", "big", "token"].map(|name| format!("{CANARY} {name}"));
    scene.store_these(named.each_ref().map(String::as_str)).await;
    let bought = scene.ground.buy(&scene.ground.wish()).await;
    let held = scene.session(&bought).await.unwrap();
    let (transcript, keys) = scene.transcript_and_keys(held.id).await;
    let wrong = scene.request(held.id, &transcript, &Scene::unapproved_enclave(bought.image)).await;
    let request = scene.request(held.id, &transcript, &Scene::enclave(bought.image)).await;
    let (_, explained) = scene.explain_release(&bought, Some(REQUESTER), &wrong).await;

    let answer = scene.client().release(&request).await.unwrap();
    let (_, items) = opened(&answer, &transcript, &keys);
    let holding = items.iter().filter(|(_, value)| String::from_utf8_lossy(value).contains(CANARY));
    // The app's under two names, the dataset's key, three of the requester, the token.
    assert_eq!(holding.count(), 7, "the enclave holds them");
    assert_absent("the sealed answer", &answer.to_bytes(), &forms);
    let refused = scene.client().release(&wrong).await;
    for (what, told) in [
        ("an explanation", explained.to_string()),
        ("a refusal", format!("{refused:?}")),
        ("the journal", scene.journal(&bought, REQUESTER).await.1.to_string()),
    ] {
        assert_absent(what, told.as_bytes(), &forms);
    }
    for path in ["/metrics", "/actuator/prometheus", "/actuator/health"] {
        let counters = http().get(format!("{}{path}", scene.url)).send().await.unwrap().bytes().await.unwrap();
        assert_absent(path, &counters, &forms);
    }

    let told = scene.session(&bought).await.unwrap();
    let guest = scene.guest(&told, &Scene::enclave(bought.image), "exit 7");
    assert_eq!(guest.status.code(), Some(7), "{}", String::from_utf8_lossy(&guest.stderr));
    assert_absent("what the guest prints", &[guest.stdout, guest.stderr].concat(), &forms);

    let files = files_below(scene.folder());
    for name in ["strongroom.db", "strongroom.db-wal", "root.key"] {
        assert!(files.iter().any(|path| path.ends_with(name)), "{name} was not searched");
    }
    for path in files {
        assert_absent(&path.display().to_string(), &std::fs::read(&path).unwrap(), &forms);
    }
    let log = sms.log();
    assert!(log.contains("\"TRACE\"") && log.contains("/v1/releases"), "the log is at its most talkative");
    assert!(log.lines().count() < 4096, "the log is whole");
    assert_absent("the log", log.as_bytes(), &forms);
}
