//! Words of the `iexec` command line that are others here, for whoever has them in the fingers.

use std::ffi::OsString;

/// Two words there, and what does it here.
const WORDS: [([&str; 2], &str); 29] = [
    (["account", "show"], "account balance"),
    (["app", "count"], "order book app"),
    (["app", "run"], "task buy"),
    (["app", "request-execution"], "task buy"),
    (["app", "unpublish"], "order cancel app"),
    (["dataset", "init"], "dataset encrypt"),
    (["dataset", "publish"], "dataset grant"),
    (["dataset", "unpublish"], "dataset revoke"),
    (["deal", "claim"], "task claim"),
    (["deal", "show"], "task explain"),
    (["info", "show"], "doctor"),
    (["order", "fill"], "order match"),
    (["order", "init"], "order sign"),
    (["order", "show"], "order book"),
    (["order", "unpublish"], "order cancel"),
    (["requester", "check-result-encryption-key"], "result check-encryption-key"),
    (["requester", "push-result-encryption-key"], "result push-encryption-key"),
    (["result", "check-result-encryption-key"], "result check-encryption-key"),
    (["result", "generate-encryption-keypair"], "result push-encryption-key, which makes the pair"),
    (["result", "generate-keys"], "result push-encryption-key, which makes the pair"),
    (["result", "push-result-encryption-key"], "result push-encryption-key"),
    (["storage", "init"], "requester push-secret"),
    (["task", "debug"], "task logs"),
    (["task", "show"], "task explain, and task result downloads it"),
    (["wallet", "getETH"], "devnet fund, on the local network"),
    (["wallet", "getRLC"], "devnet fund, on the local network"),
    (["workerpool", "deploy"], "pool deploy"),
    (["workerpool", "publish"], "pool publish"),
    (["workerpool", "show"], "pool show"),
];

/// What the command is called here, if these are words of the `iexec` command line.
pub(crate) fn translated(arguments: &[OsString]) -> Option<String> {
    let mut words = arguments.iter().filter_map(|argument| argument.to_str()).filter(|word| !word.starts_with('-'));
    let given = [words.next()?, words.next()?];
    let (words, here) = WORDS.iter().find(|(words, _)| *words == given)?;
    Some(format!("`iexec {} {}` is here: strongroom {here}", words[0], words[1]))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::arguments::Arguments;

    #[test]
    fn every_translation_is_a_command_and_what_is_translated_is_none() {
        let commands = Arguments::command();
        let finds =
            |words: &[&str]| words.iter().try_fold(&commands, |command, word| command.find_subcommand(word)).is_some();
        for (there, here) in WORDS {
            assert!(!finds(&there), "{there:?} is a command here too");
            let here: Vec<&str> = here.split(',').next().unwrap().split(' ').take(2).collect();
            assert!(finds(&here), "{here:?} is no command");
        }
    }

    #[test]
    fn options_before_and_between_do_not_matter() {
        let given = |words: &[&str]| translated(&words.iter().map(OsString::from).collect::<Vec<_>>());
        assert_eq!(
            given(&["--json", "app", "--yes", "run", "0x1"]).unwrap(),
            "`iexec app run` is here: strongroom task buy"
        );
        assert_eq!(given(&["app"]), None);
        assert_eq!(given(&["app", "fly"]), None);
    }
}
