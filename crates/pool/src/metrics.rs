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

    #[cfg(test)]
    pub(crate) fn troubles(&self, state: State) -> u64 {
        self.trouble.with_label_values(&[state.name()]).get()
    }

    /// Takes note that a wallet cannot pay for gas. True the first time: then it is an alarm.
    pub(crate) fn wallet_is_empty(&self, wallet: Address) -> bool {
        let gauge = self.empty_wallets.with_label_values(&[&wallet.to_string()]);
        let was_empty = gauge.get() == 1;
        gauge.set(1);
        !was_empty
    }

    /// Takes note that a transaction of this wallet was paid for; one that still cannot pay will say so again.
    pub(crate) fn wallet_can_pay(&self, wallet: Address) {
        // Fails when the wallet was never empty.
        let _ = self.empty_wallets.remove_label_values(&[&wallet.to_string()]);
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of `text` that look like metrics of ours.
    fn named(text: &str) -> impl Iterator<Item = &str> {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        words.filter(|word| word.starts_with("strongroom_pool_"))
    }

    #[test]
    fn alerts_board_and_page_name_only_metrics_and_states_that_are_exported() {
        let metrics = Metrics::new();
        metrics.wallet_is_empty(Address::ZERO);
        let exported = String::from_utf8(metrics.text(&[], 0)).unwrap();
        for text in [
            include_str!("../../../packaging/monitoring/pool-rules.yml"),
            include_str!("../../../packaging/monitoring/grafana-pool.json"),
            include_str!("../../../docs/operations/pool.md"),
            include_str!("../../../docs/guide/pool-operator.md"),
        ] {
            assert!(named(text).count() > 0);
            for name in named(text) {
                assert!(exported.contains(name), "{name} is not exported");
            }
            // Not the legends.
            let selected = text.split("{state").skip(1).filter(|rest| rest.starts_with(['=', '!']));
            for rest in selected {
                let is_word = |part: &&str| part.starts_with(|c: char| c.is_ascii_lowercase());
                let states = rest.split(['"', '\\']).find(is_word).unwrap_or_default();
                for state in states.split('|') {
                    assert!(State::ALL.iter().any(|known| known.name() == state), "there is no state {state:?}");
                }
            }
        }
    }
}
