//! The judgement: checks in order, then the plan.

use strongroom_attest::TrustDomain;
use strongroom_protocol::Address;
use strongroom_protocol::bundle::Stage;
use strongroom_protocol::sealing::EnclaveKey;
use strongroom_protocol::session::SessionId;
use strongroom_protocol::snapshot::Block;
use strongroom_protocol::transcript::Transcript;

use crate::checks::{Audience, Check, RELEASE_CHECKS, SESSION_CHECKS};
use crate::enclave::Identity;
use crate::facts::{Facts, TaskFacts};
use crate::plan::{Plan, plan};
use crate::refusal::Refusal;

/// Proof that a release was allowed. Only [`decide`] and [`entrust`] make one, and the store opens secrets for nothing else.
/// It is consumed when it is recorded: one decision, one record.
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
        Identity::Sgx { .. } | Identity::Other(_) | Identity::Keeper(_) => whole.for_stages(&[Stage::App]),
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

/// A secret provisioner that the operator runs for existing enclaves, and that attests each of them itself before it hands
/// anything on: SCONE CAS, Gramine SPS, a TDX session storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keeper {
    /// Which one, and what it must find measured, for the journal.
    pub name: String,
    /// The stages that it starts enclaves for.
    pub stages: Vec<Stage>,
    /// Whose evidence the operator lets it believe.
    pub trust_domain: TrustDomain,
}

/// Judges whether a task's secrets may be handed to the operator's `keeper`, as the network's services did before there was
/// evidence. Everything that does not need evidence is checked as in [`decide`]; the operator answers for the keeper.
pub fn entrust(facts: &TaskFacts, transcript: Transcript, keeper: Keeper) -> Result<Grant, Refusal> {
    let whole = admit(facts)?;
    if transcript.session != facts.session.id {
        return Err(Refusal::BoundToOtherSession);
    }
    Ok(Grant {
        transcript,
        worker: facts.session.worker,
        trust_domain: keeper.trust_domain,
        block: facts.chain.block,
        identity: Identity::Keeper(keeper.name),
        plan: whole.for_stages(&keeper.stages),
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
    /// Who may see the rest.
    pub audience: Audience,
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
        audience: check.audience,
        compared: (check.show)(facts),
        refusal: (check.test)(facts).err(),
    };
    checks.iter().map(run).collect()
}

#[cfg(test)]
mod tests;
