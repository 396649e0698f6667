//! What a workerpool says about a task: its compass tells where it answers. Nobody has to believe it, and not having an answer is
//! no error: the chain alone says what a task is worth.

use std::time::Duration;

use reqwest::Client;
use serde_json::Value;
use strongroom_protocol::address::checksummed;
use strongroom_protocol::{Address, TaskId};
use url::Url;

/// Largest answer that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 1 << 20;
/// Longest text that is repeated, in characters.
const MAX_TEXT: usize = 300;

/// What a pool says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Word {
    /// Where the task stands for it.
    pub(crate) status: String,
    /// Why it failed.
    pub(crate) cause: Option<String>,
    /// More about it.
    pub(crate) message: Option<String>,
}

/// Asks the pool about a task.
pub(crate) async fn ask(
    compass: &Url,
    chain_id: u64,
    workerpool: Address,
    task: TaskId,
    timeout: Duration,
) -> Option<Word> {
    let http =
        Client::builder().timeout(timeout).no_proxy().redirect(reqwest::redirect::Policy::none()).build().ok()?;
    let mut url = compass.clone();
    url.set_path(&format!("/{chain_id}/workerpools/{}", checksummed(&workerpool)));
    let direction = json(&http, url).await?;
    let mut url: Url = direction["apiUrl"].as_str()?.parse().ok()?;
    url.set_path(&format!("/tasks/{task}"));
    read(&json(&http, url).await?)
}

fn read(task: &Value) -> Option<Word> {
    let text = |value: &Value| {
        let text: String = value.as_str()?.chars().filter(|c| !c.is_control()).take(MAX_TEXT).collect();
        Some(text).filter(|text| !text.is_empty())
    };
    let replicates = task["replicates"].as_array();
    let updates = replicates.and_then(|all| all.last()).and_then(|last| last["statusUpdateList"].as_array());
    let of_replicate = updates.and_then(|all| all.iter().rev().find_map(|update| text(&update["details"]["cause"])));
    let cause = text(&task["cause"]).or(of_replicate);
    Some(Word { status: text(&task["currentStatus"])?, cause, message: text(&task["message"]) })
}

async fn json(http: &Client, url: Url) -> Option<Value> {
    let mut answer = http.get(url).send().await.ok()?.error_for_status().ok()?;
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.ok()? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return None;
        }
        body.extend_from_slice(&chunk);
    }
    serde_json::from_slice(&body).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_word_of_a_pool_has_a_status_and_perhaps_a_cause() {
        assert_eq!(read(&json!({})), None);
        let running = read(&json!({ "currentStatus": "RUNNING", "replicates": [] })).unwrap();
        assert_eq!((running.status.as_str(), running.cause), ("RUNNING", None));
        let replicate = json!({ "statusUpdateList": [{ "details": { "cause": "APP_IMAGE_DOWNLOAD_FAILED" } }, {}] });
        let failed = read(&json!({ "currentStatus": "RUNNING_FAILED", "replicates": [replicate] })).unwrap();
        assert_eq!(failed.cause.as_deref(), Some("APP_IMAGE_DOWNLOAD_FAILED"));
        let told = json!({ "currentStatus": "FAILED", "cause": "X", "message": "a\u{1b}b" });
        assert_eq!(read(&told).unwrap().message.as_deref(), Some("ab"));
    }
}
