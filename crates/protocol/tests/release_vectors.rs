//! The worked vectors of `docs/reference/release-protocol.md` are what this crate computes.
//! `UPDATE_EXPECT=1 cargo test -p strongroom-protocol --test release_vectors` writes them anew.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops")]

use std::collections::BTreeMap;
use std::convert::Infallible;

use alloy_primitives::{Address, B256};
use expect_test::expect_file;
use hpke::rand_core::{TryCryptoRng, TryRng};
use serde_json::{Value, json};
use strongroom_protocol::bundle::{self, Form, Item, Stage};
use strongroom_protocol::release::{Receipt, ReleaseAnswer, seal_bundle, sealing_aad};
use strongroom_protocol::sealing::EnclaveKeyPair;
use strongroom_protocol::transcript::{Deployment, Nonce, Transcript};
use strongroom_protocol::{SecretValue, SessionId, SigningKey, TaskId};

const ENCLAVE_IKM: u8 = 0x0a;
const EPHEMERAL_IKM: u8 = 0x0b;
const IDENTITY: [u8; 32] = [0x0c; 32];

/// Gives one byte for ever: what is drawn from it is the `ikm` of the page.
struct Constant(u8);

impl TryRng for Constant {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_be_bytes([self.0; 4]))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_be_bytes([self.0; 8]))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.fill(self.0);
        Ok(())
    }
}

impl TryCryptoRng for Constant {}

fn hex_of(bytes: impl AsRef<[u8]>) -> String {
    format!("0x{}", hex::encode(bytes))
}

fn item(stage: Stage, form: Form, name: &str, value: &[u8]) -> Item {
    Item { stage, form, name: name.to_owned(), value: SecretValue::new(value.to_vec()).unwrap() }
}

fn computed() -> Value {
    let identity = SigningKey::from_bytes(&IDENTITY).unwrap();
    let enclave = EnclaveKeyPair::generate(&mut Constant(ENCLAVE_IKM));
    let deployment = Deployment { chain_id: 42_161, hub: Address::repeat_byte(0x22), sms: identity.address() };
    let session = SessionId::from_random([0; 10], TaskId::from(B256::repeat_byte(0x44)));
    let transcript = Transcript { nonce: Nonce([0x11; 32]), deployment, session, key: enclave.public() };
    let items = [
        item(Stage::App, Form::Variable, "IEXEC_TASK_INDEX", b"0"),
        item(Stage::App, Form::Secret, "IEXEC_APP_DEVELOPER_SECRET", b"top secret"),
    ];
    let bundle = bundle::encode(&items);
    let receipt = Receipt { sequence: 7, record: B256::repeat_byte(0x66) };
    let sealed = seal_bundle(&transcript, receipt.record, &bundle, &mut Constant(EPHEMERAL_IKM)).unwrap();
    let answer = ReleaseAnswer::sign(&transcript, receipt, sealed.clone(), &identity);
    assert_eq!(answer.open(&transcript, &enclave).unwrap().as_slice(), bundle.as_slice(), "the vector opens");
    json!({
        "chainId": deployment.chain_id,
        "hub": hex_of(deployment.hub),
        "identityPrivateKey": hex_of(IDENTITY),
        "keyId": hex_of(deployment.sms),
        "nonce": hex_of(transcript.nonce.0),
        "session": session.to_string(),
        "enclaveIkm": hex_of([ENCLAVE_IKM; 32]),
        "publicKey": hex_of(enclave.public().as_bytes()),
        "reportData": hex_of(transcript.report_data()),
        "digest": hex_of(transcript.digest()),
        "bundle": hex_of(bundle.as_slice()),
        "record": hex_of(receipt.record),
        "sequence": receipt.sequence,
        "aad": hex_of(sealing_aad(&transcript, receipt.record)),
        "ephemeralIkm": hex_of([EPHEMERAL_IKM; 32]),
        "sealed": hex_of(&sealed),
        "answer": hex_of(answer.to_bytes()),
    })
}

#[test]
fn the_page_shows_what_the_code_computes() {
    let page = expect_file!["../../../docs/reference/release-protocol.md"];
    let shown = page.data();
    let (before, _) = shown.split_once("```json\n").unwrap();
    // Whether objects of the library are sorted depends on what else is built with it.
    let computed = computed();
    let sorted: BTreeMap<_, _> = computed.as_object().unwrap().iter().collect();
    page.assert_eq(&format!("{before}```json\n{}\n```\n", serde_json::to_string_pretty(&sorted).unwrap()));
}
