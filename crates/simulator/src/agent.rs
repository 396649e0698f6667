//! The guest agent of a simulated trust domain: HTTP over a Unix socket, in the shape of dstack's `/var/run/dstack.sock`.
//!
//! | Route | Request | Answer |
//! | --- | --- | --- |
//! | `POST /GetQuote` | `{"report_data": hex}`, at most 64 bytes | `quote`, `event_log`, `report_data`, `vm_config` |
//! | `POST /EmitEvent` | `{"event": name, "payload": hex}` | `{}`; the event is extended into RTMR3 |
//! | `POST /Info` | anything | identity of the application, registers and log |
//!
//! Bytes are lower-case hex without prefix, `event_log` is a JSON array as text. Refusals are status 400 with `{"error": …}`.
//!
//! Whoever makes the [`GuestAgent`] plays the hypervisor and fixes everything that is measured before the application runs.
//! The guest, on the other side of the socket, chooses report data and events of its own, nothing else: there is no route
//! that takes a register, and no route that forgets an event.

mod http;

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use strongroom_attest::evidence::{MAX_EVENT_LOG_BYTES, MAX_EVENTS};

pub use self::http::serve;
use crate::event_log::{AppIdentity, RuntimeEvent};
use crate::intel::{IntelMachine, TdxMeasured};
use crate::{SimulatedEvidence, Simulator};

/// Bytes of report data in a quote.
const REPORT_DATA_BYTES: usize = 64;

/// One simulated trust domain and its agent.
pub struct GuestAgent {
    simulator: Simulator,
    machine: IntelMachine,
    guest: SimulatedGuest,
    /// The only thing that changes: events come in.
    measured: Mutex<TdxMeasured>,
}

/// What the hypervisor decides about a guest.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct SimulatedGuest {
    /// Firmware, machine shape, kernel. The run-time events in its log are replaced by those of `app`.
    pub image: TdxMeasured,
    /// The application that the image starts.
    pub app: AppIdentity,
    /// Name of the application, shown and not measured.
    pub app_name: String,
    /// The text of the application's compose file, shown; what is measured is its hash in `app`.
    pub app_compose: String,
    /// Description of the machine, JSON text, shown and not measured.
    pub vm_config: String,
}

/// Why the agent refused a request. The guest sees the message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AgentRefusal {
    /// More than 64 bytes.
    #[error("Report data is too long")]
    ReportDataTooLong,
    /// No name.
    #[error("Event name is empty")]
    NamelessEvent,
    /// One more event would make a log that no verifier reads.
    #[error("Event log is full")]
    LogFull,
    /// The body is not the JSON of this route.
    #[error("Failed to decode the request: {0}")]
    Malformed(String),
}

/// Answer to `/GetQuote`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuoteAnswer {
    /// The quote, hex.
    pub quote: String,
    /// The event log: a JSON array as text.
    pub event_log: String,
    /// The report data with its padding, hex.
    pub report_data: String,
    /// Description of the machine, unauthenticated.
    pub vm_config: String,
}

/// Answer to `/Info`. All bytes are hex.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InfoAnswer {
    /// Application id, 20 bytes.
    pub app_id: String,
    /// Instance id, 20 bytes.
    pub instance_id: String,
    /// A certificate of the application; always empty here.
    pub app_cert: String,
    /// Registers, hashes and log: JSON as text.
    pub tcb_info: String,
    /// Name of the application.
    pub app_name: String,
    /// Hash that names the machine, 32 bytes.
    pub device_id: String,
    /// SHA-256 over MRTD, RTMR0 to 3 and, when they are set, MRCONFIGID, MROWNER, MROWNERCONFIG.
    pub mr_aggregated: String,
    /// Hash of the operating-system image; empty when it was not measured.
    pub os_image_hash: String,
    /// Where the keys come from: JSON as text.
    pub key_provider_info: String,
    /// SHA-256 of the compose file.
    pub compose_hash: String,
    /// Description of the machine, unauthenticated.
    pub vm_config: String,
    /// Who built the machine; says that it is simulated.
    pub cloud_vendor: String,
    /// What the machine is; says that it is simulated.
    pub cloud_product: String,
}

impl GuestAgent {
    /// Starts the guest: its log holds the boot of `guest.image` and the start of `guest.app`.
    pub fn start(simulator: Simulator, machine: IntelMachine, guest: SimulatedGuest) -> Self {
        let mut measured = guest.image.clone();
        measured.log.runtime = guest.app.boot_events();
        Self { simulator, machine, guest, measured: Mutex::new(measured) }
    }

    /// A quote over `report_data`, zeros appended to 64 bytes, and over all events so far.
    pub fn evidence(&self, report_data: &[u8]) -> Result<SimulatedEvidence, AgentRefusal> {
        let report_data = padded(report_data)?;
        // Cloned so that events are not held up by signatures.
        let measured = self.measured();
        Ok(self.simulator.tdx_on(&self.machine, &measured, report_data))
    }

    /// The same as the answer to `/GetQuote`.
    pub fn quote(&self, report_data: &[u8]) -> Result<QuoteAnswer, AgentRefusal> {
        let evidence = self.evidence(report_data)?;
        Ok(QuoteAnswer {
            quote: hex::encode(evidence.document),
            event_log: evidence.event_log.unwrap_or_default(),
            report_data: hex::encode(padded(report_data)?),
            vm_config: self.guest.vm_config.clone(),
        })
    }

    /// Extends RTMR3 by an event of the application.
    ///
    /// Names that belong to the platform are taken too, as the real agent does: verifiers refuse such a log.
    pub fn emit_event(&self, name: &str, payload: &[u8]) -> Result<(), AgentRefusal> {
        if name.is_empty() {
            return Err(AgentRefusal::NamelessEvent);
        }
        let event = RuntimeEvent::new(name, payload);
        let mut measured = self.measured.lock().unwrap_or_else(PoisonError::into_inner);
        let events = measured.log.runtime.len() + measured.log.boot.iter().map(Vec::len).sum::<usize>();
        if events >= MAX_EVENTS || measured.log.to_json().len() + event.to_json().len() + 1 > MAX_EVENT_LOG_BYTES {
            return Err(AgentRefusal::LogFull);
        }
        measured.log.extend(event);
        Ok(())
    }

    /// The answer to `/Info`.
    pub fn info(&self) -> InfoAnswer {
        let SimulatedGuest { app, app_name, app_compose, vm_config, .. } = &self.guest;
        let measured = self.measured();
        let registers = measured.log.registers();
        let mr_aggregated = hex::encode(mr_aggregated(&measured, &registers));
        let device_id = hex::encode(Sha256::digest(self.machine.ppid));
        let os_image_hash = app.os_image_hash.map(hex::encode).unwrap_or_default();
        let compose_hash = hex::encode(app.compose_hash);
        let log: serde_json::Value = serde_json::from_str(&measured.log.to_json()).expect("the log is written as JSON");
        let tcb_info = serde_json::json!({
            "mrtd": hex::encode(measured.mrtd),
            "rtmr0": hex::encode(registers[0]),
            "rtmr1": hex::encode(registers[1]),
            "rtmr2": hex::encode(registers[2]),
            "rtmr3": hex::encode(registers[3]),
            "mr_aggregated": mr_aggregated,
            "os_image_hash": os_image_hash,
            "compose_hash": compose_hash,
            "device_id": device_id,
            "event_log": log,
            "app_compose": app_compose,
        });
        InfoAnswer {
            app_id: hex::encode(app.app_id()),
            instance_id: hex::encode(app.instance_id),
            app_cert: String::new(),
            tcb_info: tcb_info.to_string(),
            app_name: app_name.clone(),
            device_id,
            mr_aggregated,
            os_image_hash,
            key_provider_info: app.key_provider.clone(),
            compose_hash,
            vm_config: vm_config.clone(),
            cloud_vendor: "SIMULATED".to_owned(),
            cloud_product: "SIMULATED trust domain".to_owned(),
        }
    }

    fn measured(&self) -> TdxMeasured {
        self.measured.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn padded(report_data: &[u8]) -> Result<[u8; REPORT_DATA_BYTES], AgentRefusal> {
    let mut padded = [0; REPORT_DATA_BYTES];
    padded.get_mut(..report_data.len()).ok_or(AgentRefusal::ReportDataTooLong)?.copy_from_slice(report_data);
    Ok(padded)
}

fn mr_aggregated(measured: &TdxMeasured, registers: &[[u8; 48]; 4]) -> [u8; 32] {
    let mut hash = Sha256::new().chain_update(measured.mrtd).chain_update(registers.concat());
    let owned = [measured.mr_config_id, measured.mr_owner, measured.mr_owner_config];
    if owned.iter().any(|value| *value != [0; 48]) {
        hash.update(owned.concat());
    }
    hash.finalize().into()
}
