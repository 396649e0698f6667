//! A content store in the shape of an IPFS node and its gateway: files go in by `POST /api/v0/add`, come out by `GET /ipfs/{cid}`, and have the
//! ids that IPFS gives them. For local networks: nothing is shared with other nodes.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Multipart, Path as InPath, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;
use strongroom_content::cid::{AddAs, Cid};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Largest file, in bytes.
const MAX_FILE_BYTES: usize = 256 << 20;

/// The files.
#[derive(Clone, Debug)]
pub struct Files {
    folder: PathBuf,
}

impl Files {
    /// Files in `folder`, which must exist.
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// Adds a file and gives its id. The file is whole before it has its name.
    pub fn add(&self, content: &[u8], how: AddAs) -> io::Result<Cid> {
        let cid = Cid::of(content, how)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        io::Write::write_all(&mut file, content)?;
        file.persist(self.path(cid)).map_err(|error| error.error)?;
        Ok(cid)
    }

    /// A file; `None` if it is not here.
    pub fn get(&self, cid: Cid) -> io::Result<Option<Vec<u8>>> {
        match std::fs::read(self.path(cid)) {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn path(&self, cid: Cid) -> PathBuf {
        self.folder.join(cid.to_string())
    }
}

/// The running store. Dropping it stops it; the files stay.
#[derive(Debug)]
pub struct ContentStore {
    files: Files,
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Drop for ContentStore {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl ContentStore {
    /// Serves the files of `folder`, which must exist, on a port of 127.0.0.1; 0 for any free one.
    pub async fn start(folder: &Path, port: u16) -> io::Result<Self> {
        let files = Files::in_folder(folder);
        let (address, serving) = serve(router(files.clone()), port).await?;
        Ok(Self { files, address, serving })
    }

    /// Where it answers: node and gateway are one.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its files.
    pub fn files(&self) -> &Files {
        &self.files
    }
}

/// Serves `router` on a port of 127.0.0.1 until the task is aborted.
pub(crate) async fn serve(router: Router, port: u16) -> io::Result<(SocketAddr, JoinHandle<()>)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let address = listener.local_addr()?;
    let serving = tokio::spawn(async move {
        // Only ends with an error of the listener, and then nobody can connect: clients see that.
        let _ = axum::serve(listener, router).await;
    });
    Ok((address, serving))
}

fn router(files: Files) -> Router {
    Router::new()
        .route("/api/v0/add", post(add))
        .route("/ipfs/{cid}", get(read))
        .layer(DefaultBodyLimit::max(MAX_FILE_BYTES))
        .with_state(files)
}

#[derive(Deserialize)]
struct AddQuery {
    #[serde(rename = "cid-version")]
    cid_version: Option<u8>,
}

/// The answer has a line for each file, as the API of IPFS has it.
async fn add(State(files): State<Files>, Query(query): Query<AddQuery>, mut form: Multipart) -> Response {
    let how = if query.cid_version == Some(1) { AddAs::V1 } else { AddAs::V0 };
    let mut lines = String::new();
    loop {
        let field = match form.next_field().await {
            Ok(Some(field)) => field,
            Ok(None) => break,
            Err(error) => return (error.status(), error.body_text()).into_response(),
        };
        let name = field.file_name().unwrap_or_default().to_owned();
        let content = match field.bytes().await {
            Ok(content) => content,
            Err(error) => return (error.status(), error.body_text()).into_response(),
        };
        let size = content.len().to_string();
        let files = files.clone();
        match tokio::task::spawn_blocking(move || files.add(&content, how)).await {
            Ok(Ok(cid)) => {
                let id = cid.to_string();
                let name = if name.is_empty() { &id } else { &name };
                lines.push_str(&json!({ "Name": name, "Hash": id, "Size": size }).to_string());
                lines.push('\n');
            }
            _ => return trouble("the file could not be kept"),
        }
    }
    if lines.is_empty() {
        let error = json!({ "Message": "file argument 'path' is required", "Code": 0, "Type": "error" });
        return (StatusCode::BAD_REQUEST, Json(error)).into_response();
    }
    ([(header::CONTENT_TYPE, "application/json")], lines).into_response()
}

async fn read(State(files): State<Files>, InPath(id): InPath<String>, headers: HeaderMap) -> Response {
    let Ok(cid) = id.parse::<Cid>() else {
        return (StatusCode::BAD_REQUEST, format!("{id} is no content id")).into_response();
    };
    let content = match tokio::task::spawn_blocking(move || files.get(cid)).await {
        Ok(Ok(Some(content))) => content,
        Ok(Ok(None)) => return (StatusCode::NOT_FOUND, format!("{id} is not in this store")).into_response(),
        _ => return trouble("the file could not be read"),
    };
    let size = content.len();
    let common = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::ACCEPT_RANGES, "bytes".to_owned()),
        (header::ETAG, format!("\"{cid}\"")),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*".to_owned()),
    ];
    match headers.get(header::RANGE).and_then(|range| range.to_str().ok()).map(|range| part(range, size)) {
        None => (common, content).into_response(),
        Some(Some((from, to))) => {
            let range = format!("bytes {from}-{to}/{size}");
            let part = content[from..=to].to_vec();
            (StatusCode::PARTIAL_CONTENT, common, [(header::CONTENT_RANGE, range)], Body::from(part)).into_response()
        }
        Some(None) => {
            let range = format!("bytes */{size}");
            (StatusCode::RANGE_NOT_SATISFIABLE, [(header::CONTENT_RANGE, range)]).into_response()
        }
    }
}

/// First and last byte of a range (RFC 9110 §14.1.2, one range).
fn part(range: &str, size: usize) -> Option<(usize, usize)> {
    let (from, to) = range.strip_prefix("bytes=")?.split_once('-')?;
    let last = size.checked_sub(1)?;
    let (from, to) = if from.is_empty() {
        (size.saturating_sub(to.parse().ok()?), last)
    } else {
        (from.parse().ok()?, if to.is_empty() { last } else { to.parse::<usize>().ok()?.min(last) })
    };
    (from <= to).then_some((from, to))
}

fn trouble(message: &'static str) -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, message).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_http_has_them() {
        for (range, expected) in [
            ("bytes=0-", Some((0, 9))),
            ("bytes=3-5", Some((3, 5))),
            ("bytes=3-99", Some((3, 9))),
            ("bytes=-2", Some((8, 9))),
            ("bytes=10-", None),
            ("bytes=5-3", None),
            ("bytes=x-", None),
            ("lines=1-2", None),
        ] {
            assert_eq!(part(range, 10), expected, "{range}");
        }
        assert_eq!(part("bytes=0-", 0), None);
    }
}
