//! Which help to read after a mistake on the command line.

use std::ffi::OsString;

use clap::CommandFactory;

use crate::arguments::Arguments;

/// The help of the longest command that was typed. Other words are not repeated: they may be secrets.
pub(crate) fn of(arguments: &[OsString]) -> String {
    let commands = Arguments::command();
    let mut typed = vec!["strongroom"];
    let mut deepest = &commands;
    for word in arguments {
        if let Some(command) = deepest.find_subcommand(word) {
            typed.push(command.get_name());
            deepest = command;
        }
    }
    format!("{} --help", typed.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_that_of_the_longest_command_that_was_typed() {
        let of = |line: &str| of(&line.split(' ').map(OsString::from).collect::<Vec<_>>());
        assert_eq!(of("task run"), "strongroom task --help");
        assert_eq!(of("--json task buy --volume x"), "strongroom task buy --help");
        assert_eq!(of("tsk"), "strongroom --help");
    }
}
