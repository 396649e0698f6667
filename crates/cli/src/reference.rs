//! `docs/reference/cli.md` says what `--help` says. `UPDATE_EXPECT=1 cargo test -p strongroom-cli reference` writes it anew.

use std::fmt::Write as _;

use clap::{Arg, Command, CommandFactory};
use expect_test::expect_file;

use crate::arguments::Arguments;

const HEAD: &str = "<!-- Written by `UPDATE_EXPECT=1 cargo test -p strongroom-cli reference`. -->
# The command line `strongroom`

Every command also has a manual page (`strongroom man --folder FOLDER`) and `--help`. Options that every command of its kind
takes stand once, at the end.

";
/// Groups of options that many commands take: their heading here, and options of them by which they are known.
const SHARED: [(&str, &str); 4] = [
    ("General options", "general-options"),
    ("Wallet options", "wallet-options"),
    ("Network options", "network-options"),
    ("SMS options", "sms-options"),
];

/// A cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('<', "\\<").replace('\n', " ")
}

fn name(argument: &Arg) -> String {
    let value = argument.get_value_names().unwrap_or_default().join(" ");
    let takes_value = argument.get_action().takes_values();
    match (argument.get_long(), argument.get_short()) {
        (Some(long), _) if takes_value => format!("`--{long} <{}>`", value.replace('|', "\\|")),
        (Some(long), Some(short)) => format!("`-{short}`, `--{long}`"),
        (Some(long), None) => format!("`--{long}`"),
        (None, _) => format!("`<{}>`", value.replace('|', "\\|")),
    }
}

fn meaning(argument: &Arg) -> String {
    let mut text = argument.get_help().map(ToString::to_string).unwrap_or_default();
    let defaults: Vec<_> = argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    if !defaults.is_empty() && argument.get_action().takes_values() {
        write!(text, " [default: {}]", defaults.join(" ")).unwrap();
    }
    let values: Vec<_> = argument.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
    if !values.is_empty() && argument.get_action().takes_values() {
        write!(text, " [one of: {}]", values.join(", ")).unwrap();
    }
    if let Some(variable) = argument.get_env() {
        write!(text, " [variable: {}]", variable.to_string_lossy()).unwrap();
    }
    cell(&text)
}

fn table<'a>(page: &mut String, arguments: impl Iterator<Item = &'a Arg>) {
    page.push_str("\n| Argument | Meaning |\n| --- | --- |\n");
    for argument in arguments {
        writeln!(page, "| {} | {} |", name(argument), meaning(argument)).unwrap();
    }
}

fn is_shown(argument: &Arg) -> bool {
    !argument.is_hide_set() && !["help", "version"].contains(&argument.get_id().as_str())
}

/// A command, and those below it.
fn describe(page: &mut String, command: &mut Command, path: &str, shared: &mut Vec<Arg>) {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    if !command.has_subcommands() {
        writeln!(page, "\n### `{path}`\n\n{about}.").unwrap();
        let own: Vec<&Arg> = command.get_arguments().filter(|argument| is_shown(argument)).collect();
        let (common, own): (Vec<&Arg>, Vec<&Arg>) = own.into_iter().partition(|argument| heading(argument).is_some());
        if !own.is_empty() {
            table(page, own.into_iter());
        }
        let mut groups: Vec<String> = Vec::new();
        for argument in common {
            let (title, anchor) = heading(argument).unwrap();
            let link = format!("[{title}](#{anchor})");
            if !groups.contains(&link) {
                groups.push(link);
            }
            if !shared.iter().any(|known| known.get_id() == argument.get_id() && heading(known) == heading(argument)) {
                shared.push(argument.clone());
            }
        }
        writeln!(page, "\n{}.", groups.join(", ")).unwrap();
        if let Some(more) = command.get_after_help() {
            writeln!(page, "\n{more}").unwrap();
        }
    }
    for below in command.get_subcommands_mut().filter(|below| !below.is_hide_set() && below.get_name() != "help") {
        let path = format!("{path} {}", below.get_name());
        if below.has_subcommands() {
            let about = below.get_about().map(ToString::to_string).unwrap_or_default();
            writeln!(page, "\n## `{path}`\n\n{about}.").unwrap();
        }
        describe(page, below, &path, shared);
    }
}

fn heading(argument: &Arg) -> Option<(&'static str, &'static str)> {
    let heading = argument.get_help_heading()?;
    SHARED.into_iter().find(|(title, _)| *title == heading)
}

#[test]
fn the_reference_has_every_command_and_option() {
    let mut command = Arguments::command();
    command.build();
    let (mut body, mut shared) = (String::new(), Vec::new());
    describe(&mut body, &mut command, "strongroom", &mut shared);
    let mut page = format!("{HEAD}```text\n{}\n```\n{body}", command.get_after_help().unwrap());
    for (title, _) in SHARED {
        writeln!(page, "\n## {title}").unwrap();
        let of_group = |argument: &&Arg| heading(argument).is_some_and(|(heading, _)| heading == title);
        table(&mut page, shared.iter().filter(of_group));
    }
    expect_file!["../../../docs/reference/cli.md"].assert_eq(&page);
}
