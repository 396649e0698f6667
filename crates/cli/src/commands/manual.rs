//! `strongroom man`.

use std::io;
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use clap_mangen::Man;
use serde_json::json;

use crate::arguments::Arguments;
use crate::error::CliError;
use crate::output::Answer;

/// The page of the program, or the pages of all commands, one file each.
pub(crate) fn run(folder: Option<&Path>) -> Result<Answer, CliError> {
    let mut command = Arguments::command();
    // Global options then stand in every page.
    command.build();
    let Some(folder) = folder else {
        let mut bytes = Vec::new();
        let source = |source| CliError::File { doing: "write", path: PathBuf::from("the page"), source };
        Man::new(command).render(&mut bytes).map_err(source)?;
        let page = String::from_utf8_lossy(&bytes).trim_end().to_owned();
        return Ok(Answer::done(page.clone(), json!({ "page": page })));
    };
    let failed = |source: io::Error| CliError::File { doing: "write pages into", path: folder.to_owned(), source };
    std::fs::create_dir_all(folder).map_err(failed)?;
    clap_mangen::generate_to(command, folder).map_err(failed)?;
    let text = format!("The pages are in {}.", folder.display());
    Ok(Answer::done(text, json!({ "folder": folder.display().to_string() })))
}
