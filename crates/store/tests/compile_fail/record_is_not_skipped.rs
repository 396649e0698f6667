//! A grant opens nothing before it is recorded.

use strongroom_grant::Grant;
use strongroom_store::Store;

async fn unrecorded(store: &Store, grant: Grant) {
    let _ = store.open_recorded(grant).await;
}

fn main() {}
