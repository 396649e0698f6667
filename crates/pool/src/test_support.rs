//! What tests of several modules need.

use alloy_primitives::{B256, U256};
use strongroom_protocol::snapshot::{App, Block, Deal, DealAsset, TaskStatus};
use strongroom_protocol::{Address, DealId, Tag, TaskId, UnixSeconds};

use crate::lifecycle::{Event, State};
use crate::outside::{Asked, DealView, Ledger, Notices, OutsideError, Settlement};
use crate::store::{Cursor, Found, Note, Store};

/// A TDX deal of one task with these parameters, matched at second 1,000,000, in a category of 300 s.
pub(crate) fn deal_view(params: &str) -> DealView {
    let asset = |byte| DealAsset {
        address: Address::repeat_byte(byte),
        owner: Address::repeat_byte(byte + 0x11),
        price: U256::ZERO,
    };
    DealView {
        deal: Deal {
            id: B256::repeat_byte(0xdd).into(),
            app: asset(0x11),
            dataset: None,
            workerpool: asset(0x33),
            trust: U256::from(1),
            category: U256::ZERO,
            tag: Tag(B256::with_last_byte(9)),
            requester: Address::repeat_byte(0x55),
            beneficiary: Address::repeat_byte(0x55),
            callback: None,
            params: params.to_owned(),
            start_time: UnixSeconds(1_000_000),
            bot_first: 0,
            bot_size: 1,
        },
        category_seconds: 300,
        app: App {
            address: Address::repeat_byte(0x11),
            owner: Address::repeat_byte(0x22),
            multiaddr: b"registry.example/app:1".to_vec(),
            checksum: B256::repeat_byte(0xcc),
            mrenclave: vec![],
        },
        dataset: None,
    }
}

/// A state with one task that is running.
pub(crate) async fn running_task() -> (Store, TaskId, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = open_store(folder.path());
    let id = TaskId::of(deal_view("{}").deal.id, 0);
    let cursor = Cursor { block: 1, hash: B256::ZERO };
    store.take_in(vec![found(id)], cursor, UnixSeconds(1)).await.unwrap();
    let mut state = State::Received;
    for event in [Event::Accepted, Event::Initialized, Event::Authorized, Event::Taken, Event::Prepared] {
        state = store.advance(id, state, event, Note::default(), UnixSeconds(2)).await.unwrap().state;
    }
    (store, id, folder)
}

pub(crate) fn open_store(folder: &std::path::Path) -> Store {
    Store::open(&folder.join("pool.db"), 31337, Address::repeat_byte(1), Address::repeat_byte(0x33)).unwrap()
}

pub(crate) fn found(id: TaskId) -> Found {
    let view = deal_view("{}");
    Found {
        id,
        deal: view.deal.id,
        index: 0,
        contribution_deadline: view.contribution_deadline(),
        final_deadline: view.final_deadline(),
    }
}

/// Knows one deal and nothing else.
pub(crate) struct OneDeal(pub(crate) Address);

fn never<T>() -> Asked<'static, T> {
    Box::pin(async { Err(OutsideError::Trouble("not asked here".to_owned())) })
}

impl Ledger for OneDeal {
    fn head(&self) -> Asked<'_, Block> {
        Box::pin(async { Ok(Block { number: 1, hash: B256::ZERO, time: UnixSeconds(1) }) })
    }

    fn notices(&self, _after: Option<Cursor>) -> Asked<'_, Notices> {
        never()
    }

    fn deal(&self, _id: DealId) -> Asked<'_, DealView> {
        let mut view = deal_view("{}");
        view.deal.requester = self.0;
        Box::pin(async { Ok(view) })
    }

    fn has_deal(&self, _id: DealId) -> Asked<'_, bool> {
        never()
    }

    fn dataset_location(&self, dataset: Address) -> Asked<'_, Option<String>> {
        Box::pin(async move { Ok(Some(format!("https://data.example/{dataset}"))) })
    }

    fn status(&self, _id: TaskId) -> Asked<'_, TaskStatus> {
        never()
    }

    fn initialize(&self, _deal: DealId, _index: u64) -> Asked<'_, ()> {
        never()
    }

    fn settle(&self, _settlement: Settlement) -> Asked<'_, ()> {
        never()
    }

    fn claim(&self, _deal: DealId, _index: u64, _status: TaskStatus) -> Asked<'_, ()> {
        never()
    }
}
