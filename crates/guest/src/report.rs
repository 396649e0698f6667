//! What the guest tells the worker: why a stage failed, or the signed result. The words are those of the network's stages; the origin is
//! `http://worker`, which the relay leads to the pool's own service.

use std::fmt;
use std::time::Duration;

use serde_json::json;
use strongroom_client::Way;
use strongroom_content::computed::ComputedFile;
use strongroom_protocol::contribution::worker_api_message;
use url::Url;

use crate::values::Signer;

const WORKER: &str = "http://worker:80";
/// Times a report is tried, and the wait between two.
const ATTEMPTS: u32 = 5;
const PAUSE: Duration = Duration::from_secs(1);
/// Longest wait for one answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Why a stage failed: a word of the network's list, and a sentence. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StageFailure {
    pub(crate) cause: &'static str,
    pub(crate) message: String,
}

impl StageFailure {
    pub(crate) fn new(cause: &'static str, message: impl fmt::Display) -> Self {
        Self { cause, message: message.to_string() }
    }
}

impl fmt::Display for StageFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.cause, self.message)
    }
}

/// In whose name something is reported.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reporter {
    Pre,
    Post,
}

/// The worker did not take what it was told.
#[derive(Debug)]
pub(crate) struct NotTaken;

/// Reports why a stage failed. A report that was taken before is taken.
pub(crate) async fn failures(
    way: &Way,
    signer: &Signer,
    reporter: Reporter,
    failures: &[StageFailure],
) -> Result<(), NotTaken> {
    let stage = match reporter {
        Reporter::Pre => "pre",
        Reporter::Post => "post",
    };
    let causes: Vec<_> =
        failures.iter().map(|failure| json!({ "cause": failure.cause, "message": failure.message })).collect();
    send(way, signer, &format!("/compute/{stage}/{}/exit-causes", signer.task), json!(causes)).await
}

/// Delivers the computed file.
pub(crate) async fn computed(way: &Way, signer: &Signer, file: &ComputedFile) -> Result<(), NotTaken> {
    send(way, signer, &format!("/compute/post/{}/computed", signer.task), json!(file)).await
}

async fn send(way: &Way, signer: &Signer, path: &str, body: serde_json::Value) -> Result<(), NotTaken> {
    let url: Url = format!("{WORKER}{path}").parse().map_err(|_| NotTaken)?;
    let client = way.client_for(&url).map_err(|_| NotTaken)?;
    let signature = signer.key.sign(worker_api_message(signer.task, signer.worker)).to_string();
    for attempt in 1..=ATTEMPTS {
        let request = client
            .post(url.clone())
            .timeout(TIMEOUT)
            .header("Authorization", &signature)
            .header("Content-Type", "application/json")
            .body(body.to_string());
        match request.send().await {
            Ok(answer) if answer.status().is_success() => return Ok(()),
            Ok(answer) if answer.status().is_client_error() => return Err(NotTaken),
            _ if attempt < ATTEMPTS => tokio::time::sleep(PAUSE).await,
            _ => {}
        }
    }
    Err(NotTaken)
}
