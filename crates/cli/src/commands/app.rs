//! `strongroom app`: programs that run in enclaves.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use alloy_primitives::{Bytes, U256};
use serde_json::{Value, json};
use strongroom_oci::{Bounds, Digest, ImageStore, Source, Wanted};
use strongroom_poco::calls::{self, NewApp};
use strongroom_poco::orders::{AppOrder, Order};
use strongroom_poco::{AssetKind, Wallet};
use strongroom_protocol::address::checksummed;
use strongroom_protocol::multiaddr::location_text;
use strongroom_protocol::{Address, B256};

use crate::arguments::{AppCommand, AppDeployment, NetworkChoice, Signer, Template};
use crate::commands::order::publish;
use crate::commands::{Session, pack, random, secret};
use crate::error::CliError;
use crate::network::Network;
use crate::output::{Answer, visible};
use crate::template;

/// Kind of every app of the network: an OCI image.
const KIND: &str = "DOCKER";
/// Largest list of manifests that is read.
const MAX_INDEX_BYTES: u64 = 4 << 20;
/// Largest SGX enclave configuration.
const MAX_CONFIG_BYTES: u64 = 64 << 10;

/// Runs one of the commands.
pub(crate) fn run(session: &Session<'_>, command: AppCommand) -> Result<Answer, CliError> {
    match command {
        AppCommand::Init { folder, template } => init(session, &folder, template),
        AppCommand::Pack { program, with, output } => pack::pack(session, &program, &with, output),
        AppCommand::Deploy(deployment) => deploy(session, &deployment),
        AppCommand::Show { app, network } => show(session, app, &network),
        AppCommand::Publish { app, price, volume, tag, dataset, workerpool, requester, signer, network } => {
            let order = AppOrder {
                app,
                appprice: price.0,
                volume: U256::from(volume),
                tag: tag.0,
                datasetrestrict: dataset.unwrap_or_default(),
                workerpoolrestrict: workerpool.unwrap_or_default(),
                requesterrestrict: requester.unwrap_or_default(),
                salt: random()?.into(),
            };
            publish_app(session, order, &signer, &network)
        }
        AppCommand::Transfer { app, to, signer, network } => transfer(session, app, to, &signer, &network),
        AppCommand::PushSecret { app, push } => secret::push_app(session, app, &push),
        AppCommand::CheckSecret { app, service } => secret::check_app(session, app, &service),
    }
}

fn init(session: &Session<'_>, folder: &Path, template: Template) -> Result<Answer, CliError> {
    let path = session.here(folder);
    if path.symlink_metadata().is_ok() {
        return Err(CliError::FileExists { path });
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let files = template::files(template, &name);
    for file in &files {
        let target = path.join(file.path);
        let failed = |source| CliError::File { doing: "write", path: target.clone(), source };
        fs::create_dir_all(target.parent().unwrap_or(&path)).map_err(failed)?;
        fs::write(&target, &file.content).map_err(failed)?;
    }
    let names: Vec<&str> = files.iter().map(|file| file.path).collect();
    let text = format!("{} has {}.\n{}", folder.display(), names.join(", "), template::next_steps(template, folder));
    Ok(Answer::done(text, json!({ "folder": folder.display().to_string(), "files": names })))
}

fn deploy(session: &Session<'_>, deployment: &AppDeployment) -> Result<Answer, CliError> {
    let AppDeployment { name, image, multiaddr, checksum, mrenclave, signer, network } = deployment;
    let config = session.config()?;
    let network = Network::find(&config, network)?;
    let checksum = match image {
        Some(image) => {
            let image = session.here(image);
            session.screen.while_doing("Verifying the image", || manifest_of(&image, *checksum))?
        }
        None => checksum.unwrap_or_default(),
    };
    let mrenclave = mrenclave.as_deref().map(|path| read_config(&session.here(path))).transpose()?.unwrap_or_default();
    let multiaddr = multiaddr.as_ref().unwrap_or(name);
    let wallet = network.signer(session, &config, signer)?;
    let registry = network.wait(session, "Asking the chain", network.chain.registries())?.app;
    let new = NewApp {
        name: name.clone(),
        kind: KIND.to_owned(),
        multiaddr: multiaddr.as_bytes().to_vec().into(),
        checksum,
        mrenclave,
    };
    let question = format!("Register app {name} on {}?", network.name);
    let receipt = network.send(session, &wallet, &calls::create_app(registry, wallet.address(), new), &question)?;
    let transaction = receipt.transaction.to_string();
    let app =
        calls::created(&receipt, registry).ok_or_else(|| CliError::NoTrace { transaction: transaction.clone() })?;
    let owner = checksummed(&wallet.address());
    let text =
        format!("app       {}\nowner     {owner}\nimage     {multiaddr}\nchecksum  {checksum}", checksummed(&app));
    let json = json!({
        "app": checksummed(&app),
        "owner": owner,
        "multiaddr": multiaddr,
        "checksum": checksum.to_string(),
        "chain": network.name,
        "transaction": transaction,
    });
    Ok(Answer::done(text, json))
}

/// The digest of the image's manifest, after the whole image was verified. With `expected` it must be that one.
pub(crate) fn manifest_of(image: &Path, expected: Option<B256>) -> Result<B256, CliError> {
    let source = source_of(image);
    let digest = match expected {
        Some(expected) => Digest::from_bytes(expected.0),
        None => only_manifest(image, &index_of(image)?)?,
    };
    let failed = |source| CliError::File { doing: "unpack", path: image.to_owned(), source };
    let folder = tempfile::tempdir().map_err(failed)?;
    let store = ImageStore::open(folder.path(), Bounds::default()).map_err(CliError::Image)?;
    store.unpack(&source, Wanted::Manifest(digest)).map_err(CliError::Image)?;
    Ok(B256::from(*digest.as_bytes()))
}

/// A folder is a layout, a file an archive.
pub(crate) fn source_of(image: &Path) -> Source {
    if image.is_dir() { Source::Layout(image.to_owned()) } else { Source::DockerArchive(image.to_owned()) }
}

/// The list of manifests: `index.json` in a folder or an archive.
fn index_of(image: &Path) -> Result<Vec<u8>, CliError> {
    let failed = |source| CliError::File { doing: "read", path: image.to_owned(), source };
    let no_manifest = || CliError::NoManifest { path: image.to_owned() };
    let mut bytes = Vec::new();
    if image.is_dir() {
        match fs::File::open(image.join("index.json")) {
            Ok(file) => file.take(MAX_INDEX_BYTES).read_to_end(&mut bytes).map_err(failed)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(no_manifest()),
            Err(error) => return Err(failed(error)),
        };
        return Ok(bytes);
    }
    let mut archive = tar::Archive::new(fs::File::open(image).map_err(failed)?);
    for entry in archive.entries().map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.path_bytes().strip_prefix(b"./").unwrap_or(&entry.path_bytes()) == b"index.json" {
            entry.take(MAX_INDEX_BYTES).read_to_end(&mut bytes).map_err(failed)?;
            return Ok(bytes);
        }
    }
    Err(no_manifest())
}

/// The digest of the one manifest that is listed.
fn only_manifest(image: &Path, index: &[u8]) -> Result<Digest, CliError> {
    let no_manifest = || CliError::NoManifest { path: image.to_owned() };
    let index: Value = serde_json::from_slice(index).map_err(|_| no_manifest())?;
    let manifests = index["manifests"].as_array().ok_or_else(no_manifest)?;
    let [only] = manifests.as_slice() else {
        return Err(if manifests.is_empty() {
            no_manifest()
        } else {
            CliError::SeveralImages { path: image.to_owned() }
        });
    };
    only["digest"].as_str().and_then(|digest| digest.parse().ok()).ok_or_else(no_manifest)
}

fn read_config(path: &Path) -> Result<Bytes, CliError> {
    let failed = |source| CliError::File { doing: "read", path: path.to_owned(), source };
    let mut text = Vec::new();
    fs::File::open(path).map_err(failed)?.take(MAX_CONFIG_BYTES).read_to_end(&mut text).map_err(failed)?;
    strongroom_protocol::enclave_config::EnclaveConfig::parse(text.trim_ascii())
        .map_err(|error| failed(io::Error::new(io::ErrorKind::InvalidData, error)))?;
    Ok(text.trim_ascii().to_vec().into())
}

fn show(session: &Session<'_>, app: Address, network: &NetworkChoice) -> Result<Answer, CliError> {
    let network = Network::find(&session.config()?, network)?;
    let found = network.wait(session, "Asking the chain", network.chain.app(app))?;
    let kind = AssetKind::App;
    let found = found.ok_or_else(|| CliError::NotRegistered { kind, asset: app, chain: network.name.clone() })?;
    let multiaddr = visible(&location_text(&found.multiaddr));
    let config = visible(&String::from_utf8_lossy(&found.mrenclave));
    let text = format!(
        "app       {}\nowner     {}\nimage     {multiaddr}\nchecksum  {}\nenclave   {}",
        checksummed(&app),
        checksummed(&found.owner),
        found.checksum,
        if config.is_empty() { "TDX (no SGX configuration)" } else { &config },
    );
    let json = json!({
        "app": checksummed(&app),
        "owner": checksummed(&found.owner),
        "multiaddr": multiaddr,
        "checksum": found.checksum.to_string(),
        "mrenclave": config,
        "chain": network.name,
    });
    Ok(Answer::done(text, json))
}

fn publish_app(
    session: &Session<'_>,
    order: AppOrder,
    signer: &Signer,
    network: &NetworkChoice,
) -> Result<Answer, CliError> {
    let config = session.config()?;
    let network = Network::find(&config, network)?;
    let market = network.market()?;
    let wallet = owner_of(session, &network, order.app, || network.signer(session, &config, signer))?;
    let signed = order.sign(&network.domain(), wallet.key());
    publish(session, &network, &market, &signed, &wallet)
}

/// Opens the wallet, which must own the app.
fn owner_of(
    session: &Session<'_>,
    network: &Network,
    app: Address,
    wallet: impl FnOnce() -> Result<Wallet, CliError>,
) -> Result<Wallet, CliError> {
    let wallet = wallet()?;
    let owned = network.must_own(AssetKind::App, app, wallet.address());
    network.wait(session, "Asking the chain", owned)?;
    Ok(wallet)
}

fn transfer(
    session: &Session<'_>,
    app: Address,
    to: Address,
    signer: &Signer,
    network: &NetworkChoice,
) -> Result<Answer, CliError> {
    let config = session.config()?;
    let network = Network::find(&config, network)?;
    let wallet = owner_of(session, &network, app, || network.signer(session, &config, signer))?;
    let registry = network.wait(session, "Asking the chain", network.chain.registries())?.app;
    let call = calls::transfer_resource(registry, wallet.address(), to, app);
    let question = format!("Give app {} to {} for good?", checksummed(&app), checksummed(&to));
    let receipt = network.send(session, &wallet, &call, &question)?;
    let text = format!("{} belongs to {} now.", checksummed(&app), checksummed(&to));
    let json = json!({
        "app": checksummed(&app),
        "owner": checksummed(&to),
        "chain": network.name,
        "transaction": receipt.transaction.to_string(),
    });
    Ok(Answer::done(text, json))
}

#[cfg(test)]
mod tests {
    use super::*;
    use strongroom_oci::ImageBuilder;

    #[test]
    fn the_checksum_is_the_digest_of_the_only_manifest_of_a_verified_image() {
        let folder = tempfile::tempdir().unwrap();
        let layout = folder.path().join("image");
        let mut image = ImageBuilder::default();
        image.file("/app", "x", true).unwrap();
        let digest = image.write_layout(&layout, "latest").unwrap();
        assert_eq!(manifest_of(&layout, None).unwrap(), B256::from(*digest.as_bytes()));
        assert!(matches!(manifest_of(&layout, Some(B256::ZERO)), Err(CliError::Image(_))));
        let mut index: Value = serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap();
        let again = index["manifests"][0].clone();
        index["manifests"].as_array_mut().unwrap().push(again);
        fs::write(layout.join("index.json"), index.to_string()).unwrap();
        assert!(matches!(manifest_of(&layout, None), Err(CliError::SeveralImages { .. })));
        assert!(manifest_of(&layout, Some(B256::from(*digest.as_bytes()))).is_ok());
        assert!(matches!(manifest_of(folder.path(), None), Err(CliError::NoManifest { .. })));
    }

    #[test]
    fn an_archive_with_a_list_of_manifests_serves_as_well() {
        let folder = tempfile::tempdir().unwrap();
        let (layout, file) = (folder.path().join("image"), folder.path().join("image.tar"));
        let mut image = ImageBuilder::default();
        image.file("/app", "x", true).unwrap();
        let digest = image.write_layout(&layout, "latest").unwrap();
        let mut archive = tar::Builder::new(fs::File::create(&file).unwrap());
        archive.append_dir_all(".", &layout).unwrap();
        archive.finish().unwrap();
        assert_eq!(manifest_of(&file, None).unwrap(), B256::from(*digest.as_bytes()));
        let mut without = tar::Builder::new(fs::File::create(&file).unwrap());
        without.append_dir_all("blobs", layout.join("blobs")).unwrap();
        without.finish().unwrap();
        assert!(matches!(manifest_of(&file, None), Err(CliError::NoManifest { .. })));
    }
}
