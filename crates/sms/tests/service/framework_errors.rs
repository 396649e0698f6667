//! What the web framework of the old service answered by itself.

use super::fake_chain::Fate;
use super::raw_http::Request;
use super::running::{Running, framework_json};

const APP: &str = "/apps/0xabcdefabcdefabcdefabcdefabcdefabcdefabcd/secrets";

#[tokio::test]
async fn unknown_routes_are_404_and_trailing_slashes_make_them_unknown() {
    let running = Running::start().await;
    for path in [
        "/",
        "/up",
        "/secrets/web1",
        "/secrets/web3/",
        "/apps//secrets",
        "/tee/framework/",
        "//version",
        &format!("{APP}/"),
        &format!("{APP}/0"),
    ] {
        for method in ["GET", "POST", "PUT"] {
            let answer = running.send(&Request::new(method, path)).await;
            answer.assert(404, &framework_json(404, "Not Found", path), method);
            assert_eq!(answer.header("content-type").as_deref(), Some("application/json"));
        }
    }
}

#[tokio::test]
async fn wrong_methods_are_405_and_name_the_right_ones() {
    let running = Running::start().await;
    for (method, path, allow) in [
        ("GET", APP, "HEAD,POST"),
        ("PUT", APP, "HEAD,POST"),
        ("GET", "/requesters/0x1/secrets/n", "HEAD,POST"),
        ("GET", "/secrets/web2", "HEAD,POST,PUT"),
        ("DELETE", "/secrets/web2", "HEAD,POST,PUT"),
        ("PUT", "/secrets/web3", "HEAD,POST"),
        ("POST", "/tee/framework", "GET,HEAD"),
        ("POST", "/version", "GET,HEAD"),
    ] {
        let answer = running.send(&Request::new(method, path)).await;
        answer.assert(405, &framework_json(405, "Method Not Allowed", path), method);
        let mut found: Vec<_> = answer.header("allow").unwrap().split(',').map(str::to_owned).collect();
        found.sort();
        assert_eq!(found.join(","), allow, "{method} {path}");
    }
}

#[tokio::test]
async fn hidden_separators_and_broken_escapes_in_the_path_are_400() {
    let running = Running::start().await;
    for path in [
        "/apps/0x1%2Fsecrets",
        "/requesters/0x1/secrets/a%2fb",
        "/version%5c",
        "/apps/%zz/secrets",
        "/apps/%ff/secrets",
    ] {
        running.get(path).await.assert(400, &framework_json(400, "Bad Request", path), path);
    }
}

#[tokio::test]
async fn browsers_get_a_page() {
    let running = Running::start().await;
    let answer = running.send(&Request::new("GET", "/nowhere").header("Accept", "text/html,*/*;q=0.8")).await;
    assert_eq!(answer.status, 404);
    assert_eq!(answer.header("content-type").as_deref(), Some("text/html;charset=UTF-8"));
    assert!(answer.body.contains("(type=Not Found, status=404)"), "{}", answer.body);
}

#[tokio::test]
async fn the_path_in_an_error_is_raw_and_without_the_query() {
    let running = Running::start().await;
    let answer = running.get("/no%20where?x=%22y").await;
    answer.assert(404, &framework_json(404, "Not Found", "/no%20where"), "query");
}

#[tokio::test]
async fn a_panic_is_500_and_the_service_lives_on() {
    let running = Running::start().await;
    running.chain.set_fate(Fate::Panics);
    let signature = format!("0x{}1b", "11".repeat(64));
    let answer = running.send(&Request::new("POST", APP).header("Authorization", &signature).body("x")).await;
    answer.assert(500, &framework_json(500, "Internal Server Error", APP), "panic");
    running.chain.set_fate(Fate::Answered);
    assert_eq!(running.head(APP).await, 404);
}

#[tokio::test]
async fn head_answers_carry_no_body_also_for_errors() {
    let running = Running::start().await;
    for path in ["/nowhere", "/secrets/web2", "/tee/framework"] {
        let answer = running.send(&Request::new("HEAD", path)).await;
        assert_eq!(answer.body, "", "{path}");
    }
}
