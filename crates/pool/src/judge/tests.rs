use alloy_primitives::B256;
use strongroom_protocol::Tag;

use super::*;
use crate::test_support::deal_view;

const POOL: Address = Address::repeat_byte(0x33);
const OWNER: Address = Address::repeat_byte(0x44);

fn offer() -> Offer {
    Offer {
        workerpool: POOL,
        owner: OWNER,
        frameworks: [Framework::Tdx].into(),
        proxy: Some("http://proxy.example".parse().unwrap()),
        margin_seconds: 60,
    }
}

fn view() -> DealView {
    let mut view = deal_view("{}");
    (view.deal.workerpool.address, view.deal.workerpool.owner) = (POOL, OWNER);
    view
}

fn now() -> UnixSeconds {
    view().deal.start_time
}

#[track_caller]
fn assert_refused(change: impl FnOnce(&mut DealView), cause: Cause, part: &str) {
    let mut view = view();
    change(&mut view);
    let failure = judge(&view, &offer(), now()).unwrap_err();
    assert_eq!(failure.cause, cause, "{failure}");
    assert!(failure.message.contains(part), "{failure}");
}

#[test]
fn an_ordinary_deal_is_worth_its_gas() {
    judge(&view(), &offer(), now()).unwrap();
}

#[test]
fn a_deal_of_another_pool_or_of_a_former_owner_is_refused() {
    let cause = Cause::WORKERPOOL_AUTHORIZATION_NOT_FOUND;
    assert_refused(|view| view.deal.workerpool.address = OWNER, cause, "not ours");
    assert_refused(|view| view.deal.workerpool.owner = POOL, cause, "not ours");
}

#[test]
fn the_tag_must_name_exactly_one_framework_that_runs_here_and_nothing_else() {
    for tag in [0u8, 1, 3, 5, 8, 0xb, 0xd, 0xf, 0x19] {
        assert_refused(|view| view.deal.tag = Tag(B256::with_last_byte(tag)), Cause::TEE_NOT_SUPPORTED, "tag");
    }
    let gpu = |view: &mut DealView| view.deal.tag.0[30] = 1;
    assert_refused(gpu, Cause::TEE_NOT_SUPPORTED, "more than an enclave");
}

#[test]
fn more_trust_than_one_worker_gives_is_refused() {
    let mut trusting = view();
    trusting.deal.trust = U256::ZERO;
    judge(&trusting, &offer(), now()).unwrap();
    assert_refused(|view| view.deal.trust = U256::from(2), Cause::TRUST_NOT_1, "trust 2");
}

#[test]
fn an_unknown_category_is_refused() {
    assert_refused(|view| view.category_seconds = 0, Cause::TASK_DESCRIPTION_INVALID, "category");
}

#[test]
fn a_run_and_the_margin_must_fit_before_the_contribution_deadline() {
    let view = view();
    let last = view.contribution_deadline().0 - view.category_seconds - 60;
    judge(&view, &offer(), UnixSeconds(last)).unwrap();
    let late = judge(&view, &offer(), UnixSeconds(last + 1)).unwrap_err();
    assert_eq!(late.cause, Cause::CONTRIBUTION_TIMEOUT);
}

#[test]
fn params_that_cannot_be_understood_are_refused() {
    let cause = Cause::TASK_DESCRIPTION_INVALID;
    for (params, part) in [
        (r#"{"iexec_secrets":7}"#, "cannot be understood"),
        (r#"{"iexec_args":"'open"}"#, "quotation mark"),
        (r#"{"iexec_input_files":["file:///etc/passwd"]}"#, "input file"),
        (r#"{"iexec_result_storage_provider":"ftp"}"#, "ftp"),
        (r#"{"iexec_result_storage_proxy":"http://other.example"}"#, "result proxy"),
    ] {
        assert_refused(|view| view.deal.params = params.to_owned(), cause, part);
    }
}

#[test]
fn an_app_without_image_or_checksum_is_refused() {
    assert_refused(|view| view.app.multiaddr = vec![], Cause::TASK_DESCRIPTION_INVALID, "no image");
    assert_refused(|view| view.app.checksum = B256::ZERO, Cause::TASK_DESCRIPTION_INVALID, "checksum");
}

#[test]
fn an_sgx_app_must_say_how_its_enclave_is_made() {
    let sgx = Offer { frameworks: [Framework::Scone].into(), ..offer() };
    let mut view = view();
    view.deal.tag = Tag(B256::with_last_byte(3));
    let failure = judge(&view, &sgx, now()).unwrap_err();
    assert_eq!(failure.cause, Cause::TEE_SESSION_GENERATION_APP_COMPUTE_INVALID_ENCLAVE_CONFIG);
}
