//! The stage after the app: reads what it says about its result, computes the digest, signs it, packs and encrypts the files, puts them
//! where the deal wants them, and tells the worker.

use std::fs::File;
use std::io::Seek;
use std::path::Path;

use rustix::fs::MemfdFlags;
use strongroom_client::Way;
use strongroom_content::archive::{Archive, ArchiveError};
use strongroom_content::computed::ComputedFile;
use strongroom_content::digest;
use strongroom_content::result::{self, BeneficiaryKey, rand_core};
use strongroom_protocol::B256;
use strongroom_protocol::contribution::contribution_message;

use crate::report::{self, StageFailure};
use crate::result_files::{self, DigestError};
use crate::upload::{DROPBOX, Upload};
use crate::values::{Signer, Values};

/// Where the app leaves its result.
pub(crate) const OUT: &str = "/iexec_out";
const NO_COMPUTED_FILE: &str = "POST_COMPUTE_COMPUTED_FILE_NOT_FOUND";
const NO_DIGEST: &str = "POST_COMPUTE_RESULT_DIGEST_COMPUTATION_FAILED";

/// Runs the stage over what the app left in `out`.
pub(crate) async fn run(values: &Values, signer: &Signer, way: &Way, out: &Path) -> Result<(), StageFailure> {
    let mut computed = read_computed(out)?;
    let callback = values.is_true("RESULT_STORAGE_CALLBACK");
    let digest = if callback { callback_digest(&mut computed)? } else { file_digest(out, &computed)? };
    let signature = signer.key.sign(contribution_message(signer.worker, signer.task, digest)).to_string();
    if !callback {
        let archive = pack(values, out)?;
        let upload = Upload {
            task: signer.task,
            archive: &archive,
            token: values.text("RESULT_STORAGE_TOKEN").ok_or_else(|| {
                StageFailure::new("POST_COMPUTE_STORAGE_TOKEN_MISSING", "no token for the upload was given")
            })?,
            digest,
            enclave_signature: &signature,
        };
        match values.text("RESULT_STORAGE_PROVIDER") {
            Some("dropbox") => upload.to_dropbox(way, DROPBOX).await?,
            // Empty and unknown ones mean IPFS, as always.
            _ => upload.to_proxy(way, values.text("RESULT_STORAGE_PROXY").unwrap_or_default()).await?,
        }
    }
    computed.task_id = Some(signer.task.to_string());
    computed.result_digest = Some(format!("{digest:#x}"));
    computed.enclave_signature = Some(signature);
    report::computed(way, signer, &computed)
        .await
        .map_err(|_| StageFailure::new("POST_COMPUTE_SEND_COMPUTED_FILE_FAILED", "the worker did not take the result"))
}

fn read_computed(out: &Path) -> Result<ComputedFile, StageFailure> {
    let path = out.join("computed.json");
    let failed = |message: &dyn std::fmt::Display| StageFailure::new(NO_COMPUTED_FILE, message);
    let metadata = std::fs::symlink_metadata(&path).map_err(|_| failed(&"the app wrote no computed.json"))?;
    if !metadata.is_file() {
        return Err(failed(&"computed.json is no file"));
    }
    if metadata.len() > strongroom_content::computed::MAX_COMPUTED_BYTES as u64 {
        return Err(failed(&"computed.json is too large"));
    }
    let bytes = std::fs::read(&path).map_err(|error| failed(&error))?;
    ComputedFile::from_bytes(&bytes).map_err(|error| failed(&error))
}

/// The digest of what the app wants to be handed to the callback. Its text gets the one form that everybody reads.
fn callback_digest(computed: &mut ComputedFile) -> Result<B256, StageFailure> {
    let failed = |message: &str| StageFailure::new(NO_DIGEST, message);
    let text = computed.callback_data.as_deref().ok_or_else(|| failed("the app wrote no callback-data"))?;
    let data = hex::decode(text.strip_prefix("0x").unwrap_or(text))
        .map_err(|_| failed("callback-data is not hex; the app must write 0x and hex digits"))?;
    if data.is_empty() {
        return Err(failed("callback-data is empty"));
    }
    computed.callback_data = Some(format!("0x{}", hex::encode(&data)));
    Ok(digest::callback(&data))
}

fn file_digest(out: &Path, computed: &ComputedFile) -> Result<B256, StageFailure> {
    let path = computed
        .deterministic_output_path
        .as_deref()
        .ok_or_else(|| StageFailure::new(NO_DIGEST, "computed.json has no deterministic-output-path"))?;
    result_files::digest_of(out, path).map_err(|error| {
        let cause = match error {
            DigestError::Absent(_) | DigestError::Outside(_) => "POST_COMPUTE_RESULT_FILE_NOT_FOUND",
            DigestError::Empty(_) | DigestError::Io(_) => NO_DIGEST,
        };
        StageFailure::new(cause, error)
    })
}

/// The archive, encrypted if the deal asks for it, in memory alone.
fn pack(values: &Values, out: &Path) -> Result<File, StageFailure> {
    let failed = |error: ArchiveError| {
        let cause = match error {
            ArchiveError::NameTooLong { .. } => "POST_COMPUTE_TOO_LONG_RESULT_FILE_NAME",
            ArchiveError::Io(_) => "POST_COMPUTE_OUT_FOLDER_ZIP_FAILED",
        };
        StageFailure::new(cause, error)
    };
    let mut archive = Archive::new(in_memory().map_err(ArchiveError::Io).map_err(failed)?);
    result_files::archive(out, &mut archive).map_err(failed)?;
    let mut plain = archive.finish().map_err(failed)?;
    if !values.is_true("RESULT_ENCRYPTION") {
        return Ok(plain);
    }
    let key = values.bytes("RESULT_ENCRYPTION_PUBLIC_KEY").ok_or_else(|| {
        StageFailure::new("POST_COMPUTE_ENCRYPTION_PUBLIC_KEY_MISSING", "the beneficiary has pushed no key for results")
    })?;
    let key = BeneficiaryKey::from_text(key)
        .map_err(|error| StageFailure::new("POST_COMPUTE_MALFORMED_ENCRYPTION_PUBLIC_KEY", error))?;
    let not_encrypted = |error: &dyn std::fmt::Display| StageFailure::new("POST_COMPUTE_ENCRYPTION_FAILED", error);
    plain.rewind().map_err(|error| not_encrypted(&error))?;
    let target = in_memory().map_err(|error| not_encrypted(&error))?;
    result::encrypt(plain, &key, &mut rand_core::OsRng, target).map_err(|error| not_encrypted(&error))
}

fn in_memory() -> std::io::Result<File> {
    Ok(rustix::fs::memfd_create("result", MemfdFlags::CLOEXEC)?.into())
}

#[cfg(test)]
mod tests;
