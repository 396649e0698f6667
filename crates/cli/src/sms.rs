//! Talks to an SMS as the stock clients do, over its public HTTP interface: is a secret there, store one, replace one.
//!
//! Only 204 is a yes. What the SMS writes into its answers is never shown: it knows the secret, and it may be anybody.
//! Redirections are not followed and no proxy is used, so that a secret goes to the SMS that was named and nowhere else.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::{Client, Method, StatusCode};
use strongroom_protocol::address::checksummed;
use strongroom_protocol::{SecretId, SecretValue, Signature};
use url::Url;
use zeroize::Zeroizing;

/// Longest pause between two tries. An SMS that asks for more is taken at its word: no further try.
const MAX_PAUSE: Duration = Duration::from_secs(30);
/// First pause when a busy SMS names none; each next one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// How long and how often to ask.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    /// Longest wait for one answer.
    pub(crate) timeout: Duration,
    /// Further tries when the SMS is busy.
    pub(crate) retries: u32,
}

/// Why an SMS did not do or say what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SmsError {
    /// No TLS, for want of certificates of the system.
    #[error("cannot prepare the connection to the SMS")]
    Client(#[source] reqwest::Error),
    /// No connection, so nothing was sent.
    #[error("cannot reach the SMS at {sms}")]
    Unreachable {
        /// Its root.
        sms: Url,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The connection broke, or no answer came in time.
    #[error("the SMS at {sms} did not answer")]
    NoAnswer {
        /// Its root.
        sms: Url,
        /// Whether something was to be stored, and perhaps was.
        writing: bool,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// 429 or 503, each time we asked.
    #[error("the SMS at {sms} is busy or out of touch with its chain (status {status})")]
    Busy {
        /// Its root.
        sms: Url,
        /// 429 or 503.
        status: u16,
    },
    /// 401 or 403.
    #[error("the SMS refuses: this wallet is not {needs}")]
    Refused {
        /// Who may do it.
        needs: String,
    },
    /// 409 to a new secret.
    #[error("{what} is already there")]
    AlreadyExists {
        /// Which secret.
        what: String,
        /// Whether its kind can be replaced.
        updatable: bool,
        /// Whether this was not our first try, so that the secret may be ours.
        retried: bool,
    },
    /// 409 to a replacement: the value is an older one.
    #[error("{what} had this value before; what was replaced cannot come back")]
    Replayed {
        /// Which secret.
        what: String,
    },
    /// 404 to a replacement.
    #[error("{what} is not there any more")]
    Gone {
        /// Which secret.
        what: String,
    },
    /// 413.
    #[error("the SMS says that the secret is too large")]
    TooLarge,
    /// 400.
    #[error("the SMS says that the request is not acceptable")]
    Invalid,
    /// 404 or 405 where every SMS has a route.
    #[error("what answers at {sms} is no SMS (status {status})")]
    NotAnSms {
        /// Where.
        sms: Url,
        /// The answer.
        status: u16,
    },
    /// 3xx.
    #[error("{sms} sends us elsewhere (status {status}), where no secret goes")]
    Redirected {
        /// Where we asked.
        sms: Url,
        /// The answer.
        status: u16,
    },
    /// 5xx other than 503.
    #[error("the SMS at {sms} has trouble (status {status})")]
    ServerTrouble {
        /// Its root.
        sms: Url,
        /// The answer.
        status: u16,
    },
    /// Anything else.
    #[error("the SMS at {sms} answers {status}, which means nothing here")]
    Unexpected {
        /// Its root.
        sms: Url,
        /// The answer.
        status: u16,
    },
}

/// One SMS.
pub(crate) struct Sms {
    http: Client,
    root: Url,
    retries: u32,
}

/// What is sent to store something.
struct Body {
    value: Bytes,
    signature: Signature,
}

/// The last answer.
struct Reply {
    status: StatusCode,
    /// It was not the first try.
    retried: bool,
}

impl Sms {
    /// `root` was checked by [`crate::chains::check_sms_url`]. Connects to nothing yet.
    pub(crate) fn new(root: Url, patience: Patience) -> Result<Self, SmsError> {
        let mut builder = Client::builder()
            .timeout(patience.timeout)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .user_agent(concat!("strongroom/", env!("CARGO_PKG_VERSION")));
        if root.scheme() == "http" {
            builder = builder.tls_certs_only([]); // else a machine without certificates could not even ask itself
        }
        Ok(Self { http: builder.build().map_err(SmsError::Client)?, root, retries: patience.retries })
    }

    /// Whether the secret is there.
    pub(crate) async fn has(&self, id: &SecretId) -> Result<bool, SmsError> {
        match self.ask(Method::HEAD, id, None).await?.status {
            StatusCode::NO_CONTENT => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            status => Err(self.error_of(status, id)),
        }
    }

    /// Stores a secret that is not there yet.
    pub(crate) async fn create(&self, id: &SecretId, value: &SecretValue, by: Signature) -> Result<(), SmsError> {
        let reply = self.ask(Method::POST, id, Some(&Body::new(value, by))).await?;
        match reply.status {
            StatusCode::NO_CONTENT => Ok(()),
            StatusCode::CONFLICT => Err(SmsError::AlreadyExists {
                what: describe(id),
                updatable: id.kind().is_updatable(),
                retried: reply.retried,
            }),
            status => Err(self.error_of(status, id)),
        }
    }

    /// Replaces a secret that is there. Only account secrets can be replaced; other kinds have no such route.
    pub(crate) async fn replace(&self, id: &SecretId, value: &SecretValue, by: Signature) -> Result<(), SmsError> {
        match self.ask(Method::PUT, id, Some(&Body::new(value, by))).await?.status {
            StatusCode::NO_CONTENT => Ok(()),
            StatusCode::NOT_FOUND => Err(SmsError::Gone { what: describe(id) }),
            StatusCode::CONFLICT => Err(SmsError::Replayed { what: describe(id) }),
            status => Err(self.error_of(status, id)),
        }
    }

    /// Asks until the SMS is not busy or patience ends.
    async fn ask(&self, method: Method, id: &SecretId, body: Option<&Body>) -> Result<Reply, SmsError> {
        let url = url_of(&self.root, id);
        for tries in 0.. {
            let mut request = self.http.request(method.clone(), url.clone());
            if let Some(Body { value, signature }) = body {
                request = request
                    .header(AUTHORIZATION, signature.to_string())
                    .header(CONTENT_TYPE, "text/plain")
                    .body(value.clone());
            }
            let answer = request.send().await.map_err(|source| self.no_answer(source, body.is_some()))?;
            let status = answer.status();
            if !matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
                return Ok(Reply { status, retried: tries > 0 });
            }
            match pause_before(tries, answer.headers(), rand::random()).filter(|_| tries < self.retries) {
                Some(pause) => tokio::time::sleep(pause).await,
                None => return Err(SmsError::Busy { sms: self.root.clone(), status: status.as_u16() }),
            }
        }
        unreachable!("the loop ends after at most `retries` tries")
    }

    fn no_answer(&self, source: reqwest::Error, writing: bool) -> SmsError {
        let sms = self.root.clone();
        let unsent = source.is_connect();
        let source = source.without_url();
        if unsent { SmsError::Unreachable { sms, source } } else { SmsError::NoAnswer { sms, writing, source } }
    }

    /// What a status means that is neither yes nor no.
    fn error_of(&self, status: StatusCode, id: &SecretId) -> SmsError {
        let (sms, code) = (self.root.clone(), status.as_u16());
        match code {
            300..=399 => SmsError::Redirected { sms, status: code },
            400 => SmsError::Invalid,
            401 | 403 => SmsError::Refused { needs: who_may_write(id) },
            404 | 405 => SmsError::NotAnSms { sms, status: code },
            413 => SmsError::TooLarge,
            500..=599 => SmsError::ServerTrouble { sms, status: code },
            _ => SmsError::Unexpected { sms, status: code },
        }
    }
}

impl Body {
    /// The copy that is sent wipes itself like the original. (Buffers of the TCP connection are out of our hands.)
    fn new(value: &SecretValue, signature: Signature) -> Self {
        Self { value: Bytes::from_owner(Zeroizing::new(value.expose_secret().to_vec())), signature }
    }
}

/// The secret's place. Addresses are checksummed and query members in alphabetical order, as stock clients write them.
fn url_of(root: &Url, id: &SecretId) -> Url {
    let mut url = root.clone();
    match id {
        SecretId::App(app) => url.set_path(&format!("/apps/{}/secrets", checksummed(app))),
        SecretId::Requester { owner, name } => {
            // The name's alphabet needs no escaping.
            url.set_path(&format!("/requesters/{}/secrets/{name}", checksummed(owner)));
        }
        SecretId::Dataset(dataset) => {
            url.set_path("/secrets/web3");
            url.query_pairs_mut().append_pair("secretAddress", &checksummed(dataset));
        }
        SecretId::Account { owner, name } => {
            url.set_path("/secrets/web2");
            url.query_pairs_mut()
                .append_pair("ownerAddress", &checksummed(owner))
                .append_pair("secretName", name.as_str());
        }
    }
    url
}

/// The secret in words.
pub(crate) fn describe(id: &SecretId) -> String {
    match id {
        SecretId::App(app) => format!("the secret of app {}", checksummed(app)),
        SecretId::Requester { owner, name } => format!("the secret {name} of requester {}", checksummed(owner)),
        SecretId::Dataset(dataset) => format!("the key of dataset {}", checksummed(dataset)),
        SecretId::Account { owner, name } => format!("the secret {name} of account {}", checksummed(owner)),
    }
}

fn who_may_write(id: &SecretId) -> String {
    match id {
        SecretId::App(app) => format!("the owner of app {}", checksummed(app)),
        SecretId::Dataset(dataset) => format!("the owner of dataset {}", checksummed(dataset)),
        SecretId::Requester { owner, .. } | SecretId::Account { owner, .. } => checksummed(owner),
    }
}

/// How long to wait after `tries` earlier tries and this one: what the SMS asks for in seconds, else twice as long each time
/// and up to a quarter more (`chance` of 255), so that many clients do not come back together. `None`: it asks for too much.
fn pause_before(tries: u32, headers: &HeaderMap, chance: u8) -> Option<Duration> {
    let asked = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse().ok());
    if let Some(seconds) = asked {
        return Some(Duration::from_secs(seconds)).filter(|pause| *pause <= MAX_PAUSE);
    }
    let doubled = FIRST_PAUSE.saturating_mul(1 << tries.min(16));
    Some(doubled.saturating_add(doubled * u32::from(chance) / 1020).min(MAX_PAUSE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use strongroom_protocol::Address;

    #[test]
    fn secrets_are_where_stock_clients_look_for_them() {
        let root = Url::parse("http://127.0.0.1:13300").unwrap();
        let a = Address::repeat_byte(0xab);
        let shown = checksummed(&a);
        for (id, expected) in [
            (SecretId::App(a), format!("/apps/{shown}/secrets")),
            (
                SecretId::Requester { owner: a, name: "My-secret_1".parse().unwrap() },
                format!("/requesters/{shown}/secrets/My-secret_1"),
            ),
            (SecretId::Dataset(a), format!("/secrets/web3?secretAddress={shown}")),
            (
                SecretId::Account { owner: a, name: "iexec-result-dropbox-token".parse().unwrap() },
                format!("/secrets/web2?ownerAddress={shown}&secretName=iexec-result-dropbox-token"),
            ),
        ] {
            assert_eq!(url_of(&root, &id).as_str(), format!("http://127.0.0.1:13300{expected}"));
        }
    }

    #[test]
    fn a_busy_service_says_how_long_to_wait_up_to_half_a_minute() {
        let asked = |text: &str| HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
        assert_eq!(pause_before(0, &asked("0"), 255), Some(Duration::ZERO));
        assert_eq!(pause_before(3, &asked("30"), 255), Some(Duration::from_secs(30)));
        assert_eq!(pause_before(0, &asked("31"), 0), None);
        assert_eq!(pause_before(0, &asked("Sat, 31 Jan 2026 12:00:00 GMT"), 0), Some(FIRST_PAUSE));
    }

    #[test]
    fn without_a_word_the_pauses_double_and_stay_bounded() {
        let pause = |tries, chance| pause_before(tries, &HeaderMap::new(), chance).unwrap();
        assert_eq!((pause(0, 0), pause(1, 0), pause(2, 0)), (FIRST_PAUSE, FIRST_PAUSE * 2, FIRST_PAUSE * 4));
        assert_eq!(pause(0, 255), FIRST_PAUSE + FIRST_PAUSE / 4);
        assert_eq!(pause(30, 255), MAX_PAUSE);
    }
}
