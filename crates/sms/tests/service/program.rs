//! The program: settings, exit codes, commands beside and without the service.

use strongroom_protocol::challenge;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::child::{Files, Listening, program};
use super::raw_http::Request;
use super::running::{signed, value, wallet};

fn push(name: &str) -> Request {
    let owner = wallet(1).address();
    let signature = signed(&wallet(1), challenge::push_requester_secret(owner, name, &value("x")));
    Request::new("POST", &format!("/requesters/{owner}/secrets/{name}")).header("Authorization", &signature).body("x")
}

fn check(name: &str) -> Request {
    Request::new("HEAD", &format!("/requesters/{}/secrets/{name}", wallet(1).address()))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn settings_are_checked_and_mistakes_told_with_their_line() {
    let files = Files::new("");
    let output = files.run(&["check"]).await;
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), "the settings are fine\n".to_owned()));

    let wrong = Files::new("[log]\nform = \"json\"\n");
    let output = wrong.run(&["check"]).await;
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("settings.toml:15: unknown field `form`"), "{}", text(&output.stderr));

    let output = files.command(&["check"]).env("STRONGROOM_SERVER_PORT", "many").output().await.unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("STRONGROOM_SERVER_PORT"), "{}", text(&output.stderr));
    assert_eq!(program(&["check"]).output().await.unwrap().status.code(), Some(3), "no settings at all");
    assert_eq!(program(&["fly"]).output().await.unwrap().status.code(), Some(2));
}

#[tokio::test]
async fn help_lists_every_variable() {
    let help = text(&program(&["--help"]).output().await.unwrap().stdout);
    for key in strongroom_sms::config::KEYS {
        assert!(help.contains(&key.variable()), "{} is not in\n{help}", key.path);
        assert!(key.old_variable.is_none_or(|old| help.contains(old)), "{}", key.path);
    }
    assert!(help.contains("STRONGROOM_ROOT_KEY"));
}

#[tokio::test]
async fn without_a_chain_requesters_are_served_and_health_is_down() {
    let files = Files::new("");
    let service = Listening::start(&files).await;
    assert_eq!(push("n").send(service.address).await.status, 204);
    assert_eq!(Request::new("GET", "/actuator/health").send(service.address).await.status, 503);
    let app = Request::new("POST", "/apps/0xabcdefabcdefabcdefabcdefabcdefabcdefabcd/secrets")
        .header("Authorization", &format!("0x{}1b", "11".repeat(64)))
        .body("x");
    assert_eq!(app.send(service.address).await.status, 503);
    let (status, log) = service.terminate().await;
    assert!(status.success(), "{log}");
    assert!(log.contains("the chain is out of reach") && log.contains("stopped"), "{log}");
}

#[tokio::test]
async fn the_service_leaves_no_core_dump() {
    let files = Files::new("");
    let service = Listening::start(&files).await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", service.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
}

#[tokio::test]
async fn the_service_does_not_run_on_another_chain() {
    let node = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let files = Files::with_chain(&format!("http://{}", node.local_addr().unwrap()), "");
    let answering = tokio::spawn(async move {
        loop {
            let (stream, _) = node.accept().await.unwrap();
            tokio::spawn(answer_as_chain_5(stream));
        }
    });
    let output = files.run(&["run"]).await;
    answering.abort();
    assert_eq!(output.status.code(), Some(4), "{}", text(&output.stderr));
    assert!(
        text(&output.stderr).contains("is on chain 5, but the configuration says 1337"),
        "{}",
        text(&output.stderr)
    );
}

/// A node that answers every question with 5, one request per connection.
async fn answer_as_chain_5(mut stream: tokio::net::TcpStream) {
    let mut request = Vec::new();
    let body = loop {
        if stream.read_buf(&mut request).await.unwrap() == 0 {
            return;
        }
        let request = String::from_utf8_lossy(&request);
        if let Some((_, body)) = request.split_once("\r\n\r\n")
            && let Ok(body) = serde_json::from_str::<serde_json::Value>(body)
        {
            break body;
        }
    };
    let one = |call: &serde_json::Value| serde_json::json!({ "jsonrpc": "2.0", "id": call["id"], "result": "0x5" });
    let answer = match &body {
        serde_json::Value::Array(calls) => calls.iter().map(one).collect::<serde_json::Value>(),
        call => one(call),
    };
    let answer = answer.to_string();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        answer.len()
    );
    stream.write_all((head + &answer).as_bytes()).await.unwrap();
}

#[tokio::test]
async fn keys_are_rotated_and_backups_made_beside_the_service_and_restored_without_it() {
    let files = Files::new("");
    let service = Listening::start(&files).await;
    assert_eq!(push("before").send(service.address).await.status, 204);

    let rotated = files.run(&["rotate-epoch"]).await;
    assert_eq!(text(&rotated.stdout), "new epoch: 1 data keys wrapped anew, 1 old epoch keys deleted\n", "{rotated:?}");
    assert_eq!(push("between").send(service.address).await.status, 204, "the service follows the rotation");

    let backup = files.path("backup.db");
    let made = files.run(&["backup", backup.to_str().unwrap()]).await;
    assert!(made.status.success(), "{made:?}");
    assert!(!files.run(&["backup", backup.to_str().unwrap()]).await.status.success(), "never overwritten");
    assert_eq!(push("after").send(service.address).await.status, 204);
    let verified = files.run(&["verify"]).await;
    assert_eq!((verified.status.code(), text(&verified.stdout)), (Some(0), "3 values open, 0 do not\n".to_owned()));

    let restore = ["restore", backup.to_str().unwrap()];
    let refused = files.run(&restore).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("in use"), "{refused:?}");
    service.terminate().await;
    let restored = files.run(&restore).await;
    assert!(text(&restored.stdout).starts_with("restored 2 secrets\n"), "{restored:?}");
    let service = Listening::start(&files).await;
    for (name, status) in [("before", 204), ("between", 204), ("after", 404)] {
        assert_eq!(check(name).send(service.address).await.status, status, "{name}");
    }
}

#[tokio::test]
async fn a_lost_root_key_stops_the_service_and_is_never_replaced() {
    let files = Files::new("");
    Listening::start(&files).await.terminate().await;
    std::fs::remove_file(files.path("data/root.key")).unwrap();
    let output = files.run(&["run"]).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("root key file"), "{}", text(&output.stderr));
    assert!(!files.path("data/root.key").exists());
}

#[tokio::test]
async fn the_root_key_may_come_from_the_environment() {
    let files = Files::new("");
    let key = "5a".repeat(32);
    let mut command = files.command(&["run"]);
    command.env("STRONGROOM_ROOT_KEY", &key);
    let service = Listening::start_command(command).await;
    assert_eq!(push("n").send(service.address).await.status, 204);
    let (_, log) = service.terminate().await;
    assert!(!log.contains(&key), "{log}");
    assert!(!files.path("data/root.key").exists());
    assert_eq!(files.run(&["verify"]).await.status.code(), Some(1), "no key");
    let verified = files.command(&["verify"]).env("STRONGROOM_ROOT_KEY", &key).output().await.unwrap();
    assert_eq!(text(&verified.stdout), "1 values open, 0 do not\n");
}
