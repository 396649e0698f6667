//! The `strongroom` command: the hands of owners, buyers and auditors. It keeps wallets, knows networks, pushes secrets to an
//! SMS as the stock clients do, registers apps, datasets and workerpools, signs, publishes and matches orders, buys tasks and
//! fetches their results, and says what evidence of an enclave is worth.
//!
//! Exit codes (a promise to scripts, also in `--help`): 0 done, for check commands "it is there", for evidence "accepted"; 1
//! trouble, worth another try; 2 wrong command line; 3 refused, and for purchases "something is missing"; 4 not found, and for
//! check commands "it is not there"; 5 already there; 6 something given is not acceptable; 7 the wallet stays locked.
//!
//! A secret or password never comes from an argument and never goes to the screen, a log or (unencrypted) a file. The one exception
//! are the keys of datasets, which lie where the iexec CLI has them, for their owner alone (0600). With `--json` each command
//! answers with one JSON object.

mod amount;
mod arguments;
mod chains;
mod commands;
mod config;
mod dataset_key;
mod devnet;
mod error;
mod exit;
mod iexec_words;
mod inspect;
mod ipfs;
mod network;
mod offer;
mod order_file;
mod output;
mod preflight;
mod private_file;
mod progress;
mod pushed_secrets;
#[cfg(test)]
mod reference;
mod result_file;
mod result_key;
mod scheduler;
mod secret_input;
mod sms;
mod stock_project;
mod template;
mod wallet;
mod which_help;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::Parser;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use serde_json::json;
use strongroom_keystore as keystore;
use strongroom_protocol::UnixSeconds;

use crate::arguments::Arguments;
use crate::commands::Session;
use crate::exit::Exit;
use crate::output::Screen;

/// What the command finds around itself, looked up once by `main`.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The user's configuration folder, such as `~/.config`.
    pub config_folder: Option<PathBuf>,
    /// The user's data folder, such as `~/.local/share`.
    pub data_folder: Option<PathBuf>,
    /// The user's home.
    pub home_folder: Option<PathBuf>,
    /// The current folder, where projects of the iexec CLI may be.
    pub current_folder: PathBuf,
    /// This program, beside which its siblings are.
    pub program: Option<PathBuf>,
    /// The time at the start.
    pub now: UnixSeconds,
}

/// Runs the command line `arguments` (the first is the program's name) and returns the exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>, surroundings: &Surroundings) -> u8 {
    let raw: Vec<OsString> = arguments.into_iter().collect();
    let arguments = match Arguments::try_parse_from(&raw) {
        Ok(arguments) => arguments,
        Err(error) => return misunderstood(error, &raw),
    };
    let screen = Screen::new(arguments.general.json, arguments.general.quiet);
    let session = Session { screen, general: &arguments.general, surroundings };
    match commands::run(&session, arguments.command) {
        Ok(answer) if screen.answer(&answer).is_ok() => answer.exit.code(),
        Ok(_) => Exit::Trouble.code(),
        Err(error) => {
            let explanation = exit::explain(&error);
            screen.error(&error, &explanation);
            explanation.exit.code()
        }
    }
}

/// Prints help, the version, or what is wrong with the command line.
fn misunderstood(mut error: clap::Error, raw: &[OsString]) -> u8 {
    let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    let given = |word: &str| raw.iter().any(|argument| argument == OsStr::new(word));
    if given("push-secret") || given("import") {
        // What stands in a wrong place may be the secret.
        for kind in [ContextKind::InvalidValue, ContextKind::InvalidSubcommand] {
            if error.remove(kind).is_some() {
                error.insert(kind, ContextValue::String("(not repeated here)".to_owned()));
            }
        }
    }
    let typed = raw.get(1..).unwrap_or_default();
    let help = which_help::of(typed);
    if error.kind() == ErrorKind::InvalidSubcommand {
        let listed =
            || error.get(ContextKind::SuggestedSubcommand).is_none().then(|| format!("{help} lists the commands"));
        if let Some(tip) = iexec_words::translated(typed).or_else(listed) {
            error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
        }
    }
    if !asked && given("--json") {
        let text = error.render().to_string();
        let message = text.trim().strip_prefix("error: ").unwrap_or(text.trim());
        let code = Exit::Usage.as_str();
        let error = json!({ "code": code, "exit": 2, "message": message, "causes": [], "remedy": help });
        Screen::print_error_object(&json!({ "error": error }));
    } else if error.print().is_err() {
        return Exit::Trouble.code();
    }
    if asked { Exit::Done.code() } else { Exit::Usage.code() }
}
