//! For each check one test that fails without it, and the plan of vector A17.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256};
use strongroom_attest::policy::Rule;
use strongroom_attest::{EvidenceKind, PolicyRefusal};
use strongroom_protocol::challenge::workerpool_authorization;
use strongroom_protocol::deal_params::DealParams;
use strongroom_protocol::snapshot::TaskStatus;
use strongroom_protocol::{AccountSecretName, SecretId, TaskId, UnixSeconds};

use super::*;
use crate::facts::SecretVersion;
use crate::plan::{Source, input_file_name};

mod agreement;
mod bulk;
mod entrusted;
mod fixture;
mod model;
mod random;
mod refusals;
mod scenario;
mod texts;

use fixture::*;

fn refused(change: impl FnOnce(&mut Facts)) -> Refusal {
    let mut facts = facts();
    change(&mut facts);
    let refusal = decide(&facts).unwrap_err();
    let explained: Vec<_> = explain(&facts).into_iter().filter_map(|finding| finding.refusal).collect();
    assert_eq!(explained.first(), Some(&refusal), "explain names the same first failure");
    assert!(!refusal.remedy().is_empty() && !refusal.code().is_empty());
    refusal
}

fn with_params(facts: &mut Facts, text: &str) {
    facts.task.chain.deal.params = text.to_owned();
    facts.task.params = DealParams::parse(text);
}

#[test]
fn a_task_that_passes_every_check_is_granted_for_its_session_key_and_block() {
    let facts = facts();
    let grant = decide(&facts).unwrap();
    assert_eq!(grant.session(), facts.task.session.id);
    assert_eq!(grant.enclave_key(), facts.transcript.key);
    assert_eq!(grant.block(), facts.task.chain.block);
    assert_eq!(grant.plan(), &admit(&facts.task).unwrap());
    assert!(explain(&facts).iter().all(|finding| finding.refusal.is_none()));
}

#[test]
fn only_an_active_task_is_served() {
    for found in [TaskStatus::Unset, TaskStatus::Revealing, TaskStatus::Completed, TaskStatus::Failed] {
        assert_eq!(refused(|f| f.task.chain.task.status = found), Refusal::TaskNotActive { found });
    }
}

#[test]
fn a_task_must_belong_to_its_deal_by_id_and_index() {
    assert_eq!(refused(|f| f.task.chain.task.deal = B256::repeat_byte(1).into()), Refusal::TaskNotOfDeal);
    assert_eq!(refused(|f| f.task.chain.task.id = TaskId::of(deal_id(), 1)), Refusal::TaskNotOfDeal);
    assert_eq!(refused(|f| f.task.chain.deal.bot_first = 1), Refusal::TaskNotOfDeal);
    assert_eq!(refused(|f| f.task.chain.deal.bot_size = 0), Refusal::TaskNotOfDeal);
}

#[test]
fn contributions_must_be_open() {
    for (now, open) in [(CONTRIBUTION_DEADLINE - 1, true), (CONTRIBUTION_DEADLINE, false)] {
        let mut facts = facts();
        facts.task.now = UnixSeconds(now);
        assert_eq!(decide(&facts).is_ok(), open, "at second {now}");
    }
}

#[test]
fn the_final_deadline_must_be_ahead_of_clock_and_block() {
    let at = |now, block| {
        refused(|f| {
            f.task.chain.task.contribution_deadline = UnixSeconds(u64::MAX);
            f.task.now = UnixSeconds(now);
            f.task.chain.block.time = UnixSeconds(block);
        })
    };
    let passed =
        Refusal::FinalDeadlinePassed { deadline: UnixSeconds(FINAL_DEADLINE), now: UnixSeconds(FINAL_DEADLINE) };
    assert_eq!(at(FINAL_DEADLINE, 0), passed);
    assert_eq!(at(0, FINAL_DEADLINE), passed, "a slow clock does not prolong a task");
}

#[test]
fn the_tag_must_ask_for_exactly_one_framework() {
    for low in [0x00, 0x01, 0x08, 0x0b, 0x0f] {
        assert!(matches!(refused(|f| f.task.chain.deal.tag.0[31] = low), Refusal::NoFramework { .. }), "{low:#x}");
    }
}

#[test]
fn the_workerpool_owner_of_the_deal_must_have_signed_for_worker_and_challenge() {
    let expected = Refusal::NotAuthorisedByPool { owner: pool_owner().address() };
    let task = TaskId::of(deal_id(), 0);
    assert_eq!(refused(|f| f.task.session.worker = Address::repeat_byte(8)), expected);
    let by_another = key(9).sign(workerpool_authorization(worker(), task, key(4).address()));
    assert_eq!(refused(|f| f.task.session.pool_signature = by_another), expected);
    let owner_now = key(9).address();
    assert!(
        decide(&Facts {
            task: {
                let mut t = task_facts();
                t.chain.workerpool_owner = owner_now;
                t
            },
            ..facts()
        })
        .is_ok(),
        "the owner at the match counts, not a later one"
    );
}

#[test]
fn the_challenge_must_be_the_one_made_here() {
    let found = key(4).address();
    assert_eq!(refused(|f| f.task.derived_challenge = Address::repeat_byte(8)), Refusal::ForeignChallenge { found });
}

#[test]
fn the_session_must_be_for_the_task_and_not_over() {
    let other = SessionId::from_random([0; 10], TaskId::of(deal_id(), 1));
    assert_eq!(refused(|f| f.task.session.id = other), Refusal::ForeignSession);
    for (expires, refusal) in
        [(1_000, None), (999, Some(Refusal::SessionExpired { expired: UnixSeconds(999), now: UnixSeconds(1_000) }))]
    {
        let mut facts = facts();
        facts.task.session.expires = UnixSeconds(expires);
        assert_eq!(decide(&facts).err(), refusal);
    }
}

#[test]
fn app_and_dataset_must_be_those_of_the_deal() {
    let found = Address::repeat_byte(8);
    assert_eq!(refused(|f| f.task.chain.app.address = found), Refusal::ForeignApp { found });
    assert_eq!(refused(|f| f.task.chain.dataset.as_mut().unwrap().address = found), Refusal::ForeignDataset);
    assert_eq!(refused(|f| f.task.chain.dataset = None), Refusal::ForeignDataset);
    assert_eq!(refused(|f| f.task.chain.deal.dataset = None), Refusal::ForeignDataset);
}

#[test]
fn parameters_that_ask_for_protection_must_be_understood() {
    let refusal = refused(|f| with_params(f, r#"{"iexec_secrets":[]}"#));
    assert!(matches!(refusal, Refusal::ParamsNotUnderstood(_)));
}

#[test]
fn indexes_and_names_of_requester_secrets_must_be_canonical() {
    for index in ["0", "01", "+1", "-1", "1.0", "", "x", "2147483648"] {
        let refusal = refused(|f| with_params(f, &format!(r#"{{"iexec_secrets":{{"{index}":"my-secret_1"}}}}"#)));
        assert_eq!(refusal, Refusal::IndexNotCanonical { index: index.to_owned() });
    }
    for name in ["", "a b", "é"] {
        let refusal = refused(|f| with_params(f, &format!(r#"{{"iexec_secrets":{{"1":"{name}"}}}}"#)));
        assert_eq!(refusal, Refusal::NameNotCanonical { name: name.to_owned() });
    }
}

#[test]
fn an_sgx_app_must_have_a_usable_enclave_configuration() {
    let with = |bytes: &[u8]| {
        let mut facts = sgx_facts();
        facts.task.chain.app.mrenclave = bytes.to_vec();
        decide(&facts).unwrap_err()
    };
    assert!(decide(&sgx_facts()).is_ok());
    assert!(matches!(with(b""), Refusal::NoEnclaveConfig(_)));
    assert!(matches!(with(br#"{"framework":"SCONE"}"#), Refusal::InvalidEnclaveConfig(_)));
}

#[test]
fn each_secret_that_the_deal_involves_must_be_stored_but_the_apps() {
    let without = |id: SecretId| {
        let mut facts = facts();
        assert!(facts.task.stored.remove(&id).is_some());
        decide(&facts).err()
    };
    assert_eq!(without(SecretId::App(APP)), None);
    assert_eq!(without(account(pool_owner().address(), AccountSecretName::RESULT_PROXY_URL)), None);
    assert_eq!(without(SecretId::Dataset(DATASET)), Some(Refusal::DatasetKeyMissing { dataset: DATASET }));
    assert_eq!(
        without(requester_secret("my-secret_1")),
        Some(Refusal::RequesterSecretMissing { requester: requester(), name: "my-secret_1".into() })
    );
    assert_eq!(
        without(account(requester(), AccountSecretName::RESULT_ENCRYPTION_KEY)),
        Some(Refusal::ResultKeyMissing { beneficiary: requester() })
    );
    assert_eq!(
        without(account(worker(), AccountSecretName::RESULT_PROXY_TOKEN)),
        Some(Refusal::StorageTokenMissing { owner: worker() })
    );
}

#[test]
fn a_requesters_token_stands_in_for_a_workers() {
    let mut facts = facts();
    facts.task.stored.remove(&account(worker(), AccountSecretName::RESULT_PROXY_TOKEN));
    let own = account(requester(), AccountSecretName::RESULT_PROXY_TOKEN);
    facts.task.stored.insert(own.clone(), SecretVersion(3));
    assert!(decide(&facts).unwrap().plan().secrets().contains(&(own, SecretVersion(3))));
}

#[test]
fn the_request_must_be_bound_to_this_session_and_the_evidence_to_the_request() {
    let other = SessionId::from_random([9; 10], TaskId::of(deal_id(), 0));
    assert_eq!(refused(|f| f.transcript.session = other), Refusal::BoundToOtherSession);
    assert_eq!(refused(|f| f.transcript.nonce.0[0] ^= 1), Refusal::NotBound);
    assert_eq!(refused(|f| f.enclave.report_data[63] ^= 1), Refusal::NotBound);
}

#[test]
fn a_debug_enclave_gets_nothing() {
    assert_eq!(refused(|f| f.enclave.debug = true), Refusal::DebugEnclave);
}

#[test]
fn the_platform_must_meet_the_policy_and_the_caller_learns_no_details() {
    let denied = PolicyRefusal { rule: Rule::TcbStatus, reason: "OutOfDate since spring".to_owned() };
    let refusal = refused(|f| f.enclave.policy = Err(denied));
    assert!(matches!(&refusal, Refusal::PolicyNotMet { reason } if reason.contains("OutOfDate since spring")));
    assert!(!refusal.to_string().contains("OutOfDate"));
}

#[test]
fn the_evidence_must_be_of_the_platform_that_the_deal_asks_for() {
    use strongroom_protocol::Framework;
    let sgx = || Identity::Sgx { mrenclave: B256::repeat_byte(0x44) };
    let refusal = refused(|f| f.enclave.identity = sgx());
    assert_eq!(refusal, Refusal::OtherPlatform { asked: Framework::Tdx });
    let refusal = refused(|f| f.enclave.identity = Identity::Other(EvidenceKind::Snp));
    assert_eq!(refusal, Refusal::OtherPlatform { asked: Framework::Tdx });
    let mut facts = sgx_facts();
    facts.enclave.identity = self::facts().enclave.identity;
    assert_eq!(decide(&facts).unwrap_err(), Refusal::OtherPlatform { asked: Framework::Scone });
}

#[test]
fn the_guest_image_must_be_approved_and_have_measured_the_app_of_the_chain() {
    let tdx = |approved, app_image| Identity::Tdx { image: B256::repeat_byte(0x66).into(), approved, app_image };
    let (ours, other) = (B256::repeat_byte(0x44), B256::repeat_byte(0x45));
    let refusal = refused(|f| f.enclave.identity = tdx(false, Some(ours)));
    assert_eq!(refusal, Refusal::ImageNotApproved { found: B256::repeat_byte(0x66).into() });
    for found in [None, Some(other)] {
        let refusal = refused(|f| f.enclave.identity = tdx(true, found));
        assert_eq!(refusal, Refusal::OtherApp { found, expected: ours });
    }
}

#[test]
fn an_app_that_names_no_code_on_chain_is_never_matched() {
    let refusal = refused(|f| {
        f.task.chain.app.checksum = B256::ZERO;
        f.enclave.identity = Identity::Tdx { image: B256::ZERO.into(), approved: true, app_image: Some(B256::ZERO) };
    });
    assert!(matches!(refusal, Refusal::OtherApp { .. }));
}

#[test]
fn an_sgx_enclave_must_measure_to_the_fingerprint_and_gets_the_app_stage_only() {
    let mut facts = sgx_facts();
    let grant = decide(&facts).unwrap();
    assert!(!grant.plan().items.is_empty());
    assert!(grant.plan().items.iter().all(|item| item.stage == Stage::App));
    let found = B256::repeat_byte(0x78);
    facts.enclave.identity = Identity::Sgx { mrenclave: found };
    let expected = B256::repeat_byte(0x77);
    assert_eq!(decide(&facts).unwrap_err(), Refusal::OtherApp { found: Some(found), expected });
}

#[test]
fn a_check_is_known_by_its_sentence() {
    assert_eq!(format!("{:?}", SESSION_CHECKS[0]), "Check(the task is active)");
}

#[test]
fn all_failures_are_explained_at_once() {
    let mut facts = facts();
    facts.task.chain.task.status = TaskStatus::Completed;
    facts.task.stored.clear();
    facts.enclave.debug = true;
    let codes: Vec<_> = explain(&facts).iter().filter_map(|f| f.refusal.as_ref().map(Refusal::code)).collect();
    assert_eq!(codes, ["task-not-active", "dataset-key-missing", "debug-enclave"]);
}

#[test]
fn an_explanation_says_what_was_compared_and_where_each_side_came_from() {
    let compared =
        |facts: &Facts| -> Vec<String> { explain(facts).into_iter().map(|finding| finding.compared).collect() };
    let (task, deal) = (TaskId::of(deal_id(), 0), deal_id());
    let word = |byte: u8| B256::repeat_byte(byte);
    let (session, challenge) = (session().id, key(4).address());
    let expected = [
        "status on chain Active, needed Active".to_owned(),
        format!("task {task} at index 0 on chain, deal {deal} has 0..1"),
        format!("tag of the deal 0x{}09", "00".repeat(31)),
        format!(
            "signature in the request over worker {} and challenge {challenge}, owner in the deal {}",
            worker(),
            pool_owner().address()
        ),
        "contribution deadline on chain 2100, time 1000".to_owned(),
        "final deadline on chain 3000, time 1000".to_owned(),
        format!("session {session} until 3000, time 1000"),
        format!("in the session {challenge}, derived here {challenge}"),
        format!("deal names {APP} and Some({DATASET:?}), chain shows {APP} and Some({DATASET:?})"),
        format!("text on chain {PARAMS:?}"),
        r#"from the deal's parameters Some({"1": "my-secret_1"})"#.to_owned(),
        "no orders".to_owned(),
        "0 bytes of configuration on chain".to_owned(),
        "all stored".to_owned(),
        format!("request bound to session {session}, held session {session}"),
        "debug in the evidence: false".to_owned(),
        format!("accepted by policy {}", strongroom_attest::Policy::production().hash()),
        format!("deal asks for Some(Tdx), evidence shows {:?}", facts().enclave.identity),
        format!("measured {:?}, checksum on chain {}", facts().enclave.identity, word(0x44)),
    ];
    assert_eq!(compared(&facts()), expected);

    let mut facts = facts();
    facts.task.stored.clear();
    facts.enclave.policy = Err(PolicyRefusal { rule: Rule::TcbStatus, reason: "OutOfDate".to_owned() });
    let compared = compared(&facts);
    assert_eq!(compared[13].matches(" is not stored").count() + compared[13].matches("no result storage").count(), 4);
    assert!(compared[16].contains("OutOfDate"), "{}", compared[16]);
}

#[test]
fn an_explanation_says_what_the_old_service_made_of_the_parameters() {
    let shown = |text: &str| {
        let mut facts = facts();
        with_params(&mut facts, text);
        let finding = explain(&facts).into_iter().find(|finding| finding.check.contains("parameters are understood"));
        finding.unwrap().compared
    };
    let quoted = |text: &str| format!("text on chain {text:?}");
    assert_eq!(shown(PARAMS), quoted(PARAMS));
    let logger = r#"{"iexec_secrets":{"1":"a"},"iexec_developer_logger":true}"#;
    let because = "which the old service took whole for the app's arguments (unknown member iexec_developer_logger)";
    assert_eq!(shown(logger), format!("{}, {because}", quoted(logger)));
    assert_eq!(shown("null"), format!("{}, with which the old service made no session", quoted("null")));
}

#[test]
fn a14_input_file_names() {
    for (url, expected) in [
        ("http://host/file1", "0xd4afc5e514196a391d04174cee09ff53688ba2aa987e208ec3936a0f4c4d9f4f"),
        ("http://host/file2", "0x4dc95e75e7b08d87fb30e270ca6d4390db107258f3f580088f45fce6ee39ec3f"),
    ] {
        assert_eq!(input_file_name(url), expected);
    }
}

/// The variables of a stage, secrets written as `<kind name>`.
fn variables(plan: &Plan, stage: Stage) -> BTreeMap<String, String> {
    let text = |source: &Source| match source {
        Source::Public(text) => text.clone(),
        Source::Secret(id, _) => format!("<{} {}>", id.kind(), id.name()),
        Source::TrimmedSecret(id, _) => format!("<trimmed {} {}>", id.kind(), id.name()),
        Source::ChallengeKey => "<challenge key>".to_owned(),
    };
    plan.items.iter().filter(|item| item.stage == stage).map(|item| (item.name.clone(), text(&item.source))).collect()
}

fn pairs(expected: &[(&str, &str)]) -> BTreeMap<String, String> {
    expected.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn a17_the_plan_holds_exactly_the_variables_of_each_stage() {
    let plan = admit(&task_facts()).unwrap();
    let (deal, task) = (deal_id().to_string(), TaskId::of(deal_id(), 0).to_string());
    let dataset = "0x1234567890123456789012345678901234567890";
    let worker = "0x3325a78425F17a7E487Eb5666b2bFd93aBb06c70";
    assert_eq!(
        variables(&plan, Stage::PreCompute),
        pairs(&[
            ("IEXEC_PRE_COMPUTE_OUT", "/iexec_in"),
            ("IS_DATASET_REQUIRED", "true"),
            ("IEXEC_DEAL_ID", &deal),
            ("IEXEC_TASK_INDEX", "0"),
            ("IEXEC_TASK_ID", &task),
            ("IEXEC_INPUT_FILES_NUMBER", "2"),
            ("IEXEC_INPUT_FILES_FOLDER", "/iexec_in"),
            ("IEXEC_INPUT_FILE_URL_1", "http://host/file1"),
            ("IEXEC_INPUT_FILE_URL_2", "http://host/file2"),
            ("IEXEC_DATASET_KEY", "<dataset >"),
            ("IEXEC_DATASET_URL", "/ipfs/QmUbh7ugQ9WVprTVYjzrCS4d9cCy73zUz4MMchsrqzzu1w"),
            ("IEXEC_DATASET_FILENAME", dataset),
            ("IEXEC_DATASET_CHECKSUM", &format!("0x{}", "55".repeat(32))),
            ("SIGN_WORKER_ADDRESS", worker),
            ("SIGN_TEE_CHALLENGE_PRIVATE_KEY", "<challenge key>"),
        ])
    );
    assert_eq!(
        variables(&plan, Stage::App),
        pairs(&[
            ("IEXEC_DEAL_ID", &deal),
            ("IEXEC_TASK_INDEX", "0"),
            ("IEXEC_TASK_ID", &task),
            ("IEXEC_IN", "/iexec_in"),
            ("IEXEC_OUT", "/iexec_out"),
            ("IEXEC_BOT_SIZE", "1"),
            ("IEXEC_BOT_FIRST_INDEX", "0"),
            ("IEXEC_BOT_TASK_INDEX", "0"),
            ("IEXEC_DATASET_ADDRESS", dataset),
            ("IEXEC_DATASET_FILENAME", dataset),
            ("IEXEC_INPUT_FILES_FOLDER", "/iexec_in"),
            ("IEXEC_INPUT_FILES_NUMBER", "2"),
            ("IEXEC_INPUT_FILE_NAME_1", "0xd4afc5e514196a391d04174cee09ff53688ba2aa987e208ec3936a0f4c4d9f4f"),
            ("IEXEC_INPUT_FILE_NAME_2", "0x4dc95e75e7b08d87fb30e270ca6d4390db107258f3f580088f45fce6ee39ec3f"),
            ("IEXEC_APP_DEVELOPER_SECRET", "<app >"),
            ("IEXEC_APP_DEVELOPER_SECRET_1", "<app >"),
            ("IEXEC_REQUESTER_SECRET_1", "<requester my-secret_1>"),
        ])
    );
    assert_eq!(
        variables(&plan, Stage::PostCompute),
        pairs(&[
            ("RESULT_ENCRYPTION", "true"),
            ("RESULT_ENCRYPTION_PUBLIC_KEY", "<trimmed account iexec-result-encryption-public-key>"),
            ("RESULT_STORAGE_CALLBACK", "false"),
            ("RESULT_STORAGE_PROVIDER", "ipfs"),
            ("RESULT_STORAGE_PROXY", "<trimmed account iexec-result-iexec-result-proxy-url>"),
            ("RESULT_STORAGE_TOKEN", "<trimmed account iexec-result-iexec-ipfs-token>"),
            ("IEXEC_TASK_ID", &task),
            ("SIGN_WORKER_ADDRESS", worker),
            ("SIGN_TEE_CHALLENGE_PRIVATE_KEY", "<challenge key>"),
        ])
    );
}

#[test]
fn the_app_never_gets_the_dataset_key_or_the_signing_key() {
    let plan = admit(&task_facts()).unwrap().for_stages(&[Stage::App]);
    assert!(plan.items.iter().all(|item| item.source != Source::ChallengeKey));
    assert!(plan.secrets().iter().all(|(id, _)| *id != SecretId::Dataset(DATASET)));
}

#[test]
fn without_inputs_there_is_no_pre_compute_and_without_dataset_its_variables_are_zero() {
    let mut facts = task_facts();
    facts.chain.deal.dataset = None;
    facts.chain.dataset = None;
    facts.params = DealParams::parse("{}");
    let plan = admit(&facts).unwrap();
    assert!(variables(&plan, Stage::PreCompute).is_empty());
    let app = variables(&plan, Stage::App);
    assert_eq!(app["IEXEC_DATASET_ADDRESS"], format!("0x{}", "00".repeat(20)));
    assert_eq!(app["IEXEC_INPUT_FILES_NUMBER"], "0");
    assert!(!app.contains_key("IEXEC_INPUT_FILES_FOLDER"));
}

#[test]
fn a_dataset_without_a_location_is_none_for_the_enclave_and_needs_no_key() {
    let mut facts = task_facts();
    facts.chain.dataset.as_mut().unwrap().multiaddr.clear();
    facts.stored.remove(&SecretId::Dataset(DATASET));
    let pre_compute = variables(&admit(&facts).unwrap(), Stage::PreCompute);
    assert_eq!(pre_compute["IS_DATASET_REQUIRED"], "false");
    assert!(!pre_compute.contains_key("IEXEC_DATASET_URL"));
}

#[test]
fn a_plan_of_an_earlier_record_keeps_its_secrets_and_their_versions() {
    let mut facts = task_facts();
    let own = account(requester(), AccountSecretName::RESULT_PROXY_TOKEN);
    let theirs = account(worker(), AccountSecretName::RESULT_PROXY_TOKEN);
    facts.stored.remove(&theirs);
    facts.stored.remove(&SecretId::App(APP));
    facts.stored.remove(&account(pool_owner().address(), AccountSecretName::RESULT_PROXY_URL));
    facts.stored.insert(own, SecretVersion(3));
    let first = admit(&facts).unwrap();
    let recorded = first.secrets().into_iter().collect();

    facts.stored = stored().into_keys().map(|id| (id, SecretVersion(9))).collect();
    assert_ne!(admit(&facts).unwrap(), first);
    assert_eq!(admit(&facts).unwrap().with_versions(&recorded), first);
}

#[test]
fn with_a_callback_nothing_is_said_or_needed_about_storage() {
    let mut facts = task_facts();
    facts.chain.deal.callback = Some(Address::repeat_byte(6));
    facts.stored.remove(&account(worker(), AccountSecretName::RESULT_PROXY_TOKEN));
    let post = variables(&admit(&facts).unwrap(), Stage::PostCompute);
    assert_eq!(post["RESULT_STORAGE_CALLBACK"], "true");
    for name in ["RESULT_STORAGE_PROVIDER", "RESULT_STORAGE_PROXY", "RESULT_STORAGE_TOKEN"] {
        assert_eq!(post[name], "", "{name}");
    }
}

#[test]
fn a_result_for_dropbox_needs_the_requesters_token_and_a_named_proxy_wins() {
    let mut facts = task_facts();
    facts.params = DealParams::parse(r#"{"iexec_result_storage_provider":"dropbox"}"#);
    assert_eq!(admit(&facts).unwrap_err(), Refusal::StorageTokenMissing { owner: requester() });
    facts.stored.insert(account(requester(), AccountSecretName::DROPBOX_TOKEN), SecretVersion(1));
    let post = variables(&admit(&facts).unwrap(), Stage::PostCompute);
    assert_eq!(post["RESULT_STORAGE_PROVIDER"], "dropbox");
    assert_eq!(post["RESULT_STORAGE_PROXY"], "");
    assert_eq!(post["RESULT_STORAGE_TOKEN"], "<trimmed account iexec-result-dropbox-token>");

    facts.params = DealParams::parse(r#"{"iexec_result_storage_proxy":"https://proxy"}"#);
    let post = variables(&admit(&facts).unwrap(), Stage::PostCompute);
    assert_eq!(post["RESULT_STORAGE_PROXY"], "https://proxy");
}
