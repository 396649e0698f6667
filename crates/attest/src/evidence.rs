//! Evidence as it arrives: a tag, the vendor's document, and for TDX an event log. Sizes are checked before anything is parsed.
//!
//! The tag is the sender's claim and decides only which single verifier looks at the document; that verifier refuses a
//! document of another kind. Nothing here is authenticated yet.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};

use crate::error::EvidenceFault;

/// Largest SGX or TDX quote, in bytes. The largest real one seen is 8,000 bytes with padding.
pub const MAX_QUOTE_BYTES: usize = 16 * 1024;
/// Size of a SEV-SNP report, in bytes: always the same.
pub const SNP_REPORT_BYTES: usize = 1184;
/// Largest Nitro attestation document, in bytes.
pub const MAX_NITRO_BYTES: usize = 16 * 1024;
/// Largest TDX event log, in bytes of JSON.
pub const MAX_EVENT_LOG_BYTES: usize = 1024 * 1024;
/// Most events in a TDX event log.
pub const MAX_EVENTS: usize = 4096;
/// Largest JSON envelope, in bytes: room for a log whose quotes are all escaped.
pub const MAX_ENVELOPE_BYTES: usize = 2 * MAX_EVENT_LOG_BYTES + 2 * MAX_QUOTE_BYTES;

/// Which vendor's format the evidence is in. Written `sgx`, `tdx`, `snp`, `nitro`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EvidenceKind {
    /// Intel SGX: a DCAP quote, version 3.
    Sgx,
    /// Intel TDX: a DCAP quote, version 4 or 5, with an optional event log.
    Tdx,
    /// AMD SEV-SNP: an attestation report of 1,184 bytes.
    Snp,
    /// AWS Nitro Enclaves: a signed CBOR document.
    Nitro,
}

impl EvidenceKind {
    /// All kinds, for tables and tests.
    pub const ALL: [Self; 4] = [Self::Sgx, Self::Tdx, Self::Snp, Self::Nitro];

    /// The tag as written in envelopes, policies and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sgx => "sgx",
            Self::Tdx => "tdx",
            Self::Snp => "snp",
            Self::Nitro => "nitro",
        }
    }

    /// Most bytes a document of this kind may have.
    pub const fn max_document_bytes(self) -> usize {
        match self {
            Self::Sgx | Self::Tdx => MAX_QUOTE_BYTES,
            Self::Snp => SNP_REPORT_BYTES,
            Self::Nitro => MAX_NITRO_BYTES,
        }
    }
}

impl fmt::Display for EvidenceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for EvidenceKind {
    type Err = EvidenceFault;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or(EvidenceFault::UnknownKind)
    }
}

/// Tagged evidence whose sizes are within the caps. Not verified: only [`verify`](crate::verify()) says what it is worth.
#[derive(Clone, PartialEq, Eq)]
pub struct Evidence {
    kind: EvidenceKind,
    document: Vec<u8>,
    event_log: Option<Vec<u8>>,
}

impl Evidence {
    /// Takes the vendor's document as received: quote, report or signed document.
    ///
    /// Fails if it is empty, larger than the kind allows or, for SEV-SNP, not exactly as long as a report is.
    pub fn new(kind: EvidenceKind, document: Vec<u8>) -> Result<Self, EvidenceFault> {
        let max = kind.max_document_bytes();
        if document.is_empty() {
            return Err(EvidenceFault::Empty);
        }
        if document.len() > max {
            return Err(EvidenceFault::TooLarge { what: kind.as_str(), size_bytes: document.len(), max_bytes: max });
        }
        if kind == EvidenceKind::Snp && document.len() != SNP_REPORT_BYTES {
            return Err(EvidenceFault::Truncated { what: "SEV-SNP report" });
        }
        Ok(Self { kind, document, event_log: None })
    }

    /// Adds the event log that explains the run-time registers of a TDX quote: JSON text as the guest agent gives it.
    ///
    /// Fails for any other kind of evidence, and for a log above [`MAX_EVENT_LOG_BYTES`].
    pub fn with_event_log(mut self, json: Vec<u8>) -> Result<Self, EvidenceFault> {
        if self.kind != EvidenceKind::Tdx {
            return Err(EvidenceFault::UnexpectedEventLog { kind: self.kind });
        }
        if json.len() > MAX_EVENT_LOG_BYTES {
            return Err(EvidenceFault::TooLarge {
                what: "event log",
                size_bytes: json.len(),
                max_bytes: MAX_EVENT_LOG_BYTES,
            });
        }
        self.event_log = Some(json);
        Ok(self)
    }

    /// Reads the JSON envelope `{"kind": "tdx", "document": "<base64>", "event_log": "<JSON as text>"}`; `event_log` may be
    /// absent or null. Unknown and repeated members are refused.
    pub fn from_json(envelope: &[u8]) -> Result<Self, EvidenceFault> {
        if envelope.len() > MAX_ENVELOPE_BYTES {
            return Err(EvidenceFault::TooLarge {
                what: "envelope",
                size_bytes: envelope.len(),
                max_bytes: MAX_ENVELOPE_BYTES,
            });
        }
        let envelope: Envelope = serde_json::from_slice(envelope).map_err(|_| EvidenceFault::Malformed("envelope"))?;
        let kind: EvidenceKind = envelope.kind.parse()?;
        // Decoding yields three bytes for every four characters, so the cap on the text bounds the memory used.
        if envelope.document.len() > kind.max_document_bytes().div_ceil(3) * 4 {
            return Err(EvidenceFault::TooLarge {
                what: kind.as_str(),
                size_bytes: envelope.document.len() / 4 * 3,
                max_bytes: kind.max_document_bytes(),
            });
        }
        let document =
            BASE64.decode(envelope.document).map_err(|_| EvidenceFault::Malformed("base64 of the document"))?;
        let evidence = Self::new(kind, document)?;
        match envelope.event_log {
            Some(log) => evidence.with_event_log(log.into_bytes()),
            None => Ok(evidence),
        }
    }

    /// Writes the envelope that [`Evidence::from_json`] reads.
    ///
    /// An event log that is not UTF-8 (no verifier accepts one) is written with replacement characters.
    pub fn to_json(&self) -> Vec<u8> {
        let envelope = Envelope {
            kind: self.kind.as_str().to_owned(),
            document: BASE64.encode(&self.document),
            event_log: self.event_log.as_deref().map(|log| String::from_utf8_lossy(log).into_owned()),
        };
        serde_json::to_vec(&envelope).expect("a struct of three strings always serialises")
    }

    /// What the sender says it is.
    pub fn kind(&self) -> EvidenceKind {
        self.kind
    }

    /// The vendor's document, as received.
    pub fn document(&self) -> &[u8] {
        &self.document
    }

    /// The TDX event log as received, if there is one.
    pub fn event_log(&self) -> Option<&[u8]> {
        self.event_log.as_deref()
    }
}

impl fmt::Debug for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Evidence")
            .field("kind", &self.kind)
            .field("document_bytes", &self.document.len())
            .field("event_log_bytes", &self.event_log.as_ref().map(Vec::len))
            .finish()
    }
}

/// The JSON form. `kind` stays text here so that an unknown one has its own error.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    kind: String,
    document: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    event_log: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_refused_before_parsing_when_empty_or_above_its_cap() {
        for kind in EvidenceKind::ALL {
            let max = kind.max_document_bytes();
            assert_eq!(Evidence::new(kind, vec![]), Err(EvidenceFault::Empty));
            assert!(Evidence::new(kind, vec![0; max]).is_ok(), "{kind} at the cap");
            assert_eq!(
                Evidence::new(kind, vec![0; max + 1]),
                Err(EvidenceFault::TooLarge { what: kind.as_str(), size_bytes: max + 1, max_bytes: max })
            );
        }
    }

    #[test]
    fn an_snp_report_has_exactly_one_length() {
        assert_eq!(
            Evidence::new(EvidenceKind::Snp, vec![0; SNP_REPORT_BYTES - 1]),
            Err(EvidenceFault::Truncated { what: "SEV-SNP report" })
        );
    }

    #[test]
    fn only_tdx_takes_an_event_log_and_only_up_to_the_cap() {
        for kind in [EvidenceKind::Sgx, EvidenceKind::Nitro] {
            let evidence = Evidence::new(kind, vec![1]).unwrap();
            assert_eq!(evidence.with_event_log(vec![]), Err(EvidenceFault::UnexpectedEventLog { kind }));
        }
        let tdx = Evidence::new(EvidenceKind::Tdx, vec![1]).unwrap();
        assert!(tdx.clone().with_event_log(vec![b' '; MAX_EVENT_LOG_BYTES]).is_ok());
        assert!(matches!(
            tdx.with_event_log(vec![b' '; MAX_EVENT_LOG_BYTES + 1]),
            Err(EvidenceFault::TooLarge { what: "event log", .. })
        ));
    }

    #[test]
    fn the_envelope_survives_a_round_trip() {
        let evidence =
            Evidence::new(EvidenceKind::Tdx, vec![0, 1, 255]).unwrap().with_event_log(b"[]".to_vec()).unwrap();
        assert_eq!(evidence.to_json(), br#"{"kind":"tdx","document":"AAH/","event_log":"[]"}"#);
        assert_eq!(Evidence::from_json(&evidence.to_json()), Ok(evidence));
    }

    #[test]
    fn an_envelope_with_unknown_repeated_or_oversized_members_is_refused() {
        let malformed = Err(EvidenceFault::Malformed("envelope"));
        assert_eq!(Evidence::from_json(br#"{"kind":"sgx","document":"AA==","root":"x"}"#), malformed);
        assert_eq!(Evidence::from_json(br#"{"kind":"sgx","kind":"tdx","document":"AA=="}"#), malformed);
        assert_eq!(Evidence::from_json(br#"{"kind":"sgx","document":"AA=="} x"#), malformed);
        assert_eq!(Evidence::from_json(br#"{"kind":"tpm","document":"AA=="}"#), Err(EvidenceFault::UnknownKind));
        assert_eq!(
            Evidence::from_json(br#"{"kind":"sgx","document":"A"}"#),
            Err(EvidenceFault::Malformed("base64 of the document"))
        );
        let bomb = format!(r#"{{"kind":"nitro","document":"{}"}}"#, "A".repeat(40_000));
        assert!(matches!(Evidence::from_json(bomb.as_bytes()), Err(EvidenceFault::TooLarge { what: "nitro", .. })));
        assert!(matches!(
            Evidence::from_json(&vec![b' '; MAX_ENVELOPE_BYTES + 1]),
            Err(EvidenceFault::TooLarge { what: "envelope", .. })
        ));
    }
}
