//! Secret provisioners for existing iExec enclaves: they get exactly what they know, over a connection that is verified, after
//! it was recorded; and when anything is amiss the session is refused.

use serde_json::Value;
use strongroom_protocol::SigningKey;
use strongroom_sms::config::{AttestationMode, Config, Pipeline, ProvisionerKind, Stage, TeeFramework};

use super::fake_keeper::{FakeKeeper, Fate};
use super::releasing::{PARAMS, Releasing, granted_to};

fn pipeline(version: &str) -> Pipeline {
    let stage = |name: &str| Stage {
        image: format!("{name}:1"),
        fingerprint: format!("{name}-fp"),
        entrypoint: format!("/run/{name}"),
        heap_size_bytes: 1,
    };
    Pipeline { version: version.to_owned(), pre_compute: stage("pre"), post_compute: stage("post") }
}

/// A keeper of this kind at `keeper`, without TLS.
fn plain(kind: ProvisionerKind, keeper: &FakeKeeper) -> impl FnOnce(&mut Config) {
    let url = keeper.url();
    move |config| {
        config.provisioner.kind = kind;
        config.provisioner.url = Some(url);
        "keeper.test:4433".clone_into(&mut config.provisioner.enclave_address);
        config.provisioner.danger_plain_http = true;
        config.provisioner.attestation_mode = AttestationMode::Hardware;
        config.tee.pipelines = vec![pipeline("v0"), pipeline("v5")];
        config.tee.framework = match kind {
            ProvisionerKind::Scone => TeeFramework::Scone,
            ProvisionerKind::Gramine => TeeFramework::Gramine,
            ProvisionerKind::Tdx | ProvisionerKind::Attested => TeeFramework::Tdx,
        };
    }
}

fn become_sgx(releasing: &Releasing, framework: &str, tag: u8) {
    releasing.change(|shown| {
        shown.deal.tag.0[31] = tag;
        shown.app.mrenclave = format!(
            r#"{{"framework":"{framework}","version":"v5","entrypoint":"/app/run","heapSize":1,"fingerprint":"{}"}}"#,
            "77".repeat(32)
        )
        .into_bytes();
    });
}

/// The id in a session's answer, after its whole form was checked.
#[track_caller]
fn session_id(answer: &super::raw_http::Answer) -> String {
    assert_eq!(answer.status, 200, "{answer:?}");
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    let id = body["data"]["sessionId"].as_str().unwrap().to_owned();
    let expected = format!(r#"{{"data":{{"sessionId":"{id}","secretProvisioningUrl":"keeper.test:4433"}}}}"#);
    assert_eq!(answer.body, expected);
    id
}

/// Takes the enclave's key, which must belong to the task's challenge, out of every stage that has it.
async fn take_key(text: &str, releasing: &Releasing) -> String {
    let at = text.find("SIGN_TEE_CHALLENGE_PRIVATE_KEY").unwrap();
    let start = at + text[at..].find("0x").unwrap();
    let key = &text[start..start + 66];
    assert_eq!(SigningKey::from_hex(key).unwrap().address(), releasing.challenge().await);
    text.replace(key, "{key}")
}

#[tokio::test]
async fn a_session_storage_gets_the_golden_tdx_session_after_it_was_recorded() {
    let keeper = FakeKeeper::start(Fate::Answers(204)).await;
    let releasing = Releasing::start(|config| {
        plain(ProvisionerKind::Tdx, &keeper)(config);
        config.tee.pipelines.truncate(1);
    })
    .await;
    let id = session_id(&releasing.session().await);
    let (head, body) = keeper.only_request();
    assert!(head.starts_with("POST /session HTTP/1.1\r\n"), "{head}");
    assert!(head.to_lowercase().contains("content-type: application/json"), "{head}");

    let golden = include_str!("../../testdata/tdx-session.json");
    let golden = golden.replace("AbCdEf01230000", &id[..14]).replace(&format!("0x{}", "04".repeat(32)), "{key}");
    let body = take_key(&body, &releasing).await;
    let (found, expected): (Value, Value) =
        (serde_json::from_str(&body).unwrap(), serde_json::from_str(&golden).unwrap());
    assert_eq!(found, expected);
    let order = |text: &str| ["\"name\"", "\"version\"", "\"services\""].map(|member| text.find(member).unwrap());
    assert!(order(&body).is_sorted());

    let journal = releasing.journal().await;
    assert_eq!(journal.len(), 1);
    let keeper_name = format!("entrusted to TDX session storage at {} for app 0x{}", keeper.address, "44".repeat(32));
    assert_eq!(granted_to(&journal[0]), Some(keeper_name.as_str()));
    assert_eq!(journal[0].session.to_string(), id);
}

#[tokio::test]
async fn a_cas_gets_the_yaml_that_it_knows() {
    let keeper = FakeKeeper::start(Fate::Answers(201)).await;
    let releasing = Releasing::start(|config| {
        plain(ProvisionerKind::Scone, &keeper)(config);
        config.tee.las_image = "las".to_owned();
        config.provisioner.tolerated_insecure_options = vec!["hyperthreading".to_owned(), "debug\"mode".to_owned()];
    })
    .await;
    become_sgx(&releasing, "SCONE", 0x03);
    let id = session_id(&releasing.session().await);
    let (head, body) = keeper.only_request();
    assert!(head.starts_with("POST /session HTTP/1.1\r\n"), "{head}");
    assert!(head.to_lowercase().contains("content-type: application/octet-stream"), "{head}");
    let body = take_key(&body, &releasing).await.replace(&id, "{session}");
    assert_eq!(body, include_str!("../../testdata/scone-session.yaml"));
}

#[tokio::test]
async fn a_cas_that_answers_anything_but_created_has_not_taken_the_session() {
    for status in [200, 204, 400, 500] {
        let keeper = FakeKeeper::start(Fate::Answers(status)).await;
        let releasing = Releasing::start(plain(ProvisionerKind::Scone, &keeper)).await;
        become_sgx(&releasing, "SCONE", 0x03);
        let reason = format!("refuses with status {status}");
        Releasing::assert_refused(&releasing.session().await, "SECURE_SESSION_STORAGE_CALL_FAILED", &reason);
    }
}

#[tokio::test]
async fn gramines_server_gets_app_and_post_compute_with_the_operators_login() {
    let keeper = FakeKeeper::start(Fate::Answers(200)).await;
    let releasing = Releasing::start(|config| {
        plain(ProvisionerKind::Gramine, &keeper)(config);
        config.provisioner.login = "operator".to_owned();
        config.provisioner.password = strongroom_sms::config::ApiKey::new("own password".to_owned());
    })
    .await;
    become_sgx(&releasing, "GRAMINE", 0x05);
    let id = session_id(&releasing.session().await);
    let (head, body) = keeper.only_request();
    assert!(head.starts_with("POST /api/session HTTP/1.1\r\n"), "{head}");
    // base64 of "operator:own password"
    assert!(head.contains("Basic b3BlcmF0b3I6b3duIHBhc3N3b3Jk"), "{head}");
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["session"], id);
    let told =
        |enclave: &Value| ["name", "mrenclave", "command"].map(|member| enclave[member].as_str().unwrap().to_owned());
    let enclaves: Vec<_> = body["enclaves"].as_array().unwrap().iter().map(told).collect();
    let print = "77".repeat(32);
    assert_eq!(enclaves, [["app", &print, ""], ["post-compute", "post-fp", ""]]);
    let environment = &body["enclaves"][0]["environment"];
    assert_eq!(environment["IEXEC_REQUESTER_SECRET_1"], "s3cr3t é");
    assert!(!body.to_string().contains("IEXEC_DATASET_KEY"), "there is no pre-compute enclave for it");
    assert_eq!(body["enclaves"][1]["volumes"], serde_json::json!([]));
    let journal = releasing.journal().await;
    assert!(granted_to(&journal[0]).unwrap().contains(&print));
}

#[tokio::test]
async fn a_keeper_is_believed_under_the_pinned_certificate_and_its_own_name_alone() {
    let pair = |name: &str| rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let (own, of_another_name, unknown) = (pair("localhost"), pair("other.test"), pair("localhost"));
    for (shown, pinned, taken) in
        [(&own, &own, true), (&own, &unknown, false), (&of_another_name, &of_another_name, false)]
    {
        let keeper = FakeKeeper::with_tls(shown).await;
        let folder = tempfile::tempdir().unwrap();
        let pin = folder.path().join("pin.pem");
        std::fs::write(&pin, pinned.cert.pem()).unwrap();
        let releasing = Releasing::start(|config| {
            plain(ProvisionerKind::Tdx, &keeper)(config);
            config.tee.pipelines.truncate(1);
            config.provisioner.danger_plain_http = false;
            config.provisioner.url = Some(format!("https://localhost:{}", keeper.address.port()).parse().unwrap());
            config.provisioner.ca_certificate = Some(pin);
        })
        .await;
        let answer = releasing.session().await;
        if taken {
            session_id(&answer);
        } else {
            Releasing::assert_refused(&answer, "SECURE_SESSION_STORAGE_CALL_FAILED", "does not answer");
        }
        assert_eq!(keeper.received().len(), usize::from(taken), "nothing is sent before the certificate was checked");
    }
}

#[tokio::test]
async fn a_keeper_that_never_answers_is_given_up() {
    let keeper = FakeKeeper::start(Fate::NeverAnswers).await;
    let releasing = Releasing::start(|config| {
        plain(ProvisionerKind::Tdx, &keeper)(config);
        config.provisioner.timeout_ms = 50.try_into().unwrap();
    })
    .await;
    let answer = releasing.session().await;
    Releasing::assert_refused(&answer, "SECURE_SESSION_STORAGE_CALL_FAILED", "does not answer");
    assert_eq!(releasing.journal().await.len(), 1, "what was sent before is recorded");
}

#[tokio::test]
async fn without_an_attestation_server_that_answers_nothing_is_recorded_or_sent() {
    let keeper = FakeKeeper::start(Fate::Answers(201)).await;
    let (silent, refusing) = (FakeKeeper::start(Fate::NeverAnswers).await, FakeKeeper::start(Fate::Answers(503)).await);
    let releasing = Releasing::start(|config| {
        plain(ProvisionerKind::Scone, &keeper)(config);
        config.provisioner.attestation_mode = AttestationMode::Maa;
        config.provisioner.attestation_servers = vec![silent.url(), refusing.url()];
        config.provisioner.timeout_ms = 50.try_into().unwrap();
    })
    .await;
    become_sgx(&releasing, "SCONE", 0x03);
    let answer = releasing.session().await;
    Releasing::assert_refused(&answer, "SECURE_SESSION_STORAGE_CALL_FAILED", "none of the attestation servers answers");
    assert!(keeper.received().is_empty() && releasing.journal().await.is_empty());
}

#[tokio::test]
async fn the_first_attestation_server_that_answers_is_named_in_the_session() {
    let keeper = FakeKeeper::start(Fate::Answers(201)).await;
    let (answering, refusing) =
        (FakeKeeper::start(Fate::Answers(200)).await, FakeKeeper::start(Fate::Answers(404)).await);
    let releasing = Releasing::start(|config| {
        plain(ProvisionerKind::Scone, &keeper)(config);
        config.provisioner.attestation_mode = AttestationMode::Maa;
        config.provisioner.attestation_servers = vec![refusing.url(), answering.url()];
    })
    .await;
    become_sgx(&releasing, "SCONE", 0x03);
    session_id(&releasing.session().await);
    let (_, body) = keeper.only_request();
    let expected = format!("    mode: \"maa\"\n    url: \"http://{}\"\n", answering.address);
    assert!(body.ends_with(&expected), "{body}");
    let (head, _) = answering.only_request();
    assert!(head.starts_with("GET /.well-known/openid-configuration "), "{head}");
}

#[tokio::test]
async fn a_version_without_pipeline_and_a_value_that_is_no_variable_refuse_the_session() {
    let keeper = FakeKeeper::start(Fate::Answers(201)).await;
    let releasing = Releasing::start(|config| {
        plain(ProvisionerKind::Scone, &keeper)(config);
        config.tee.pipelines.truncate(1);
    })
    .await;
    become_sgx(&releasing, "SCONE", 0x03);
    let answer = releasing.session().await;
    Releasing::assert_refused(&answer, "APP_COMPUTE_INVALID_ENCLAVE_CONFIG", "version \"v5\"");

    let keeper = FakeKeeper::start(Fate::Answers(200)).await;
    let releasing = Releasing::start(plain(ProvisionerKind::Tdx, &keeper)).await;
    releasing.push_requester_secret("large", &"x".repeat(200_000)).await;
    releasing.change(|shown| shown.deal.params = PARAMS.replace("my-secret_1", "large"));
    let answer = releasing.session().await;
    Releasing::assert_refused(&answer, "SECURE_SESSION_GENERATION_FAILED", "IEXEC_REQUESTER_SECRET_1");
    assert!(keeper.received().is_empty());
}

#[tokio::test]
async fn a_keeper_gets_nothing_of_a_session_that_is_refused() {
    let keeper = FakeKeeper::start(Fate::Answers(200)).await;
    let releasing = Releasing::start(plain(ProvisionerKind::Tdx, &keeper)).await;
    releasing.change(|shown| shown.deal.params = PARAMS.replace("my-secret_1", "absent"));
    let answer = releasing.session().await;
    Releasing::assert_refused(&answer, "SECURE_SESSION_GENERATION_FAILED", "\"absent\"");
    assert!(keeper.received().is_empty() && releasing.journal().await.is_empty());
}
