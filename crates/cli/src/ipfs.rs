//! Files of IPFS: put by the API of a node, read from a gateway. What a gateway hands out is believed only when it hashes to the name
//! it was asked under.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::BytesMut;
use futures_util::stream;
use reqwest::{Client, StatusCode};
use serde::Deserialize;
use strongroom_content::cid::{AddAs, Cid};
use tokio::io::AsyncReadExt;
use url::Url;

use crate::progress::Counter;

/// Largest file that is downloaded, in bytes.
const MAX_DOWNLOAD_BYTES: u64 = 4 << 30;
/// Largest answer of a node to an upload, in bytes.
const MAX_ANSWER_BYTES: usize = 64 << 10;
/// Sent at once, in bytes.
const CHUNK_BYTES: usize = 64 << 10;
/// Longest pause in a download.
const READ_TIMEOUT: Duration = Duration::from_mins(1);

/// Why a file was not put or read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum IpfsError {
    /// No TLS, for want of certificates of the system.
    #[error("cannot prepare the connection to IPFS")]
    Client(#[source] reqwest::Error),
    /// No connection or no whole answer.
    #[error("{place} does not answer")]
    Unreachable {
        /// Where.
        place: Url,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// It says no.
    #[error("{place} answers {status} for {what}")]
    Refused {
        /// Where.
        place: Url,
        /// Its answer.
        status: u16,
        /// What was asked.
        what: String,
    },
    /// The file has another id than it should have.
    #[error("{place} has another file under {cid}")]
    OtherFile {
        /// Where.
        place: Url,
        /// The id.
        cid: String,
    },
    /// The answer means nothing.
    #[error("what answers at {place} is no IPFS node")]
    NotANode {
        /// Where.
        place: Url,
    },
    /// The file does not end.
    #[error("{place} hands out more than {MAX_DOWNLOAD_BYTES} bytes")]
    TooLarge {
        /// Where.
        place: Url,
    },
    /// A file of this machine.
    #[error("cannot read or write {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// What a node says about a file it took.
#[derive(Deserialize)]
struct Added {
    #[serde(rename = "Hash")]
    hash: String,
}

fn client(timeout: Option<Duration>) -> Result<Client, IpfsError> {
    let builder =
        Client::builder().no_proxy().redirect(reqwest::redirect::Policy::limited(3)).read_timeout(READ_TIMEOUT);
    let builder = if let Some(timeout) = timeout { builder.timeout(timeout) } else { builder };
    builder.build().map_err(IpfsError::Client)
}

fn unreachable(place: &Url) -> impl Fn(reqwest::Error) -> IpfsError + '_ {
    |source| IpfsError::Unreachable { place: place.clone(), source: source.without_url() }
}

/// Puts a file on IPFS and gives its id, which is computed here and compared.
pub(crate) async fn upload(node: &Url, path: &Path, counter: &Counter) -> Result<Cid, IpfsError> {
    let failed = |source| IpfsError::File { path: path.to_owned(), source };
    let cid = Cid::of(File::open(path).map_err(failed)?, AddAs::V0).map_err(failed)?;
    let file = tokio::fs::File::open(path).await.map_err(failed)?;
    let length = file.metadata().await.map_err(failed)?.len();
    // The name on this machine is nobody's business.
    counter.expect(length);
    let part = reqwest::multipart::Part::stream_with_length(counted(file, counter.clone()), length).file_name("file");
    let form = reqwest::multipart::Form::new().part("file", part);
    let mut url = node.clone();
    url.set_path("/api/v0/add");
    let mut answer = client(None)?.post(url).multipart(form).send().await.map_err(unreachable(node))?;
    if !answer.status().is_success() {
        let (place, status) = (node.clone(), answer.status().as_u16());
        return Err(IpfsError::Refused { place, status, what: "an upload".to_owned() });
    }
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(unreachable(node))? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            return Err(IpfsError::NotANode { place: node.clone() });
        }
        body.extend_from_slice(&chunk);
    }
    let added: Added = serde_json::from_slice(&body).map_err(|_| IpfsError::NotANode { place: node.clone() })?;
    match added.hash.parse::<Cid>() {
        Ok(found) if found.same_content(&cid) => Ok(cid),
        Ok(_) => Err(IpfsError::OtherFile { place: node.clone(), cid: cid.to_string() }),
        Err(_) => Err(IpfsError::NotANode { place: node.clone() }),
    }
}

/// The content of a file, counted as it is sent.
fn counted(file: tokio::fs::File, counter: Counter) -> reqwest::Body {
    reqwest::Body::wrap_stream(stream::try_unfold((file, counter), async |(mut file, counter)| {
        let mut chunk = BytesMut::with_capacity(CHUNK_BYTES);
        let read = file.read_buf(&mut chunk).await?;
        counter.add(read);
        Ok::<_, io::Error>((read > 0).then(|| (chunk.freeze(), (file, counter))))
    }))
}

/// Whether a gateway has a file.
pub(crate) async fn has(gateway: &Url, cid: Cid, timeout: Duration) -> Result<bool, IpfsError> {
    let answer = client(Some(timeout))?.head(file_url(gateway, cid)).send().await.map_err(unreachable(gateway))?;
    match answer.status() {
        status if status.is_success() => Ok(true),
        StatusCode::NOT_FOUND | StatusCode::GONE => Ok(false),
        status => Err(refused(gateway, status, cid)),
    }
}

/// Whether something answers at a gateway.
pub(crate) async fn answers(gateway: &Url, timeout: Duration) -> Result<(), IpfsError> {
    client(Some(timeout))?.head(gateway.clone()).send().await.map_err(unreachable(gateway)).map(drop)
}

/// Downloads a file from a gateway into `to` and compares it with its id.
pub(crate) async fn download(
    gateway: &Url,
    cid: Cid,
    to: &mut File,
    path: &Path,
    counter: &Counter,
) -> Result<u64, IpfsError> {
    let failed = |source| IpfsError::File { path: path.to_owned(), source };
    let mut answer = client(None)?.get(file_url(gateway, cid)).send().await.map_err(unreachable(gateway))?;
    if !answer.status().is_success() {
        return Err(refused(gateway, answer.status(), cid));
    }
    if let Some(length) = answer.content_length() {
        counter.expect(length);
    }
    let mut size = 0;
    while let Some(chunk) = answer.chunk().await.map_err(unreachable(gateway))? {
        size += chunk.len() as u64;
        if size > MAX_DOWNLOAD_BYTES {
            return Err(IpfsError::TooLarge { place: gateway.clone() });
        }
        to.write_all(&chunk).map_err(failed)?;
        counter.add(chunk.len());
    }
    for way in cid.ways() {
        to.rewind().map_err(failed)?;
        if Cid::of(&*to, *way).map_err(failed)?.same_content(&cid) {
            to.rewind().map_err(failed)?;
            return Ok(size);
        }
    }
    Err(IpfsError::OtherFile { place: gateway.clone(), cid: cid.to_string() })
}

fn refused(gateway: &Url, status: StatusCode, cid: Cid) -> IpfsError {
    IpfsError::Refused { place: gateway.clone(), status: status.as_u16(), what: cid.to_string() }
}

fn file_url(gateway: &Url, cid: Cid) -> Url {
    let mut url = gateway.clone();
    url.set_path(&format!("/ipfs/{cid}"));
    url
}
