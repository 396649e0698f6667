//! The facts of vector A17: one task that passes every check, for tests to bend.

use alloy_primitives::{Address, B256, U256, address};
use strongroom_attest::{Policy, TrustDomain};
use strongroom_protocol::challenge::workerpool_authorization;
use strongroom_protocol::deal_params::DealParams;
use strongroom_protocol::sealing::EnclaveKey;
use strongroom_protocol::session::SessionId;
use strongroom_protocol::snapshot::{App, Block, Dataset, Deal, DealAsset, Task, TaskSnapshot, TaskStatus};
use strongroom_protocol::transcript::{Deployment, Nonce, Transcript};
use strongroom_protocol::{AccountSecretName, DealId, SecretId, Session, SigningKey, Tag, TaskId, UnixSeconds};

use crate::enclave::{Enclave, Identity};
use crate::facts::{Facts, SecretVersion, StoredSecrets, TaskFacts};

pub(crate) const APP: Address = address!("abcdefabcdefabcdefabcdefabcdefabcdefabcd");
pub(crate) const DATASET: Address = address!("1234567890123456789012345678901234567890");
pub(crate) const CONTRIBUTION_DEADLINE: u64 = 2_100;
pub(crate) const FINAL_DEADLINE: u64 = 3_000;
pub(crate) const PARAMS: &str = r#"{"iexec_args":"x y","iexec_input_files":["http://host/file1","http://host/file2"],"iexec_secrets":{"1":"my-secret_1"},"iexec_result_encryption":true,"iexec_result_storage_provider":"ipfs"}"#;

pub(crate) fn key(byte: u8) -> SigningKey {
    SigningKey::from_bytes(&[byte; 32]).unwrap()
}

pub(crate) fn requester() -> Address {
    key(1).address()
}

pub(crate) fn pool_owner() -> SigningKey {
    key(2)
}

pub(crate) fn worker() -> Address {
    key(3).address()
}

pub(crate) fn deal_id() -> DealId {
    DealId::from(B256::repeat_byte(0x22))
}

pub(crate) fn account(owner: Address, name: &str) -> SecretId {
    SecretId::Account { owner, name: name.parse().unwrap() }
}

pub(crate) fn requester_secret(name: &str) -> SecretId {
    SecretId::Requester { owner: requester(), name: name.parse().unwrap() }
}

pub(crate) fn session() -> Session {
    let task = TaskId::of(deal_id(), 0);
    let enclave_challenge = key(4).address();
    Session {
        id: format!("AbCdEf01230000{task}").parse().unwrap(),
        worker: worker(),
        enclave_challenge,
        pool_signature: pool_owner().sign(workerpool_authorization(worker(), task, enclave_challenge)),
        expires: UnixSeconds(FINAL_DEADLINE),
    }
}

fn snapshot() -> TaskSnapshot {
    let asset = |address, owner| DealAsset { address, owner, price: U256::ZERO };
    let mut tag = B256::ZERO;
    tag[31] = 0x09;
    TaskSnapshot {
        block: Block { number: 7, hash: B256::repeat_byte(7), time: UnixSeconds(1_000) },
        task: Task {
            id: TaskId::of(deal_id(), 0),
            status: TaskStatus::Active,
            deal: deal_id(),
            index: 0,
            contribution_deadline: UnixSeconds(CONTRIBUTION_DEADLINE),
            final_deadline: UnixSeconds(FINAL_DEADLINE),
        },
        deal: Deal {
            id: deal_id(),
            app: asset(APP, requester()),
            dataset: Some(asset(DATASET, requester())),
            workerpool: asset(Address::repeat_byte(9), pool_owner().address()),
            trust: U256::ONE,
            category: U256::ZERO,
            tag: Tag(tag),
            requester: requester(),
            beneficiary: requester(),
            callback: None,
            params: PARAMS.to_owned(),
            start_time: UnixSeconds(900),
            bot_first: 0,
            bot_size: 1,
        },
        category_seconds: 300,
        app: App {
            address: APP,
            owner: requester(),
            multiaddr: b"docker.io/acme/app:1.0".to_vec(),
            checksum: B256::repeat_byte(0x44),
            mrenclave: Vec::new(),
        },
        dataset: Some(Dataset {
            address: DATASET,
            owner: requester(),
            multiaddr: alloy_primitives::hex::decode(
                "a5032212205d008f22f8f878fd58473a634cc73d41049fc0d19b81002eaae221ac5a446a3e",
            )
            .unwrap(),
            checksum: B256::repeat_byte(0x55),
        }),
        workerpool_owner: pool_owner().address(),
    }
}

pub(crate) fn stored() -> StoredSecrets {
    [
        SecretId::App(APP),
        SecretId::Dataset(DATASET),
        requester_secret("my-secret_1"),
        account(requester(), AccountSecretName::RESULT_ENCRYPTION_KEY),
        account(worker(), AccountSecretName::RESULT_PROXY_TOKEN),
        account(pool_owner().address(), AccountSecretName::RESULT_PROXY_URL),
    ]
    .into_iter()
    .map(|id| (id, SecretVersion(1)))
    .collect()
}

pub(crate) fn task_facts() -> TaskFacts {
    TaskFacts {
        chain: snapshot(),
        params: DealParams::parse(PARAMS),
        bulk: Ok(Vec::new()),
        session: session(),
        derived_challenge: key(4).address(),
        stored: stored(),
        now: UnixSeconds(1_000),
    }
}

pub(crate) fn transcript(session: SessionId) -> Transcript {
    Transcript {
        nonce: Nonce([1; 32]),
        deployment: Deployment { chain_id: 31337, hub: Address::repeat_byte(2), sms: Address::repeat_byte(3) },
        session,
        key: EnclaveKey::from_bytes([5; 32]),
    }
}

pub(crate) fn facts() -> Facts {
    let transcript = transcript(session().id);
    let identity = Identity::Tdx {
        image: B256::repeat_byte(0x66).into(),
        approved: true,
        app_image: Some(B256::repeat_byte(0x44)),
    };
    let enclave = Enclave {
        identity,
        debug: false,
        report_data: transcript.report_data(),
        trust_domain: TrustDomain::Production,
        policy: Ok(Policy::production().hash()),
    };
    Facts { task: task_facts(), transcript, enclave }
}

/// Facts of an SGX deal whose app measures to `0x77…`.
pub(crate) fn sgx_facts() -> Facts {
    let mut facts = facts();
    facts.task.chain.deal.tag.0[31] = 0x03;
    facts.task.chain.app.mrenclave = format!(
        r#"{{"framework":"SCONE","version":"v5","entrypoint":"/app","heapSize":1,"fingerprint":"{}"}}"#,
        "77".repeat(32)
    )
    .into_bytes();
    facts.enclave.identity = Identity::Sgx { mrenclave: B256::repeat_byte(0x77) };
    facts
}
