//! How the requester gets the result: its place from the chain, the archive from storage, the key from the requester's own folder.

use std::io::{Cursor, Read as _};
use std::path::Path;

use anyhow::{Context, ensure};
use rsa::RsaPrivateKey;
use rsa::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, LineEnding};
use strongroom_content::cid::Cid;
use strongroom_content::result::{decrypt, is_encrypted, rand_core};
use strongroom_devnet::content_store::Files;

/// The content id in the text that a settled task has on chain.
pub(crate) fn place(results: &[u8]) -> anyhow::Result<Cid> {
    let text: serde_json::Value = serde_json::from_slice(results).context("the place of the result is no JSON")?;
    let location = text["location"].as_str().and_then(|location| location.strip_prefix("/ipfs/"));
    Ok(location.context("the result is not on IPFS")?.parse()?)
}

/// Downloads, decrypts with the only private key in `home`, and reads `name` out of the archive.
pub(crate) fn open(files: &Files, cid: Cid, home: &Path, password: &str, name: &str) -> anyhow::Result<String> {
    let archive = files.get(cid)?.context("the result is not in the content store")?;
    ensure!(is_encrypted(Cursor::new(&archive)), "the result is not encrypted");
    let file = private_key_file(home)?.context("the requester has no key for results")?;
    let key = RsaPrivateKey::from_pkcs8_encrypted_pem(&std::fs::read_to_string(file)?, password)?;
    let mut plain = Vec::new();
    decrypt(Cursor::new(&archive), &key.to_pkcs8_pem(LineEnding::LF)?, &mut rand_core::OsRng, &mut plain)?;
    let mut text = String::new();
    zip::ZipArchive::new(Cursor::new(plain))?.by_name(name)?.read_to_string(&mut text)?;
    Ok(text)
}

fn private_key_file(folder: &Path) -> std::io::Result<Option<std::path::PathBuf>> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            if let Some(found) = private_key_file(&path)? {
                return Ok(Some(found));
            }
        } else if path.to_string_lossy().ends_with(".private.pem") {
            return Ok(Some(path));
        }
    }
    Ok(None)
}
