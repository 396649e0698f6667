//! A record moves into the opening, and there is no second of it.

use strongroom_store::{Recorded, Store};

async fn twice(store: &Store, recorded: Recorded) {
    let _ = store.open_recorded(recorded).await;
    let _ = store.open_recorded(recorded).await;
}

fn copied(recorded: &Recorded) -> Recorded {
    recorded.clone()
}

fn main() {}
