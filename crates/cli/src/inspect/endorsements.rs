//! Endorsements from files: Intel's and AMD's sets as JSON, in the forms in which the service keeps them, and AMD's certificates
//! and revocation lists as they come from the key server, DER or PEM.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer};
use serde::Deserialize;
use strongroom_attest::Endorsements;
use strongroom_attest::endorsements::{AmdEndorsements, IntelEndorsements, IntelParts};
use strongroom_protocol::UnixSeconds;

use super::files::{InspectError, endorsement_file, is_json};

/// Endings of the files that are read from a folder.
const ENDINGS: [&str; 6] = ["json", "pem", "crt", "cer", "der", "crl"];
/// Most files read from a folder.
const MAX_FILES: usize = 1024;

/// The sets in a file, or in the files of a folder in order of their names.
///
/// `fetched_at` stands above what the files say. Without either, a set of Intel's counts as fetched when its TCB info was
/// issued, which is the earliest possible; certificates of AMD's count as fetched in 1970, since nobody knows.
pub(super) fn read(path: &Path, fetched_at: Option<UnixSeconds>) -> Result<Vec<Endorsements>, InspectError> {
    let mut sets = Vec::new();
    let mut certificates = Vec::new();
    for file in files(path)? {
        let bytes = endorsement_file(&file)?;
        if is_json(&bytes) {
            sets.push(json_set(&file, &bytes, fetched_at)?);
        } else if bytes.windows(11).any(|window| window == b"-----BEGIN ") {
            certificates.extend(pem(&file, &bytes)?);
        } else if bytes.first() == Some(&0x30) {
            certificates.push(bytes);
        } else {
            let source = "it is neither JSON nor PEM nor DER".into();
            return Err(InspectError::NotEndorsements { path: file, source });
        }
    }
    if certificates.is_empty() {
        return Ok(sets);
    }
    let of_amd = AmdEndorsements::assemble(&certificates, fetched_at.unwrap_or_default())
        .map_err(|source| InspectError::Endorsements { path: path.to_owned(), source })?;
    if of_amd.is_empty() {
        return Err(InspectError::NoChip { path: path.to_owned() });
    }
    sets.extend(of_amd.into_iter().map(Endorsements::Amd));
    Ok(sets)
}

fn files(path: &Path) -> Result<Vec<PathBuf>, InspectError> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let unreadable = |source| InspectError::Unreadable { path: path.to_owned(), source };
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.path();
        let ending = file.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        if ENDINGS.contains(&ending) && file.is_file() {
            files.push(file);
        }
        if files.len() > MAX_FILES {
            return Err(InspectError::TooManyFiles { path: path.to_owned(), max: MAX_FILES });
        }
    }
    files.sort();
    Ok(files)
}

/// AMD's set is told from Intel's by its members.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AmdSet {
    #[serde(with = "hex::serde")]
    vek: Vec<u8>,
    #[serde(with = "hex::serde")]
    intermediate: Vec<u8>,
    #[serde(default)]
    crl: Option<String>,
    #[serde(default)]
    fetched_at: Option<u64>,
}

/// What is asked of a JSON file before it is known whose it is.
#[derive(Deserialize)]
struct AnySet {
    #[serde(default)]
    vek: Option<serde::de::IgnoredAny>,
    #[serde(default)]
    fetched_at: Option<u64>,
    #[serde(default)]
    tcb_info: Option<String>,
}

fn json_set(path: &Path, json: &[u8], fetched_at: Option<UnixSeconds>) -> Result<Endorsements, InspectError> {
    let not_a_set = |source| InspectError::NotEndorsements { path: path.to_owned(), source };
    let unusable = |source| InspectError::Endorsements { path: path.to_owned(), source };
    let any: AnySet = serde_json::from_slice(json).map_err(|error| not_a_set(error.into()))?;
    if any.vek.is_some() {
        let set: AmdSet = serde_json::from_slice(json).map_err(|error| not_a_set(error.into()))?;
        let crl = set.crl.map(hex::decode).transpose().map_err(|error| not_a_set(error.into()))?;
        let fetched_at = fetched_at.or(set.fetched_at.map(UnixSeconds)).unwrap_or_default();
        let set = AmdEndorsements::new(set.vek, set.intermediate, crl, fetched_at).map_err(unusable)?;
        return Ok(Endorsements::Amd(set));
    }
    let parts = IntelParts::from_json(json).map_err(unusable)?;
    let issued_at = || any.tcb_info.as_deref().and_then(issue_date).unwrap_or_default();
    let fetched_at = fetched_at.or(any.fetched_at.map(UnixSeconds)).unwrap_or_else(issued_at);
    IntelEndorsements::new(parts, fetched_at).map(Endorsements::Intel).map_err(unusable)
}

/// When Intel issued the TCB info. The set's own parser refuses one without a date.
fn issue_date(tcb_info: &str) -> Option<UnixSeconds> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Issued {
        issue_date: String,
    }
    let issued: Issued = serde_json::from_str(tcb_info).ok()?;
    let seconds = issued.issue_date.parse::<Timestamp>().ok()?.as_second();
    u64::try_from(seconds).ok().map(UnixSeconds)
}

fn pem(path: &Path, text: &[u8]) -> Result<Vec<Vec<u8>>, InspectError> {
    let wrong = |error: rustls::pki_types::pem::Error| InspectError::NotEndorsements {
        path: path.to_owned(),
        source: error.to_string().into(),
    };
    let mut documents = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(text) {
        documents.push(certificate.map_err(wrong)?.to_vec());
    }
    for list in CertificateRevocationListDer::pem_slice_iter(text) {
        documents.push(list.map_err(wrong)?.to_vec());
    }
    if documents.is_empty() {
        let source = "there is neither a certificate nor a revocation list in it".into();
        return Err(InspectError::NotEndorsements { path: path.to_owned(), source });
    }
    Ok(documents)
}
