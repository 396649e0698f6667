//! What a workerpool says about a task: its compass tells where it answers. Nobody has to believe it, and not having an answer is
//! no error: the chain alone says what a task is worth.

use std::time::Duration;

use alloy_primitives::U256;
use alloy_sol_types::{Eip712Domain, SolStruct, sol};
use jiff::Timestamp;
use reqwest::Client;
use reqwest::header::AUTHORIZATION;
use serde_json::Value;
use strongroom_protocol::address::checksummed;
use strongroom_protocol::{Address, SigningKey, TaskId};
use url::Url;

/// Largest answer that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 8 << 20;
/// Most stages of a task that are read.
const MAX_STAGES: usize = 100;
/// Longest text that is repeated, in characters.
const MAX_TEXT: usize = 300;

sol! {
    /// What a requester signs to read what an app printed.
    struct Challenge {
        string challenge;
    }
}

/// Why a pool told nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SchedulerError {
    /// No TLS, for want of certificates of the system.
    #[error("cannot prepare the connection to the pool")]
    Client(#[source] reqwest::Error),
    /// No connection, or no answer in time.
    #[error("{url} does not answer")]
    Unreachable {
        /// Who was asked.
        url: Url,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The compass does not know the pool.
    #[error("the compass at {compass} does not know where the pool answers")]
    Unlisted {
        /// The compass.
        compass: Url,
    },
    /// The pool says no.
    #[error("the pool at {pool} does not tell (status {status})")]
    Refused {
        /// The pool.
        pool: Url,
        /// Its answer.
        status: u16,
    },
    /// Something else than a scheduler answers.
    #[error("{url} answers something that means nothing here")]
    Strange {
        /// Who was asked.
        url: Url,
    },
}

/// What a pool says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Word {
    /// Where the task stands for it.
    pub(crate) status: String,
    /// What the worker is at.
    pub(crate) stage: Option<String>,
    /// Since when.
    pub(crate) since: Option<Timestamp>,
    /// Why it failed.
    pub(crate) cause: Option<String>,
    /// More about it.
    pub(crate) message: Option<String>,
    /// What the task has gone through, and what the worker has.
    pub(crate) course: [Vec<Stage>; 2],
}

/// Something that a task, or its worker, was at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stage {
    /// What the pool calls it.
    pub(crate) name: String,
    /// When it began.
    pub(crate) began: Timestamp,
}

/// What an app printed, for one worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Logs {
    /// Address of the worker, as the pool has it.
    pub(crate) worker: String,
    /// Standard output.
    pub(crate) stdout: String,
    /// Standard error.
    pub(crate) stderr: String,
}

/// The scheduler of one workerpool.
pub(crate) struct Scheduler {
    http: Client,
    root: Url,
    chain_id: u64,
}

impl Scheduler {
    /// Asks the compass where the pool answers.
    pub(crate) async fn find(
        compass: &Url,
        chain_id: u64,
        workerpool: Address,
        timeout: Duration,
    ) -> Result<Self, SchedulerError> {
        let http = Client::builder().timeout(timeout).no_proxy().redirect(reqwest::redirect::Policy::none());
        let http = http.build().map_err(SchedulerError::Client)?;
        let mut scheduler = Self { http, root: compass.clone(), chain_id };
        let path = format!("/{chain_id}/workerpools/{}", checksummed(&workerpool));
        let direction = scheduler.get(&path, None).await.map_err(|error| match error {
            SchedulerError::Refused { pool: compass, status: 404 } => SchedulerError::Unlisted { compass },
            error => error,
        })?;
        let root = direction["apiUrl"].as_str().and_then(|url| url.parse().ok());
        scheduler.root = root.ok_or_else(|| SchedulerError::Strange { url: compass.clone() })?;
        Ok(scheduler)
    }

    /// What the pool says about a task; whatever is in the way is as good as silence.
    pub(crate) async fn word(&self, task: TaskId) -> Option<Word> {
        read(&self.get(&format!("/tasks/{task}"), None).await.ok()?)
    }

    /// What the app of a task printed, for its requester.
    ///
    /// The pool chooses the text that is signed, and nothing else of it: it is a challenge of this chain's schedulers, good for nothing but
    /// reading logs.
    pub(crate) async fn logs(&self, task: TaskId, key: &SigningKey) -> Result<Vec<Logs>, SchedulerError> {
        let strange = || SchedulerError::Strange { url: self.root.clone() };
        let requester = checksummed(&key.address());
        let typed = self.get(&format!("/tasks/logs/challenge?address={requester}"), None).await?;
        let challenge = typed["message"]["challenge"].as_str().ok_or_else(strange)?.to_owned();
        let domain = Eip712Domain {
            name: Some("iExec Core".into()),
            version: Some("1".into()),
            chain_id: Some(U256::from(self.chain_id)),
            ..Eip712Domain::default()
        };
        let hash = Challenge { challenge }.eip712_signing_hash(&domain);
        let authorization = format!("{hash}_{}_{requester}", key.sign_digest(hash));
        let answer = self.get(&format!("/tasks/{task}/logs"), Some(&authorization)).await?;
        let all = answer["computeLogsList"].as_array().ok_or_else(strange)?;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let logs = all.iter().map(|one| Logs {
            worker: short(&one["walletAddress"]).unwrap_or_default(),
            stdout: text(&one["stdout"]),
            stderr: text(&one["stderr"]),
        });
        Ok(logs.collect())
    }

    async fn get(&self, path: &str, authorization: Option<&str>) -> Result<Value, SchedulerError> {
        let root = self.root.clone();
        let url = root.join(path).map_err(|_| SchedulerError::Strange { url: root.clone() })?;
        let unreachable =
            |source: reqwest::Error| SchedulerError::Unreachable { url: root.clone(), source: source.without_url() };
        let mut request = self.http.get(url);
        if let Some(authorization) = authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let mut answer = request.send().await.map_err(unreachable)?;
        let status = answer.status();
        if !status.is_success() {
            return Err(SchedulerError::Refused { pool: root, status: status.as_u16() });
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(SchedulerError::Strange { url: root });
            }
            body.extend_from_slice(&chunk);
        }
        serde_json::from_slice(&body).map_err(|_| SchedulerError::Strange { url: root })
    }
}

/// The stages of a list of the pool's, which grows with the task.
fn stages(list: &Value) -> Vec<Stage> {
    let stage = |one: &Value| Some(Stage { name: short(&one["status"])?, began: one["date"].as_str()?.parse().ok()? });
    list.as_array().into_iter().flatten().take(MAX_STAGES).filter_map(stage).collect()
}

/// A text that may be repeated: short, on one line.
fn short(value: &Value) -> Option<String> {
    let text: String = value.as_str()?.chars().filter(|c| !c.is_control()).take(MAX_TEXT).collect();
    Some(text).filter(|text| !text.is_empty())
}

fn read(task: &Value) -> Option<Word> {
    let last = |list: &Value| list.as_array().and_then(|all| all.last()).cloned().unwrap_or_default();
    let replicate = last(&task["replicates"]);
    let updates = &replicate["statusUpdateList"];
    let of_replicate =
        updates.as_array().and_then(|all| all.iter().rev().find_map(|update| short(&update["details"]["cause"])));
    let cause = short(&task["cause"]).or(of_replicate);
    let at = |update: &Value| update["date"].as_str()?.parse::<Timestamp>().ok();
    let since = [at(&last(&task["dateStatusList"])), at(&last(updates))].into_iter().flatten().max();
    let stage = short(&replicate["currentStatus"]);
    let (status, message) = (short(&task["currentStatus"])?, short(&task["message"]));
    Some(Word { status, stage, since, cause, message, course: [stages(&task["dateStatusList"]), stages(updates)] })
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
        let course = json!([{ "status": "RUNNING", "date": "2026-01-02T03:04:05.000Z" }]);
        let replicate =
            json!({ "currentStatus": "COMPUTING", "statusUpdateList": [{ "date": "2026-01-02T03:04:06.500Z" }] });
        let told = json!({ "currentStatus": "RUNNING", "dateStatusList": course, "replicates": [replicate] });
        let word = read(&told).unwrap();
        assert_eq!((word.stage.as_deref(), word.since), (Some("COMPUTING"), "2026-01-02T03:04:06.5Z".parse().ok()));
        let began = "2026-01-02T03:04:05Z".parse().unwrap();
        assert_eq!(word.course, [vec![Stage { name: "RUNNING".to_owned(), began }], vec![]], "one has no name");
        let told = json!({ "currentStatus": "FAILED", "cause": "X", "message": "a\u{1b}b" });
        assert_eq!(read(&told).unwrap().message.as_deref(), Some("ab"));
    }
}
