//! Pulls an image from a registry by digest: the distribution API's two reads, anonymous or with a token. Not the crate `oci-client`:
//! it reads documents and blobs without bounds of ours, and brings a calendar and regular expressions.

use std::path::Path;
use std::time::Duration;

use reqwest::header::{ACCEPT, AUTHORIZATION, HeaderValue, WWW_AUTHENTICATE};
use reqwest::{Client, Response, StatusCode, Url};
use serde::Deserialize;
use tokio::fs::File;
use tokio::io::AsyncWriteExt as _;

use crate::manifest::{DOCKER_LIST, DOCKER_MANIFEST, Manifest, Named, OCI_INDEX, OCI_MANIFEST, parse_named};
use crate::{Digest, ImageError, ImageStore, Reference, Refused, Source, UnpackedImage, Wanted};

/// A token and what is around it.
const TOKEN_ANSWER_BYTES: u64 = 64 << 10;
/// Attempts for one blob. Each begins anew: what is on the disk is not believed.
const ATTEMPTS: u32 = 3;

/// Access to registries.
#[derive(Clone, Debug)]
pub struct Registry {
    client: Client,
    plain_http: Vec<String>,
    silence: Duration,
    whole_pull: Duration,
}

impl Registry {
    /// Asks registries through `client`, whose time-outs for connecting and reading should be set.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client, plain_http: Vec::new(), silence: Duration::from_mins(1), whole_pull: Duration::from_mins(10) }
    }

    /// How long the registry may take to hand out a whole image; 10 minutes if nothing is said. A registry that sends a byte now and
    /// then is never silent, and would be waited for without end.
    #[must_use]
    pub fn whole_pull(mut self, time: Duration) -> Self {
        self.whole_pull = time;
        self
    }

    /// Talks to this registry without TLS. What is pulled is checked all the same; others can see what is pulled.
    #[must_use]
    pub fn danger_plain_http(mut self, registry: &str) -> Self {
        self.plain_http.push(registry.to_owned());
        self
    }

    fn url(&self, reference: &Reference, rest: &str) -> Result<Url, ImageError> {
        let host = reference.host();
        let scheme = if self.is_plain(host) { "http" } else { "https" };
        let url = format!("{scheme}://{host}/v2/{}/{rest}", reference.repository);
        url.parse().map_err(|error| ImageError::Registry(format!("`{reference}` makes no address: {error}")))
    }

    fn is_plain(&self, host: &str) -> bool {
        self.plain_http.iter().any(|plain| plain == host)
    }
}

/// One pull: a repository and the token for it.
struct Pull<'a> {
    registry: &'a Registry,
    reference: &'a Reference,
    token: Option<HeaderValue>,
}

impl ImageStore {
    /// Pulls the image with the reference's digest, verifies and unpacks it, unless that was done before. A reference without a
    /// digest is refused: a tag says nothing about what it names.
    pub async fn pull(&self, registry: &Registry, reference: &Reference) -> Result<UnpackedImage, ImageError> {
        let Some(digest) = reference.digest else {
            return Err(ImageError::Registry(format!("`{reference}` has no digest; add @sha256:…")));
        };
        let wanted = Wanted::Manifest(digest);
        if let Some(image) = self.cached(wanted)? {
            return Ok(image);
        }
        let staging = self.staging(digest)?;
        let fetching = self.fetch(Pull { registry, reference, token: None }, digest, staging.path());
        let fetched = tokio::time::timeout(registry.whole_pull, fetching).await;
        fetched.map_err(|_| {
            let reason = format!(
                "it had not sent the whole image after {:?}, the longest that it may take",
                registry.whole_pull
            );
            ImageError::Registry(reason)
        })??;
        let store = self.clone();
        let unpack = move || {
            let image = store.unpack(&Source::Layout(staging.path().to_owned()), wanted);
            drop(staging);
            image
        };
        tokio::task::spawn_blocking(unpack).await.map_err(|error| ImageError::Registry(error.to_string()))?
    }

    /// Makes a layout in `folder`.
    async fn fetch(&self, mut pull: Pull<'_>, digest: Digest, folder: &Path) -> Result<(), ImageError> {
        let blobs = folder.join("blobs/sha256");
        tokio::fs::create_dir_all(&blobs).await.map_err(ImageError::io(&blobs))?;
        let manifest = self.manifest(&mut pull, digest, &blobs).await?;
        manifest.check(self.bounds())?;
        for blob in [&manifest.config].into_iter().chain(&manifest.layers) {
            let file = blobs.join(blob.digest.hex());
            pull.blob(blob.digest, blob.size, &file).await?;
        }
        Ok(())
    }

    async fn manifest(&self, pull: &mut Pull<'_>, digest: Digest, blobs: &Path) -> Result<Manifest, ImageError> {
        let mut wanted = digest;
        // An index, then a manifest.
        for _ in 0..2 {
            let bytes = pull.manifest(wanted, self.bounds().manifest_bytes).await?;
            let file = blobs.join(wanted.hex());
            tokio::fs::write(&file, &bytes).await.map_err(ImageError::io(file))?;
            match parse_named(&bytes)? {
                Named::Manifest(manifest) => return Ok(manifest),
                Named::Index(index) => wanted = index.for_platform(self.bounds())?.digest,
            }
        }
        Err(Refused::Malformed { what: "index", reason: "it lists an index again".to_owned() }.into())
    }
}

impl Pull<'_> {
    async fn manifest(&mut self, digest: Digest, limit: u64) -> Result<Vec<u8>, ImageError> {
        let accept = [OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST].join(", ");
        let answer = self.ask(&format!("manifests/{digest}"), Some(&accept)).await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Err(ImageError::Absent {
                wanted: digest.to_string(),
                place: format!("{}/{}", self.reference.host(), self.reference.repository),
                hint: "check name and digest, and that it is public",
            });
        }
        let answer = successful(answer)?;
        let too_much = Refused::TooMuch { what: "bytes in a manifest or configuration", limit };
        let bytes = bounded(answer, limit).await?.ok_or(too_much)?;
        let found = Digest::of(&bytes);
        if found != digest {
            return Err(Refused::Digest { what: "manifest", expected: digest, found }.into());
        }
        Ok(bytes)
    }

    /// Fetches a blob into a file. Its digest is checked when it is read; its size is a bound here already.
    async fn blob(&mut self, digest: Digest, size: u64, to: &Path) -> Result<(), ImageError> {
        let mut attempt = 1;
        loop {
            match self.try_blob(digest, size, to).await {
                Err(ImageError::Registry(reason)) if attempt < ATTEMPTS => {
                    tracing::debug!(%digest, reason, attempt, "a blob could not be fetched; trying again");
                    attempt += 1;
                }
                other => return other,
            }
        }
    }

    async fn try_blob(&mut self, digest: Digest, size: u64, to: &Path) -> Result<(), ImageError> {
        let mut answer = successful(self.ask(&format!("blobs/{digest}"), None).await?)?;
        let mut file = File::create(to).await.map_err(ImageError::io(to))?;
        let mut written = 0_u64;
        while let Some(chunk) = self.next_chunk(&mut answer).await? {
            written += chunk.len() as u64;
            if written > size {
                return Err(Refused::Size { what: "blob", digest, expected: size, found: written }.into());
            }
            file.write_all(&chunk).await.map_err(ImageError::io(to))?;
        }
        file.flush().await.map_err(ImageError::io(to))?;
        if written < size {
            return Err(ImageError::Registry(format!("blob {digest} ended after {written} of {size} bytes")));
        }
        Ok(())
    }

    async fn next_chunk(&self, answer: &mut Response) -> Result<Option<bytes::Bytes>, ImageError> {
        let chunk = tokio::time::timeout(self.registry.silence, answer.chunk()).await;
        chunk.map_err(|_| ImageError::Registry("it stopped sending".to_owned()))?.map_err(unreachable)
    }

    /// Asks, and asks again with a token when the registry wants one.
    async fn ask(&mut self, rest: &str, accept: Option<&str>) -> Result<Response, ImageError> {
        let url = self.registry.url(self.reference, rest)?;
        let answer = self.send(url.clone(), accept).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        let challenge = answer.headers().get(WWW_AUTHENTICATE).and_then(|value| value.to_str().ok());
        let challenge = challenge.and_then(Challenge::parse);
        let challenge =
            challenge.ok_or_else(|| ImageError::Registry("it wants a login that is not a token".to_owned()))?;
        self.token = Some(self.token(&challenge).await?);
        self.send(url, accept).await
    }

    async fn send(&self, url: Url, accept: Option<&str>) -> Result<Response, ImageError> {
        let mut request = self.registry.client.get(url);
        if let Some(accept) = accept {
            request = request.header(ACCEPT, accept);
        }
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token.clone());
        }
        let answer = tokio::time::timeout(self.registry.silence, request.send()).await;
        answer.map_err(|_| ImageError::Registry("it does not answer".to_owned()))?.map_err(unreachable)
    }

    async fn token(&self, challenge: &Challenge) -> Result<HeaderValue, ImageError> {
        #[derive(Deserialize)]
        struct Answer {
            token: Option<String>,
            access_token: Option<String>,
        }
        let mut realm: Url =
            challenge.realm.parse().map_err(|_| ImageError::Registry("its token server has no address".to_owned()))?;
        let authority = realm.port().map_or_else(
            || realm.host_str().unwrap_or_default().to_owned(),
            |port| format!("{}:{port}", realm.host_str().unwrap_or_default()),
        );
        if realm.scheme() != "https" && !self.registry.is_plain(&authority) {
            return Err(ImageError::Registry(format!("its token server `{authority}` is not reached by https")));
        }
        if let Some(service) = &challenge.service {
            realm.query_pairs_mut().append_pair("service", service);
        }
        realm.query_pairs_mut().append_pair("scope", &format!("repository:{}:pull", self.reference.repository));
        let answer = tokio::time::timeout(self.registry.silence, self.registry.client.get(realm).send()).await;
        let answer = answer.map_err(|_| ImageError::Registry("its token server does not answer".to_owned()))?;
        let bytes = bounded(successful(answer.map_err(unreachable)?)?, TOKEN_ANSWER_BYTES).await?.unwrap_or_default();
        let answer: Option<Answer> = serde_json::from_slice(&bytes).ok();
        let token = answer.and_then(|answer| answer.token.or(answer.access_token));
        let header = token.and_then(|token| HeaderValue::from_str(&format!("Bearer {token}")).ok());
        let mut header = header.ok_or_else(|| ImageError::Registry("its token server gave no token".to_owned()))?;
        header.set_sensitive(true);
        Ok(header)
    }
}

/// `Bearer realm="…",service="…",scope="…"`.
#[derive(Debug, PartialEq, Eq)]
struct Challenge {
    realm: String,
    service: Option<String>,
}

impl Challenge {
    fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(' ')?;
        if !kind.eq_ignore_ascii_case("bearer") {
            return None;
        }
        let value = |name: &str| {
            let start = rest.match_indices(name).find_map(|(at, _)| {
                let begins = at == 0 || matches!(rest.as_bytes()[at - 1], b',' | b' ');
                begins.then(|| rest[at + name.len()..].strip_prefix("=\"")).flatten()
            })?;
            Some(start.split_once('"')?.0.to_owned())
        };
        Some(Self { realm: value("realm")?, service: value("service") })
    }
}

fn successful(answer: Response) -> Result<Response, ImageError> {
    match answer.status() {
        StatusCode::OK => Ok(answer),
        StatusCode::NOT_FOUND => {
            Err(ImageError::Registry("it does not have what its manifest names, or names no such page".to_owned()))
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(ImageError::Registry(
            "it does not show this image to strangers; images of apps must be public".to_owned(),
        )),
        StatusCode::TOO_MANY_REQUESTS => {
            Err(ImageError::Registry("it was asked too often; try again later".to_owned()))
        }
        status => Err(ImageError::Registry(format!("it answered {status}"))),
    }
}

/// The body, or `None` when it is longer than `limit`.
async fn bounded(mut answer: Response, limit: u64) -> Result<Option<Vec<u8>>, ImageError> {
    let mut bytes = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
        if (bytes.len() + chunk.len()) as u64 > limit {
            return Ok(None);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Some(bytes))
}

fn unreachable(error: reqwest::Error) -> ImageError {
    // Addresses of storage behind a registry carry signatures.
    let error = error.without_url();
    let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
    ImageError::Registry(format!("{error}{cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_names_the_token_server() {
        let text =
            r#"Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a/b:pull""#;
        let (realm, service) = ("https://auth.example/token".to_owned(), Some("registry.example".to_owned()));
        assert_eq!(Challenge::parse(text), Some(Challenge { realm: realm.clone(), service }));
        assert_eq!(
            Challenge::parse(r#"bearer scope="realm", realm="https://auth.example/token""#).unwrap().realm,
            realm
        );
        assert_eq!(Challenge::parse(r#"Basic realm="x""#), None);
        assert_eq!(Challenge::parse("Bearer"), None);
    }
}
