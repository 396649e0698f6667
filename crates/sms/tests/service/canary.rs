//! A secret that was pushed is nowhere but encrypted in the store: not in a log at the most talkative level, not in an
//! answer, not in a counter, not in a file.

use strongroom_protocol::secret::MAX_SECRET_BYTES;
use strongroom_protocol::{B256, challenge};

use super::canary_forms::{assert_absent, forms};
use super::child::{Files, Listening};
use super::raw_http::{Answer, Request};
use super::running::{address, signed, value, wallet};

const CANARY: &str = "canary-7f3a91c4e8-do-not-repeat";
const APP: &str = "0xabcdefabcdefabcdefabcdefabcdefabcdefabcd";

fn requests() -> Vec<(&'static str, Request)> {
    let owner = wallet(1).address();
    let requester = format!("/requesters/{owner}/secrets/n");
    let account = format!("/secrets/web2?ownerAddress={owner}&secretName=n");
    let dataset = format!("/secrets/web3?secretAddress={APP}");
    let app = format!("/apps/{APP}/secrets");
    let other = format!("{CANARY}-other");
    let by = |challenge: B256| signed(&wallet(1), challenge);
    let for_requester = by(challenge::push_requester_secret(owner, "n", &value(CANARY)));
    let for_account = by(challenge::push_account_secret(owner, "n", &value(CANARY)));
    let for_other = by(challenge::push_account_secret(owner, "n", &value(&other)));
    let for_app = by(challenge::push_app_secret(address(APP), &value(CANARY)));
    let for_dataset = by(challenge::push_dataset_secret(address(APP), &value(CANARY)));
    let too_large = CANARY.repeat(MAX_SECRET_BYTES / CANARY.len() + 1);
    let write = |method: &str, target: &str, signature: &str, body: &str| {
        Request::new(method, target).header("Authorization", signature).header("Content-Type", "text/plain").body(body)
    };

    let mut requests = vec![
        ("PUT of nothing: 404", write("PUT", &account, &for_account, CANARY)),
        ("requester: 204", write("POST", &requester, &for_requester, CANARY)),
        ("requester again: 409", write("POST", &requester, &for_requester, CANARY)),
        ("account: 204", write("POST", &account, &for_account, CANARY)),
        ("account again: 409", write("POST", &account, &for_account, CANARY)),
        ("replaced: 204", write("PUT", &account, &for_other, &other)),
        ("replayed: 409", write("PUT", &account, &for_account, CANARY)),
        ("app without chain: 503", write("POST", &app, &for_app, CANARY)),
        ("dataset without chain: 503", write("POST", &dataset, &for_dataset, CANARY)),
    ];
    for (method, target) in
        [("POST", &app), ("POST", &requester), ("POST", &account), ("PUT", &account), ("POST", &dataset), ("GET", &app)]
    {
        let base = Request::new(method, target).header("Authorization", &for_other);
        requests.extend([
            ("wrong signature", base.clone().body(CANARY)),
            ("chunked", base.clone().chunked(CANARY)),
            ("in the header", Request::new(method, target).header("Authorization", CANARY).body(CANARY)),
            ("no header", Request::new(method, target).body(CANARY)),
            ("too large", base.clone().body(&too_large)),
            ("too large, chunked", base.clone().chunked(&too_large)),
            ("no text", base.clone().body([CANARY.as_bytes(), b"\xff"].concat())),
            ("no such character set", base.clone().header("Content-Type", "text/plain;charset=x").body(CANARY)),
            ("latin-1", base.clone().header("Content-Type", "text/plain;charset=latin1").body(CANARY)),
        ]);
    }
    for path in ["/nowhere", "/version", "/tee/framework", "/metrics", "/actuator/health", "/admin/backup"] {
        requests.push(("where no secret belongs", Request::new("POST", path).body(CANARY)));
    }
    requests.push(("a backup", Request::new("POST", "/admin/backup").header("X-API-KEY", "open-sesame").body(CANARY)));
    requests
}

#[tokio::test]
async fn a_canary_is_found_nowhere() {
    let files = Files::new("[log]\nfilter = \"trace\"\nformat = \"json\"\n[admin]\napi_key = \"open-sesame\"\n");
    let settings = std::fs::read_to_string(files.path("settings.toml")).unwrap();
    let backups = format!("backup_folder = {:?}\n", files.path("backup"));
    std::fs::write(files.path("settings.toml"), settings + &backups).unwrap();
    let service = Listening::start(&files).await;
    let forms = forms(CANARY);

    let mut statuses = Vec::new();
    for (what, request) in requests() {
        let answer = request.send(service.address).await;
        assert_absent(what, format!("{answer:?}").as_bytes(), &forms);
        statuses.push(answer.status);
    }
    assert_eq!(statuses[..9], [404, 204, 409, 204, 409, 204, 409, 503, 503]);
    assert_eq!(statuses.last(), Some(&201), "the backup was made");
    for counters in ["/metrics", "/actuator/prometheus"] {
        let answer: Answer = Request::new("GET", counters).send(service.address).await;
        assert_absent(counters, answer.body.as_bytes(), &forms);
    }

    // With the service running, the write-ahead log is there as well.
    let searched = files.contents();
    for name in ["strongroom.db", "strongroom.db-wal", "root.key", "backup.db"] {
        assert!(searched.iter().any(|(path, _)| path.ends_with(name)), "{name} was not searched");
    }
    for (path, bytes) in searched {
        assert_absent(&path.display().to_string(), &bytes, &forms);
    }

    let (status, log) = service.terminate().await;
    assert!(status.success());
    assert!(log.contains("\"TRACE\""), "the log is at its most talkative");
    assert_absent("the log", log.as_bytes(), &forms);
    assert!(!log.contains("open-sesame"), "the API key is in the log");
    let owner = wallet(1).address();
    let signature = signed(&wallet(1), challenge::push_account_secret(owner, "n", &value(CANARY)));
    assert!(!log.contains(&signature[2..]), "a signature is in the log");
    for (path, bytes) in files.contents() {
        assert_absent(&path.display().to_string(), &bytes, &forms);
    }
}
