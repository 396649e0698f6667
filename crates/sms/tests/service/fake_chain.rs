//! A chain that is a table of owners, and that can be out of reach.

use std::collections::HashMap;
use std::sync::Mutex;

use strongroom_poco::AssetKind;
use strongroom_protocol::{Address, B256, Signature};
use strongroom_sms::owners::{BoxFuture, ReadOwners, ReadOwnersError};

#[derive(Default)]
pub(crate) struct FakeChain {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    apps: HashMap<Address, Address>,
    datasets: HashMap<Address, Address>,
    fate: Fate,
}

/// What happens to the next questions.
#[derive(Clone, Copy, Default, PartialEq)]
pub(crate) enum Fate {
    #[default]
    Answered,
    OutOfReach,
    Panics,
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
        self.state.lock().unwrap().fate = fate;
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
        let (fate, owner) = {
            let state = self.state.lock().unwrap();
            let owners = match kind {
                AssetKind::App => &state.apps,
                AssetKind::Dataset => &state.datasets,
                AssetKind::Workerpool => unreachable!("workerpools have no secrets"),
            };
            (state.fate, owners.get(&asset).copied())
        };
        Box::pin(async move {
            match fate {
                Fate::Answered => Ok(owner.is_some_and(|owner| signature.is_by(owner, challenge))),
                Fate::OutOfReach => Err(ReadOwnersError::NotChecked),
                Fate::Panics => panic!("the chain panics about {signature}"),
            }
        })
    }

    fn is_ready(&self) -> bool {
        self.state.lock().unwrap().fate == Fate::Answered
    }
}
