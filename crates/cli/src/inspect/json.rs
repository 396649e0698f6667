//! What was found, for programs. The members are a promise; new ones may come. Bytes are `0x` and hex, times seconds since
//! 1970.

use serde_json::{Value, json};

use super::{Approval, Binding, Inspection, Outcome};

impl Inspection {
    /// One object. What is authentic stands in `claims`; what is only said, in `stated`; never both.
    pub(crate) fn json(&self) -> Value {
        let reason = self.outcome.reason().map(|reason| {
            json!({
                "check": reason.check,
                "message": reason.message,
                "retryable": matches!(self.outcome, Outcome::Undecided(_)),
            })
        });
        let (matches, expected) = match self.binding {
            Binding::NotChecked => (None, None),
            Binding::NotProven { expected } => (None, Some(expected)),
            Binding::Matches => (Some(true), Some(self.stated.report_data.0)),
            Binding::Differs { expected } => (Some(false), Some(expected)),
        };
        let hex = |bytes: [u8; 64]| format!("0x{}", hex::encode(bytes));
        let image = self.image.as_ref().map(|image| {
            let (approved, name) = match &image.approval {
                Approval::NotAsked => (None, None),
                Approval::Absent => (Some(false), None),
                Approval::As(name) => (Some(true), Some(name)),
            };
            json!({ "id": image.id.to_string(), "approved": approved, "name": name })
        });
        let measurement = self
            .measurement
            .as_ref()
            .map(|measurement| json!({ "id": measurement.id().to_string(), "text": measurement.to_string() }));
        let verdicts: Vec<Value> = self
            .verdicts
            .iter()
            .map(|(rule, verdict)| json!({ "rule": rule, "passed": verdict.is_ok(), "reason": verdict.as_ref().err() }))
            .collect();
        json!({
            "outcome": self.outcome.as_str(),
            "reason": reason,
            "at": self.at.0,
            "evidence": {
                "kind": self.evidence.kind(),
                "version": self.stated.version,
                "document_bytes": self.evidence.document().len(),
                "event_log_bytes": self.evidence.event_log().map(<[u8]>::len),
            },
            "simulated": self.simulated,
            "authentic": self.claims.is_ok(),
            "binding": {
                "checked": matches.is_some(),
                "matches": matches,
                "expected": expected.map(hex),
                "found": hex(self.stated.report_data.0),
            },
            "claims": self.claims.as_ref().ok(),
            "stated": self.claims.is_err().then_some(&self.stated),
            "event_log_fault": self.event_log_fault.as_ref().map(ToString::to_string),
            "measurement": measurement,
            "image": image,
            "policy": { "hash": format!("0x{}", self.policy), "verdicts": self.claims.is_ok().then_some(verdicts) },
        })
    }
}
