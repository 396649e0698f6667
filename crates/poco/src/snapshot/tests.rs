use alloy_primitives::B256;
use proptest::prelude::*;

use super::*;

const BLOCK: Block = Block { number: 9, hash: B256::repeat_byte(9), time: UnixSeconds(1_000) };
const APP: Address = Address::repeat_byte(0xa1);
const DATASET: Address = Address::repeat_byte(0xd1);
const POOL: Address = Address::repeat_byte(0xe1);

fn deal_id() -> DealId {
    B256::repeat_byte(0x22).into()
}

fn asset(pointer: Address) -> contracts::DealAsset {
    contracts::DealAsset { pointer, owner: Address::repeat_byte(0x0a), price: U256::from(3) }
}

/// What the contracts say about a task of a deal, and the answers of the program to it.
#[derive(Clone)]
struct OnChain {
    task: contracts::Task,
    deal: contracts::Deal,
    category: contracts::Category,
    app: contracts::App,
    dataset: Option<contracts::Dataset>,
    workerpool: contracts::Workerpool,
}

fn on_chain() -> OnChain {
    OnChain {
        task: contracts::Task {
            status: 1,
            dealid: deal_id().into(),
            idx: U256::from(5),
            timeref: U256::from(300),
            contributionDeadline: U256::from(7_000),
            revealDeadline: U256::ZERO,
            finalDeadline: U256::from(10_000),
            consensusValue: B256::ZERO,
            revealCounter: U256::ZERO,
            winnerCounter: U256::ZERO,
            contributors: vec![POOL],
            resultDigest: B256::ZERO,
            results: vec![1, 2, 3].into(),
            resultsTimestamp: U256::ZERO,
            resultsCallback: vec![].into(),
        },
        deal: contracts::Deal {
            app: asset(APP),
            dataset: asset(DATASET),
            workerpool: asset(POOL),
            trust: U256::from(1),
            category: U256::from(2),
            tag: B256::with_last_byte(9),
            requester: Address::repeat_byte(0x71),
            beneficiary: Address::repeat_byte(0x72),
            callback: Address::ZERO,
            params: br#"{"iexec_args":"x"}"#.to_vec().into(),
            startTime: U256::from(4_000),
            botFirst: U256::from(4),
            botSize: U256::from(2),
            workerStake: U256::ZERO,
            schedulerRewardRatio: U256::from(1),
            sponsor: Address::ZERO,
        },
        category: contracts::Category {
            name: b"M".to_vec().into(),
            description: vec![].into(),
            workClockTimeRef: U256::from(3_600),
        },
        app: contracts::App {
            owner: Address::repeat_byte(0x01),
            name: b"app".to_vec().into(),
            kind: b"DOCKER".to_vec().into(),
            multiaddr: b"docker.io/acme/app:1.0".to_vec().into(),
            checksum: B256::repeat_byte(0x44),
            mrenclave: vec![].into(),
        },
        dataset: Some(contracts::Dataset {
            owner: Address::repeat_byte(0x02),
            name: vec![].into(),
            multiaddr: b"https://example.org/data".to_vec().into(),
            checksum: B256::repeat_byte(0x55),
        }),
        workerpool: contracts::Workerpool {
            owner: Address::repeat_byte(0x03),
            description: vec![].into(),
            workerStakeRatio: U256::from(30),
            schedulerRewardRatio: U256::from(1),
        },
    }
}

fn reading(on_chain: &OnChain) -> Reading {
    let OnChain { task, deal, category, app, dataset, workerpool } = on_chain;
    let answers = vec![
        Some(viewTaskCall::abi_encode_returns(task)),
        Some(viewDealCall::abi_encode_returns(deal)),
        Some(viewCategoryCall::abi_encode_returns(category)),
        Some(viewAppCall::abi_encode_returns(app)),
        dataset.as_ref().map(viewDatasetCall::abi_encode_returns),
        Some(viewWorkerpoolCall::abi_encode_returns(workerpool)),
    ];
    Reading { chain_id: 1, answers }
}

fn read(on_chain: &OnChain) -> Result<Option<TaskSnapshot>, ChainError> {
    read_snapshot(BLOCK, TaskId::of(deal_id(), 5), &reading(on_chain))
}

#[test]
fn everything_the_contracts_say_is_in_the_snapshot() {
    let snapshot = read(&on_chain()).unwrap().unwrap();
    assert_eq!(snapshot.block, BLOCK);
    assert_eq!(
        snapshot.task,
        facts::Task {
            id: TaskId::of(deal_id(), 5),
            status: TaskStatus::Active,
            deal: deal_id(),
            index: 5,
            contribution_deadline: UnixSeconds(7_000),
            final_deadline: UnixSeconds(10_000),
        }
    );
    let bought = |address| facts::DealAsset { address, owner: Address::repeat_byte(0x0a), price: U256::from(3) };
    assert_eq!(
        snapshot.deal,
        facts::Deal {
            id: deal_id(),
            app: bought(APP),
            dataset: Some(bought(DATASET)),
            workerpool: bought(POOL),
            trust: U256::from(1),
            category: U256::from(2),
            tag: Tag(B256::with_last_byte(9)),
            requester: Address::repeat_byte(0x71),
            beneficiary: Address::repeat_byte(0x72),
            callback: None,
            params: r#"{"iexec_args":"x"}"#.to_owned(),
            start_time: UnixSeconds(4_000),
            bot_first: 4,
            bot_size: 2,
        }
    );
    assert_eq!(snapshot.category_seconds, 3_600);
    assert_eq!(snapshot.app.owner, Address::repeat_byte(0x01));
    assert_eq!(snapshot.app.multiaddr, b"docker.io/acme/app:1.0");
    assert_eq!(snapshot.app.checksum, B256::repeat_byte(0x44));
    let dataset = snapshot.dataset.unwrap();
    assert_eq!((dataset.address, dataset.owner), (DATASET, Address::repeat_byte(0x02)));
    assert_eq!(snapshot.workerpool_owner, Address::repeat_byte(0x03));
}

#[test]
fn the_places_of_the_next_questions_are_where_the_answers_have_them() {
    let reading = reading(&on_chain());
    for (word, expected) in [
        (DEAL_OF_TASK, deal_id().into()),
        (APP_OF_DEAL, APP.into_word()),
        (DATASET_OF_DEAL, DATASET.into_word()),
        (WORKERPOOL_OF_DEAL, POOL.into_word()),
        (CATEGORY_OF_DEAL, B256::with_last_byte(2)),
    ] {
        let Word::Answer { step, word } = word else { panic!("known beforehand") };
        let from = usize::from(word) * 32;
        assert_eq!(reading.answers[step].as_ref().unwrap()[from..from + 32], expected[..]);
    }
}

#[test]
fn a_task_that_was_never_initialised_does_not_exist() {
    let mut unknown = reading(&on_chain());
    unknown.answers[0] = Some(viewTaskCall::abi_encode_returns(&contracts::Task {
        status: 0,
        dealid: B256::ZERO,
        idx: U256::ZERO,
        timeref: U256::ZERO,
        contributionDeadline: U256::ZERO,
        finalDeadline: U256::ZERO,
        contributors: vec![],
        results: vec![].into(),
        ..on_chain().task
    }));
    for later in &mut unknown.answers[1..] {
        *later = None;
    }
    assert_eq!(read_snapshot(BLOCK, TaskId::of(deal_id(), 5), &unknown).unwrap(), None);
}

#[test]
fn a_deal_without_a_dataset_has_none_whatever_its_step_answered() {
    let mut without = on_chain();
    without.deal.dataset = contracts::DealAsset { pointer: Address::ZERO, owner: Address::ZERO, price: U256::ZERO };
    for dataset in [None, on_chain().dataset] {
        let snapshot = read(&OnChain { dataset, ..without.clone() }).unwrap().unwrap();
        assert_eq!((snapshot.deal.dataset, snapshot.dataset), (None, None));
    }
}

#[test]
fn parameters_that_are_not_utf_8_are_still_a_text() {
    let mut odd = on_chain();
    odd.deal.params = vec![b'{', 0xff, b'}'].into();
    assert_eq!(read(&odd).unwrap().unwrap().deal.params, "{\u{fffd}}");
}

#[test]
fn what_poco_cannot_say_is_trouble_and_not_absence() {
    let huge = U256::from(1) << 64;
    let cases: Vec<fn(&mut OnChain)> = vec![
        |it| it.task.status = 0,
        |it| it.task.status = 5,
        |it| it.task.dealid = B256::ZERO,
        |it| it.task.dealid = B256::repeat_byte(0x23),
        |it| it.task.idx = U256::from(4),
        |it| it.deal.app.pointer = Address::ZERO,
        |it| it.deal.workerpool.pointer = Address::ZERO,
        |it| it.deal.startTime = U256::ZERO,
        |it| it.deal.botFirst = U256::from(6),
        |it| it.deal.botSize = U256::from(1),
        |it| it.app.owner = Address::ZERO,
        |it| it.workerpool.owner = Address::ZERO,
        |it| it.dataset = None,
    ];
    for (case, change) in cases.into_iter().enumerate() {
        let mut odd = on_chain();
        change(&mut odd);
        assert!(matches!(read(&odd), Err(ChainError::Impossible { .. })), "case {case}");
    }
    for change in [
        |it: &mut OnChain, huge| it.task.finalDeadline = huge,
        |it: &mut OnChain, huge| it.task.contributionDeadline = huge,
        |it: &mut OnChain, huge| it.task.idx = huge,
        |it: &mut OnChain, huge| it.deal.botSize = huge,
        |it: &mut OnChain, huge| it.deal.startTime = huge,
        |it: &mut OnChain, huge| it.category.workClockTimeRef = huge,
    ] {
        let mut odd = on_chain();
        change(&mut odd, huge);
        assert!(matches!(read(&odd), Err(ChainError::Impossible { .. })));
    }
    for step in 0..6 {
        let mut cut = reading(&on_chain());
        cut.answers[step] = None;
        assert!(read_snapshot(BLOCK, TaskId::of(deal_id(), 5), &cut).is_err(), "step {step} failed");
    }
}

proptest! {
    #[test]
    fn no_answer_makes_the_snapshot_panic(
        answers in proptest::collection::vec(proptest::option::of(proptest::collection::vec(any::<u8>(), 0..200)), 0..8),
    ) {
        let _ = read_snapshot(BLOCK, TaskId::of(deal_id(), 5), &Reading { chain_id: 1, answers });
    }

    #[test]
    fn cut_or_changed_answers_never_make_the_snapshot_panic(step in 0..6_usize, at: prop::sample::Index, change: Option<u8>) {
        let mut reading = reading(&on_chain());
        let answer = reading.answers[step].as_mut().expect("all steps answered");
        let at = at.index(answer.len());
        match change {
            Some(byte) => answer[at] = byte,
            None => answer.truncate(at),
        }
        let _ = read_snapshot(BLOCK, TaskId::of(deal_id(), 5), &reading);
    }
}
