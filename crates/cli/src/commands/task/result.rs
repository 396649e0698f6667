//! `strongroom task result`.

use std::path::{Path, PathBuf};

use serde_json::json;
use strongroom_content::result::is_encrypted;
use strongroom_protocol::B256;

use super::subject::{Standing, chain_time, one_task};
use crate::arguments::Signer;
use crate::commands::Session;
use crate::commands::dataset::beside;
use crate::error::CliError;
use crate::ipfs;
use crate::network::Network;
use crate::output::Answer;
use crate::result_file::{self, ResultFileError, locate};
use crate::result_key::ResultKeys;

/// What is wanted of a result.
pub(super) struct Wanted {
    pub(super) output: Option<PathBuf>,
    pub(super) unpack: Option<PathBuf>,
    pub(super) no_decrypt: bool,
    pub(super) private_key: Option<PathBuf>,
}

pub(super) fn result(
    session: &Session<'_>,
    network: &Network,
    id: B256,
    wanted: &Wanted,
    signer: &Signer,
) -> Result<Answer, CliError> {
    let gateway = network.gateway()?;
    let results = network.wait(session, "Asking the chain", async {
        let (subject, task) = one_task(network, id, session.surroundings.now).await?;
        let standing = subject.standings(network, chain_time(network).await?).await?;
        match standing.first() {
            Some(Standing::Completed) => Ok((task, network.chain.task_results(task).await?)),
            other => {
                let status = other.map_or("UNSET", |standing| standing.as_str());
                Err(CliError::from(ResultFileError::NotThere { status }))
            }
        }
    });
    let (task, results) = results?;
    let cid = locate(&results)?;
    let output = wanted.unpack.clone().or_else(|| wanted.output.clone());
    let output = session.here(output.unwrap_or_else(|| format!("{task}.zip").into()));
    if output.symlink_metadata().is_ok() {
        return Err(CliError::FileExists { path: output });
    }
    let mut archive = beside(&output)?;
    let path = archive.path().to_owned();
    network.wait_counting(session, "Downloading the result", async |counter| {
        ipfs::download(gateway, cid, archive.as_file_mut(), &path, counter).await
    })?;
    let encrypted = is_encrypted(archive.as_file_mut());
    let decrypted = encrypted && !wanted.no_decrypt;
    if decrypted {
        archive = opened(session, archive, wanted.private_key.as_deref(), signer, &output)?;
    }
    if wanted.unpack.is_some() {
        result_file::unpack(archive.as_file_mut(), &output)?;
    } else {
        let failed = |source| CliError::File { doing: "write", path: output.clone(), source };
        archive.persist_noclobber(&output).map_err(|error| failed(error.error))?;
    }
    let words = match (encrypted, decrypted) {
        (true, true) => ", decrypted",
        (true, false) => ", still encrypted",
        (false, _) => "",
    };
    let text = format!("The result is in {}{words}.", output.display());
    let json = json!({
        "task": task.to_string(),
        "file": output.display().to_string(),
        "location": format!("/ipfs/{cid}"),
        "encrypted": encrypted,
        "decrypted": decrypted,
    });
    Ok(Answer::done(text, json))
}

/// The archive inside an encrypted one.
fn opened(
    session: &Session<'_>,
    mut archive: tempfile::NamedTempFile,
    private_key: Option<&Path>,
    signer: &Signer,
    output: &Path,
) -> Result<tempfile::NamedTempFile, CliError> {
    let mut plain = beside(output)?;
    let (keys, password) = if let Some(path) = private_key {
        (vec![session.here(path)], None)
    } else {
        let wallet = session.wallet(&signer.wallet, &session.config()?)?;
        let folder = session.data_folder()?.join("result-keys");
        let keys = ResultKeys::in_folder(folder.clone()).private_files(wallet.address()?)?;
        if keys.is_empty() {
            return Err(ResultFileError::NoKey { folder }.into());
        }
        let (_, password) = session.unlock(&wallet, &signer.password)?;
        (keys, Some(password))
    };
    let password = password.as_ref().map(|password| password.as_str());
    session.screen.while_doing("Decrypting the result", || {
        result_file::open(archive.as_file_mut(), &keys, password, plain.as_file_mut())
    })?;
    Ok(plain)
}
