//! The event log behind a TDX quote: replayed into the four run-time registers, and its run-time events recomputed.
//!
//! The log is JSON text from the host's side of the world: an array of objects `imr`, `event_type`, `digest`, `event`,
//! `event_payload` (and `version`, `preimage` in newer ones), binary members in hex. A register is the chain
//! `mr = SHA-384(mr ‖ digest)` from 48 zero bytes. When all four equal the quote's registers, the digests are the measured
//! ones; what a digest *says* is believed only for run-time events, whose digest is recomputed from name and payload:
//!
//! - version 1: `SHA-384(le32(0x08000001) ‖ ":" ‖ name ‖ ":" ‖ payload)`, unambiguous because names are letters, digits and
//!   `_.-` only;
//! - version 2: `SHA-384` of the canonical JSON `{"name":…,"payload":"<hex>","type":134217729}`.
//!
//! Boot events keep their digest only. Then the order is checked: what the guest measured before it declared itself ready,
//! each name once, and after that the application's events, which cannot pose as the former.

use std::borrow::Cow;
use std::collections::BTreeSet;

use alloy_primitives::{B256, FixedBytes};
use ring::digest::{Context, SHA384};
use serde::Deserialize;

use crate::claims::{MeasuredEvent, MeasuredLog};
use crate::evidence::MAX_EVENTS;

/// Type of the events that guest and application add at run time.
const RUNTIME_EVENT: u32 = 0x0800_0001;

/// Names with a meaning to the platform. An application that used one could pose as it.
const RESERVED: [&str; 12] = [
    "system-preparing",
    "app-id",
    "compose-hash",
    "init-script-hash",
    "gpu-policy-hash",
    "gpu-attestation",
    "instance-id",
    "boot-mr-done",
    "os-image-hash",
    "key-provider",
    "storage-fs",
    SYSTEM_READY,
];

/// Names that every guest measures, in this order, before it is ready.
const REQUIRED: [&str; 7] =
    ["system-preparing", "app-id", "compose-hash", "instance-id", "boot-mr-done", "key-provider", SYSTEM_READY];

/// The one name that may come several times: once for every script.
const REPEATABLE: &str = "init-script-hash";

/// After this event the application runs.
const SYSTEM_READY: &str = "system-ready";

/// Why a log does not stand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EventLogFault {
    /// Not JSON of the expected shape.
    #[error("it is not a JSON array of events")]
    NotJson,
    /// More than [`MAX_EVENTS`].
    #[error("it has {found} events, more than {MAX_EVENTS}")]
    TooMany {
        /// How many.
        found: usize,
    },
    /// A hex member is not hex or has a wrong length.
    #[error("event {index} has a malformed {member}")]
    Member {
        /// Position in the log, from 0.
        index: usize,
        /// Name of the member.
        member: &'static str,
    },
    /// Measured into a register that does not exist.
    #[error("event {index} is for register {register}; there are 0 to 3")]
    Register {
        /// Position in the log, from 0.
        index: usize,
        /// Register named.
        register: u32,
    },
    /// A register's chain does not end at the quote's value: events are missing, added, changed or in another order.
    #[error("the events do not lead to RTMR{register} of the quote")]
    Replay {
        /// Which register.
        register: usize,
    },
    /// A run-time event outside RTMR3, or something else inside it.
    #[error("event {index} is of a type that does not belong into its register")]
    Misplaced {
        /// Position in the log, from 0.
        index: usize,
    },
    /// A name with characters that could make the digest ambiguous.
    #[error("event {index} has a name with characters other than letters, digits and _.-")]
    Name {
        /// Position in the log, from 0.
        index: usize,
    },
    /// The digest is not that of name and payload, or the preimage is not theirs.
    #[error("event {index} has a digest that is not that of its name and payload")]
    Digest {
        /// Position in the log, from 0.
        index: usize,
    },
    /// A version of run-time events that is not known.
    #[error("event {index} has version {version}, which is not known")]
    Version {
        /// Position in the log, from 0.
        index: usize,
        /// Version found.
        version: u32,
    },
    /// A required event is absent or out of order.
    #[error("event {0} is missing or out of order")]
    Missing(&'static str),
    /// A boot-time event came twice.
    #[error("event {0} comes twice before the system is ready")]
    Repeated(String),
    /// An application's event has a name that belongs to the platform.
    #[error("event {0} comes after the system was ready; its name is reserved")]
    Reserved(String),
    /// A payload has another length than its name calls for.
    #[error("event {0} has a payload of wrong length")]
    Payload(&'static str),
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "imr")]
    register: u32,
    #[serde(rename = "event_type")]
    kind: u32,
    #[serde(borrow)]
    digest: Cow<'a, str>,
    #[serde(borrow, rename = "event")]
    name: Cow<'a, str>,
    #[serde(borrow, rename = "event_payload")]
    payload: Cow<'a, str>,
    #[serde(default)]
    version: Option<u32>,
    #[serde(borrow, default)]
    preimage: Option<Cow<'a, str>>,
}

/// Replays `json` and returns its run-time events if they explain all four registers and are in order.
///
/// What it returns is as authentic as `rtmrs` are: [`verify`](crate::verify()) takes them from a verified quote.
pub fn replay(json: &[u8], rtmrs: &[FixedBytes<48>; 4]) -> Result<MeasuredLog, EventLogFault> {
    let events = parse(json)?;
    let mut registers = [[0; 48]; 4];
    let mut runtime = Vec::new();
    for (index, event) in events.iter().enumerate() {
        let digest = event.measure_into(&mut registers, index)?;
        if (event.register == 3) != (event.kind == RUNTIME_EVENT) {
            return Err(EventLogFault::Misplaced { index });
        }
        if event.kind == RUNTIME_EVENT {
            runtime.push(recompute(index, event, &digest)?);
        }
    }
    for (register, (replayed, quoted)) in registers.iter().zip(rtmrs).enumerate() {
        if *replayed != quoted.0 {
            return Err(EventLogFault::Replay { register });
        }
    }
    in_order(runtime)
}

/// The registers of a guest that measured exactly the events in `json`, whatever they are.
pub fn registers(json: &[u8]) -> Result<[FixedBytes<48>; 4], EventLogFault> {
    let mut registers = [[0; 48]; 4];
    for (index, event) in parse(json)?.iter().enumerate() {
        event.measure_into(&mut registers, index)?;
    }
    Ok(registers.map(FixedBytes))
}

fn parse(json: &[u8]) -> Result<Vec<Event<'_>>, EventLogFault> {
    let events: Vec<Event<'_>> = serde_json::from_slice(json).map_err(|_| EventLogFault::NotJson)?;
    if events.len() > MAX_EVENTS {
        return Err(EventLogFault::TooMany { found: events.len() });
    }
    Ok(events)
}

impl Event<'_> {
    /// Extends the register the event names, and returns the digest.
    fn measure_into(&self, registers: &mut [[u8; 48]; 4], index: usize) -> Result<[u8; 48], EventLogFault> {
        let digest = parse_digest(&self.digest).ok_or(EventLogFault::Member { index, member: "digest" })?;
        let register = usize::try_from(self.register).ok().and_then(|register| registers.get_mut(register));
        let register = register.ok_or(EventLogFault::Register { index, register: self.register })?;
        *register = extend(register, &digest);
        Ok(digest)
    }
}

fn parse_digest(text: &str) -> Option<[u8; 48]> {
    let mut digest = [0; 48];
    hex::decode_to_slice(text, &mut digest).ok()?;
    Some(digest)
}

/// What a register holds after a measurement.
fn extend(register: &[u8; 48], digest: &[u8; 48]) -> [u8; 48] {
    sha384(&[register, digest])
}

fn sha384(parts: &[&[u8]]) -> [u8; 48] {
    let mut context = Context::new(&SHA384);
    for part in parts {
        context.update(part);
    }
    let mut digest = [0; 48];
    digest.copy_from_slice(context.finish().as_ref());
    digest
}

/// The event, if `digest` is that of its name and payload.
fn recompute(index: usize, event: &Event<'_>, digest: &[u8; 48]) -> Result<MeasuredEvent, EventLogFault> {
    let name = &*event.name;
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    if name.is_empty() || !name.bytes().all(allowed) {
        return Err(EventLogFault::Name { index });
    }
    let payload = hex::decode(&*event.payload).map_err(|_| EventLogFault::Member { index, member: "event_payload" })?;
    let recomputed = match event.version {
        None | Some(1) => sha384(&[&RUNTIME_EVENT.to_le_bytes(), b":", name.as_bytes(), b":", &payload]),
        Some(2) => {
            let canonical =
                format!(r#"{{"name":"{name}","payload":"{}","type":{RUNTIME_EVENT}}}"#, hex::encode(&payload));
            if event.preimage.as_ref().is_some_and(|preimage| *preimage != canonical) {
                return Err(EventLogFault::Digest { index });
            }
            sha384(&[canonical.as_bytes()])
        }
        Some(version) => return Err(EventLogFault::Version { index, version }),
    };
    if recomputed != *digest {
        return Err(EventLogFault::Digest { index });
    }
    Ok(MeasuredEvent { name: name.to_owned(), payload })
}

/// Splits at `system-ready` and holds both sides to their rules.
fn in_order(runtime: Vec<MeasuredEvent>) -> Result<MeasuredLog, EventLogFault> {
    let ready = runtime.iter().position(|event| event.name == SYSTEM_READY);
    let ready = ready.ok_or(EventLogFault::Missing(SYSTEM_READY))?;
    let mut boot = runtime;
    let application = boot.split_off(ready + 1);

    let mut seen = BTreeSet::new();
    for event in &boot {
        if event.name != REPEATABLE && !seen.insert(event.name.as_str()) {
            return Err(EventLogFault::Repeated(event.name.clone()));
        }
    }
    let mut rest = boot.iter();
    for name in REQUIRED {
        if !rest.any(|event| event.name == name) {
            return Err(EventLogFault::Missing(name));
        }
    }
    if let Some(posing) = application.iter().find(|event| RESERVED.contains(&event.name.as_str())) {
        return Err(EventLogFault::Reserved(posing.name.clone()));
    }

    let payload = |name| boot.iter().find(|event| event.name == name).map_or(&[][..], |event| &event.payload);
    let app_id = FixedBytes::try_from(payload("app-id")).map_err(|_| EventLogFault::Payload("app-id"))?;
    let compose_hash = B256::try_from(payload("compose-hash")).map_err(|_| EventLogFault::Payload("compose-hash"))?;
    let instance_id = match payload("instance-id") {
        [] => None,
        bytes => Some(FixedBytes::try_from(bytes).map_err(|_| EventLogFault::Payload("instance-id"))?),
    };
    Ok(MeasuredLog { app_id, compose_hash, instance_id, boot, application })
}

#[cfg(test)]
mod tests;
