//! `strongroom dataset`: files that only granted tasks can read.

mod encryption;
mod granting;
mod unencrypted;

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use alloy_primitives::Bytes;
use ring::digest::{Context, SHA256};
use serde_json::json;
use strongroom_content::cid::Cid;
use strongroom_content::dataset::DatasetKey;
use strongroom_poco::calls::{self, NewDataset};
use strongroom_poco::{AssetKind, Wallet};
use strongroom_protocol::address::checksummed;
use strongroom_protocol::multiaddr::location_text;
use strongroom_protocol::{Address, B256, SecretId, SecretValue, challenge};

use crate::arguments::{DatasetCommand, DatasetDeployment, NetworkChoice};
use crate::commands::Session;
use crate::commands::secret::{self, Remembered, Target};
use crate::error::CliError;
use crate::network::Network;
use crate::output::{Answer, visible};
use crate::{dataset_key, ipfs, order_file, private_file};

/// varint of protocol code 421 (`ipfs`), then varint length 34 of a SHA-256 multihash.
const IPFS_HEADER: [u8; 3] = [0xa5, 0x03, 34];

/// Runs one of the commands.
pub(crate) fn run(session: &Session<'_>, command: DatasetCommand) -> Result<Answer, CliError> {
    match command {
        DatasetCommand::Encrypt { file, output, key_file } => encryption::encrypt(session, &file, output, key_file),
        DatasetCommand::Decrypt { file, output, key_file, checksum } => {
            encryption::decrypt(session, &file, &output, key_file, checksum)
        }
        DatasetCommand::Deploy(deployment) => deploy(session, &deployment),
        DatasetCommand::Show { dataset, network } => show(session, dataset, &network),
        DatasetCommand::Grant(granting) => granting::grant(session, &granting),
        DatasetCommand::Revoke { dataset, order, signer, network } => {
            granting::revoke(session, dataset, order, &signer, &network)
        }
        DatasetCommand::Grants { dataset, network } => granting::grants(session, dataset, &network),
        DatasetCommand::PushSecret { dataset, push } => secret::push_dataset(session, dataset, &push),
        DatasetCommand::CheckSecret { dataset, service } => secret::check_dataset(session, dataset, &service),
    }
}

fn deploy(session: &Session<'_>, deployment: &DatasetDeployment) -> Result<Answer, CliError> {
    let DatasetDeployment { name, file, upload, unencrypted, multiaddr, checksum, push_key, signer, service } =
        deployment;
    let config = session.config()?;
    let network = Network::named(&config, service.chain.as_ref(), Duration::from_secs(service.timeout))?;
    let file = file.as_ref().map(|file| session.here(file));
    let key = push_key.as_ref().map(|path| dataset_key::read(&session.here(path))).transpose()?;
    if let Some(file) = file.as_ref().filter(|_| !*unencrypted) {
        session.screen.while_doing("Checking the file", || unencrypted::must_be_encrypted(file, key.as_ref()))?;
    }
    let checksum = match (&file, checksum) {
        (Some(file), Some(expected)) => must_have_checksum(file, *expected)?,
        (Some(file), None) => checksum_of(file)?,
        (None, given) => given.unwrap_or_default(),
    };
    let given = multiaddr.as_deref().map(|location| Ok::<_, CliError>((location.to_owned(), encoded(location)?)));
    let given = given.transpose()?;
    let wallet = network.signer(session, &config, signer)?;
    let (location, multiaddr) = match (given, &file) {
        (Some(given), _) => given,
        (None, Some(file)) if *upload => uploaded(session, &network, file)?,
        (None, _) => return Err(CliError::Location { location: String::new() }),
    };
    let registry = network.wait(session, "Asking the chain", network.chain.registries())?.dataset;
    let new = NewDataset { name: name.clone(), multiaddr, checksum };
    let question = format!("Register dataset {name} on {}?", network.name);
    let receipt = network.send(session, &wallet, &calls::create_dataset(registry, wallet.address(), new), &question)?;
    let transaction = receipt.transaction.to_string();
    let dataset =
        calls::created(&receipt, registry).ok_or_else(|| CliError::NoTrace { transaction: transaction.clone() })?;
    let mut text = format!(
        "dataset   {}\nowner     {}\nlocation  {location}\nchecksum  {checksum}",
        checksummed(&dataset),
        checksummed(&wallet.address())
    );
    let mut pushed = None;
    if let Some(key) = &key {
        pushed = Some(keep_and_push(session, &Target::find(&config, service)?, dataset, key, &wallet)?);
        text.push_str("\nIts key is at the SMS.");
    }
    let json = json!({
        "dataset": checksummed(&dataset),
        "owner": checksummed(&wallet.address()),
        "location": location,
        "checksum": checksum.to_string(),
        "key_pushed": key.is_some(),
        "chain": network.name,
        "transaction": transaction,
    });
    let answer = Answer::done(text, json);
    Ok(match pushed {
        Some(remembered) => remembered.told_in(answer),
        None => answer,
    })
}

/// Keeps the key under the dataset's address, where it is found again, and pushes it.
fn keep_and_push(
    session: &Session<'_>,
    target: &Target,
    dataset: Address,
    key: &DatasetKey,
    wallet: &Wallet,
) -> Result<Remembered, CliError> {
    let path = dataset_key::folder(&session.surroundings.current_folder).join(format!("{}.key", checksummed(&dataset)));
    dataset_key::write(&path, key)?;
    let id = SecretId::Dataset(dataset);
    let value = SecretValue::new(key.expose_text().as_bytes().to_vec()).expect("44 characters are below the limit");
    let signature = wallet.key().sign(challenge::push(&id, None, &value));
    target.push(session, "Pushing the key", &id, async |sms| sms.create(&id, &value, signature).await)
}

/// Puts the file on IPFS; gives its location as text and as it stands on chain.
fn uploaded(session: &Session<'_>, network: &Network, file: &Path) -> Result<(String, Bytes), CliError> {
    let (node, gateway) = (network.ipfs_node()?, network.gateway()?);
    let cid = network.wait_counting(session, "Uploading the file", async |counter| {
        let cid = ipfs::upload(node, file, counter).await?;
        if ipfs::has(gateway, cid, network.timeout).await? {
            return Ok(cid);
        }
        Err(ipfs::IpfsError::Refused { place: gateway.clone(), status: 404, what: cid.to_string() })
    })?;
    let location = format!("/ipfs/{cid}");
    let bytes = encoded(&location)?;
    Ok((location, bytes))
}

/// A location as it stands on chain: a binary multiaddr of a file of IPFS (version 0 of its id), or an http(s) address as text.
fn encoded(location: &str) -> Result<Bytes, CliError> {
    let wrong = || CliError::Location { location: location.to_owned() };
    if let Some(id) = location.strip_prefix("/ipfs/").or(location.strip_prefix("/p2p/")) {
        let cid: Cid = id.parse().map_err(|_| wrong())?;
        let multihash = bs58::decode(cid.to_string()).into_vec().map_err(|_| wrong())?;
        let bytes = [&IPFS_HEADER[..], &multihash].concat();
        // Only version 0 comes out again as it went in.
        return if location_text(&bytes) == format!("/ipfs/{id}") { Ok(bytes.into()) } else { Err(wrong()) };
    }
    let url: url::Url = location.parse().map_err(|_| wrong())?;
    if matches!(url.scheme(), "http" | "https") { Ok(location.as_bytes().to_vec().into()) } else { Err(wrong()) }
}

fn show(session: &Session<'_>, dataset: Address, network: &NetworkChoice) -> Result<Answer, CliError> {
    let network = Network::find(&session.config()?, network)?;
    let found = network.wait(session, "Asking the chain", network.chain.dataset(dataset))?;
    let kind = AssetKind::Dataset;
    let found = found.ok_or_else(|| CliError::NotRegistered { kind, asset: dataset, chain: network.name.clone() })?;
    let location = visible(&location_text(&found.multiaddr));
    let text = format!(
        "dataset   {}\nowner     {}\nlocation  {location}\nchecksum  {}",
        checksummed(&dataset),
        checksummed(&found.owner),
        found.checksum
    );
    let json = json!({
        "dataset": checksummed(&dataset),
        "owner": checksummed(&found.owner),
        "location": location,
        "checksum": found.checksum.to_string(),
        "chain": network.name,
    });
    Ok(Answer::done(text, json))
}

/// SHA-256 of a file.
pub(crate) fn checksum_of(path: &Path) -> Result<B256, CliError> {
    let mut hash = Hashing(Context::new(&SHA256));
    let copied = File::open(path).and_then(|mut file| io::copy(&mut file, &mut hash));
    copied.map_err(failed("read", path))?;
    Ok(B256::from_slice(hash.0.finish().as_ref()))
}

struct Hashing(Context);

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn must_have_checksum(path: &Path, expected: B256) -> Result<B256, CliError> {
    let found = checksum_of(path)?;
    if found == expected {
        return Ok(found);
    }
    let (found, expected) = (found.to_string(), expected.to_string());
    Err(CliError::OtherChecksum { path: path.to_owned(), found, expected })
}

fn failed(doing: &'static str, path: &Path) -> impl Fn(io::Error) -> CliError {
    let path = path.to_owned();
    move |source| CliError::File { doing, path: path.clone(), source }
}

/// A nameless file that will get the name `path`.
pub(crate) fn beside(path: &Path) -> Result<tempfile::NamedTempFile, CliError> {
    let absolute = order_file::absolute(path).map_err(failed("write", path))?;
    let folder = absolute.parent().unwrap_or(Path::new("/"));
    private_file::make_folder(folder).map_err(failed("make the folder of", path))?;
    tempfile::Builder::new().prefix(".strongroom-").tempfile_in(folder).map_err(failed("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_stand_on_chain_as_the_network_reads_them() {
        let cid = "QmUVhChbLFiuzNK1g2GsWyWEiad7SXPqARnWzGumgziwEp";
        let expected = "0xa5032212205b772aed60b3af5181cf2c1c2ef5c87c58a436c7a9e5e9cdb499816e0f3b1711";
        for prefix in ["/ipfs/", "/p2p/"] {
            assert_eq!(encoded(&format!("{prefix}{cid}")).unwrap().to_string(), expected);
        }
        assert_eq!(&encoded("https://example.org/a").unwrap()[..], b"https://example.org/a");
        let v1 = "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi";
        for wrong in ["", "file", "ftp://example.org/a", "/ipfs/", "/ipfs/x", &format!("/ipfs/{v1}")] {
            assert!(matches!(encoded(wrong), Err(CliError::Location { .. })), "{wrong}");
        }
    }
}
