//! Has the images of apps at hand: unpacked before, from a folder or archive of the configuration, or from their registries. A slow
//! registry holds up the tasks that want that very image, and no others.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use strongroom_oci::{
    Digest, ImageError, ImageStore, ParseReferenceError, Reference, Registry, Source, UnpackedImage, Wanted,
};
use strongroom_protocol::multiaddr::location_text;
use strongroom_protocol::snapshot::App;

use crate::cause::Cause;
use crate::outside::{OutsideError, with_causes};

/// The images of apps.
pub struct Images {
    /// What was unpacked.
    pub store: ImageStore,
    /// Folders and archives where images are looked for.
    pub sources: Vec<PathBuf>,
    /// Where images are pulled from that are nowhere else; `None` for nowhere.
    pub registry: Option<Registry>,
    /// Images that are being looked for.
    pub turns: Turns,
}

/// One turn for each image: the tasks of a deal come together and want the same one.
#[derive(Default)]
pub struct Turns(Mutex<HashMap<Digest, Weak<tokio::sync::Mutex<()>>>>);

impl Turns {
    fn of(&self, digest: Digest) -> Arc<tokio::sync::Mutex<()>> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| turn.strong_count() > 0);
        if let Some(turn) = turns.get(&digest).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::default();
        turns.insert(digest, Arc::downgrade(&turn));
        turn
    }
}

impl Images {
    /// The image of an app by the digest on chain.
    pub(super) async fn of(&self, app: &App) -> Result<UnpackedImage, OutsideError> {
        let digest = Digest::from_bytes(app.checksum.0);
        let turn = self.turns.of(digest);
        let _turn = turn.lock().await;
        let (store, sources) = (self.store.clone(), self.sources.clone());
        let found = tokio::task::spawn_blocking(move || find_here(&store, &sources, digest)).await;
        if let Some(image) = found.map_err(|error| OutsideError::trouble(&error))?? {
            return Ok(image);
        }
        let place = location_text(&app.multiaddr);
        let Some(registry) = &self.registry else {
            let message = format!("no source of this pool has image {place:?} with manifest digest {digest}");
            return Err(OutsideError::refused(Cause::APP_IMAGE_DOWNLOAD_FAILED, message));
        };
        let reference: Reference = place.parse().map_err(|error: ParseReferenceError| {
            OutsideError::refused(Cause::APP_IMAGE_DOWNLOAD_FAILED, format!("image {place:?}: {error}"))
        })?;
        // Only the checksum on chain counts, not what the text says.
        let reference = Reference { digest: Some(digest), ..reference };
        self.store.pull(registry, &reference).await.map_err(|error| image_trouble(&error))
    }
}

/// Unpacked before, or in one of the folders and archives. Blocks.
fn find_here(store: &ImageStore, sources: &[PathBuf], digest: Digest) -> Result<Option<UnpackedImage>, OutsideError> {
    let wanted = Wanted::Manifest(digest);
    if let Some(image) = store.cached(wanted).map_err(|error| OutsideError::trouble(&error))? {
        return Ok(Some(image));
    }
    for source in sources {
        let source =
            if source.is_dir() { Source::Layout(source.clone()) } else { Source::DockerArchive(source.clone()) };
        match store.unpack(&source, wanted) {
            Ok(image) => return Ok(Some(image)),
            Err(ImageError::Absent { .. }) => {}
            Err(error) => return Err(image_trouble(&error)),
        }
    }
    Ok(None)
}

/// What is wrong with the image itself stays wrong; so does a digest that a registry does not have.
fn image_trouble(error: &ImageError) -> OutsideError {
    match error {
        ImageError::Refused(_) | ImageError::Absent { .. } => {
            OutsideError::refused(Cause::APP_IMAGE_DOWNLOAD_FAILED, with_causes(error))
        }
        ImageError::Io { .. } | ImageError::Registry(_) => OutsideError::trouble(error),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use alloy_primitives::B256;
    use axum::Router;
    use axum::http::StatusCode;
    use strongroom_oci::{Bounds, ImageBuilder};

    use super::*;
    use crate::test_support::deal_view;

    /// An app whose image has this digest and is at a registry.
    fn app(registry: &str, digest: B256) -> App {
        App { multiaddr: format!("{registry}/team/app:1").into_bytes(), checksum: digest, ..deal_view("{}").app }
    }

    async fn serve(pages: Router) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move { axum::serve(listener, pages).await.unwrap() });
        address
    }

    fn images(folder: &std::path::Path, registry: &str, sources: Vec<PathBuf>) -> Images {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        Images {
            store: ImageStore::open(folder.join("cache"), Bounds::default()).unwrap(),
            sources,
            registry: Some(Registry::new(client).danger_plain_http(registry).whole_pull(Duration::from_mins(5))),
            turns: Turns::default(),
        }
    }

    #[tokio::test]
    async fn a_digest_that_the_registry_does_not_have_is_given_up_and_its_trouble_is_not() {
        for (status, is_refused) in [(StatusCode::NOT_FOUND, true), (StatusCode::SERVICE_UNAVAILABLE, false)] {
            let folder = tempfile::tempdir().unwrap();
            let registry = serve(Router::new().fallback(move || async move { status })).await;
            let images = images(folder.path(), &registry, Vec::new());
            let error = images.of(&app(&registry, B256::repeat_byte(1))).await.unwrap_err();
            match error {
                OutsideError::Refused(failure) => {
                    assert_eq!((failure.cause, is_refused), (Cause::APP_IMAGE_DOWNLOAD_FAILED, true), "{failure}");
                }
                other => assert!(!is_refused, "{other}"),
            }
        }
    }

    #[tokio::test]
    async fn a_registry_that_does_not_answer_holds_up_nobody_who_wants_another_image() {
        let folder = tempfile::tempdir().unwrap();
        let asked = Arc::new(tokio::sync::Notify::new());
        let bell = Arc::clone(&asked);
        let silent = Router::new().fallback(move || {
            bell.notify_one();
            std::future::pending::<StatusCode>()
        });
        let registry = serve(silent).await;
        let layout = folder.path().join("layout");
        let here = built(&layout);
        let images = Arc::new(images(folder.path(), &registry, vec![layout]));
        let waiting = {
            let (images, app) = (Arc::clone(&images), app(&registry, B256::repeat_byte(1)));
            tokio::spawn(async move { images.of(&app).await })
        };
        asked.notified().await;
        // From a folder of this machine, then unpacked already.
        for _ in 0..2 {
            let image = images.of(&app(&registry, here)).await.unwrap();
            assert_eq!(image.manifest_digest, Some(Digest::from_bytes(here.0)));
        }
        assert!(!waiting.is_finished());
        waiting.abort();
    }

    /// Makes a layout with an image, and returns its digest.
    fn built(layout: &std::path::Path) -> B256 {
        let mut image = ImageBuilder::default();
        image.file("app", *b"#!/bin/sh\n", true).unwrap();
        B256::from(*image.write_layout(layout, "app").unwrap().as_bytes())
    }
}
