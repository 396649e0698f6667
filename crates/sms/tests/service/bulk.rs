//! Deals that name a list of datasets: fetched by content id, verified, read strictly; trouble is trouble and never emptiness.

use super::releasing::Releasing;

/// Of no content that the tests have.
const NOWHERE: &str = "QmUbh7ugQ9WVprTVYjzrCS4d9cCy73zUz4MMchsrqzzu1w";

async fn with_list(id: &str) -> Releasing {
    let releasing = Releasing::start(|_| ()).await;
    releasing.change(|shown| {
        shown.deal.dataset = None;
        shown.dataset = None;
        shown.deal.params = format!(r#"{{"bulk_cid":"{id}"}}"#);
    });
    releasing
}

#[tokio::test]
async fn a_list_that_cannot_be_fetched_is_trouble_and_makes_no_session() {
    let releasing = with_list(NOWHERE).await;
    let answer = releasing.session().await;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
    assert_eq!(*releasing.content.fetched.lock().unwrap(), [NOWHERE]);
}
