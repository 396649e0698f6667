//! Puts the archive of a result where the deal wants it: the result proxy, or the requester's Dropbox.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::stream;
use reqwest::{Body, StatusCode};
use strongroom_client::Way;
use strongroom_protocol::{B256, TaskId};
use url::Url;

use crate::pre::with_causes;
use crate::report::StageFailure;

/// Where Dropbox takes files (HTTP API of Dropbox, `files/upload`).
pub(crate) const DROPBOX: &str = "https://content.dropboxapi.com/2/files/upload";
const IPFS_FAILED: &str = "POST_COMPUTE_IPFS_UPLOAD_FAILED";
const DROPBOX_FAILED: &str = "POST_COMPUTE_DROPBOX_UPLOAD_FAILED";
/// Times an upload is tried; the wait grows from a second on, to about a minute in all.
const ATTEMPTS: u32 = 8;
/// Longest wait for one upload.
const TIMEOUT: Duration = Duration::from_mins(10);
/// Longest wait for an answer without a body.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes read at a time: a multiple of 3, so that pieces of base64 join.
const PIECE_BYTES: usize = 96 * 1024;

/// A result that is ready to go.
pub(crate) struct Upload<'a> {
    pub(crate) task: TaskId,
    pub(crate) archive: &'a File,
    pub(crate) token: &'a str,
    pub(crate) digest: B256,
    pub(crate) enclave_signature: &'a str,
}

impl Upload<'_> {
    /// To the result proxy at `proxy`.
    ///
    /// The proxy takes one result of a task and refuses each further one. A run that comes after one that was stopped between its
    /// upload and its report therefore finds its own task answered: what is stored was checked against the same challenge key.
    pub(crate) async fn to_proxy(&self, way: &Way, proxy: &str) -> Result<(), StageFailure> {
        let url: Url = format!("{}/v1/results", proxy.trim_end_matches('/'))
            .parse()
            .map_err(|_| StageFailure::new(IPFS_FAILED, "the result proxy is no address"))?;
        let head = format!(
            r#"{{"chainTaskId":"{}","dealId":"{:#x}","taskIndex":0,"deterministHash":"{:#x}","enclaveSignature":"{}","zip":""#,
            self.task,
            B256::ZERO,
            self.digest,
            self.enclave_signature
        );
        let taken = self.persist(way, &url, |request, archive| {
            let pieces = stream::iter(Pieces::new(head.clone().into_bytes(), archive, b"\"}".to_vec()));
            request
                .header("Authorization", self.token)
                .header("Content-Type", "application/json")
                .body(Body::wrap_stream(pieces))
        });
        let Err(refused) = taken.await else { return Ok(()) };
        let has_one = refused.status == Some(StatusCode::UNAUTHORIZED) && self.is_stored(way, &url).await;
        if has_one { Ok(()) } else { Err(refused.with(IPFS_FAILED)) }
    }

    /// Whether the proxy, whose results are at `results`, has one of this task.
    async fn is_stored(&self, way: &Way, results: &Url) -> bool {
        let Ok(client) = way.client_for(results) else { return false };
        let request = client.head(format!("{results}/{}", self.task)).timeout(QUESTION_TIMEOUT);
        let answer = request.header("Authorization", self.token).send().await;
        answer.is_ok_and(|answer| answer.status() == StatusCode::NO_CONTENT)
    }

    /// To the requester's Dropbox, which takes files at `address`.
    pub(crate) async fn to_dropbox(&self, way: &Way, address: &str) -> Result<(), StageFailure> {
        let url: Url = address.parse().map_err(|_| StageFailure::new(DROPBOX_FAILED, "its address is none"))?;
        let argument = serde_json::json!({
            "autorename": false, "mode": "add", "mute": false,
            "path": format!("/results/{}.zip", self.task), "strict_conflict": false,
        });
        let taken = self.persist(way, &url, |request, archive| {
            let plain = stream::iter(PlainPieces(archive));
            request
                .header("Authorization", format!("Bearer {}", self.token))
                .header("Content-Type", "application/octet-stream")
                .header("Dropbox-API-Arg", argument.to_string())
                .body(Body::wrap_stream(plain))
        });
        taken.await.map_err(|refused| refused.with(DROPBOX_FAILED))
    }

    /// Tries until it is taken, refused, or hopeless.
    async fn persist(
        &self,
        way: &Way,
        url: &Url,
        fill: impl Fn(reqwest::RequestBuilder, File) -> reqwest::RequestBuilder,
    ) -> Result<(), Refused> {
        let failed = |message: &dyn std::fmt::Display| Refused { status: None, message: message.to_string() };
        let client = way.client_for(url).map_err(|error| failed(&with_causes(&error)))?;
        let mut last = String::new();
        for attempt in 1..=ATTEMPTS {
            let mut archive = self.archive.try_clone().map_err(|error| failed(&error))?;
            archive.rewind().map_err(|error| failed(&error))?;
            match fill(client.post(url.clone()).timeout(TIMEOUT), archive).send().await {
                Ok(answer) if answer.status().is_success() => return Ok(()),
                Ok(answer) => {
                    let status = answer.status();
                    last = format!("{} answered with status {status}", url.host_str().unwrap_or_default());
                    // The proxy says 400 when its storage failed.
                    let may_pass = status.is_server_error()
                        || matches!(
                            status,
                            StatusCode::BAD_REQUEST | StatusCode::TOO_MANY_REQUESTS | StatusCode::CONFLICT
                        );
                    if !may_pass {
                        return Err(Refused { status: Some(status), message: last });
                    }
                }
                Err(error) => {
                    let storage = url.host_str().unwrap_or_default();
                    last = format!("{storage} does not answer: {}", with_causes(&error.without_url()));
                }
            }
            if attempt < ATTEMPTS {
                tokio::time::sleep(Duration::from_secs(u64::from(attempt) * 2)).await;
            }
        }
        Err(failed(&last))
    }
}

/// Why an upload was given up.
struct Refused {
    /// What the storage answered, if it was that.
    status: Option<StatusCode>,
    message: String,
}

impl Refused {
    fn with(self, cause: &'static str) -> StageFailure {
        StageFailure::new(cause, self.message)
    }
}

/// A JSON text with the base64 of a file in it, piece by piece.
struct Pieces {
    head: Option<Vec<u8>>,
    file: File,
    tail: Option<Vec<u8>>,
}

impl Pieces {
    fn new(head: Vec<u8>, file: File, tail: Vec<u8>) -> Self {
        Self { head: Some(head), file, tail: Some(tail) }
    }
}

impl Iterator for Pieces {
    type Item = io::Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(head) = self.head.take() {
            return Some(Ok(head));
        }
        self.tail.as_ref()?;
        match read_piece(&mut self.file) {
            Ok(piece) if piece.is_empty() => self.tail.take().map(Ok),
            Ok(piece) => Some(Ok(STANDARD.encode(piece).into_bytes())),
            Err(error) => Some(Err(error)),
        }
    }
}

/// A file, piece by piece.
struct PlainPieces(File);

impl Iterator for PlainPieces {
    type Item = io::Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        match read_piece(&mut self.0) {
            Ok(piece) if piece.is_empty() => None,
            outcome => Some(outcome),
        }
    }
}

/// The next bytes, as many as there are up to a piece.
fn read_piece(file: &mut File) -> io::Result<Vec<u8>> {
    let mut piece = Vec::with_capacity(PIECE_BYTES);
    file.take(PIECE_BYTES as u64).read_to_end(&mut piece)?;
    Ok(piece)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn the_body_is_json_with_the_archive_in_base64_whatever_its_size() {
        for size in [0, 1, 2, 3, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, 3 * PIECE_BYTES + 2] {
            let content: Vec<u8> = (0..size).map(|index| index.to_le_bytes()[0]).collect();
            let mut file = tempfile::tempfile().unwrap();
            file.write_all(&content).unwrap();
            file.rewind().unwrap();
            let body: Vec<u8> =
                Pieces::new(br#"{"zip":""#.to_vec(), file, b"\"}".to_vec()).flat_map(Result::unwrap).collect();
            let json: serde_json::Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(STANDARD.decode(json["zip"].as_str().unwrap()).unwrap(), content, "{size} bytes");
        }
    }
}
