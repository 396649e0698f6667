//! The OpenAPI document says what the service does, and there is a page to read it.

use super::raw_http::Request;
use super::running::Running;

#[tokio::test]
async fn the_document_names_every_route_and_no_other() {
    let running = Running::start_with(|config| {
        config.admin.api_key = strongroom_sms::config::ApiKey::new("key".to_owned());
    })
    .await;
    let answer = running.get("/v3/api-docs").await;
    assert_eq!((answer.status, answer.header("content-type").as_deref()), (200, Some("application/json")));
    let document: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    let paths = document["paths"].as_object().unwrap();
    for (path, operations) in paths {
        for method in operations.as_object().unwrap().keys() {
            let target = path.replace(['{', '}'], "");
            let request = Request::new(&method.to_uppercase(), &target).header("X-API-KEY", "key");
            let answer = running.send(&request).await;
            assert_ne!(answer.status, 405, "{method} {path}");
        }
    }
    // The counters tell which requests matched no route.
    let counters = running.get("/actuator/prometheus").await.body;
    assert!(!counters.contains(r#"route="(none)""#), "{counters}");

    // Each route that is written down in the router is in the document, but those of the documentation itself.
    let router = include_str!("../../src/http/router.rs");
    let routes: Vec<&str> = router
        .split(".route(")
        .skip(1)
        .filter_map(|route| route.split('"').nth(1))
        .filter(|route| route.starts_with('/'))
        .collect();
    assert!(routes.len() > 15, "{routes:?}");
    for route in routes {
        let of_documentation = route.starts_with("/v3/") || route.starts_with("/swagger-ui");
        assert!(of_documentation || paths.contains_key(route), "{route} is not in the document");
    }
}

#[tokio::test]
async fn the_document_is_there_as_yaml_and_as_a_page() {
    let running = Running::start().await;
    let yaml = running.get("/v3/api-docs.yaml").await;
    assert_eq!((yaml.status, yaml.header("content-type").as_deref()), (200, Some("application/vnd.oai.openapi")));
    for path in ["/swagger-ui", "/swagger-ui.html"] {
        let answer = running.get(path).await;
        assert_eq!(
            (answer.status, answer.header("location").as_deref()),
            (303, Some("/swagger-ui/index.html")),
            "{path}"
        );
    }
    let page = running.get("/swagger-ui/index.html").await;
    assert_eq!(page.status, 200);
    assert!(page.header("content-type").unwrap().starts_with("text/html"), "{page:?}");
    assert!(running.get("/swagger-ui/swagger-initializer.js").await.body.contains("/v3/api-docs"));
    assert_eq!(running.get("/swagger-ui/nothing.js").await.status, 404);
}
