use strongroom_protocol::SigningKey;

use super::*;
use crate::test_server::{Answer, Request, Server};
use crate::values::values;

struct Output(tempfile::TempDir);

impl Output {
    /// What a good app leaves.
    fn good() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let output = Self(folder);
        output.write("result.txt", "Hello, world!");
        output.computed("result.txt");
        output
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.path().join(name), text).unwrap();
    }

    fn computed(&self, name: &str) {
        let path = self.0.path().join(name);
        self.write("computed.json", &serde_json::json!({ "deterministic-output-path": path }).to_string());
    }
}

fn signer() -> Signer {
    Signer {
        task: format!("0x{}", "11".repeat(32)).parse().unwrap(),
        worker: strongroom_protocol::Address::repeat_byte(2),
        key: SigningKey::from_bytes(&[3; 32]).unwrap(),
    }
}

/// Runs the stage against `server`; whatever comes after the upload fails, because nobody plays the worker.
async fn run_with(output: &Output, server: &Server, changes: &[(&str, &str)]) -> StageFailure {
    let mut entries = vec![
        ("RESULT_STORAGE_PROXY", server.url.as_str()),
        ("RESULT_STORAGE_TOKEN", "token"),
        ("RESULT_STORAGE_CALLBACK", "false"),
    ];
    entries.retain(|(name, _)| changes.iter().all(|(changed, _)| changed != name));
    entries.extend_from_slice(changes);
    let way = Way::Relay([(server.url.clone(), "/nonexistent".into())].into());
    run(&values(&entries), &signer(), &way, output.0.path()).await.unwrap_err()
}

/// With a clock that runs by itself while nothing happens: nobody is waited for here.
#[tokio::test(start_paused = true)]
async fn each_cause_has_its_word() {
    let server = Server::start(|_| Answer::status(401)).await;
    let cause = async |prepare: &dyn Fn(&Output), changes: &[(&str, &str)]| {
        let output = Output::good();
        prepare(&output);
        run_with(&output, &server, changes).await.cause
    };
    let same = |_: &Output| ();
    let no_file = |output: &Output| std::fs::remove_file(output.0.path().join("computed.json")).unwrap();
    assert_eq!(cause(&no_file, &[]).await, "POST_COMPUTE_COMPUTED_FILE_NOT_FOUND");
    assert_eq!(cause(&|output| output.write("computed.json", "{"), &[]).await, "POST_COMPUTE_COMPUTED_FILE_NOT_FOUND");
    assert_eq!(cause(&|output| output.computed("absent"), &[]).await, "POST_COMPUTE_RESULT_FILE_NOT_FOUND");
    assert_eq!(cause(&|output| output.computed("../x"), &[]).await, "POST_COMPUTE_RESULT_FILE_NOT_FOUND");
    let empty = |output: &Output| output.write("result.txt", "");
    assert_eq!(cause(&empty, &[]).await, "POST_COMPUTE_RESULT_DIGEST_COMPUTATION_FAILED");
    assert_eq!(
        cause(&|output| output.write("computed.json", "{}"), &[]).await,
        "POST_COMPUTE_RESULT_DIGEST_COMPUTATION_FAILED"
    );
    let callback = [("RESULT_STORAGE_CALLBACK", "true")];
    assert_eq!(cause(&same, &callback).await, "POST_COMPUTE_RESULT_DIGEST_COMPUTATION_FAILED");
    let long = |output: &Output| output.write(&"x".repeat(32), "x");
    assert_eq!(cause(&long, &[]).await, "POST_COMPUTE_TOO_LONG_RESULT_FILE_NAME");
    assert_eq!(cause(&same, &[("RESULT_STORAGE_TOKEN", "")]).await, "POST_COMPUTE_STORAGE_TOKEN_MISSING");
    let encrypted = ("RESULT_ENCRYPTION", "true");
    assert_eq!(cause(&same, &[encrypted]).await, "POST_COMPUTE_ENCRYPTION_PUBLIC_KEY_MISSING");
    let malformed = [encrypted, ("RESULT_ENCRYPTION_PUBLIC_KEY", "bm8ga2V5")];
    assert_eq!(cause(&same, &malformed).await, "POST_COMPUTE_MALFORMED_ENCRYPTION_PUBLIC_KEY");
    assert_eq!(cause(&same, &[]).await, "POST_COMPUTE_IPFS_UPLOAD_FAILED", "the relay leads nowhere");
    assert_eq!(cause(&same, &[("RESULT_STORAGE_PROVIDER", "dropbox")]).await, "POST_COMPUTE_DROPBOX_UPLOAD_FAILED");
    let failure = run_with(&Output::good(), &server, &[]).await;
    assert!(failure.to_string().contains("127.0.0.1 does not answer"), "{failure}");
}

#[tokio::test]
async fn what_is_uploaded_is_the_signed_archive_and_a_refusal_is_final() {
    let server = Server::start(|_| Answer::status(401)).await;
    let output = Output::good();
    let entries = [("RESULT_STORAGE_PROXY", server.url.as_str()), ("RESULT_STORAGE_TOKEN", "token")];
    let failure = run(&values(&entries), &signer(), &Way::Network, output.0.path()).await.unwrap_err();
    assert_eq!(failure.cause, "POST_COMPUTE_IPFS_UPLOAD_FAILED");
    let asked = server.asked();
    assert_eq!((asked.len(), asked[0].method.as_str(), asked[0].path.as_str()), (2, "POST", "/v1/results"));
    assert_eq!((asked[1].method.as_str(), &asked[1].path), ("HEAD", &format!("/v1/results/{}", signer().task)));
    let body = String::from_utf8_lossy(&asked[0].body);
    assert!(
        body.contains("315f5bdb76d078c43b8ac0064e4a0164612b1fce77c869345bfc94c75894edd3"),
        "the digest of the vector"
    );
    assert!(body.contains(&signer().task.to_string()));
}

fn archive() -> File {
    let mut file = tempfile::tempfile().unwrap();
    std::io::Write::write_all(&mut file, b"archive").unwrap();
    file
}

fn upload(archive: &File) -> Upload<'_> {
    Upload { task: signer().task, archive, token: "token", digest: B256::ZERO, enclave_signature: "0x" }
}

#[tokio::test]
async fn a_run_after_one_that_was_stopped_behind_its_upload_finds_its_task_answered() {
    let of_a_proxy_that_has_it = |request: &Request| Answer::status(if request.method == "HEAD" { 204 } else { 401 });
    let server = Server::start(of_a_proxy_that_has_it).await;
    upload(&archive()).to_proxy(&Way::Network, &server.url).await.unwrap();
    assert!(server.asked()[1].head.to_ascii_lowercase().contains("authorization: token"));
    let of_one_that_has_not = |request: &Request| Answer::status(if request.method == "HEAD" { 404 } else { 401 });
    let server = Server::start(of_one_that_has_not).await;
    let failure = upload(&archive()).to_proxy(&Way::Network, &server.url).await.unwrap_err();
    assert_eq!(failure.cause, "POST_COMPUTE_IPFS_UPLOAD_FAILED");
}

#[tokio::test]
async fn dropbox_gets_the_plain_archive_with_the_name_of_the_task() {
    let server = Server::start(|_| Answer::ok("{}")).await;
    upload(&archive()).to_dropbox(&Way::Network, &format!("{}/2/files/upload", server.url)).await.unwrap();
    let asked = server.asked();
    let head = &asked[0].head;
    assert!(head.starts_with("POST /2/files/upload "), "{head}");
    assert!(head.contains("Bearer token") && head.contains(&format!("/results/{}.zip", signer().task)), "{head}");
    assert!(String::from_utf8_lossy(&asked[0].body).contains("archive"));
    let server = Server::start(|_| Answer::status(401)).await;
    let failure = upload(&archive()).to_dropbox(&Way::Network, &server.url).await.unwrap_err();
    assert_eq!((failure.cause, server.asked().len()), ("POST_COMPUTE_DROPBOX_UPLOAD_FAILED", 1));
}
