//! Sets as files: what the cache keeps between runs and what an operator imports where there is no network. The Intel form is
//! the JSON in which Intel's tools and verification libraries keep a set, with `fetched_at` added; that of AMD is
//! `{"vek": hex, "intermediate": hex, "crl": hex or null, "fetched_at": seconds}`.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use strongroom_attest::endorsements::{AmdEndorsements, IntelEndorsements, IntelParts, MAX_ENDORSEMENT_BYTES};
use strongroom_attest::{EndorsementFault, Endorsements, PlatformKey};
use strongroom_protocol::UnixSeconds;

use crate::amd::AmdParts;

/// Hex doubles the bytes.
const MAX_FILE_BYTES: u64 = 3 * MAX_ENDORSEMENT_BYTES as u64;

/// Why a file does not serve.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// Cannot be read or written.
    #[error("cannot access {path}")]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Not one of the two forms.
    #[error("{path} is not a set of endorsements")]
    NotASet {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// One of the two forms with content that cannot be used.
    #[error("{path} cannot be used")]
    Refused {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: EndorsementFault,
    },
}

/// A set with the text that keeps it.
pub(crate) struct Filed {
    pub(crate) set: Endorsements,
    json: String,
}

#[derive(Serialize, Deserialize)]
struct IntelFile {
    pck_crl_issuer_chain: String,
    #[serde(with = "hex::serde")]
    root_ca_crl: Vec<u8>,
    #[serde(with = "hex::serde")]
    pck_crl: Vec<u8>,
    tcb_info_issuer_chain: String,
    tcb_info: String,
    #[serde(with = "hex::serde")]
    tcb_info_signature: Vec<u8>,
    qe_identity_issuer_chain: String,
    qe_identity: String,
    #[serde(with = "hex::serde")]
    qe_identity_signature: Vec<u8>,
    /// Absent in files that others wrote: the date of issue stands for it.
    #[serde(default)]
    fetched_at: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AmdFile {
    #[serde(with = "hex::serde")]
    vek: Vec<u8>,
    #[serde(with = "hex::serde")]
    intermediate: Vec<u8>,
    #[serde(default, with = "optional_hex")]
    crl: Option<Vec<u8>>,
    fetched_at: u64,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum AnyFile {
    Intel(Box<IntelFile>),
    Amd(AmdFile),
}

impl Filed {
    pub(crate) fn intel(parts: IntelParts, fetched_at: UnixSeconds) -> Result<Self, EndorsementFault> {
        let file = IntelFile {
            pck_crl_issuer_chain: parts.pck_crl_issuer_chain,
            root_ca_crl: parts.root_ca_crl,
            pck_crl: parts.pck_crl,
            tcb_info_issuer_chain: parts.tcb_info_issuer_chain,
            tcb_info: parts.tcb_info,
            tcb_info_signature: parts.tcb_info_signature,
            qe_identity_issuer_chain: parts.qe_identity_issuer_chain,
            qe_identity: parts.qe_identity,
            qe_identity_signature: parts.qe_identity_signature,
            fetched_at: Some(fetched_at.0),
        };
        let json = to_json(&file);
        Ok(Self { set: file.into_set()?, json })
    }

    pub(crate) fn amd(parts: AmdParts, fetched_at: UnixSeconds) -> Result<Self, EndorsementFault> {
        let AmdParts { vek, intermediate, crl } = parts;
        let file = AmdFile { vek, intermediate, crl: Some(crl), fetched_at: fetched_at.0 };
        let json = to_json(&file);
        Ok(Self { set: file.into_set()?, json })
    }

    /// Reads one file.
    pub(crate) fn read(path: &Path) -> Result<Self, FileError> {
        let io = |source| FileError::Io { path: path.to_owned(), source };
        let refused = |source| FileError::Refused { path: path.to_owned(), source };
        if fs::metadata(path).map_err(io)?.len() > MAX_FILE_BYTES {
            return Err(io(io::Error::other("larger than any set")));
        }
        let json = fs::read_to_string(path).map_err(io)?;
        let file: AnyFile =
            serde_json::from_str(&json).map_err(|source| FileError::NotASet { path: path.to_owned(), source })?;
        let set = match file {
            AnyFile::Intel(intel) => intel.into_set(),
            AnyFile::Amd(amd) => amd.into_set(),
        };
        Ok(Self { set: set.map_err(refused)?, json })
    }

    /// Writes the set into `folder` under the platform's name. The old file stands until the new one is on disk.
    pub(crate) fn keep(&self, folder: &Path, key: &PlatformKey) -> Result<(), FileError> {
        let path = folder.join(format!("{key}.json"));
        let io = |source| FileError::Io { path: path.clone(), source };
        fs::create_dir_all(folder).map_err(io)?;
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(io)?;
        file.write_all(self.json.as_bytes()).map_err(io)?;
        file.as_file().sync_all().map_err(io)?;
        file.persist(&path).map_err(|error| io(error.error))?;
        Ok(())
    }
}

impl IntelFile {
    fn into_set(self) -> Result<Endorsements, EndorsementFault> {
        let fetched_at = match self.fetched_at {
            Some(seconds) => UnixSeconds(seconds),
            None => issue_date(&self.tcb_info)?,
        };
        let parts = IntelParts {
            pck_crl_issuer_chain: self.pck_crl_issuer_chain,
            root_ca_crl: self.root_ca_crl,
            pck_crl: self.pck_crl,
            tcb_info_issuer_chain: self.tcb_info_issuer_chain,
            tcb_info: self.tcb_info,
            tcb_info_signature: self.tcb_info_signature,
            qe_identity_issuer_chain: self.qe_identity_issuer_chain,
            qe_identity: self.qe_identity,
            qe_identity_signature: self.qe_identity_signature,
        };
        IntelEndorsements::new(parts, fetched_at).map(Endorsements::Intel)
    }
}

impl AmdFile {
    fn into_set(self) -> Result<Endorsements, EndorsementFault> {
        AmdEndorsements::new(self.vek, self.intermediate, self.crl, UnixSeconds(self.fetched_at)).map(Endorsements::Amd)
    }
}

/// A set cannot have been fetched before it was issued; nothing later is known of it.
fn issue_date(tcb_info: &str) -> Result<UnixSeconds, EndorsementFault> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Issued {
        issue_date: jiff::Timestamp,
    }
    let issued: Issued = serde_json::from_str(tcb_info)
        .map_err(|error| EndorsementFault::Invalid { what: "TCB info", detail: error.to_string() })?;
    Ok(UnixSeconds(u64::try_from(issued.issue_date.as_second()).unwrap_or_default()))
}

fn to_json(file: &impl Serialize) -> String {
    serde_json::to_string(file).expect("structs of strings and numbers always serialise")
}

/// The JSON files of a folder in order of their names, or the one file.
pub(crate) fn json_files(path: &Path) -> Result<Vec<PathBuf>, FileError> {
    let io = |source| FileError::Io { path: path.to_owned(), source };
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let entries = fs::read_dir(path).map_err(io)?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>().map_err(io)?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    Ok(paths)
}

/// Hex or null.
mod optional_hex {
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    // serde hands over a reference to the field, whatever its type.
    #[expect(clippy::ref_option, reason = "the signature is serde's")]
    pub(super) fn serialize<S: Serializer>(bytes: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
        match bytes {
            Some(bytes) => serializer.serialize_some(&hex::encode(bytes)),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<u8>>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| hex::decode(text).map_err(de::Error::custom)).transpose()
    }
}
