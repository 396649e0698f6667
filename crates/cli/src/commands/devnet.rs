//! `strongroom devnet`: a network on this machine, in the background.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use strongroom_oci::{Digest, add_to_layout};
use strongroom_protocol::Address;
use strongroom_protocol::address::checksummed;

use crate::amount::Amount;
use crate::arguments::{DevnetCommand, DevnetFolder, DevnetProgram, WalletChoice};
use crate::chains::{ChainName, DEVNET};
use crate::commands::Session;
use crate::commands::app::{manifest_of, source_of};
use crate::config::AddChain;
use crate::devnet::{Description, DevnetError, Folder, Start};
use crate::error::CliError;
use crate::exit::Exit;
use crate::network::Network;
use crate::order_file::absolute;
use crate::output::Answer;

/// Runs one of the commands.
pub(crate) fn run(session: &Session<'_>, command: DevnetCommand) -> Result<Answer, CliError> {
    match command {
        DevnetCommand::Up { folder, wait, program, any_ports } => {
            up(session, &folder, Duration::from_secs(wait), program, any_ports)
        }
        DevnetCommand::Down { folder } => {
            let pid = network(session, &folder)?.stop()?;
            Ok(Answer::done(
                "The network is down. What it stored stays.".to_owned(),
                json!({ "up": false, "pid": pid }),
            ))
        }
        DevnetCommand::Status { folder } => status(session, &folder),
        DevnetCommand::Fund { account, wallet, folder, program } => fund(session, account, &wallet, &folder, program),
        DevnetCommand::AddImage { image, folder } => add_image(session, &image, &folder),
        DevnetCommand::Logs { folder, lines } => {
            let text = network(session, &folder)?.log(lines)?;
            let json = json!({ "lines": text.lines().collect::<Vec<_>>() });
            Ok(Answer::done(text, json))
        }
    }
}

pub(crate) fn network(session: &Session<'_>, folder: &DevnetFolder) -> Result<Folder, CliError> {
    let folder = match &folder.folder {
        Some(folder) => session.here(folder),
        None => session.data_folder()?.join("devnet"),
    };
    // The other program has another current folder perhaps, and links are not followed twice.
    let failed = |source| CliError::File { doing: "find", path: folder.clone(), source };
    absolute(&folder).map(Folder).map_err(failed)
}

/// How the network is called here.
fn name() -> ChainName {
    DEVNET.parse().expect("it follows the rule")
}

fn program(session: &Session<'_>, named: DevnetProgram) -> PathBuf {
    let beside = || Some(session.surroundings.program.as_ref()?.with_file_name("strongroom-devnet"));
    let program = named.program.map(|program| session.here(program)).or_else(beside);
    program.unwrap_or_else(|| "strongroom-devnet".into())
}

fn up(
    session: &Session<'_>,
    folder: &DevnetFolder,
    patience: Duration,
    named: DevnetProgram,
    any_ports: bool,
) -> Result<Answer, CliError> {
    let name = name();
    let folder = network(session, folder)?;
    let program = program(session, named);
    let start = Start { program: &program, any_ports, patience };
    let network = session.screen.while_doing("Starting the network", || folder.start(&start))?;
    let add = AddChain { replace: true, use_it: true };
    session.config()?.add_chain(&name, &network.entry(), add)?;
    let mut answer = told(&folder, &network);
    answer.text.push_str("\nIts enclaves are SIMULATED: nothing in them is protected. Never use real secrets here.");
    answer.json["chain"] = json!(name);
    Ok(answer)
}

fn fund(
    session: &Session<'_>,
    account: Option<Address>,
    wallet: &WalletChoice,
    folder: &DevnetFolder,
    named: DevnetProgram,
) -> Result<Answer, CliError> {
    let folder = network(session, folder)?;
    let description = folder.must_run()?;
    let account = match account {
        Some(account) => account,
        None => session.wallet(wallet, &session.config()?)?.address()?,
    };
    let program = program(session, named);
    session.screen.while_doing("Sending money", || folder.fund(&program, account))?;
    let network = Network::of(name(), description.entry(), Duration::from_secs(30))?;
    let money = network.wait(session, "Asking the chain", network.chain.money(account))?;
    let account = checksummed(&account);
    let text = format!(
        "{account} has {} in the wallet, and coins for gas.\nWho buys tasks pays them at the hub: strongroom account deposit AMOUNT",
        Amount(money.rlc)
    );
    let json = json!({ "account": account, "rlc": money.rlc.to_string(), "coin_wei": money.coin.to_string() });
    Ok(Answer::done(text, json))
}

fn add_image(session: &Session<'_>, image: &Path, folder: &DevnetFolder) -> Result<Answer, CliError> {
    let folder = network(session, folder)?;
    let images = folder.must_run()?.images.ok_or_else(|| DevnetError::NoPool { folder: folder.0.clone() })?;
    let path = session.here(image);
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let checksum = session.screen.while_counting("Copying the image", None, |counter| {
        let checksum = manifest_of(&path, None)?;
        let digest = Digest::from_bytes(checksum.0);
        let mut reached = |done, total| counter.reach(done, total);
        add_to_layout(&images, &name, &source_of(&path), digest, &mut reached).map_err(CliError::Image)?;
        Ok::<_, CliError>(checksum)
    })?;
    let text = format!(
        "checksum  {checksum}\nThe network's pool can run it now. Next: strongroom app deploy --name {name} --image {}",
        image.display()
    );
    Ok(Answer::done(text, json!({ "checksum": checksum.to_string(), "images": images.display().to_string() })))
}

fn status(session: &Session<'_>, folder: &DevnetFolder) -> Result<Answer, CliError> {
    let folder = network(session, folder)?;
    if let Some(network) = folder.running()? {
        return Ok(told(&folder, &network));
    }
    let json = json!({ "up": false, "folder": folder.0.display().to_string() });
    Ok(Answer { exit: Exit::NotFound, text: "The network is down.".to_owned(), json })
}

fn told(folder: &Folder, network: &Description) -> Answer {
    let entry = network.entry();
    let mut lines = vec![
        format!("The network is up (process {}), in {}", network.pid, folder.0.display()),
        format!("chain       {} at {}", entry.chain_id, entry.rpc.first().map_or("", url::Url::as_str)),
        format!("hub         {}", checksummed(&entry.hub)),
        format!("sms         {}", entry.sms),
    ];
    let rows = [("market", &entry.market), ("gateway", &entry.ipfs_gateway), ("compass", &entry.compass)];
    lines.extend(rows.into_iter().filter_map(|(name, url)| Some(format!("{name:<11} {}", url.as_ref()?))));
    lines.extend(entry.workerpool.map(|pool| format!("workerpool  {}", checksummed(&pool))));
    lines.extend(
        network
            .images
            .as_ref()
            .map(|images| format!("images      {} (an OCI layout: its pool runs what is in it)", images.display())),
    );
    let json = json!({
        "up": true,
        "pid": network.pid,
        "folder": folder.0.display().to_string(),
        "chain_id": entry.chain_id,
        "hub": checksummed(&entry.hub),
        "rpc": entry.rpc,
        "sms": entry.sms,
        "market": entry.market,
        "workerpool": entry.workerpool.map(|pool| checksummed(&pool)),
        "images": network.images.as_ref().map(|images| images.display().to_string()),
    });
    Answer::done(lines.join("\n"), json)
}
