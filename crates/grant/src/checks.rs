//! The ordered list of checks. Their order is a promise: clients are told the first that fails.
//! Each check is one function that compares two things and nothing else.

use alloy_primitives::U256;
use strongroom_protocol::RequesterSecretName;
use strongroom_protocol::challenge::workerpool_authorization;
use strongroom_protocol::deal_params::{DealParams, LegacyReading};
use strongroom_protocol::enclave_config::{EnclaveConfig, EnclaveConfigError};
use strongroom_protocol::ids::TaskId;
use strongroom_protocol::multiaddr::location_text;
use strongroom_protocol::snapshot::{BulkDataset, TaskStatus};
use strongroom_protocol::{Framework, SecretId};

use self::Audience::{Anybody, Parties};
use crate::enclave::Identity;
use crate::facts::{Facts, TaskFacts};
use crate::needs::{Need, needs};
use crate::refusal::Refusal;

/// Who may see how a check turned out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Anybody: all that is compared is public anyhow, on chain or by the questions that anybody may ask this service.
    Anybody,
    /// The parties of the task: owners, requester, beneficiary, pool.
    Parties,
}

/// One thing that must hold.
pub struct Check<F: ?Sized> {
    /// What it says, as a sentence that is true when the check passes.
    pub name: &'static str,
    /// Who may see what it compared.
    pub audience: Audience,
    /// What was compared, and where each side came from.
    pub show: fn(&F) -> String,
    /// The judgement.
    pub test: fn(&F) -> Result<(), Refusal>,
}

impl<F: ?Sized> std::fmt::Debug for Check<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Check({})", self.name)
    }
}

/// What must hold before a worker gets a session, and again at the release.
pub const SESSION_CHECKS: [Check<TaskFacts>; 14] = [
    Check {
        name: "the task is active",
        audience: Anybody,
        show: |f| format!("status on chain {:?}, needed Active", f.chain.task.status),
        test: task_is_active,
    },
    Check {
        name: "the task belongs to the deal",
        audience: Anybody,
        show: |f| {
            let (task, deal) = (&f.chain.task, &f.chain.deal);
            let end = deal.bot_first.saturating_add(deal.bot_size);
            format!("task {} at index {} on chain, deal {} has {}..{end}", task.id, task.index, deal.id, deal.bot_first)
        },
        test: task_belongs_to_deal,
    },
    Check {
        name: "the tag asks for exactly one framework",
        audience: Anybody,
        show: |f| format!("tag of the deal {}", f.chain.deal.tag),
        test: tag_names_a_framework,
    },
    Check {
        name: "the workerpool owner authorised this worker and challenge",
        audience: Anybody,
        show: |f| {
            let (session, pool) = (&f.session, &f.chain.deal.workerpool);
            format!(
                "signature in the request over worker {} and challenge {}, owner in the deal {}",
                session.worker, session.enclave_challenge, pool.owner
            )
        },
        test: pool_authorised_worker,
    },
    Check {
        name: "contributions are open",
        audience: Anybody,
        show: |f| format!("contribution deadline on chain {}, time {}", f.chain.task.contribution_deadline, f.time()),
        test: contributions_are_open,
    },
    Check {
        name: "the final deadline is ahead",
        audience: Anybody,
        show: |f| format!("final deadline on chain {}, time {}", f.chain.task.final_deadline, f.time()),
        test: final_deadline_is_ahead,
    },
    Check {
        name: "the session is for this task and not over",
        audience: Anybody,
        show: |f| format!("session {} until {}, time {}", f.session.id, f.session.expires, f.time()),
        test: session_serves_the_task,
    },
    Check {
        name: "the enclave challenge is the one made here",
        audience: Parties,
        show: |f| format!("in the session {}, derived here {}", f.session.enclave_challenge, f.derived_challenge),
        test: challenge_is_ours,
    },
    Check {
        name: "app and dataset are those of the deal",
        audience: Anybody,
        show: |f| {
            let (deal, dataset) = (&f.chain.deal, f.chain.dataset.as_ref().map(|dataset| dataset.address));
            let named = deal.dataset.map(|dataset| dataset.address);
            format!(
                "deal names {} and {named:?}, chain shows {} and {dataset:?}",
                deal.app.address, f.chain.app.address
            )
        },
        test: assets_are_those_of_the_deal,
    },
    Check {
        name: "the deal's parameters are understood",
        audience: Anybody,
        show: |f| format!("text on chain {:?}{}", f.chain.deal.params, show_legacy_reading(&f.chain.deal.params)),
        test: params_are_understood,
    },
    Check {
        name: "indexes and names of requester secrets are canonical",
        audience: Anybody,
        show: |f| format!("from the deal's parameters {:?}", f.params.as_ref().map(|params| &params.secrets).ok()),
        test: requester_secrets_are_canonical,
    },
    Check {
        name: "every order of the bulk slice serves the deal",
        audience: Anybody,
        show: |f| match &f.bulk {
            Err(reason) => reason.clone(),
            Ok(orders) if orders.is_empty() => "no orders".to_owned(),
            Ok(orders) => orders.iter().map(show_order).collect::<Vec<_>>().join("; "),
        },
        test: bulk_serves_the_deal,
    },
    Check {
        name: "an SGX app has an enclave configuration",
        audience: Anybody,
        show: |f| format!("{} bytes of configuration on chain", f.chain.app.mrenclave.len()),
        test: sgx_app_is_configured,
    },
    Check {
        name: "the secrets that the deal involves are stored",
        audience: Anybody,
        show: |f| {
            let missing: Vec<_> = missing(f).map(|refusal| refusal.to_string()).collect();
            if missing.is_empty() { "all stored".to_owned() } else { missing.join("; ") }
        },
        test: |f| missing(f).next().map_or(Ok(()), Err),
    },
];

/// What must hold besides before secrets leave.
pub const RELEASE_CHECKS: [Check<Facts>; 5] = [
    Check {
        name: "the request is about this session and its evidence",
        audience: Parties,
        show: |f| format!("request bound to session {}, held session {}", f.transcript.session, f.task.session.id),
        test: request_is_bound,
    },
    Check {
        name: "the enclave is not in debug mode",
        audience: Parties,
        show: |f| format!("debug in the evidence: {}", f.enclave.debug),
        test: enclave_is_not_debug,
    },
    Check {
        name: "the platform meets the operator's policy",
        audience: Parties,
        show: |f| match &f.enclave.policy {
            Ok(policy) => format!("accepted by policy {policy}"),
            Err(refusal) => refusal.to_string(),
        },
        test: platform_meets_policy,
    },
    Check {
        name: "the evidence is of the platform that the deal asks for",
        audience: Parties,
        show: |f| {
            let asked = f.task.chain.deal.tag.framework();
            format!("deal asks for {asked:?}, evidence shows {:?}", f.enclave.identity)
        },
        test: evidence_is_of_the_asked_platform,
    },
    Check {
        name: "the enclave runs the app of the chain",
        audience: Parties,
        show: |f| format!("measured {:?}, checksum on chain {}", f.enclave.identity, f.task.chain.app.checksum),
        test: enclave_runs_the_app,
    },
];

fn task_is_active(facts: &TaskFacts) -> Result<(), Refusal> {
    match facts.chain.task.status {
        TaskStatus::Active => Ok(()),
        found => Err(Refusal::TaskNotActive { found }),
    }
}

fn task_belongs_to_deal(facts: &TaskFacts) -> Result<(), Refusal> {
    let (task, deal) = (&facts.chain.task, &facts.chain.deal);
    let in_bag = task.index.checked_sub(deal.bot_first).is_some_and(|offset| offset < deal.bot_size);
    if task.deal == deal.id && task.id == TaskId::of(deal.id, task.index) && in_bag {
        Ok(())
    } else {
        Err(Refusal::TaskNotOfDeal)
    }
}

fn tag_names_a_framework(facts: &TaskFacts) -> Result<(), Refusal> {
    let tag = facts.chain.deal.tag;
    tag.framework().map(|_| ()).ok_or(Refusal::NoFramework { tag })
}

fn pool_authorised_worker(facts: &TaskFacts) -> Result<(), Refusal> {
    let (session, owner) = (&facts.session, facts.chain.deal.workerpool.owner);
    let signed = workerpool_authorization(session.worker, facts.chain.task.id, session.enclave_challenge);
    if session.pool_signature.is_by(owner, signed) { Ok(()) } else { Err(Refusal::NotAuthorisedByPool { owner }) }
}

fn contributions_are_open(facts: &TaskFacts) -> Result<(), Refusal> {
    let (deadline, now) = (facts.chain.task.contribution_deadline, facts.time());
    if now < deadline { Ok(()) } else { Err(Refusal::ContributionClosed { deadline, now }) }
}

fn final_deadline_is_ahead(facts: &TaskFacts) -> Result<(), Refusal> {
    let (deadline, now) = (facts.chain.task.final_deadline, facts.time());
    if now < deadline { Ok(()) } else { Err(Refusal::FinalDeadlinePassed { deadline, now }) }
}

fn session_serves_the_task(facts: &TaskFacts) -> Result<(), Refusal> {
    let (session, now) = (&facts.session, facts.time());
    if session.id.task() != facts.chain.task.id {
        return Err(Refusal::ForeignSession);
    }
    if now > session.expires { Err(Refusal::SessionExpired { expired: session.expires, now }) } else { Ok(()) }
}

fn challenge_is_ours(facts: &TaskFacts) -> Result<(), Refusal> {
    let found = facts.session.enclave_challenge;
    if found == facts.derived_challenge { Ok(()) } else { Err(Refusal::ForeignChallenge { found }) }
}

fn assets_are_those_of_the_deal(facts: &TaskFacts) -> Result<(), Refusal> {
    let (chain, deal) = (&facts.chain, &facts.chain.deal);
    if chain.app.address != deal.app.address {
        return Err(Refusal::ForeignApp { found: chain.app.address });
    }
    let shown = chain.dataset.as_ref().map(|dataset| dataset.address);
    if shown == deal.dataset.map(|dataset| dataset.address) { Ok(()) } else { Err(Refusal::ForeignDataset) }
}

fn understood(facts: &TaskFacts) -> Result<&DealParams, Refusal> {
    facts.params.as_ref().map_err(|error| Refusal::ParamsNotUnderstood(error.to_string()))
}

/// What the old service would have made of the text, where that is something else.
fn show_legacy_reading(params: &str) -> String {
    match DealParams::parse_with_report(params) {
        Ok((_, LegacyReading::WholeTextAsArguments { because })) => {
            format!(", which the old service took whole for the app's arguments ({because})")
        }
        Ok((_, LegacyReading::NoTask)) => ", with which the old service made no session".to_owned(),
        Ok((_, LegacyReading::Same)) | Err(_) => String::new(),
    }
}

fn params_are_understood(facts: &TaskFacts) -> Result<(), Refusal> {
    understood(facts).map(|_| ())
}

fn requester_secrets_are_canonical(facts: &TaskFacts) -> Result<(), Refusal> {
    for (index, name) in &understood(facts)?.secrets {
        // The network's services read an index as a Java `int`.
        let canonical = index.parse::<i32>().is_ok_and(|number| number > 0 && number.to_string() == *index);
        if !canonical {
            return Err(Refusal::IndexNotCanonical { index: index.clone() });
        }
        if name.parse::<RequesterSecretName>().is_err() {
            return Err(Refusal::NameNotCanonical { name: name.clone() });
        }
    }
    Ok(())
}

/// Orders of a list are never used up on chain, so each must be good for ever: what the network's SDK signs, and one less
/// than that, which its number type allows too.
const UNLIMITED_VOLUME: u64 = (1 << 53) - 2;

fn bulk_serves_the_deal(facts: &TaskFacts) -> Result<(), Refusal> {
    let asked = understood(facts)?.bulk_cid.is_some();
    let orders = facts.bulk.as_ref().map_err(|reason| Refusal::BulkUnreadable(reason.clone()))?;
    if asked == orders.is_empty() {
        return Err(Refusal::BulkUnreadable("it holds no order for this task".to_owned()));
    }
    orders.iter().try_for_each(order_serves_the_deal)
}

fn order_serves_the_deal(order: &BulkDataset) -> Result<(), Refusal> {
    let dataset = order.address;
    let located = |shown: &strongroom_protocol::snapshot::Dataset| {
        shown.address == dataset && !location_text(&shown.multiaddr).trim().is_empty()
    };
    if !order.dataset.as_ref().is_some_and(located) {
        return Err(Refusal::BulkDatasetUnknown { dataset });
    }
    if let Err(reason) = &order.compatible {
        return Err(Refusal::BulkOrderIncompatible { dataset, reason: reason.clone() });
    }
    if order.volume < U256::from(UNLIMITED_VOLUME) {
        return Err(Refusal::BulkOrderLimited { dataset, volume: order.volume });
    }
    if order.price.is_zero() { Ok(()) } else { Err(Refusal::BulkOrderPriced { dataset, price: order.price }) }
}

fn show_order(order: &BulkDataset) -> String {
    let hub = order.compatible.as_ref().map_or_else(String::as_str, |()| "compatible");
    let shown = if order.dataset.is_some() { "a dataset" } else { "no dataset" };
    format!("{} is {shown} on chain, hub says {hub}, volume {}, price {}", order.name, order.volume, order.price)
}

fn sgx_app_is_configured(facts: &TaskFacts) -> Result<(), Refusal> {
    if facts.chain.deal.tag.framework().is_some_and(Framework::is_sgx) {
        enclave_config(facts).map(|_| ())
    } else {
        Ok(())
    }
}

fn enclave_config(facts: &TaskFacts) -> Result<EnclaveConfig, Refusal> {
    EnclaveConfig::parse(&facts.chain.app.mrenclave).map_err(|error| match error {
        EnclaveConfigError::Unreadable(_) => Refusal::NoEnclaveConfig(error.to_string()),
        EnclaveConfigError::Invalid(_) => Refusal::InvalidEnclaveConfig(error.to_string()),
    })
}

fn missing(facts: &TaskFacts) -> impl Iterator<Item = Refusal> {
    let of = |params| needs(&facts.chain, params, facts.bulk_datasets(), facts.session.worker);
    facts.params.as_ref().map(of).unwrap_or_default().into_iter().filter_map(|need| {
        if need.candidates().iter().any(|id| facts.stored.contains_key(id)) {
            return None;
        }
        let first = need.candidates().first().map_or_else(Default::default, SecretId::address);
        match &need {
            Need::AppSecret(_) | Need::ProxyUrl(_) => None,
            Need::DatasetKey(_) | Need::BulkKey { .. } => Some(Refusal::DatasetKeyMissing { dataset: first }),
            Need::RequesterSecret { id, .. } => {
                Some(Refusal::RequesterSecretMissing { requester: first, name: id.name().to_owned() })
            }
            Need::ResultKey(_) => Some(Refusal::ResultKeyMissing { beneficiary: first }),
            Need::StorageToken(_) => Some(Refusal::StorageTokenMissing { owner: first }),
        }
    })
}

fn request_is_bound(facts: &Facts) -> Result<(), Refusal> {
    if facts.transcript.session != facts.task.session.id {
        return Err(Refusal::BoundToOtherSession);
    }
    if facts.transcript.report_data() == facts.enclave.report_data { Ok(()) } else { Err(Refusal::NotBound) }
}

fn enclave_is_not_debug(facts: &Facts) -> Result<(), Refusal> {
    if facts.enclave.debug { Err(Refusal::DebugEnclave) } else { Ok(()) }
}

fn platform_meets_policy(facts: &Facts) -> Result<(), Refusal> {
    match &facts.enclave.policy {
        Ok(_) => Ok(()),
        Err(refusal) => Err(Refusal::PolicyNotMet { reason: refusal.to_string() }),
    }
}

fn evidence_is_of_the_asked_platform(facts: &Facts) -> Result<(), Refusal> {
    let tag = facts.task.chain.deal.tag;
    let asked = tag.framework().ok_or(Refusal::NoFramework { tag })?;
    match (&facts.enclave.identity, asked) {
        (Identity::Tdx { .. }, Framework::Tdx) | (Identity::Sgx { .. }, Framework::Scone | Framework::Gramine) => {
            Ok(())
        }
        (Identity::Tdx { .. } | Identity::Sgx { .. } | Identity::Other(_) | Identity::Keeper(_), _) => {
            Err(Refusal::OtherPlatform { asked })
        }
    }
}

fn enclave_runs_the_app(facts: &Facts) -> Result<(), Refusal> {
    let (found, expected) = match &facts.enclave.identity {
        Identity::Tdx { image, approved: false, .. } => return Err(Refusal::ImageNotApproved { found: *image }),
        Identity::Tdx { app_image, approved: true, .. } => (*app_image, facts.task.chain.app.checksum),
        Identity::Sgx { mrenclave } => (Some(*mrenclave), enclave_config(&facts.task)?.fingerprint),
        Identity::Other(_) | Identity::Keeper(_) => (None, facts.task.chain.app.checksum),
    };
    // An app without a checksum names no code: absent never means unchecked.
    if found == Some(expected) && !expected.is_zero() { Ok(()) } else { Err(Refusal::OtherApp { found, expected }) }
}
