//! `/secrets/web2`

use strongroom_protocol::challenge;

use super::raw_http::Request;
use super::running::{Running, address, framework_json, signed, value, wallet};

const OWNER: &str = "0x1a642f0E3c3aF545E7AcBD38b07251B3990914F1";
const NAME: &str = "iexec-result-dropbox-token";
/// Published with the protocol: `dbx-token`, then `dbx-token2` under that name, signed by the wallet of byte 1.
const PUBLISHED_CREATE: &str = "0xb6efa6613f76136ff970496ddb51e5724ada1d07aaa11ad9e9ac252ca28c41af6a85369fc89daf6d5cf1e3f5f46bd150cafcc988fe75044b6111a15cd7af0e2f1b";
const PUBLISHED_UPDATE: &str = "0xe9303b2008f17af47147ebfea9a5beea1555838270b67c20693c2ee2f611f5ca34d0935107984b3bf668d7cdc0b0701c00e084012a3dc2ef532d9e0fab498c1f1c";

fn target(owner: &str, name: &str) -> String {
    format!("/secrets/web2?ownerAddress={owner}&secretName={name}")
}

fn write(method: &str, name: &str, text: &str, signature: &str) -> Request {
    Request::new(method, &target(OWNER, name))
        .header("Authorization", signature)
        .header("Content-Type", "application/json")
        .body(text)
}

fn signature_of(name: &str, text: &str) -> String {
    signed(&wallet(1), challenge::push_account_secret(address(OWNER), name, &value(text)))
}

#[tokio::test]
async fn an_account_creates_and_replaces_its_secrets() {
    let running = Running::start().await;
    assert_eq!(running.head(&target(OWNER, NAME)).await, 404);
    running.send(&write("PUT", NAME, "dbx-token", PUBLISHED_CREATE)).await.assert(404, "", "replace nothing");
    running.send(&write("POST", NAME, "dbx-token", PUBLISHED_CREATE)).await.assert(204, "", "create");
    assert_eq!(running.head(&target(OWNER, NAME)).await, 204);
    running.send(&write("POST", NAME, "dbx-token", PUBLISHED_CREATE)).await.assert(409, "", "create again");
    running.send(&write("PUT", NAME, "dbx-token", PUBLISHED_CREATE)).await.assert(204, "", "the same value");
    running.send(&write("PUT", NAME, "dbx-token2", PUBLISHED_UPDATE)).await.assert(204, "", "replace");
    running.send(&write("PUT", NAME, "dbx-token2", PUBLISHED_UPDATE)).await.assert(204, "", "the same value again");
}

#[tokio::test]
async fn a_recorded_request_cannot_bring_an_old_value_back() {
    let running = Running::start().await;
    for (method, text, signature, expected) in [
        ("POST", "dbx-token", PUBLISHED_CREATE, 204),
        ("PUT", "dbx-token2", PUBLISHED_UPDATE, 204),
        ("PUT", "dbx-token", PUBLISHED_CREATE, 409),
    ] {
        running.send(&write(method, NAME, text, signature)).await.assert(expected, "", text);
    }
}

#[tokio::test]
async fn names_are_signed_as_sent_and_stored_in_lower_case() {
    let running = Running::start().await;
    let shouted = "IExec-Token";
    running.send(&write("POST", shouted, "x", &signature_of("iexec-token", "x"))).await.assert(
        401,
        "",
        "signed folded",
    );
    running.send(&write("POST", shouted, "x", &signature_of(shouted, "x"))).await.assert(204, "", "signed as sent");
    for spelling in ["IExec-Token", "iexec-token", "IEXEC-TOKEN"] {
        assert_eq!(running.head(&target(OWNER, spelling)).await, 204, "{spelling}");
        assert_eq!(running.head(&target(&OWNER.to_lowercase(), spelling)).await, 204, "{spelling}");
        running.send(&write("POST", spelling, "y", &signature_of(spelling, "y"))).await.assert(409, "", spelling);
    }
}

#[tokio::test]
async fn names_may_be_any_text_of_at_most_255_characters() {
    let running = Running::start().await;
    for (encoded, name) in [("a+b%2Fc%3D%C3%A9", "a b/c=é"), (&"n".repeat(255), &"n".repeat(255))] {
        assert_eq!(running.head(&target(OWNER, encoded)).await, 404);
        running.send(&write("POST", encoded, "x", &signature_of(name, "x"))).await.assert(204, "", name);
        assert_eq!(running.head(&target(OWNER, encoded)).await, 204, "{name}");
    }
    let expected = framework_json(400, "Bad Request", "/secrets/web2");
    for name in [String::new(), "n".repeat(256)] {
        for method in ["POST", "PUT"] {
            running.send(&write(method, &name, "x", &signature_of(&name, "x"))).await.assert(400, &expected, &name);
            running.send(&write(method, &name, "x", "0x")).await.assert(401, "", &name);
        }
        assert_eq!(running.head(&target(OWNER, &name)).await, 404);
    }
}

#[tokio::test]
async fn only_the_owner_is_believed() {
    let running = Running::start().await;
    let by_another = signed(&wallet(2), challenge::push_account_secret(address(OWNER), NAME, &value("x")));
    for method in ["POST", "PUT"] {
        for (what, signature) in [
            ("another wallet", by_another.as_str()),
            ("another value", PUBLISHED_CREATE),
            ("nonsense", "x"),
            ("empty", ""),
        ] {
            running.send(&write(method, NAME, "x", signature)).await.assert(401, "", what);
        }
        for owner in ["0x12", "", "me"] {
            let request = Request::new(method, &target(owner, NAME)).header("Authorization", PUBLISHED_CREATE);
            running.send(&request.body("dbx-token")).await.assert(401, "", owner);
            assert_eq!(running.head(&target(owner, NAME)).await, 404, "{owner}");
        }
    }
}

#[tokio::test]
async fn parameters_header_and_body_are_needed_before_anything_is_judged() {
    let running = Running::start().await;
    let expected = framework_json(400, "Bad Request", "/secrets/web2");
    let whole = target(OWNER, NAME);
    for method in ["POST", "PUT"] {
        for (what, request) in [
            ("no header", Request::new(method, &whole).body("x")),
            ("no body", Request::new(method, &whole).header("Authorization", "x")),
            ("empty body", write(method, NAME, "", "x")),
            ("no query", Request::new(method, "/secrets/web2").header("Authorization", "x").body("x")),
            (
                "no name",
                Request::new(method, &format!("/secrets/web2?ownerAddress={OWNER}"))
                    .header("Authorization", "x")
                    .body("x"),
            ),
            ("no owner", Request::new(method, "/secrets/web2?secretName=n").header("Authorization", "x").body("x")),
        ] {
            running.send(&request).await.assert(400, &expected, what);
        }
    }
    for query in ["", "?secretName=n", "?ownerAddress=0x"] {
        assert_eq!(running.head(&format!("/secrets/web2{query}")).await, 400, "{query}");
    }
}
