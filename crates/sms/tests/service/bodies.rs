//! Bodies are the secret itself: any media type, any size up to the limit, text in the character set that was named.

use strongroom_protocol::challenge;
use strongroom_protocol::secret::MAX_SECRET_BYTES;

use super::raw_http::Request;
use super::running::{Running, address, framework_json, signed, value, wallet};

const OWNER: &str = "0x1a642f0E3c3aF545E7AcBD38b07251B3990914F1";

fn account(name: &str, text: &str) -> (String, String) {
    let challenge = challenge::push_account_secret(address(OWNER), name, &value(text));
    (format!("/secrets/web2?ownerAddress={OWNER}&secretName={name}"), signed(&wallet(1), challenge))
}

fn requester(name: &str, text: &str) -> (String, String) {
    let challenge = challenge::push_requester_secret(address(OWNER), name, &value(text));
    (format!("/requesters/{OWNER}/secrets/{name}"), signed(&wallet(1), challenge))
}

fn post((target, signature): &(String, String)) -> Request {
    Request::new("POST", target).header("Authorization", signature)
}

#[tokio::test]
async fn any_media_type_is_taken_as_the_secret_itself() {
    let running = Running::start().await;
    for (name, content_type) in
        [("a", Some("text/plain")), ("b", Some("application/json")), ("c", Some("image/png; x=y")), ("d", None)]
    {
        let mut request = post(&account(name, r#""quoted"#));
        if let Some(content_type) = content_type {
            request = request.header("Content-Type", content_type);
        }
        running.send(&request.body(r#""quoted"#)).await.assert(204, "", name);
    }
}

#[tokio::test]
async fn the_signature_covers_the_utf_8_form_whatever_was_sent() {
    let running = Running::start().await;
    for (name, content_type, bytes) in [
        ("a", "text/plain", b"s\xc3\xa9".as_slice()),
        ("b", "text/plain;charset=ISO-8859-1", b"s\xe9"),
        ("c", "application/json; charset=utf-16", b"\0s\0\xe9"),
    ] {
        let request = post(&account(name, "sé")).header("Content-Type", content_type).body(bytes);
        running.send(&request).await.assert(204, "", content_type);
    }
}

#[tokio::test]
async fn what_is_no_text_is_refused() {
    let running = Running::start().await;
    for (status, reason, content_type, bytes) in [
        (400, "Bad Request", "text/plain", b"\xff".as_slice()),
        (400, "Bad Request", "text/plain;charset=us-ascii", b"\xe9"),
        (415, "Unsupported Media Type", "text/plain;charset=klingon", b"x"),
        (415, "Unsupported Media Type", "nonsense", b"x"),
    ] {
        let request = post(&account("a", "x")).header("Content-Type", content_type).body(bytes);
        let expected = framework_json(status, reason, "/secrets/web2");
        running.send(&request).await.assert(status, &expected, content_type);
    }
}

#[tokio::test]
async fn a_blank_value_is_accepted_and_equals_any_other_blank() {
    let running = Running::start().await;
    running.send(&post(&account("a", " \n")).body(" \n")).await.assert(204, "", "blank");
    let (target, signature) = account("a", "\t");
    let put = Request::new("PUT", &target).header("Authorization", &signature).body("\t");
    running.send(&put).await.assert(204, "", "another blank");
}

#[tokio::test]
async fn bodies_may_be_sent_in_chunks_and_be_as_large_as_promised() {
    let running = Running::start().await;
    for (name, bytes) in [("a", 1), ("b", 16 * 1024), ("c", 16 * 1024 + 1), ("d", MAX_SECRET_BYTES)] {
        let text = "x".repeat(bytes);
        running.send(&post(&account(name, &text)).chunked(&text)).await.assert(204, "", name);
        let name = format!("{name}-announced");
        running.send(&post(&account(&name, &text)).body(&text)).await.assert(204, "", &name);
    }
}

#[tokio::test]
async fn larger_bodies_are_refused_whoever_signed_them() {
    let running = Running::start().await;
    let app = "/apps/0xabcdefabcdefabcdefabcdefabcdefabcdefabcd/secrets";
    let dataset = "/secrets/web3?secretAddress=0x1234567890123456789012345678901234567890";
    let text = "x".repeat(MAX_SECRET_BYTES + 1);
    let told = r#"{"error":["Secret size should not exceed 4096 Kb"]}"#;
    for (method, target, status, body) in [
        ("POST", app.to_owned(), 413, told),
        ("POST", requester("n", "x").0, 400, told),
        ("POST", account("n", "x").0, 413, ""),
        ("PUT", account("n", "x").0, 413, ""),
        ("POST", dataset.to_owned(), 413, ""),
    ] {
        let request = Request::new(method, &target).header("Authorization", "0x");
        running.send(&request.clone().body(&text)).await.assert(status, body, &target);
        running.send(&request.clone().chunked(&text)).await.assert(status, body, &target);
        assert_eq!(running.send(&Request::new(method, &target).body(&text)).await.status, 400, "no header: {target}");
    }
}

#[tokio::test]
async fn the_size_is_that_of_the_utf_8_form() {
    let running = Running::start().await;
    let fits = "é".repeat(MAX_SECRET_BYTES / 2);
    running.send(&post(&account("a", &fits)).body(&fits)).await.assert(204, "", "fits");
    // Half the bytes on the wire, one character more.
    let latin1 = vec![0xe9; MAX_SECRET_BYTES / 2 + 1];
    let request = post(&account("b", "x")).header("Content-Type", "text/plain;charset=iso-8859-1").body(latin1);
    running.send(&request).await.assert(413, "", "too large in UTF-8");
}
