//! Where an enclave gets its evidence from: the first source of [`SourcePaths`] that is there, in a fixed order.
//! Each gives evidence over 64 bytes of report data that the enclave chose.

mod coco;
mod dstack;
mod gramine;
mod tsm;

use std::path::{Path, PathBuf};

use url::Url;

/// Evidence as the guest hands it on: opaque here, judged by the service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestEvidence {
    /// `sgx`, `tdx` or `snp`.
    pub kind: &'static str,
    /// Quote or report.
    pub document: Vec<u8>,
    /// Event log of a TDX guest: JSON text.
    pub event_log: Option<String>,
}

/// Why there is no evidence.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// No source is there.
    #[error("this machine offers no evidence: none of {tried} exists; run inside an enclave or next to a simulator")]
    NoSource {
        /// What was looked for.
        tried: String,
    },
    /// The source is there and fails.
    #[error("evidence source {source_name} failed: {reason}")]
    Failed {
        /// Which source.
        source_name: String,
        /// Why.
        reason: String,
    },
}

impl EvidenceError {
    fn failed(source_name: impl std::fmt::Display, reason: impl std::fmt::Display) -> Self {
        Self::Failed { source_name: source_name.to_string(), reason: reason.to_string() }
    }
}

/// Where the sources would be. The defaults are those of the platforms.
#[derive(Clone, Debug)]
pub struct SourcePaths {
    /// Sockets of a dstack guest agent (a simulator answers on the same kind of socket), newest name first.
    pub dstack_sockets: Vec<PathBuf>,
    /// Address of a confidential-containers attestation agent, asked only when set: a port says nothing by existing.
    pub coco: Option<Url>,
    /// configfs-tsm (Linux 6.7 on).
    pub tsm: PathBuf,
    /// Gramine's attestation files.
    pub gramine: PathBuf,
}

impl Default for SourcePaths {
    fn default() -> Self {
        Self {
            dstack_sockets: vec!["/var/run/dstack.sock".into(), "/var/run/tappd.sock".into()],
            coco: None,
            tsm: "/sys/kernel/config/tsm/report".into(),
            gramine: "/dev/attestation".into(),
        }
    }
}

/// One place that makes evidence.
#[derive(Clone, Debug)]
pub enum EvidenceSource {
    /// A dstack guest agent, or a simulator in its shape.
    Dstack(PathBuf),
    /// A confidential-containers attestation agent.
    Coco(Url),
    /// The kernel's own interface.
    Tsm(PathBuf),
    /// Gramine's files.
    Gramine(PathBuf),
}

impl EvidenceSource {
    /// The first source that is there.
    pub fn probe(paths: &SourcePaths) -> Result<Self, EvidenceError> {
        if let Some(socket) = paths.dstack_sockets.iter().find(|socket| socket.exists()) {
            return Ok(Self::Dstack(socket.clone()));
        }
        if let Some(coco) = &paths.coco {
            return Ok(Self::Coco(coco.clone()));
        }
        if paths.tsm.is_dir() {
            return Ok(Self::Tsm(paths.tsm.clone()));
        }
        if paths.gramine.join("attestation_type").exists() {
            return Ok(Self::Gramine(paths.gramine.clone()));
        }
        let shown = |path: &Path| path.display().to_string();
        let mut tried: Vec<_> = paths.dstack_sockets.iter().map(|path| shown(path)).collect();
        tried.extend([shown(&paths.tsm), shown(&paths.gramine)]);
        Err(EvidenceError::NoSource { tried: tried.join(", ") })
    }

    /// Makes evidence over `report_data`.
    pub async fn evidence(&self, report_data: [u8; 64]) -> Result<GuestEvidence, EvidenceError> {
        match self {
            Self::Dstack(socket) => dstack::evidence(socket, report_data).await,
            Self::Coco(agent) => coco::evidence(agent, report_data).await,
            Self::Tsm(folder) => tsm::evidence(folder, report_data).await,
            Self::Gramine(folder) => gramine::evidence(folder, report_data).await,
        }
    }

    /// Measures an event into the guest's run-time register, where the source can; the app's image is measured so.
    pub async fn measure(&self, event: &str, payload: &[u8]) -> Result<(), EvidenceError> {
        match self {
            Self::Dstack(socket) => dstack::emit_event(socket, event, payload).await,
            Self::Coco(agent) => coco::emit_event(agent, event, payload).await,
            Self::Tsm(_) | Self::Gramine(_) => {
                Err(EvidenceError::failed(self, "cannot measure events; use a guest image with an agent"))
            }
        }
    }
}

impl std::fmt::Display for EvidenceSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Dstack(path) | Self::Tsm(path) | Self::Gramine(path) => path.display().fmt(f),
            Self::Coco(url) => url.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(folder: &Path) -> SourcePaths {
        SourcePaths {
            dstack_sockets: vec![folder.join("dstack.sock"), folder.join("tappd.sock")],
            coco: None,
            tsm: folder.join("tsm"),
            gramine: folder.join("attestation"),
        }
    }

    #[test]
    fn sources_are_probed_in_the_documented_order() {
        let folder = tempfile::tempdir().unwrap();
        let paths = paths(folder.path());
        let nothing = EvidenceSource::probe(&paths).unwrap_err();
        assert!(nothing.to_string().contains("dstack.sock"), "{nothing}");

        std::fs::create_dir(&paths.gramine).unwrap();
        assert!(EvidenceSource::probe(&paths).is_err(), "the folder alone is not Gramine");
        std::fs::write(paths.gramine.join("attestation_type"), "dcap").unwrap();
        assert!(matches!(EvidenceSource::probe(&paths), Ok(EvidenceSource::Gramine(_))));
        std::fs::create_dir(&paths.tsm).unwrap();
        assert!(matches!(EvidenceSource::probe(&paths), Ok(EvidenceSource::Tsm(_))));
        let with_coco = SourcePaths { coco: Some("http://127.0.0.1:8006".parse().unwrap()), ..paths.clone() };
        assert!(matches!(EvidenceSource::probe(&with_coco), Ok(EvidenceSource::Coco(_))));
        std::fs::write(&paths.dstack_sockets[1], "").unwrap();
        assert!(
            matches!(EvidenceSource::probe(&with_coco), Ok(EvidenceSource::Dstack(path)) if path.ends_with("tappd.sock"))
        );
        std::fs::write(&paths.dstack_sockets[0], "").unwrap();
        assert!(
            matches!(EvidenceSource::probe(&with_coco), Ok(EvidenceSource::Dstack(path)) if path.ends_with("dstack.sock"))
        );
    }
}
