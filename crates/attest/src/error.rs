//! Why evidence was not verified. Two families, because their remedies differ: an [`EvidenceFault`] will not go away, an
//! [`EndorsementFault`] may once fresh endorsements are there. Both deny.
//!
//! Messages name the check that failed and public values only; they are for the operator's log. Callers over a network get a
//! generic refusal.

use strongroom_protocol::UnixSeconds;

use crate::evidence::EvidenceKind;
pub use crate::intel::event_log::EventLogFault;

/// Why [`verify`](crate::verify()) refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The evidence itself is bad; sending it again will not help.
    #[error(transparent)]
    Evidence(#[from] EvidenceFault),
    /// The endorsements at hand do not serve to judge it: absent, expired, damaged or for another platform. Worth a retry
    /// after they were fetched anew.
    #[error(transparent)]
    Endorsements(#[from] EndorsementFault),
}

impl VerifyError {
    /// Whether the same evidence may be accepted later, with other endorsements.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Endorsements(_))
    }
}

/// What is wrong with the evidence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceFault {
    /// No bytes at all.
    #[error("the evidence is empty")]
    Empty,
    /// The tag names no kind of evidence known here.
    #[error("the evidence tag is unknown; use sgx, tdx, snp or nitro")]
    UnknownKind,
    /// Above the cap that is checked before parsing.
    #[error("the {what} has {size_bytes} bytes, more than the {max_bytes} allowed")]
    TooLarge {
        /// Which part.
        what: &'static str,
        /// Its size.
        size_bytes: usize,
        /// The cap.
        max_bytes: usize,
    },
    /// An event log next to evidence that has none.
    #[error("{kind} evidence has no event log")]
    UnexpectedEventLog {
        /// Tag of the evidence.
        kind: EvidenceKind,
    },
    /// Ends before the structure does, or is not as long as the structure is.
    #[error("the {what} is cut short or has a wrong length")]
    Truncated {
        /// Which structure.
        what: &'static str,
    },
    /// Bytes after the end of the structure.
    #[error("the {0} has bytes after its end")]
    TrailingBytes(&'static str),
    /// Not in the format it claims.
    #[error("the {0} is malformed")]
    Malformed(&'static str),
    /// A version of the format that is not accepted for this kind of evidence.
    #[error("version {version} of the {what} is not supported")]
    UnsupportedVersion {
        /// Which structure.
        what: &'static str,
        /// Version found.
        version: u32,
    },
    /// A field that selects a format or an algorithm has a value that is not accepted.
    #[error("{field} is {found}, which is not supported")]
    Unsupported {
        /// Name of the field.
        field: &'static str,
        /// Value found.
        found: u64,
    },
    /// The document is of another kind than its tag says.
    #[error("the document is not {kind} evidence as its tag says")]
    WrongKind {
        /// The tag.
        kind: EvidenceKind,
    },
    /// A signature over the evidence does not verify.
    #[error("the signature of the {0} is invalid")]
    Signature(&'static str),
    /// The certificates do not lead to an accepted root, or one is expired, revoked or not fit for its place.
    #[error("the certificate chain is not acceptable: {0}")]
    Chain(String),
    /// A certificate carries a name or value that contradicts its place or the document.
    #[error("the certificate's {0} does not fit")]
    Certificate(&'static str),
    /// The enclave or guest was launched in debug mode.
    #[error("the enclave is in debug mode; its memory can be read from outside")]
    Debug,
    /// An attribute that must be set or clear is not.
    #[error("attribute {0} is not acceptable")]
    Attribute(&'static str),
    /// Two parts of the evidence, or evidence and certificate, contradict each other.
    #[error("{0} disagree")]
    Disagreement(&'static str),
    /// The vendor's verification refused; the text is its reason.
    #[error("verification failed: {0}")]
    Rejected(String),
    /// The event log does not explain the quote's registers or breaks its own rules.
    #[error("the event log is not acceptable: {0}")]
    EventLog(EventLogFault),
    /// Authentic, but made for other report data than expected.
    #[error("the evidence was made for another session, key or purpose")]
    Binding,
}

/// What is wrong with the endorsements.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndorsementFault {
    /// None of the needed type were given.
    #[error("{0} are needed to judge this evidence and were not given")]
    Missing(&'static str),
    /// Past their end.
    #[error("the {what} expired at {valid_until}, before {now}")]
    Stale {
        /// Which part.
        what: &'static str,
        /// Last second of validity.
        valid_until: UnixSeconds,
        /// Time of verification.
        now: UnixSeconds,
    },
    /// Before their beginning.
    #[error("the {what} is not valid before {valid_from}, and it is {now}")]
    NotYetValid {
        /// Which part.
        what: &'static str,
        /// First second of validity.
        valid_from: UnixSeconds,
        /// Time of verification.
        now: UnixSeconds,
    },
    /// Above the cap that is checked before parsing.
    #[error("the {what} has {size_bytes} bytes, more than the {max_bytes} allowed")]
    TooLarge {
        /// Which part.
        what: &'static str,
        /// Its size.
        size_bytes: usize,
        /// The cap.
        max_bytes: usize,
    },
    /// Authentic or not, they speak of another platform, product or kind of enclave.
    #[error("the endorsements are for another {0}")]
    ForAnother(&'static str),
    /// Their root is none of the configured anchors.
    #[error("the {0} does not lead to a configured root")]
    UnknownRoot(&'static str),
    /// Damaged, or their signature does not verify.
    #[error("the {what} is not valid: {detail}")]
    Invalid {
        /// Which part.
        what: &'static str,
        /// Reason.
        detail: String,
    },
}
