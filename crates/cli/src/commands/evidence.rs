//! `strongroom evidence`: what a quote, report or attestation document is worth.

use crate::arguments::EvidenceCommand;
use crate::commands::Session;
use crate::error::CliError;
use crate::inspect::{judge, read};
use crate::output::Answer;

/// Runs the command. It needs no settings, no wallet and no network.
pub(crate) fn run(session: &Session<'_>, command: EvidenceCommand) -> Result<Answer, CliError> {
    let EvidenceCommand::Inspect(arguments) = command;
    let inspection = judge(read(&arguments, session.surroundings.now)?);
    Ok(Answer { exit: inspection.exit(), text: inspection.text(), json: inspection.json() })
}
