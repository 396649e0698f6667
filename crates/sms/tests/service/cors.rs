//! Pages of any origin may use the routes of secrets, and nothing else.

use super::raw_http::{Answer, Request};
use super::running::Running;

const APP: &str = "/apps/0xabcdefabcdefabcdefabcdefabcdefabcdefabcd/secrets";
const VARY: &str = "Origin, Access-Control-Request-Method, Access-Control-Request-Headers";

async fn preflight(running: &Running, path: &str, method: &str, headers: Option<&str>) -> Answer {
    let mut request = Request::new("OPTIONS", path)
        .header("Origin", "https://page.example")
        .header("Access-Control-Request-Method", method);
    if let Some(headers) = headers {
        request = request.header("Access-Control-Request-Headers", headers);
    }
    running.send(&request).await
}

#[tokio::test]
async fn a_preflight_allows_the_methods_of_the_path() {
    let running = Running::start().await;
    for (path, methods) in [
        (APP, ["POST", "HEAD"].as_slice()),
        ("/requesters/0x1/secrets/n", &["POST", "HEAD"]),
        ("/secrets/web2?ownerAddress=x", &["POST", "PUT", "HEAD"]),
        ("/secrets/web3", &["POST", "HEAD"]),
    ] {
        for method in ["POST", "PUT", "HEAD", "GET", "DELETE", "FOO"] {
            let answer = preflight(&running, path, method, Some("authorization,content-type")).await;
            if !methods.contains(&method) {
                answer.assert(403, "Invalid CORS request", method);
                assert_eq!(answer.header("access-control-allow-origin"), None, "{method} {path}");
                assert_eq!(answer.header("vary").as_deref(), Some(VARY));
                continue;
            }
            answer.assert(200, "", method);
            let mut headers = answer.headers.clone();
            // Not part of CORS: any OPTIONS may carry it.
            headers.retain(|(name, _)| name != "allow");
            headers.sort();
            let expected = [
                ("access-control-allow-headers", "authorization, content-type"),
                ("access-control-allow-methods", method),
                ("access-control-allow-origin", "*"),
                ("access-control-max-age", "1800"),
                ("content-length", "0"),
                ("vary", "Access-Control-Request-Headers"),
                ("vary", "Access-Control-Request-Method"),
                ("vary", "Origin"),
            ];
            assert_eq!(headers, expected.map(|(name, value)| (name.to_owned(), value.to_owned())), "{method} {path}");
        }
    }
    let plain = preflight(&running, APP, "POST", None).await;
    assert_eq!((plain.status, plain.header("access-control-allow-headers")), (200, None));
}

#[tokio::test]
async fn a_preflight_of_anything_else_is_refused() {
    let running = Running::start().await;
    for path in ["/tee/framework", "/version", "/metrics", "/nowhere", "/apps/x", "/admin/backup"] {
        let answer = preflight(&running, path, "GET", None).await;
        answer.assert(403, "Invalid CORS request", path);
        assert_eq!(answer.header("access-control-allow-origin"), None, "{path}");
    }
}

#[tokio::test]
async fn answers_of_open_routes_may_be_read_by_pages() {
    let running = Running::start().await;
    for (method, path, status) in [
        ("HEAD", APP, 404),
        ("POST", APP, 400),
        ("HEAD", "/secrets/web2", 400),
        ("HEAD", "/requesters/0x1/secrets/a.b", 400),
    ] {
        let with = running.send(&Request::new(method, path).header("Origin", "https://page.example")).await;
        assert_eq!(with.status, status, "{method} {path}");
        assert_eq!(with.header("access-control-allow-origin").as_deref(), Some("*"));
        assert_eq!(with.header("access-control-allow-credentials"), None);
        assert_eq!(with.header("vary").as_deref(), Some(VARY));
        let without = running.send(&Request::new(method, path)).await;
        assert_eq!(without.header("access-control-allow-origin"), None);
        assert_eq!(without.header("vary").as_deref(), Some(VARY));
    }
    for path in ["/tee/framework", "/version"] {
        let answer = running.send(&Request::new("GET", path).header("Origin", "https://page.example")).await;
        assert_eq!(
            (answer.status, answer.header("access-control-allow-origin"), answer.header("vary")),
            (200, None, None)
        );
    }
}
