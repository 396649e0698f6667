//! `/tee/framework` and `/tee/properties`

use strongroom_sms::config::{Config, Pipeline, Stage, TeeFramework};

use super::running::{Running, framework_json};

fn stage(name: &str) -> Stage {
    Stage {
        image: format!("{name}:1"),
        fingerprint: format!("{name}-fp"),
        entrypoint: format!("/{name}"),
        heap_size_bytes: 1_073_741_824,
    }
}

fn with(framework: TeeFramework, versions: &[&str]) -> impl FnOnce(&mut Config) {
    let pipelines = versions
        .iter()
        .map(|version| Pipeline {
            version: (*version).to_owned(),
            pre_compute: stage("pre"),
            post_compute: stage("post"),
        })
        .collect();
    move |config| {
        config.tee.framework = framework;
        config.tee.pipelines = pipelines;
        config.tee.las_image = "las:1".into();
    }
}

fn properties(framework: &str, version: &str, las: &str) -> String {
    format!(
        r#"{{"teeFramework":"{framework}","teeFrameworkVersion":"{version}","preComputeProperties":{{"image":"pre:1","fingerprint":"pre-fp","entrypoint":"/pre","heapSizeInBytes":1073741824}},"postComputeProperties":{{"image":"post:1","fingerprint":"post-fp","entrypoint":"/post","heapSizeInBytes":1073741824}}{las}}}"#
    )
}

#[tokio::test]
async fn tdx_tells_its_one_version() {
    let running = Running::start_with(with(TeeFramework::Tdx, &["v0.1"])).await;
    let framework = running.get("/tee/framework").await;
    framework.assert(200, r#""TDX""#, "framework");
    assert_eq!(framework.header("content-type").as_deref(), Some("application/json"));
    let expected = properties("TDX", "v0.1", "");
    for path in ["/tee/properties/TDX/v0.1", "/tee/properties/tdx/v0.1", "/tee/properties/tdx"] {
        running.get(path).await.assert(200, &expected, path);
    }
    for (path, status, body) in [
        ("/tee/properties/scone/v0.1", 409, String::new()),
        ("/tee/properties/scone/v2", 404, String::new()),
        ("/tee/properties/tdx/v2", 404, String::new()),
        ("/tee/properties/gramine", 409, String::new()),
        ("/tee/properties/sev/v0.1", 400, framework_json(400, "Bad Request", "/tee/properties/sev/v0.1")),
        ("/tee/properties/sev", 400, framework_json(400, "Bad Request", "/tee/properties/sev")),
    ] {
        running.get(path).await.assert(status, &body, path);
    }
}

#[tokio::test]
async fn scone_has_several_versions_and_tells_its_attestation_image() {
    let running = Running::start_with(with(TeeFramework::Scone, &["v5", "v6"])).await;
    running.get("/tee/framework").await.assert(200, r#""SCONE""#, "framework");
    for (path, version) in
        [("/tee/properties/scone", "v5"), ("/tee/properties/scone/v5", "v5"), ("/tee/properties/scone/v6", "v6")]
    {
        running.get(path).await.assert(200, &properties("SCONE", version, r#","lasImage":"las:1""#), path);
    }
}

#[tokio::test]
async fn without_a_pipeline_only_the_framework_is_known() {
    let running = Running::start_with(with(TeeFramework::Gramine, &[])).await;
    running.get("/tee/framework").await.assert(200, r#""GRAMINE""#, "framework");
    for path in ["/tee/properties/gramine", "/tee/properties/gramine/v1"] {
        running.get(path).await.assert(404, "", path);
    }
}
