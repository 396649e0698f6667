//! `strongroom completion`.

use clap::CommandFactory;
use clap_complete::Shell;
use serde_json::json;

use crate::arguments::Arguments;
use crate::output::Answer;

/// The script that teaches a shell our commands.
pub(crate) fn script(shell: Shell) -> Answer {
    let mut bytes = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "strongroom", &mut bytes);
    let script = String::from_utf8_lossy(&bytes).trim_end().to_owned();
    let json = json!({ "shell": shell.to_string(), "script": script });
    Answer::done(script, json)
}
