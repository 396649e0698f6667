//! `strongroom pool settings`: what a pool of the network in use needs to know, as the settings file of `strongroom-pool`. Passwords
//! are never in it.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use strongroom_protocol::address::checksummed;

use crate::arguments::{DevnetFolder, PoolSettings, WalletChoice, WalletFolder};
use crate::commands::{Session, devnet};
use crate::devnet::Description;
use crate::error::CliError;
use crate::network::Network;
use crate::order_file::absolute;
use crate::output::Answer;
use crate::private_file;

/// First lines of the file.
const HEAD: &str = "# Settings of strongroom-pool, written by `strongroom pool settings`. docs/strongroom-pool.toml has every setting with its\n\
                    # default and meaning.\n\n";

/// Writes the settings.
pub(crate) fn write(session: &Session<'_>, wanted: &PoolSettings) -> Result<Answer, CliError> {
    let config = session.config()?;
    let network = Network::find(&config, &wanted.network)?;
    let output = session.here(&wanted.output);
    if output.symlink_metadata().is_ok() {
        return Err(CliError::FileExists { path: output });
    }
    let owner = session.wallet(&wanted.wallet, &config)?;
    let keystore = wanted.wallet.folder.keystore.clone();
    let worker = WalletChoice { wallet: Some(wanted.worker.clone()), folder: WalletFolder { keystore } };
    let worker = session.wallet(&worker, &config)?;
    let (owner_address, worker_address) = (owner.address()?, worker.address()?);
    if owner_address == worker_address {
        return Err(CliError::OneWallet { wallet: checksummed(&owner_address) });
    }
    let owned = network.must_own(strongroom_poco::AssetKind::Workerpool, wanted.workerpool, owner_address);
    network.wait(session, "Asking the chain", owned)?;
    let local = devnet::network(session, &DevnetFolder { folder: wanted.devnet.clone() })?.running()?;
    let local = local.filter(|local| is_this(local, &network));
    let places = Places {
        folder: full(session, &wanted.folder)?,
        owner: full(session, &owner.file)?,
        worker: full(session, &worker.file)?,
        owner_password: wanted.owner_password_file.as_ref().map(|path| full(session, path)).transpose()?,
        worker_password: wanted.worker_password_file.as_ref().map(|path| full(session, path)).transpose()?,
    };
    let settings = settings(wanted, &network, &places, local.as_ref());
    let failed = |source| CliError::File { doing: "write", path: output.clone(), source };
    let text = toml::to_string(&settings).map_err(|error| failed(std::io::Error::other(error)))?;
    private_file::make_folder(&places.folder).map_err(failed)?;
    private_file::write_new(&output, format!("{HEAD}{text}").as_bytes()).map_err(failed)?;
    let shown = wanted.output.display();
    let mut lines =
        vec![format!("settings  {shown}"), format!("owner     {}", owner.name), format!("worker    {}", worker.name)];
    if local.is_some() {
        lines.push("Its enclaves are SIMULATED: nothing in them is protected.".to_owned());
    }
    lines.push(format!("Next: strongroom-pool --config {shown} doctor"));
    let json = json!({
        "settings": output.display().to_string(),
        "owner": checksummed(&owner_address),
        "worker": checksummed(&worker_address),
        "simulated": local.is_some(),
        "chain": network.name,
    });
    Ok(Answer::done(lines.join("\n"), json))
}

/// Whether the network on this machine is the one in use.
fn is_this(local: &Description, network: &Network) -> bool {
    let entry = local.entry();
    entry.chain_id == network.entry.chain_id && entry.hub == network.entry.hub && entry.rpc == network.entry.rpc
}

fn full(session: &Session<'_>, path: &Path) -> Result<PathBuf, CliError> {
    let path = session.here(path);
    absolute(&path).map_err(|source| CliError::File { doing: "find", path, source })
}

/// Files and folders of the pool, all absolute: a service has another current folder.
struct Places {
    folder: PathBuf,
    owner: PathBuf,
    worker: PathBuf,
    owner_password: Option<PathBuf>,
    worker_password: Option<PathBuf>,
}

fn settings(wanted: &PoolSettings, network: &Network, places: &Places, local: Option<&Description>) -> Value {
    let entry = &network.entry;
    let below = |name: &str| places.folder.join(name);
    let wallet = |keystore: &Path, password: &Option<PathBuf>| match password {
        Some(password) => json!({ "keystore": keystore, "password_file": password }),
        None => json!({ "keystore": keystore }),
    };
    let mut settings = json!({
        "pool": { "address": checksummed(&wanted.workerpool), "state": below("pool.db"), "runs": below("r") },
        "chain": { "endpoints": entry.rpc, "id": entry.chain_id, "hub": checksummed(&entry.hub) },
        "sms": { "url": entry.sms },
        "scheduler": wallet(&places.owner, &places.owner_password),
        "worker": wallet(&places.worker, &places.worker_password),
        "images": { "cache": below("images") },
    });
    settings["scheduler"]["port"] = wanted.port.into();
    if let Some(proxy) = &entry.result_proxy {
        settings["results"]["proxy"] = json!(proxy);
    }
    if let Some(gateway) = &entry.ipfs_gateway {
        settings["results"]["gateways"] = json!([gateway]);
    }
    let Some(local) = local else { return settings };
    // Nobody but this machine has business with it.
    settings["scheduler"]["address"] = "127.0.0.1".into();
    settings["relay"] = json!({ "danger_allow_private_destinations": true });
    settings["images"]["registries"] = false.into();
    if let Some(images) = &local.images {
        settings["images"]["sources"] = json!([images]);
    }
    if let (Some(guest), Some(simulator)) = (&local.guest, &local.simulator) {
        settings["runtime"] = json!({ "guest": guest, "native": { "simulator": simulator } });
    }
    settings
}
