//! Requests that are signed before the clock starts: signing costs about as much as checking, and both share the machine.

use std::str::FromStr;
use std::thread;

use alloy_primitives::{Address, keccak256};
use anyhow::Context;
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, Uri};
use strongroom_protocol::address::checksummed;
use strongroom_protocol::{SecretValue, Signature, SigningKey, challenge};

/// A request that needs nothing but to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Presigned {
    method: Method,
    uri: Uri,
    authorization: Option<HeaderValue>,
    body: Bytes,
}

impl Presigned {
    /// A question that needs no signature.
    pub(crate) fn head(path: &str) -> anyhow::Result<Self> {
        let uri = Uri::from_str(path).context("the path is no path")?;
        Ok(Self { method: Method::HEAD, uri, authorization: None, body: Bytes::new() })
    }

    /// A question of `/v1`, with a JSON body or none.
    pub(crate) fn json(path: &str, body: Bytes) -> anyhow::Result<Self> {
        let uri = Uri::from_str(path).context("the path is no path")?;
        Ok(Self { method: Method::POST, uri, authorization: None, body })
    }

    fn post(path: &str, signature: Signature, body: Bytes) -> anyhow::Result<Self> {
        let uri = Uri::from_str(path).context("the path is no path")?;
        let authorization = HeaderValue::from_str(&signature.to_string()).context("the signature is no header")?;
        Ok(Self { method: Method::POST, uri, authorization: Some(authorization), body })
    }

    pub(crate) fn into_request(self, host: &HeaderValue) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(self.body));
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        let headers = request.headers_mut();
        headers.insert(HOST, host.clone());
        if let Some(authorization) = self.authorization {
            headers.insert(AUTHORIZATION, authorization);
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
        }
        request
    }
}

/// What is pushed for every secret of a run, and who signs.
pub(crate) struct Pusher {
    key: SigningKey,
    value: SecretValue,
    body: Bytes,
}

/// Which pushes to prepare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// Secrets of a requester.
    Requester,
    /// Secrets of an account.
    Account,
}

impl Pusher {
    /// Everybody knows the key of a load test: it is a hash of `seed`.
    pub(crate) fn new(seed: &str, value_bytes: usize) -> anyhow::Result<Self> {
        let key = SigningKey::from_bytes(&keccak256(seed).0).context("the seed makes no key")?;
        let body = vec![b'v'; value_bytes];
        let value = SecretValue::new(body.clone()).context("the value is too long")?;
        Ok(Self { key, value, body: body.into() })
    }

    pub(crate) fn address(&self) -> Address {
        self.key.address()
    }

    /// Pushes of `count` secrets whose names begin with `prefix`, signed on two threads.
    pub(crate) fn named(&self, kind: Named, prefix: &str, count: usize) -> anyhow::Result<Vec<Presigned>> {
        let name = |number: usize| format!("{prefix}-{number}");
        let sign = |numbers: std::ops::Range<usize>| -> anyhow::Result<Vec<Presigned>> {
            numbers.map(|number| self.one_named(kind, &name(number))).collect()
        };
        thread::scope(|scope| {
            let second_half = scope.spawn(|| sign(count / 2..count));
            let mut all = sign(0..count / 2)?;
            all.extend(second_half.join().map_err(|_| anyhow::anyhow!("signing panicked"))??);
            Ok(all)
        })
    }

    fn one_named(&self, kind: Named, name: &str) -> anyhow::Result<Presigned> {
        let owner = checksummed(&self.key.address());
        let (path, challenge) = match kind {
            Named::Requester => (
                format!("/requesters/{owner}/secrets/{name}"),
                challenge::push_requester_secret(self.key.address(), name, &self.value),
            ),
            Named::Account => (
                format!("/secrets/web2?ownerAddress={owner}&secretName={name}"),
                challenge::push_account_secret(self.key.address(), name, &self.value),
            ),
        };
        Presigned::post(&path, self.key.sign(challenge), self.body.clone())
    }

    /// The push of the key of a dataset.
    pub(crate) fn dataset(&self, dataset: Address) -> anyhow::Result<Presigned> {
        let signature = self.key.sign(challenge::push_dataset_secret(dataset, &self.value));
        Presigned::post(&dataset_path(dataset), signature, self.body.clone())
    }
}

/// Where the key of a dataset is.
pub(crate) fn dataset_path(dataset: Address) -> String {
    format!("/secrets/web3?secretAddress={}", checksummed(&dataset))
}
