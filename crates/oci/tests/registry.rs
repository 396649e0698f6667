//! Pulling from a registry: a tiny one in this process, with and without tokens, honest and not.
#![allow(clippy::unwrap_used, clippy::struct_excessive_bools, reason = "a test that cannot go on stops")]

mod support;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, LOCATION, WWW_AUTHENTICATE};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use strongroom_oci::{Bounds, Digest, ImageError, Reference, Refused, Registry};
use support::{Place, Tar, layout};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// What the registry does wrong, or asks for.
#[derive(Clone, Default)]
struct Manners {
    wants_token: bool,
    redirects_blobs: bool,
    lies_about: Option<Digest>,
    cuts_blobs_once: bool,
    endless_manifest: bool,
}

struct Tiny {
    blobs: BTreeMap<String, Vec<u8>>,
    manners: Manners,
    address: String,
    asked: Mutex<Vec<String>>,
}

impl Tiny {
    /// Serves all blobs of a layout.
    async fn serve(place: &Place, manners: Manners) -> (Arc<Self>, Registry) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let blobs = std::fs::read_dir(place.layout().join("blobs/sha256")).unwrap().map(|blob| {
            let blob = blob.unwrap();
            (format!("sha256:{}", blob.file_name().to_str().unwrap()), std::fs::read(blob.path()).unwrap())
        });
        let (blobs, asked) = (blobs.collect(), Mutex::default());
        let tiny = Arc::new(Self { blobs, manners, address: address.clone(), asked });
        let serving = Arc::clone(&tiny);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let tiny = Arc::clone(&serving);
                let answer = service_fn(move |request| {
                    let answer = tiny.answer(&request);
                    async move { Ok::<_, Infallible>(answer) }
                });
                tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
            }
        });
        let _ = rustls::crypto::ring::default_provider().install_default();
        let registry =
            Registry::new(reqwest::Client::builder().no_proxy().build().unwrap()).danger_plain_http(&address);
        (tiny, registry)
    }

    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let path = request.uri().path().to_owned();
        let first_time = {
            let mut asked = self.asked.lock().unwrap();
            let first_time = !asked.contains(&path);
            asked.push(path.clone());
            first_time
        };
        let simple = |status, body: &[u8]| {
            Response::builder().status(status).body(Full::new(Bytes::copy_from_slice(body))).unwrap()
        };
        if path == "/token" {
            let query = request.uri().query().unwrap_or_default();
            assert_eq!(query, "service=tiny&scope=repository%3Ateam%2Fapp%3Apull");
            return simple(StatusCode::OK, br#"{"token":"open sesame"}"#);
        }
        let authorized = request.headers().get(AUTHORIZATION).is_some_and(|value| value == "Bearer open sesame");
        if self.manners.wants_token && !authorized && !path.starts_with("/storage/") {
            let challenge = format!(r#"Bearer realm="http://{}/token",service="tiny",scope="x""#, self.address);
            let mut answer = simple(StatusCode::UNAUTHORIZED, b"");
            answer.headers_mut().insert(WWW_AUTHENTICATE, challenge.parse().unwrap());
            return answer;
        }
        let digest = path.rsplit('/').next().unwrap();
        let Some(bytes) = self.blobs.get(digest) else { return simple(StatusCode::NOT_FOUND, b"") };
        let is_blob = path == format!("/v2/team/app/blobs/{digest}");
        assert!(
            is_blob || path == format!("/v2/team/app/manifests/{digest}") || path.starts_with("/storage/"),
            "{path}"
        );
        if self.manners.redirects_blobs && is_blob {
            let mut answer = simple(StatusCode::TEMPORARY_REDIRECT, b"");
            answer.headers_mut().insert(LOCATION, format!("/storage/{digest}").parse().unwrap());
            return answer;
        }
        if self.manners.endless_manifest && !is_blob {
            return simple(StatusCode::OK, &vec![b' '; 8 << 20]);
        }
        let mut bytes = bytes.clone();
        if self.manners.lies_about.is_some_and(|about| about.to_string() == digest) {
            bytes[0] ^= 1;
        }
        if self.manners.cuts_blobs_once && is_blob && first_time {
            bytes.truncate(bytes.len() / 2);
        }
        simple(StatusCode::OK, &bytes)
    }

    fn reference(&self, digest: Digest) -> Reference {
        format!("{}/team/app@{digest}", self.address).parse().unwrap()
    }
}

fn app() -> Vec<u8> {
    Tar::new().file("app", b"content of the app").bytes()
}

#[tokio::test]
async fn an_image_is_pulled_by_digest_with_and_without_a_token() {
    for (wants_token, redirects_blobs) in [(false, false), (true, false), (true, true)] {
        let place = Place::new();
        let digest = layout(&place.layout(), &[app()]);
        let manners = Manners { wants_token, redirects_blobs, ..Manners::default() };
        let (tiny, registry) = Tiny::serve(&place, manners).await;
        let image = place.store.pull(&registry, &tiny.reference(digest)).await.unwrap();
        assert_eq!(std::fs::read(image.root.join("app")).unwrap(), b"content of the app");
        assert_eq!(image.manifest_digest, Some(digest));
        assert_eq!(std::fs::read_dir(place.folder.path().join("store/staging")).unwrap().count(), 0);

        let asked = tiny.asked.lock().unwrap().len();
        place.store.pull(&registry, &tiny.reference(digest)).await.unwrap();
        assert_eq!(tiny.asked.lock().unwrap().len(), asked, "the second time needs no registry");
    }
}

#[tokio::test]
async fn whatever_a_registry_sends_is_checked() {
    let layer = app();
    let config = Digest::of(&serde_json::to_vec(&support::config(std::slice::from_ref(&layer))).unwrap());
    for what in ["manifest", "configuration", "layer"] {
        let place = Place::new();
        let digest = layout(&place.layout(), std::slice::from_ref(&layer));
        let lies_about = match what {
            "manifest" => digest,
            "configuration" => config,
            _ => Digest::of(&layer),
        };
        let manners = Manners { lies_about: Some(lies_about), ..Manners::default() };
        let (tiny, registry) = Tiny::serve(&place, manners).await;
        let error = place.store.pull(&registry, &tiny.reference(digest)).await.unwrap_err();
        let ImageError::Refused(Refused::Digest { what: found, expected, .. }) = error else { panic!("{error}") };
        assert_eq!((found, expected), (what, lies_about));
        assert_eq!(std::fs::read_dir(place.folder.path().join("store/roots")).unwrap().count(), 0);
    }
}

#[tokio::test]
async fn a_blob_that_was_cut_off_is_fetched_again() {
    let place = Place::new();
    let digest = layout(&place.layout(), &[app()]);
    let (tiny, registry) = Tiny::serve(&place, Manners { cuts_blobs_once: true, ..Manners::default() }).await;
    let image = place.store.pull(&registry, &tiny.reference(digest)).await.unwrap();
    assert_eq!(std::fs::read(image.root.join("app")).unwrap(), b"content of the app");
}

#[tokio::test]
async fn a_manifest_without_end_is_not_read_to_its_end() {
    let place = Place::bounded(Bounds { manifest_bytes: 1 << 20, ..Bounds::default() });
    let digest = layout(&place.layout(), &[app()]);
    let (tiny, registry) = Tiny::serve(&place, Manners { endless_manifest: true, ..Manners::default() }).await;
    let error = place.store.pull(&registry, &tiny.reference(digest)).await.unwrap_err();
    assert!(matches!(error, ImageError::Refused(Refused::TooMuch { .. })), "{error}");
}

#[tokio::test]
async fn a_reference_without_a_digest_and_an_unknown_image_are_told_apart() {
    let place = Place::new();
    layout(&place.layout(), &[app()]);
    let (tiny, registry) = Tiny::serve(&place, Manners::default()).await;
    let mut reference = tiny.reference(Digest::of(b"another"));
    let error = place.store.pull(&registry, &reference).await.unwrap_err();
    assert!(
        matches!(&error, ImageError::Absent { place, .. } if *place == format!("{}/team/app", tiny.address)),
        "{error}"
    );
    reference.digest = None;
    let error = place.store.pull(&registry, &reference).await.unwrap_err();
    assert!(error.to_string().contains("has no digest"), "{error}");
}

#[tokio::test]
async fn a_blob_that_is_not_there_is_trouble_as_storage_may_lag_behind() {
    let place = Place::new();
    let digest = layout(&place.layout(), &[app()]);
    std::fs::remove_file(place.layout().join("blobs/sha256").join(Digest::of(&app()).hex())).unwrap();
    let (tiny, registry) = Tiny::serve(&place, Manners::default()).await;
    let error = place.store.pull(&registry, &tiny.reference(digest)).await.unwrap_err();
    assert!(matches!(error, ImageError::Registry(_)), "{error}");
}

#[tokio::test]
async fn a_registry_that_dribbles_is_not_waited_for_without_end() {
    let place = Place::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let serving = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n").await.unwrap();
        // Ends when nobody listens any more.
        while stream.write_all(b" ").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let _ = rustls::crypto::ring::default_provider().install_default();
    let registry = Registry::new(reqwest::Client::builder().no_proxy().build().unwrap())
        .danger_plain_http(&address)
        .whole_pull(Duration::from_millis(100));
    let reference: Reference = format!("{address}/team/app@{}", Digest::of(b"app")).parse().unwrap();
    let error = place.store.pull(&registry, &reference).await.unwrap_err();
    assert!(matches!(&error, ImageError::Registry(reason) if reason.contains("the whole image")), "{error}");
    assert_eq!(std::fs::read_dir(place.folder.path().join("store/staging")).unwrap().count(), 0);
    serving.await.unwrap();
}

#[tokio::test]
async fn a_token_is_not_fetched_without_tls() {
    let place = Place::new();
    let digest = layout(&place.layout(), &[app()]);
    let (tiny, _) = Tiny::serve(&place, Manners { wants_token: true, ..Manners::default() }).await;
    // The registry itself is reached, under another name than its token server's.
    let port = tiny.address.rsplit(':').next().unwrap();
    let by_name = format!("localhost:{port}");
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let registry = Registry::new(client).danger_plain_http(&by_name);
    let reference: Reference = format!("{by_name}/team/app@{digest}").parse().unwrap();
    let error = place.store.pull(&registry, &reference).await.unwrap_err();
    assert!(error.to_string().contains("is not reached by https"), "{error}");
}
