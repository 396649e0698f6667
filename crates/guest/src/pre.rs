//! The stage before the app: fetches datasets and input files, checks them, opens what is encrypted. All errors are collected, as the
//! network's pre-compute does; one is enough to fail the task.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use strongroom_client::Way;
use strongroom_content::cid::Cid;
use strongroom_content::dataset::{self, DatasetError, DatasetKey};
use url::Url;

use crate::fetch::{Sources, resolve};
use crate::report::StageFailure;
use crate::values::Values;

mod sources;

use sources::{Came, Hashing, NotBrought, bring};

/// More inputs than any deal names.
const MAX_INPUTS: usize = 1000;

/// A dataset as the values describe it.
struct Dataset<'a> {
    url: &'a str,
    checksum: &'a str,
    file_name: &'a str,
    key: DatasetKey,
}

/// Runs the stage.
pub(crate) async fn run(values: &Values, way: &Way, gateways: &[Url]) -> Result<(), Vec<StageFailure>> {
    let unknown = |message: &str| vec![StageFailure::new("PRE_COMPUTE_FAILED_UNKNOWN_ISSUE", message)];
    let folder = values
        .text("IEXEC_PRE_COMPUTE_OUT")
        .map(PathBuf::from)
        .ok_or_else(|| vec![StageFailure::new("PRE_COMPUTE_OUTPUT_PATH_MISSING", "no folder for inputs was given")])?;
    if !folder.is_dir() {
        let message = format!("{} is not there", folder.display());
        return Err(vec![StageFailure::new("PRE_COMPUTE_OUTPUT_FOLDER_NOT_FOUND", message)]);
    }
    let sources = Sources { way, gateways };
    let mut failures = Vec::new();
    let mut prefixes = Vec::new();
    if values.is_true("IS_DATASET_REQUIRED") {
        prefixes.push("IEXEC_DATASET".to_owned());
    }
    let bulk = count(values, "IEXEC_BULK_SLICE_SIZE").ok_or_else(|| unknown("the number of datasets is none"))?;
    prefixes.extend((1..=bulk).map(|number| format!("IEXEC_DATASET_{number}")));
    for prefix in &prefixes {
        match described(values, prefix) {
            Ok(dataset) => failures.extend(open(&sources, &folder, dataset).await.err()),
            Err(missing) => failures.push(missing),
        }
    }
    let inputs =
        count(values, "IEXEC_INPUT_FILES_NUMBER").ok_or_else(|| unknown("the number of input files is none"))?;
    for number in 1..=inputs {
        match values.text(&format!("IEXEC_INPUT_FILE_URL_{number}")) {
            Some(url) => failures.extend(download(&sources, &folder, url).await.err()),
            None => failures.push(StageFailure::new(
                "PRE_COMPUTE_AT_LEAST_ONE_INPUT_FILE_URL_MISSING",
                format!("input file {number} has no address"),
            )),
        }
    }
    if failures.is_empty() { Ok(()) } else { Err(failures) }
}

/// A number that may be absent, which is 0.
fn count(values: &Values, name: &str) -> Option<usize> {
    values.text(name).map_or(Some(0), |text| text.parse().ok()).filter(|count| *count <= MAX_INPUTS)
}

fn described<'a>(values: &'a Values, prefix: &str) -> Result<Dataset<'a>, StageFailure> {
    let wanted = |suffix: &str, cause| {
        let name = format!("{prefix}_{suffix}");
        values.text(&name).ok_or_else(|| StageFailure::new(cause, format!("{name} was not given")))
    };
    let file_name = wanted("FILENAME", "PRE_COMPUTE_DATASET_FILENAME_MISSING")?;
    let url = wanted("URL", "PRE_COMPUTE_DATASET_URL_MISSING")?;
    let checksum = wanted("CHECKSUM", "PRE_COMPUTE_DATASET_CHECKSUM_MISSING")?;
    let key = wanted("KEY", "PRE_COMPUTE_DATASET_KEY_MISSING")?;
    let key = DatasetKey::from_text(key.as_bytes())
        .map_err(|error| StageFailure::new("PRE_COMPUTE_DATASET_DECRYPTION_FAILED", error))?;
    if file_name.contains('/') || matches!(file_name, "." | "..") {
        return Err(StageFailure::new("PRE_COMPUTE_DATASET_FILENAME_MISSING", "the name of a dataset is no file name"));
    }
    Ok(Dataset { url, checksum, file_name, key })
}

/// Fetches and decrypts in one go: nothing but the plain file needs room. It is removed unless everything was right.
async fn open(sources: &Sources<'_>, folder: &Path, dataset: Dataset<'_>) -> Result<(), StageFailure> {
    let name = dataset.file_name.to_owned();
    let path = folder.join(&name);
    let key = Arc::new(dataset.key);
    let failed =
        |cause, message: &dyn std::fmt::Display| StageFailure::new(cause, format!("dataset {name}: {message}"));
    let (urls, _) = resolve(dataset.url, sources.gateways)
        .map_err(|error| failed("PRE_COMPUTE_DATASET_DOWNLOAD_FAILED", &with_causes(&error)))?;
    let decrypt = move |content: &mut Hashing, file: &mut BufWriter<File>| dataset::decrypt(&key, content, file);
    let is_registered = |came: &Came| {
        if came.checksum.eq_ignore_ascii_case(dataset.checksum) {
            return Ok(());
        }
        Err(format!("its SHA-256 is {} and not {}", came.checksum, dataset.checksum))
    };
    let brought = bring(sources, &urls, &path, decrypt, is_registered).await;
    let outcome = match brought {
        Ok(came) => came.outcome.map_err(|error| failed("PRE_COMPUTE_DATASET_DECRYPTION_FAILED", &error)),
        Err(error) => {
            let cause = match &error {
                NotBrought::NotCome(_) => "PRE_COMPUTE_DATASET_DOWNLOAD_FAILED",
                NotBrought::Wrong(_) => "PRE_COMPUTE_INVALID_DATASET_CHECKSUM",
                NotBrought::Disk(_) => "PRE_COMPUTE_SAVING_PLAIN_DATASET_FAILED",
                NotBrought::Thread(_) => "PRE_COMPUTE_FAILED_UNKNOWN_ISSUE",
            };
            Err(failed(cause, &error))
        }
    };
    if outcome.is_err() {
        let _ = std::fs::remove_file(&path);
    }
    outcome
}

/// Saves an input file as `0x` and the SHA-256 of its address.
async fn download(sources: &Sources<'_>, folder: &Path, url: &str) -> Result<(), StageFailure> {
    let failed = |message: &dyn std::fmt::Display| {
        StageFailure::new("PRE_COMPUTE_INPUT_FILE_DOWNLOAD_FAILED", format!("input file {url}: {message}"))
    };
    let path = folder.join(format!("0x{}", hex::encode(Sha256::digest(url))));
    let (urls, cid) = resolve(url, sources.gateways).map_err(|error| failed(&with_causes(&error)))?;
    let copy = |mut content: &mut Hashing, mut file: &mut BufWriter<File>| {
        io::copy(&mut content, &mut file).map(drop).map_err(DatasetError::Io)
    };
    let is_named_by_its_id = |_: &Came| match cid {
        Some(cid) if !is_content_of(cid, &path) => Err("its content is other than its id names".to_owned()),
        _ => Ok(()),
    };
    let brought = bring(sources, &urls, &path, copy, is_named_by_its_id).await;
    let outcome = match brought {
        Ok(came) => came.outcome.map_err(|error| failed(&with_causes(&error))),
        Err(error) => Err(failed(&error)),
    };
    if outcome.is_err() {
        let _ = std::fs::remove_file(&path);
    }
    outcome
}

fn is_content_of(cid: Cid, path: &Path) -> bool {
    cid.ways()
        .iter()
        .any(|way| File::open(path).and_then(|file| Cid::of(file, *way)).is_ok_and(|found| found.same_content(&cid)))
}

/// An error and what lies behind it, in one line. Addresses in it are public.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests;
