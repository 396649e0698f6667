//! Looks at a piece of evidence: what it says, what of it is authentic, and how each rule of a policy judges it.
//!
//! Judging is pure; what it needs is read by [`files`] and [`endorsements`], what it found is shown by [`text`] and [`json`].
//! Nothing here reaches for the network, and nothing that comes out opens a secret: without expected report data there is no
//! [`Verified`], only claims for people to read.

mod bits;
mod endorsements;
mod files;
mod json;
mod text;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use strongroom_attest::claims::{Code, TdxCode};
use strongroom_attest::error::EventLogFault;
use strongroom_attest::inspect::{Stated, inspect};
use strongroom_attest::measurement::{ApprovedImages, OsImageId};
use strongroom_attest::policy::{PolicyHash, Rule};
use strongroom_attest::{
    Claims, EndorsementFault, Endorsements, Evidence, EvidenceFault, ExpectedBinding, Measurement, PlatformKey, Policy,
    TrustAnchors, TrustDomain, Verified, VerifyError, event_log, verify,
};
use strongroom_protocol::UnixSeconds;

pub(crate) use self::files::{InspectError, read};
use crate::exit::Exit;

/// All that a judgement depends on.
pub(crate) struct Case {
    /// What is judged, and what it says.
    pub(crate) evidence: Evidence,
    pub(crate) stated: Stated,
    /// Sets of endorsements, in the order of their files.
    pub(crate) endorsements: Vec<Endorsements>,
    pub(crate) anchors: TrustAnchors,
    pub(crate) policy: Policy,
    /// Approved images, if a list was given.
    pub(crate) images: Option<ApprovedImages>,
    /// The report data that the evidence must carry, if it was given.
    pub(crate) expected: Option<[u8; 64]>,
    pub(crate) at: UnixSeconds,
}

/// What was found.
pub(crate) struct Inspection {
    evidence: Evidence,
    stated: Stated,
    /// Why the event log does not explain the registers.
    event_log_fault: Option<EventLogFault>,
    /// What is authentic, whatever it was made for.
    claims: Result<Claims, VerifyError>,
    binding: Binding,
    policy: PolicyHash,
    /// One for each rule; none for what is not authentic.
    verdicts: Vec<(Rule, Result<(), String>)>,
    image: Option<Image>,
    /// The strictest name of authentic code that may be registered.
    measurement: Option<Measurement>,
    simulated: bool,
    outcome: Outcome,
    at: UnixSeconds,
}

/// Whether the evidence was made for what was expected.
#[derive(Clone, Copy)]
enum Binding {
    /// Nothing was expected.
    NotChecked,
    /// What is not authentic was made for nothing.
    NotProven {
        expected: [u8; 64],
    },
    Matches,
    Differs {
        expected: [u8; 64],
    },
}

/// The operating-system image of an authentic TD.
struct Image {
    id: OsImageId,
    approval: Approval,
}

/// Whether the list of approved images has it.
enum Approval {
    /// No list was given.
    NotAsked,
    Absent,
    /// Under this name.
    As(String),
}

/// The answer in a word, with what decided it.
enum Outcome {
    Accepted,
    /// Not good enough, and trying again will not help.
    Refused(Reason),
    /// Other endorsements may allow a judgement.
    Undecided(Reason),
}

/// The first check that did not pass.
struct Reason {
    /// `evidence`, `endorsements`, `binding`, `image`, or the name of a rule.
    check: &'static str,
    message: String,
}

/// Judges.
pub(crate) fn judge(case: Case) -> Inspection {
    let Case { evidence, stated, endorsements, anchors, policy, images, expected, at } = case;
    let (claims, set) = authentic(&evidence, endorsements, &anchors, at);
    let bound = expected.map(|expected| verify(&evidence, &set, &ExpectedBinding::new(expected), &anchors, at));
    let event_log_fault = match (&stated.code, evidence.event_log()) {
        (Code::Tdx(code), Some(json)) => event_log::replay(json, &code.rtmrs).err(),
        _ => None,
    };
    let image = match claims.as_ref().map(|claims| &claims.code) {
        Ok(Code::Tdx(code)) => Some(image(code, images.as_ref())),
        _ => None,
    };
    let verdicts = claims.as_ref().map(|claims| policy.verdicts(claims)).unwrap_or_default();
    let outcome = if let Err(fault) = &claims {
        Outcome::of_fault(fault)
    } else {
        let of_policy = match &bound {
            Some(bound) => refusal_of_bound(bound, &policy),
            None => first_failure(&verdicts),
        };
        let refusal = of_policy.or_else(|| image.as_ref().and_then(Image::refusal));
        refusal.map_or(Outcome::Accepted, Outcome::Refused)
    };
    let binding = match (expected, &claims) {
        (None, _) => Binding::NotChecked,
        (Some(expected), Err(_)) => Binding::NotProven { expected },
        (Some(expected), Ok(claims)) if claims.report_data == expected => Binding::Matches,
        (Some(expected), Ok(_)) => Binding::Differs { expected },
    };
    let simulated = match &claims {
        Ok(claims) => claims.trust_domain != TrustDomain::Production,
        Err(_) => calls_itself_simulated(&evidence, &set),
    };
    Inspection {
        measurement: claims.as_ref().ok().and_then(Measurement::of),
        policy: policy.hash(),
        evidence,
        stated,
        event_log_fault,
        claims,
        binding,
        verdicts,
        image,
        simulated,
        outcome,
        at,
    }
}

/// The claims under the first set of endorsements that serves, and that set; else the most telling fault.
fn authentic(
    evidence: &Evidence,
    mut sets: Vec<Endorsements>,
    anchors: &TrustAnchors,
    at: UnixSeconds,
) -> (Result<Claims, VerifyError>, Endorsements) {
    if let Ok(Some(platform)) = PlatformKey::of_evidence(evidence) {
        let names_it =
            |set: &Endorsements| PlatformKey::of_endorsements(set).is_ok_and(|of| of.as_ref() == Some(&platform));
        if sets.iter().any(names_it) {
            sets.retain(names_it);
        }
    }
    if sets.is_empty() {
        sets.push(Endorsements::NotNeeded);
    }
    let mut telling: Option<(VerifyError, Endorsements)> = None;
    for set in sets {
        match inspect(evidence, &set, anchors, at) {
            Ok(unbound) => return (Ok(unbound.claims().clone()), set),
            Err(fault) if telling.as_ref().is_none_or(|(so_far, _)| is_of_another(so_far)) => {
                telling = Some((fault, set));
            }
            Err(_) => (),
        }
    }
    let (fault, set) = telling.expect("there was at least one set");
    (Err(fault), set)
}

/// Whether the fault only says that these endorsements have nothing to do with the evidence.
fn is_of_another(fault: &VerifyError) -> bool {
    matches!(fault, VerifyError::Endorsements(EndorsementFault::ForAnother(_) | EndorsementFault::Missing(_)))
}

fn image(code: &TdxCode, images: Option<&ApprovedImages>) -> Image {
    let approval = match images.map(|images| images.find(code)) {
        None => Approval::NotAsked,
        Some(None) => Approval::Absent,
        Some(Some(image)) => Approval::As(image.name.clone()),
    };
    Image { id: OsImageId::of(code), approval }
}

impl Image {
    fn refusal(&self) -> Option<Reason> {
        let message = format!("the image {} is not approved for this machine's shape (RTMR0)", self.id);
        matches!(self.approval, Approval::Absent).then_some(Reason { check: "image", message })
    }
}

/// Why evidence that was to carry given report data is refused: the way of every release, from proof to proof.
fn refusal_of_bound(bound: &Result<Verified, VerifyError>, policy: &Policy) -> Option<Reason> {
    match bound {
        Err(fault) => Some(Reason::of_fault(fault)),
        Ok(verified) => {
            let refusal = policy.evaluate(verified).err()?;
            Some(Reason { check: refusal.rule.as_str(), message: refusal.reason })
        }
    }
}

/// The first rule that fails, for evidence of which nobody said what it should have been made for.
fn first_failure(verdicts: &[(Rule, Result<(), String>)]) -> Option<Reason> {
    verdicts.iter().find_map(|(rule, verdict)| {
        let message = verdict.clone().err()?;
        Some(Reason { check: rule.as_str(), message })
    })
}

impl Reason {
    fn of_fault(fault: &VerifyError) -> Self {
        let check = match fault {
            VerifyError::Evidence(EvidenceFault::Binding) => "binding",
            VerifyError::Evidence(_) => "evidence",
            VerifyError::Endorsements(_) => "endorsements",
        };
        Self { check, message: fault.to_string() }
    }
}

impl Outcome {
    fn of_fault(fault: &VerifyError) -> Self {
        let reason = Reason::of_fault(fault);
        match fault {
            // Which roots are trusted is our decision: no other endorsements of the same vendor will change it.
            VerifyError::Evidence(_) | VerifyError::Endorsements(EndorsementFault::UnknownRoot(_)) => {
                Self::Refused(reason)
            }
            VerifyError::Endorsements(
                EndorsementFault::Missing(_)
                | EndorsementFault::Stale { .. }
                | EndorsementFault::NotYetValid { .. }
                | EndorsementFault::TooLarge { .. }
                | EndorsementFault::ForAnother(_)
                | EndorsementFault::Invalid { .. },
            ) => Self::Undecided(reason),
        }
    }

    fn as_str(&self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused(_) => "refused",
            Self::Undecided(_) => "undecided",
        }
    }

    fn reason(&self) -> Option<&Reason> {
        match self {
            Self::Accepted => None,
            Self::Refused(reason) | Self::Undecided(reason) => Some(reason),
        }
    }
}

impl Inspection {
    /// How the program ends.
    pub(crate) fn exit(&self) -> Exit {
        match self.outcome {
            Outcome::Accepted => Exit::Done,
            Outcome::Refused(_) => Exit::Refused,
            Outcome::Undecided(_) => Exit::Trouble,
        }
    }
}

/// Whether a certificate in or beside the evidence has the mark that simulators put into every name. Only a hint for people,
/// for evidence that is not authentic: what is trusted follows from the root.
fn calls_itself_simulated(evidence: &Evidence, set: &Endorsements) -> bool {
    const MARK: &[u8] = b"SIMULATED";
    let marked = |bytes: &[u8]| bytes.windows(MARK.len()).any(|window| window == MARK);
    let document = evidence.document();
    let pem = document.windows(5).position(|window| window == b"-----").map_or(&[][..], |start| &document[start..]);
    let beside = match set {
        Endorsements::Amd(amd) => marked(amd.vek()) || marked(amd.intermediate()),
        Endorsements::Intel(_) | Endorsements::NotNeeded => false,
    };
    beside || marked(document) || CertificateDer::pem_slice_iter(pem).flatten().any(|der| marked(&der))
}
