//! Judging claims by a policy. The order of the rules is a promise: the first that fails is the one reported.

use std::fmt;

use super::rules::{ANY_DEVELOPMENT, PlatformId, Policy, PolicyHash, TdAttribute};
use crate::anchors::TrustDomain;
use crate::claims::{
    AmdSigningKey, AmdTcb, Claims, Code, IntelTcb, IntelTcbStatus, Platform, Revocation, Tcb, Verified,
};

/// Proof that verified evidence was good enough for a policy. Only [`Policy::evaluate`] makes one:
///
/// ```compile_fail,E0451
/// use strongroom_attest::policy::{Accepted, PolicyHash};
/// fn wave_through(verified: strongroom_attest::Verified, policy: PolicyHash) -> Accepted {
///     Accepted { verified, policy }
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    verified: Verified,
    policy: PolicyHash,
}

impl Accepted {
    /// What was verified and accepted.
    pub fn claims(&self) -> &Claims {
        self.verified.claims()
    }

    /// Which rules accepted it.
    pub fn policy(&self) -> PolicyHash {
        self.policy
    }
}

/// The first rule that failed. For the operator's log; the sender of the evidence gets a generic refusal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{rule}: {reason}")]
pub struct PolicyRefusal {
    /// Which rule.
    pub rule: Rule,
    /// What was found and what would change the answer.
    pub reason: String,
}

/// The rules, in the order they are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// The kind of evidence is accepted.
    Kind,
    /// The root is a vendor's, or a simulator's that is accepted.
    TrustDomain,
    /// Not in debug mode.
    Debug,
    /// Intel's status of the platform is accepted.
    TcbStatus,
    /// Intel's judgement is recent enough.
    EvaluationNumber,
    /// AMD's TCB reaches the floor of its product.
    TcbFloor,
    /// Every advisory that applies is accepted.
    Advisories,
    /// Revocation lists were consulted.
    Revocation,
    /// Endorsements were fetched recently enough.
    EndorsementAge,
    /// The machine is configured acceptably.
    Configuration,
    /// The enclave or guest has acceptable attributes.
    Attributes,
    /// The machine is one of those accepted.
    Platform,
    /// The evidence is recent, if it says so.
    EvidenceAge,
}

impl Rule {
    /// All rules in the order they are judged.
    pub const ALL: [Self; 13] = [
        Self::Kind,
        Self::TrustDomain,
        Self::Debug,
        Self::TcbStatus,
        Self::EvaluationNumber,
        Self::TcbFloor,
        Self::Advisories,
        Self::Revocation,
        Self::EndorsementAge,
        Self::Configuration,
        Self::Attributes,
        Self::Platform,
        Self::EvidenceAge,
    ];

    /// The rule's name in logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Kind => "kind",
            Self::TrustDomain => "trust-domain",
            Self::Debug => "debug",
            Self::TcbStatus => "tcb-status",
            Self::EvaluationNumber => "evaluation-number",
            Self::TcbFloor => "tcb-floor",
            Self::Advisories => "advisories",
            Self::Revocation => "revocation",
            Self::EndorsementAge => "endorsement-age",
            Self::Configuration => "configuration",
            Self::Attributes => "attributes",
            Self::Platform => "platform",
            Self::EvidenceAge => "evidence-age",
        }
    }

    fn judge(self, policy: &Policy, claims: &Claims) -> Result<(), String> {
        match self {
            Self::Kind => kind(policy, claims),
            Self::TrustDomain => trust_domain(policy, claims),
            Self::Debug => debug(claims),
            Self::TcbStatus => tcb_status(policy, claims),
            Self::EvaluationNumber => evaluation_number(policy, claims),
            Self::TcbFloor => tcb_floor(policy, claims),
            Self::Advisories => advisories(policy, claims),
            Self::Revocation => revocation(policy, claims),
            Self::EndorsementAge => endorsement_age(policy, claims),
            Self::Configuration => configuration(policy, claims),
            Self::Attributes => attributes(policy, claims),
            Self::Platform => platform(policy, claims),
            Self::EvidenceAge => evidence_age(policy, claims),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Policy {
    /// Judges verified evidence, with the time it was verified at as the present. The first failing rule is reported.
    pub fn evaluate(&self, verified: &Verified) -> Result<Accepted, PolicyRefusal> {
        for rule in Rule::ALL {
            rule.judge(self, verified.claims()).map_err(|reason| PolicyRefusal { rule, reason })?;
        }
        Ok(Accepted { verified: verified.clone(), policy: self.hash() })
    }

    /// Every rule's verdict, for people who want to see them all. A rule that does not apply to the kind of evidence passes.
    /// A list of verdicts proves nothing: that is for [`Policy::evaluate`].
    pub fn verdicts(&self, claims: &Claims) -> Vec<(Rule, Result<(), String>)> {
        Rule::ALL.into_iter().map(|rule| (rule, rule.judge(self, claims))).collect()
    }
}

type Verdict = Result<(), String>;

fn require(holds: bool, reason: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(reason()) }
}

fn kind(policy: &Policy, claims: &Claims) -> Verdict {
    require(policy.kinds.contains(&claims.kind), || format!("{} is not among the accepted kinds", claims.kind))
}

fn trust_domain(policy: &Policy, claims: &Claims) -> Verdict {
    match (&claims.trust_domain, &policy.danger_development) {
        (TrustDomain::Production, _) => Ok(()),
        (TrustDomain::Development(name), Some(accepted)) if accepted == name || accepted == ANY_DEVELOPMENT => Ok(()),
        (found, _) => Err(format!("{found} is simulated evidence; only real hardware is accepted")),
    }
}

fn debug(claims: &Claims) -> Verdict {
    require(!claims.debug, || "the enclave is in debug mode; start it without".to_owned())
}

fn tcb_status(policy: &Policy, claims: &Claims) -> Verdict {
    let Tcb::Intel(tcb) = &claims.tcb else { return Ok(()) };
    let rules = &policy.intel;
    let (configuration_needed, out_of_date) = match tcb.status {
        // With SWHardeningNeeded the advisories decide.
        IntelTcbStatus::UpToDate | IntelTcbStatus::SWHardeningNeeded => (false, false),
        IntelTcbStatus::ConfigurationNeeded | IntelTcbStatus::ConfigurationAndSWHardeningNeeded => (true, false),
        IntelTcbStatus::OutOfDate | IntelTcbStatus::TDRelaunchAdvised => (false, true),
        IntelTcbStatus::OutOfDateConfigurationNeeded | IntelTcbStatus::TDRelaunchAdvisedConfigurationNeeded => {
            (true, true)
        }
    };
    if configuration_needed && !rules.danger_configuration_needed {
        return Err(format!("{}: change the platform's BIOS settings as the advisories say", tcb.status));
    }
    require(!out_of_date || within_grace(rules.out_of_date_grace_days, tcb, claims), || {
        format!(
            "{} since {} and the grace is {} days: update the platform's firmware, then restart the guest",
            tcb.status, tcb.date, rules.out_of_date_grace_days
        )
    })
}

fn within_grace(days: u32, tcb: &IntelTcb, claims: &Claims) -> bool {
    const SECONDS_PER_DAY: u64 = 86_400;
    days > 0 && claims.verified_at.0 <= tcb.date.0.saturating_add(u64::from(days) * SECONDS_PER_DAY)
}

fn evaluation_number(policy: &Policy, claims: &Claims) -> Verdict {
    let Tcb::Intel(tcb) = &claims.tcb else { return Ok(()) };
    let minimum = policy.intel.min_evaluation_number;
    require(tcb.evaluation_number >= minimum, || {
        format!("the endorsements have evaluation number {}, below {minimum}: fetch newer ones", tcb.evaluation_number)
    })
}

fn tcb_floor(policy: &Policy, claims: &Claims) -> Verdict {
    let (Tcb::Amd(AmdTcb { reported, committed, .. }), Platform::Amd(platform)) = (&claims.tcb, &claims.platform)
    else {
        return Ok(());
    };
    let product = platform.product;
    let floor = policy.amd.floors.get(&product);
    let floor = floor.ok_or_else(|| format!("no floor is configured for {product}: take it from AMD's bulletins"))?;
    for (name, found) in [("reported", reported), ("committed", committed)] {
        if !found.reaches(&floor.minimum) {
            return Err(format!(
                "the {name} TCB of {product} is {found:?}, below {:?} ({}): update the platform's firmware and commit it",
                floor.minimum, floor.bulletin
            ));
        }
    }
    Ok(())
}

fn advisories(policy: &Policy, claims: &Claims) -> Verdict {
    let Tcb::Intel(tcb) = &claims.tcb else { return Ok(()) };
    let rules = &policy.intel;
    let unknown = tcb.advisories.iter().find(|advisory| !rules.advisories.contains(*advisory));
    match unknown {
        Some(advisory) if !rules.danger_any_advisory => {
            Err(format!("{advisory} applies and is not among the accepted advisories; status {}", tcb.status))
        }
        _ => Ok(()),
    }
}

fn revocation(policy: &Policy, claims: &Claims) -> Verdict {
    match (&claims.platform, claims.endorsed.revocation) {
        (Platform::Amd(_), Revocation::NotChecked) if !policy.danger_without_revocation => {
            Err("AMD's revocation list was not consulted: fetch it".to_owned())
        }
        (Platform::Intel(_), Revocation::NotChecked) => Err("Intel's revocation lists were not consulted".to_owned()),
        _ => Ok(()),
    }
}

fn endorsement_age(policy: &Policy, claims: &Claims) -> Verdict {
    let Some(max_seconds) = policy.max_endorsement_age_seconds else { return Ok(()) };
    let age_seconds = claims.verified_at.0.saturating_sub(claims.endorsed.fetched_at.0);
    require(age_seconds <= max_seconds, || {
        format!("the endorsements were fetched {age_seconds} seconds ago, more than {max_seconds}: fetch them anew")
    })
}

fn configuration(policy: &Policy, claims: &Claims) -> Verdict {
    match &claims.platform {
        Platform::Intel(intel) => {
            let rules = &policy.intel;
            let is = |flag: Option<bool>| flag == Some(true);
            require(policy.allow_smt || !is(intel.smt_enabled), || "simultaneous multithreading is on".to_owned())?;
            require(rules.allow_dynamic_platform || !is(intel.dynamic_platform), || {
                "the platform is dynamic".to_owned()
            })?;
            require(rules.allow_cached_keys || !is(intel.cached_keys), || {
                "platform keys are held by Intel".to_owned()
            })?;
            require(rules.sgx_types.contains(&intel.sgx_type), || {
                format!("memory protection {:?} is not accepted", intel.sgx_type)
            })
        }
        Platform::Amd(amd) => {
            let is_set = |bit: u32| amd.platform_info & (1 << bit) != 0;
            require(policy.allow_smt || !is_set(0), || "simultaneous multithreading is on".to_owned())?;
            // The bit exists since version 5 of the report; before, zero says nothing.
            require(claims.version < 5 || is_set(5) || policy.amd.danger_without_alias_check, || {
                "the platform did not finish the check for aliased memory: update its BIOS".to_owned()
            })?;
            require(!amd.mask_chip_key, || "the platform hides its chip id (MASK_CHIP_KEY)".to_owned())?;
            require(policy.amd.allow_vlek || amd.signing_key == AmdSigningKey::Vcek, || {
                "signed with a cloud provider's key (VLEK), not the chip's".to_owned()
            })
        }
        Platform::Nitro { .. } => Ok(()),
    }
}

fn attributes(policy: &Policy, claims: &Claims) -> Verdict {
    match &claims.code {
        Code::Tdx(code) => {
            const SEPT_VE_DISABLE: u64 = 1 << 28;
            let allowed = policy.intel.td_attributes.iter().fold(SEPT_VE_DISABLE, |mask, it| mask | 1 << it.bit());
            let excess = code.attributes & !allowed;
            require(excess == 0, || {
                let named = TdAttribute::ALL.into_iter().filter(|it| excess & (1 << it.bit()) != 0);
                let names: Vec<String> = named.map(|it| format!("{it:?}")).collect();
                format!("TD attributes {excess:#018x} [{}] are not accepted", names.join(", "))
            })
        }
        Code::Snp(code) => {
            let rules = &policy.amd;
            let is_set = |bit: u32| code.policy & (1 << bit) != 0;
            require(rules.report_versions.contains(&claims.version), || {
                format!("report version {} is not accepted", claims.version)
            })?;
            require(rules.vmpls.contains(&code.vmpl), || {
                format!("the report was asked for at privilege level (VMPL) {}", code.vmpl)
            })?;
            require(is_set(17), || "guest policy bit 17 must be set".to_owned())?;
            require(!is_set(18), || "the guest may be bound to a migration agent".to_owned())?;
            match &rules.author_keys {
                Some(keys) if !keys.contains(&code.author_key_digest) => {
                    Err(format!("author key {:#x} is not among the accepted ones", code.author_key_digest))
                }
                _ => Ok(()),
            }
        }
        Code::Sgx(_) | Code::Nitro(_) => Ok(()),
    }
}

fn platform(policy: &Policy, claims: &Claims) -> Verdict {
    let Some(accepted) = &policy.platforms else { return Ok(()) };
    let found: Vec<PlatformId> = match (&claims.platform, &claims.code) {
        (Platform::Intel(intel), _) => {
            let instance = intel.instance_id.map(PlatformId::IntelInstance);
            [PlatformId::IntelPpid(intel.ppid)].into_iter().chain(instance).collect()
        }
        // A masked chip id is the same for all machines and names none of them.
        (Platform::Amd(amd), _) if amd.chip_id.is_zero() => vec![],
        (Platform::Amd(amd), _) => vec![PlatformId::AmdChip(amd.chip_id)],
        (Platform::Nitro { .. }, Code::Nitro(code)) => {
            code.pcrs.get(&4).copied().map(PlatformId::AwsInstance).into_iter().collect()
        }
        (Platform::Nitro { .. }, _) => vec![],
    };
    require(found.iter().any(|id| accepted.contains(id)), || {
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        format!("the machine [{}] is not among the accepted ones", found.join(", "))
    })
}

fn evidence_age(policy: &Policy, claims: &Claims) -> Verdict {
    let Some(made_at) = claims.made_at else { return Ok(()) };
    let apart = claims.verified_at.0.abs_diff(made_at.0);
    let max_seconds = policy.nitro.max_age_seconds;
    require(apart <= max_seconds, || {
        format!("the evidence says it was made at {made_at}, {apart} seconds from now, more than {max_seconds}")
    })
}
