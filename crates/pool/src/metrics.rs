//! What the pool counts, in the text format of Prometheus. Names of states and wallets, never anything secret.

use prometheus::{Encoder as _, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder};
use strongroom_protocol::Address;

use crate::lifecycle::State;

const CONSTANT: &str = "names and labels are constant and valid";

/// Everything the pool counts.
pub struct Metrics {
    registry: Registry,
    changes: IntCounterVec,
    trouble: IntCounterVec,
    tasks: IntGaugeVec,
    block: IntGauge,
    places: IntGauge,
    empty_wallets: IntGaugeVec,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All zero.
    pub fn new() -> Self {
        let registry = Registry::new();
        let counters = |name: &str, help: &str, label: &str| {
            let made = IntCounterVec::new(Opts::new(name, help), &[label]).expect(CONSTANT);
            registry.register(Box::new(made.clone())).expect(CONSTANT);
            made
        };
        let gauge = |name: &str, help: &str| {
            let made = IntGauge::new(name, help).expect(CONSTANT);
            registry.register(Box::new(made.clone())).expect(CONSTANT);
            made
        };
        let gauges = |name: &str, help: &str, label: &str| {
            let made = IntGaugeVec::new(Opts::new(name, help), &[label]).expect(CONSTANT);
            registry.register(Box::new(made.clone())).expect(CONSTANT);
            made
        };
        let changes = counters("strongroom_pool_changes_total", "Tasks that came to a state since the start.", "state");
        let trouble =
            counters("strongroom_pool_trouble_total", "Steps that did not work and are tried again.", "state");
        let tasks = gauges("strongroom_pool_tasks", "Tasks in a state at the last count.", "state");
        let block = gauge("strongroom_pool_block", "Last block whose notices were read.");
        let places = gauge("strongroom_pool_places_free", "Enclaves that could be started now.");
        let empty_wallets = gauges("strongroom_pool_wallet_empty", "1 when a wallet has no gas.", "wallet");
        for state in State::ALL {
            changes.with_label_values(&[state.name()]);
            trouble.with_label_values(&[state.name()]);
            tasks.with_label_values(&[state.name()]).set(0);
        }
        Self { registry, changes, trouble, tasks, block, places, empty_wallets }
    }

    pub(crate) fn count_change(&self, to: State) {
        self.changes.with_label_values(&[to.name()]).inc();
    }

    pub(crate) fn count_trouble(&self, state: State) {
        self.trouble.with_label_values(&[state.name()]).inc();
    }

    /// Takes note that a wallet cannot pay for gas. True the first time: then it is an alarm.
    pub(crate) fn wallet_is_empty(&self, wallet: Address) -> bool {
        let gauge = self.empty_wallets.with_label_values(&[&wallet.to_string()]);
        let was_empty = gauge.get() == 1;
        gauge.set(1);
        !was_empty
    }

    /// A transaction was paid for; a wallet that still cannot pay will say so again.
    pub(crate) fn wallets_can_pay(&self) {
        self.empty_wallets.reset();
    }

    pub(crate) fn read_up_to(&self, block: u64) {
        self.block.set(i64::try_from(block).unwrap_or(i64::MAX));
    }

    /// The text of all counters, with `tasks` and `free` as they are now.
    pub fn text(&self, tasks: &[(State, u64)], free: usize) -> Vec<u8> {
        for (state, count) in tasks {
            self.tasks.with_label_values(&[state.name()]).set(i64::try_from(*count).unwrap_or(i64::MAX));
        }
        self.places.set(i64::try_from(free).unwrap_or(i64::MAX));
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text).expect("writing to memory does not fail");
        text
    }
}
