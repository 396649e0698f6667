//! The log of a simulated trust domain: what was extended into the four run-time registers, in order.
//!
//! Registers follow from the log and never the other way round, so a simulated quote always agrees with the log it was made
//! from; a test that wants disagreement changes the log afterwards.

use serde::Serialize;
use sha2::{Digest as _, Sha384};

/// `event_type` of events measured at run time by the guest agent.
pub const RUNTIME_EVENT_TYPE: u32 = 0x0800_0001;

/// All events, by register: firmware and kernel loader extend registers 0 to 2, the guest agent register 3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventLog {
    /// Registers 0 (shape of the machine), 1 (kernel), 2 (command line and initial file system).
    pub boot: [Vec<BootEvent>; 3],
    /// Register 3.
    pub runtime: Vec<RuntimeEvent>,
}

/// An event before the operating system runs: only its digest is authenticated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootEvent {
    /// TCG event type.
    pub event_type: u32,
    /// What was extended.
    pub digest: [u8; 48],
}

impl BootEvent {
    /// A measurement of `content`: digest SHA-384, event type `EV_EVENT_TAG` (6).
    pub fn of(content: &[u8]) -> Self {
        Self::extended(Sha384::digest(content).into())
    }

    /// A measurement of which only the digest is known: event type `EV_EVENT_TAG` (6).
    pub fn extended(digest: [u8; 48]) -> Self {
        Self { event_type: 6, digest }
    }
}

/// An event that the guest agent measured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimeEvent {
    /// Name; the verifier accepts letters, digits, `_`, `.`, `-`.
    pub name: String,
    /// Payload.
    pub payload: Vec<u8>,
}

impl RuntimeEvent {
    /// An event with this name and payload.
    pub fn new(name: impl Into<String>, payload: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), payload: payload.into() }
    }

    /// SHA-384(le32(event type) ‖ ":" ‖ name ‖ ":" ‖ payload).
    pub fn digest(&self) -> [u8; 48] {
        let mut hash = Sha384::new();
        hash.update(RUNTIME_EVENT_TYPE.to_le_bytes());
        hash.update(b":");
        hash.update(&self.name);
        hash.update(b":");
        hash.update(&self.payload);
        hash.finalize().into()
    }

    /// The event as it stands in the JSON log.
    pub fn to_json(&self) -> String {
        serde_json::to_string(&JsonEvent::from(self)).expect("numbers and strings always serialise")
    }
}

/// What the guest agent measures about an application while the machine starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppIdentity {
    /// SHA-256 of the application's compose file.
    pub compose_hash: [u8; 32],
    /// Application id; `None` stands for the first 20 bytes of the compose hash.
    pub app_id: Option<[u8; 20]>,
    /// Instance id.
    pub instance_id: [u8; 20],
    /// Hash of the operating-system image, if the agent measures it.
    pub os_image_hash: Option<[u8; 32]>,
    /// Where the instance has its keys from: JSON.
    pub key_provider: String,
}

impl Default for AppIdentity {
    fn default() -> Self {
        Self {
            compose_hash: [0xc0; 32],
            app_id: None,
            instance_id: [0x1d; 20],
            os_image_hash: None,
            key_provider: r#"{"name":"none","id":""}"#.to_owned(),
        }
    }
}

impl AppIdentity {
    /// The application id as measured.
    pub fn app_id(&self) -> [u8; 20] {
        self.app_id.unwrap_or_else(|| {
            let mut id = [0; 20];
            id.copy_from_slice(&self.compose_hash[..20]);
            id
        })
    }

    /// The events of a start, in order, `system-preparing` to `system-ready`.
    pub fn boot_events(&self) -> Vec<RuntimeEvent> {
        let mut events = vec![
            RuntimeEvent::new("system-preparing", []),
            RuntimeEvent::new("app-id", self.app_id()),
            RuntimeEvent::new("compose-hash", self.compose_hash),
            RuntimeEvent::new("instance-id", self.instance_id),
            RuntimeEvent::new("boot-mr-done", []),
        ];
        events.extend(self.os_image_hash.map(|hash| RuntimeEvent::new("os-image-hash", hash)));
        events.push(RuntimeEvent::new("key-provider", self.key_provider.as_bytes()));
        events.push(RuntimeEvent::new("system-ready", []));
        events
    }
}

impl EventLog {
    /// The log of a machine that booted a made-up image and then started `app`.
    pub fn of_app(app: &AppIdentity) -> Self {
        let simulated = |what: &str| vec![BootEvent::of(format!("SIMULATED {what}").as_bytes())];
        Self {
            boot: [simulated("machine shape"), simulated("kernel"), simulated("command line and initial file system")],
            runtime: app.boot_events(),
        }
    }

    /// Appends an event of the application, as the guest agent does when asked to.
    pub fn extend(&mut self, event: RuntimeEvent) {
        self.runtime.push(event);
    }

    /// The four registers after all events: from 48 zero bytes, SHA-384(register ‖ digest) for each.
    pub fn registers(&self) -> [[u8; 48]; 4] {
        let boot = |register: usize| replay(self.boot[register].iter().map(|event| event.digest));
        [boot(0), boot(1), boot(2), replay(self.runtime.iter().map(RuntimeEvent::digest))]
    }

    /// JSON as the guest agent gives it: an array of `{imr, event_type, digest, event, event_payload}`.
    pub fn to_json(&self) -> String {
        let boot = self.boot.iter().zip(0_u32..).flat_map(|(events, imr)| {
            events.iter().map(move |event| JsonEvent {
                imr,
                event_type: event.event_type,
                digest: hex::encode(event.digest),
                event: "",
                event_payload: String::new(),
            })
        });
        let runtime = self.runtime.iter().map(JsonEvent::from);
        serde_json::to_string(&boot.chain(runtime).collect::<Vec<_>>()).expect("numbers and strings always serialise")
    }
}

fn replay(digests: impl Iterator<Item = [u8; 48]>) -> [u8; 48] {
    digests
        .fold([0; 48], |register, digest| Sha384::new().chain_update(register).chain_update(digest).finalize().into())
}

#[derive(Serialize)]
struct JsonEvent<'a> {
    imr: u32,
    event_type: u32,
    digest: String,
    event: &'a str,
    event_payload: String,
}

impl<'a> From<&'a RuntimeEvent> for JsonEvent<'a> {
    fn from(event: &'a RuntimeEvent) -> Self {
        Self {
            imr: 3,
            event_type: RUNTIME_EVENT_TYPE,
            digest: hex::encode(event.digest()),
            event: &event.name,
            event_payload: hex::encode(&event.payload),
        }
    }
}
