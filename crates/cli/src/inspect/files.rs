//! Reads what a judgement depends on. Sizes are checked before anything is parsed; formats are told apart by what is in a file,
//! not by its name.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use strongroom_attest::endorsements::MAX_ENDORSEMENT_BYTES;
use strongroom_attest::evidence::{MAX_ENVELOPE_BYTES, MAX_EVENT_LOG_BYTES};
use strongroom_attest::inspect::Stated;
use strongroom_attest::measurement::{ApprovedImage, ApprovedImages};
use strongroom_attest::{EndorsementFault, Evidence, EvidenceFault, EvidenceKind, Policy, TrustAnchors};
use strongroom_protocol::UnixSeconds;

use super::{Case, endorsements};
use crate::arguments::Inspect;

/// Largest policy or list of images, in bytes.
const MAX_RULES_BYTES: usize = 1024 * 1024;
/// Hex doubles the bytes of endorsements, names and other members come on top.
const MAX_ENDORSEMENT_FILE_BYTES: usize = 3 * MAX_ENDORSEMENT_BYTES;

/// Why nothing can be judged: something that was given cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InspectError {
    /// A file or folder cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Larger than anything of its sort.
    #[error("{} is larger than {max_bytes} bytes and cannot be what it should be", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The most that is read.
        max_bytes: usize,
    },
    /// None of the known structures.
    #[error("{} is neither an evidence envelope nor an SGX or TDX quote, a SEV-SNP report or a Nitro document", path.display())]
    Unrecognised {
        /// The file.
        path: PathBuf,
    },
    /// Not in the format of its kind.
    #[error("{} is not well-formed {kind} evidence", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What it was taken for.
        kind: &'static str,
        /// What is wrong.
        #[source]
        source: EvidenceFault,
    },
    /// The envelope says another kind than the command line.
    #[error("{} says that it is {found} evidence, and --kind says {given}", path.display())]
    OtherKind {
        /// The file.
        path: PathBuf,
        /// In the envelope.
        found: EvidenceKind,
        /// On the command line.
        given: EvidenceKind,
    },
    /// The event log of the envelope and another one.
    #[error("{} already has an event log", path.display())]
    TwoEventLogs {
        /// The envelope.
        path: PathBuf,
    },
    /// The event log cannot go with the evidence.
    #[error("the event log {} cannot be used", path.display())]
    EventLog {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: EvidenceFault,
    },
    /// A file of endorsements in no known form.
    #[error("{} is not a set of endorsements", path.display())]
    NotEndorsements {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Endorsements with content that cannot be used.
    #[error("the endorsements in {} cannot be used", path.display())]
    Endorsements {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: EndorsementFault,
    },
    /// Certificates that do not make a set.
    #[error("the certificates in {} are not a VCEK or VLEK with the one that issued it", path.display())]
    NoChip {
        /// The file or folder.
        path: PathBuf,
    },
    /// More files than anybody keeps.
    #[error("{} has more than {max} files of endorsements", path.display())]
    TooManyFiles {
        /// The folder.
        path: PathBuf,
        /// The most that are read.
        max: usize,
    },
    /// A policy that cannot be read.
    #[error("{} is not a policy", path.display())]
    Policy {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        #[source]
        source: RulesError,
    },
    /// A list of images that cannot be read.
    #[error("{} is not a list of approved images", path.display())]
    Images {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        #[source]
        source: RulesError,
    },
    /// A root whose file name does not say whose it is.
    #[cfg(feature = "development-anchors")]
    #[error("{} is not named after a vendor", path.display())]
    RootName {
        /// The file.
        path: PathBuf,
    },
}

/// What is wrong with a policy or list.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RulesError {
    #[error("it is not text")]
    NotText,
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    #[error(transparent)]
    Toml(#[from] Box<toml::de::Error>),
}

/// Reads everything that `arguments` name.
pub(crate) fn read(arguments: &Inspect, now: UnixSeconds) -> Result<Case, InspectError> {
    let evidence = evidence(arguments)?;
    let malformed =
        |source| InspectError::Malformed { path: arguments.file.clone(), kind: evidence.kind().as_str(), source };
    let stated = Stated::of(&evidence).map_err(malformed)?;
    let endorsements = match &arguments.endorsements {
        Some(path) if evidence.kind() != EvidenceKind::Nitro => endorsements::read(path, arguments.fetched_at)?,
        _ => Vec::new(),
    };
    let policy = match &arguments.policy {
        Some(path) => rules(path, |path, source| InspectError::Policy { path, source })?,
        None => Policy::production(),
    };
    let images = match &arguments.images {
        Some(path) => {
            let list: ImageList = rules(path, |path, source| InspectError::Images { path, source })?;
            Some(list.images.into_iter().collect::<ApprovedImages>())
        }
        None => None,
    };
    Ok(Case {
        evidence,
        stated,
        endorsements,
        anchors: anchors(arguments)?,
        policy,
        images,
        expected: arguments.report_data,
        at: arguments.at.unwrap_or(now),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ImageList {
    images: Vec<ApprovedImage>,
}

fn evidence(arguments: &Inspect) -> Result<Evidence, InspectError> {
    let path = &arguments.file;
    let bytes = contents(path, MAX_ENVELOPE_BYTES)?;
    let malformed = |kind| move |source| InspectError::Malformed { path: path.clone(), kind, source };
    let evidence = if is_json(&bytes) {
        let evidence = Evidence::from_json(&bytes).map_err(malformed("enveloped"))?;
        match arguments.kind {
            Some(given) if given != evidence.kind() => {
                return Err(InspectError::OtherKind { path: path.clone(), found: evidence.kind(), given });
            }
            _ => evidence,
        }
    } else {
        let kind = arguments.kind.or_else(|| kind_of(&bytes));
        let kind = kind.ok_or_else(|| InspectError::Unrecognised { path: path.clone() })?;
        Evidence::new(kind, bytes).map_err(malformed(kind.as_str()))?
    };
    match &arguments.event_log {
        None => Ok(evidence),
        Some(_) if evidence.event_log().is_some() => Err(InspectError::TwoEventLogs { path: path.clone() }),
        Some(log) => {
            let json = contents(log, MAX_EVENT_LOG_BYTES)?;
            evidence.with_event_log(json).map_err(|source| InspectError::EventLog { path: log.clone(), source })
        }
    }
}

/// Which kind of document this looks like, by its first bytes: quotes begin with version and key type (16 bits each) and the
/// type of enclave, reports with a version of 32 bits, Nitro documents with a CBOR array of four, tagged or not.
fn kind_of(document: &[u8]) -> Option<EvidenceKind> {
    match document {
        [0x84, 0x44, ..] | [0xd2, 0x84, ..] => Some(EvidenceKind::Nitro),
        [2 | 3 | 5, 0, 0, 0, ..] => Some(EvidenceKind::Snp),
        [3..=5, 0, _, _, 0x00, 0, 0, 0, ..] => Some(EvidenceKind::Sgx),
        [3..=5, 0, _, _, 0x81, 0, 0, 0, ..] => Some(EvidenceKind::Tdx),
        _ => None,
    }
}

/// TOML or JSON.
fn rules<T: DeserializeOwned>(
    path: &Path,
    wrong: impl FnOnce(PathBuf, RulesError) -> InspectError,
) -> Result<T, InspectError> {
    let bytes = contents(path, MAX_RULES_BYTES)?;
    let parsed = match str::from_utf8(&bytes) {
        Err(_) => Err(RulesError::NotText),
        Ok(_) if is_json(&bytes) => serde_json::from_slice(&bytes).map_err(RulesError::from),
        Ok(text) => toml::from_str(text).map_err(|error| RulesError::from(Box::new(error))),
    };
    parsed.map_err(|source| wrong(path.to_owned(), source))
}

/// Whether the first thing in it is a JSON object.
pub(super) fn is_json(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().starts_with(b"{")
}

/// A file of endorsements.
pub(super) fn endorsement_file(path: &Path) -> Result<Vec<u8>, InspectError> {
    contents(path, MAX_ENDORSEMENT_FILE_BYTES)
}

/// All of a file, unless it is larger than it may be.
fn contents(path: &Path, max_bytes: usize) -> Result<Vec<u8>, InspectError> {
    let unreadable = |source| InspectError::Unreadable { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(max_bytes as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > max_bytes {
        return Err(InspectError::TooLarge { path: path.to_owned(), max_bytes });
    }
    Ok(bytes)
}

#[cfg(not(feature = "development-anchors"))]
#[expect(clippy::unnecessary_wraps, reason = "development builds read files here")]
fn anchors(_: &Inspect) -> Result<TrustAnchors, InspectError> {
    Ok(TrustAnchors::production())
}

/// Roots are told apart by the names under which `strongroom-simulator roots` writes them.
#[cfg(feature = "development-anchors")]
fn anchors(arguments: &Inspect) -> Result<TrustAnchors, InspectError> {
    use strongroom_attest::AmdProduct;
    use strongroom_attest::anchors::DevelopmentAnchors;

    let name = "simulator".to_owned();
    let mut roots = DevelopmentAnchors { name, intel_root: None, amd_roots: Vec::new(), aws_root: None };
    for path in &arguments.root {
        let der = endorsement_file(path)?;
        match path.file_stem().and_then(|stem| stem.to_str()) {
            Some("intel") => roots.intel_root = Some(der),
            Some("amd-milan") => roots.amd_roots.push((AmdProduct::Milan, der)),
            Some("amd-genoa") => roots.amd_roots.push((AmdProduct::Genoa, der)),
            Some("amd-turin") => roots.amd_roots.push((AmdProduct::Turin, der)),
            Some("aws") => roots.aws_root = Some(der),
            _ => return Err(InspectError::RootName { path: path.clone() }),
        }
    }
    Ok(TrustAnchors::with_development(roots))
}

#[cfg(test)]
mod tests {
    use super::*;

    macro_rules! testdata {
        ($file:literal) => {
            include_bytes!(concat!("../../../attest/testdata/", $file)).as_slice()
        };
    }

    #[test]
    fn real_documents_are_told_apart_by_their_first_eight_bytes() {
        for (document, kind) in [
            (testdata!("intel/sgx_quote.bin"), EvidenceKind::Sgx),
            (testdata!("intel/tdx_quote.bin"), EvidenceKind::Tdx),
            (testdata!("intel/tdx_quote_td15ex.bin"), EvidenceKind::Tdx),
            (testdata!("snp/milan_report.bin"), EvidenceKind::Snp),
            (testdata!("snp/azure_report.bin"), EvidenceKind::Snp),
            (testdata!("nitro/document.cose"), EvidenceKind::Nitro),
        ] {
            assert_eq!(kind_of(document), Some(kind));
            assert_eq!(kind_of(&document[..8]), Some(kind));
        }
        for other in [&b""[..], b"\x04", b"quote", b"040002008100", testdata!("snp/milan_vcek.der")] {
            assert_eq!(kind_of(other), None);
        }
    }
}
