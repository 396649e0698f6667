//! SMS and result proxy over HTTP, in the dialect of the network's schedulers and workers. Answers are bounded; what they say
//! is never logged when it may be a token.

use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde::Deserialize;
use serde_json::json;
use strongroom_protocol::address::{lower_case, parse_any_case};
use strongroom_protocol::challenge::push_account_secret;
use strongroom_protocol::{Address, Framework, SecretValue, SigningKey, TaskId};
use url::Url;

use crate::cause::Cause;
use crate::outside::{Asked, Authorization, Objection, OutsideError, Services, with_causes};

/// Longest wait for one answer.
const TIMEOUT: Duration = Duration::from_mins(1);
/// Largest answer, in bytes.
const MAX_ANSWER_BYTES: usize = 1 << 20;
/// In which a Strongroom SMS says why it refuses a session.
const REASON: HeaderName = HeaderName::from_static("strongroom-reason");

/// The services of one pool.
#[derive(Clone, Debug)]
pub struct HttpServices {
    http: Client,
    sms: Url,
}

/// An answer, read whole.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl HttpServices {
    /// The SMS at `sms`, whose path is replaced: services live at the root of their origin.
    pub fn new(sms: Url) -> Result<Self, reqwest::Error> {
        let http = Client::builder().timeout(TIMEOUT).redirect(reqwest::redirect::Policy::none()).no_proxy().build()?;
        Ok(Self { http, sms })
    }

    async fn ask(&self, request: RequestBuilder, what: &str) -> Result<Answer, OutsideError> {
        let trouble = |error: reqwest::Error| {
            OutsideError::Trouble(format!("{what}: no answer: {}", with_causes(&error.without_url())))
        };
        let mut response = request.send().await.map_err(trouble)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(trouble)? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(OutsideError::Trouble(format!("{what}: the answer is too large")));
            }
            body.extend_from_slice(&chunk);
        }
        let body = String::from_utf8_lossy(&body).into_owned();
        Ok(Answer { status, headers, body })
    }

    fn sms(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, at(&self.sms, path))
    }

    async fn ask_framework(&self) -> Result<Framework, OutsideError> {
        let answer = self.ask(self.sms(Method::GET, "/tee/framework"), "framework of the SMS").await?;
        let answer = answer.success("framework of the SMS")?;
        Framework::from_name(answer.body.trim().trim_matches('"')).ok_or_else(|| {
            OutsideError::Trouble("what answers is no SMS: it names no framework; check sms.url".to_owned())
        })
    }

    async fn ask_challenge(&self, task: TaskId, signature: String) -> Result<Address, OutsideError> {
        let request = self.sms(Method::POST, &format!("/tee/challenges/{task}")).header(AUTHORIZATION, signature);
        let answer = self.ask(request, "enclave challenge").await?;
        // It says 401 also for a task that its node has not seen yet: worth another try until the deadline.
        let answer = answer.success("enclave challenge")?;
        parse_any_case(answer.body.trim())
            .map_err(|_| OutsideError::Trouble("enclave challenge: the answer is not an address".to_owned()))
    }

    async fn put_secret(&self, key: &SigningKey, name: &str, value: &SecretValue) -> Result<(), OutsideError> {
        let what = "account secret";
        let mut url = at(&self.sms, "/secrets/web2");
        url.query_pairs_mut().append_pair("ownerAddress", &lower_case(&key.address())).append_pair("secretName", name);
        let there = self.ask(self.http.head(url.clone()), what).await?;
        let signature = key.sign(push_account_secret(key.address(), name, value)).to_string();
        let store = |method| {
            let request = self.http.request(method, url.clone()).header(AUTHORIZATION, &signature);
            let request = request.header(CONTENT_TYPE, "text/plain;charset=UTF-8");
            self.ask(request.body(value.expose_secret().to_vec()), what)
        };
        match there.status {
            StatusCode::NOT_FOUND => {
                let stored = store(Method::POST).await?;
                // Otherwise the other half of ours was faster, perhaps with another value.
                if stored.status != StatusCode::CONFLICT {
                    return stored.success(what).map(drop);
                }
            }
            status if status.is_success() => {}
            _ => return Err(there.trouble(what)),
        }
        let stored = store(Method::PUT).await?;
        if stored.status == StatusCode::CONFLICT {
            // A signature serves once, so that nobody can bring a value back that was replaced.
            let message = format!(
                "account secret {name}: the SMS has another value and does not take this one back, which was replaced before; \
                 another wallet is needed, or another value"
            );
            return Err(OutsideError::Trouble(message));
        }
        stored.success(what).map(drop)
    }

    async fn ask_objections(&self, authorization: &Authorization) -> Result<Vec<Objection>, OutsideError> {
        #[derive(Deserialize)]
        struct Explanation {
            checks: Vec<Check>,
        }
        #[derive(Deserialize)]
        struct Check {
            passes: bool,
            #[serde(default)]
            code: Option<String>,
            #[serde(default)]
            reason: Option<String>,
        }
        let request = self.sms(Method::POST, "/v1/explain").json(&body_of(authorization));
        let answer = self.ask(request, "dry run of the session").await?;
        if matches!(answer.status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED)
            && !answer.body.contains("no-task")
        {
            // An SMS of the old kind has no dry run; the session will tell.
            return Ok(Vec::new());
        }
        let answer = answer.success("dry run of the session")?;
        let explanation: Explanation = serde_json::from_str(&answer.body).map_err(|_| {
            OutsideError::Trouble("dry run of the session: the answer is not an explanation".to_owned())
        })?;
        let objection = |check: Check| Objection {
            code: check.code.unwrap_or_default(),
            reason: check.reason.unwrap_or_else(|| "the SMS gives no reason".to_owned()),
        };
        Ok(explanation.checks.into_iter().filter(|check| !check.passes).map(objection).collect())
    }

    async fn open_session(&self, authorization: &Authorization, signature: String) -> Result<String, OutsideError> {
        #[derive(Deserialize)]
        struct Envelope {
            data: Option<Data>,
            error: Option<String>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Data {
            session_id: String,
        }
        let request =
            self.sms(Method::POST, "/tee/sessions").header(AUTHORIZATION, signature).json(&body_of(authorization));
        let answer = self.ask(request, "session").await?;
        let reason = answer.headers.get(REASON).and_then(|text| text.to_str().ok()).unwrap_or_default().to_owned();
        match serde_json::from_str(&answer.body) {
            Ok(Envelope { data: Some(data), .. }) if answer.status.is_success() => Ok(data.session_id),
            Ok(Envelope { error: Some(name), .. }) => {
                let reason = if reason.is_empty() { format!("the SMS refuses the session: {name}") } else { reason };
                Err(OutsideError::refused(Cause::of_session_error(&name), reason))
            }
            _ => Err(answer.trouble("session")),
        }
    }

    async fn ask_token(
        &self,
        proxy: &Url,
        authorization: &Authorization,
        signature: String,
    ) -> Result<SecretValue, OutsideError> {
        let what = "token of the result proxy";
        let request = self
            .http
            .post(at(proxy, "/v1/results/token"))
            .header(AUTHORIZATION, signature)
            .json(&body_of(authorization));
        let answer = self.ask(request, what).await?.success(what)?;
        SecretValue::new(answer.body.into_bytes()).map_err(|error| OutsideError::trouble(&error))
    }

    async fn ask_location(&self, proxy: &Url, task: TaskId) -> Result<Option<String>, OutsideError> {
        let what = "place of the result";
        let answer = self.ask(self.http.get(at(proxy, &format!("/v1/results/{task}/ipfshash"))), what).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let answer = answer.success(what)?;
        let hash = answer.body.trim();
        let hash = hash.strip_prefix("/ipfs/").unwrap_or(hash);
        if hash.is_empty() || hash.len() > 128 || !hash.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(OutsideError::Trouble(format!("{what}: the answer is not a content id")));
        }
        Ok(Some(format!("/ipfs/{hash}")))
    }
}

impl Answer {
    fn success(self, what: &str) -> Result<Self, OutsideError> {
        if self.status.is_success() { Ok(self) } else { Err(self.trouble(what)) }
    }

    /// Any failure of a service is worth another try until the deadline: its node may lag behind ours.
    fn trouble(&self, what: &str) -> OutsideError {
        OutsideError::Trouble(format!("{what}: status {}", self.status.as_u16()))
    }
}

/// WorkerpoolAuthorization as JSON.
fn body_of(authorization: &Authorization) -> serde_json::Value {
    json!({
        "chainTaskId": authorization.task.to_string(),
        "dealId": authorization.deal.to_string(),
        "taskIndex": authorization.index,
        "workerWallet": lower_case(&authorization.worker),
        "enclaveChallenge": lower_case(&authorization.challenge),
        "signature": { "value": authorization.signature },
    })
}

fn at(origin: &Url, path: &str) -> Url {
    let mut url = origin.clone();
    url.set_path(path);
    url.set_query(None);
    url.set_fragment(None);
    url
}

impl Services for HttpServices {
    fn framework(&self) -> Asked<'_, Framework> {
        Box::pin(self.ask_framework())
    }

    fn challenge(&self, task: TaskId, signature: String) -> Asked<'_, Address> {
        Box::pin(self.ask_challenge(task, signature))
    }

    fn publish<'a>(&'a self, key: &'a SigningKey, name: &'a str, value: &'a SecretValue) -> Asked<'a, ()> {
        Box::pin(self.put_secret(key, name, value))
    }

    fn objections<'a>(&'a self, authorization: &'a Authorization) -> Asked<'a, Vec<Objection>> {
        Box::pin(self.ask_objections(authorization))
    }

    fn session<'a>(&'a self, authorization: &'a Authorization, signature: String) -> Asked<'a, String> {
        Box::pin(self.open_session(authorization, signature))
    }

    fn storage_token<'a>(
        &'a self,
        proxy: &'a Url,
        authorization: &'a Authorization,
        signature: String,
    ) -> Asked<'a, SecretValue> {
        Box::pin(self.ask_token(proxy, authorization, signature))
    }

    fn result_location<'a>(&'a self, proxy: &'a Url, task: TaskId) -> Asked<'a, Option<String>> {
        Box::pin(self.ask_location(proxy, task))
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::http::StatusCode as Status;
    use axum::routing::get;

    use super::*;

    /// Publishes a secret at an SMS that answers so to the method of each name.
    async fn published(head: u16, post: u16, put: u16) -> Result<(), OutsideError> {
        let answer = |status: u16| move || std::future::ready(Status::from_u16(status).unwrap());
        let secret = get(answer(head)).post(answer(post)).put(answer(put));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sms = format!("http://{}", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move {
            axum::serve(listener, Router::new().route("/secrets/web2", secret)).await.unwrap();
        });
        let _ = rustls::crypto::ring::default_provider().install_default();
        let services = HttpServices::new(sms.parse().unwrap()).unwrap();
        let key = SigningKey::from_bytes(&[1; 32]).unwrap();
        let published = services.publish(&key, "name", &SecretValue::new(b"value".to_vec()).unwrap()).await;
        serving.abort();
        published
    }

    #[tokio::test]
    async fn a_secret_is_stored_anew_or_replaces_what_is_there() {
        const NEVER: u16 = 500;
        published(404, 204, NEVER).await.unwrap();
        published(204, NEVER, 204).await.unwrap();
        // Between the look and the write, somebody else of ours stored it.
        published(404, 409, 204).await.unwrap();
    }

    #[tokio::test]
    async fn a_value_that_the_sms_does_not_take_is_trouble_and_never_taken_for_stored() {
        for (head, post, put) in [(204, 500, 409), (404, 409, 409)] {
            let error = published(head, post, put).await.unwrap_err().to_string();
            assert!(error.contains("does not take this one back"), "{error}");
        }
        for (head, post, put) in [(503, 204, 204), (404, 401, 204), (204, 204, 503)] {
            assert!(matches!(published(head, post, put).await, Err(OutsideError::Trouble(_))));
        }
    }
}
