//! `computed.json`: what an app says about its result, and what is told to the worker about it.

use serde::{Deserialize, Serialize};

/// Largest file that is read, in bytes. Data for a callback stands in it as hex.
pub const MAX_COMPUTED_BYTES: usize = 1024 * 1024;

/// The file, as app and post-compute write it. Unknown members are ignored, absent ones are null.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct ComputedFile {
    /// Absolute path, inside the enclave, of the file or folder whose digest is the result's. By the app.
    pub deterministic_output_path: Option<String>,
    /// Bytes for the callback as hex with `0x`. By the app, for deals with a callback.
    pub callback_data: Option<String>,
    /// Carried along.
    pub error_message: Option<String>,
    /// By post-compute.
    pub task_id: Option<String>,
    /// By post-compute.
    pub result_digest: Option<String>,
    /// By post-compute.
    pub enclave_signature: Option<String>,
}

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ComputedError {
    /// Too large.
    #[error("computed.json is larger than {MAX_COMPUTED_BYTES} bytes")]
    TooLarge,
    /// Not what it should be.
    #[error("computed.json is not understood; the app must write {{\"deterministic-output-path\": \"/iexec_out/…\"}}")]
    Malformed(#[source] serde_json::Error),
}

impl ComputedFile {
    /// Reads the file of an app.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ComputedError> {
        if bytes.len() > MAX_COMPUTED_BYTES {
            return Err(ComputedError::TooLarge);
        }
        serde_json::from_slice(bytes).map_err(ComputedError::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_app_writes_is_read_and_what_is_absent_is_written_as_null() {
        let read =
            ComputedFile::from_bytes(br#"{"deterministic-output-path":"/iexec_out/result.txt","more":1}"#).unwrap();
        assert_eq!(read.deterministic_output_path.as_deref(), Some("/iexec_out/result.txt"));
        let written = serde_json::to_string(&read).unwrap();
        assert_eq!(
            written,
            r#"{"deterministic-output-path":"/iexec_out/result.txt","callback-data":null,"error-message":null,"task-id":null,"result-digest":null,"enclave-signature":null}"#
        );
        assert!(matches!(ComputedFile::from_bytes(b"{\"callback-data\":1}"), Err(ComputedError::Malformed(_))));
        assert!(matches!(ComputedFile::from_bytes(&vec![b' '; MAX_COMPUTED_BYTES + 1]), Err(ComputedError::TooLarge)));
    }
}
