//! `strongroom task`: bought tasks, from the deal to the result.

mod claim;
mod course;
mod explain;
mod follow;
mod journal;
mod list;
mod logs;
mod pool_word;
mod printed;
mod result;
mod subject;
mod watch;

pub(crate) use watch::watch;

use self::result::Wanted;
use crate::arguments::{NetworkChoice, TaskCommand};
use crate::commands::{Session, buy};
use crate::error::CliError;
use crate::network::Network;
use crate::output::Answer;

/// Runs one of the commands.
pub(crate) fn run(session: &Session<'_>, command: TaskCommand) -> Result<Answer, CliError> {
    let of = |network: &NetworkChoice| Network::find(&session.config()?, network);
    match command {
        TaskCommand::Buy(buying) => buy::run(session, &buying),
        TaskCommand::List { requester, limit, wallet, network } => {
            list::list(session, requester, limit, &wallet, &network)
        }
        TaskCommand::Watch { id, logs, signer, network } => {
            let reader = if logs { Some(&signer) } else { None };
            watch::run(session, &of(&network)?, id, reader)
        }
        TaskCommand::Result { id, output, unpack, no_decrypt, private_key, signer, network } => {
            let wanted = Wanted { output, unpack, no_decrypt, private_key };
            result::result(session, &of(&network)?, id, &wanted, &signer)
        }
        TaskCommand::Logs { id, signer, network } => logs::logs(session, &of(&network)?, id, &signer),
        TaskCommand::Journal { id, signer, service } => journal::journal(session, id.into(), &signer, &service),
        TaskCommand::Explain { id, network } => explain::explain(session, &of(&network)?, id),
        TaskCommand::Claim { id, signer, network } => claim::claim(session, &of(&network)?, id, &signer),
    }
}
