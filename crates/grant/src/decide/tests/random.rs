//! Random scenarios: a flawless one, then usually one or a few changes, so that every check is often the first to fail.

use strongroom_protocol::snapshot::TaskStatus;

use super::scenario::{
    Bound, INDEXES, LOCATIONS, Measured, Order, Scenario, SessionName, Signed, TaskName, Who, World,
};

/// SplitMix64: fast, seeded by one word, and the same everywhere. Not for secrets.
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// A number below `end`. The bias of the remainder does not matter for ends this small.
    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.word() % u64::try_from(end).unwrap()).unwrap()
    }

    pub(super) fn byte_below(&mut self, end: u8) -> u8 {
        u8::try_from(self.below(usize::from(end))).unwrap()
    }

    pub(super) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    pub(super) fn one_in(&mut self, end: usize) -> bool {
        self.below(end) == 0
    }
}

/// Frameworks as the low half of the last byte of a tag says them: SCONE, Gramine, TDX.
const FRAMEWORKS: [u8; 3] = [0b0011, 0b0101, 0b1001];

/// The scenario of this case number: the same on every machine.
pub(super) fn scenario(world: &World, case: u64) -> Scenario {
    let mut random = Random::new(case.wrapping_mul(0xd134_2543_de82_ef95) ^ 0x5712_0e66_0000_0001);
    let mut scenario = flawless(world, &mut random);
    let changes = random.pick(&[0, 0, 1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 3, 3, 12]);
    for _ in 0..changes {
        change(world, &mut random, &mut scenario);
    }
    // Few deals have a list, and its orders can be wrong in many ways.
    if random.one_in(4) {
        change_slice(&mut random, &mut scenario);
    }
    scenario
}

fn flawless(world: &World, random: &mut Random) -> Scenario {
    let task = TaskName { deal: random.byte_below(2), index: random.below(INDEXES.len()) };
    let index = INDEXES[task.index];
    let bot_first = random.pick(&[0, index, index.saturating_sub(1)]);
    let bot_size = (index - bot_first).saturating_add(random.pick(&[1, 2, u64::MAX]));
    let session = SessionName { nonce: random.byte_below(2), task };
    let worker = random.pick(&[Who::Worker, Who::Stranger]);
    let challenge = random.byte_below(2);
    let pool_owner = random.pick(&[Who::PoolOwner, Who::Stranger]);
    let tag_low = random.pick(&FRAMEWORKS);
    let code = 1 + random.byte_below(2);
    let app = random.byte_below(2);
    let dataset = random.pick(&[None, Some(0), Some(1)]);
    let config = loop {
        let config = random.below(world.configs.len());
        if world.configs[config].meaning == Ok(code) {
            break config;
        }
    };
    let params = loop {
        let params = random.below(world.params.len());
        if world.params[params].0.is_plain() {
            break params;
        }
    };
    let bulk = world.params[params].0.meaning.as_ref().is_some_and(|meaning| meaning.bulk);
    let asked = Bound {
        nonce: random.byte_below(2),
        chain: random.byte_below(2),
        hub: random.byte_below(2),
        service: random.byte_below(2),
        session,
        key: random.byte_below(2),
    };
    let tdx = Measured::Tdx { image: random.byte_below(2), approved: true, app: Some(code) };
    Scenario {
        status: TaskStatus::Active,
        task,
        task_deal: task.deal,
        task_index: task.index,
        deal: task.deal,
        bot_first,
        bot_size,
        contribution_deadline: 4 + random.word() % 3,
        final_deadline: 5 + random.word() % 3,
        expires: 5 + random.word() % 3,
        clock: random.word() % 4,
        block_time: random.word() % 4,
        tag_low,
        tag_rest: random.byte_below(16),
        pool_owner,
        pool_owner_now: random.pick(&Who::ALL),
        deal_app: app,
        shown_app: app,
        deal_dataset: dataset,
        shown_dataset: dataset,
        location: if random.one_in(8) { random.below(LOCATIONS.len()) } else { random.below(2) },
        requester: random.pick(&[Who::Requester, Who::Stranger]),
        beneficiary: random.pick(&[Who::Beneficiary, Who::Requester]),
        callback: random.one_in(4),
        params,
        slice: Some(if bulk { orders(random) } else { Vec::new() }),
        checksum: code,
        config,
        session,
        worker,
        challenge,
        derived: challenge,
        signed: Some(Signed { by: pool_owner, worker, task, challenge }),
        stored: u64::MAX,
        later: 0,
        asked,
        evidenced: Some(asked),
        measured: if tag_low == 0b1001 { tdx } else { Measured::Sgx(code) },
        debug: false,
        simulated: random.one_in(2),
        meets_policy: true,
    }
}

fn task_name(random: &mut Random) -> TaskName {
    TaskName { deal: random.byte_below(2), index: random.below(INDEXES.len()) }
}

fn session_name(random: &mut Random) -> SessionName {
    SessionName { nonce: random.byte_below(2), task: task_name(random) }
}

fn measured(random: &mut Random) -> Measured {
    match random.below(6) {
        0 => Measured::Snp,
        1 => Measured::Nitro,
        2 | 3 => Measured::Sgx(random.byte_below(3)),
        _ => Measured::Tdx {
            image: random.byte_below(2),
            approved: !random.one_in(3),
            app: random.pick(&[None, Some(0), Some(1), Some(2)]),
        },
    }
}

/// Gives one thing a random value, which may be a good one.
fn change(world: &World, random: &mut Random, s: &mut Scenario) {
    match random.below(41) {
        0 => s.status = TaskStatus::from_number(random.byte_below(5)).unwrap(),
        1 => s.task = task_name(random),
        2 => s.task_deal = random.byte_below(2),
        3 => s.task_index = random.below(INDEXES.len()),
        4 => s.deal = random.byte_below(2),
        5 => s.bot_first = random.pick(&[0, 1, 2, u64::MAX]),
        6 => s.bot_size = random.pick(&[0, 1, 2, u64::MAX]),
        7 => s.contribution_deadline = random.word() % 8,
        8 => s.final_deadline = random.word() % 8,
        9 => s.expires = random.word() % 8,
        10 => s.clock = random.word() % 8,
        11 => s.block_time = random.word() % 8,
        12 => s.tag_low = random.byte_below(16),
        13 => s.pool_owner = random.pick(&Who::ALL),
        14 => s.deal_app = random.byte_below(2),
        15 => s.shown_app = random.byte_below(2),
        16 => s.deal_dataset = random.pick(&[None, Some(0), Some(1)]),
        17 => s.shown_dataset = random.pick(&[None, Some(0), Some(1)]),
        18 => s.requester = random.pick(&[Who::Requester, Who::Stranger]),
        19 => s.callback = !s.callback,
        20..=23 => s.params = random.below(world.params.len()),
        24 => s.checksum = random.byte_below(3),
        25 => s.config = random.below(world.configs.len()),
        26 => s.session = session_name(random),
        27 => s.worker = random.pick(&[Who::Worker, Who::Stranger]),
        28 => s.challenge = random.byte_below(2),
        29 => s.derived = random.byte_below(2),
        30 => s.signed = signed(random),
        31 => s.stored &= !(1 << random.below(world.secrets.len())),
        32..=34 => s.stored &= random.word() | random.word(),
        35 => s.asked = Bound { session: session_name(random), ..s.asked },
        36 => s.evidenced = evidenced(random, s.asked),
        37 | 38 => s.measured = measured(random),
        39 => s.debug = true,
        _ => s.meets_policy = false,
    }
    s.later = random.byte_below(2).into();
}

fn orders(random: &mut Random) -> Vec<Order> {
    let order = |random: &mut Random| {
        let named = random.byte_below(2);
        Order {
            named,
            shown: Some(named),
            location: random.below(2),
            capitals: random.one_in(2),
            price: 0,
            volume: random.pick(&[9_007_199_254_740_990, 9_007_199_254_740_991, u64::MAX]),
            hub_says: None,
        }
    };
    (0..=random.below(3)).map(|_| order(random)).collect()
}

/// Spoils one order of the slice, or the slice.
fn change_slice(random: &mut Random, s: &mut Scenario) {
    if random.one_in(8) {
        s.slice = random.pick(&[None, Some(())]).map(|()| if random.one_in(2) { Vec::new() } else { orders(random) });
    }
    let Some(orders) = s.slice.as_mut().filter(|orders| !orders.is_empty()) else { return };
    let spoiled = random.below(orders.len());
    let order = &mut orders[spoiled];
    match random.below(5) {
        0 => order.shown = random.pick(&[None, Some(0), Some(1)]),
        1 => order.location = random.below(LOCATIONS.len()),
        2 => order.price = random.byte_below(3),
        3 => order.volume = random.pick(&[0, 1, 9_007_199_254_740_989, 9_007_199_254_740_990]),
        _ => {
            order.hub_says =
                random.pick(&[None, Some("Dataset order is revoked or fully consumed"), Some("Deal not found")]);
        }
    }
}

fn signed(random: &mut Random) -> Option<Signed> {
    (!random.one_in(8)).then(|| Signed {
        by: random.pick(&Who::ALL),
        worker: random.pick(&[Who::Worker, Who::Stranger]),
        task: task_name(random),
        challenge: random.byte_below(2),
    })
}

/// Evidence for another request in one respect, or for none.
fn evidenced(random: &mut Random, asked: Bound) -> Option<Bound> {
    let number = random.byte_below(2);
    match random.below(7) {
        0 => Some(Bound { nonce: number, ..asked }),
        1 => Some(Bound { chain: number, ..asked }),
        2 => Some(Bound { hub: number, ..asked }),
        3 => Some(Bound { service: number, ..asked }),
        4 => Some(Bound { session: session_name(random), ..asked }),
        5 => Some(Bound { key: number, ..asked }),
        _ => None,
    }
}
