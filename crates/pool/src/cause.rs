//! Why a task was not done, in the words that schedulers and workers of the network have always used, so that tools which
//! know them understand ours. Pure.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

macro_rules! causes {
    ($($name:ident)*) => {
        /// One word of the network's list of causes (iexec-common `ReplicateStatusCause`).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[allow(missing_docs, non_camel_case_types, clippy::upper_case_acronyms)] // the names are the documentation
        pub enum Cause { $($name),* }

        impl Cause {
            /// The word itself.
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name)),* }
            }

            /// Reads a word of the list, as stages report it.
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $(stringify!($name) => Some(Self::$name),)* _ => None }
            }
        }
    };
}

causes! {
    CHAIN_UNREACHABLE BLOCK_NOT_REACHED STAKE_TOO_LOW OUT_OF_GAS TASK_NOT_ACTIVE TASK_DESCRIPTION_INVALID
    TASK_DESCRIPTION_NOT_FOUND CONTRIBUTION_ALREADY_SET CONSENSUS_REACHED CHAIN_RECEIPT_NOT_VALID CONSENSUS_BLOCK_MISSING
    APP_IMAGE_DOWNLOAD_FAILED INPUT_FILES_DOWNLOAD_FAILED DATASET_FILE_DOWNLOAD_FAILED DATASET_FILE_BAD_CHECKSUM
    TEE_SESSION_GENERATION_INVALID_AUTHORIZATION
    TEE_SESSION_GENERATION_EXECUTION_NOT_AUTHORIZED_EMPTY_PARAMS_UNAUTHORIZED
    TEE_SESSION_GENERATION_EXECUTION_NOT_AUTHORIZED_NO_MATCH_ONCHAIN_TYPE
    TEE_SESSION_GENERATION_EXECUTION_NOT_AUTHORIZED_GET_CHAIN_TASK_FAILED
    TEE_SESSION_GENERATION_EXECUTION_NOT_AUTHORIZED_TASK_NOT_ACTIVE
    TEE_SESSION_GENERATION_EXECUTION_NOT_AUTHORIZED_GET_CHAIN_DEAL_FAILED
    TEE_SESSION_GENERATION_EXECUTION_NOT_AUTHORIZED_INVALID_SIGNATURE
    TEE_SESSION_GENERATION_GET_SIGNATURE_TOKENS_FAILED_EMPTY_WORKER_ADDRESS
    TEE_SESSION_GENERATION_GET_SIGNATURE_TOKENS_FAILED_EMPTY_PUBLIC_ENCLAVE_CHALLENGE
    TEE_SESSION_GENERATION_GET_SIGNATURE_TOKENS_FAILED_EMPTY_TEE_CHALLENGE
    TEE_SESSION_GENERATION_GET_SIGNATURE_TOKENS_FAILED_EMPTY_TEE_CREDENTIALS
    TEE_SESSION_GENERATION_PRE_COMPUTE_GET_DATASET_SECRET_FAILED
    TEE_SESSION_GENERATION_APP_COMPUTE_NO_ENCLAVE_CONFIG
    TEE_SESSION_GENERATION_APP_COMPUTE_INVALID_ENCLAVE_CONFIG
    TEE_SESSION_GENERATION_POST_COMPUTE_GET_ENCRYPTION_TOKENS_FAILED_EMPTY_BENEFICIARY_KEY
    TEE_SESSION_GENERATION_POST_COMPUTE_GET_STORAGE_TOKENS_FAILED
    TEE_SESSION_GENERATION_SECURE_SESSION_STORAGE_CALL_FAILED
    TEE_SESSION_GENERATION_SECURE_SESSION_GENERATION_FAILED
    TEE_SESSION_GENERATION_SECURE_SESSION_NO_TEE_FRAMEWORK
    TEE_SESSION_GENERATION_GET_TASK_DESCRIPTION_FAILED
    TEE_SESSION_GENERATION_NO_SESSION_REQUEST
    TEE_SESSION_GENERATION_NO_TASK_DESCRIPTION
    TEE_SESSION_GENERATION_UNKNOWN_ISSUE
    APP_NOT_FOUND_LOCALLY APP_COMPUTE_FAILED APP_COMPUTE_TIMEOUT
    PRE_COMPUTE_MISSING_ENCLAVE_CONFIGURATION PRE_COMPUTE_INVALID_ENCLAVE_CONFIGURATION
    PRE_COMPUTE_INVALID_ENCLAVE_HEAP_CONFIGURATION PRE_COMPUTE_IMAGE_MISSING PRE_COMPUTE_TASK_ID_MISSING
    PRE_COMPUTE_EXIT_REPORTING_FAILED PRE_COMPUTE_TIMEOUT
    PRE_COMPUTE_WORKER_ADDRESS_MISSING PRE_COMPUTE_TEE_CHALLENGE_PRIVATE_KEY_MISSING PRE_COMPUTE_INVALID_TEE_SIGNATURE
    PRE_COMPUTE_OUTPUT_PATH_MISSING PRE_COMPUTE_IS_DATASET_REQUIRED_MISSING PRE_COMPUTE_DATASET_URL_MISSING
    PRE_COMPUTE_DATASET_KEY_MISSING PRE_COMPUTE_DATASET_CHECKSUM_MISSING PRE_COMPUTE_DATASET_FILENAME_MISSING
    PRE_COMPUTE_INPUT_FILES_NUMBER_MISSING PRE_COMPUTE_AT_LEAST_ONE_INPUT_FILE_URL_MISSING
    PRE_COMPUTE_OUTPUT_FOLDER_NOT_FOUND PRE_COMPUTE_DATASET_DOWNLOAD_FAILED PRE_COMPUTE_INVALID_DATASET_CHECKSUM
    PRE_COMPUTE_DATASET_DECRYPTION_FAILED PRE_COMPUTE_SAVING_PLAIN_DATASET_FAILED PRE_COMPUTE_INPUT_FILE_DOWNLOAD_FAILED
    PRE_COMPUTE_FAILED_UNKNOWN_ISSUE
    POST_COMPUTE_IMAGE_MISSING POST_COMPUTE_TASK_ID_MISSING POST_COMPUTE_EXIT_REPORTING_FAILED POST_COMPUTE_TIMEOUT
    POST_COMPUTE_WORKER_ADDRESS_MISSING POST_COMPUTE_TEE_CHALLENGE_PRIVATE_KEY_MISSING POST_COMPUTE_INVALID_TEE_SIGNATURE
    POST_COMPUTE_ENCRYPTION_PUBLIC_KEY_MISSING POST_COMPUTE_MALFORMED_ENCRYPTION_PUBLIC_KEY POST_COMPUTE_ENCRYPTION_FAILED
    POST_COMPUTE_STORAGE_TOKEN_MISSING POST_COMPUTE_COMPUTED_FILE_NOT_FOUND
    POST_COMPUTE_RESULT_DIGEST_COMPUTATION_FAILED POST_COMPUTE_OUT_FOLDER_ZIP_FAILED
    POST_COMPUTE_TOO_LONG_RESULT_FILE_NAME POST_COMPUTE_RESULT_FILE_NOT_FOUND POST_COMPUTE_DROPBOX_UPLOAD_FAILED
    POST_COMPUTE_IPFS_UPLOAD_FAILED POST_COMPUTE_SEND_COMPUTED_FILE_FAILED POST_COMPUTE_FAILED_UNKNOWN_ISSUE
    TEE_NOT_SUPPORTED DETERMINISM_HASH_NOT_FOUND ENCLAVE_SIGNATURE_NOT_FOUND WORKERPOOL_AUTHORIZATION_NOT_FOUND
    RESULT_LINK_MISSING TRUST_NOT_1 TASK_ALREADY_CONTRIBUTED CONTRIBUTION_TIMEOUT REVEAL_TIMEOUT
    TEE_PREPARATION_FAILED UNKNOWN_SMS GET_TEE_SERVICES_CONFIGURATION_FAILED ABORTED_BY_WORKER CANNOT_REVEAL UNKNOWN
}

impl Cause {
    /// The cause of a session that an SMS refused with this error name.
    pub fn of_session_error(name: &str) -> Self {
        Self::from_name(&format!("TEE_SESSION_GENERATION_{name}")).unwrap_or(Self::TEE_SESSION_GENERATION_UNKNOWN_ISSUE)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Cause {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Cause {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::from_name(&name).ok_or_else(|| serde::de::Error::custom("not a cause of the network's list"))
    }
}

/// Longest message kept with a cause, in characters: what enclaves report comes from strangers.
const MAX_MESSAGE_CHARS: usize = 500;

/// Why a task failed: a word for machines, a sentence for people. Never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// The word.
    pub cause: Cause,
    /// The sentence.
    pub message: String,
}

impl Failure {
    /// A failure; control characters of the message are replaced and what is too long is cut.
    pub fn new(cause: Cause, message: impl AsRef<str>) -> Self {
        let printable = |c: char| if c.is_control() { ' ' } else { c };
        Self { cause, message: message.as_ref().chars().map(printable).take(MAX_MESSAGE_CHARS).collect() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.cause, self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_written_and_read_by_their_old_names() {
        let cause = Cause::PRE_COMPUTE_INVALID_DATASET_CHECKSUM;
        assert_eq!(serde_json::to_string(&cause).unwrap(), "\"PRE_COMPUTE_INVALID_DATASET_CHECKSUM\"");
        assert_eq!(Cause::from_name(cause.name()), Some(cause));
        assert_eq!(Cause::from_name("PRE_COMPUTE_SOMETHING_ELSE"), None);
    }

    #[test]
    fn errors_of_sessions_have_causes_and_unknown_ones_are_an_unknown_issue() {
        let known = Cause::of_session_error("PRE_COMPUTE_GET_DATASET_SECRET_FAILED");
        assert_eq!(known, Cause::TEE_SESSION_GENERATION_PRE_COMPUTE_GET_DATASET_SECRET_FAILED);
        assert_eq!(Cause::of_session_error("NEW"), Cause::TEE_SESSION_GENERATION_UNKNOWN_ISSUE);
    }

    #[test]
    fn messages_of_strangers_are_cut_and_cannot_steer_a_terminal() {
        let failure = Failure::new(Cause::UNKNOWN, format!("\u{1b}[2J{}", "x".repeat(10_000)));
        assert_eq!(failure.message.chars().count(), MAX_MESSAGE_CHARS);
        assert!(!failure.message.contains('\u{1b}'));
    }
}
