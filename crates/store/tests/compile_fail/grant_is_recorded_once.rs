//! A grant moves into its record.

use strongroom_grant::Grant;
use strongroom_protocol::UnixSeconds;
use strongroom_store::Store;

async fn twice(store: &Store, grant: Grant, expires: UnixSeconds, now: UnixSeconds) {
    let _ = store.record(grant, expires, now).await;
    let _ = store.record(grant, expires, now).await;
}

fn main() {}
