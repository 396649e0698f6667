//! Gramine's attestation files inside an SGX enclave.

use std::path::Path;

use super::{EvidenceError, GuestEvidence};

/// Writes `user_report_data`, reads `quote`.
pub(super) async fn evidence(folder: &Path, report_data: [u8; 64]) -> Result<GuestEvidence, EvidenceError> {
    let failed = |reason: &dyn std::fmt::Display| EvidenceError::failed(folder.display(), reason);
    let kind = tokio::fs::read_to_string(folder.join("attestation_type")).await.map_err(|error| failed(&error))?;
    if kind.trim() != "dcap" {
        return Err(failed(&format!("attestation type {:?} is not dcap; set sgx.remote_attestation", kind.trim())));
    }
    tokio::fs::write(folder.join("user_report_data"), report_data).await.map_err(|error| failed(&error))?;
    let document = tokio::fs::read(folder.join("quote")).await.map_err(|error| failed(&error))?;
    Ok(GuestEvidence { kind: "sgx", document, event_log: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_quote_is_read_after_the_report_data_was_written() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("attestation_type"), "dcap\n").unwrap();
        std::fs::write(folder.path().join("quote"), b"quote").unwrap();
        let evidence = evidence(folder.path(), [7; 64]).await.unwrap();
        assert_eq!(evidence, GuestEvidence { kind: "sgx", document: b"quote".to_vec(), event_log: None });
        assert_eq!(std::fs::read(folder.path().join("user_report_data")).unwrap(), [7; 64]);
    }

    #[tokio::test]
    async fn without_remote_attestation_the_error_says_what_to_set() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("attestation_type"), "none").unwrap();
        let error = evidence(folder.path(), [7; 64]).await.unwrap_err();
        assert!(error.to_string().contains("sgx.remote_attestation"), "{error}");
    }
}
