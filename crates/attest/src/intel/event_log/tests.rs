use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// A log in the making: events as JSON, in order.
#[derive(Clone)]
struct Log(Vec<Value>);

impl Log {
    /// What a guest measures: three boot events, then the run-time events up to `system-ready` and one of the application.
    fn of_guest() -> Self {
        let boot = |imr: u32, byte: u8| json!({"imr": imr, "event_type": 8, "digest": hex::encode([byte; 48]), "event": "", "event_payload": "00"});
        let mut log = Self(vec![boot(0, 1), boot(1, 2), boot(2, 3), boot(0, 4)]);
        for (name, payload) in [
            ("system-preparing", vec![]),
            ("app-id", vec![5; 20]),
            ("compose-hash", vec![6; 32]),
            ("init-script-hash", vec![7; 32]),
            ("init-script-hash", vec![8; 32]),
            ("instance-id", vec![9; 20]),
            ("boot-mr-done", vec![]),
            ("key-provider", b"{}".to_vec()),
            ("system-ready", vec![]),
            ("app.own_event-1", vec![1, 2, 3]),
        ] {
            log.0.push(runtime(name, &payload));
        }
        log
    }

    fn text(&self) -> Vec<u8> {
        serde_json::to_vec(&self.0).unwrap()
    }

    /// What the registers would hold had the guest measured exactly these digests.
    fn registers(&self) -> [FixedBytes<48>; 4] {
        let mut registers = [[0; 48]; 4];
        for event in &self.0 {
            let register = &mut registers[usize::try_from(event["imr"].as_u64().unwrap()).unwrap()];
            *register = extend(register, &parse_digest(event["digest"].as_str().unwrap()).unwrap());
        }
        registers.map(FixedBytes)
    }

    /// Replays against the registers of an unchanged guest.
    fn replayed(&self) -> Result<MeasuredLog, EventLogFault> {
        replay(&self.text(), &Self::of_guest().registers())
    }

    /// Replays against registers that hold just these digests: for rules beyond the replay.
    fn replayed_as_measured(&self) -> Result<MeasuredLog, EventLogFault> {
        replay(&self.text(), &self.registers())
    }

    fn position(&self, name: &str) -> usize {
        self.0.iter().position(|event| event["event"] == name).unwrap()
    }
}

fn runtime(name: &str, payload: &[u8]) -> Value {
    let digest = sha384(&[&RUNTIME_EVENT.to_le_bytes(), b":", name.as_bytes(), b":", payload]);
    json!({
        "imr": 3, "event_type": RUNTIME_EVENT, "digest": hex::encode(digest), "event": name,
        "event_payload": hex::encode(payload),
    })
}

#[test]
fn a_log_that_leads_to_the_registers_tells_what_was_measured() {
    let log = Log::of_guest().replayed().unwrap();
    assert_eq!(log.app_id, FixedBytes::repeat_byte(5));
    assert_eq!(log.compose_hash, B256::repeat_byte(6));
    assert_eq!(log.instance_id, Some(FixedBytes::repeat_byte(9)));
    let names: Vec<_> = log.boot.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(names.len(), 9);
    assert_eq!((names[0], names[8]), ("system-preparing", "system-ready"));
    assert_eq!(log.application_event("app.own_event-1"), Some(&[1, 2, 3][..]));
    assert_eq!(log.application_event("app-id"), None);
}

#[test]
fn an_event_removed_added_reordered_or_doubled_is_noticed_in_every_register() {
    let original = Log::of_guest();
    for index in 0..original.0.len() {
        let register = usize::try_from(original.0[index]["imr"].as_u64().unwrap()).unwrap();
        let replay = Err(EventLogFault::Replay { register });
        let mut removed = original.clone();
        removed.0.remove(index);
        assert_eq!(removed.replayed(), replay, "without event {index}");
        let mut doubled = original.clone();
        doubled.0.insert(index, original.0[index].clone());
        assert_eq!(doubled.replayed(), replay, "event {index} twice");
        let next = (index + 1..original.0.len())
            .find(|&next| original.0[next]["imr"] == original.0[index]["imr"] && original.0[next] != original.0[index]);
        if let Some(next) = next {
            let mut reordered = original.clone();
            reordered.0.swap(index, next);
            assert_eq!(reordered.replayed(), replay, "events {index} and {next} swapped");
        }
    }
    let mut added = original;
    added.0.push(runtime("one-more", b""));
    assert_eq!(added.replayed(), Err(EventLogFault::Replay { register: 3 }));
}

#[test]
fn a_log_of_another_guest_is_refused() {
    let mut other = Log::of_guest();
    let compose = other.position("compose-hash");
    other.0[compose] = runtime("compose-hash", &[0xaa; 32]);
    assert_eq!(other.replayed(), Err(EventLogFault::Replay { register: 3 }));
    assert_eq!(other.replayed_as_measured().unwrap().compose_hash, B256::repeat_byte(0xaa));
}

#[test]
fn a_payload_or_name_changed_under_the_measured_digest_is_refused() {
    let mut changed = Log::of_guest();
    let index = changed.position("compose-hash");
    changed.0[index]["event_payload"] = json!(hex::encode([0xaa; 32]));
    assert_eq!(changed.replayed(), Err(EventLogFault::Digest { index }));
    let mut renamed = Log::of_guest();
    let index = renamed.position("app.own_event-1");
    renamed.0[index]["event"] = json!("app-own");
    assert_eq!(renamed.replayed(), Err(EventLogFault::Digest { index }));
}

#[test]
fn what_boot_events_say_is_not_believed() {
    let mut changed = Log::of_guest();
    changed.0[0]["event"] = json!("compose-hash");
    changed.0[0]["event_payload"] = json!("not even hex");
    assert_eq!(changed.replayed(), Log::of_guest().replayed());
}

#[test]
fn a_name_that_could_be_split_otherwise_is_refused() {
    for name in ["app:id", "", "é", "a b", "a\nb", "a\"b"] {
        let mut log = Log::of_guest();
        log.0.push(runtime(name, b"x"));
        let index = log.0.len() - 1;
        assert_eq!(log.replayed_as_measured(), Err(EventLogFault::Name { index }), "{name:?}");
    }
}

#[test]
fn version_2_events_are_recomputed_from_their_canonical_json() {
    let canonical = r#"{"name":"app.two","payload":"0aff","type":134217729}"#;
    let digest = hex::encode(sha384(&[canonical.as_bytes()]));
    let event = json!({
        "imr": 3, "event_type": RUNTIME_EVENT, "digest": digest, "event": "app.two", "event_payload": "0AFF", "version": 2,
    });
    let with = |change: &dyn Fn(&mut Value)| {
        let mut log = Log::of_guest();
        let mut event = event.clone();
        change(&mut event);
        log.0.push(event);
        let index = log.0.len() - 1;
        (log.replayed_as_measured(), index)
    };
    let (log, _) = with(&|_| ());
    assert_eq!(log.unwrap().application_event("app.two"), Some(&[0x0a, 0xff][..]));
    let (log, _) = with(&|event| event["preimage"] = json!(canonical));
    assert!(log.is_ok());
    let (log, index) = with(&|event| event["preimage"] = json!(canonical.replace("app", "axx")));
    assert_eq!(log, Err(EventLogFault::Digest { index }));
    let (log, index) = with(&|event| event["version"] = json!(1));
    assert_eq!(log, Err(EventLogFault::Digest { index }));
    let (log, index) = with(&|event| event["version"] = json!(3));
    assert_eq!(log, Err(EventLogFault::Version { index, version: 3 }));
}

#[test]
fn events_that_do_not_belong_into_their_register_are_refused() {
    let mut outside = Log::of_guest();
    outside.0[0]["event_type"] = json!(RUNTIME_EVENT);
    assert_eq!(outside.replayed(), Err(EventLogFault::Misplaced { index: 0 }));
    let mut inside = Log::of_guest();
    inside.0[0]["imr"] = json!(3);
    assert_eq!(inside.replayed(), Err(EventLogFault::Misplaced { index: 0 }));
    let mut nowhere = Log::of_guest();
    nowhere.0[2]["imr"] = json!(4);
    assert_eq!(nowhere.replayed(), Err(EventLogFault::Register { index: 2, register: 4 }));
}

#[test]
fn every_required_event_must_be_there_in_order_before_the_system_is_ready() {
    for name in REQUIRED {
        let mut without = Log::of_guest();
        without.0.remove(without.position(name));
        assert_eq!(without.replayed_as_measured(), Err(EventLogFault::Missing(name)));
    }
    for pair in REQUIRED.windows(2) {
        let mut swapped = Log::of_guest();
        let (first, second) = (swapped.position(pair[0]), swapped.position(pair[1]));
        swapped.0.swap(first, second);
        assert!(matches!(swapped.replayed_as_measured(), Err(EventLogFault::Missing(_))), "{pair:?}");
    }
}

#[test]
fn a_boot_time_event_comes_once_but_init_scripts_may_be_many() {
    for name in REQUIRED.into_iter().filter(|name| *name != SYSTEM_READY) {
        let mut twice = Log::of_guest();
        let event = twice.0[twice.position(name)].clone();
        twice.0.insert(twice.position("boot-mr-done"), event);
        assert_eq!(twice.replayed_as_measured(), Err(EventLogFault::Repeated(name.to_owned())));
    }
}

#[test]
fn an_application_cannot_pose_as_the_platform() {
    for name in RESERVED {
        let mut posing = Log::of_guest();
        posing.0.push(runtime(name, &[0xee; 32]));
        assert_eq!(posing.replayed_as_measured(), Err(EventLogFault::Reserved(name.to_owned())));
    }
}

#[test]
fn an_application_event_measured_twice_says_nothing() {
    let mut log = Log::of_guest();
    log.0.push(runtime("app.own_event-1", &[9]));
    assert_eq!(log.replayed_as_measured().unwrap().application_event("app.own_event-1"), None);
}

#[test]
fn payloads_of_fixed_size_have_that_size() {
    for (name, payload) in [("app-id", vec![0; 19]), ("compose-hash", vec![0; 33]), ("instance-id", vec![0; 1])] {
        let mut log = Log::of_guest();
        let index = log.position(name);
        log.0[index] = runtime(name, &payload);
        assert_eq!(log.replayed_as_measured(), Err(EventLogFault::Payload(name)));
    }
    let mut anonymous = Log::of_guest();
    let index = anonymous.position("instance-id");
    anonymous.0[index] = runtime("instance-id", b"");
    assert_eq!(anonymous.replayed_as_measured().unwrap().instance_id, None);
}

#[test]
fn malformed_members_are_named_with_their_position() {
    let log = |member: &str, value: Value| {
        let mut log = Log::of_guest();
        log.0[5][member] = value;
        log.replayed()
    };
    assert_eq!(log("digest", json!("00")), Err(EventLogFault::Member { index: 5, member: "digest" }));
    assert_eq!(log("digest", json!("zz".repeat(48))), Err(EventLogFault::Member { index: 5, member: "digest" }));
    assert_eq!(log("event_payload", json!("0")), Err(EventLogFault::Member { index: 5, member: "event_payload" }));
    assert_eq!(log("imr", json!(-1)), Err(EventLogFault::NotJson));
    assert_eq!(log("event", json!(1)), Err(EventLogFault::NotJson));
    assert_eq!(replay(b"[[[[[[", &[FixedBytes::ZERO; 4]), Err(EventLogFault::NotJson));
    assert_eq!(replay(&b"[".repeat(1_000_000), &[FixedBytes::ZERO; 4]), Err(EventLogFault::NotJson));
}

#[test]
fn more_events_than_the_cap_are_refused_before_replay() {
    let event = json!({"imr": 0, "event_type": 0, "digest": "", "event": "", "event_payload": ""});
    let log = Log(vec![event; MAX_EVENTS + 1]);
    assert_eq!(replay(&log.text(), &[FixedBytes::ZERO; 4]), Err(EventLogFault::TooMany { found: MAX_EVENTS + 1 }));
}

#[test]
fn an_empty_log_explains_nothing_but_empty_registers_and_those_not_enough() {
    assert_eq!(Log(vec![]).replayed(), Err(EventLogFault::Replay { register: 0 }));
    assert_eq!(replay(b"[]", &[FixedBytes::ZERO; 4]), Err(EventLogFault::Missing(SYSTEM_READY)));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        let _ = replay(&bytes, &[FixedBytes::ZERO; 4]);
    }

    #[test]
    fn a_log_with_a_changed_byte_proves_the_same_or_nothing(at: prop::sample::Index, byte: u8) {
        let mut text = Log::of_guest().text();
        let at = at.index(text.len());
        text[at] = byte;
        if let Ok(log) = replay(&text, &Log::of_guest().registers()) {
            prop_assert_eq!(log, Log::of_guest().replayed().unwrap());
        }
    }
}
