//! The judgement: checks in order, then the plan.

use strongroom_attest::TrustDomain;
use strongroom_protocol::Address;
use strongroom_protocol::bundle::Stage;
use strongroom_protocol::sealing::EnclaveKey;
use strongroom_protocol::session::SessionId;
use strongroom_protocol::snapshot::Block;
use strongroom_protocol::transcript::Transcript;

use crate::checks::{Check, RELEASE_CHECKS, SESSION_CHECKS};
use crate::enclave::Identity;
use crate::facts::{Facts, TaskFacts};
use crate::plan::{Plan, plan};
use crate::refusal::Refusal;

/// Proof that a release was allowed. Only [`decide`] makes one, and the store opens secrets for nothing else. It is consumed
/// when it is recorded: one decision, one record.
#[derive(Debug, PartialEq, Eq)]
pub struct Grant {
    transcript: Transcript,
    worker: Address,
    trust_domain: TrustDomain,
    block: Block,
    identity: Identity,
    plan: Plan,
}

impl Grant {
    /// The session that is served.
    pub fn session(&self) -> SessionId {
        self.transcript.session
    }

    /// The key to which secrets are sealed.
    pub fn enclave_key(&self) -> EnclaveKey {
        self.transcript.key
    }

    /// What the request was bound to.
    pub fn transcript(&self) -> &Transcript {
        &self.transcript
    }

    /// The worker of the session.
    pub fn worker(&self) -> Address {
        self.worker
    }

    /// Who stands behind the evidence: a vendor, or somebody's simulator.
    pub fn trust_domain(&self) -> &TrustDomain {
        &self.trust_domain
    }

    /// The block at which the chain was read.
    pub fn block(&self) -> Block {
        self.block
    }

    /// What the enclave proved to be.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Which variables, from which secrets, for which stage.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }
}

/// Judges whether a worker may start a task, and makes the plan dry, so that a secret that is missing is found out here and
/// not in the enclave. The plan is public: it names secrets and carries none.
pub fn admit(facts: &TaskFacts) -> Result<Plan, Refusal> {
    first_failure(&SESSION_CHECKS, facts)?;
    let params = facts.params.as_ref().map_err(|error| Refusal::ParamsNotUnderstood(error.to_string()))?;
    Ok(plan(facts, params))
}

/// Judges a release. The order of the checks is a promise: clients are told the first that fails.
pub fn decide(facts: &Facts) -> Result<Grant, Refusal> {
    let whole = admit(&facts.task)?;
    first_failure(&RELEASE_CHECKS, facts)?;
    let plan = match &facts.enclave.identity {
        // A confidential VM runs all stages; its guest hands each only its own.
        Identity::Tdx { .. } => whole,
        // The measurement of an SGX app vouches for the app alone.
        Identity::Sgx { .. } | Identity::Other(_) => whole.for_stage(Stage::App),
    };
    Ok(Grant {
        transcript: facts.transcript.clone(),
        worker: facts.task.session.worker,
        trust_domain: facts.enclave.trust_domain.clone(),
        block: facts.task.chain.block,
        identity: facts.enclave.identity.clone(),
        plan,
    })
}

fn first_failure<F>(checks: &[Check<F>], facts: &F) -> Result<(), Refusal> {
    checks.iter().try_for_each(|check| (check.test)(facts))
}

/// One check as it turned out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The check, as a sentence that is true when it passes.
    pub check: &'static str,
    /// What was compared, and where each side came from.
    pub compared: String,
    /// Why it failed, if it did. [`Refusal::remedy`] says what mends it.
    pub refusal: Option<Refusal>,
}

/// Runs every check of a session, failed or not. Passes exactly when [`admit`] does.
pub fn explain_session(facts: &TaskFacts) -> Vec<Finding> {
    findings(&SESSION_CHECKS, facts)
}

/// Runs every check of a release, failed or not. Passes exactly when [`decide`] does.
pub fn explain(facts: &Facts) -> Vec<Finding> {
    let mut findings = explain_session(&facts.task);
    findings.extend(self::findings(&RELEASE_CHECKS, facts));
    findings
}

fn findings<F>(checks: &[Check<F>], facts: &F) -> Vec<Finding> {
    let run = |check: &Check<F>| Finding {
        check: check.name,
        compared: (check.show)(facts),
        refusal: (check.test)(facts).err(),
    };
    checks.iter().map(run).collect()
}

#[cfg(test)]
mod tests;
