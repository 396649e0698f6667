//! What was acknowledged survives `kill -9` at any moment.

use std::collections::BTreeSet;
use std::hash::{BuildHasher as _, RandomState};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use strongroom_protocol::challenge;

use super::child::{Files, Listening};
use super::raw_http::Request;
use super::running::{signed, value, wallet};

/// How often the service is killed; set the variable to 50 for the long form.
const ROUNDS_VARIABLE: &str = "STRONGROOM_CRASH_ROUNDS";
const DEFAULT_ROUNDS: u64 = 5;
const WRITERS: u64 = 8;
/// The service is killed after at most so many acknowledged writes of a round.
const MOST_WRITES: u64 = 150;

fn rounds() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "the length of this test is the caller's choice")]
    std::env::var(ROUNDS_VARIABLE).map_or(DEFAULT_ROUNDS, |rounds| rounds.parse().unwrap())
}

/// Writes secrets until the service dies; returns the names that were acknowledged.
async fn write_until_killed(address: SocketAddr, prefix: String, acknowledged: Arc<AtomicU64>) -> Vec<String> {
    let owner = wallet(1).address();
    let mut names = Vec::new();
    for number in 0.. {
        let name = format!("{prefix}-{number}");
        let signature = signed(&wallet(1), challenge::push_requester_secret(owner, &name, &value(&name)));
        let request = Request::new("POST", &format!("/requesters/{owner}/secrets/{name}"))
            .header("Authorization", &signature)
            .body(&name);
        match request.try_send(address).await {
            Some(answer) => {
                assert_eq!(answer.status, 204, "{answer:?}");
                names.push(name);
                acknowledged.fetch_add(1, Ordering::SeqCst);
            }
            None => break,
        }
    }
    names
}

async fn assert_all_there(address: SocketAddr, names: &BTreeSet<String>) {
    let owner = wallet(1).address();
    for name in names {
        let answer = Request::new("HEAD", &format!("/requesters/{owner}/secrets/{name}")).send(address).await;
        assert_eq!(answer.status, 204, "{name} was acknowledged and is lost");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_writes_survive_kill_9() {
    let files = Files::new("[log]\nfilter = \"info,strongroom_sms::http=warn\"\n");
    let mut all = BTreeSet::new();
    for round in 0..rounds() {
        let service = Listening::start(&files).await;
        let acknowledged = Arc::new(AtomicU64::new(0));
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let prefix = format!("{round}-{writer}");
                tokio::spawn(write_until_killed(service.address, prefix, Arc::clone(&acknowledged)))
            })
            .collect();
        // A different moment every time: after a random number of acknowledged writes.
        let enough = 1 + RandomState::new().hash_one(round) % MOST_WRITES;
        while acknowledged.load(Ordering::SeqCst) < enough {
            tokio::task::yield_now().await;
        }
        service.kill().await;
        let mut names = BTreeSet::new();
        for writer in writers {
            names.extend(writer.await.unwrap());
        }
        assert!(names.len() as u64 >= enough);

        let service = Listening::start(&files).await;
        assert_all_there(service.address, &names).await;
        service.kill().await;
        all.extend(names);
    }

    let verified = files.run(&["verify"]).await;
    let told = String::from_utf8(verified.stdout).unwrap();
    assert!(verified.status.success(), "{told}");
    let opened: usize = told.split(' ').next().unwrap().parse().unwrap();
    assert!(opened >= all.len(), "{told} but {} were acknowledged", all.len());
    let service = Listening::start(&files).await;
    assert_all_there(service.address, &all).await;
}
