//! `strongroom devnet`: a network on this machine, in the background.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;
use strongroom_protocol::address::checksummed;

use crate::arguments::{DevnetCommand, DevnetFolder};
use crate::chains::ChainName;
use crate::commands::Session;
use crate::config::AddChain;
use crate::devnet::{Description, Folder, Start};
use crate::error::CliError;
use crate::exit::Exit;
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
        DevnetCommand::Logs { folder, lines } => {
            let text = network(session, &folder)?.log(lines)?;
            let json = json!({ "lines": text.lines().collect::<Vec<_>>() });
            Ok(Answer::done(text, json))
        }
    }
}

fn network(session: &Session<'_>, folder: &DevnetFolder) -> Result<Folder, CliError> {
    let folder = match &folder.folder {
        Some(folder) => session.here(folder),
        None => session.data_folder()?.join("devnet"),
    };
    // The other program has another current folder perhaps, and links are not followed twice.
    let failed = |source| CliError::File { doing: "find", path: folder.clone(), source };
    absolute(&folder).map(Folder).map_err(failed)
}

fn up(
    session: &Session<'_>,
    folder: &DevnetFolder,
    patience: Duration,
    program: Option<PathBuf>,
    any_ports: bool,
) -> Result<Answer, CliError> {
    let name: ChainName = "devnet".parse().expect("it follows the rule");
    let folder = network(session, folder)?;
    let beside = || Some(session.surroundings.program.as_ref()?.with_file_name("strongroom-devnet"));
    let program = program.map(|program| session.here(program)).or_else(beside);
    let program = program.unwrap_or_else(|| "strongroom-devnet".into());
    let start = Start { program: &program, any_ports, patience };
    let network = session.screen.while_doing("Starting the network", || folder.start(&start))?;
    let add = AddChain { replace: true, use_it: true };
    session.config()?.add_chain(&name, &network.entry(), add)?;
    let mut answer = told(&folder, &network);
    answer.text.push_str("\nIts enclaves are SIMULATED: nothing in them is protected. Never use real secrets here.");
    answer.json["chain"] = json!(name);
    Ok(answer)
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
