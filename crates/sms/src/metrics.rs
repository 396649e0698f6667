//! Counters of the service, in the text format of Prometheus and in the JSON form of the old service. Nothing in them
//! says anything about a value, not even its length.

use std::sync::PoisonError;
use std::sync::RwLock;
use std::time::Duration;

use prometheus::{Encoder as _, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry, TextEncoder};
use serde::Serialize;
use strongroom_protocol::SecretKind;
use strongroom_store::SecretCounts;

/// Upper bounds of the latency buckets, in seconds.
const LATENCY_BUCKETS: [f64; 12] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0];

/// Everything the service counts.
pub(crate) struct Metrics {
    registry: Registry,
    requests: HistogramVec,
    added: IntCounterVec,
    pub(crate) connections: IntGauge,
    pub(crate) body_bytes_reserved: IntGauge,
    pub(crate) body_bytes_reserved_peak: IntGauge,
    stored: prometheus::IntGaugeVec,
    counted: RwLock<Counted>,
}

/// What the last count of the store found.
#[derive(Clone, Copy, Default)]
struct Counted {
    /// At the first count, without what was added since the start. None before it.
    initial: Option<SecretCounts>,
    /// None when the last count failed.
    stored: Option<SecretCounts>,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let registry = Registry::new();
        let requests = HistogramVec::new(
            HistogramOpts::new("strongroom_http_request_seconds", "Time from the head of a request to its answer.")
                .buckets(LATENCY_BUCKETS.to_vec()),
            &["method", "route", "status"],
        );
        let added = IntCounterVec::new(
            Opts::new("strongroom_secrets_added_total", "Secrets stored since the service started."),
            &["kind"],
        );
        let stored = prometheus::IntGaugeVec::new(
            Opts::new("strongroom_secrets_stored", "Secrets in the store at the last count; -1 if it failed."),
            &["kind"],
        );
        let gauge = |name: &str, help: &str| {
            let gauge = IntGauge::new(name, help).expect(CONSTANT);
            registry.register(Box::new(gauge.clone())).expect(CONSTANT);
            gauge
        };
        let connections = gauge("strongroom_http_connections", "Open connections.");
        let body_bytes_reserved = gauge(
            "strongroom_http_body_bytes_reserved",
            "Memory set aside for request bodies that are being read or stored.",
        );
        let body_bytes_reserved_peak =
            gauge("strongroom_http_body_bytes_reserved_peak", "Most memory ever set aside for request bodies.");
        let version = gauge("iexec_version_info", "Always 1.");
        version.set(1);
        let (requests, added, stored) = (requests.expect(CONSTANT), added.expect(CONSTANT), stored.expect(CONSTANT));
        registry.register(Box::new(requests.clone())).expect(CONSTANT);
        registry.register(Box::new(added.clone())).expect(CONSTANT);
        registry.register(Box::new(stored.clone())).expect(CONSTANT);
        for kind in SecretKind::ALL {
            added.with_label_values(&[label(kind)]);
            stored.with_label_values(&[label(kind)]).set(-1);
        }
        Self {
            registry,
            requests,
            added,
            connections,
            body_bytes_reserved,
            body_bytes_reserved_peak,
            stored,
            counted: RwLock::default(),
        }
    }

    /// `route` is a template such as `/apps/{appAddress}/secrets`, never a path that a client made up.
    pub(crate) fn observe_request(&self, method: &str, route: &str, status: u16, took: Duration) {
        self.requests.with_label_values(&[method, route, &status.to_string()]).observe(took.as_secs_f64());
    }

    pub(crate) fn count_added(&self, kind: SecretKind) {
        self.added.with_label_values(&[label(kind)]).inc();
    }

    /// Takes over what a count of the store found; none if it failed.
    pub(crate) fn set_stored(&self, counts: Option<SecretCounts>) {
        let mut counted = self.counted.write().unwrap_or_else(PoisonError::into_inner);
        counted.stored = counts;
        if counted.initial.is_none() {
            counted.initial = counts;
        }
        for kind in SecretKind::ALL {
            self.stored.with_label_values(&[label(kind)]).set(counts.map_or(-1, |counts| signed(counts.of(kind))));
        }
    }

    /// The text format of Prometheus.
    pub(crate) fn prometheus_text(&self) -> Vec<u8> {
        let mut text = Vec::new();
        TextEncoder::new().encode(&self.registry.gather(), &mut text).expect("writing to memory does not fail");
        text
    }

    /// The answer of `GET /metrics`.
    pub(crate) fn secrets_metrics(&self) -> SecretsMetrics {
        let counted = *self.counted.read().unwrap_or_else(PoisonError::into_inner);
        let of = |secrets_type: &'static str, kinds: &[SecretKind]| {
            let sum = |counts: Option<SecretCounts>, otherwise: i64| {
                counts.map_or(otherwise, |counts| kinds.iter().map(|kind| signed(counts.of(*kind))).sum())
            };
            OneKind {
                secrets_type,
                initial_count: sum(counted.initial, 0),
                stored_count: sum(counted.stored, -1),
                added_since_start_count: kinds
                    .iter()
                    .map(|kind| self.added.with_label_values(&[label(*kind)]).get())
                    .sum(),
                cached_secrets_count: 0,
            }
        };
        // Enclave challenges are derived when they are needed, so none is stored and counting them always gives 0.
        let none = |secrets_type| OneKind { secrets_type, stored_count: 0, ..of(secrets_type, &[]) };
        SecretsMetrics {
            secrets_metrics: ByKind {
                web2: of("web2", &[SecretKind::Account]),
                web3: of("web3", &[SecretKind::Dataset]),
                compute: of("compute", &[SecretKind::App, SecretKind::Requester]),
                tee_challenges: none("TEE challenges"),
                ethereum_credentials: none("Ethereum Credentials"),
            },
        }
    }
}

const CONSTANT: &str = "names and labels of the metrics are constants and distinct";

fn label(kind: SecretKind) -> &'static str {
    match kind {
        SecretKind::App => "app",
        SecretKind::Requester => "requester",
        SecretKind::Dataset => "dataset",
        SecretKind::Account => "account",
    }
}

fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The answer of `GET /metrics`: member for member what the old service says.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SecretsMetrics {
    secrets_metrics: ByKind,
}

#[derive(Serialize)]
struct ByKind {
    web2: OneKind,
    web3: OneKind,
    compute: OneKind,
    #[serde(rename = "TEE challenges")]
    tee_challenges: OneKind,
    #[serde(rename = "Ethereum Credentials")]
    ethereum_credentials: OneKind,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OneKind {
    secrets_type: &'static str,
    initial_count: i64,
    stored_count: i64,
    added_since_start_count: u64,
    cached_secrets_count: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of `text` that look like metrics of ours.
    fn named(text: &str) -> impl Iterator<Item = &str> {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        words.filter(|word| word.starts_with("strongroom_") && *word != "strongroom_sms")
    }

    #[test]
    fn alerts_and_board_name_only_metrics_that_are_exported() {
        let metrics = Metrics::new();
        metrics.observe_request("GET", "/version", 200, Duration::from_millis(1));
        let exported = String::from_utf8(metrics.prometheus_text()).unwrap();
        for text in [
            include_str!("../../../packaging/monitoring/rules.yml"),
            include_str!("../../../packaging/monitoring/grafana.json"),
            include_str!("../../../docs/operations/monitoring.md"),
        ] {
            assert!(named(text).count() > 3);
            for name in named(text) {
                assert!(exported.contains(name), "{name} is not exported");
            }
        }
    }
}
