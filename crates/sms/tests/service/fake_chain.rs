//! A chain that is a table of owners, and that can be out of reach.

use std::collections::HashMap;
use std::sync::Mutex;

use tokio::sync::watch;

use strongroom_poco::AssetKind;
use strongroom_protocol::{Address, B256, Signature};
use strongroom_sms::owners::{BoxFuture, ReadOwners, ReadOwnersError};

#[derive(Default)]
pub(crate) struct FakeChain {
    state: Mutex<State>,
    fate: watch::Sender<Fate>,
    /// How many questions were asked.
    asked: watch::Sender<usize>,
}

#[derive(Default)]
struct State {
    apps: HashMap<Address, Address>,
    datasets: HashMap<Address, Address>,
}

/// What happens to the next questions.
#[derive(Clone, Copy, Default, PartialEq)]
pub(crate) enum Fate {
    #[default]
    Answered,
    OutOfReach,
    Panics,
    /// Answered once the fate has changed.
    Waits,
}

impl FakeChain {
    pub(crate) fn register(&self, kind: AssetKind, asset: Address, owner: Address) {
        let mut state = self.state.lock().unwrap();
        match kind {
            AssetKind::App => state.apps.insert(asset, owner),
            AssetKind::Dataset => state.datasets.insert(asset, owner),
            AssetKind::Workerpool => unreachable!("workerpools have no secrets"),
        };
    }

    pub(crate) fn set_fate(&self, fate: Fate) {
        self.fate.send_replace(fate);
    }

    /// Returns once a question was asked.
    pub(crate) async fn asked(&self) {
        self.asked.subscribe().wait_for(|asked| *asked > 0).await.unwrap();
    }
}

impl ReadOwners for FakeChain {
    fn owner_signed<'a>(
        &'a self,
        kind: AssetKind,
        asset: Address,
        challenge: B256,
        signature: &'a Signature,
    ) -> BoxFuture<'a, Result<bool, ReadOwnersError>> {
        let owner = {
            let state = self.state.lock().unwrap();
            let owners = match kind {
                AssetKind::App => &state.apps,
                AssetKind::Dataset => &state.datasets,
                AssetKind::Workerpool => unreachable!("workerpools have no secrets"),
            };
            owners.get(&asset).copied()
        };
        self.asked.send_modify(|asked| *asked += 1);
        Box::pin(async move {
            let fate = *self.fate.subscribe().wait_for(|fate| *fate != Fate::Waits).await.unwrap();
            match fate {
                Fate::Answered => Ok(owner.is_some_and(|owner| signature.is_by(owner, challenge))),
                Fate::OutOfReach | Fate::Waits => Err(ReadOwnersError::NotChecked),
                Fate::Panics => panic!("the chain panics about {signature}"),
            }
        })
    }

    fn is_ready(&self) -> bool {
        *self.fate.borrow() == Fate::Answered
    }
}
