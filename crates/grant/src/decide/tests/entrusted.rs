//! Grants for provisioners that attest enclaves themselves.

use strongroom_attest::TrustDomain;

use super::*;

fn keeper(stages: &[Stage]) -> Keeper {
    Keeper { name: "the keeper".to_owned(), stages: stages.to_vec(), trust_domain: TrustDomain::Production }
}

#[test]
fn a_keeper_gets_the_stages_it_serves_and_is_named_in_the_grant() {
    let facts = sgx_facts();
    let grant = entrust(&facts.task, facts.transcript.clone(), keeper(&[Stage::App, Stage::PostCompute])).unwrap();
    let whole = admit(&facts.task).unwrap();
    assert_eq!(grant.plan(), &whole.clone().for_stages(&[Stage::App, Stage::PostCompute]));
    assert_ne!(grant.plan(), &whole);
    assert_eq!(grant.identity().to_string(), "entrusted to the keeper");
    assert_eq!(grant.trust_domain(), &TrustDomain::Production);
    assert_eq!((grant.session(), grant.worker(), grant.block()), (session().id, worker(), facts.task.chain.block));
}

#[test]
fn what_a_session_is_refused_for_is_not_entrusted_either() {
    let mut facts = facts();
    facts.task.chain.task.status = TaskStatus::Completed;
    let refused = entrust(&facts.task, facts.transcript, keeper(&[Stage::App])).unwrap_err();
    assert_eq!(refused, Refusal::TaskNotActive { found: TaskStatus::Completed });
}

#[test]
fn a_grant_for_a_keeper_is_bound_to_the_session_of_its_facts() {
    let facts = facts();
    let other = SessionId::from_random([9; 10], TaskId::of(deal_id(), 0));
    let refused = entrust(&facts.task, transcript(other), keeper(&[Stage::App])).unwrap_err();
    assert_eq!(refused, Refusal::BoundToOtherSession);
}

#[test]
fn an_enclave_never_proves_to_be_a_keeper() {
    let refusal = refused(|f| f.enclave.identity = Identity::Keeper("x".to_owned()));
    assert!(matches!(refusal, Refusal::OtherPlatform { .. }));
}
